//! Reactions to events, and handlers of jobs.

mod artifact;
mod checklist;
mod dispatcher;
mod expiry;
pub mod file;
mod job_handler;
mod jobs;
mod reaction;
pub mod webhook;

use std::sync::Arc;

use commands::Executor;
use projections::{Consumer, Readers};
use store::{Database, EventStore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use job_handler::{JobHandler, Outcome};
pub use jobs::{Error as JobError, Job, NewJob, list, redrive};

use dispatcher::{Dispatcher, Wakers};
use job_handler::AnyHandler;
use reaction::Reacting;

/// The services that every worker uses.
#[derive(Clone)]
pub struct WorkerContext {
    pub database: Database,
    pub store: Arc<dyn EventStore>,
    pub executor: Arc<Executor>,
}

/// The reactions and the job handlers of a node, one line each.
pub struct Workers {
    context: WorkerContext,
    wakers: Wakers,
    webhooks: webhook::Settings,
    files: file::Settings,
}

impl Workers {
    #[must_use]
    pub fn new(context: WorkerContext, webhooks: webhook::Settings, files: file::Settings) -> Self {
        Self {
            context,
            wakers: Wakers::default(),
            webhooks,
            files,
        }
    }

    /// Returns the consumers that turn events into jobs.
    #[must_use]
    pub fn consumers(&self, readers: &Readers) -> Vec<Arc<dyn Consumer>> {
        let fanout = webhook::Fanout::new(self.context.clone(), readers.clone());
        vec![
            Arc::new(Reacting::new(fanout, &self.wakers)),
            Arc::new(Reacting::new(webhook::Requests, &self.wakers)),
            Arc::new(Reacting::new(webhook::Revocations, &self.wakers)),
            Arc::new(Reacting::new(
                expiry::Deadlines::<expiry::Proposals>::default(),
                &self.wakers,
            )),
            Arc::new(Reacting::new(
                expiry::Deadlines::<file::Uploads>::default(),
                &self.wakers,
            )),
            Arc::new(Reacting::new(artifact::Purges, &self.wakers)),
            Arc::new(Reacting::new(file::Pictures, &self.wakers)),
            Arc::new(Reacting::new(file::Releases, &self.wakers)),
            Arc::new(Reacting::new(
                checklist::Notes::new(self.context.clone(), readers.clone()),
                &self.wakers,
            )),
        ]
    }

    /// Starts a dispatcher for each kind of job; they end at shutdown, after the jobs in flight.
    pub fn start(&self, readers: &Readers, tasks: &TaskTracker, shutdown: &CancellationToken) {
        let context = &self.context;
        let blobs = &self.files.blobs;
        let work: Vec<Arc<dyn AnyHandler>> = vec![
            Arc::new(webhook::Deliver::new(
                context.clone(),
                self.webhooks.clone(),
            )),
            Arc::new(webhook::Replay::new(context.clone(), readers.clone())),
            Arc::new(webhook::Disown::new(context.clone(), readers.clone())),
            Arc::new(expiry::Expire::<expiry::Proposals>::new(context.clone())),
            Arc::new(expiry::Expire::<file::Uploads>::new(context.clone())),
            Arc::new(artifact::Remove::new(context.clone(), readers.clone())),
            Arc::new(file::Resize::new(context.clone(), blobs.clone())),
            Arc::new(file::DropBlob::new(context.clone(), blobs.clone())),
            Arc::new(file::Sweeping::new(
                Arc::clone(&context.executor),
                &self.files,
            )),
            Arc::new(checklist::FollowLines::new(
                context.clone(),
                readers.clone(),
            )),
        ];
        for work in work {
            let waker = self.wakers.of(work.kind());
            let dispatcher = Dispatcher::new(context.database.clone(), work, waker);
            tasks.spawn(dispatcher.run(shutdown.clone()));
        }
        tasks.spawn(file::seed(
            context.database.clone(),
            self.files.sweep_interval,
            shutdown.clone(),
        ));
        tasks.spawn(jobs::measure(context.database.clone(), shutdown.clone()));
    }
}
