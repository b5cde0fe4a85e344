//! The body of a delivery: `{type, timestamp, data}`, under 20 kB.

use domain::Sample;
use domain::delivery::webhook::EXAMPLE_REQUESTED;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Recorded;
use uuid::Uuid;

/// Maximum length of a body in bytes, as Standard Webhooks recommends.
const MAX: usize = 20_000;

/// Returns the body for an event. If it would be too large it has a reference instead, and a request for an example
/// becomes the example.
pub fn of(event: &Recorded) -> Result<String, serde_json::Error> {
    if event.event_type == EXAMPLE_REQUESTED {
        return example(event);
    }
    let whole = body(&event.event_type, event, event)?;
    if whole.len() < MAX {
        return Ok(whole);
    }
    let reference = json!({
        "reference": format!("/v1/events/{}", event.event_id),
        "position": event.position,
        "event_id": event.event_id,
        "type": event.event_type,
        "product_id": event.product_id,
        "stream": event.stream,
        "version": event.version,
        "recorded_at": event.recorded_at,
    });
    body(&event.event_type, event, &reference)
}

fn example(cause: &Recorded) -> Result<String, serde_json::Error> {
    #[derive(Deserialize)]
    struct Wish {
        event_type: String,
    }
    let wish: Wish = serde_json::from_str(&cause.data)?;
    let mut event = cause.clone();
    // The example refers to no existing actor or resource.
    event.stream.id = Uuid::nil();
    event.metadata.actor.id = Uuid::nil();
    event.metadata.reason = None;
    if let Some(sample) = Sample::of(&wish.event_type) {
        event.stream.category = sample.category.into();
        event.contract_version = sample.contract_version;
        event.data = sample.data.into();
    }
    event.event_type.clone_from(&wish.event_type);
    let mut data = serde_json::to_value(&event)?;
    data["example"] = true.into();
    body(&wish.event_type, cause, &data)
}

fn body(
    event_type: &str,
    cause: &Recorded,
    data: &impl Serialize,
) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct Body<'a, D> {
        r#type: &'a str,
        timestamp: chrono::DateTime<chrono::Utc>,
        data: &'a D,
    }
    serde_json::to_string(&Body {
        r#type: event_type,
        timestamp: cause.recorded_at,
        data,
    })
}
