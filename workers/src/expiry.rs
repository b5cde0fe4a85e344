//! Proposals expire at their deadline.

use async_trait::async_trait;
use chrono::{TimeDelta, Utc};
use commands::{On, Request};
use domain::agents::proposal::{Proposal, ProposalCommand, ProposalEvent};
use projections::PostError;
use serde::{Deserialize, Serialize};
use store::Recorded;
use uuid::Uuid;

use crate::dispatcher::{Outcome, Work};
use crate::due_work::Item;
use crate::reaction::{Consequences, Reaction};
use crate::{NewItem, Office};

const KIND: &str = "proposal.expire";

#[derive(Serialize, Deserialize)]
struct Deadline {
    proposal_id: Uuid,
    correlation_id: Uuid,
    /// The event that set it.
    event_id: Uuid,
}

/// Schedules the end of every proposal that has one.
pub struct Deadlines;

#[async_trait]
impl Reaction for Deadlines {
    const NAME: &'static str = "proposal_deadlines";
    const CATEGORIES: &'static [&'static str] = &["proposal"];

    async fn react(&self, events: &[Recorded]) -> Result<Consequences, PostError> {
        let mut consequences = Consequences::default();
        for event in events {
            let change = event
                .decode::<ProposalEvent>()
                .map_err(|error| PostError::contract(event, &error))?;
            if let ProposalEvent::Submitted { draft, .. } = change
                && let Some(run_at) = draft.expires_at
            {
                let deadline = Deadline {
                    proposal_id: event.stream.id,
                    correlation_id: event.correlation_id,
                    event_id: event.event_id,
                };
                consequences.schedule.push(NewItem {
                    id: event.event_id,
                    kind: KIND,
                    lane: String::new(),
                    product_id: event.product_id,
                    payload: serde_json::json!(deadline),
                    run_at,
                });
            }
        }
        Ok(consequences)
    }
}

/// Expires a proposal that is still pending.
pub struct Expire {
    office: Office,
}

impl Expire {
    pub const fn new(office: Office) -> Self {
        Self { office }
    }

    async fn expire(&self, item: &Item, deadline: &Deadline) -> Result<Outcome, String> {
        // A clock that runs behind the database's finds it too early: what then changes nothing must not stand
        // as the answer to the next try.
        let key = format!("expire:{}:{}", deadline.event_id, item.run_at);
        let request = Request::reaction(
            item.product_id,
            deadline.correlation_id,
            deadline.event_id,
            key,
        );
        let id = deadline.proposal_id;
        let command = On::<Proposal> {
            id,
            command: ProposalCommand::Expire,
        };
        let executor = &self.office.executor;
        executor
            .execute(&request, &command)
            .await
            .map_err(|error| error.to_string())?;
        let proposal = executor
            .loader()
            .latest::<Proposal>(id)
            .await
            .map_err(|error| error.to_string())?;
        Ok(match proposal.state.pending() {
            Some(_) => Outcome::Again {
                at: Utc::now() + TimeDelta::seconds(1),
                payload: item.payload.clone(),
            },
            None => Outcome::Done,
        })
    }
}

#[async_trait]
impl Work for Expire {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn run(&self, item: &Item) -> Outcome {
        match serde_json::from_value(item.payload.clone()) {
            Ok(deadline) => self
                .expire(item, &deadline)
                .await
                .unwrap_or_else(Outcome::Failed),
            Err(error) => Outcome::Park(error.to_string()),
        }
    }
}
