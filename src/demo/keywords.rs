//! Explainable keywords: words that are frequent in a note and rare in others.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use super::markdown::Outline;

/// English words without a topic. [`Corpus::is_common`] finds those of other languages.
static STOP_WORDS: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("stop_words.txt").split_whitespace().collect());

/// Number of notes below which a word's frequency says little.
const FEW: usize = 5;

/// Returns the words of a text in lower case, in order, without URLs.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    text.split_whitespace()
        .filter(|token| !token.contains("://"))
        .flat_map(|token| token.split(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

/// Returns true if a word has no topic, such as any of two letters or fewer.
pub fn is_stop_word(word: &str) -> bool {
    (word.is_ascii() && word.len() < 3) || STOP_WORDS.contains(word)
}

/// Returns true if a word can be a topic.
fn is_term(word: &str) -> bool {
    (3..=30).contains(&word.chars().count())
        && word.chars().all(char::is_alphabetic)
        && !is_stop_word(word)
}

/// A keyword of a note, with its counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyword {
    pub word: String,
    /// Number of times that the note uses it.
    pub here: usize,
    /// Number of notes that use it.
    pub notes: usize,
}

/// The number of notes in which each word occurs.
pub struct Corpus {
    pub notes: usize,
    frequency: HashMap<String, usize>,
}

impl Corpus {
    pub fn of<'a>(outlines: impl IntoIterator<Item = &'a Outline>) -> Self {
        let mut corpus = Self {
            notes: 0,
            frequency: HashMap::new(),
        };
        for outline in outlines {
            corpus.notes += 1;
            let terms: BTreeSet<String> = terms(outline).collect();
            for term in terms {
                *corpus.frequency.entry(term).or_default() += 1;
            }
        }
        corpus
    }

    /// Returns the best keywords of a note: term frequency × inverse document frequency.
    pub fn keywords(&self, outline: &Outline, most: usize) -> Vec<Keyword> {
        let mut here: BTreeMap<String, usize> = BTreeMap::new();
        for term in terms(outline) {
            *here.entry(term).or_default() += 1;
        }
        let mut found: Vec<(f64, Keyword)> = here
            .into_iter()
            // A word that is used once may be accidental.
            .filter(|(_, here)| *here > 1)
            .map(|(word, here)| Keyword {
                notes: self.frequency.get(&word).copied().unwrap_or_default(),
                word,
                here,
            })
            .filter(|keyword| !self.is_common(keyword) && !self.is_lonely(keyword))
            .map(|keyword| (self.score(&keyword), keyword))
            .collect();
        // The sort is stable: equally good words stay in alphabetical order.
        found.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        found.truncate(most);
        found.into_iter().map(|(_, keyword)| keyword).collect()
    }

    /// Returns true if so many notes have the word that it distinguishes none.
    const fn is_common(&self, keyword: &Keyword) -> bool {
        self.notes >= FEW && keyword.notes * 2 > self.notes
    }

    /// Returns true if no other note has the word, so that it would group nothing as a tag.
    const fn is_lonely(&self, keyword: &Keyword) -> bool {
        self.notes >= FEW && keyword.notes < 2
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of words are small")]
    fn score(&self, keyword: &Keyword) -> f64 {
        keyword.here as f64 * (1.0 + self.notes as f64 / keyword.notes.max(1) as f64).ln()
    }
}

/// Returns the terms of a note; headings weigh as much as text.
fn terms(outline: &Outline) -> impl Iterator<Item = String> {
    outline
        .headings
        .iter()
        .chain(&outline.prose)
        .flat_map(|text| words(text))
        .filter(|word| is_term(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keywords(texts: &[&str], of: usize) -> Vec<(String, usize, usize)> {
        let outlines: Vec<Outline> = texts.iter().map(|text| Outline::of(text)).collect();
        Corpus::of(&outlines)
            .keywords(&outlines[of], 3)
            .into_iter()
            .map(|keyword| (keyword.word, keyword.here, keyword.notes))
            .collect()
    }

    #[test]
    fn a_word_that_is_frequent_here_and_rare_elsewhere_comes_first() {
        let texts = [
            "Kettle, kettle, kettle: the water in the kettle is hot water. See the pot, the Pot.",
            "Water for the kettle.",
            "Water for the pot.",
            "Water for nobody.",
            "A garden.",
            "A bridge.",
            "A river. Water!",
        ];
        // "water" is in five of seven notes, so it distinguishes none of them.
        assert_eq!(
            keywords(&texts, 0),
            [("kettle".into(), 4, 2), ("pot".into(), 2, 2)]
        );
    }

    #[test]
    fn words_that_are_about_nothing_are_never_found() {
        assert_eq!(
            keywords(
                &["The the the with with which which it it 42 42 http://tea http://tea"],
                0
            ),
            []
        );
    }

    #[test]
    fn code_and_earlier_links_do_not_count() {
        let text = "```\nkettle kettle\n```\n\n## See also\n\n- [[kettle kettle]]\n";
        assert_eq!(keywords(&[text], 0), []);
    }

    #[test]
    fn a_word_that_only_one_of_many_notes_has_is_no_tag() {
        let texts = ["Kettle kettle.", "one", "two", "three", "four"];
        assert_eq!(keywords(&texts, 0), []);
        assert_eq!(keywords(&texts[..2], 0), [("kettle".into(), 2, 1)]);
    }

    #[test]
    fn words_have_neither_case_nor_marks() {
        let found: Vec<String> = words("Don’t (PANIC): über-all, https://example.com!").collect();
        assert_eq!(found, ["don", "t", "panic", "über", "all"]);
    }
}
