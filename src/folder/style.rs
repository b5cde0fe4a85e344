//! Naming conventions of note-taking programs, which decide the titles of notes.

use std::collections::BTreeSet;
use std::path::Path;

use chrono::{Datelike, NaiveDate};
use percent_encoding::percent_decode_str;

/// Logseq's default title format for journal days.
const JOURNAL_TITLE: &str = "MMM do, yyyy";

/// The program that wrote a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Style {
    /// Obsidian, Foam, Notion, and other programs with one file per note.
    Plain,
    Logseq {
        journal_title: String,
    },
}

impl Style {
    pub fn of(root: &Path) -> Self {
        let config = root.join("logseq/config.edn");
        match std::fs::read_to_string(config) {
            Ok(config) => Self::Logseq {
                journal_title: journal_title(&config).unwrap_or(JOURNAL_TITLE).to_owned(),
            },
            Err(_) if root.join("journals").is_dir() && root.join("pages").is_dir() => {
                Self::logseq()
            }
            Err(_) => Self::Plain,
        }
    }

    /// Returns Logseq's default style.
    pub fn logseq() -> Self {
        Self::Logseq {
            journal_title: JOURNAL_TITLE.into(),
        }
    }

    /// Returns the title for a file name, and alternative names for links.
    pub fn title(&self, stem: &str, heading: Option<&str>) -> (String, BTreeSet<String>) {
        let name = stem.rsplit_once('/').map_or(stem, |(_, name)| name);
        let plain = |title: &str| (title.to_owned(), BTreeSet::new());
        match self {
            // Notion truncates long titles in file names, but not in headings.
            Self::Plain => without_notion_id(name).map_or_else(
                || plain(name),
                |short| match heading {
                    Some(heading) if heading.starts_with(short) => plain(heading),
                    Some(_) | None => plain(short),
                },
            ),
            Self::Logseq { journal_title } => match day(stem) {
                Some(day) => (
                    format_day(journal_title, day),
                    BTreeSet::from([day.to_string()]),
                ),
                None => {
                    let name = name.replace("___", "/");
                    plain(&percent_decode_str(&name).decode_utf8_lossy())
                }
            },
        }
    }

    /// Returns the page properties in the text, written as `key:: value` lines at its top.
    pub fn properties<'a>(&self, text: &'a str) -> Vec<(&'a str, &'a str)> {
        match self {
            Self::Plain => vec![],
            Self::Logseq { .. } => text.lines().map_while(property).collect(),
        }
    }
}

fn property(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.trim_start_matches("- ").split_once("::")?;
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    (!name.is_empty() && name.chars().all(is_name)).then(|| (name, value.trim()))
}

/// Splits a page property at commas and strips link and tag marks.
pub fn values(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(',')
        .map(|value| {
            value
                .trim()
                .trim_start_matches('#')
                .trim_start_matches("[[")
                .trim_end_matches("]]")
        })
        .filter(|value| !value.is_empty())
}

fn journal_title(config: &str) -> Option<&str> {
    let line = config
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with(":journal/page-title-format"))?;
    line.split('"').nth(1).filter(|format| !format.is_empty())
}

fn day(stem: &str) -> Option<NaiveDate> {
    let name = stem.strip_prefix("journals/")?;
    NaiveDate::parse_from_str(&name.replace('_', "-"), "%Y-%m-%d").ok()
}

/// Formats a day with the subset of Java's format notation that titles use.
fn format_day(format: &str, day: NaiveDate) -> String {
    let mut title = String::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        let run = if rest.starts_with("do") {
            "do"
        } else {
            &rest[..rest.len() - rest.trim_start_matches(first).len()]
        };
        title += &match run {
            "yyyy" => day.format("%Y").to_string(),
            "yy" => day.format("%y").to_string(),
            "MMMM" => day.format("%B").to_string(),
            "MMM" => day.format("%b").to_string(),
            "MM" => day.format("%m").to_string(),
            "M" => day.month().to_string(),
            "dd" => day.format("%d").to_string(),
            "d" => day.day().to_string(),
            "do" => format!("{}{}", day.day(), ordinal(day.day())),
            "EEEE" => day.format("%A").to_string(),
            "E" | "EE" | "EEE" => day.format("%a").to_string(),
            other => other.to_owned(),
        };
        rest = &rest[run.len()..];
    }
    title
}

const fn ordinal(day: u32) -> &'static str {
    match day {
        1 | 21 | 31 => "st",
        2 | 22 => "nd",
        3 | 23 => "rd",
        _ => "th",
    }
}

/// Returns `Title` for `Title 0123456789abcdef0123456789abcdef`.
fn without_notion_id(name: &str) -> Option<&str> {
    let (title, id) = name.rsplit_once(' ')?;
    let is_id = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
    (is_id && !title.is_empty()).then_some(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(style: &Style, stem: &str, heading: Option<&str>) -> String {
        style.title(stem, heading).0
    }

    #[test]
    fn a_file_is_called_by_its_name_and_a_notion_page_without_its_id() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(
            title(&Style::Plain, "Garden/Tool shed", Some("Rakes")),
            "Tool shed"
        );
        assert_eq!(title(&Style::Plain, &format!("A/Long {id}"), None), "Long");
        assert_eq!(
            title(&Style::Plain, &format!("Long {id}"), Some("Long title")),
            "Long title"
        );
        assert_eq!(
            title(&Style::Plain, &format!("Long {id}"), Some("Other")),
            "Long"
        );
    }

    #[test]
    fn logseq_has_journals_and_namespaces() {
        let logseq = Style::logseq();
        let (title_of_day, aliases) = logseq.title("journals/2024_05_02", None);
        assert_eq!(title_of_day, "May 2nd, 2024");
        assert_eq!(aliases, BTreeSet::from(["2024-05-02".into()]));
        assert_eq!(title(&logseq, "pages/garden___tools", None), "garden/tools");
        assert_eq!(title(&logseq, "pages/a%3Ab", None), "a:b");
        let day = NaiveDate::from_ymd_opt(2024, 11, 23).unwrap();
        assert_eq!(format_day("EEEE, dd-MM-yyyy", day), "Saturday, 23-11-2024");
        assert_eq!(format_day(JOURNAL_TITLE, day), "Nov 23rd, 2024");
        let config = "{:x 1\n :journal/page-title-format \"yyyy-MM-dd\"\n}";
        assert_eq!(journal_title(config), Some("yyyy-MM-dd"));
    }

    #[test]
    fn page_properties_stand_at_the_top() {
        let text = "title:: Tea\ntags:: [[drink]], #hot\n\n- x:: y\n";
        let found = Style::logseq().properties(text);
        assert_eq!(found, [("title", "Tea"), ("tags", "[[drink]], #hot")]);
        assert_eq!(values(found[1].1).collect::<Vec<_>>(), ["drink", "hot"]);
        assert!(Style::Plain.properties(text).is_empty());
    }
}
