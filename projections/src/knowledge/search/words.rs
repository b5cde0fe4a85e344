//! Words of a text: the same for what is found and for what is asked, in whatever language.
//!
//! A word is a run of letters and digits, without case and diacritics. Scripts that put no blanks between words become
//! pairs of characters. PostgreSQL's own parser is not used: what it takes for a letter depends on the database's locale.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Characters of a word; what follows them makes no difference.
pub const LONGEST: usize = 64;

/// A word, and where in its text it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Bytes.
    pub at: Range<usize>,
    /// As it is compared with others.
    pub text: String,
    pub script: Script,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// Words between blanks.
    Spaced,
    /// Two characters of a script without blanks.
    Pair,
    /// The last character of a run of such, which is in the pair before it, too.
    Last,
    /// A run of one.
    Lone,
    /// A picture, such as an emoji.
    Symbol,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Unspaced,
    Symbol,
    Other,
}

/// The words of a text, in their order.
pub fn words(text: &str) -> impl Iterator<Item = Word> {
    runs(text).flat_map(move |(class, at)| match class {
        Class::Letter => one(text, at, Script::Spaced).into_iter().collect(),
        Class::Unspaced => pairs(text, &at),
        Class::Symbol => one(text, at, Script::Symbol).into_iter().collect(),
        Class::Other => vec![],
    })
}

/// Runs of characters of the same class.
fn runs(text: &str) -> impl Iterator<Item = (Class, Range<usize>)> {
    let mut chars = text.char_indices().peekable();
    std::iter::from_fn(move || {
        let (start, first) = chars.next()?;
        let class = class(first);
        let mut end = start + first.len_utf8();
        while let Some((_, next)) = chars.next_if(|(_, next)| continues(class, *next)) {
            end += next.len_utf8();
        }
        Some((class, start..end))
    })
}

fn continues(run: Class, next: char) -> bool {
    match run {
        Class::Letter => class(next) == Class::Letter || is_combining_mark(next),
        Class::Unspaced => class(next) == Class::Unspaced || is_combining_mark(next),
        Class::Symbol => false,
        Class::Other => class(next) == Class::Other,
    }
}

const fn in_unspaced_script(c: char) -> bool {
    matches!(c,
        // Thai, Lao, Myanmar, Khmer.
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        // Kana, Bopomofo, ideographs; half as wide; the planes beyond.
        | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{312f}' | '\u{31a0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}')
}

fn class(c: char) -> Class {
    if c.is_ascii() {
        return if c.is_ascii_alphanumeric() {
            Class::Letter
        } else {
            Class::Other
        };
    }
    if c.is_alphanumeric() && !is_combining_mark(c) {
        if in_unspaced_script(c) {
            Class::Unspaced
        } else {
            Class::Letter
        }
    } else if matches!(c, '\u{2600}'..='\u{27bf}' | '\u{1f300}'..='\u{1faff}') {
        Class::Symbol
    } else {
        Class::Other
    }
}

fn one(text: &str, at: Range<usize>, script: Script) -> Option<Word> {
    let folded = match script {
        Script::Symbol => text[at.clone()].to_owned(),
        Script::Spaced | Script::Pair | Script::Last | Script::Lone => fold(&text[at.clone()]),
    };
    (!folded.is_empty()).then_some(Word {
        at,
        text: folded,
        script,
    })
}

/// Whether a character is a part of the one before it; half as wide, voice marks are, too.
fn joins(c: char) -> bool {
    is_combining_mark(c) || matches!(c, '\u{ff9e}' | '\u{ff9f}')
}

/// Each character with the one that follows it, and the last one alone.
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

/// Without case, diacritics and what else makes no difference. Only letters, digits and the marks on them are left.
fn fold(word: &str) -> String {
    if word.is_ascii() {
        return word
            .chars()
            .take(LONGEST)
            .map(|c| c.to_ascii_lowercase())
            .collect();
    }
    let lower = word.nfkd().flat_map(char::to_lowercase);
    let bare = lower.filter(|c| !matches!(c, '\u{300}'..='\u{36f}'));
    let kept = bare.filter(|c| c.is_alphanumeric() || is_combining_mark(*c));
    let mut folded = String::new();
    for c in kept
        .skip_while(|c| is_combining_mark(*c))
        .nfc()
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
            'ς' => folded.push('σ'),
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
            // Marks with nothing to stand on.
            ("\u{1e026}\u{a4d} \u{e38}\u{a4d} \u{fc5e}", &[]),
        ] {
            let expected: Vec<String> = expected.iter().map(|word| word.nfc().collect()).collect();
            assert_eq!(texts(text), expected, "{text}");
        }
    }

    #[test]
    fn a_giant_word_is_told_by_its_beginning() {
        assert_eq!(texts(&"G".repeat(10_000)), ["g".repeat(LONGEST)]);
    }

    proptest! {
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
