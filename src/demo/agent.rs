//! The agent: reads the notes with a key of its own, and proposes what would make them better. It cannot change anything.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::cast::Cast;
use super::client::Cause;
use super::error::DemoError;
use super::idea::{Idea, Note, ideas};
use super::progress::{Phase, count};

/// Requests on their way at once.
const AT_ONCE: usize = 16;
/// What made the proposal; a language model would give its own name.
const MODEL: &str = "daybook-demo/term-frequency";

#[derive(Deserialize)]
struct Proposal {
    actions: Vec<Action>,
}

#[derive(Deserialize)]
struct Action {
    note_id: Option<Uuid>,
}

#[derive(Deserialize)]
struct History {
    items: Vec<Version>,
}

#[derive(Deserialize)]
struct Version {
    event_id: Uuid,
    correlation_id: Uuid,
}

/// Proposes at most one thing per note; returns how many.
pub async fn run(cast: &Cast) -> Result<usize, DemoError> {
    let phase = Phase::start("propose", 0);
    let in_workspace = format!("workspace_id={}&limit=100", cast.workspace_id);
    let notes: Vec<Note> = cast
        .agent
        .list(&format!("/v1/notes?status=active&{in_workspace}"))
        .await?;
    let before: Vec<Proposal> = cast
        .agent
        .list(&format!("/v1/proposals?{in_workspace}"))
        .await?;
    // Whatever became of it, nobody wants to hear it twice.
    let spoken_of: HashSet<Uuid> = before
        .iter()
        .flat_map(|proposal| &proposal.actions)
        .filter_map(|action| action.note_id)
        .collect();
    let ideas: Vec<Idea<'_>> = ideas(&notes)
        .into_iter()
        .filter(|idea| !spoken_of.contains(&idea.note.id))
        .collect();
    let total = ideas.len();
    phase.set_length(total);
    stream::iter(ideas)
        .map(|idea| propose(cast, idea))
        .buffer_unordered(AT_ONCE)
        .try_for_each(async |()| {
            phase.step();
            Ok(())
        })
        .await?;
    phase.finish(&count(total, "proposal"));
    Ok(total)
}

async fn propose(cast: &Cast, idea: Idea<'_>) -> Result<(), DemoError> {
    let body = json!({
        "workspace_id": cast.workspace_id,
        "actions": idea.actions(),
        "rationale": idea.rationale(),
        "confidence": idea.confidence(),
        "model": MODEL,
        "run_id": format!("demo-{}", cast.product_id),
    });
    let mut proposal = cast.agent.post("/v1/proposals", body);
    if let Some(cause) = last_change(cast, idea.note).await? {
        proposal = proposal.because(cause);
    }
    proposal.send::<Value>().await?;
    Ok(())
}

/// The event that made the note what it is: what the agent reacts to.
async fn last_change(cast: &Cast, note: &Note) -> Result<Option<Cause>, DemoError> {
    let path = format!("/v1/notes/{}/history?limit=1", note.id);
    let history: History = cast.agent.get(&path).await?;
    Ok(history.items.first().map(|version| Cause {
        event_id: version.event_id,
        correlation_id: version.correlation_id,
    }))
}
