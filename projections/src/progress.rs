//! The progress of a consumer, and the part of it that is stored.

use std::sync::LazyLock;
use std::time::Duration;

use store::Position;
use tokio::time::Instant;

/// Maximum time that the checkpoint of a consumer without writes may lag behind.
const FLUSH: Duration = Duration::from_millis(250);
/// Reference time: checkpoints of all consumers are due at the same times after it, so that they advance together.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The position of a consumer, and the position that its checkpoint has.
pub(crate) struct Progress {
    position: Position,
    durable: Position,
    /// Time since which the two differ.
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

    /// Returns the position of the checkpoint.
    pub const fn durable(&self) -> Position {
        self.durable
    }

    pub const fn is_ahead(&self) -> bool {
        self.position > self.durable
    }

    /// Returns the time at which the checkpoint must advance.
    pub fn due(&self) -> Instant {
        let since = self.ahead_since.saturating_duration_since(*EPOCH);
        let moments = since.as_millis() / FLUSH.as_millis() + 1;
        *EPOCH + FLUSH * u32::try_from(moments).unwrap_or(u32::MAX)
    }

    pub fn is_due(&self) -> bool {
        self.is_ahead() && self.due() <= Instant::now()
    }
}
