//! Checks of an action that do not depend on the state of its subject.

use super::{Action, MAX_ACTIONS};
use crate::Violations;
use crate::knowledge::{note, task};

/// Records violations of actions that are invalid in themselves, whatever the state of the notes. The actions are at
/// `pointer` in the command.
pub fn check(actions: &[Action], pointer: &str, violations: &mut Violations) {
    violations.require(
        (1..=MAX_ACTIONS).contains(&actions.len()),
        pointer,
        format!("must be 1 to {MAX_ACTIONS} actions"),
    );
    for (index, action) in actions.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        match action {
            Action::CreateNote { title, body, tags } => {
                note::check(
                    Some(title),
                    Some(body),
                    &pointer,
                    "tags",
                    Some(tags),
                    violations,
                );
            }
            Action::ReviseNote {
                title,
                body,
                base_version,
                ..
            } => {
                check_version(Some(*base_version), &pointer, violations);
                violations.require(
                    title.is_some() || body.is_some(),
                    &pointer,
                    "must change the title or the body",
                );
                note::check(
                    title.as_deref(),
                    body.as_deref(),
                    &pointer,
                    "tags",
                    None,
                    violations,
                );
            }
            Action::TagNote { add, remove, .. } => {
                violations.require(
                    !add.is_empty() || !remove.is_empty(),
                    &pointer,
                    "must add or remove a tag",
                );
                note::check(None, None, &pointer, "add", Some(add), violations);
            }
            Action::LinkNote {
                note_id,
                target_id,
                relation,
            } => {
                violations.require(
                    note_id != target_id,
                    format!("{pointer}/target_id"),
                    "must be another note",
                );
                note::check_relation(relation, &pointer, violations);
            }
            Action::ArchiveNote { base_version, .. } => {
                check_version(*base_version, &pointer, violations);
            }
            Action::UnlinkNote { .. } | Action::DetachArtifact { .. } => {}
            Action::CreateTask {
                title,
                due_on,
                labels,
                ..
            } => task::check(Some(title), *due_on, Some(labels), &pointer, violations),
            Action::ReviseTask {
                base_version,
                title,
                assignee,
                due_on,
                labels,
                ..
            } => {
                check_version(*base_version, &pointer, violations);
                let changes =
                    title.is_some() || assignee.is_some() || due_on.is_some() || labels.is_some();
                violations.require(
                    changes,
                    &pointer,
                    "must change the title, the assignee, the date or the labels",
                );
                task::check(
                    title.as_deref(),
                    due_on.flatten(),
                    labels.as_ref(),
                    &pointer,
                    violations,
                );
            }
            Action::AttachArtifact { file_id, url, .. } => violations.require(
                file_id.is_some() != url.is_some(),
                format!("{pointer}/file_id"),
                "must be given, or url, and not both",
            ),
            Action::CompleteTask { base_version, .. }
            | Action::ReopenTask { base_version, .. }
            | Action::DeleteTask { base_version, .. } => {
                check_version(*base_version, &pointer, violations);
            }
            Action::MoveTask { after, before, .. } => violations.require(
                after.is_some() || before.is_some(),
                format!("{pointer}/after"),
                "must be given, or before, or both",
            ),
        }
    }
}

fn check_version(base_version: Option<i64>, pointer: &str, violations: &mut Violations) {
    violations.require(
        base_version.is_none_or(|version| version > 0),
        format!("{pointer}/base_version"),
        "must be at least 1",
    );
}
