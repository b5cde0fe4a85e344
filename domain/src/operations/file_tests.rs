use chrono::TimeDelta;

use super::*;
use crate::testing::{PERSON, given, noon};

const WORKSPACE: Uuid = Uuid::from_u128(9);

fn upload() -> Upload {
    Upload {
        container: Container::Attachments,
        name: "tea.txt".into(),
        media_type: "text/plain".into(),
        size: 3,
        sha256: None,
        workspace_id: None,
        owner: PERSON,
        expires_at: noon() + TimeDelta::minutes(15),
    }
}

fn request(upload: Upload) -> FileCommand {
    FileCommand::Request {
        upload,
        max_size: 10,
    }
}

fn requested(upload: Upload) -> FileEvent {
    FileEvent::Requested { upload }
}

fn content(byte: &str) -> Content {
    Content {
        sha256: byte.repeat(32),
        generation: 0,
    }
}

fn store(size: u64, byte: &str) -> FileCommand {
    FileCommand::Store {
        size,
        content: content(byte),
    }
}

fn stored() -> FileEvent {
    FileEvent::Stored {
        container: Container::Attachments,
        name: "tea.txt".into(),
        media_type: "text/plain".into(),
        size: 3,
        content: content("5e"),
    }
}

fn note(n: u128) -> StreamId {
    StreamId::new("artifact", Uuid::from_u128(n))
}

fn refer(by: StreamId, workspace_id: Option<Uuid>) -> FileCommand {
    FileCommand::Refer { by, workspace_id }
}

#[test]
fn it_is_asked_for_once() {
    given::<File>([])
        .when(request(upload()))
        .then([requested(upload())]);
    for then in [vec![], vec![stored()], vec![FileEvent::Deleted {}]] {
        given::<File>([vec![requested(upload())], then].concat())
            .when(request(upload()))
            .then_refused(FileRefusal::Exists);
    }
}

#[test]
fn everything_that_is_wrong_with_it_is_named_at_once() {
    let wrong = Upload {
        name: String::new(),
        media_type: "Text".into(),
        size: 11,
        sha256: Some("5E".repeat(32)),
        ..upload()
    };
    given::<File>([]).when(request(wrong)).then_invalid(&[
        "/name",
        "/media_type",
        "/size",
        "/sha256",
    ]);
}

#[test]
fn its_name_is_no_path_and_shows_what_it_is() {
    for name in [
        "../secret",
        "a/b",
        "a\\b",
        ".",
        "..",
        "a\nb",
        "a\0",
        "\u{202e}txt.exe",
    ] {
        let named = Upload {
            name: name.into(),
            ..upload()
        };
        given::<File>([])
            .when(request(named))
            .then_invalid(&["/name"]);
    }
    for name in ["…", "a b.txt", "..txt", "日本.pdf", "a\"b;c"] {
        let named = Upload {
            name: name.into(),
            ..upload()
        };
        given::<File>([])
            .when(request(named.clone()))
            .then([requested(named)]);
    }
}

#[test]
fn a_container_takes_only_what_it_is_for() {
    let text = Upload {
        container: Container::Avatars,
        ..upload()
    };
    given::<File>([])
        .when(request(text))
        .then_invalid(&["/media_type"]);
}

#[test]
fn it_may_be_empty() {
    let empty = Upload {
        size: 0,
        ..upload()
    };
    given::<File>([])
        .when(request(empty.clone()))
        .then([requested(empty)]);
}

#[test]
fn it_arrives_as_it_was_asked_for() {
    given::<File>([requested(upload())])
        .when(store(3, "5e"))
        .then([stored()]);
    given::<File>([requested(upload())])
        .when(store(4, "5e"))
        .then_refused(FileRule::SizeMismatch {
            expected: 3,
            found: 4,
        });
    let announced = Upload {
        sha256: Some("ab".repeat(32)),
        ..upload()
    };
    given::<File>([requested(announced)])
        .when(store(3, "5e"))
        .then_refused(FileRule::DigestMismatch {
            expected: "ab".repeat(32),
            found: "5e".repeat(32),
        });
}

#[test]
fn it_arrives_once() {
    given::<File>([requested(upload()), stored()])
        .when(store(3, "5e"))
        .then_nothing();
    given::<File>([requested(upload()), stored()])
        .when(store(3, "ab"))
        .then_refused(FileRule::AlreadyStored);
    given::<File>([requested(upload()), FileEvent::Expired {}])
        .when(store(3, "5e"))
        .then_refused(FileRefusal::NotFound);
}

#[test]
fn it_expires_when_its_time_is_over_and_not_before_and_not_when_it_is_there() {
    let at = |minutes| noon() + TimeDelta::minutes(minutes);
    given::<File>([requested(upload())])
        .when_at(at(14), PERSON, FileCommand::Expire)
        .then_nothing();
    given::<File>([requested(upload())])
        .when_at(at(15), PERSON, FileCommand::Expire)
        .then([FileEvent::Expired {}]);
    for last in [stored(), FileEvent::Expired {}] {
        given::<File>([requested(upload()), last])
            .when_at(at(16), PERSON, FileCommand::Expire)
            .then_nothing();
    }
}

#[test]
fn what_is_needed_is_not_deleted() {
    let referenced = |by| FileEvent::Referenced { by };
    given::<File>([requested(upload()), stored()])
        .when(refer(note(1), None))
        .then([referenced(note(1))]);
    given::<File>([
        requested(upload()),
        stored(),
        referenced(note(1)),
        referenced(note(2)),
    ])
    .when(FileCommand::Delete)
    .then_refused(FileRule::InUse {
        by: note(1),
        others: 1,
    });
    given::<File>([
        requested(upload()),
        stored(),
        referenced(note(1)),
        FileEvent::Unreferenced { by: note(1) },
    ])
    .when(FileCommand::Delete)
    .then([FileEvent::Deleted {}]);
}

#[test]
fn what_has_not_come_cannot_be_needed_and_what_is_elsewhere_neither() {
    given::<File>([requested(upload())])
        .when(refer(note(1), None))
        .then_refused(FileRule::NotStored);
    let bound = Upload {
        workspace_id: Some(WORKSPACE),
        ..upload()
    };
    for other in [None, Some(Uuid::from_u128(10))] {
        given::<File>([requested(bound.clone()), stored()])
            .when(refer(note(1), other))
            .then_refused(FileRule::Elsewhere);
    }
    given::<File>([requested(bound), stored()])
        .when(refer(note(1), Some(WORKSPACE)))
        .then([FileEvent::Referenced { by: note(1) }]);
}

#[test]
fn what_is_gone_is_gone() {
    for command in [store(3, "5e"), FileCommand::Delete, refer(note(1), None)] {
        for events in [vec![], vec![requested(upload()), FileEvent::Deleted {}]] {
            given::<File>(events)
                .when(command.clone())
                .then_refused(FileRefusal::NotFound);
        }
    }
}

#[test]
fn it_is_resized_once() {
    let rendition = Rendition {
        pixels: 64,
        media_type: "image/png".into(),
        size: 1,
        sha256: "64".repeat(32),
        generation: 0,
    };
    let resize = FileCommand::Resize {
        renditions: vec![rendition.clone()],
    };
    let resized = FileEvent::Resized {
        renditions: vec![rendition],
    };
    given::<File>([requested(upload()), stored()])
        .when(resize.clone())
        .then([resized.clone()]);
    given::<File>([requested(upload()), stored(), resized.clone()])
        .when(resize)
        .then_nothing();
    let file: File = crate::fold([requested(upload()), stored(), resized]);
    let blobs = file.stored().unwrap().blobs(Uuid::nil());
    let digests: Vec<&str> = blobs.iter().map(|key| key.sha256.as_str()).collect();
    assert_eq!(digests, ["5e".repeat(32), "64".repeat(32)]);
}
