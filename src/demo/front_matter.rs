//! Front matter: the lines between `---` at the top of a file. Of its YAML, a title and tags are understood.

use std::collections::BTreeSet;

const FENCE: &str = "---";

/// What a file says about itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FrontMatter {
    pub title: Option<String>,
    pub tags: BTreeSet<String>,
}

/// The front matter of a text, if it has any, and the rest.
pub fn split(text: &str) -> (FrontMatter, &str) {
    let none = (FrontMatter::default(), text);
    let Some((first, rest)) = text.split_once('\n') else {
        return none;
    };
    if first.trim_end() != FENCE {
        return none;
    }
    let mut end = 0;
    for line in rest.split_inclusive('\n') {
        let start = end;
        end += line.len();
        if matches!(line.trim_end(), FENCE | "...") {
            return (FrontMatter::parse(&rest[..start]), &rest[end..]);
        }
    }
    // Never closed: it was a rule across the page.
    none
}

impl FrontMatter {
    fn parse(lines: &str) -> Self {
        let mut found = Self::default();
        let mut in_tags = false;
        for line in lines.lines() {
            if let Some(item) = line.trim_start().strip_prefix("- ") {
                found.tags.extend(value(item).filter(|_| in_tags));
                continue;
            }
            let Some((name, text)) = line.split_once(':') else {
                continue;
            };
            in_tags = name == "tags";
            match name {
                "title" => found.title = value(text),
                "tags" => found.tags.extend(list(text)),
                _ => {}
            }
        }
        found
    }
}

/// `[a, "b"]` or `a, b`.
fn list(text: &str) -> impl Iterator<Item = String> {
    text.trim()
        .trim_start_matches('[')
        .trim_end_matches(']')
        .split(',')
        .filter_map(value)
}

/// A scalar, with or without quotes; a text that begins on the next line is not understood.
fn value(text: &str) -> Option<String> {
    let text = text.trim();
    let bare = ['"', '\'']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(text);
    let starts_below = text.starts_with(['|', '>']);
    (!bare.is_empty() && !starts_below).then(|| bare.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Option<String>, Vec<String>) {
        let (front, _) = split(text);
        (front.title, front.tags.into_iter().collect())
    }

    #[test]
    fn a_title_and_tags_are_read_however_they_are_written() {
        let title = Some("Tea: a guide".to_owned());
        let tags = vec!["drink".to_owned(), "hot".to_owned()];
        for text in [
            "---\ntitle: Tea: a guide\ntags: [drink, \"hot\"]\n---\nText",
            "---\ntitle: \"Tea: a guide\"\ntags: hot, drink\n---\nText",
            "---\ntags:\n  - drink\n  - hot\nother:\n  - cold\ntitle: 'Tea: a guide'\n...\nText",
        ] {
            assert_eq!(parsed(text), (title.clone(), tags.clone()), "{text}");
            assert_eq!(split(text).1, "Text");
        }
    }

    #[test]
    fn what_is_not_front_matter_stays_text() {
        for text in ["Text\n---\ntitle: x\n---\n", "---\ntitle: x\n", "---", ""] {
            assert_eq!(split(text), (FrontMatter::default(), text));
        }
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let text = "---\ntitle: >-\n  folded\ntags:\ndate: 2026-01-01\nnonsense\n---\n";
        assert_eq!(parsed(text), (None, vec![]));
    }
}
