//! Wakes this node when another one appends, and other nodes when this one does.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::watch;
use tokio_postgres::{AsyncMessage, Client};

use super::database::{Database, Messages};
use crate::Position;
use crate::failure::describe;

const CHANNEL: &str = "daybook_log";

/// Interval at which the head is read without a notification, in case one was lost with its connection.
const POLL: Duration = Duration::from_secs(1);

/// Interval between two notifications: each costs a commit.
const BREATH: Duration = Duration::from_millis(2);

/// Follows the head of the log for ever.
pub async fn run(database: Database, head: Arc<watch::Sender<Position>>) {
    loop {
        let outcome = match database.connect_listening().await {
            Ok((client, messages)) => follow(&client, messages, &head).await,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            tracing::warn!(
                error = describe(&error),
                "lost the connection that listens to the log"
            );
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn follow(
    client: &Client,
    mut messages: Messages,
    head: &watch::Sender<Position>,
) -> Result<(), tokio_postgres::Error> {
    // The highest position that any node has announced, which need not be announced again.
    let announced = AtomicI64::new(0);
    let receive = async {
        while let Some(message) = messages.next().await {
            if let AsyncMessage::Notification(notification) = message?
                && let Ok(position) = notification.payload().parse()
            {
                announced.fetch_max(position, Ordering::Relaxed);
                advance(head, position);
            }
        }
        Ok(())
    };
    tokio::select! {
        outcome = receive => outcome,
        outcome = announce(client, head, &announced) => outcome.map(|never| match never {}),
    }
}

/// Tells the other nodes the head of the log; many appends share one notification.
async fn announce(
    client: &Client,
    head: &watch::Sender<Position>,
    announced: &AtomicI64,
) -> Result<Infallible, tokio_postgres::Error> {
    client.batch_execute(&format!("listen {CHANNEL}")).await?;
    let notify = client.prepare("select pg_notify($1, $2)").await?;
    let mut watcher = head.subscribe();
    // There may have been appends since the last connection broke.
    watcher.mark_changed();
    loop {
        let row = client
            .query_one("select position from log.head", &[])
            .await?;
        advance(head, row.get(0));
        while tokio::time::timeout(POLL, watcher.changed()).await.is_ok() {
            let position = *watcher.borrow_and_update();
            if position > announced.fetch_max(position, Ordering::Relaxed) {
                let payload = position.to_string();
                client.execute(&notify, &[&CHANNEL, &payload]).await?;
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

/// Advances the head; it never goes back.
pub fn advance(head: &watch::Sender<Position>, position: Position) {
    head.send_if_modified(|current| {
        let further = position > *current;
        if further {
            *current = position;
        }
        further
    });
}
