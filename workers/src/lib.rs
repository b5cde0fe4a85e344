//! What happens because something happened: reactions to events, and work that falls due.

mod artifact;
mod checklist;
mod dispatcher;
mod due_work;
mod expiry;
pub mod file;
mod reaction;
pub mod webhook;

use std::sync::Arc;

use commands::Executor;
use projections::{Consumer, Readers};
use store::{Database, EventStore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use dispatcher::{Outcome, Work};
pub use due_work::{Error as DueWorkError, Item, NewItem, list, redrive};

use dispatcher::{Dispatcher, Wakers};
use reaction::Reacting;

/// What every worker works with.
#[derive(Clone)]
pub struct Office {
    pub database: Database,
    pub store: Arc<dyn EventStore>,
    pub executor: Arc<Executor>,
}

/// The reactions and the due work of a node: one line each.
pub struct Workers {
    office: Office,
    wakers: Wakers,
    webhooks: webhook::Settings,
    files: file::Settings,
}

impl Workers {
    #[must_use]
    pub fn new(office: Office, webhooks: webhook::Settings, files: file::Settings) -> Self {
        Self {
            office,
            wakers: Wakers::default(),
            webhooks,
            files,
        }
    }

    /// Consumers that turn events into work.
    #[must_use]
    pub fn consumers(&self, readers: &Readers) -> Vec<Arc<dyn Consumer>> {
        let fanout = webhook::Fanout::new(self.office.clone(), readers.clone());
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
                checklist::Notes::new(self.office.clone(), readers.clone()),
                &self.wakers,
            )),
        ]
    }

    /// Starts a dispatcher for each kind of work; they end at shutdown, after what is in flight.
    pub fn start(&self, readers: &Readers, tasks: &TaskTracker, shutdown: &CancellationToken) {
        let office = &self.office;
        let blobs = &self.files.blobs;
        let work: Vec<Arc<dyn Work>> = vec![
            Arc::new(webhook::Deliver::new(office.clone(), self.webhooks.clone())),
            Arc::new(webhook::Replay::new(office.clone(), readers.clone())),
            Arc::new(webhook::Disown::new(office.clone(), readers.clone())),
            Arc::new(expiry::Expire::<expiry::Proposals>::new(office.clone())),
            Arc::new(expiry::Expire::<file::Uploads>::new(office.clone())),
            Arc::new(artifact::Remove::new(office.clone(), readers.clone())),
            Arc::new(file::Resize::new(office.clone(), blobs.clone())),
            Arc::new(file::DropBlob::new(office.clone(), blobs.clone())),
            Arc::new(file::Sweeping::new(
                Arc::clone(&office.executor),
                &self.files,
            )),
            Arc::new(checklist::FollowLines::new(office.clone(), readers.clone())),
        ];
        for work in work {
            let waker = self.wakers.of(work.kind());
            let dispatcher = Dispatcher::new(office.database.clone(), work, waker);
            tasks.spawn(dispatcher.run(shutdown.clone()));
        }
        tasks.spawn(file::seed(
            office.database.clone(),
            self.files.sweep_interval,
            shutdown.clone(),
        ));
        tasks.spawn(due_work::measure(office.database.clone(), shutdown.clone()));
    }
}
