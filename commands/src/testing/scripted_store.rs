//! A log in memory with which a test interferes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use domain::StreamId;
use futures::future::BoxFuture;
use store::{
    Append, AppendError, Appended, Direction, EventStore, Expected, Filter, InMemoryStore,
    Metadata, NewEvent, Page, Position, ReadError, Receipt, Recorded,
};
use tokio::sync::{oneshot, watch};
use tokio::task::yield_now;
use uuid::Uuid;

use super::{PERSON, PRODUCT, stream};

/// A node's access to a log in memory, which a test interferes with.
pub struct ScriptedStore {
    log: InMemoryStore,
    script: Mutex<Script>,
    events_read: AtomicUsize,
}

/// An append, and its caller.
type Held = (Append, oneshot::Sender<Result<Appended, AppendError>>);

#[derive(Default)]
struct Script {
    holds: bool,
    held: VecDeque<Held>,
    failures: VecDeque<AppendError>,
    rival: Option<Uuid>,
}

impl ScriptedStore {
    pub fn new(log: InMemoryStore) -> Self {
        Self {
            log,
            script: Mutex::default(),
            events_read: AtomicUsize::new(0),
        }
    }

    /// Returns the log itself, without interference.
    pub const fn log(&self) -> &InMemoryStore {
        &self.log
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// Holds appends back from now on.
    pub fn hold(&self) {
        self.script().holds = true;
    }

    /// Returns the number of appends that are held.
    pub fn held(&self) -> usize {
        self.script().held.len()
    }

    /// Lets the other futures of the test go on until this many appends are held. They wait for nothing but each other, so
    /// they get there soon or never.
    pub async fn until_held(&self, count: usize) {
        for _ in 0..1_000 {
            if self.held() >= count {
                return;
            }
            yield_now().await;
        }
        panic!("{} appends are held, not {count}", self.held());
    }

    fn take_held(&self) -> Option<Held> {
        self.script().held.pop_front()
    }

    /// Appends what is held, in order, and holds nothing back any more.
    pub async fn release(&self) {
        self.script().holds = false;
        while let Some((append, reply)) = self.take_held() {
            let outcome = self.log.append(append).await;
            // The caller may be gone.
            let _ = reply.send(outcome);
        }
    }

    /// Lets the oldest append that is held fail; the others go on waiting.
    pub fn fail_held(&self, error: AppendError) {
        let (_, reply) = self.take_held().unwrap();
        // The caller may be gone.
        let _ = reply.send(Err(error));
    }

    /// Appends the oldest append that is held, but reports an error, as when a connection breaks at the commit.
    pub async fn lose_answer(&self) {
        let (append, reply) = self.take_held().unwrap();
        self.log.append(append).await.unwrap();
        reply.send(Err(unavailable())).unwrap();
    }

    /// Lets the next append fail that is not held.
    pub fn fail_next(&self, error: AppendError) {
        self.script().failures.push_back(error);
    }

    /// Lets another node rename a workspace right before each append of this one.
    pub fn send_rival(&self, workspace: Option<Uuid>) {
        self.script().rival = workspace;
    }

    /// Returns the number of events that this node has read from the log.
    pub fn events_read(&self) -> usize {
        self.events_read.load(Ordering::Relaxed)
    }
}

pub fn unavailable() -> AppendError {
    AppendError::Unavailable("lost the connection".into())
}

/// Builds an append of a workspace's new name, past every decision.
fn renaming(workspace: Uuid) -> Append {
    let decided = rename_event(workspace, r#"{"name":"Rival"}"#);
    Append {
        product_id: PRODUCT,
        expectations: vec![(stream(workspace), Expected::Existing)],
        events: vec![decided],
        receipt: None,
    }
}

/// Builds a `workspace.renamed` event with any payload.
pub fn rename_event(workspace: Uuid, data: &str) -> NewEvent {
    NewEvent {
        stream: stream(workspace),
        event_id: Uuid::now_v7(),
        event_type: "workspace.renamed".into(),
        contract_version: 1,
        data: data.into(),
        metadata: Metadata {
            actor: PERSON,
            credential: None,
            on_behalf_of: None,
            command: "workspace.rename".into(),
            command_key: None,
            reason: None,
            traceparent: None,
        },
        correlation_id: Uuid::nil(),
        causation_id: None,
        workspace_id: Some(workspace),
    }
}

#[async_trait]
impl EventStore for ScriptedStore {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        let mut script = self.script();
        if script.holds {
            let (reply, answer) = oneshot::channel();
            script.held.push_back((append, reply));
            return Box::pin(async { answer.await.unwrap() });
        }
        if let Some(error) = script.failures.pop_front() {
            return Box::pin(async { Err(error) });
        }
        if let Some(workspace) = script.rival {
            // Its outcome is settled by the call.
            drop(self.log.append(renaming(workspace)));
        }
        self.log.append(append)
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: i64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        let events = self.log.read_stream(stream, from, direction, limit).await?;
        self.events_read.fetch_add(events.len(), Ordering::Relaxed);
        Ok(events)
    }

    async fn read_all(
        &self,
        after: Position,
        filter: &Filter,
        limit: usize,
    ) -> Result<Page, ReadError> {
        let page = self.log.read_all(after, filter, limit).await?;
        let read = page.events.len();
        self.events_read.fetch_add(read, Ordering::Relaxed);
        Ok(page)
    }

    async fn find(&self, event_id: Uuid) -> Result<Option<Recorded>, ReadError> {
        self.log.find(event_id).await
    }

    async fn receipt(&self, key: &[u8; 32]) -> Result<Option<Receipt>, ReadError> {
        self.log.receipt(key).await
    }

    async fn read_head(&self) -> Result<Position, ReadError> {
        self.log.read_head().await
    }

    fn head(&self) -> watch::Receiver<Position> {
        self.log.head()
    }
}
