//! Expiry: ends aggregates at a deadline that an event has set, unless they have ended before.

use std::marker::PhantomData;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use commands::{Handler, On, Request};
use domain::Aggregate;
use domain::agents::proposal::{Proposal, ProposalCommand, ProposalEvent};
use projections::ApplyError;
use serde::{Deserialize, Serialize};
use store::Recorded;
use uuid::Uuid;

use crate::job_handler::{JobHandler, Outcome};
use crate::jobs::Job;
use crate::reaction::{Consequences, Reaction};
use crate::{NewJob, WorkerContext};

/// An aggregate with a deadline.
pub trait Expiring: Send + Sync + 'static {
    type Aggregate: Aggregate;
    /// Kind of the job.
    const KIND: &'static str;
    /// Name of the checkpoint of the reaction that schedules the job.
    const DEADLINES: &'static str;

    /// Returns the deadline that an event sets.
    fn deadline(event: &<Self::Aggregate as Aggregate>::Event) -> Option<DateTime<Utc>>;
    /// Returns the command that ends the aggregate; before the deadline it does nothing.
    fn expire(id: Uuid) -> Box<dyn Handler>;
    /// Returns true if the aggregate has not ended yet.
    fn is_pending(state: &Self::Aggregate) -> bool;
}

/// Undecided proposals.
pub struct Proposals;

impl Expiring for Proposals {
    type Aggregate = Proposal;
    const KIND: &'static str = "proposal.expire";
    const DEADLINES: &'static str = "proposal_deadlines";

    fn deadline(event: &ProposalEvent) -> Option<DateTime<Utc>> {
        if let ProposalEvent::Submitted { draft, .. } = event {
            draft.expires_at
        } else {
            None
        }
    }

    fn expire(id: Uuid) -> Box<dyn Handler> {
        Box::new(On::<Proposal> {
            id,
            command: ProposalCommand::Expire,
        })
    }

    fn is_pending(proposal: &Proposal) -> bool {
        proposal.pending().is_some()
    }
}

#[derive(Serialize, Deserialize)]
pub struct Deadline {
    #[serde(alias = "proposal_id")]
    id: Uuid,
    correlation_id: Uuid,
    /// The event that set the deadline.
    event_id: Uuid,
}

/// Schedules the expiry of every aggregate with a deadline.
pub struct Deadlines<E>(PhantomData<fn() -> E>);

impl<E> Default for Deadlines<E> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

#[async_trait]
impl<E: Expiring> Reaction for Deadlines<E> {
    const NAME: &'static str = E::DEADLINES;
    const CATEGORIES: &'static [&'static str] = &[E::Aggregate::CATEGORY];

    async fn react(&self, events: &[Recorded]) -> Result<Consequences, ApplyError> {
        let mut consequences = Consequences::default();
        for event in events {
            let change = event
                .decode::<<E::Aggregate as Aggregate>::Event>()
                .map_err(|error| ApplyError::contract(event, &error))?;
            if let Some(run_at) = E::deadline(&change) {
                let deadline = Deadline {
                    id: event.stream.id,
                    correlation_id: event.correlation_id,
                    event_id: event.event_id,
                };
                consequences.schedule.push(NewJob {
                    run_at,
                    ..NewJob::of::<Expire<E>>(event, &deadline)
                });
            }
        }
        Ok(consequences)
    }
}

/// Expires aggregates that are still pending.
pub struct Expire<E> {
    context: WorkerContext,
    expiring: PhantomData<fn() -> E>,
}

impl<E: Expiring> Expire<E> {
    pub const fn new(context: WorkerContext) -> Self {
        Self {
            context,
            expiring: PhantomData,
        }
    }
}

#[async_trait]
impl<E: Expiring> JobHandler for Expire<E> {
    const KIND: &'static str = E::KIND;
    type Payload = Deadline;

    async fn run(&self, job: &Job, deadline: Deadline) -> Result<Outcome, String> {
        // If this clock is behind the database's, the command finds it too early and changes nothing. That result must not
        // be the receipt for the next attempt.
        let key = format!("expire:{}:{}", deadline.event_id, job.run_at);
        let request = Request::reaction(
            job.product_id,
            deadline.correlation_id,
            deadline.event_id,
            key,
        );
        let executor = &self.context.executor;
        executor
            .execute(&request, E::expire(deadline.id).as_ref())
            .await
            .map_err(|error| error.to_string())?;
        let known = executor
            .repository()
            .latest::<E::Aggregate>(deadline.id)
            .await
            .map_err(|error| error.to_string())?;
        Ok(if E::is_pending(&known.state) {
            Outcome::Again {
                at: Utc::now() + TimeDelta::seconds(1),
                payload: job.payload.clone(),
            }
        } else {
            Outcome::Done
        })
    }
}
