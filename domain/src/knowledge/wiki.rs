//! Wiki links: `[[Title]]`, `[[Title#Heading]]` and `[[Title|shown text]]` in the body of a note name another note by
//! its title. Markdown links to a note's file do so, too.

use std::collections::HashSet;
use std::ops::Range;

use percent_encoding::percent_decode_str;
use pulldown_cmark::{Event, LinkType, Options, Parser, Tag};
use uuid::Uuid;

use super::note::MAX_TITLE;
use super::place;
use crate::{folded, spaced};

/// The maximum number of titles that one body can refer to; later ones are not links.
pub const MAX_TITLES: usize = 1_000;
/// The maximum length of a link's text in characters, heading included.
pub const MAX_TEXT: usize = 2 * MAX_TITLE;
/// The maximum number of number signs in a link's text that may begin a heading.
const MAX_HEADINGS: usize = 8;

/// Extensions of attached files: a link to such a file is not a link to a note.
const ATTACHMENTS: [&str; 40] = [
    "3gp", "avif", "base", "bmp", "canvas", "csv", "docx", "epub", "flac", "gif", "heic", "ico",
    "jpeg", "jpg", "m4a", "mkv", "mov", "mp3", "mp4", "odp", "ods", "odt", "oga", "ogg", "ogv",
    "opus", "pdf", "png", "pptx", "svg", "tif", "tiff", "tsv", "wav", "webm", "webp", "xlsx",
    "xls", "zip", "7z",
];

/// A reference from a body to a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The text between double brackets.
    Title(String),
    /// The path of a Markdown link to a Markdown file. It links to a note only if the linking note was imported from a
    /// file.
    File(String),
}

impl Reference {
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Title(text) | Self::File(text) => text,
        }
    }

    /// Returns the id shared by all equal references in a workspace.
    #[must_use]
    pub fn id(&self, workspace_id: Uuid) -> Uuid {
        let id = title_id(workspace_id, self.text());
        match self {
            Self::Title(_) => id,
            Self::File(_) => Uuid::new_v5(&id, b"\nfile"),
        }
    }

    fn of(event: &Event<'_>) -> Option<Self> {
        let Event::Start(
            Tag::Link {
                link_type,
                dest_url,
                ..
            }
            | Tag::Image {
                link_type,
                dest_url,
                ..
            },
        ) = event
        else {
            return None;
        };
        if let LinkType::WikiLink { has_pothole } = link_type {
            // Within a table, the pipe must be escaped.
            let text = dest_url.strip_suffix('\\').filter(|_| *has_pothole);
            let text = text.unwrap_or(dest_url);
            return (!is_attachment(text)).then(|| Self::Title(spaced(text)));
        }
        let path = local_path(dest_url)?;
        place::markdown_stem(&path)?;
        Some(Self::File(path))
    }
}

/// Returns the references of a body, in order and without duplicates, in their first spelling. Code has no references.
#[must_use]
pub fn references(body: &str) -> Vec<Reference> {
    // Most bodies need no parsing.
    let may_name_a_file = || body.contains('[') && (body.contains(".m") || body.contains(".M"));
    if !body.contains("[[") && !may_name_a_file() {
        return vec![];
    }
    let markdown = markdown_links(body);
    let options = Options::ENABLE_WIKILINKS | Options::ENABLE_FOOTNOTES;
    let mut seen = HashSet::new();
    Parser::new_ext(body, options)
        .into_offset_iter()
        .filter_map(|(event, at)| Some((Reference::of(&event)?, at)))
        .filter(|(reference, at)| match reference {
            Reference::Title(text) => is_name(text) && !overlaps(&markdown, at),
            Reference::File(path) => path.chars().count() <= MAX_TITLE,
        })
        .map(|(reference, _)| reference)
        .filter(|reference| seen.insert(reference.id(Uuid::nil())))
        .take(MAX_TITLES)
        .collect()
}

/// Returns false for texts that cannot be a note's name, and for a heading of the same note.
fn is_name(text: &str) -> bool {
    let title = text.split('#').next().unwrap_or_default();
    (1..=MAX_TITLE).contains(&title.chars().count()) && text.chars().count() <= MAX_TEXT
}

/// Returns the positions of CommonMark links and footnotes, which take precedence. References to a file beside the
/// note, which editors write below wiki links, do not.
fn markdown_links(body: &str) -> Vec<Range<usize>> {
    if !body.contains("[[") || !["](", "][", "]:"].iter().any(|mark| body.contains(mark)) {
        return vec![];
    }
    let mut found: Vec<Range<usize>> = vec![];
    for (event, at) in Parser::new_ext(body, Options::ENABLE_FOOTNOTES).into_offset_iter() {
        let is_link = if let Event::Start(
            Tag::Link {
                link_type,
                dest_url,
                ..
            }
            | Tag::Image {
                link_type,
                dest_url,
                ..
            },
        ) = &event
        {
            *link_type != LinkType::Shortcut || has_scheme(dest_url)
        } else {
            matches!(event, Event::FootnoteReference(_))
        };
        // Only images contain links.
        if is_link && found.last().is_none_or(|last| last.end <= at.start) {
            found.push(at);
        }
    }
    found
}

/// Returns true if any of the ranges, which are ordered and disjoint, overlaps another range.
fn overlaps(ranges: &[Range<usize>], at: &Range<usize>) -> bool {
    let next = ranges.partition_point(|range| range.end <= at.start);
    ranges.get(next).is_some_and(|range| range.start < at.end)
}

/// Returns the titles that a body links to, in order and without duplicates, in their first spelling. Code has no
/// links.
#[must_use]
pub fn titles(body: &str) -> Vec<String> {
    let titles = references(body).into_iter();
    titles
        .filter_map(|reference| match reference {
            Reference::Title(title) => Some(title),
            Reference::File(_) => None,
        })
        .collect()
}

/// Returns true if a link between double brackets leads to an attached file instead of a note.
#[must_use]
pub fn is_attachment(link: &str) -> bool {
    let path = link.split('#').next().unwrap_or_default();
    let ending = path.trim_end().rsplit_once('.').map(|(_, ending)| ending);
    ending.is_some_and(|ending| ATTACHMENTS.iter().any(|a| a.eq_ignore_ascii_case(ending)))
}

/// Returns the path of a Markdown link, without its anchor; None for an address elsewhere.
#[must_use]
pub fn local_path(url: &str) -> Option<String> {
    if has_scheme(url) || url.starts_with("//") {
        return None;
    }
    let path = url.split(['#', '?']).next().unwrap_or_default();
    let path = percent_decode_str(path).decode_utf8().ok()?;
    (!path.is_empty()).then(|| path.into_owned())
}

fn has_scheme(url: &str) -> bool {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        scheme.len() > 1
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

/// Returns the id of all titles of a workspace that match: blanks, case and composition make no difference.
#[must_use]
pub fn title_id(workspace_id: Uuid, title: &str) -> Uuid {
    Uuid::new_v5(&workspace_id, folded(&spaced(title)).as_bytes())
}

/// Returns the readings of a link's text, the likeliest first, each with its heading or block. A number sign is part of
/// the title if a note has that title; otherwise it begins a heading.
#[must_use]
pub fn readings(text: &str) -> Vec<(&str, Option<&str>)> {
    let headings: Vec<usize> = text
        .match_indices('#')
        .map(|(at, _)| at)
        .take(MAX_HEADINGS)
        .collect();
    let parts = headings.into_iter().rev().filter_map(|at| {
        let (title, anchor) = (text[..at].trim(), text[at + 1..].trim());
        (!title.is_empty()).then_some((title, (!anchor.is_empty()).then_some(anchor)))
    });
    std::iter::once((text, None)).chain(parts).collect()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_body_links_to_the_titles_between_double_brackets() {
        for (body, expected) in [
            ("", &[][..]),
            ("no [link](url) [here] [][]", &[]),
            ("[[Tea]]", &["Tea"]),
            (
                "See [[Green tea]] and **[[Water]]**.",
                &["Green tea", "Water"],
            ),
            ("[[Tea|what we drink]]", &["Tea"]),
            ("![[Diagram]]", &["Diagram"]),
            ("[[ Tea ]] and [[tea]], [[TEA|again]]", &["Tea"]),
            (
                "- [[A]]\n- [[B]]\n\n> [[C]]\n\n# [[D]]",
                &["A", "B", "C", "D"],
            ),
            ("[[over the end\nof a line]]", &["over the end of a line"]),
            (
                "| [[A]] | [[B|b]] |\n|---|---|\n| [[C]] | |",
                &["A", "B", "C"],
            ),
        ] {
            assert_eq!(titles(body), expected, "{body}");
        }
    }

    #[test]
    fn a_link_to_an_attached_file_is_no_link_to_a_note() {
        for body in [
            "![[pot.png]]",
            "[[Tea/leaf.PDF#page=2|leaf]]",
            "![[a.b.mp4|300]]",
        ] {
            assert_eq!(references(body), [], "{body}");
        }
        assert_eq!(titles("[[Node.js]] [[v1.2]]"), ["Node.js", "v1.2"]);
    }

    #[test]
    fn a_markdown_link_to_a_markdown_file_is_a_reference() {
        for (body, expected) in [
            ("[x](Tea.md)", Some("Tea.md")),
            ("[x](../Green%20tea.md#Brewing)", Some("../Green tea.md")),
            ("[x](<Green tea.MD> \"title\")", Some("Green tea.MD")),
            ("![x](a/Tea.markdown)", Some("a/Tea.markdown")),
            ("[x][t]\n\n[t]: Tea.md", Some("Tea.md")),
            ("[x](https://example.com/Tea.md)", None),
            ("[x](mailto:a@b.md)", None),
            ("[x](//example.com/Tea.md)", None),
            ("[x](Tea.html) [x](.md) [x](%ff.md)", None),
            ("`[x](Tea.md)`", None),
        ] {
            let expected: Vec<Reference> = expected
                .map(|path| Reference::File(path.into()))
                .into_iter()
                .collect();
            assert_eq!(references(body), expected, "{body}");
        }
    }

    #[test]
    fn what_is_code_or_escaped_or_unfinished_links_to_nothing() {
        for body in [
            "`[[Tea]]`",
            "``a ` [[Tea]]``",
            "```\n[[Tea]]\n```",
            "~~~md\n[[Tea]]\n~~~",
            "    [[Tea]]",
            "\\[[Tea]]",
            "[[]] [[|]] [[ ]] [[|Tea]]",
            "[[Tea]",
            "[[Tea",
            "[Tea]]",
            "<!-- [[Tea]] -->",
        ] {
            assert_eq!(titles(body), [""; 0], "{body}");
        }
    }

    #[test]
    fn the_pipe_of_a_link_is_escaped_within_a_table() {
        for body in [
            "| a | b |\n|---|---|\n| [[Page one\\|shown]] | x |",
            "| a |\n|---|\n| ![[Page one\\|100]] |",
            "| [[Page one\\|shown]] |\n|---|\n| x |",
        ] {
            assert_eq!(titles(body), ["Page one"], "{body}");
        }
        assert_eq!(titles("[[a\\b|c]]"), ["a\\b"]);
    }

    #[test]
    fn markdown_links_images_and_footnotes_come_first() {
        for body in [
            "So it is [[1]](https://example.com/a).",
            "[[a]](<https://example.com>)",
            "![[x]](pic.png)",
            "[see [[Tea]]](https://example.com)",
            "[[1]][site]\n\n[site]: https://example.com",
            "[[1]]\n\n[1]: https://example.com",
            "so[[^1]]\n\n[^1]: a note",
        ] {
            assert_eq!(titles(body), [""; 0], "{body}");
        }
        for (body, expected) in [
            ("[[Tea]] (green)", &["Tea"][..]),
            (
                "[[Tea]][^1] and [[1]](url)\n\n[^1]: [[Leaf]]",
                &["Tea", "Leaf"],
            ),
            ("[[Tea]]\n\n[Tea]: tea.md \"Tea\"", &["Tea"]),
            ("[x](a) [[Tea]] ![y](b) [[Leaf]]", &["Tea", "Leaf"]),
        ] {
            assert_eq!(titles(body), expected, "{body}");
        }
    }

    #[test]
    fn a_link_to_a_heading_is_read_as_a_title_first_and_then_without_the_heading() {
        assert_eq!(readings("Tea"), [("Tea", None)]);
        assert_eq!(
            readings("C# notes # Use#^b1"),
            [
                ("C# notes # Use#^b1", None),
                ("C# notes # Use", Some("^b1")),
                ("C# notes", Some("Use#^b1")),
                ("C", Some("notes # Use#^b1")),
            ]
        );
        assert_eq!(readings("Tea#"), [("Tea#", None), ("Tea", None)]);
        assert_eq!(
            titles("[[Tea#Brewing]] [[tea#brewing|how]] [[#Here]] [[C#]]"),
            ["Tea#Brewing", "C#"]
        );
    }

    #[test]
    fn no_more_titles_are_read_than_a_body_may_name_and_none_that_nobody_can_have() {
        let body: String = (0..2 * MAX_TITLES).map(|n| format!("[[{n}]] ")).collect();
        assert_eq!(titles(&body).len(), MAX_TITLES);
        let longest = "é".repeat(MAX_TITLE);
        assert_eq!(titles(&format!("[[{longest}]] [[{longest}é]]")), [longest]);
    }

    #[test]
    fn titles_that_differ_in_case_composition_or_blanks_are_the_same_within_a_workspace() {
        let (here, there) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let tea = title_id(here, "Grüner  Tee");
        assert_eq!(title_id(here, " GRÜNER\ttee\n"), tea);
        assert_eq!(title_id(here, "Gru\u{308}ner Tee"), tea);
        assert_eq!(title_id(here, "Maße"), title_id(here, "MASSE"));
        assert_eq!(titles("[[Café]] [[cafe\u{301}]]"), ["Café"]);
        assert_ne!(title_id(here, "Grünertee"), tea);
        assert_ne!(title_id(there, "Grüner Tee"), tea);
    }

    /// Returns pieces of links, and text that resembles links.
    fn markdown() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            prop::sample::select(vec![
                "[[", "]]", "|", "[", "]", "![[", "`", "```\n", "\n", "\n\n", "    ", "\\", "> ",
                "- ", "(", ")", "<", ">", "#", "[^1]", ": ", "Tea", "é", " "
            ])
            .prop_map(str::to_owned),
            any::<String>(),
        ];
        vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_body_can_be_read_and_names_each_title_once(body in markdown()) {
            let titles = titles(&body);
            let ids: HashSet<Uuid> = titles.iter().map(|title| title_id(Uuid::nil(), title)).collect();
            prop_assert_eq!(ids.len(), titles.len());
            for title in titles {
                prop_assert_eq!(title.trim(), &title);
                prop_assert!((1..=MAX_TEXT).contains(&title.chars().count()));
            }
        }

        #[test]
        fn a_title_is_read_back_wherever_it_is_linked_to(
            title in "[a-zA-Zäöü0-9][a-zA-Zäöü0-9 .,:!?&'/-]{0,40}",
            shown in "[a-z ]{0,10}",
            before in "([a-z]+[ \n])*",
        ) {
            let expected = [spaced(&title)];
            prop_assert_eq!(titles(&format!("{before}[[{title}]] after")), &expected);
            prop_assert_eq!(titles(&format!("{before}[[{title}|{shown}]]")), &expected);
            prop_assert_eq!(titles(&format!("{before}`[[{title}]]`")), [""; 0]);
            prop_assert_eq!(titles(&format!("{before}\n\n```\n[[{title}]]\n```\n")), [""; 0]);
        }
    }
}
