//! Advances the checkpoints of consumers that had nothing to write: all that are due advance in one statement.

use std::collections::HashSet;
use std::time::Duration;

use store::{Database, Position, Purpose};
use tokio::sync::{mpsc, oneshot};

use crate::{ApplyError, checkpoint};

/// Time that the first request waits for others.
const GATHER: Duration = Duration::from_millis(1);

/// A checkpoint to advance.
pub(crate) struct Move {
    pub name: &'static str,
    pub quarantine: i64,
    pub from: Position,
    pub to: Position,
    /// Receives true if the checkpoint was advanced.
    pub done: oneshot::Sender<bool>,
}

/// Advances checkpoints until all senders are gone.
pub(crate) async fn run(database: Database, mut moves: mpsc::Receiver<Move>) {
    while let Some(first) = moves.recv().await {
        tokio::time::sleep(GATHER).await;
        let mut together = vec![first];
        while let Ok(more) = moves.try_recv() {
            together.push(more);
        }
        let moved = advance(&database, &together).await;
        if let Err(error) = &moved {
            tracing::debug!(%error, "cannot move the checkpoints of idle consumers");
        }
        let moved = moved.unwrap_or_default();
        for one in together {
            // The consumer may have stopped meanwhile.
            let _ = one.done.send(moved.contains(one.name));
        }
    }
}

async fn advance(database: &Database, moves: &[Move]) -> Result<HashSet<String>, ApplyError> {
    let session = database.session(Purpose::Consumers).await?;
    Ok(checkpoint::advance_all(&session, moves).await?)
}
