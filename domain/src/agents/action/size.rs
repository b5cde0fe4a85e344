//! The size of a change, in characters.

use super::Action;
use crate::knowledge::merge::changed_characters;
use crate::knowledge::note::Note;

impl Action {
    /// Counts the characters of titles, bodies, tags, labels, names and addresses that the action removes and adds;
    /// `base` is the note that it was written for.
    #[must_use]
    pub fn characters(&self, base: Option<&Note>) -> usize {
        let count = |text: &str| text.chars().count();
        match self {
            Self::CreateNote { title, body, tags } => {
                count(title) + count(body) + tags.iter().map(|tag| count(tag)).sum::<usize>()
            }
            Self::ReviseNote { title, body, .. } => {
                let base = base.and_then(Note::content);
                let was = base.map_or(("", ""), |base| (&base.title, &base.body));
                let changed = |was: &str, text: &Option<String>| {
                    text.as_ref()
                        .map_or(0, |text| changed_characters(was, text))
                };
                changed(was.0, title) + changed(was.1, body)
            }
            Self::TagNote { add, remove, .. } => {
                add.iter().chain(remove).map(|tag| count(tag)).sum()
            }
            Self::CreateTask { title, labels, .. } => {
                count(title) + labels.iter().map(|label| count(label)).sum::<usize>()
            }
            Self::ReviseTask { title, labels, .. } => {
                let labels = labels.iter().flatten().map(|label| count(label));
                title.as_deref().map_or(0, count) + labels.sum::<usize>()
            }
            Self::AttachArtifact { name, url, .. } => {
                name.iter().chain(url).map(|text| count(text)).sum()
            }
            Self::ArchiveNote { .. }
            | Self::LinkNote { .. }
            | Self::UnlinkNote { .. }
            | Self::CompleteTask { .. }
            | Self::ReopenTask { .. }
            | Self::MoveTask { .. }
            | Self::DeleteTask { .. }
            | Self::DetachArtifact { .. } => 0,
        }
    }
}
