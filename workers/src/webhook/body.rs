//! What a receiver gets: `{type, timestamp, data}`, under 20 kB.

use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Recorded;

use super::payload::EXAMPLE;

/// Longest body in bytes, as Standard Webhooks recommends.
const MAX: usize = 20_000;

/// The body for an event; one that would be too large carries a reference instead, and the wish for an example
/// becomes the example.
pub fn of(event: &Recorded) -> Result<String, serde_json::Error> {
    if event.event_type == EXAMPLE {
        return example(event);
    }
    let whole = body(&event.event_type, event, event)?;
    if whole.len() < MAX {
        return Ok(whole);
    }
    let reference = json!({
        "reference": format!("/v1/events?after={}&limit=1", event.position - 1),
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
    let data = json!({
        "example": true,
        "position": cause.position,
        "event_id": cause.event_id,
        "type": wish.event_type,
        "product_id": cause.product_id,
        "recorded_at": cause.recorded_at,
        "data": {},
    });
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
