//! The progress of a consumer, and how much of it is written down.

use std::time::Duration;

use store::Position;
use tokio::time::Instant;

/// How long the checkpoint of a consumer that has nothing to write may lag behind.
const FLUSH: Duration = Duration::from_millis(250);

/// How far a consumer has come, and how much of that is written down.
pub(crate) struct Progress {
    position: Position,
    durable: Position,
    /// Since when the two differ.
    ahead_since: Instant,
}

impl Progress {
    pub fn at(position: Position) -> Self {
        Self {
            position,
            durable: position,
            ahead_since: Instant::now(),
        }
    }

    pub fn advance(&mut self, position: Position, durable: bool) {
        if !self.is_ahead() {
            self.ahead_since = Instant::now();
        }
        self.position = position;
        if durable {
            self.durable = position;
        }
    }

    pub const fn position(&self) -> Position {
        self.position
    }

    /// The position that the checkpoint has.
    pub const fn durable(&self) -> Position {
        self.durable
    }

    pub const fn is_ahead(&self) -> bool {
        self.position > self.durable
    }

    pub fn due(&self) -> Instant {
        self.ahead_since + FLUSH
    }

    pub fn is_due(&self) -> bool {
        self.is_ahead() && self.due() <= Instant::now()
    }
}
