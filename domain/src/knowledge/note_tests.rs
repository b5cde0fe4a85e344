//! Decisions on notes, as sentences.

use super::*;
use crate::testing::given;

fn tags(tags: &[&str]) -> BTreeSet<String> {
    tags.iter().map(ToString::to_string).collect()
}

fn created() -> NoteEvent {
    NoteEvent::Created {
        workspace_id: Uuid::from_u128(7),
        title: "Tea".into(),
        body: "Steep it.".into(),
        tags: tags(&["drink"]),
        aliases: BTreeSet::new(),
        file: None,
    }
}

fn create(title: &str, with: &[&str]) -> NoteCommand {
    NoteCommand::Create {
        workspace_id: Uuid::from_u128(7),
        title: title.into(),
        body: "Steep it.".into(),
        tags: tags(with),
        aliases: BTreeSet::new(),
        file: None,
    }
}

fn retitle(title: &str) -> NoteCommand {
    NoteCommand::Revise(Changes {
        title: Some(title.into()),
        ..Changes::default()
    })
}

#[test]
fn it_is_created_with_its_tags_in_lower_case() {
    given::<Note>([])
        .when(create("Tea", &[" Drink "]))
        .then([created()]);
}

#[test]
fn it_is_created_once() {
    given::<Note>([created()])
        .when(create("Tea", &[]))
        .then_refused(NoteRefusal::Exists);
    given::<Note>([created(), NoteEvent::Purged {}])
        .when(create("Tea", &[]))
        .then_refused(NoteRefusal::Exists);
}

#[test]
fn every_field_at_fault_is_named() {
    given::<Note>([])
        .when(create(&"x".repeat(501), &["", "ok"]))
        .then_invalid(&["/title", "/tags"]);
    given::<Note>([])
        .when(NoteCommand::Create {
            workspace_id: Uuid::nil(),
            title: String::new(),
            body: "x".repeat(MAX_BODY + 1),
            tags: (0..65).map(|n| n.to_string()).collect(),
            aliases: BTreeSet::new(),
            file: None,
        })
        .then_invalid(&["/body", "/tags"]);
}

#[test]
fn a_revision_records_only_what_changes() {
    given::<Note>([created()])
        .when(NoteCommand::Revise(Changes {
            title: Some("Green tea".into()),
            body: Some("Steep it.".into()),
            tags: Some(tags(&["green"])),
            ..Changes::default()
        }))
        .then([
            NoteEvent::Revised {
                title: Some("Green tea".into()),
                body: None,
                merged: None,
                aliases: None,
                file: None,
            },
            NoteEvent::Tagged {
                added: tags(&["green"]),
                removed: tags(&["drink"]),
            },
        ]);
    given::<Note>([created()])
        .when(retitle("Tea"))
        .then_nothing();
}

#[test]
fn tagging_adds_what_is_new_and_removes_what_is_there() {
    let tag = |add: &[&str], remove: &[&str]| NoteCommand::Tag {
        add: tags(add),
        remove: tags(remove),
    };
    given::<Note>([created()])
        .when(tag(&["Hot", "drink"], &["cold"]))
        .then([NoteEvent::Tagged {
            added: tags(&["hot"]),
            removed: tags(&[]),
        }]);
    given::<Note>([created()])
        .when(tag(&["drink"], &["drink"]))
        .then_nothing();
    given::<Note>([created()])
        .when(tag(&[" "], &[]))
        .then_invalid(&["/add"]);
}

#[test]
fn only_an_active_one_is_revised_or_tagged() {
    for place in [NoteEvent::Archived {}, NoteEvent::Trashed {}] {
        given::<Note>([created(), place.clone()])
            .when(retitle("Coffee"))
            .then_refused(NoteRule::NotActive);
        given::<Note>([created(), place])
            .when(NoteCommand::Tag {
                add: tags(&["x"]),
                remove: tags(&[]),
            })
            .then_refused(NoteRule::NotActive);
    }
}

#[test]
fn it_moves_between_active_archive_and_trash() {
    given::<Note>([created()])
        .when(NoteCommand::Archive)
        .then([NoteEvent::Archived {}]);
    given::<Note>([created(), NoteEvent::Archived {}])
        .when(NoteCommand::Trash)
        .then([NoteEvent::Trashed {}]);
    given::<Note>([created(), NoteEvent::Trashed {}])
        .when(NoteCommand::Restore)
        .then([NoteEvent::Restored {}]);
    given::<Note>([created(), NoteEvent::Trashed {}])
        .when(NoteCommand::Archive)
        .then_refused(NoteRule::NotActive);
}

#[test]
fn moving_to_where_it_is_needs_no_event() {
    given::<Note>([created()])
        .when(NoteCommand::Restore)
        .then_nothing();
    given::<Note>([created(), NoteEvent::Archived {}])
        .when(NoteCommand::Archive)
        .then_nothing();
    given::<Note>([created(), NoteEvent::Trashed {}])
        .when(NoteCommand::Trash)
        .then_nothing();
}

#[test]
fn it_is_purged_only_from_the_trash() {
    given::<Note>([created()])
        .when(NoteCommand::Purge)
        .then_refused(NoteRule::NotInTrash);
    given::<Note>([created(), NoteEvent::Trashed {}])
        .when(NoteCommand::Purge)
        .then([NoteEvent::Purged {}]);
}

#[test]
fn a_purged_one_is_not_found() {
    given::<Note>([created(), NoteEvent::Trashed {}, NoteEvent::Purged {}])
        .when(NoteCommand::Restore)
        .then_refused(NoteRefusal::NotFound);
}

fn file(path: &str) -> SourceFile {
    SourceFile {
        path: path.into(),
        sha256: "5e".repeat(32),
        byte_order_mark: false,
        created_at: None,
        modified_at: None,
    }
}

fn of_file(path: &str) -> NoteEvent {
    NoteEvent::Created {
        workspace_id: Uuid::from_u128(7),
        title: "Tea".into(),
        body: "Steep it.".into(),
        tags: BTreeSet::new(),
        aliases: tags(&["Cha"]),
        file: Some(file(path)),
    }
}

fn revise(changes: Changes) -> NoteCommand {
    NoteCommand::Revise(changes)
}

#[test]
fn it_keeps_its_aliases_and_the_file_it_was_made_of() {
    given::<Note>([])
        .when(NoteCommand::Create {
            workspace_id: Uuid::from_u128(7),
            title: "Tea".into(),
            body: "Steep it.".into(),
            tags: BTreeSet::new(),
            aliases: tags(&[" Cha "]),
            file: Some(file("Tea.md")),
        })
        .then([of_file("Tea.md")]);
    given::<Note>([of_file("Tea.md")])
        .when(revise(Changes {
            aliases: Some(tags(&["Cha"])),
            file: Some(file("Tea.md")),
            ..Changes::default()
        }))
        .then_nothing();
    given::<Note>([of_file("Tea.md")])
        .when(revise(Changes {
            aliases: Some(tags(&["Tee"])),
            ..Changes::default()
        }))
        .then([NoteEvent::Revised {
            title: None,
            body: None,
            merged: None,
            aliases: Some(tags(&["Tee"])),
            file: None,
        }]);
}

#[test]
fn a_move_of_its_file_repeats_the_body_whose_links_start_there() {
    let newer = SourceFile {
        sha256: "6f".repeat(32),
        ..file("Tea.md")
    };
    for (file, body) in [
        (newer, None),
        (file("Drinks/Tea.md"), Some("Steep it.".into())),
    ] {
        given::<Note>([of_file("Tea.md")])
            .when(revise(Changes {
                file: Some(file.clone()),
                ..Changes::default()
            }))
            .then([NoteEvent::Revised {
                title: None,
                body,
                merged: None,
                aliases: None,
                file: Some(file),
            }]);
    }
}

#[test]
fn aliases_are_names_and_files_stay_below_their_folder() {
    for alias in ["", " ", "two\nlines", &"x".repeat(MAX_TITLE + 1)] {
        given::<Note>([created()])
            .when(revise(Changes {
                aliases: Some(tags(&[alias])),
                ..Changes::default()
            }))
            .then_invalid(&["/aliases"]);
    }
    let wrong = SourceFile {
        sha256: "tea".into(),
        ..file("../Tea.md")
    };
    given::<Note>([created()])
        .when(revise(Changes {
            aliases: Some((0..=MAX_ALIASES).map(|n| n.to_string()).collect()),
            file: Some(wrong),
            ..Changes::default()
        }))
        .then_invalid(&["/aliases", "/file/path", "/file/sha256"]);
}
