//! Things as text, so that a diff shows all that changes about them.

use std::fmt::Write as _;
use std::time::Duration;

use domain::knowledge::note::Note;
use domain::knowledge::task::Task;
use similar::TextDiff;

/// Time that a diff may take to become as small as it can be.
const MINIMISING: Duration = Duration::from_millis(200);

/// A note; nothing where there is none.
pub fn of_note(note: &Note) -> String {
    note.content().map_or_else(String::new, |content| {
        let tags: Vec<&str> = content.tags.iter().map(String::as_str).collect();
        let mut text = format!("title: {}\ntags: {}\n", content.title, tags.join(", "));
        match note {
            Note::Archived(_) => text += "status: archived\n",
            Note::Trashed(_) => text += "status: trashed\n",
            Note::Active(_) | Note::Absent | Note::Purged => {}
        }
        for link in &content.links {
            let _ = writeln!(text, "{}: {}", link.relation, link.target_id);
        }
        text + "\n" + &content.body
    })
}

/// A task; nothing where there is none.
pub fn of_task(task: &Task) -> String {
    let Task::Present(draft, status) = task else {
        return String::new();
    };
    let status: &str = status.into();
    let labels: Vec<&str> = draft.labels.iter().map(String::as_str).collect();
    let mut text = format!("title: {}\nstatus: {status}\n", draft.title);
    if let Some(note_id) = draft.note_id {
        let _ = writeln!(text, "note: {note_id}");
    }
    if let Some(assignee) = draft.assignee {
        let _ = writeln!(text, "assignee: {assignee}");
    }
    if let Some(due_on) = draft.due_on {
        let _ = writeln!(text, "due: {due_on}");
    }
    let _ = writeln!(text, "labels: {}\nrank: {}", labels.join(", "), draft.rank);
    text
}

/// A unified diff between two versions.
pub fn diff(before: &str, after: &str, versions: [i64; 2]) -> String {
    let [from, to] = versions.map(|version| format!("version {version}"));
    TextDiff::configure()
        .timeout(MINIMISING)
        .diff_lines(before, after)
        .unified_diff()
        .context_radius(3)
        .header(&from, &to)
        .to_string()
}
