//! Text forms of resources, so that a diff shows every change.

use std::fmt::Write as _;
use std::ops::Range;

use domain::knowledge::line_diff::{Change, changes};
use domain::knowledge::note::Note;
use domain::knowledge::task::Task;
use domain::text::{escaped, escaped_lines};

/// Number of context lines around a change.
const SCOPE: usize = 3;
/// Maximum bytes of one diff.
const SHOWN: usize = 256 << 10;
/// Maximum bytes of all diffs in one answer.
const ALL_SHOWN: usize = 4 << 20;

/// Returns a note as text; empty if it does not exist.
pub fn of_note(note: &Note) -> String {
    note.content().map_or_else(String::new, |content| {
        let tags: Vec<&str> = content.tags.iter().map(String::as_str).collect();
        let title = escaped(&content.title);
        let tags = escaped(&tags.join(", "));
        let mut text = format!("title: {title}\ntags: {tags}\n");
        match note {
            Note::Archived(_) => text += "status: archived\n",
            Note::Trashed(_) => text += "status: trashed\n",
            Note::Active(_) | Note::Absent | Note::Purged => {}
        }
        for link in &content.links {
            let _ = writeln!(text, "{}: {}", link.relation, link.target_id);
        }
        text + "\n" + &escaped_lines(&content.body)
    })
}

/// Returns a task as text; empty if it does not exist.
pub fn of_task(task: &Task) -> String {
    let Task::Present(draft, status) = task else {
        return String::new();
    };
    let status: &str = status.into();
    let labels: Vec<&str> = draft.labels.iter().map(String::as_str).collect();
    let mut text = format!("title: {}\nstatus: {status}\n", escaped(&draft.title));
    if let Some(note_id) = draft.note_id {
        let _ = writeln!(text, "note: {note_id}");
    }
    if let Some(assignee) = draft.assignee {
        let _ = writeln!(text, "assignee: {assignee}");
    }
    if let Some(due_on) = draft.due_on {
        let _ = writeln!(text, "due: {due_on}");
    }
    let labels = escaped(&labels.join(", "));
    let _ = writeln!(text, "labels: {labels}\nrank: {}", draft.rank);
    text
}

/// The diffs of one answer, with their remaining byte budget.
pub struct Diffs {
    left: usize,
}

impl Default for Diffs {
    fn default() -> Self {
        Self { left: ALL_SHOWN }
    }
}

impl Diffs {
    /// Returns a unified diff between two versions. A very long diff is truncated.
    pub fn diff(&mut self, before: &str, after: &str, versions: [i64; 2]) -> String {
        let room = self.left.min(SHOWN);
        let diff = unified(before, after, versions, room);
        self.left = self.left.saturating_sub(diff.len());
        diff
    }
}

fn unified(before: &str, after: &str, [from, to]: [i64; 2], room: usize) -> String {
    let [before, after] =
        [before, after].map(|text| text.split_inclusive('\n').collect::<Vec<_>>());
    let changes = changes(&before, &after);
    let mut diff = String::new();
    for hunk in changes.chunk_by(|a, b| b.before.start - a.before.end <= 2 * SCOPE) {
        if diff.is_empty() {
            let _ = write!(diff, "--- version {from}\n+++ version {to}\n");
        }
        if write_hunk(&mut diff, &before, &after, hunk, room).is_none() {
            diff +=
                "\\ The rest is too long to be shown here; compare the two versions themselves.\n";
            break;
        }
    }
    diff
}

/// Writes a hunk of nearby changes with its context lines; returns `None` if the budget is used up.
fn write_hunk(
    diff: &mut String,
    before: &[&str],
    after: &[&str],
    hunk: &[Change],
    room: usize,
) -> Option<()> {
    let (first, last) = (hunk.first()?, hunk.last()?);
    let above = first.before.start.min(SCOPE);
    let below = (before.len() - last.before.end).min(SCOPE);
    let start = first.before.start - above;
    let old = start..last.before.end + below;
    let new = first.after.start - above..last.after.end + below;
    let _ = writeln!(diff, "@@ -{} +{} @@", lines(&old), lines(&new));
    let mut next = start;
    for change in hunk {
        write_lines(diff, ' ', &before[next..change.before.start], room)?;
        write_lines(diff, '-', &before[change.before.clone()], room)?;
        write_lines(diff, '+', &after[change.after.clone()], room)?;
        next = change.before.end;
    }
    write_lines(diff, ' ', &before[next..old.end], room)
}

fn write_lines(diff: &mut String, sign: char, lines: &[&str], room: usize) -> Option<()> {
    for line in lines {
        if diff.len() + line.len() > room {
            return None;
        }
        diff.push(sign);
        *diff += line;
        if !line.ends_with('\n') {
            *diff += "\n\\ No newline at end of file\n";
        }
    }
    Some(())
}

/// Returns a line range as in a hunk header: the first line, and the count unless it is one.
fn lines(range: &Range<usize>) -> String {
    match range.len() {
        0 => format!("{},0", range.start),
        1 => (range.start + 1).to_string(),
        count => format!("{},{count}", range.start + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(before: &str, after: &str) -> String {
        Diffs::default().diff(before, after, [1, 2])
    }

    #[test]
    fn shows_changes_with_the_lines_around_them() {
        let before = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\n";
        let after = before.replace("b\n", "B\nb2\n").replace("k\n", "");
        assert_eq!(
            diff(before, &after),
            "--- version 1\n+++ version 2\n@@ -1,5 +1,6 @@\n a\n-b\n+B\n+b2\n c\n d\n e\n\
             @@ -8,5 +9,4 @@\n h\n i\n j\n-k\n l\n"
        );
        assert_eq!(diff(before, before), "");
        assert_eq!(
            diff("", "a\n"),
            "--- version 1\n+++ version 2\n@@ -0,0 +1 @@\n+a\n"
        );
    }

    #[test]
    fn says_where_the_last_line_has_no_end() {
        assert_eq!(
            diff("a", "a\n"),
            "--- version 1\n+++ version 2\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"
        );
    }

    #[test]
    fn shows_no_more_than_an_answer_has_room_for() {
        let long = "tea\n".repeat(SHOWN / 4);
        let mut diffs = Diffs::default();
        let all: usize = (0..20).map(|_| diffs.diff("", &long, [1, 2]).len()).sum();
        assert!(
            (ALL_SHOWN / 2..ALL_SHOWN + 20 * 200).contains(&all),
            "{all}"
        );
        assert!(diff("", &long).ends_with("compare the two versions themselves.\n"));
    }
}
