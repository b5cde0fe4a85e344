//! The agent's ideas for a note, with reasons. Nothing is guessed: every part can be explained by counting.

use std::collections::BTreeSet;

use domain::folded;
use domain::knowledge::note::{MAX_BODY, MAX_TITLE};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::keywords::{Corpus, Keyword};
use super::markdown::{Outline, SEE_ALSO, shorten};
use super::mentions;

const MAX_TAGS: usize = 64;
const MAX_KEYWORDS: usize = 3;

/// Confidence in each kind of change; a proposal has that of its weakest part.
mod sure {
    pub const LANGUAGE: f64 = 0.95;
    pub const HEADING: f64 = 0.9;
    pub const LINK: f64 = 0.8;
    pub const KEYWORD: f64 = 0.7;
}

/// A note, as returned by the API.
#[derive(Debug, Clone, Deserialize)]
pub struct Note {
    pub id: Uuid,
    pub title: String,
    pub body: String,
    pub tags: BTreeSet<String>,
    pub version: i64,
}

/// An improvement of a note.
pub struct Idea<'a> {
    pub note: &'a Note,
    notes: usize,
    /// The note's heading, if it says more than the title.
    title: Option<String>,
    languages: Vec<String>,
    keywords: Vec<Keyword>,
    links: Vec<&'a str>,
    /// The body with added links.
    body: Option<String>,
}

/// Returns an idea for every note that can be improved.
pub fn ideas(notes: &[Note]) -> Vec<Idea<'_>> {
    let outlines: Vec<Outline> = notes.iter().map(|note| Outline::of(&note.body)).collect();
    let corpus = Corpus::of(&outlines);
    let titled: Vec<(&str, &Outline)> = notes
        .iter()
        .map(|note| note.title.as_str())
        .zip(&outlines)
        .collect();
    let links = mentions::links(&titled);
    notes
        .iter()
        .zip(&outlines)
        .zip(links)
        .map(|((note, outline), links)| Idea::about(note, outline, &corpus, links))
        .filter(|idea| !idea.actions().is_empty())
        .collect()
}

impl<'a> Idea<'a> {
    fn about(note: &'a Note, outline: &Outline, corpus: &Corpus, links: Vec<&'a str>) -> Self {
        let free = MAX_TAGS.saturating_sub(note.tags.len());
        let is_new = |tag: &str| !note.tags.contains(tag);
        let languages: Vec<String> = outline
            .languages
            .iter()
            .filter(|language| is_new(language))
            .take(free)
            .cloned()
            .collect();
        let keywords = corpus
            .keywords(outline, MAX_KEYWORDS)
            .into_iter()
            .filter(|keyword| is_new(&keyword.word) && !languages.contains(&keyword.word))
            .take(free - languages.len())
            .collect();
        let body = with_links(&note.body, &links, outline.ends_with_see_also);
        Self {
            note,
            notes: corpus.notes,
            title: title(note, outline),
            languages,
            keywords,
            links: if body.is_some() { links } else { vec![] },
            body,
        }
    }

    /// Returns the actions of the proposal. The new text is valid only for the version that was read.
    pub fn actions(&self) -> Vec<Value> {
        let mut actions = Vec::new();
        if self.title.is_some() || self.body.is_some() {
            let mut revise = json!({
                "type": "note.revise",
                "note_id": self.note.id,
                "base_version": self.note.version,
            });
            if let Some(title) = &self.title {
                revise["title"] = json!(title);
            }
            if let Some(body) = &self.body {
                revise["body"] = json!(body);
            }
            actions.push(revise);
        }
        let keywords = self.keywords.iter().map(|keyword| &keyword.word);
        let tags: Vec<&String> = self.languages.iter().chain(keywords).collect();
        if !tags.is_empty() {
            actions.push(json!({"type": "note.tag", "note_id": self.note.id, "add": tags}));
        }
        actions
    }

    /// Returns the reasons that a person needs to decide.
    pub fn rationale(&self) -> String {
        let title = (self.title.as_ref())
            .map(|title| format!("Its title is “{}”, its heading “{title}”.", self.note.title));
        let languages = self
            .languages
            .iter()
            .map(|language| format!("It has code in {language}."));
        let keywords = self.keywords.iter().map(|keyword| {
            format!(
                "It says “{}” {} times; {} of {} notes say it.",
                keyword.word, keyword.here, keyword.notes, self.notes
            )
        });
        let links = self
            .links
            .iter()
            .map(|title| format!("It mentions the note “{title}”."));
        let parts: Vec<String> = title
            .into_iter()
            .chain(languages)
            .chain(keywords)
            .chain(links)
            .collect();
        parts.join(" ")
    }

    pub fn confidence(&self) -> f64 {
        let parts = [
            (self.title.is_some(), sure::HEADING),
            (!self.languages.is_empty(), sure::LANGUAGE),
            (!self.keywords.is_empty(), sure::KEYWORD),
            (!self.links.is_empty(), sure::LINK),
        ];
        parts
            .into_iter()
            .filter_map(|(is_there, sure)| is_there.then_some(sure))
            .fold(1.0, f64::min)
    }
}

fn title(note: &Note, outline: &Outline) -> Option<String> {
    let heading = shorten(outline.title.as_ref()?, MAX_TITLE);
    (folded(&heading) != folded(&note.title)).then_some(heading)
}

/// Returns the text with links added at its end; `None` if there are none to add or no room for them.
fn with_links(body: &str, links: &[&str], ends_with_see_also: bool) -> Option<String> {
    if links.is_empty() {
        return None;
    }
    let mut text = body.trim_end().to_owned();
    text.push('\n');
    if !ends_with_see_also {
        text.push_str(&format!("\n## {SEE_ALSO}\n\n"));
    }
    for link in links {
        text.push_str(&format!("- [[{link}]]\n"));
    }
    // An unclosed code block would swallow the links.
    let arrived = Outline::of(&text).links;
    let intact = links
        .iter()
        .all(|link| arrived.contains(&link.to_lowercase()));
    (intact && text.len() <= MAX_BODY).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(number: u128, title: &str, body: &str) -> Note {
        Note {
            id: Uuid::from_u128(number),
            title: title.into(),
            body: body.into(),
            tags: BTreeSet::new(),
            version: 3,
        }
    }

    #[test]
    fn a_note_gets_a_title_tags_and_links_in_one_proposal() {
        let notes = [
            note(
                1,
                "brewing-1",
                "# Brewing\n\nBrew the tea in a tea pot.\n\n```sh\nboil\n```\n",
            ),
            note(2, "Tea pot", "Any one will do."),
        ];
        let ideas = ideas(&notes);
        assert_eq!(ideas.len(), 1, "nothing is to be said of the other");
        let id = Uuid::from_u128(1);
        assert_eq!(
            ideas[0].actions(),
            [
                json!({
                    "type": "note.revise", "note_id": id, "base_version": 3, "title": "Brewing",
                    "body": format!("{}\n## See also\n\n- [[Tea pot]]\n", notes[0].body),
                }),
                json!({"type": "note.tag", "note_id": id, "add": ["sh", "tea"]}),
            ]
        );
        assert_eq!(
            ideas[0].rationale(),
            "Its title is “brewing-1”, its heading “Brewing”. It has code in sh. \
             It says “tea” 2 times; 1 of 2 notes say it. It mentions the note “Tea pot”."
        );
        assert!((ideas[0].confidence() - sure::KEYWORD).abs() < f64::EPSILON);
    }

    #[test]
    fn what_a_note_has_is_not_proposed_again() {
        let mut done = note(
            1,
            "Brewing",
            "# BREWING\n\nTea, tea in a Tea pot.\n\n## See also\n\n- [[Tea pot]]\n",
        );
        done.tags = BTreeSet::from(["tea".into()]);
        let notes = [done, note(2, "Tea pot", "Any one will do.")];
        assert_eq!(ideas(&notes).len(), 0);
    }

    #[test]
    fn links_join_those_that_are_there_and_never_end_up_in_code() {
        let there = "Text\n\n## See also\n\n- [[Water]]\n";
        assert_eq!(
            with_links(there, &["Tea"], true),
            Some(format!("{there}- [[Tea]]\n"))
        );
        assert_eq!(with_links("```\nopen", &["Tea"], false), None);
        assert_eq!(with_links(&"x".repeat(MAX_BODY), &["Tea"], false), None);
    }
}
