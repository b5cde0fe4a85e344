//! The progress of a consumer, and how much of it is written down.

use std::sync::LazyLock;
use std::time::Duration;

use store::Position;
use tokio::time::Instant;

/// How long the checkpoint of a consumer that has nothing to write may lag behind.
const FLUSH: Duration = Duration::from_millis(250);
/// Checkpoints are due at the same moments after this, so that they are moved together.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

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

    /// When the checkpoint is to be moved.
    pub fn due(&self) -> Instant {
        let since = self.ahead_since.saturating_duration_since(*EPOCH);
        let moments = since.as_millis() / FLUSH.as_millis() + 1;
        *EPOCH + FLUSH * u32::try_from(moments).unwrap_or(u32::MAX)
    }

    pub fn is_due(&self) -> bool {
        self.is_ahead() && self.due() <= Instant::now()
    }
}
