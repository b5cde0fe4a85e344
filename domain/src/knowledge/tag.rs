//! Tags of notes and labels of tasks: short words that match regardless of spelling.

use std::collections::{BTreeMap, BTreeSet};

use icu_normalizer::DecomposingNormalizerBorrowed;

use crate::{composed, folded, spaced};

/// The maximum number of spellings in which a tag is searched.
const MAX_SPELLINGS: usize = 16;

/// Returns the form in which a tag is stored: lower case, composed, without needless blanks. `ß` stays; all other
/// characters that case folding treats as equal are stored alike.
#[must_use]
pub fn kept(tag: &str) -> String {
    let tag = spaced(tag);
    if tag.is_ascii() {
        return tag.to_ascii_lowercase();
    }
    let parts: Vec<String> = tag.split(['ß', 'ẞ']).map(folded).collect();
    lower(&parts.join("ß"))
}

/// Returns the text in lower case with a final sigma where needed; folding does not distinguish the two sigmas.
fn lower(folded: &str) -> String {
    composed(&folded.replace('σ', "Σ").to_lowercase())
}

/// Returns a form that is equal for all spellings of a tag.
#[must_use]
pub fn key(tag: &str) -> String {
    folded(&spaced(tag))
}

/// Returns the forms in which a tag may be stored, to find it: `strasse` and `straße`.
#[must_use]
pub fn spellings(tag: &str) -> Vec<String> {
    let nfd = DecomposingNormalizerBorrowed::new_nfd();
    let key: Vec<char> = nfd.normalize_iter(key(tag).chars()).collect();
    // The forms of the rest of the text from each character on, the last first.
    let (mut rest, mut after) = (vec![String::new()], vec![]);
    for at in (0..key.len()).rev() {
        let mut forms: Vec<String> = rest
            .iter()
            .map(|rest| format!("{}{rest}", key[at]))
            .collect();
        if key[at..].starts_with(&['s', 's']) {
            forms.extend(after.iter().map(|after| format!("ß{after}")));
        }
        forms.truncate(MAX_SPELLINGS);
        (rest, after) = (forms, rest);
    }
    rest.iter().map(|spelling| lower(spelling)).collect()
}

/// Returns tags in their stored form, without duplicates.
pub(crate) fn normalized(tags: &BTreeSet<String>) -> BTreeSet<String> {
    as_in(&BTreeSet::new(), tags)
}

/// Returns tags in their stored form, without duplicates; tags that are among `others` are spelled as there.
pub(crate) fn as_in(others: &BTreeSet<String>, tags: &BTreeSet<String>) -> BTreeSet<String> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for other in others {
        known.entry(key(other)).or_insert_with(|| other.clone());
    }
    let tags = tags.iter().map(|tag| {
        let spelling = known.entry(key(tag)).or_insert_with(|| kept(tag));
        spelling.clone()
    });
    tags.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(tags: &[&str]) -> BTreeSet<String> {
        tags.iter().map(|tag| (*tag).to_owned()).collect()
    }

    #[test]
    fn a_tag_is_kept_readable_in_lower_case() {
        for (tag, expected) in [
            (" Green  Tea ", "green tea"),
            ("Cafe\u{301}", "café"),
            ("STRAẞE", "straße"),
            ("STRASSE", "strasse"),
            ("ΟΔΟΣ", "οδος"),
            ("οδοσ", "οδος"),
            ("ﬁne", "fine"),
        ] {
            assert_eq!(kept(tag), expected, "{tag}");
        }
    }

    #[test]
    fn tags_of_one_key_are_one_tag_in_the_spelling_that_was_there() {
        assert_eq!(
            normalized(&set(&["Café", "cafe\u{301}", "CAFÉ"])),
            set(&["café"])
        );
        let there = set(&["straße", "tea"]);
        let given = set(&["STRASSE", "Tea", "new"]);
        assert_eq!(as_in(&there, &given), set(&["straße", "tea", "new"]));
    }

    #[test]
    fn a_tag_is_looked_for_in_all_forms_in_which_it_may_be_kept() {
        assert_eq!(spellings(" TEA "), ["tea"]);
        assert_eq!(spellings("STRASSE"), ["strasse", "straße"]);
        assert_eq!(spellings("ΟΔΟΣ"), ["οδος"]);
        assert_eq!(spellings(&"ss".repeat(30)).len(), MAX_SPELLINGS);
    }

    proptest! {
        #[test]
        fn whatever_the_spelling_a_tag_is_found_as_it_is_kept(tag in "[a-csSßẞσςΣéÉ ﬁ\u{301}]{0,12}") {
            let kept = kept(&tag);
            prop_assert_eq!(&super::kept(&kept), &kept);
            prop_assert_eq!(key(&kept), key(&tag));
            for other in [tag.to_uppercase(), tag.to_lowercase(), tag.clone(), kept.clone()] {
                prop_assume!(spellings(&tag).len() < MAX_SPELLINGS);
                prop_assert!(spellings(&other).contains(&kept), "{:?} {:?} {:?}", other, spellings(&other), kept);
            }
        }
    }
}
