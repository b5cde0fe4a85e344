//! The `tsvector`s of a document, within PostgreSQL's bounds for any text.
//!
//! The first has marks besides words. Marks begin with a colon, as no word does, and have no position: the workspace (`:w`),
//! the kind (`:k`), each tag (`:g`), each word of the title (`:t`) and the title as a whole (`:=`). So the index alone
//! answers for workspaces, tags and titles.
//!
//! A `tsvector` keeps 255 positions of a word and distinguishes 16,383 positions. A longer document also has parts: vectors of
//! stretches of its text that keep all positions. Each part overlaps the next, so that one of them has any phrase.
//! If a document has too many different words, `:x` marks that the index lacks some.

use std::collections::HashMap;
use std::fmt::Write as _;

use domain::knowledge::tag;
use serde::Serialize;
use uuid::Uuid;

use super::parsed_query::MOST_WORDS;
use super::words::{Word, words};

/// The last position that PostgreSQL distinguishes.
const POSITIONS: usize = 16_383;
/// Positions of one word that PostgreSQL keeps.
const POSITIONS_OF_ONE: usize = 255;
/// Bytes of the words of a vector. PostgreSQL's bound is 1 MiB, of which the positions take 82 kB at most.
const BYTES: usize = 950_000;
/// Approximate length of a part in characters: a snippet is made from one.
pub const PART: usize = 16_000;
/// Words that two parts have in common: no phrase is longer, including the words that it skips.
const OVERLAP: usize = 2 * MOST_WORDS;
/// The mark of a document of which the index lacks some words.
pub const INCOMPLETE: &str = ":x";

/// The searchable text of a document.
pub struct Text<'a> {
    pub workspace_id: Uuid,
    pub kind: &'a str,
    pub title: &'a str,
    pub tags: Vec<&'a str>,
    pub body: &'a str,
}

/// Columns of a document that are computed from its words.
#[derive(Debug, Serialize)]
pub struct Vectors {
    /// Words of the title, normalized for comparison.
    title_words: String,
    words: String,
    /// Vectors of a long document's parts.
    parts: Option<Vec<String>>,
    /// Characters of the body before each part; None for the title and the tags.
    part_starts: Option<Vec<Option<usize>>>,
    /// True if the index lacks some words.
    incomplete: bool,
}

#[derive(Default)]
struct Vector {
    places: HashMap<String, Vec<(u16, char)>>,
    bytes: usize,
    position: usize,
    /// True if some word, or a position of one, did not fit.
    overflows: bool,
    incomplete: bool,
}

pub fn vectors(text: &Text<'_>) -> Vectors {
    let mut vector = Vector::default();
    vector.mark(workspace(text.workspace_id));
    vector.mark(kind(text.kind));
    vector.mark(whole_title(text.title));
    for tag in &text.tags {
        vector.mark(in_tag(tag));
    }
    for word in words(text.title) {
        vector.mark(in_title(&word.text));
    }
    vector.add(text.title, 'A');
    for tag in &text.tags {
        vector.add(tag, 'B');
    }
    let body: Vec<Word> = words(text.body).collect();
    for word in &body {
        vector.put(&word.text, 'D');
    }
    let incomplete = vector.incomplete;
    if incomplete {
        vector.mark(INCOMPLETE.to_owned());
    }
    let is_long = vector.overflows || text.body.chars().nth(PART).is_some();
    let (parts, starts) = is_long.then(|| parts(text, &body)).unzip();
    Vectors {
        title_words: title_words(text.title),
        words: vector.show(),
        parts,
        part_starts: starts,
        incomplete,
    }
}

/// Returns the vectors of a long text's parts, and where in the body they start: the title and the tags, then stretches of the body.
fn parts(text: &Text<'_>, body: &[Word]) -> (Vec<String>, Vec<Option<usize>>) {
    let mut part = Vector::default();
    part.add(text.title, 'D');
    for tag in &text.tags {
        part.add(tag, 'D');
    }
    let mut parts = vec![std::mem::take(&mut part).show()];
    let (mut starts, mut start) = (vec![None], 0);
    let (mut counted, mut characters) = (0, 0);
    let mut character_starts = Vec::with_capacity(body.len());
    for (n, word) in body.iter().enumerate() {
        characters += text.body[counted..word.at.start].chars().count();
        counted = word.at.start;
        character_starts.push(characters);
        let is_full = characters - start > PART && part.position > OVERLAP;
        if is_full || !part.has_room_for(&word.text) {
            parts.push(std::mem::take(&mut part).show());
            starts.push(Some(start));
            let first = n.saturating_sub(OVERLAP);
            start = character_starts[first];
            for word in &body[first..n] {
                part.put(&word.text, 'D');
            }
        }
        part.put(&word.text, 'D');
    }
    parts.push(part.show());
    starts.push(Some(start));
    (parts, starts)
}

/// Returns the words of a title, for comparing how titles begin.
pub fn title_words(title: &str) -> String {
    let words: Vec<String> = words(title).map(|word| word.text).collect();
    words.join(" ")
}

/// Returns the mark of a workspace.
pub fn workspace(id: Uuid) -> String {
    format!(":w{}", id.simple())
}

/// Returns the mark of a kind.
pub fn kind(kind: &str) -> String {
    format!(":k{kind}")
}

/// Returns the mark of a tag, the same for all its spellings.
pub fn in_tag(tag: &str) -> String {
    let digest = Uuid::new_v5(&Uuid::nil(), tag::key(tag).as_bytes());
    format!(":g{}", digest.simple())
}

/// Returns the mark of a word in a title.
pub fn in_title(word: &str) -> String {
    format!(":t{word}")
}

/// Returns the mark of all titles that have the same words.
pub fn whole_title(title: &str) -> String {
    let digest = Uuid::new_v5(&Uuid::nil(), title_words(title).as_bytes());
    format!(":={}", digest.simple())
}

impl Vector {
    fn mark(&mut self, mark: String) {
        self.bytes += mark.len();
        self.places.entry(mark).or_default();
    }

    /// Adds the words of a text. Phrases do not span two texts.
    fn add(&mut self, text: &str, weight: char) {
        for word in words(text) {
            self.put(&word.text, weight);
        }
        self.position += 1;
    }

    fn has_room_for(&self, word: &str) -> bool {
        let places = self.places.get(word);
        self.position < POSITIONS
            && places.is_none_or(|places| places.len() < POSITIONS_OF_ONE)
            && (places.is_some() || self.bytes + word.len() <= BYTES)
    }

    fn put(&mut self, word: &str, weight: char) {
        let has_room = self.has_room_for(word);
        self.position += 1;
        self.overflows |= !has_room;
        if !self.places.contains_key(word) {
            if self.bytes + word.len() > BYTES {
                self.incomplete = true;
                return;
            }
            self.bytes += word.len();
            self.places.insert(word.to_owned(), vec![]);
        }
        let Some(places) = self.places.get_mut(word) else {
            return;
        };
        // Words without a position match, but not as part of a phrase.
        if let Ok(position) = u16::try_from(self.position)
            && has_room
        {
            places.push((position, weight));
        }
    }

    fn show(self) -> String {
        let mut shown = String::with_capacity(self.bytes * 2);
        for (word, places) in self.places {
            // Words and marks contain neither quotes nor backslashes.
            let _ = write!(shown, "'{word}'");
            for (n, (position, weight)) in places.into_iter().enumerate() {
                let before = if n == 0 { ':' } else { ',' };
                let _ = write!(shown, "{before}{position}{weight}");
            }
            shown.push(' ');
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'a>(title: &'a str, tags: Vec<&'a str>, body: &'a str) -> Text<'a> {
        Text {
            workspace_id: Uuid::nil(),
            kind: "note",
            title,
            tags,
            body,
        }
    }

    fn of(title: &str, tags: Vec<&str>, body: &str) -> Vec<String> {
        let shown = vectors(&text(title, tags, body)).words;
        let mut words: Vec<String> = shown.split_whitespace().map(str::to_owned).collect();
        words.sort();
        words
    }

    #[test]
    fn words_say_where_they_stand_and_marks_do_not() {
        let words = of("Green tea", vec!["hot"], "Tea.");
        assert_eq!(
            words,
            [
                format!("'{}'", whole_title("green TEA")),
                format!("'{}'", in_tag("HOT")),
                "':knote'".into(),
                "':tgreen'".into(),
                "':ttea'".into(),
                "':w00000000000000000000000000000000'".into(),
                "'green':1A".into(),
                "'hot':4B".into(),
                "'tea':2A,6D".into(),
            ]
        );
    }

    #[test]
    fn a_document_has_parts_only_if_it_is_long() {
        let short = vectors(&text("Tea", vec![], &"hot tea. ".repeat(250)));
        assert!(short.parts.is_none() && short.part_starts.is_none() && !short.incomplete);
        for body in [
            "tea ".repeat(300),
            "a".repeat(PART + 1),
            "ab ".repeat(17_000),
        ] {
            assert!(vectors(&text("", vec![], &body)).parts.is_some());
        }
    }

    /// Returns the words of a vector in order of position.
    fn in_order(vector: &str) -> Vec<String> {
        let mut placed = vec![];
        for entry in vector.split_whitespace() {
            let (word, places) = entry.rsplit_once("':").unwrap();
            for place in places.split(',') {
                let position: usize = place.trim_end_matches('D').parse().unwrap();
                placed.push((position, word.trim_start_matches('\'').to_owned()));
            }
        }
        placed.sort();
        assert!(placed.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0));
        placed.into_iter().map(|(_, word)| word).collect()
    }

    #[test]
    fn the_parts_of_a_document_have_every_phrase_within_the_bounds_of_postgresql() {
        let many: Vec<String> = (0..40_000).map(|n| format!("w{n}")).collect();
        let long = "x".repeat(70) + " ";
        for body in [
            "the tea ".repeat(2_000),
            many.join(" "),
            "東京都の".repeat(9_000),
            long.repeat(2_000),
            format!("{}{}", "- ".repeat(40_000), many[..500].join(" ")),
        ] {
            let all: Vec<String> = words(&body).map(|word| word.text).collect();
            let vectors = vectors(&text("", vec![], &body));
            let (parts, starts) = (vectors.parts.unwrap(), vectors.part_starts.unwrap());
            assert_eq!(parts.len(), starts.len());
            let mut done = 0;
            for (part, start) in parts.iter().zip(starts).skip(1) {
                let start = start.unwrap();
                if done > 0 {
                    let (skipped, _) = body.char_indices().nth(start).unwrap();
                    let before = words(&body[..skipped]).count();
                    // A run of characters that is cut has one more at its end.
                    assert!((done - OVERLAP..=done).contains(&before));
                }
                let part = in_order(part.trim_start_matches(' '));
                assert!(part.len() < POSITIONS);
                let from = if done == 0 { 0 } else { done - OVERLAP };
                assert_eq!(part, all[from..from + part.len()]);
                let mut times: HashMap<&str, usize> = HashMap::new();
                part.iter()
                    .for_each(|word| *times.entry(word).or_default() += 1);
                assert!(times.values().all(|times| *times <= POSITIONS_OF_ONE));
                done = from + part.len();
            }
            assert_eq!(done, all.len());
        }
    }

    #[test]
    fn whatever_the_text_the_vector_keeps_within_its_bounds() {
        let words: Vec<String> = (0..200_000).map(|n| format!("w{n}")).collect();
        let body = words.join(" ");
        let vectors = vectors(&text("", vec![], &body));
        assert!(vectors.incomplete && vectors.words.contains("':x'"));
        let words = vectors.words.split_whitespace();
        let bytes: usize = words
            .map(|word| word.split("':").next().unwrap_or_default())
            .map(|word| word.trim_matches('\'').len())
            .sum();
        assert!((BYTES - 100..BYTES + 100).contains(&bytes), "{bytes}");
        let often = of("", vec![], &"tea ".repeat(1 << 18));
        let tea = often.last().map(|tea| tea.split(',').count());
        assert_eq!(tea, Some(POSITIONS_OF_ONE));
    }
}
