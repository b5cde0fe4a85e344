//! Links from a note to another of its workspace, each with a relation.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Content, NoteEvent, NoteRefusal, NoteRule};
use crate::{Violations, excerpt};

/// The maximum number of links from one note.
pub const MAX_LINKS: usize = 200;

/// A link to another note; it stays valid if that note is renamed.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct TypedLink {
    pub target_id: Uuid,
    /// Relation of the note to the other: `relates_to`, `blocks`, `duplicates`, `cites`, or another name that a product
    /// chooses.
    pub relation: String,
}

impl TypedLink {
    #[must_use]
    pub fn new(target_id: Uuid, relation: &str) -> Self {
        Self {
            target_id,
            relation: relation.to_owned(),
        }
    }

    pub(super) fn made(self) -> NoteEvent {
        let Self {
            target_id,
            relation,
        } = self;
        NoteEvent::Linked {
            target_id,
            relation,
        }
    }

    pub(super) fn undone(self) -> NoteEvent {
        let Self {
            target_id,
            relation,
        } = self;
        NoteEvent::Unlinked {
            target_id,
            relation,
        }
    }
}

impl Content {
    pub(super) fn link(&self, link: TypedLink) -> Result<Vec<NoteEvent>, NoteRefusal> {
        let mut violations = Violations::default();
        check_relation(&link.relation, "", &mut violations);
        violations.into_result()?;
        if self.links.contains(&link) {
            Ok(vec![])
        } else if self.links.len() < MAX_LINKS {
            Ok(vec![link.made()])
        } else {
            Err(NoteRule::TooManyLinks.into())
        }
    }

    /// Removes the link with one relation, or with all relations.
    pub(super) fn unlink(&self, target_id: Uuid, relation: Option<&str>) -> Vec<NoteEvent> {
        let concerns = |link: &&TypedLink| {
            link.target_id == target_id && relation.is_none_or(|relation| relation == link.relation)
        };
        let links = self.links.iter().filter(concerns).cloned();
        links.map(TypedLink::undone).collect()
    }
}

/// Records a violation if a relation's name is invalid; the pointer starts with `prefix`.
pub(crate) fn check_relation(relation: &str, prefix: &str, violations: &mut Violations) {
    let is_name = (1..=40).contains(&relation.len())
        && relation.starts_with(|first: char| first.is_ascii_lowercase())
        && relation
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    violations.require(
        is_name,
        format!("{prefix}/relation"),
        format!(
            "must be 1 to 40 lower-case letters, digits and underscores, a letter first; {} is not",
            excerpt(relation)
        ),
    );
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{Note, NoteCommand};
    use super::*;
    use crate::testing::given;

    const TEA: Uuid = Uuid::from_u128(1);
    const WATER: Uuid = Uuid::from_u128(2);

    fn created() -> NoteEvent {
        NoteEvent::Created {
            workspace_id: Uuid::from_u128(7),
            title: "Kettle".into(),
            body: String::new(),
            tags: BTreeSet::new(),
            aliases: BTreeSet::new(),
            file: None,
        }
    }

    fn link(target_id: Uuid, relation: &str) -> NoteCommand {
        NoteCommand::Link(TypedLink::new(target_id, relation))
    }

    fn unlink(target_id: Uuid, relation: Option<&str>) -> NoteCommand {
        NoteCommand::Unlink {
            target_id,
            relation: relation.map(str::to_owned),
        }
    }

    fn linked(target_id: Uuid, relation: &str) -> NoteEvent {
        TypedLink::new(target_id, relation).made()
    }

    fn unlinked(target_id: Uuid, relation: &str) -> NoteEvent {
        TypedLink::new(target_id, relation).undone()
    }

    #[test]
    fn a_note_is_linked_once_by_each_relation() {
        given::<Note>([created()])
            .when(link(TEA, "blocks"))
            .then([linked(TEA, "blocks")]);
        given::<Note>([created(), linked(TEA, "blocks")])
            .when(link(TEA, "cites"))
            .then([linked(TEA, "cites")]);
        given::<Note>([created(), linked(TEA, "blocks")])
            .when(link(TEA, "blocks"))
            .then_nothing();
        given::<Note>([created(), linked(TEA, "blocks"), unlinked(TEA, "blocks")])
            .when(link(TEA, "blocks"))
            .then([linked(TEA, "blocks")]);
    }

    #[test]
    fn a_link_is_undone_by_its_relation_or_with_all_to_the_same_note() {
        let events = [
            created(),
            linked(TEA, "cites"),
            linked(TEA, "blocks"),
            linked(WATER, "blocks"),
        ];
        given::<Note>(events.clone())
            .when(unlink(TEA, Some("blocks")))
            .then([unlinked(TEA, "blocks")]);
        given::<Note>(events.clone())
            .when(unlink(TEA, None))
            .then([unlinked(TEA, "blocks"), unlinked(TEA, "cites")]);
        given::<Note>(events)
            .when(unlink(WATER, Some("cites")))
            .then_nothing();
    }

    #[test]
    fn a_relation_is_a_short_word_in_snake_case() {
        for relation in ["a", "relates_to", "is_2nd", &"x".repeat(40)] {
            given::<Note>([created()])
                .when(link(TEA, relation))
                .then([linked(TEA, relation)]);
        }
        for relation in [
            "",
            "Blocks",
            "_x",
            "2nd",
            "a-b",
            "a b",
            "é",
            &"x".repeat(41),
        ] {
            given::<Note>([created()])
                .when(link(TEA, relation))
                .then_invalid(&["/relation"]);
        }
    }

    #[test]
    fn a_note_has_no_more_links_than_anybody_would_read() {
        let links = (0..MAX_LINKS).map(|n| linked(TEA, &format!("r{n}")));
        let full: Vec<NoteEvent> = std::iter::once(created()).chain(links).collect();
        given::<Note>(full.clone())
            .when(link(TEA, "one_more"))
            .then_refused(NoteRule::TooManyLinks);
        given::<Note>(full.clone())
            .when(link(TEA, "r0"))
            .then_nothing();
        given::<Note>(full.into_iter().chain([unlinked(TEA, "r0")]))
            .when(link(TEA, "one_more"))
            .then([linked(TEA, "one_more")]);
    }

    #[test]
    fn only_an_active_one_is_linked_or_unlinked() {
        for place in [NoteEvent::Archived {}, NoteEvent::Trashed {}] {
            for command in [link(WATER, "blocks"), unlink(TEA, None)] {
                given::<Note>([created(), linked(TEA, "blocks"), place.clone()])
                    .when(command)
                    .then_refused(NoteRule::NotActive);
            }
        }
        for command in [link(WATER, "blocks"), unlink(TEA, None)] {
            given::<Note>([created(), NoteEvent::Trashed {}, NoteEvent::Purged {}])
                .when(command)
                .then_refused(NoteRefusal::NotFound);
        }
    }
}
