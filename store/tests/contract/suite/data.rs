//! Events are read as they were appended.

use domain::{Actor, ActorKind};
use store::{AppendError, Direction, Expected, Metadata, NewEvent, Recorded};
use uuid::Uuid;

use crate::backend::Backend;
use crate::harness::{AppendExt as _, PRODUCT, append, event, event_with_data, log, new_stream};

/// Number of events for which a backend may use another way of writing.
const MANY: usize = 40;

pub async fn data_comes_back_byte_for_byte(backend: &impl Backend) {
    let store = backend.node().await;
    let stream = new_stream();
    let long = format!(r#"{{"body":"{}"}}"#, "ä🦀\\n\\\"x".repeat(1 << 17));
    assert!(long.len() > 1 << 20);
    let data = [
        r#"{"z":1,"a":2,"m":{"b":[],"a":{}}}"#,
        " \t\r\n{ \"a\" :\n[ 1 ,2 ] }\n\n",
        r#"{"a":1,"a":2,"a":null}"#,
        r#"[1e400,-0,0.10,1E+2,123456789012345678901234567890,0.1000000000000000055511151231257827]"#,
        r#"{"nul":"\u0000","high":"\ud83e\udd80","lone":"\ud800","slash":"\/","del":"\u007f"}"#,
        "{\"as written\":\"\u{7f}\u{80}\u{2028}é e\u{301} 漢字 🦀 \u{10ffff}\"}",
        r#""text""#,
        "null",
        "\\u0022",
        &long,
    ];
    let valid = data.iter().filter(|data| !data.starts_with('\\'));
    for data in valid.clone() {
        store
            .append(append([event_with_data(&stream, *data)]))
            .await
            .unwrap();
    }
    let together = valid.clone().cycle().take(MANY);
    let events = together.clone().map(|data| event_with_data(&stream, *data));
    store
        .append(append(events).expecting(&stream, Expected::Existing))
        .await
        .unwrap();

    let read = store
        .read_stream(&stream, 0, Direction::Forwards, 100)
        .await
        .unwrap();

    assert!(
        read.iter()
            .map(|event| event.data.as_str())
            .eq(valid.chain(together).copied())
    );
    assert!(
        log(&*store)
            .await
            .iter()
            .zip(&read)
            .all(|(one, other)| one == other)
    );
}

pub async fn what_is_not_json_is_rejected(backend: &impl Backend) {
    let store = backend.node().await;
    let nested = "[".repeat(1_000_000);
    for data in [
        "", " ", "{", "{'a':1}", "nul", "[1,]", "{}{}", "NaN", "\0", "\"\n\"", &nested,
    ] {
        let refused = store
            .append(append([event_with_data(&new_stream(), data)]))
            .await
            .unwrap_err();
        assert!(matches!(refused, AppendError::Rejected(_)), "{refused}");
    }
    assert_eq!(log(&*store).await, []);
}

pub async fn the_envelope_comes_back_whole(backend: &impl Backend) {
    for count in [1, MANY] {
        let store = backend.node().await;
        let said: Vec<_> = (0..count).map(event_with_everything).collect();
        let before = log(&*store).await.len();
        let new = said.iter().fold(append(said.clone()), |append, event| {
            append.expecting(&event.stream, Expected::NoStream)
        });

        let appended = store.append(new).await.unwrap();

        let recorded = log(&*store).await.split_off(before);
        assert_eq!(recorded.len(), count);
        for ((said, recorded), place) in said.into_iter().zip(recorded).zip(appended.placed) {
            let as_said = Recorded::placed(said, PRODUCT, place, appended.recorded_at);
            assert_eq!(recorded, as_said);
        }
    }
}

fn event_with_everything(n: usize) -> NewEvent {
    NewEvent {
        event_type: "note.über_%*\\'".into(),
        contract_version: u16::MAX,
        metadata: Metadata {
            actor: Actor {
                kind: ActorKind::Person,
                id: Uuid::now_v7(),
            },
            credential: Some(Uuid::now_v7()),
            on_behalf_of: Some(Actor {
                kind: ActorKind::Agent,
                id: Uuid::now_v7(),
            }),
            command: "proposal.approve".into(),
            command_key: Some("\"7\"".into()),
            reason: Some("it is\n\"right\" \u{0}🦀".into()),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        },
        causation_id: n.is_multiple_of(2).then(Uuid::now_v7),
        workspace_id: n.is_multiple_of(3).then(Uuid::now_v7),
        ..event(&new_stream())
    }
}
