//! Properties of characters, according to Unicode.

use icu_casemap::{CaseMapper, CaseMapperBorrowed};
use icu_properties::props::{
    CanonicalCombiningClass, DefaultIgnorableCodePoint, ExtendedPictographic, GeneralCategory,
};
use icu_properties::{
    CodePointMapData, CodePointMapDataBorrowed, CodePointSetData, CodePointSetDataBorrowed,
};

use super::{LONGEST, NFC};

/// Ends a word, unlike all other invisible characters.
pub const ZERO_WIDTH_SPACE: char = '\u{200b}';
const ZERO_WIDTH_JOINER: char = '\u{200d}';
const KEYCAP: char = '\u{20e3}';
/// Turns a character that is normally text into an emoji.
const EMOJI_STYLE: char = '\u{fe0f}';
/// Stretches a word in a line, without a meaning.
const TATWEEL: char = '\u{640}';

const CASES: CaseMapperBorrowed<'static> = CaseMapper::new();
const CATEGORY: CodePointMapDataBorrowed<'static, GeneralCategory> = CodePointMapData::new();
const COMBINING: CodePointMapDataBorrowed<'static, CanonicalCombiningClass> =
    CodePointMapData::new();
const IGNORABLE: CodePointSetDataBorrowed<'static> =
    CodePointSetData::new::<DefaultIgnorableCodePoint>();
const PICTOGRAPHIC: CodePointSetDataBorrowed<'static> =
    CodePointSetData::new::<ExtendedPictographic>();

/// Returns true for characters of scripts that put no blanks between words.
pub const fn is_in_unspaced_script(c: char) -> bool {
    matches!(c,
        // Thai, Lao, Myanmar, Khmer.
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        // Kana, Bopomofo, ideographs; their half-width forms; the supplementary planes.
        | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{312f}' | '\u{31a0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}')
}

/// Returns true for ideographs and kana, which normalization and case folding do not change.
pub const fn folds_to_itself(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{30fc}')
}

/// Returns true for common letters, whose properties need no lookup.
const fn is_common_letter(c: char) -> bool {
    folds_to_itself(c)
        || matches!(c, '\0'..='\x7f' | '\u{c0}'..='\u{2af}' | '\u{391}'..='\u{481}' | '\u{ac00}'..='\u{d7a3}')
}

/// Returns true for a character that combines with the one before it.
pub fn is_mark(c: char) -> bool {
    !is_common_letter(c)
        && matches!(
            CATEGORY.get(c),
            GeneralCategory::NonspacingMark
                | GeneralCategory::SpacingMark
                | GeneralCategory::EnclosingMark
        )
}

/// Returns true for a character that is not visible in displayed text.
pub fn is_invisible(c: char) -> bool {
    !is_common_letter(c)
        && (IGNORABLE.contains(c) || c == TATWEEL || CATEGORY.get(c) == GeneralCategory::Format)
}

/// Returns true for marks that do not distinguish words: accents, points, tones, enclosures. Vowel signs, viramas and voice marks do.
pub fn is_diacritic(c: char) -> bool {
    if is_common_letter(c) {
        return false;
    }
    let category = CATEGORY.get(c);
    category == GeneralCategory::EnclosingMark
        || category == GeneralCategory::NonspacingMark
            && !matches!(
                COMBINING.get(c),
                // Signs in their own right.
                CanonicalCombiningClass::NotReordered
                    | CanonicalCombiningClass::KanaVoicing
                    | CanonicalCombiningClass::Virama
                    // Vowels and length marks of Telugu, Thai, Lao and Tibetan.
                    | CanonicalCombiningClass::CCC84
                    | CanonicalCombiningClass::CCC91
                    | CanonicalCombiningClass::CCC103
                    | CanonicalCombiningClass::CCC118
                    | CanonicalCombiningClass::CCC129
                    | CanonicalCombiningClass::CCC130
                    | CanonicalCombiningClass::CCC132
            )
}

pub fn simple_fold(c: char) -> char {
    if c.is_ascii() {
        c.to_ascii_lowercase()
    } else {
        CASES.simple_fold(c)
    }
}

/// Returns the length of the emoji that a text begins with: a sequence with joiners, a flag or a keycap is one emoji.
pub fn symbol_end(text: &str) -> Option<usize> {
    let mut chars = text.chars();
    let first = chars.next()?;
    let mut rest = chars.as_str();
    if first.is_ascii() {
        if !matches!(first, '0'..='9' | '#' | '*') {
            return None;
        }
        rest = rest.strip_prefix(EMOJI_STYLE).unwrap_or(rest);
        return Some(text.len() - rest.strip_prefix(KEYCAP)?.len());
    }
    if is_common_letter(first) {
        return None;
    }
    if is_regional_indicator(first) {
        rest = rest.strip_prefix(is_regional_indicator).unwrap_or(rest);
        return Some(text.len() - rest.len());
    }
    if !is_symbol(first, rest) {
        return None;
    }
    rest = rest.trim_start_matches(modifies_symbol);
    while let Some(joined) = rest.strip_prefix(ZERO_WIDTH_JOINER)
        && let Some(after) = joined.strip_prefix(|c| PICTOGRAPHIC.contains(c))
    {
        rest = after.trim_start_matches(modifies_symbol);
    }
    Some(text.len() - rest.len())
}

/// Returns the symbol without its style and skin tones, composed.
pub fn fold_symbol(symbol: &str) -> String {
    let mut chars = symbol.chars();
    let first = chars.next();
    let style = first.filter(|first| is_text(*first));
    let rest = chars.filter(|c| !matches!(c, '\u{fe00}'..='\u{fe0f}') && !is_skin_tone(*c));
    let shown = first.into_iter().chain(style.map(|_| EMOJI_STYLE));
    NFC.normalize_iter(shown.chain(rest))
        .take(LONGEST)
        .collect()
}

const fn is_regional_indicator(c: char) -> bool {
    matches!(c, '\u{1f1e6}'..='\u{1f1ff}')
}

const fn is_skin_tone(c: char) -> bool {
    matches!(c, '\u{1f3fb}'..='\u{1f3ff}')
}

/// Returns true for symbols that belong to the words around them, unless a style makes them emoji.
const fn is_text(c: char) -> bool {
    matches!(c, '©' | '®' | '™' | '‼' | '⁉')
}

fn is_symbol(c: char, rest: &str) -> bool {
    if is_text(c) {
        return rest.starts_with(EMOJI_STYLE);
    }
    let in_blocks = matches!(c, '\u{2600}'..='\u{27bf}' | '\u{1f300}'..='\u{1faff}');
    PICTOGRAPHIC.contains(c) || in_blocks && !c.is_alphanumeric()
}

/// Returns true for styles, skin tones, the letters of a subdivision's flag, and marks.
fn modifies_symbol(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0020}'..='\u{e007f}')
        || is_skin_tone(c)
        || is_mark(c)
}

#[cfg(test)]
mod tests {
    use super::super::NFKD;
    use super::*;

    #[test]
    fn common_letters_are_as_their_properties_say() {
        for c in '\0'..=char::MAX {
            if is_common_letter(c) {
                let is_mark = matches!(
                    CATEGORY.get(c),
                    GeneralCategory::NonspacingMark
                        | GeneralCategory::SpacingMark
                        | GeneralCategory::EnclosingMark
                        | GeneralCategory::Format
                );
                assert!(!is_mark && !IGNORABLE.contains(c), "{c:?}");
                assert!(c.is_ascii() || !PICTOGRAPHIC.contains(c), "{c:?}");
            }
            if folds_to_itself(c) {
                let folded: String = NFKD
                    .normalize_iter([c].into_iter())
                    .map(simple_fold)
                    .collect();
                assert_eq!(NFC.normalize(&folded), c.to_string());
                assert!(is_in_unspaced_script(c) && c.is_alphanumeric(), "{c:?}");
            }
        }
    }
}
