//! The `tsvector` of a document, within PostgreSQL's bounds whatever the text.
//!
//! Beside its words it has marks, which begin with a colon as no word does, and have no position: the workspace (`:w`), the
//! kind (`:k`), each word of the title (`:t`) and the title as a whole (`:=`). So the index alone tells what is in a
//! workspace, and what is found in a title.

use std::collections::HashMap;
use std::fmt::Write as _;

use uuid::Uuid;

use super::words::words;

/// The last position that PostgreSQL tells from others.
const POSITIONS: usize = 16_383;
/// Positions of one word that PostgreSQL keeps.
const POSITIONS_OF_ONE: usize = 255;
/// Bytes that a vector may take: PostgreSQL's own bound is 1 MiB.
const BYTES: usize = 768 << 10;
/// What a word takes beside its own bytes, and what each position does.
const WORD_BYTES: usize = 8;
const POSITION_BYTES: usize = 2;

/// What a document is found by.
pub struct Text<'a> {
    pub workspace_id: Uuid,
    pub kind: &'a str,
    pub title: &'a str,
    pub tags: Vec<&'a str>,
    pub body: &'a str,
}

#[derive(Default)]
struct Vector {
    places: HashMap<String, Vec<(u16, char)>>,
    bytes: usize,
    position: usize,
}

/// As PostgreSQL reads it.
pub fn vector(text: &Text<'_>) -> String {
    let mut vector = Vector::default();
    vector.mark(workspace(text.workspace_id));
    vector.mark(kind(text.kind));
    vector.mark(whole_title(text.title));
    for word in words(text.title) {
        vector.mark(in_title(&word.text));
    }
    vector.add(text.title, 'A');
    for tag in &text.tags {
        vector.add(tag, 'B');
    }
    vector.add(text.body, 'D');
    vector.show()
}

/// The mark of what is in a workspace.
pub fn workspace(id: Uuid) -> String {
    format!(":w{}", id.simple())
}

/// The mark of a kind.
pub fn kind(kind: &str) -> String {
    format!(":k{kind}")
}

/// The mark of a word in a title.
pub fn in_title(word: &str) -> String {
    format!(":t{word}")
}

/// The mark of all titles that have the same words.
pub fn whole_title(title: &str) -> String {
    let words: Vec<String> = words(title).map(|word| word.text).collect();
    let digest = Uuid::new_v5(&Uuid::nil(), words.join(" ").as_bytes());
    format!(":={}", digest.simple())
}

impl Vector {
    fn mark(&mut self, mark: String) {
        self.bytes += mark.len() + WORD_BYTES;
        self.places.entry(mark).or_default();
    }

    /// Adds the words of a text; a phrase does not go on from the one before.
    fn add(&mut self, text: &str, weight: char) {
        for word in words(text) {
            self.position += 1;
            let new = !self.places.contains_key(&word.text);
            let bytes = if new { word.text.len() + WORD_BYTES } else { 0 } + POSITION_BYTES;
            if self.bytes + bytes > BYTES {
                continue;
            }
            self.bytes += bytes;
            let places = self.places.entry(word.text).or_default();
            // Words without a position are found, but not as part of a phrase.
            if let Ok(position) = u16::try_from(self.position)
                && self.position <= POSITIONS
                && places.len() < POSITIONS_OF_ONE
            {
                places.push((position, weight));
            }
        }
        self.position += 1;
    }

    fn show(self) -> String {
        let mut shown = String::with_capacity(self.bytes * 2);
        for (word, places) in self.places {
            // There are neither quotes nor backslashes in words and marks.
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

    fn of(title: &str, tags: Vec<&str>, body: &str) -> Vec<String> {
        let shown = vector(&Text {
            workspace_id: Uuid::nil(),
            kind: "note",
            title,
            tags,
            body,
        });
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
    fn whatever_the_text_the_vector_keeps_within_its_bounds() {
        let words: Vec<String> = (0..200_000).map(|n| format!("w{n}")).collect();
        let bytes: usize = of("", vec![], &words.join(" "))
            .iter()
            .map(|word| word.split(':').next().unwrap_or_default().len() + POSITION_BYTES)
            .sum();
        assert!((BYTES / 2..1 << 20).contains(&bytes), "{bytes}");
        let often = of("", vec![], &"tea ".repeat(1 << 18));
        let tea = often.last().map(|tea| tea.split(',').count());
        assert_eq!(tea, Some(POSITIONS_OF_ONE));
    }
}
