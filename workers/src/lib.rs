//! What happens because something happened: reactions to events, and work that falls due.

mod checklist;
mod dispatcher;
mod due_work;
mod expiry;
mod reaction;
pub mod webhook;

use std::sync::Arc;

use commands::Executor;
use projections::{Consumer, Readers};
use store::{Database, EventStore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use dispatcher::{Outcome, Work};
pub use due_work::{Item, NewItem, list, redrive};

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
}

impl Workers {
    #[must_use]
    pub fn new(office: Office, webhooks: webhook::Settings) -> Self {
        Self {
            office,
            wakers: Wakers::default(),
            webhooks,
        }
    }

    /// Consumers that turn events into work.
    #[must_use]
    pub fn consumers(&self, readers: &Readers) -> Vec<Arc<dyn Consumer>> {
        let fanout = webhook::Fanout::new(self.office.clone(), readers.clone());
        vec![
            Arc::new(Reacting::new(fanout, &self.wakers)),
            Arc::new(Reacting::new(webhook::Requests, &self.wakers)),
            Arc::new(Reacting::new(expiry::Deadlines, &self.wakers)),
            Arc::new(Reacting::new(
                checklist::Notes::new(self.office.clone(), readers.clone()),
                &self.wakers,
            )),
        ]
    }

    /// Starts a dispatcher for each kind of work; they end at shutdown, after what is in flight.
    pub fn start(&self, readers: &Readers, tasks: &TaskTracker, shutdown: &CancellationToken) {
        let office = &self.office;
        let work: Vec<Arc<dyn Work>> = vec![
            Arc::new(webhook::Deliver::new(office.clone(), self.webhooks.clone())),
            Arc::new(webhook::Replay::new(office.clone())),
            Arc::new(expiry::Expire::new(office.clone())),
            Arc::new(checklist::FollowLines::new(office.clone(), readers.clone())),
        ];
        for work in work {
            let waker = self.wakers.of(work.kind());
            let dispatcher = Dispatcher::new(office.database.clone(), work, waker);
            tasks.spawn(dispatcher.run(shutdown.clone()));
        }
        tasks.spawn(due_work::measure(office.database.clone(), shutdown.clone()));
    }
}
