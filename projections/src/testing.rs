//! Events as the log records them, for tests.

use chrono::{DateTime, TimeDelta};
use domain::testing::Payload;
use domain::{Actor, Aggregate, EventContract, StreamId};
use store::{Metadata, Recorded};
use uuid::Uuid;

/// Returns the event as recorded at a version of its stream.
pub(crate) fn recorded<A: Aggregate>(version: i64, event: &A::Event) -> Recorded {
    let payload = Payload {
        event_type: event.event_type(),
        version: event.version(),
        data: serde_json::to_string(event).unwrap(),
    };
    recorded_payload::<A>(version, payload)
}

/// Returns a payload of any contract version as recorded at a version of its stream.
pub(crate) fn recorded_payload<A: Aggregate>(version: i64, payload: Payload) -> Recorded {
    Recorded {
        position: 10 * version,
        product_id: Uuid::from_u128(9),
        stream: StreamId::of::<A>(Uuid::from_u128(8)),
        version,
        event_id: Uuid::from_u128(7),
        event_type: payload.event_type.into(),
        contract_version: payload.version,
        data: payload.data,
        metadata: Metadata {
            actor: Actor::SYSTEM,
            credential: None,
            on_behalf_of: None,
            command: String::new(),
            command_key: None,
            reason: None,
            traceparent: None,
        },
        correlation_id: Uuid::nil(),
        causation_id: None,
        recorded_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(version),
        workspace_id: None,
    }
}
