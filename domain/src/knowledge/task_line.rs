//! The `- [ ]` lines of a note.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::task::MAX_TITLE;
use crate::text::one_line;

/// The maximum number of lines of one note that become tasks; the first ones count.
pub const MAX_LINES: usize = 500;

/// The content of a task line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskLine {
    /// Title without markup.
    pub title: String,
    pub done: bool,
}

/// Returns the items of task lists in a Markdown text, including nested ones. Text that only looks like an item, as in
/// code, does not count.
#[must_use]
pub fn task_lines(markdown: &str) -> Vec<TaskLine> {
    located(markdown)
        .into_iter()
        .map(|located| located.line)
        .collect()
}

/// Returns the text with the mark of one of its [`task_lines`] set or cleared; none if there is no such line or nothing
/// changes.
#[must_use]
pub fn with_mark(markdown: &str, index: usize, done: bool) -> Option<String> {
    let Located { line, mark } = located(markdown).into_iter().nth(index)?;
    // The mark is one byte between its brackets.
    let (before, after) = (markdown.get(..=mark.start)?, markdown.get(mark.end - 1..)?);
    (line.done != done).then(|| format!("{before}{}{after}", if done { 'x' } else { ' ' }))
}

fn located(markdown: &str) -> Vec<Located> {
    if !may_have_task_lines(markdown) {
        return vec![];
    }
    let options = Options::ENABLE_TASKLISTS
        | Options::ENABLE_STRIKETHROUGH
        // References to footnotes are not part of a title.
        | Options::ENABLE_FOOTNOTES;
    let mut lines = Lines::default();
    for (event, range) in Parser::new_ext(markdown, options).into_offset_iter() {
        lines.take(&event, range);
    }
    lines.end();
    lines.found.truncate(MAX_LINES);
    lines.found
}

/// Returns false if the text certainly has no task lines; a quick check.
#[must_use]
pub fn may_have_task_lines(markdown: &str) -> bool {
    markdown.as_bytes().windows(3).any(|window| {
        matches!(window, [b'[', mark, b']'] if matches!(mark, b' ' | b'\t' | 0x0b | 0x0c | b'x' | b'X'))
    })
}

/// A task line, and the position of its mark, brackets included.
struct Located {
    line: TaskLine,
    mark: Range<usize>,
}

#[derive(Default)]
struct Lines {
    found: Vec<Located>,
    current: Option<Located>,
}

impl Lines {
    fn take(&mut self, event: &Event<'_>, range: Range<usize>) {
        match event {
            Event::TaskListMarker(done) => {
                self.end();
                let line = TaskLine {
                    title: String::new(),
                    done: *done,
                };
                self.current = Some(Located { line, mark: range });
            }
            Event::Text(text) | Event::Code(text) => self.push(text),
            Event::SoftBreak | Event::HardBreak => self.push(" "),
            Event::InlineHtml(tag) if is_line_break(tag) => self.push(" "),
            Event::Start(tag) if !is_inline(tag) => self.end(),
            Event::End(tag) if !is_end_of_inline(*tag) => self.end(),
            Event::Start(_)
            | Event::End(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::Html(_)
            | Event::InlineHtml(_)
            | Event::FootnoteReference(_)
            | Event::Rule => {}
        }
    }

    fn push(&mut self, text: &str) {
        if let Some(current) = &mut self.current {
            current.line.title.push_str(text);
        }
    }

    /// Ends a task line with its first block; a line without text is not a task.
    fn end(&mut self) {
        if let Some(mut current) = self.current.take() {
            current.line.title = normalized(&current.line.title);
            if !current.line.title.is_empty() {
                self.found.push(current);
            }
        }
    }
}

/// Returns true for `<br>` in any of its spellings.
fn is_line_break(tag: &str) -> bool {
    let name = tag.trim_start_matches('<').get(..2).unwrap_or_default();
    let rest = tag.get(3..).unwrap_or_default();
    name.eq_ignore_ascii_case("br") && !rest.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// Returns readable text on one line, cut to the maximum length of a title.
fn normalized(text: &str) -> String {
    let text = one_line(text);
    let words: Vec<&str> = text.split_whitespace().collect();
    let title: String = words.join(" ").chars().take(MAX_TITLE).collect();
    title.trim_end().to_owned()
}

const fn is_inline(tag: &Tag<'_>) -> bool {
    matches!(
        tag,
        Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Link { .. } | Tag::Image { .. }
    )
}

const fn is_end_of_inline(tag: TagEnd) -> bool {
    matches!(
        tag,
        TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::Link | TagEnd::Image
    )
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn read(markdown: &str) -> Vec<(String, bool)> {
        let lines = task_lines(markdown).into_iter();
        lines.map(|line| (line.title, line.done)).collect()
    }

    #[track_caller]
    fn assert_read(markdown: &str, expected: &[(&str, bool)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(title, done)| ((*title).to_owned(), *done))
            .collect();
        assert_eq!(read(markdown), expected, "{markdown}");
    }

    #[test]
    fn every_item_of_a_task_list_is_read_whatever_its_bullet() {
        assert_read(
            "# Tea\n\n- [ ] buy\n* [x] boil\n+ [X] steep\n\n1. [ ] pour\n",
            &[
                ("buy", false),
                ("boil", true),
                ("steep", true),
                ("pour", false),
            ],
        );
    }

    #[test]
    fn nested_items_stand_for_themselves() {
        assert_read(
            "- [ ] tea\n  - [x] buy\n\n    loosely\n  - no task\n- [ ] cake\n",
            &[("tea", false), ("buy", true), ("cake", false)],
        );
    }

    #[test]
    fn a_title_is_what_is_read_of_the_markup() {
        assert_read(
            "- [ ] **buy** `sencha` at [the *shop*](https://example.com) &amp; ~~maybe~~\n  today, see [[Shops]]\n",
            &[("buy sencha at the shop & maybe today, see [[Shops]]", false)],
        );
    }

    #[test]
    fn a_line_break_in_html_parts_words_as_any_other() {
        assert_read(
            "- [ ] call Ann<br>about<BR />the<br class=\"x\"/>boat\n- [ ] o<b>n</b>e<wbr>s<!-- br -->elf\n",
            &[("call Ann about the boat", false), ("oneself", false)],
        );
    }

    #[test]
    fn a_footnote_leaves_no_mark_in_a_title() {
        assert_read(
            "- [ ] see[^1] there\n- [ ] see[^2]\n\n[^1]: a note\n\n    - [ ] within\n",
            &[("see there", false), ("see[^2]", false), ("within", false)],
        );
    }

    #[test]
    fn what_only_looks_like_a_task_is_none() {
        for text in [
            "[ ] no list",
            "- [] too narrow",
            "- [y] no mark",
            "- [ ]",
            "- [ ] ",
            "- \\[ ] escaped",
            "`- [ ] code`",
            "```\n- [ ] fenced\n```",
            "    - [ ] indented code",
            "<!-- \n- [ ] comment\n-->",
            "- text [ ] later",
        ] {
            assert_read(text, &[]);
        }
    }

    #[test]
    fn a_task_in_a_quotation_is_one() {
        assert_read("> - [ ] quoted\n", &[("quoted", false)]);
    }

    #[test]
    fn titles_and_lines_are_bounded() {
        let long = format!("- [ ] {}\n", "é".repeat(MAX_TITLE + 1));
        assert_eq!(task_lines(&long)[0].title.chars().count(), MAX_TITLE);
        let many = "- [ ] x\n".repeat(MAX_LINES + 1);
        assert_eq!(task_lines(&many).len(), MAX_LINES);
    }

    #[test]
    fn a_mark_is_set_and_taken_away_and_nothing_else_changes() {
        let text = "Tea:\r\n\r\n> * [ ] é **buy**\r\n>   1. [X] boil\r\n\r\n`- [ ] code`";
        let ticked = with_mark(text, 0, true).unwrap();
        assert_eq!(ticked, text.replacen("[ ]", "[x]", 1));
        assert_eq!(with_mark(&ticked, 0, false).unwrap(), text);
        assert_eq!(
            with_mark(text, 1, false).unwrap(),
            text.replacen("[X]", "[ ]", 1)
        );
        assert_eq!(with_mark(text, 1, true), None, "it is done");
        assert_eq!(with_mark(text, 2, true), None, "there is no such line");
    }

    fn line() -> impl Strategy<Value = (String, bool)> {
        ("[a-z]{1,8}( [a-z]{1,8}){0,3}", any::<bool>())
    }

    fn written(lines: &[(String, bool)]) -> String {
        let write = |(title, done): &(String, bool)| {
            format!("- [{}] {title}\n", if *done { 'x' } else { ' ' })
        };
        lines.iter().map(write).collect()
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_harm(text in "(?s)([-*+>`#\\[\\]xX \t\r\n|~_&;<!]|\\PC){0,200}") {
            for (index, line) in task_lines(&text).into_iter().enumerate() {
                let other = with_mark(&text, index, !line.done).unwrap();
                prop_assert_eq!(other.len(), text.len());
                prop_assert_eq!(task_lines(&other)[index].done, !line.done);
                prop_assert!((1..=MAX_TITLE).contains(&line.title.chars().count()));
                prop_assert!(!line.title.contains(char::is_control));
                prop_assert_eq!(line.title.trim(), &line.title);
            }
        }

        #[test]
        fn what_is_written_is_read_whatever_stands_around_it(
            first in vec(line(), 0..6), second in vec(line(), 0..6), prose in "[a-z]{1,8}( [a-z]{1,8}){0,9}",
        ) {
            let text = format!("{prose}\n\n{}\n{prose}\n\n{}", written(&first), written(&second));
            prop_assert_eq!(read(&text), [first, second].concat());
        }

        #[test]
        fn what_is_written_in_code_is_not(lines in vec(line(), 1..6)) {
            let text = format!("~~~\n{}~~~\n", written(&lines));
            prop_assert_eq!(read(&text), vec![]);
        }
    }
}
