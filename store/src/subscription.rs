//! Following the log: first what is there, then what comes.

use std::sync::Arc;

use async_stream::try_stream;
use futures::Stream;

use crate::{EventStore, Filter, Position, ReadError, Recorded};

/// Events per page while catching up.
const PAGE: usize = 500;

/// Every event after a position that the filter lets through, without end.
pub fn subscribe(
    store: Arc<dyn EventStore>,
    after: Position,
    filter: Filter,
) -> impl Stream<Item = Result<Recorded, ReadError>> + Send {
    let mut head = store.head();
    let mut after = after;
    try_stream! {
        loop {
            let known = *head.borrow_and_update();
            while after < known {
                let page = store.read_all(after, &filter, PAGE).await?;
                for event in page.events {
                    yield event;
                }
                after = page.scanned_to.max(after);
            }
            if head.changed().await.is_err() {
                return;
            }
        }
    }
}
