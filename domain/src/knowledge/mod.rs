//! Notes, tasks and artifacts, and the workspaces that hold them.

use crate::Contract;

pub mod artifact;
pub mod calendar_feed;
pub mod checklist;
pub mod line_diff;
pub mod merge;
pub mod names;
pub mod note;
pub mod place;
pub mod rank;
pub mod tag;
pub mod task;
pub mod task_line;
pub mod wiki;
pub mod workspace;

/// The registry of this group's aggregates.
pub(crate) fn contracts() -> Vec<Contract> {
    vec![
        Contract::of::<workspace::Workspace>(),
        Contract::of::<note::Note>(),
        Contract::of::<task::Task>(),
        Contract::of::<checklist::Checklist>(),
        Contract::of::<calendar_feed::CalendarFeed>(),
        Contract::of::<artifact::Artifact>(),
    ]
}
