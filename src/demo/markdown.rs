//! What Markdown says: front matter, headings, plain text, the languages of its code, and where it links to.

use std::collections::BTreeSet;

use domain::text::one_line;
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd};

use super::front_matter::{self, FrontMatter};

/// Heading of the links that the agent adds; what stands below it was not written by a person.
pub const SEE_ALSO: &str = "See also";

/// Longest title that is made of a sentence.
const MAX_SENTENCE: usize = 80;

/// A text, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outline {
    pub front_matter: FrontMatter,
    /// A heading of the first level that stands before all else.
    pub title: Option<String>,
    pub headings: Vec<String>,
    /// Paragraphs, items and cells without their markup, code and pictures.
    pub prose: Vec<String>,
    /// Of fenced code.
    pub languages: BTreeSet<String>,
    /// What `[[…]]` points to, in lower case.
    pub links: BTreeSet<String>,
    /// Where its other links and pictures lead, without what follows a `#` or `?`.
    pub targets: BTreeSet<String>,
    /// The links of an earlier visit are the last thing in it.
    pub ends_with_see_also: bool,
}

impl Outline {
    pub fn of(text: &str) -> Self {
        let (front_matter, text) = front_matter::split(text);
        let options =
            Options::ENABLE_TABLES | Options::ENABLE_WIKILINKS | Options::ENABLE_STRIKETHROUGH;
        let mut reader = Reader::default();
        for event in Parser::new_ext(text, options) {
            reader.read(event);
        }
        reader.end_block();
        Self {
            front_matter,
            ends_with_see_also: reader.in_see_also,
            ..reader.outline
        }
    }

    /// The start of the text, as far as it can serve for a title.
    pub fn first_sentence(&self) -> Option<String> {
        let block = self.prose.iter().find(|block| has_word(block))?;
        let end = block
            .match_indices(['.', '!', '?', '。'])
            .map(|(at, mark)| (at, at + mark.len()))
            // A full stop within a name or a number ends nothing.
            .find(|(_, after)| {
                block[*after..]
                    .chars()
                    .next()
                    .is_none_or(char::is_whitespace)
            })
            .map_or(block.len(), |(at, _)| at);
        Some(shorten(block[..end].trim(), MAX_SENTENCE))
    }
}

fn has_word(text: &str) -> bool {
    text.chars().any(char::is_alphabetic)
}

/// One line of at most so many characters, cut between words where there are any.
pub fn shorten(text: &str, most: usize) -> String {
    let text = &*one_line(text);
    let Some((end, _)) = text.char_indices().nth(most) else {
        return text.to_owned();
    };
    let room = text.char_indices().nth(most - 1).map_or(0, |(at, _)| at);
    let cut = match text[..end].rfind(char::is_whitespace) {
        Some(blank) if blank > 0 => blank.min(room),
        Some(_) | None => room,
    };
    format!("{}…", text[..cut].trim_end())
}

/// Goes through a text once.
#[derive(Default)]
struct Reader {
    outline: Outline,
    block: String,
    /// Something has been read.
    begun: bool,
    /// This heading is the title.
    in_title: bool,
    in_code: bool,
    pictures: usize,
    in_see_also: bool,
}

impl Reader {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "Markdown has many events, and few of them matter here"
    )]
    fn read(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(TagEnd::Heading(_)) => self.end_heading(),
            Event::End(TagEnd::CodeBlock) => self.in_code = false,
            Event::End(TagEnd::Image) => self.pictures -= 1,
            Event::End(
                TagEnd::Paragraph | TagEnd::Item | TagEnd::TableCell | TagEnd::BlockQuote(_),
            ) => self.end_block(),
            Event::Text(text) | Event::Code(text) if !self.in_code && self.pictures == 0 => {
                self.block.push_str(&text);
            }
            Event::SoftBreak | Event::HardBreak => self.block.push(' '),
            _ => {}
        }
        self.begun = true;
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "Markdown has many tags, and few of them matter here"
    )]
    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { level, .. } => {
                self.end_block();
                self.in_title = level == HeadingLevel::H1 && !self.begun;
            }
            Tag::CodeBlock(kind) => {
                self.end_block();
                self.in_code = true;
                if let CodeBlockKind::Fenced(info) = kind {
                    self.outline.languages.extend(language(&info));
                }
            }
            Tag::Image { dest_url, .. } => {
                self.pictures += 1;
                self.outline.targets.insert(target(&dest_url));
            }
            Tag::Link {
                link_type: LinkType::WikiLink { .. },
                dest_url,
                ..
            } => {
                self.outline.links.insert(dest_url.to_lowercase());
            }
            Tag::Link { dest_url, .. } => {
                self.outline.targets.insert(target(&dest_url));
            }
            // What a tight list item says before the list within it.
            Tag::List(_) => self.end_block(),
            _ => {}
        }
    }

    fn end_heading(&mut self) {
        let text = std::mem::take(&mut self.block).trim().to_owned();
        self.in_see_also = text.eq_ignore_ascii_case(SEE_ALSO);
        if text.is_empty() || self.in_see_also {
            return;
        }
        if self.in_title {
            self.outline.title = Some(text.clone());
        }
        self.outline.headings.push(text);
    }

    fn end_block(&mut self) {
        let block = std::mem::take(&mut self.block);
        let block = block.trim();
        if !block.is_empty() && !self.in_see_also {
            self.outline.prose.push(block.to_owned());
        }
    }
}

fn target(url: &str) -> String {
    let end = url.find(['#', '?']).unwrap_or(url.len());
    url[..end].replace("%20", " ")
}

/// `rust` of `rust,no_run`; what only says that there is text is no language.
fn language(info: &str) -> Option<String> {
    let word = info
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '{' | ':'))
        .next()?
        .to_lowercase();
    let named = !matches!(
        word.as_str(),
        "" | "text" | "txt" | "plain" | "plaintext" | "output"
    );
    (named && word.len() <= 30).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(text: &str) -> Option<String> {
        Outline::of(text).title
    }

    #[test]
    fn a_first_level_heading_before_all_else_is_the_title() {
        assert_eq!(title("\n\n# Green *tea*\n\nText"), Some("Green tea".into()));
        assert_eq!(title("Green tea\n=========\n"), Some("Green tea".into()));
        assert_eq!(
            title("---\nauthor: x\n---\n# Tea\n"),
            Some("Tea".into()),
            "after front matter"
        );
    }

    #[test]
    fn any_other_heading_is_not() {
        for text in [
            "Text\n\n# Tea\n",
            "## Tea\n",
            "#hashtag\n",
            "![logo](x.png)\n\n# Tea\n",
            "```\n# comment\n```\n# Tea\n",
            "# \n",
            "",
        ] {
            assert_eq!(title(text), None, "{text:?}");
        }
    }

    #[test]
    fn headings_are_found_anywhere_but_in_code() {
        let outline = Outline::of("Text\n\n```sh\n# no\n```\n\n### The `tea` pot\n");
        assert_eq!(outline.headings, ["The tea pot"]);
        assert_eq!(outline.languages, BTreeSet::from(["sh".into()]));
    }

    #[test]
    fn prose_has_neither_code_nor_pictures_nor_addresses() {
        let outline = Outline::of(
            "![logo](x.png) Some *plain* [words](https://example.com/hidden).\n\
             \n```rust,no_run\nlet hidden = 1;\n```\n\n- one\n- two\n  - three\n\n| a | b |\n|---|---|\n| c | d |\n",
        );
        assert_eq!(
            outline.prose,
            [
                "Some plain words.",
                "one",
                "two",
                "three",
                "a",
                "b",
                "c",
                "d"
            ]
        );
        assert_eq!(outline.languages, BTreeSet::from(["rust".into()]));
    }

    #[test]
    fn what_an_earlier_visit_added_is_links_and_not_text() {
        let outline = Outline::of("Brew it.\n\n## See also\n\n- [[Water]]\n- [[Green Tea]]\n");
        assert_eq!(outline.prose, ["Brew it."]);
        assert_eq!(outline.headings, Vec::<String>::new());
        assert_eq!(
            outline.links,
            BTreeSet::from(["water".into(), "green tea".into()])
        );
        assert!(outline.ends_with_see_also);
        assert!(!Outline::of("## See also\n\n- [[Water]]\n\n## Notes\n").ends_with_see_also);
    }

    #[test]
    fn the_first_sentence_ends_where_a_sentence_ends() {
        let first = |text: &str| Outline::of(text).first_sentence();
        assert_eq!(
            first("Version 1.2 of node.js is out. Get it!"),
            Some("Version 1.2 of node.js is out".into())
        );
        assert_eq!(
            first("***\n\n42\n\nSteep it\nwell!"),
            Some("Steep it well".into())
        );
        assert_eq!(first("```\ncode\n```\n"), None);
        let long = "word ".repeat(40);
        let sentence = first(&long).unwrap();
        assert_eq!(sentence, format!("{}…", "word ".repeat(16).trim_end()));
        let endless = first(&"x".repeat(200)).unwrap();
        assert_eq!(endless.chars().count(), MAX_SENTENCE);
    }
}
