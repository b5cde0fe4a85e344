//! A node of a log in memory.

use std::sync::Arc;

use store::{EventStore as _, Filter, InMemoryStore, Recorded};
use uuid::Uuid;

use super::scripted_store::ScriptedStore;
use super::{LAB, create, request, stream};
use crate::{CommandError, Done, Executor, Handler, Request};

/// A node with a state of its own, on a log that it shares with others.
pub struct Node {
    pub store: Arc<ScriptedStore>,
    pub executor: Executor,
}

impl Node {
    /// Starts a node on an empty log.
    pub fn start() -> Self {
        Self::on(InMemoryStore::new())
    }

    /// Starts a node that has created a workspace, and remembers it.
    pub async fn with_lab() -> Self {
        let node = Self::start();
        node.run(&create(LAB, "Lab")).await.unwrap();
        node
    }

    /// Starts another node on the same log. It remembers nothing.
    pub fn another(&self) -> Self {
        Self::on(self.store.log().clone())
    }

    fn on(log: InMemoryStore) -> Self {
        let store = Arc::new(ScriptedStore::new(log));
        Self {
            executor: Executor::new(store.clone()),
            store,
        }
    }

    pub async fn run(&self, handler: &dyn Handler) -> Result<Done, CommandError> {
        self.run_as(&request(), handler).await
    }

    pub async fn run_as(
        &self,
        request: &Request,
        handler: &dyn Handler,
    ) -> Result<Done, CommandError> {
        self.executor.execute(request, handler).await
    }

    /// Begins a command and drops it as soon as its append is held, like a client that hangs up.
    pub async fn begin_and_drop(&self, request: &Request, handler: &dyn Handler) {
        let held = self.store.held() + 1;
        tokio::select! {
            biased;
            _ = self.run_as(request, handler) => panic!("the append is not held"),
            () = self.store.until_held(held) => {}
        }
    }

    pub async fn log(&self) -> Vec<Recorded> {
        let log = self.store.log();
        let page = log.read_all(0, &Filter::default(), 1_000).await;
        page.unwrap().events
    }

    /// Returns the names that a workspace was given, in the order of the log.
    pub async fn names(&self, workspace: Uuid) -> Vec<String> {
        let log = self.log().await.into_iter();
        log.filter(|event| event.stream == stream(workspace))
            .filter_map(|event| {
                let data: serde_json::Value = serde_json::from_str(&event.data).unwrap();
                Some(data.get("name")?.as_str()?.to_owned())
            })
            .collect()
    }
}
