//! Read models of workspaces, notes, tasks, artifacts and links, and search.

use std::sync::Arc;

use crate::Consumer;
use crate::models::model;

pub mod artifact;
pub mod calendar_feed;
pub mod checklist;
pub mod link;
pub mod note;
#[cfg(test)]
mod properties;
pub mod search;
pub mod task;
pub mod workspace;

/// The registry of this group's read models.
pub(crate) fn models() -> Vec<Arc<dyn Consumer>> {
    vec![
        model::<workspace::Workspaces>(),
        model::<note::Notes>(),
        Arc::new(link::Links::default()),
        Arc::new(search::Search::default()),
        model::<task::Tasks>(),
        model::<checklist::Checklists>(),
        model::<calendar_feed::CalendarFeeds>(),
        model::<artifact::Artifacts>(),
    ]
}
