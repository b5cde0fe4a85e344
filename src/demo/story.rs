//! The story of one proposal from the log: its causes and all its effects.

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::cast::Cast;
use super::error::DemoError;
use super::log::Event;
use super::markdown::shorten;
use crate::progress::print;

/// The answer of `GET /v1/events/{id}/causation`.
#[derive(Deserialize)]
struct Causation {
    event: Event,
    /// Causes, nearest first.
    causes: Vec<Event>,
    effects: Vec<Effect>,
}

#[derive(Deserialize)]
struct Effect {
    event: Event,
    effects: Vec<Self>,
}

pub async fn tell(cast: &Cast, event_id: Uuid) -> Result<(), DemoError> {
    let path = format!("/v1/events/{event_id}/causation");
    let Causation {
        event,
        causes,
        effects,
    } = cast.author.get(&path).await?;
    // Builds a tree with a single branch down to the event, and all effects below it.
    let mut tree = Effect { event, effects };
    for cause in causes {
        tree = Effect {
            event: cause,
            effects: vec![tree],
        };
    }
    let mut lines = vec![format!(
        "\nOne proposal, replayed from the log (GET {path}):\n"
    )];
    draw(cast, &tree, "", "", &mut lines);
    print(&lines.join("\n"));
    Ok(())
}

/// Draws the event's line after `first`, and the lines of its effects after `rest`.
fn draw(cast: &Cast, tree: &Effect, first: &str, rest: &str, lines: &mut Vec<String>) {
    let event = &tree.event;
    let branch = format!("{first}{}", event.r#type);
    let mut who = cast.name(event.metadata.actor.id).to_owned();
    if let Some(proposer) = &event.metadata.on_behalf_of {
        who = format!("{who} for {}", cast.name(proposer.id));
    }
    let about = about(&event.r#type, &event.data);
    lines.push(
        format!("  #{:<7} {branch:<38} {who:<19} {about}", event.position)
            .trim_end()
            .to_owned(),
    );
    for (index, effect) in tree.effects.iter().enumerate() {
        let (fork, below) = if index + 1 == tree.effects.len() {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        draw(
            cast,
            effect,
            &format!("{rest}{fork}"),
            &format!("{rest}{below}"),
            lines,
        );
    }
}

/// Returns the part of an event that interests a reader.
fn about(event_type: &str, data: &Value) -> String {
    let text = |name: &str| data[name].as_str().unwrap_or_default();
    let list = |name: &str| {
        let words = data[name].as_array().into_iter().flatten();
        words
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let said = match event_type {
        "note.created" if text("title").is_empty() => "without a title".into(),
        "note.created" => format!("“{}”", text("title")),
        "note.revised" => match (data["title"].as_str(), data["body"].as_str()) {
            (Some(title), None) => format!("title “{title}”"),
            (Some(title), Some(_)) => format!("title “{title}”, and links"),
            (None, _) => "links".into(),
        },
        "note.tagged" => format!("tags {}", list("added")),
        "tool_call.recorded" => format!("{} through MCP", text("tool")),
        "proposal.submitted" => text("rationale").to_owned(),
        "proposal.approved" => text("comment").to_owned(),
        "proposal.rejected" => text("reason").to_owned(),
        "webhook.delivery_attempted" => match data["status"].as_u64() {
            Some(status) => format!("{status} in {} ms", data["duration_ms"]),
            None => text("error").to_owned(),
        },
        _ => String::new(),
    };
    shorten(&said.replace('\n', " "), 90)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_told_by_what_matters_of_it() {
        let told = |event_type, data| about(event_type, &data);
        assert_eq!(
            told("note.created", json!({"title": ""})),
            "without a title"
        );
        assert_eq!(told("note.revised", json!({"title": "Tea"})), "title “Tea”");
        assert_eq!(told("note.revised", json!({"body": "…"})), "links");
        assert_eq!(
            told("note.tagged", json!({"added": ["a", "b"]})),
            "tags a, b"
        );
        assert_eq!(
            told(
                "webhook.delivery_attempted",
                json!({"status": 204, "duration_ms": 3})
            ),
            "204 in 3 ms"
        );
        assert_eq!(
            told("webhook.delivery_attempted", json!({"error": "refused"})),
            "refused"
        );
        assert_eq!(told("proposal.applied", json!({"notes": []})), "");
    }
}
