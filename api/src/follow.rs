//! Follows the log for as long as the follower exists.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::StreamExt;
use store::{EventStore, Filter, Position, Recorded, subscribe};

/// Pause before following resumes after a fault.
const RETRY: Duration = Duration::from_secs(1);

/// Passes every matching event after a position to a follower, until the follower is dropped.
pub fn follow<T: Send + Sync + 'static>(
    follower: Weak<T>,
    store: Arc<dyn EventStore>,
    mut after: Position,
    filter: Filter,
    take: impl Fn(&T, Recorded) + Send + Sync + 'static,
) {
    tokio::spawn(async move {
        while follower.strong_count() > 0 {
            let events = subscribe(Arc::clone(&store), after, filter.clone());
            let mut events = std::pin::pin!(events);
            while let Some(Ok(event)) = events.next().await {
                let Some(follower) = follower.upgrade() else {
                    return;
                };
                after = event.position;
                take(&follower, event);
            }
            tokio::time::sleep(RETRY).await;
        }
    });
}
