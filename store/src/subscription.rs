//! Following the log: first what is there, then what comes.

use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;

use crate::{EventStore, Filter, Page, Position, ReadError, Recorded};

/// Events per page while catching up.
const PAGE: usize = 2_000;

/// Every event after a position that the filter lets through, without end.
pub fn subscribe(
    store: Arc<dyn EventStore>,
    after: Position,
    filter: Filter,
) -> impl Stream<Item = Result<Recorded, ReadError>> + Send {
    pages(store, after, None, filter)
        .map_ok(|page| stream::iter(page.events).map(Ok))
        .try_flatten()
}

/// The log after a position, page by page, the next one read while one is worked on. Ends at `until`, or with an error;
/// without `until` it follows the log. Pages may be empty where the filter lets nothing through.
pub fn pages(
    store: Arc<dyn EventStore>,
    after: Position,
    until: Option<Position>,
    filter: Filter,
) -> impl Stream<Item = Result<Page, ReadError>> + Send {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! {
            () = read_ahead(store, after, until, filter, &sender) => {}
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
    filter: Filter,
    sender: &mpsc::Sender<Result<Page, ReadError>>,
) {
    let mut head = store.head();
    loop {
        let known = *head.borrow_and_update();
        while after < until.unwrap_or(known) {
            let page = store.read_all(after, &filter, PAGE).await;
            let page = page.map(|page| page.within(until));
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
