//! Splits text into words, the same way for documents and queries, in any language.
//!
//! A word is a run of letters and digits, without case, diacritics and invisible characters. Scripts that put no blanks between
//! words become pairs of characters, and every emoji is a word. PostgreSQL's own parser is not used, because its notion of a letter
//! depends on the database's locale.

mod characters;

use std::ops::Range;

use characters::{
    folds_to_itself, is_diacritic, is_in_unspaced_script, is_invisible, is_mark, simple_fold,
    symbol_end,
};
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

/// Maximum length of a word in characters; the rest is ignored.
pub const LONGEST: usize = 64;

const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();
const NFKD: DecomposingNormalizerBorrowed<'static> = DecomposingNormalizerBorrowed::new_nfkd();

/// A word, and its place in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Byte range.
    pub at: Range<usize>,
    /// Normalized for comparison.
    pub text: String,
    pub script: Script,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// A word between blanks.
    Spaced,
    /// Two characters of a script without blanks.
    Pair,
    /// The last character of such a run, which is also in the pair before it.
    Last,
    /// A run of one character.
    Lone,
    /// A picture, such as an emoji.
    Symbol,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Unspaced,
    Symbol,
}

/// Returns the words of a text in order.
pub fn words(text: &str) -> impl Iterator<Item = Word> {
    runs(text).flat_map(move |(class, at)| match class {
        Class::Letter => one(text, at, Script::Spaced).into_iter().collect(),
        Class::Unspaced => pairs(text, &at),
        Class::Symbol => one(text, at, Script::Symbol).into_iter().collect(),
    })
}

/// Returns runs of characters of the same class.
fn runs(text: &str) -> impl Iterator<Item = (Class, Range<usize>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(first) = text[at..].chars().next() {
            let start = at;
            if let Some(length) = symbol_end(&text[start..]) {
                at = start + length;
                return Some((Class::Symbol, start..at));
            }
            at = start + first.len_utf8();
            let Some(class) = class(first) else { continue };
            while let Some(next) = text[at..].chars().next()
                && continues(class, next, &text[at..])
            {
                at += next.len_utf8();
            }
            return Some((class, start..at));
        }
        None
    })
}

/// Returns true if a character, the first of the rest, continues a run.
fn continues(run: Class, next: char, rest: &str) -> bool {
    if next.is_ascii() {
        return run == Class::Letter
            && next.is_ascii_alphanumeric()
            && (next.is_ascii_alphabetic() || symbol_end(rest).is_none());
    }
    if is_mark(next) || is_invisible(next) {
        // In scripts without blanks, a zero-width space only marks a possible line break.
        return next != characters::ZERO_WIDTH_SPACE || run == Class::Unspaced;
    }
    symbol_end(rest).is_none() && class(next) == Some(run)
}

fn class(c: char) -> Option<Class> {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric().then_some(Class::Letter);
    }
    if !c.is_alphanumeric() || is_mark(c) || is_invisible(c) {
        return None;
    }
    Some(match is_in_unspaced_script(c) {
        true => Class::Unspaced,
        false => Class::Letter,
    })
}

fn one(text: &str, at: Range<usize>, script: Script) -> Option<Word> {
    let folded = match script {
        Script::Symbol => characters::fold_symbol(&text[at.clone()]),
        Script::Spaced | Script::Pair | Script::Last | Script::Lone => fold(&text[at.clone()]),
    };
    (!folded.is_empty()).then_some(Word {
        at,
        text: folded,
        script,
    })
}

/// Returns true for a character that is part of the one before it, including half-width voice marks.
fn joins(c: char) -> bool {
    is_mark(c) || is_invisible(c) || matches!(c, '\u{ff9e}' | '\u{ff9f}')
}

/// Pairs each character with the next one; the last one stands alone.
fn pairs(text: &str, run: &Range<usize>) -> Vec<Word> {
    let chars = text[run.clone()].char_indices();
    let chars = chars.filter(|(n, c)| *n == 0 || !joins(*c));
    let starts: Vec<usize> = chars.map(|(n, _)| run.start + n).collect();
    let found = starts.iter().enumerate().filter_map(|(n, start)| {
        let script = match (n, starts.len() - n) {
            (0, 1) => Script::Lone,
            (_, 1) => Script::Last,
            _ => Script::Pair,
        };
        let end = starts.get(n + 2).copied().unwrap_or(run.end);
        one(text, *start..end, script)
    });
    found.collect()
}

/// Removes case, diacritics and other irrelevant differences. Only letters, digits and the marks that distinguish words remain.
fn fold(word: &str) -> String {
    if word.is_ascii() {
        return word
            .chars()
            .take(LONGEST)
            .map(|c| c.to_ascii_lowercase())
            .collect();
    }
    if word.chars().all(folds_to_itself) {
        return word.to_owned();
    }
    let bare = NFKD
        .normalize_iter(word.chars())
        .filter(|c| !is_diacritic(*c) && !is_invisible(*c))
        .map(simple_fold);
    let kept = bare.filter(|c| c.is_alphanumeric() || is_mark(*c));
    let mut folded = String::new();
    for c in NFC
        .normalize_iter(kept.skip_while(|c| is_mark(*c)))
        .take(LONGEST)
    {
        match c {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'þ' => folded.push_str("th"),
            'ø' => folded.push('o'),
            'đ' | 'ð' => folded.push('d'),
            'ł' => folded.push('l'),
            'ı' => folded.push('i'),
            other => folded.push(other),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(text: &str) -> Vec<String> {
        words(text).map(|word| word.text).collect()
    }

    #[test]
    fn a_text_is_told_as_its_words_without_case_and_diacritics() {
        for (text, expected) in [
            ("", &[][..]),
            (" ... \0 '\\\" ", &[]),
            ("Hot tea, please!", &["hot", "tea", "please"]),
            ("read_model::Behind-v2", &["read", "model", "behind", "v2"]),
            ("Straße ÆØÅ Łódź", &["strasse", "aeoa", "lodz"]),
            ("Ce\u{301}line Céline", &["celine", "celine"]),
            ("ΟΔΥΣΣΕΥΣ οδυσσευς", &["οδυσσευσ", "οδυσσευσ"]),
            ("½ ² ﬁne", &["12", "2", "fine"]),
            ("हिन्दी", &["हिन्दी"]),
            ("한국어", &["한국어"]),
            ("東京都へ", &["東京", "京都", "都へ", "へ"]),
            ("京", &["京"]),
            ("ｶﾞ x", &["カ\u{3099}", "x"]),
            ("tea🎉🎉", &["tea", "🎉", "🎉"]),
            (
                "⭐⌚🀄🆗 a▶️b ↔ ℹ️",
                &["⭐", "⌚", "🀄", "🆗", "a", "▶", "b", "↔", "ℹ"],
            ),
            ("🇯🇵🇩🇪 🇯", &["🇯🇵", "🇩🇪", "🇯"]),
            ("1️⃣ 12️⃣#⃣", &["1\u{20e3}", "1", "2\u{20e3}", "#\u{20e3}"]),
            ("👩🏽‍🚀 👩‍🚀❤️‍🔥👨‍👩‍👧", &["👩‍🚀", "👩‍🚀", "❤‍🔥", "👨‍👩‍👧"]),
            ("👍🏿 👍 🏿", &["👍", "👍", "🏿"]),
            (
                "🏴\u{e0067}\u{e0062}\u{e007f}x",
                &["🏴\u{e0067}\u{e0062}\u{e007f}", "x"],
            ),
            ("Acme™ rocks © ©️", &["acme", "rocks", "©\u{fe0f}"]),
            // Marks without a base character.
            ("\u{1e026}\u{a4d} \u{e38}\u{a4d} \u{fc5e}", &[]),
        ] {
            let expected: Vec<String> = expected
                .iter()
                .map(|word| NFC.normalize(word).into_owned())
                .collect();
            assert_eq!(texts(text), expected, "{text}");
        }
    }

    #[test]
    fn diacritics_of_all_scripts_make_no_difference_and_other_marks_do() {
        for (one, other) in [
            ("שָׁלוֹם", "שלום"),
            ("مُحَمَّد", "محمد"),
            ("محـــمد", "محمد"),
            ("क़लम", "कलम"),
            ("ไม่", "ไม"),
            ("ЁЛКА", "елка"),
            ("Ǻngström", "angstrom"),
            ("ά͂", "α"),
            ("ΌΔΟΣ", "οδος"),
            ("A⃝b", "ab"),
        ] {
            assert_eq!(texts(one), texts(other), "{one} {other}");
        }
        for (one, other) in [
            ("कुल", "कल"),
            ("हिन्दी", "हनद"),
            ("ดี", "ดุ"),
            ("がき", "かき"),
            ("বই", "বি"),
        ] {
            assert_ne!(texts(one), texts(other), "{one} {other}");
        }
    }

    #[test]
    fn what_is_invisible_within_a_word_does_not_end_it() {
        for c in [
            '\u{ad}', '\u{2060}', '\u{feff}', '\u{200d}', '\u{200c}', '\u{200e}', '\u{34f}',
            '\u{180e}', '\u{fe0f}', '\u{61c}', '\u{3164}',
        ] {
            let found: Vec<Word> = words(&format!("an inter{c}natio{c}nal affair")).collect();
            assert_eq!(found[1].text, "international", "{c:?}");
            assert!(found.len() == 3 && found[1].at.len() == 13 + 2 * c.len_utf8());
        }
        assert_eq!(texts("می\u{200c}خواهم"), texts("میخواهم"));
        assert_eq!(texts("ภาษา\u{200b}ไทย"), texts("ภาษาไทย"));
        assert_eq!(texts("tea\u{200b}pot"), ["tea", "pot"]);
        assert_eq!(texts("\u{200d}\u{ad} \u{3164}"), [""; 0]);
    }

    #[test]
    fn a_giant_word_is_told_by_its_beginning() {
        assert_eq!(texts(&"G".repeat(10_000)), ["g".repeat(LONGEST)]);
    }

    #[test]
    fn marks_on_a_symbol_are_the_same_however_they_are_composed() {
        assert_eq!(texts("🌀\u{1134b}"), texts("🌀\u{11347}\u{1133e}"));
    }

    proptest! {
        #[test]
        fn words_are_the_same_however_characters_are_composed(text in "\\PC{0,40}") {
            let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize(&text).into_owned();
            prop_assert_eq!(texts(&NFC.normalize(&text)), texts(&decomposed));
        }

        #[test]
        fn whatever_is_invisible_makes_no_difference_within_words(
            text in "([a-zß0-9]{1,9}|[а-яё]{1,9}|[一-龥あ-ん]{1,9}|[א-ת]{2,9}|[ก-ฮ]{2,9})( [a-z]{1,9}){0,3}",
            at in any::<prop::sample::Index>(),
            hidden in prop::sample::select(vec!['\u{ad}', '\u{34f}', '\u{200c}', '\u{200d}', '\u{200e}', '\u{2060}', '\u{feff}', '\u{e0100}', '\u{301}', '\u{20dd}']),
        ) {
            let mut chars: Vec<char> = text.chars().collect();
            let at = at.index(chars.len()) + 1;
            if chars[at - 1] != ' ' {
                chars.insert(at, hidden);
            }
            prop_assert_eq!(texts(&chars.into_iter().collect::<String>()), texts(&text));
        }

        #[test]
        fn every_symbol_is_a_word_of_its_own(symbols in prop::collection::vec(prop::sample::select(vec![
            "⭐", "⌚", "⏰", "🇯🇵", "ℹ️", "🀄", "🆗", "⭕", "▶️", "↔️", "1️⃣", "🫠", "🏳️‍🌈", "👨‍👩‍👧‍👦", "☑️", "〽️", "㊗️", "🅰️", "™️",
        ]), 1..6), between in "[a-z ]?") {
            let text = symbols.join(&between);
            let found: Vec<Word> = words(&text).filter(|word| word.script == Script::Symbol).collect();
            prop_assert_eq!(found.len(), symbols.len());
            for (word, symbol) in found.iter().zip(&symbols) {
                prop_assert_eq!(&text[word.at.clone()], *symbol);
                prop_assert_eq!(&texts(symbol), std::slice::from_ref(&word.text));
            }
        }

        #[test]
        fn words_stand_where_they_say_and_fold_to_themselves(text in "\\PC{0,60}") {
            for word in words(&text) {
                prop_assert!(text.get(word.at.clone()).is_some());
                prop_assert!(!word.text.contains(['\'', '\\', ':', '\0']), "{word:?}");
                let again: String = words(&word.text).map(|word| word.text).take(1).collect();
                prop_assert!(word.text.starts_with(&again) && !again.is_empty(), "{word:?} {again}");
            }
        }
    }
}
