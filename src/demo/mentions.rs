//! Mentions: finds notes that contain other notes' titles, word for word.

use std::collections::{BTreeSet, HashMap};

use super::keywords::{is_stop_word, words};
use super::markdown::Outline;

/// Maximum number of links per note; nobody would read more.
const MOST: usize = 5;
/// Number of mentions above which a title is an everyday word, if more than a fifth of all notes mention it, too.
const OFTEN: usize = 3;

/// Returns the titles that each note, given as title and text, should link to.
pub fn links<'a>(notes: &[(&'a str, &Outline)]) -> Vec<Vec<&'a str>> {
    let titles = Titles::of(notes.iter().map(|(title, _)| *title));
    let mentioned: Vec<BTreeSet<&str>> = notes
        .iter()
        .map(|(title, outline)| titles.mentioned(outline, title))
        .collect();
    let mut times: HashMap<&str, usize> = HashMap::new();
    for title in mentioned.iter().flatten() {
        *times.entry(title).or_default() += 1;
    }
    let often = OFTEN.max(notes.len() / 5);
    mentioned
        .into_iter()
        .map(|titles| {
            let mut titles: Vec<&str> = titles
                .into_iter()
                .filter(|title| times[title] <= often)
                .collect();
            // A title that fewer notes mention is more significant.
            titles.sort_by_key(|title| times[title]);
            titles.truncate(MOST);
            titles
        })
        .collect()
}

/// Titles by their first word, so that one pass over a text suffices for any number of titles.
struct Titles<'a> {
    by_first_word: HashMap<String, Vec<Title<'a>>>,
}

struct Title<'a> {
    text: &'a str,
    /// Words after the first, in lower case.
    rest: Vec<String>,
}

impl<'a> Titles<'a> {
    fn of(titles: impl IntoIterator<Item = &'a str>) -> Self {
        let mut notes_by_words: HashMap<Vec<String>, Vec<&str>> = HashMap::new();
        for text in titles {
            notes_by_words
                .entry(words(text).collect())
                .or_default()
                .push(text);
        }
        let mut by_first_word: HashMap<String, Vec<Title<'_>>> = HashMap::new();
        for (words, notes) in notes_by_words {
            // A link must have exactly one target.
            if let [text] = notes[..]
                && can_be_linked(text, &words)
                && let [first, rest @ ..] = &words[..]
            {
                by_first_word.entry(first.clone()).or_default().push(Title {
                    text,
                    rest: rest.to_vec(),
                });
            }
        }
        Self { by_first_word }
    }

    /// Returns the titles that a text mentions, except its own and those that it already links to.
    fn mentioned(&self, outline: &Outline, own: &str) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        for block in &outline.prose {
            let words: Vec<String> = words(block).collect();
            for (at, word) in words.iter().enumerate() {
                let candidates = self.by_first_word.get(word).into_iter().flatten();
                found.extend(
                    candidates
                        .filter(|title| words[at + 1..].starts_with(&title.rest))
                        .map(|title| title.text),
                );
            }
        }
        found.retain(|title| *title != own && !outline.links.contains(&title.to_lowercase()));
        found
    }
}

/// Returns true if a title fits into `[[…]]` and is more than an everyday word.
fn can_be_linked(text: &str, words: &[String]) -> bool {
    let distinct = match words {
        [] => false,
        [word] => word.chars().count() > 3 && !is_stop_word(word),
        [_, ..] => !words.iter().all(|word| is_stop_word(word)),
    };
    distinct && !text.contains(['[', ']', '|', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mentioned<'a>(titles: &[&'a str], text: &str, own: &str) -> Vec<&'a str> {
        Titles::of(titles.iter().copied())
            .mentioned(&Outline::of(text), own)
            .into_iter()
            .collect()
    }

    #[test]
    fn a_title_is_found_word_for_word_whatever_its_case() {
        let titles = ["Green tea", "Water", "Tea pots"];
        let text = "A cup of green\nTEA needs hot `water`, not a tea-pot.";
        assert_eq!(mentioned(&titles, text, ""), ["Green tea", "Water"]);
    }

    #[test]
    fn part_of_a_word_or_of_a_title_is_no_mention() {
        let titles = ["Green tea", "Water"];
        let text = "Underwater gardens are green.\n\nTea is not.\n\n```\nwater\n```\n";
        assert_eq!(mentioned(&titles, text, ""), Vec::<&str>::new());
    }

    #[test]
    fn a_note_links_neither_to_itself_nor_twice() {
        let titles = ["Green tea", "Water"];
        let text = "Green tea and water.\n\n## See also\n\n- [[Water]]\n";
        assert_eq!(mentioned(&titles, text, ""), ["Green tea"]);
        assert_eq!(mentioned(&titles, text, "Green tea"), Vec::<&str>::new());
    }

    #[test]
    fn a_title_that_leads_nowhere_certain_is_not_linked() {
        let titles = [
            "Overview",
            "overview",
            "Then",
            "What it does",
            "A [link]",
            "",
            "Tea log",
        ];
        let text = "The overview then says what it does: a link in the tea log.";
        assert_eq!(mentioned(&titles, text, ""), ["Tea log"]);
    }

    #[test]
    fn a_title_that_every_other_note_mentions_is_not_linked() {
        let outline = |text: &str| Outline::of(text);
        let (all, one) = (outline("Water for tea pots."), outline("Water."));
        let mut notes = vec![("Water", &one), ("Tea pots", &one), ("", &all)];
        let found = links(&notes);
        assert_eq!(found, [vec![], vec!["Water"], vec!["Tea pots", "Water"]]);
        notes.extend([("", &one), ("", &one)]);
        assert_eq!(links(&notes)[2], ["Tea pots"]);
    }
}
