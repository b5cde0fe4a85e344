//! Comparison of text that people write: titles, links, tags, labels and names match regardless of case and Unicode
//! composition.

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

/// Returns a form that is equal for all texts that differ only in case or in Unicode composition (canonical caseless
/// matching, The Unicode Standard, D145). It is for comparison, never for display.
#[must_use]
pub fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize(text);
    let folded = CaseMapper::new().fold_string(&decomposed);
    composed(&folded)
}

/// Returns the text in Normalization Form C: text that looks the same has the same characters.
#[must_use]
pub fn composed(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc()
        .normalize(text)
        .into_owned()
}

/// Returns the text with one blank for every run of white space, and none at either end.
#[must_use]
pub fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_that_differ_in_case_or_composition_are_the_same() {
        for (one, other) in [
            ("Tea", "TEA"),
            ("Café Zürich", "CAFE\u{301} ZU\u{308}RICH"),
            ("한국어", "\u{1112}\u{1161}\u{11ab}국어"),
            ("Tiếng Việt", "Tie\u{302}\u{301}ng Vie\u{323}\u{302}t"),
            ("Straße", "STRASSE"),
            ("ΟΔΟΣ", "οδος"),
            ("\u{212b}ngström", "ångström"),
            ("ﬁne", "FINE"),
            ("ᾳ", "ΑΙ"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
    }

    #[test]
    fn texts_that_say_different_things_differ() {
        for (one, other) in [("Tea", "Tee"), ("cafe", "café"), ("H²", "H2"), ("が", "か")] {
            assert_ne!(folded(one), folded(other), "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn a_folded_text_folds_to_itself_however_it_was_composed(text in any::<String>()) {
            let once = folded(&text);
            prop_assert_eq!(&folded(&once), &once);
            prop_assert_eq!(&folded(&composed(&text)), &once);
            let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize(&text);
            prop_assert_eq!(&folded(&decomposed), &once);
        }
    }
}
