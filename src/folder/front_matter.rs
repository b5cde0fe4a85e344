//! Front matter: the YAML between `---` lines at the top of a file. Fields that notes have are read; the rest is left unchanged.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use saphyr_parser::{Event, Parser, ScalarStyle};

const FENCE: &str = "---";

/// Maximum number of YAML nodes.
const MAX_NODES: usize = 10_000;

/// The fields of a file's front matter in order, each with its scalars.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FrontMatter(Vec<(String, Vec<String>)>);

/// Splits a text into the YAML at its top and the rest, if there is YAML.
pub fn split(text: &str) -> Option<(&str, &str)> {
    let (first, rest) = text.split_once('\n')?;
    if first.trim_end() != FENCE {
        return None;
    }
    let mut end = 0;
    for line in rest.split_inclusive('\n') {
        let start = end;
        end += line.len();
        if matches!(line.trim_end(), FENCE | "...") {
            return Some((&rest[..start], &rest[end..]));
        }
    }
    // It is never closed, so it is a horizontal rule.
    None
}

impl FrontMatter {
    /// Parses the fields of a YAML mapping; the error describes the fault.
    pub fn parse(yaml: &str) -> Result<Self, String> {
        let (mut fields, mut field) = (Vec::new(), None::<(String, Vec<String>)>);
        let (mut depth, mut nodes) = (0_usize, 0);
        for event in Parser::new_from_str(yaml) {
            let (event, _) = event.map_err(|error| error.to_string())?;
            nodes += 1;
            if nodes > MAX_NODES {
                return Err(format!("it has more than {MAX_NODES} nodes"));
            }
            match event {
                Event::SequenceStart(..) if depth == 0 => {
                    return Err("it is a list, not fields".into());
                }
                Event::MappingStart(..) | Event::SequenceStart(..) => {
                    // A key that is not text has no meaning here.
                    if depth == 1 && field.is_none() {
                        return Err("a field's name is no text; quote it".into());
                    }
                    depth += 1;
                }
                Event::MappingEnd | Event::SequenceEnd => {
                    depth = depth.saturating_sub(1);
                    if depth == 1 {
                        fields.extend(field.take());
                    }
                }
                Event::Scalar(text, style, ..) => {
                    let is_null =
                        style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null");
                    match (depth, &mut field) {
                        (0, _) if is_null => {}
                        (0, _) => return Err("it has text outside of its fields".into()),
                        (1, None) => field = Some((text.into_owned(), vec![])),
                        (1 | 2, Some((_, values))) => {
                            if !is_null {
                                values.push(text.into_owned());
                            }
                            if depth == 1 {
                                fields.extend(field.take());
                            }
                        }
                        _ => {}
                    }
                }
                Event::Alias(_) if depth == 1 => fields.extend(field.take()),
                Event::Alias(_)
                | Event::Nothing
                | Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_)
                | Event::DocumentEnd => {}
            }
        }
        Ok(Self(fields))
    }

    fn values(&self, names: &[&str]) -> impl Iterator<Item = &str> {
        let fields = names
            .iter()
            .filter_map(|name| self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)));
        fields.flat_map(|(_, values)| values).map(String::as_str)
    }

    pub fn title(&self) -> Option<&str> {
        self.values(&["title"])
            .map(str::trim)
            .find(|title| !title.is_empty())
    }

    /// Returns tags from a list, or from text separated by commas or spaces.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        let values = self.values(&["tags", "tag"]);
        values
            .flat_map(|value| value.split([',', ' ']))
            .map(|tag| tag.trim().trim_start_matches('#').trim_end_matches('/'))
            .filter(|tag| !tag.is_empty())
    }

    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        let values = self.values(&["aliases", "alias"]);
        values.map(str::trim).filter(|alias| !alias.is_empty())
    }

    pub fn created(&self) -> Option<DateTime<Utc>> {
        self.values(&[
            "created",
            "created_at",
            "date created",
            "creation_date",
            "date",
        ])
        .find_map(time)
    }

    pub fn modified(&self) -> Option<DateTime<Utc>> {
        self.values(&[
            "updated",
            "updated_at",
            "modified",
            "date modified",
            "last_modified",
            "lastmod",
        ])
        .find_map(time)
    }
}

/// Parses a common date or time format; without a time zone, it is UTC.
fn time(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    let formats = [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
    ];
    let time = formats
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let date = || {
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()?
            .and_hms_opt(0, 0, 0)
    };
    time.or_else(date).map(|time| time.and_utc())
}

/// Replaces the values of some front matter fields; every other byte stays the same.
pub fn with_fields(text: &str, fields: &[(&[&str], Option<String>)]) -> String {
    let end_of_line = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let (yaml, rest) = split(text).unwrap_or(("", text));
    let fenced = !std::ptr::eq(rest, text) && rest.len() < text.len();
    let mut kept = String::new();
    let mut dropping = false;
    for line in yaml.split_inclusive('\n') {
        let continues = line.starts_with([' ', '\t', '-', '}', ']']) || line.trim().is_empty();
        if !continues {
            let name = line
                .split(':')
                .next()
                .unwrap_or_default()
                .trim()
                .trim_matches(['"', '\'']);
            let is_named =
                |names: &&[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
            dropping = fields.iter().any(|(names, _)| is_named(names));
        }
        if !dropping {
            kept.push_str(line);
        }
    }
    for (names, value) in fields {
        if let (Some(name), Some(value)) = (names.first(), value) {
            kept += &format!("{name}: {value}{end_of_line}");
        }
    }
    let close = if fenced {
        &text[text.len() - rest.len()..]
    } else {
        text
    };
    let fence = format!("{FENCE}{end_of_line}");
    match (fenced, kept.is_empty()) {
        (_, true) => close.to_owned(),
        (_, false) => format!("{fence}{kept}{fence}{close}"),
    }
}

/// Returns a value as YAML, which includes JSON.
pub fn yaml(value: &impl serde::Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(yaml: &str) -> FrontMatter {
        FrontMatter::parse(yaml).unwrap()
    }

    #[test]
    fn reads_fields_however_they_are_written() {
        for yaml in [
            "title: \"Tea: a guide\"\ntags: [drink, \"hot\"]\naliases: [Cha, Tee]\ncreated: 2024-05-02\n",
            "title: 'Tea: a guide'\ntags: drink, hot\nalias:\n- Cha\n- Tee\ndate: 2024-05-02 00:00\n",
            "other: {a: [b]}\nTitle: >-\n  Tea:\n  a guide\ntag:\n  - '#drink'\n  - hot\naliases:\n  - Cha\n  - Tee\ncreated: 2024-05-02T00:00:00Z\n",
        ] {
            let fields = parsed(yaml);
            assert_eq!(fields.title(), Some("Tea: a guide"), "{yaml}");
            assert_eq!(
                fields.tags().collect::<Vec<_>>(),
                ["drink", "hot"],
                "{yaml}"
            );
            assert_eq!(
                fields.aliases().collect::<Vec<_>>(),
                ["Cha", "Tee"],
                "{yaml}"
            );
            let created = fields.created().unwrap().to_rfc3339();
            assert_eq!(created, "2024-05-02T00:00:00+00:00", "{yaml}");
        }
        assert_eq!(parsed("title: 1.10\n").title(), Some("1.10"));
        assert_eq!(parsed("title:\ntags: ~\n").title(), None);
        assert_eq!(parsed("# a comment\n").tags().count(), 0);
    }

    #[test]
    fn refuses_what_is_not_a_mapping_of_texts() {
        for yaml in [
            "- a\n- b\n",
            "just text\n",
            "title: [open\n",
            "a: b: c\n",
            "{{x}}: y\n",
            "\"open\n",
        ] {
            assert!(FrontMatter::parse(yaml).is_err(), "{yaml}");
        }
    }

    #[test]
    fn front_matter_is_at_the_top_and_closed() {
        assert_eq!(
            split("---\r\na: b\r\n---\r\nText"),
            Some(("a: b\r\n", "Text"))
        );
        assert_eq!(split("---\n---\n"), Some(("", "")));
        for text in ["Text\n---\na: b\n---\n", "---\na: b\n", "---", ""] {
            assert_eq!(split(text), None, "{text}");
        }
    }

    #[test]
    fn other_fields_keep_their_bytes_when_some_are_rewritten() {
        let tags = |tags: &[&str]| {
            [(
                &["tags", "tag"][..],
                (!tags.is_empty()).then(|| yaml(&tags).unwrap()),
            )]
        };
        let text = "---\ntags:\n  - a\nx:   'y'  # kept\n---\nText\n";
        assert_eq!(
            with_fields(text, &tags(&["b"])),
            "---\nx:   'y'  # kept\ntags: [\"b\"]\n---\nText\n"
        );
        assert_eq!(
            with_fields("Text", &tags(&["b"])),
            "---\ntags: [\"b\"]\n---\nText"
        );
        assert_eq!(with_fields("---\ntags: a\n---\nText", &tags(&[])), "Text");
    }
}
