//! A Markdown file as a note: its title, tags, aliases and dates, and the files that it shows.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use domain::knowledge::note::{MAX_ALIASES, MAX_TITLE};
use domain::knowledge::wiki::{is_attachment, local_path};
use domain::knowledge::{place, tag};
use domain::spaced;
use domain::text::one_line;
use icu_properties::props::GeneralCategory;
use icu_properties::{CodePointMapData, CodePointMapDataBorrowed};
use pulldown_cmark::{Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd};
use sha2::{Digest, Sha256};

use super::find::LeftOut;
use super::front_matter::{self, FrontMatter};
use super::style::{self, Style};

/// Limits on a note's tags.
const MAX_TAGS: usize = 64;
const MAX_TAG: usize = 64;

const CATEGORY: CodePointMapDataBorrowed<'static, GeneralCategory> = CodePointMapData::new();

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A file that can be a note. Its text is kept byte for byte.
#[derive(Debug, Clone)]
pub struct Page {
    pub path: String,
    pub body: String,
    pub byte_order_mark: bool,
    pub sha256: String,
    pub fields: Fields,
    pub targets: Vec<Target>,
}

/// The metadata found in a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields {
    pub title: String,
    pub tags: BTreeSet<String>,
    pub aliases: BTreeSet<String>,
    pub created_at: Option<DateTime<Utc>>,
    pub modified_at: Option<DateTime<Utc>>,
}

/// A file that a text shows or links to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// File anywhere in the folder, by its name or the end of its path.
    Named(String),
    /// File at a path relative to the text's folder.
    At(String),
}

impl Page {
    pub fn new(path: &str, bytes: &[u8], style: &Style) -> Result<Self, LeftOut> {
        let sha256 = hex::encode(Sha256::digest(bytes));
        let rest = bytes.strip_prefix(BYTE_ORDER_MARK);
        let text = std::str::from_utf8(rest.unwrap_or(bytes))
            .map_err(|error| LeftOut::NotUtf8(error.valid_up_to()))?;
        if text.contains('\0') {
            return Err(LeftOut::Binary);
        }
        let (fields, targets) = read(path, text, style)?;
        Ok(Self {
            path: path.to_owned(),
            body: text.to_owned(),
            byte_order_mark: rest.is_some(),
            sha256,
            fields,
            targets,
        })
    }
}

/// Returns the SHA-256 of the file for a note's body.
pub fn digest(body: &str, byte_order_mark: bool) -> String {
    let mark = if byte_order_mark {
        BYTE_ORDER_MARK
    } else {
        b""
    };
    hex::encode(
        Sha256::new()
            .chain_update(mark)
            .chain_update(body)
            .finalize(),
    )
}

/// Returns the bytes of the file for a note's body.
pub fn bytes(body: &str, byte_order_mark: bool) -> Vec<u8> {
    let mark = if byte_order_mark {
        BYTE_ORDER_MARK
    } else {
        b""
    };
    [mark, body.as_bytes()].concat()
}

/// Returns the metadata in the text of a file at a path.
pub fn fields(path: &str, text: &str, style: &Style) -> Result<Fields, LeftOut> {
    Ok(read(path, text, style)?.0)
}

fn read(path: &str, text: &str, style: &Style) -> Result<(Fields, Vec<Target>), LeftOut> {
    let (yaml, rest) = front_matter::split(text).unwrap_or(("", text));
    let front = FrontMatter::parse(yaml).map_err(LeftOut::FrontMatter)?;
    let mut scan = Scan::default();
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_WIKILINKS | Options::ENABLE_STRIKETHROUGH;
    for (event, range) in Parser::new_ext(rest, options).into_offset_iter() {
        // Escaped characters are not markup.
        if rest[..range.start].ends_with('\\') {
            scan.block.push('\u{fffc}');
        }
        scan.read(event);
    }
    scan.end_block();
    let properties = style.properties(rest);
    let property = |names: &[&str]| {
        let named = properties.iter().filter(|(name, _)| names.contains(name));
        named.map(|(_, value)| *value).collect::<Vec<_>>()
    };
    let (named, other_names) = style.title(place::stem(path), scan.heading.as_deref());
    let title = front.title().map(name);
    let title = title.or_else(|| property(&["title"]).first().map(|title| name(title)));
    let aliases = front.aliases().map(name);
    let aliases = aliases.chain(
        property(&["alias", "aliases"])
            .into_iter()
            .flat_map(style::values)
            .map(name),
    );
    let tags = front.tags();
    let tags = tags.chain(property(&["tags"]).into_iter().flat_map(style::values));
    let tags = tags.chain(scan.tags.iter().map(String::as_str));
    let mut keys = HashSet::new();
    let fields = Fields {
        title: title.unwrap_or_else(|| name(&named)),
        tags: tags
            .map(|tag| tag::kept(&one_line(tag)))
            .filter(|tag| (1..=MAX_TAG).contains(&tag.chars().count()))
            .filter(|tag| keys.insert(tag::key(tag)))
            .take(MAX_TAGS)
            .collect(),
        aliases: other_names
            .into_iter()
            .chain(aliases)
            .filter(|alias| !alias.is_empty())
            .take(MAX_ALIASES)
            .collect(),
        created_at: front.created(),
        modified_at: front.modified(),
    };
    Ok((fields, scan.targets))
}

/// Normalises a name for notes: one line of limited length.
fn name(text: &str) -> String {
    let cut: String = one_line(&spaced(text)).chars().take(MAX_TITLE).collect();
    // Cutting may leave a joiner after the last character.
    spaced(&one_line(&cut))
}

/// Scans a text in one pass.
#[derive(Default)]
struct Scan {
    heading: Option<String>,
    tags: Vec<String>,
    targets: Vec<Target>,
    block: String,
    in_title: bool,
    /// Depth of links, images and code, whose text has no tags.
    within: usize,
    begun: bool,
}

impl Scan {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "Markdown has many events, and few of them matter here"
    )]
    fn read(&mut self, event: Event<'_>) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                self.end_block();
                self.in_title = level == HeadingLevel::H1 && !self.begun;
            }
            Event::Start(
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
            ) => {
                self.within += 1;
                self.block.push('\u{fffc}');
                self.targets.extend(target(link_type, &dest_url));
            }
            Event::Start(Tag::CodeBlock(_)) => {
                self.end_block();
                self.within += 1;
            }
            Event::End(TagEnd::Link | TagEnd::Image | TagEnd::CodeBlock) => self.within -= 1,
            Event::End(TagEnd::Heading(_)) => {
                if std::mem::take(&mut self.in_title) {
                    self.heading = Some(self.block.trim().to_owned());
                }
                self.end_block();
            }
            Event::End(
                TagEnd::Paragraph | TagEnd::Item | TagEnd::TableCell | TagEnd::BlockQuote(_),
            )
            | Event::Start(Tag::List(_)) => self.end_block(),
            Event::Text(text) if self.within == 0 || self.in_title => self.block.push_str(&text),
            Event::Code(_) => self.block.push('\u{fffc}'),
            Event::SoftBreak | Event::HardBreak => self.block.push(' '),
            _ => {}
        }
        self.begun = true;
    }

    fn end_block(&mut self) {
        let block = std::mem::take(&mut self.block);
        self.tags
            .extend(block.split_whitespace().filter_map(inline_tag));
    }
}

/// Returns the tag in a word: `#` and letters with their marks, digits, symbols, `_`, `-` and `/`, at least one of them not a digit.
fn inline_tag(word: &str) -> Option<String> {
    let name = word.strip_prefix('#')?;
    let end = name.find(|c| !is_part_of_tag(c)).unwrap_or(name.len());
    let name = name[..end].trim_matches('/');
    // `#1` is a number, and `#a#b` is not a tag.
    let is_tag = name.chars().any(|c| !c.is_numeric()) && !word[1 + end..].starts_with('#');
    is_tag.then(|| name.to_owned())
}

fn is_part_of_tag(c: char) -> bool {
    let is_mark_or_symbol = || {
        matches!(
            CATEGORY.get(c),
            GeneralCategory::NonspacingMark
                | GeneralCategory::SpacingMark
                | GeneralCategory::EnclosingMark
                | GeneralCategory::OtherSymbol
                | GeneralCategory::ModifierSymbol
        )
    };
    c.is_alphanumeric()
        || matches!(c, '_' | '-' | '/' | '\u{200c}' | '\u{200d}')
        || !c.is_ascii() && is_mark_or_symbol()
}

fn target(link_type: LinkType, url: &str) -> Option<Target> {
    if matches!(link_type, LinkType::WikiLink { .. }) {
        let path = url
            .split('#')
            .next()
            .unwrap_or_default()
            .trim()
            .trim_end_matches('\\');
        return is_attachment(path).then(|| Target::Named(path.to_owned()));
    }
    let path = local_path(url)?;
    let is_file = place::markdown_stem(&path).is_none() && path.contains('.');
    is_file.then_some(Target::At(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(path: &str, text: &str) -> Page {
        Page::new(path, text.as_bytes(), &Style::Plain).unwrap()
    }

    fn set(texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn title_is_that_of_the_front_matter_or_the_files_name() {
        assert_eq!(page("a/Tea.md", "# Heading\n").fields.title, "Tea");
        let named = page("a/Tea.md", "---\ntitle: Green tea\naliases: [Cha]\n---\n");
        assert_eq!(named.fields.title, "Green tea");
        assert_eq!(named.fields.aliases, set(&["Cha"]));
    }

    #[test]
    fn tags_are_words_of_the_text_but_not_code_links_or_numbers() {
        let text = "---\ntags: [map, top/level]\n---\n#Inline-tag, (x) #a/b. `#code` https://x.org/#frag \
                    [#link](x) [[Tea#Heading]] #1 \\#escaped a#b #ü\n\n# Heading\n\n```\n#fenced\n```\n\n- #item\n";
        let found = page("x.md", text).fields.tags;
        assert_eq!(
            found,
            set(&["map", "top/level", "inline-tag", "a/b", "ü", "item"])
        );
    }

    #[test]
    fn tags_are_kept_as_notes_keep_them_however_they_are_composed() {
        let text = "---\ntags: [STRASSE, \"a\\u200Bb\", 'x y']\n---\n#Cafe\u{301}s #CAF\u{c9}S #stra\u{df}e #\u{928}\u{92e}\u{938}\u{94d}\u{924}\u{947}! #\u{1f331}-bed.\n";
        let found = page("x.md", text).fields.tags;
        let expected = [
            "strasse",
            "ab",
            "x",
            "y",
            "caf\u{e9}s",
            "\u{928}\u{92e}\u{938}\u{94d}\u{924}\u{947}",
            "\u{1f331}-bed",
        ];
        assert_eq!(found, set(&expected));
    }

    #[test]
    fn names_are_one_line_without_invisible_characters() {
        assert_eq!(name(" Green\ttea\u{2028}\u{202e}x\u{7}y "), "Green tea x y");
        let flags = "\u{1f469}\u{200d}".repeat(MAX_TITLE);
        assert_eq!(name(&flags).chars().count(), MAX_TITLE - 1);
    }

    #[test]
    fn bytes_of_a_file_are_kept() {
        let bytes_of = |text: &[u8]| {
            let page = Page::new("x.md", text, &Style::Plain).unwrap();
            assert_eq!(bytes(&page.body, page.byte_order_mark), text);
            assert_eq!(digest(&page.body, page.byte_order_mark), page.sha256);
            page
        };
        assert!(
            bytes_of(b"\xef\xbb\xbf---\r\ntitle: T\r\n---\r\na\r\nb")
                .fields
                .title
                == "T"
        );
        bytes_of(b"");
        assert!(matches!(
            Page::new("x", b"Caf\xe9", &Style::Plain),
            Err(LeftOut::NotUtf8(3))
        ));
        assert!(matches!(
            Page::new("x", b"a\0", &Style::Plain),
            Err(LeftOut::Binary)
        ));
        assert!(matches!(
            Page::new("x", b"---\na: [\n---\n", &Style::Plain),
            Err(LeftOut::FrontMatter(_))
        ));
    }

    #[test]
    fn files_are_found_that_a_text_shows_or_links_to() {
        let text = "![[barrel.png|200]] ![plan](../A%20b/plan.png) [x](y.pdf#page=2) [[Tea]] [z](Tea.md) [w](https://x.org/a.png)";
        let expected = [
            Target::Named("barrel.png".into()),
            Target::At("../A b/plan.png".into()),
            Target::At("y.pdf".into()),
        ];
        assert_eq!(page("x.md", text).targets, expected);
    }

    #[test]
    fn logseq_properties_are_fields() {
        let text = "title:: Tea\nalias:: Cha, Tee\ntags:: [[drink]]\n\n- Text #hot\n";
        let page = Page::new("pages/x.md", text.as_bytes(), &Style::logseq()).unwrap();
        assert_eq!(page.fields.title, "Tea");
        assert_eq!(page.fields.aliases, set(&["Cha", "Tee"]));
        assert_eq!(page.fields.tags, set(&["drink", "hot"]));
    }
}
