//! Following the log: first what is there, then what comes.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;

use crate::{EventStore, Filter, Page, Position, ReadError, Recorded};

/// Events per page while catching up.
const PAGE: usize = 2_000;

/// What a follower of the log wants to read, asked anew for every page: what somebody may see changes while they follow.
#[async_trait]
pub trait Wanted: Send + Sync + 'static {
    /// Returns a filter that holds for everything up to a position. An error ends the following.
    async fn up_to(&self, position: Position) -> Result<Filter, ReadError>;
}

#[async_trait]
impl Wanted for Filter {
    async fn up_to(&self, _: Position) -> Result<Filter, ReadError> {
        Ok(self.clone())
    }
}

/// Every event after a position that is wanted, without end.
pub fn subscribe(
    store: Arc<dyn EventStore>,
    after: Position,
    wanted: impl Wanted,
) -> impl Stream<Item = Result<Recorded, ReadError>> + Send {
    pages(store, after, None, wanted)
        .map_ok(|page| stream::iter(page.events).map(Ok))
        .try_flatten()
}

/// The log after a position, page by page, the next one read while one is worked on. Ends at `until`, or with an error;
/// without `until` it follows the log. Pages may be empty where nothing is wanted.
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

/// Reads until it is done, or nobody wants more.
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

/// The next page, no further than the filter holds.
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
