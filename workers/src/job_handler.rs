//! Handlers of jobs: one per kind, each with its own payload type.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::jobs::Job;

/// The result of running a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The job is done.
    Done,
    /// The job runs again later; this is not a failure.
    Again {
        at: DateTime<Utc>,
        /// The payload for the next run.
        payload: Value,
    },
    /// The job failed; it is retried with growing back-off, and finally becomes a dead letter.
    Failed(String),
    /// The job waits until its partition is redriven; this is not a failure.
    Hold(String),
    /// The job becomes a dead letter at once: it needs an intervention.
    DeadLetter(String),
}

/// Runs the jobs of one kind.
#[async_trait]
pub trait JobHandler: Send + Sync + 'static {
    /// Name of the kind, in the table of jobs and in metrics.
    const KIND: &'static str;
    type Payload: Serialize + DeserializeOwned + Send;

    /// Maximum number of jobs that this node holds, including those claimed ahead.
    fn concurrency(&self) -> usize {
        8
    }

    /// Maximum number of jobs of a partition that run concurrently on this node.
    fn per_partition(&self, _partition: &str) -> usize {
        8
    }

    /// Runs a job. An error is an [`Outcome::Failed`].
    async fn run(&self, job: &Job, payload: Self::Payload) -> Result<Outcome, String>;
}

/// A [`JobHandler`] of any payload.
#[async_trait]
pub trait AnyHandler: Send + Sync {
    fn kind(&self) -> &'static str;
    fn concurrency(&self) -> usize;
    fn per_partition(&self, partition: &str) -> usize;
    /// Runs a job; one whose payload does not parse becomes a dead letter.
    async fn run(&self, job: &Job) -> Outcome;
}

#[async_trait]
impl<H: JobHandler> AnyHandler for H {
    fn kind(&self) -> &'static str {
        H::KIND
    }

    fn concurrency(&self) -> usize {
        JobHandler::concurrency(self)
    }

    fn per_partition(&self, partition: &str) -> usize {
        JobHandler::per_partition(self, partition)
    }

    async fn run(&self, job: &Job) -> Outcome {
        match serde_json::from_value(job.payload.clone()) {
            Ok(payload) => JobHandler::run(self, job, payload)
                .await
                .unwrap_or_else(Outcome::Failed),
            Err(error) => Outcome::DeadLetter(format!("its payload does not parse: {error}")),
        }
    }
}
