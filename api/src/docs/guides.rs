//! Guides: the Markdown files in the repository's `docs`, with links rewritten to the published pages.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "Markdown has many events, and few of them matter here"
)]

use include_dir::{Dir, DirEntry, File, include_dir};
use maud::{Markup, PreEscaped};
use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

use super::Page;

static FILES: Dir = include_dir!("$CARGO_MANIFEST_DIR/../docs");

/// Guides in the table of contents, grouped by audience. Other guides are reachable by links from these.
pub const GROUPS: [(&str, &[&str]); 3] = [
    (
        "The HTTP API",
        &[
            "http-api",
            "api/requests",
            "api/answers",
            "api/problems",
            "errors",
            "api/keys",
            "api/notes",
            "api/links",
            "api/tasks",
            "api/calendars",
            "api/files",
            "api/artifacts",
            "api/search",
            "api/events",
            "api/agents",
        ],
    ),
    ("Using it", &["proposals", "webhooks", "mcp", "import"]),
    ("Running it", &["configuration"]),
];

/// Returns the page of each file.
pub fn pages() -> Vec<(String, Page)> {
    let mut pages = vec![];
    let mut folders = vec![&FILES];
    while let Some(folder) = folders.pop() {
        for entry in folder.entries() {
            match entry {
                DirEntry::Dir(folder) => folders.push(folder),
                DirEntry::File(file) => pages.extend(page(file)),
            }
        }
    }
    pages
}

fn page(file: &File<'_>) -> Option<(String, Page)> {
    let name = file.path().to_str()?.strip_suffix(".md")?;
    let text = file.contents_utf8()?;
    let page = Page {
        title: title(name),
        body: render(name, text),
    };
    Some((name.to_owned(), page))
}

/// Returns the first heading of a guide.
pub fn title(name: &str) -> String {
    let file = FILES.get_file(format!("{name}.md"));
    let text = file.and_then(File::contents_utf8).unwrap_or_default();
    let heading = text.lines().find_map(|line| line.strip_prefix("# "));
    heading.unwrap_or(name).to_owned()
}

/// Renders Markdown in a description of one or more sentences.
pub fn inline(text: &str) -> Markup {
    let mut out = String::new();
    let parser = Parser::new_ext(text, Options::empty());
    let sentences = parser.filter_map(|event| match event {
        Event::Start(Tag::Paragraph) => None,
        Event::End(TagEnd::Paragraph) => Some(Event::SoftBreak),
        event => Some(event),
    });
    html::push_html(&mut out, sentences);
    PreEscaped(out)
}

/// Renders a whole file.
fn render(name: &str, text: &str) -> Markup {
    let mut events: Vec<Event<'_>> = Parser::new_ext(text, Options::ENABLE_TABLES).collect();
    name_headings(&mut events);
    let mut is_led = vec![];
    let mut out = String::new();
    let led = events.into_iter().filter_map(|event| match event {
        Event::Start(Tag::Link {
            link_type,
            dest_url,
            title,
            id,
        }) => {
            let dest_url = lead(name, &dest_url);
            is_led.push(dest_url.is_some());
            let dest_url = dest_url?.into();
            Some(Event::Start(Tag::Link {
                link_type,
                dest_url,
                title,
                id,
            }))
        }
        Event::End(TagEnd::Link) => is_led.pop()?.then_some(event),
        event => Some(event),
    });
    html::push_html(&mut out, led);
    PreEscaped(out)
}

/// Gives each heading the id that Markdown links use.
fn name_headings(events: &mut [Event<'_>]) {
    for at in 0..events.len() {
        let Event::Start(Tag::Heading { level, .. }) = &events[at] else {
            continue;
        };
        let level: HeadingLevel = *level;
        let rest = events[at..].iter();
        let words = rest.take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
        let words = words.filter_map(|event| match event {
            Event::Text(text) | Event::Code(text) => Some(text.as_ref()),
            _ => None,
        });
        let id = Some(CowStr::from(anchor(&words.collect::<String>())));
        events[at] = Event::Start(Tag::Heading {
            level,
            id,
            classes: vec![],
            attrs: vec![],
        });
    }
}

/// Returns the anchor of a heading: `The first of all` becomes `the-first-of-all`.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Returns the URL that a link in a file leads to: another page, an anchor on the same page, or an external address. Returns `None` for a
/// file that is not published.
fn lead(from: &str, link: &str) -> Option<String> {
    if link.starts_with('#') || link.contains("://") {
        return Some(link.to_owned());
    }
    let (file, place) = match link.split_once('#') {
        Some((file, place)) => (file, format!("#{place}")),
        None => (link, String::new()),
    };
    let mut path: Vec<&str> = from.split('/').collect();
    path.pop();
    for step in file.split('/') {
        match step {
            "." => {}
            ".." => drop(path.pop()?),
            step => path.push(step),
        }
    }
    let path = path.join("/");
    FILES.get_file(&path)?;
    let page = path.strip_suffix(".md")?;
    Some(format!("{}{place}", super::layout::address(page)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_the_page_of_its_file_or_is_none() {
        for (from, link, leads) in [
            ("http-api", "import.md", Some("/docs/import")),
            ("http-api", "#errors", Some("#errors")),
            (
                "http-api",
                "https://a.example/b.md",
                Some("https://a.example/b.md"),
            ),
            (
                "http-api",
                "decisions/0019-quarantine.md",
                Some("/docs/decisions/0019-quarantine"),
            ),
            (
                "decisions/0019-quarantine",
                "../configuration.md#the-database",
                Some("/docs/configuration#the-database"),
            ),
            ("http-api", "../README.md", None),
            ("http-api", "house.svg", None),
            ("http-api", "absent.md", None),
        ] {
            assert_eq!(lead(from, link).as_deref(), leads, "{link}");
        }
    }

    #[test]
    fn a_link_to_what_is_not_published_is_its_text() {
        let html = render(
            "http-api",
            "# A `b`, c\n[one](import.md) [two](../README.md)",
        );
        let expected = "<h1 id=\"a-b-c\">A <code>b</code>, c</h1>\n\
            <p><a href=\"/docs/import\">one</a> two</p>\n";
        assert_eq!(html.into_string(), expected);
    }
}
