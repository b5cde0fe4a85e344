//! The reviewer: a person who approves most proposals, edits one and rejects one; also tests forbidden approvals.

use std::collections::HashMap;

use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::cast::Cast;
use super::error::DemoError;
use super::log::Event;
use crate::client::{Cause, Client, ClientError};
use crate::progress::{Phase, count, say};

/// Number of concurrent requests.
const AT_ONCE: usize = 16;

/// A proposal, as returned by the API.
#[derive(Deserialize)]
struct Proposal {
    id: Uuid,
    status: String,
    actions: Vec<Value>,
    confidence: Option<f64>,
    #[serde(default)]
    conflicts: Vec<Value>,
}

/// The reviewer's verdict on a proposal.
enum Verdict {
    Approve,
    /// Approve these actions instead.
    Edit(Vec<Value>, String),
    Reject(String),
}

/// The results of the decisions.
#[derive(Default)]
pub struct Decisions {
    pub approved: usize,
    pub edited: usize,
    pub rejected: usize,
    /// Proposals approved too late, after a note had changed.
    pub failed: usize,
    /// Attempts that the server refused, as it must.
    pub refused: usize,
    /// Event that submitted the proposal whose story is told.
    pub story: Option<Uuid>,
}

pub async fn run(cast: &Cast) -> Result<Decisions, DemoError> {
    let path = format!(
        "/v1/proposals?status=pending&limit=100&workspace_id={}",
        cast.workspace_id
    );
    let pending: Vec<Proposal> = cast.reviewer.list(&path).await?;
    let submissions = submissions(&cast.reviewer).await?;
    let mut decisions = Decisions::default();
    if let Some(proposal) = pending.first() {
        decisions.refused = try_what_is_forbidden(cast, proposal).await?;
    }
    let phase = Phase::start("decide", pending.len());
    let mut outcomes = stream::iter(judge(pending))
        .map(|(proposal, verdict)| decide(cast, proposal, verdict, &submissions))
        .buffer_unordered(AT_ONCE);
    while let Some(outcome) = outcomes.next().await {
        let (verdict, decided, cause) = outcome?;
        decisions.count(&verdict, &decided, cause, &phase);
        phase.step();
    }
    phase.finish(&format!(
        "{} approved, {} edited, {} rejected",
        count(decisions.approved, "proposal"),
        decisions.edited,
        decisions.rejected
    ));
    Ok(decisions)
}

/// Returns the event that submitted each proposal, by the proposal's stream.
async fn submissions(reviewer: &Client) -> Result<HashMap<String, Cause>, DemoError> {
    let mut found = HashMap::new();
    reviewer
        .lines("/v1/events?type=proposal.submitted", |event: Event| {
            let cause = event.as_cause();
            found.insert(event.stream, cause);
        })
        .await?;
    Ok(found)
}

/// Approves most proposals as they are, edits the one with the most tags, and rejects the one with the lowest confidence.
fn judge(mut pending: Vec<Proposal>) -> Vec<(Proposal, Verdict)> {
    let mut judged = Vec::new();
    if pending.len() > 2 {
        let sure = |proposal: &Proposal| proposal.confidence.unwrap_or_default();
        pending.sort_by(|a, b| sure(b).total_cmp(&sure(a)));
        if let Some(proposal) = pending.pop() {
            let reason = format!(
                "not convincing: its own agent is only {:.0} % sure",
                sure(&proposal) * 100.0
            );
            judged.push((proposal, Verdict::Reject(reason)));
        }
    }
    if pending.len() > 1 {
        pending.sort_by_key(|proposal| tags(&proposal.actions));
        if let Some(proposal) = pending.pop() {
            let (actions, comment) = edited(&proposal.actions);
            judged.push((proposal, Verdict::Edit(actions, comment)));
        }
    }
    judged.extend(
        pending
            .into_iter()
            .map(|proposal| (proposal, Verdict::Approve)),
    );
    judged
}

/// Returns the number of tags that the actions add.
fn tags(actions: &[Value]) -> usize {
    actions
        .iter()
        .filter_map(|action| action["add"].as_array())
        .map(Vec::len)
        .sum()
}

/// Returns the same actions with one tag fewer, or with one more if there is none to remove.
fn edited(actions: &[Value]) -> (Vec<Value>, String) {
    let mut actions = actions.to_vec();
    for action in &mut actions {
        if let Some(tags) = action.get_mut("add").and_then(Value::as_array_mut)
            && tags.len() > 1
            && let Some(tag) = tags.pop()
        {
            let tag = tag.as_str().unwrap_or_default();
            return (actions, format!("one tag fewer: without “{tag}”"));
        }
    }
    let note_id = actions
        .iter()
        .find_map(|action| action.get("note_id"))
        .cloned();
    actions.push(json!({"type": "note.tag", "note_id": note_id, "add": ["reviewed"]}));
    (actions, "one tag more: “reviewed”".into())
}

/// Returns the SHA-256 of the actions as compact JSON with sorted keys (this library keeps keys sorted). It proves to the server that the
/// approver has read the approved actions.
fn hash(actions: &[Value]) -> String {
    hex::encode(Sha256::digest(Value::from(actions).to_string()))
}

async fn decide(
    cast: &Cast,
    proposal: Proposal,
    verdict: Verdict,
    submissions: &HashMap<String, Cause>,
) -> Result<(Verdict, Proposal, Option<Cause>), DemoError> {
    let path = format!("/v1/proposals/{}", proposal.id);
    let read = hash(&proposal.actions);
    let mut decision = match &verdict {
        Verdict::Approve => cast
            .reviewer
            .post(format!("{path}/approve"), json!({"actions_hash": read})),
        Verdict::Edit(actions, comment) => cast.reviewer.post(
            format!("{path}/approve"),
            json!({"actions_hash": read, "edited_actions": actions, "comment": comment}),
        ),
        Verdict::Reject(reason) => cast
            .reviewer
            .post(format!("{path}/reject"), json!({"reason": reason})),
    };
    let cause = submissions
        .get(&format!("proposal-{}", proposal.id))
        .copied();
    if let Some(cause) = cause {
        decision = decision.because(cause);
    }
    Ok((verdict, decision.send().await?, cause))
}

impl Decisions {
    fn count(
        &mut self,
        verdict: &Verdict,
        decided: &Proposal,
        cause: Option<Cause>,
        phase: &Phase,
    ) {
        let event_id = cause.map(|cause| cause.event_id);
        if decided.status == "failed" {
            self.failed += 1;
            phase.warn(&format!(
                "proposal {} came too late: {}",
                decided.id,
                Value::from(decided.conflicts.clone())
            ));
            return;
        }
        match verdict {
            Verdict::Approve => self.approved += 1,
            Verdict::Edit(..) => {
                self.edited += 1;
                self.story = event_id;
            }
            Verdict::Reject(_) => self.rejected += 1,
        }
        self.story = self.story.or(event_id);
    }
}

/// Tries two approvals that the server must refuse; returns the number of refusals.
async fn try_what_is_forbidden(cast: &Cast, proposal: &Proposal) -> Result<usize, DemoError> {
    let path = format!("/v1/proposals/{}/approve", proposal.id);
    let pending = json!({"actions_hash": hash(&proposal.actions)});
    let own = cast.agent.post(&path, pending).send::<Value>().await;
    refused("the agent's approval of its own proposal", own)?;

    let (other, _) = edited(&proposal.actions);
    let stale = json!({"actions_hash": hash(&other)});
    let stale = cast.reviewer.post(&path, stale).send::<Value>().await;
    refused("a stale approval, of other actions than are pending", stale)?;
    Ok(2)
}

/// Prints the server's reason for a refusal.
fn refused(what: &'static str, result: Result<Value, ClientError>) -> Result<(), DemoError> {
    match result {
        Ok(_) => Err(DemoError::Allowed(what)),
        Err(ClientError::Refused { problem, .. }) if matches!(problem.status, 403 | 409 | 422) => {
            say("refused", &format!("{what}: {problem}"));
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(number: u128, confidence: f64, tags: &[&str]) -> Proposal {
        Proposal {
            id: Uuid::from_u128(number),
            status: "pending".into(),
            actions: vec![json!({"type": "note.tag", "note_id": Uuid::nil(), "add": tags})],
            confidence: Some(confidence),
            conflicts: vec![],
        }
    }

    #[test]
    fn of_many_proposals_one_is_edited_and_one_rejected() {
        let pending = (1..=5).map(|number| match number {
            2 => proposal(number, 0.6, &["a"]),
            4 => proposal(number, 0.7, &["a", "b"]),
            _ => proposal(number, 0.7, &["a"]),
        });
        let judged = judge(pending.collect());
        let [
            (rejected, Verdict::Reject(reason)),
            (edited, Verdict::Edit(actions, _)),
            rest @ ..,
        ] = &judged[..]
        else {
            panic!("{}", judged.len());
        };
        assert_eq!(rejected.id, Uuid::from_u128(2));
        assert_eq!(reason, "not convincing: its own agent is only 60 % sure");
        assert_eq!(edited.id, Uuid::from_u128(4));
        assert_eq!(tags(actions), 1);
        assert!(
            rest.iter()
                .all(|(_, verdict)| matches!(verdict, Verdict::Approve))
        );
        assert_eq!(rest.len(), 3);
    }

    #[test]
    fn a_single_proposal_is_approved() {
        assert!(matches!(
            judge(vec![proposal(1, 0.1, &["a"])])[..],
            [(_, Verdict::Approve)]
        ));
        assert!(judge(vec![]).is_empty());
    }

    #[test]
    fn where_no_tag_can_go_one_comes() {
        let (actions, _) = edited(&proposal(1, 0.8, &["a"]).actions);
        assert_eq!(actions.len(), 2);
        assert_eq!(actions[1]["add"], json!(["reviewed"]));
        assert_eq!(actions[1]["note_id"], json!(Uuid::nil()));
    }

    #[test]
    fn the_hash_is_that_of_the_servers_own_computation() {
        let actions =
            json!([{"type": "note.tag", "note_id": Uuid::nil(), "add": ["a"], "remove": []}]);
        let own: Vec<domain::agents::action::Action> =
            serde_json::from_value(actions.clone()).unwrap();
        assert_eq!(
            hash(actions.as_array().unwrap()),
            domain::agents::action::hash(&own)
        );
    }
}
