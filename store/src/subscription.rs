//! Subscriptions to the log: first the recorded events, then new ones.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;

use crate::{EventStore, Filter, Page, Position, ReadError, Recorded};

/// Events per page while catching up.
const PAGE: usize = 2_000;

/// The filter of a subscription, asked for again with every page, because a reader's permissions may change meanwhile.
#[async_trait]
pub trait Wanted: Send + Sync + 'static {
    /// Returns a filter that is valid up to a position. An error ends the subscription.
    async fn up_to(&self, position: Position) -> Result<Filter, ReadError>;
}

#[async_trait]
impl Wanted for Filter {
    async fn up_to(&self, _: Position) -> Result<Filter, ReadError> {
        Ok(self.clone())
    }
}

/// Returns all matching events after a position, for ever.
pub fn subscribe(
    store: Arc<dyn EventStore>,
    after: Position,
    wanted: impl Wanted,
) -> impl Stream<Item = Result<Recorded, ReadError>> + Send {
    pages(store, after, None, wanted)
        .map_ok(|page| stream::iter(page.events).map(Ok))
        .try_flatten()
}

/// Returns the log after a position page by page; it reads the next page while one is processed. Ends at `until`, or with an error;
/// without `until` it follows the log. Pages without matching events are empty.
pub fn pages(
    store: Arc<dyn EventStore>,
    after: Position,
    until: Option<Position>,
    wanted: impl Wanted,
) -> impl Stream<Item = Result<Page, ReadError>> + Send {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! {
            () = read_ahead(store, after, until, wanted, &sender) => {}
            () = sender.closed() => {}
        }
    });
    stream::unfold(receiver, async |mut receiver: mpsc::Receiver<_>| {
        Some((receiver.recv().await?, receiver))
    })
}

/// Reads pages until `until`, or until the receiver is gone.
async fn read_ahead(
    store: Arc<dyn EventStore>,
    mut after: Position,
    until: Option<Position>,
    wanted: impl Wanted,
    sender: &mpsc::Sender<Result<Page, ReadError>>,
) {
    let mut head = store.head();
    loop {
        let known = *head.borrow_and_update();
        while after < until.unwrap_or(known) {
            let page = page(&*store, after, until, &wanted).await;
            let failed = page.is_err();
            after = page
                .as_ref()
                .map_or(after, |page| page.scanned_to.max(after));
            if sender.send(page).await.is_err() || failed {
                return;
            }
        }
        if until.is_some() || head.changed().await.is_err() {
            return;
        }
    }
}

/// Reads the next page, no further than the filter is valid.
async fn page(
    store: &dyn EventStore,
    after: Position,
    until: Option<Position>,
    wanted: &impl Wanted,
) -> Result<Page, ReadError> {
    let known = *store.head().borrow();
    let filter = wanted.up_to(known).await?;
    let page = store.read_all(after, &filter, PAGE).await?;
    Ok(page.within(until.map_or(known, |until| until.min(known))))
}
