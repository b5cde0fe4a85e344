//! Tasks that append continuously and remember the acknowledgements.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use store::{Append, Appended, EventStore, Expected};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::harness::{
    AppendExt as _, append, assert_holds_exactly, event, log, new_stream, receipt_key, until_head,
};

const TASKS: usize = 16;

pub struct Load {
    nodes: Vec<Arc<dyn EventStore>>,
    stop: Arc<AtomicBool>,
    acknowledged: watch::Sender<usize>,
    tasks: Vec<JoinHandle<Vec<(Append, Appended)>>>,
}

impl Load {
    pub fn on(nodes: &[Arc<dyn EventStore>]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = watch::Sender::new(0);
        let tasks = (0..TASKS).map(|task| {
            let node = nodes[task % nodes.len()].clone();
            tokio::spawn(append_until(stop.clone(), node, acknowledged.clone()))
        });
        Self {
            tasks: tasks.collect(),
            nodes: nodes.to_vec(),
            stop,
            acknowledged,
        }
    }

    /// Waits for so many more appends.
    pub async fn goes_on(&self, appends: usize) {
        let mut acknowledged = self.acknowledged.subscribe();
        let goal = *acknowledged.borrow_and_update() + appends;
        acknowledged.wait_for(|count| *count >= goal).await.unwrap();
    }

    /// Asserts that every append was acknowledged, and that every node reads exactly those from the log.
    pub async fn ends_well(self) {
        self.stop.store(true, Ordering::Relaxed);
        let acknowledged = futures::future::try_join_all(self.tasks)
            .await
            .unwrap()
            .concat();
        let last = acknowledged
            .iter()
            .map(|(_, appended)| appended.position)
            .max();
        for node in self.nodes {
            until_head(&*node, last.unwrap()).await;
            assert_holds_exactly(&log(&*node).await, &acknowledged);
            for (append, _) in &acknowledged {
                if let Some(key) = &append.receipt {
                    let receipt = node.receipt(&key.key).await.unwrap().unwrap();
                    assert_eq!(receipt.event_ids, append.event_ids());
                }
            }
        }
    }
}

/// Appends to a stream of its own, so that any conflict would be with itself.
async fn append_until(
    stop: Arc<AtomicBool>,
    node: Arc<dyn EventStore>,
    acknowledged: watch::Sender<usize>,
) -> Vec<(Append, Appended)> {
    let (own, shared) = (new_stream(), new_stream());
    let mut told = vec![];
    let mut version = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut append =
            append([event(&own), event(&shared)]).expecting(&own, Expected::Exact(version));
        if version % 2 == 0 {
            let mut key = receipt_key(0, &own);
            key.key[..16].copy_from_slice(append.events[0].event_id.as_bytes());
            append = append.with_receipt(key);
        }
        let appended = node.append(append.clone()).await.unwrap();
        version += 1;
        told.push((append, appended));
        acknowledged.send_modify(|count| *count += 1);
    }
    told
}
