//! Finds similar words by keys, which are words with letters removed.
//!
//! Two words that are one mistake apart (a letter too many, too few, another one, or two that have changed places) have
//! a key in common when each loses at most one letter; words that are two mistakes apart, when each loses two. So similar
//! words are found by looking up some keys, not by comparing with all words.

use std::collections::BTreeSet;

use strsim::osa_distance;
use uuid::Uuid;

/// Minimum length of a word to be corrected, in characters: shorter ones have too many similar words.
pub const SHORTEST: usize = 4;
/// Length from which two mistakes are tolerated.
const LONG: usize = 8;
/// Characters that keys are made from; later ones do not affect the keys.
const PREFIX: usize = 7;

/// Returns the number of mistakes that are tolerated in a word.
const fn forgiven(characters: usize) -> usize {
    match characters {
        0..SHORTEST => 0,
        SHORTEST..LONG => 1,
        _ => 2,
    }
}

/// Returns the keys under which a word of a workspace is stored.
pub fn keys_of(workspace_id: Uuid, word: &str) -> Vec<i64> {
    let characters = word.chars().count();
    // A query word may be longer than the word that it stands for, and tolerate more.
    let mistakes = match characters {
        0..3 => 0,
        3..6 => 1,
        _ => 2,
    };
    keys(workspace_id, word, mistakes)
}

/// Returns the keys to look up for a query word.
pub fn keys_for(workspace_id: Uuid, query: &str) -> Vec<i64> {
    keys(workspace_id, query, forgiven(query.chars().count()))
}

/// Returns the number of mistakes between two words, if it is tolerated.
pub fn mistakes(query: &str, word: &str) -> Option<usize> {
    let mistakes = osa_distance(query, word);
    (mistakes <= forgiven(query.chars().count())).then_some(mistakes)
}

fn keys(workspace_id: Uuid, word: &str, mistakes: usize) -> Vec<i64> {
    let begin: String = word.chars().take(PREFIX).collect();
    let mut left = BTreeSet::from([begin]);
    let mut last = left.clone();
    for _ in 0..mistakes {
        last = last.iter().flat_map(|word| without_one(word)).collect();
        left.extend(last.iter().cloned());
    }
    let keys = left.into_iter().map(|left| digest(workspace_id, &left));
    keys.collect()
}

fn without_one(word: &str) -> impl Iterator<Item = String> {
    word.char_indices().map(|(at, c)| {
        let (before, after) = (&word[..at], &word[at + c.len_utf8()..]);
        format!("{before}{after}")
    })
}

/// Hashes with FNV-1a, which is the same in every build.
fn digest(workspace_id: Uuid, text: &str) -> i64 {
    let bytes = workspace_id.as_bytes().iter().chain(text.as_bytes());
    let digest = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| {
        (digest ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    digest.cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(query: &str, word: &str) -> bool {
        let keys = keys_of(Uuid::nil(), word);
        mistakes(query, word).is_some()
            && keys_for(Uuid::nil(), query)
                .iter()
                .any(|key| keys.contains(key))
    }

    #[test]
    fn a_short_word_is_forgiven_one_mistake_and_a_long_one_two() {
        for (query, word, expected) in [
            ("kettel", "kettle", true),
            ("ketle", "kettle", true),
            ("kettlle", "kettle", true),
            ("kattle", "kettle", true),
            ("kattel", "kettle", false),
            ("documantaton", "documentation", true),
            ("dokumantaton", "documentation", false),
            ("tae", "tea", false),
            ("grün", "grun", true),
        ] {
            assert_eq!(found(query, word), expected, "{query} {word}");
        }
    }

    #[test]
    fn words_of_two_workspaces_have_no_keys_in_common() {
        let keys = keys_of(Uuid::max(), "kettle");
        let others = keys_of(Uuid::nil(), "kettle");
        assert!(keys.iter().all(|key| !others.contains(key)));
    }

    #[derive(Debug, Clone)]
    enum Mistake {
        More(usize, char),
        Less(usize),
        Other(usize, char),
        Swapped(usize),
    }

    fn mistake() -> impl Strategy<Value = Mistake> {
        let (at, c) = (0_usize..20, proptest::char::range('a', 'd'));
        prop_oneof![
            (at.clone(), c.clone()).prop_map(|(at, c)| Mistake::More(at, c)),
            at.clone().prop_map(Mistake::Less),
            (at.clone(), c).prop_map(|(at, c)| Mistake::Other(at, c)),
            at.prop_map(Mistake::Swapped),
        ]
    }

    fn mistyped(word: &str, mistake: &Mistake) -> String {
        let mut letters: Vec<char> = word.chars().collect();
        let count = letters.len();
        match mistake {
            Mistake::More(at, c) => letters.insert(at % (count + 1), *c),
            Mistake::Less(at) => {
                letters.remove(at % count);
            }
            Mistake::Other(at, c) => letters[at % count] = *c,
            Mistake::Swapped(at) => letters.swap(at % (count - 1), at % (count - 1) + 1),
        }
        letters.into_iter().collect()
    }

    proptest! {
        #[test]
        fn whatever_is_forgiven_is_found(
            word in "[a-d]{4,14}", mistakes_made in proptest::collection::vec(mistake(), 0..3)
        ) {
            let query = mistakes_made.iter().fold(word.clone(), |word, mistake| mistyped(&word, mistake));
            if mistakes(&query, &word).is_some() {
                prop_assert!(found(&query, &word), "{query} {word}");
            }
        }
    }
}
