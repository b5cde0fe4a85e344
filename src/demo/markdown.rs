//! Markdown analysis: headings, plain text, languages of code blocks, and links to notes.

use std::collections::BTreeSet;

use domain::text::one_line;
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd};

use crate::folder::front_matter::{self, FrontMatter};

/// Heading of the links that the agent adds; no person wrote the text below it.
pub const SEE_ALSO: &str = "See also";

/// The parts of a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// First-level heading before all other content, unless front matter has another title.
    pub title: Option<String>,
    pub headings: Vec<String>,
    /// Paragraphs, items and cells without markup, code and pictures.
    pub prose: Vec<String>,
    /// Languages of fenced code.
    pub languages: BTreeSet<String>,
    /// Targets of `[[…]]` links, in lower case.
    pub links: BTreeSet<String>,
    /// True if the text ends with links from an earlier run.
    pub ends_with_see_also: bool,
}

impl Outline {
    pub fn of(text: &str) -> Self {
        let (yaml, text) = front_matter::split(text).unwrap_or(("", text));
        let options =
            Options::ENABLE_TABLES | Options::ENABLE_WIKILINKS | Options::ENABLE_STRIKETHROUGH;
        let mut reader = Reader::default();
        for event in Parser::new_ext(text, options) {
            reader.read(event);
        }
        reader.end_block();
        let is_titled = FrontMatter::parse(yaml).is_ok_and(|front| front.title().is_some());
        reader.outline.title.take_if(|_| is_titled);
        Self {
            ends_with_see_also: reader.in_see_also,
            ..reader.outline
        }
    }
}

/// Shortens text to one line of limited length, cut between words if possible.
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

/// Reads a text in one pass.
#[derive(Default)]
struct Reader {
    outline: Outline,
    block: String,
    /// True once any content was read.
    begun: bool,
    /// True while the current heading is the title.
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
            Tag::Image { .. } => self.pictures += 1,
            Tag::Link {
                link_type: LinkType::WikiLink { .. },
                dest_url,
                ..
            } => {
                self.outline.links.insert(dest_url.to_lowercase());
            }
            // The text of a tight list item before a nested list.
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

/// Returns the language of a code block: `rust` for `rust,no_run`. Words for plain text are not languages.
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
        assert_eq!(title("---\ntitle: x\n---\n# Tea\n"), None);
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
}
