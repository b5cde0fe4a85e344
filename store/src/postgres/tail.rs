//! The tail of the log, in memory: followers of the log read new events from it, not from the database.

use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::{Filter, Page, Position, ReadError, Recorded};

/// Maximum payload bytes and events in the tail.
const MAX_BYTES: usize = 8 << 20;
const MAX_EVENTS: usize = 16_384;
/// Maximum number of events to fetch after another node has appended them.
pub const MAX_MISSING: Position = 4_096;

/// Consecutive events, up to a position that is in the log.
pub struct Tail {
    kept: RwLock<Kept>,
    /// One reader fetches missing events for all.
    fetching: tokio::sync::Mutex<()>,
}

struct Kept {
    events: VecDeque<Recorded>,
    bytes: usize,
    end: Position,
}

/// The result of looking in the tail.
enum Found {
    Page(Page),
    /// The tail begins after the requested position.
    TooLate,
    /// The tail ends here, before the end of the log.
    TooEarly(Position),
}

impl Tail {
    /// Creates an empty tail after a position.
    pub fn after(position: Position) -> Self {
        Self {
            kept: RwLock::new(Kept::after(position)),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// Adds committed events that directly follow the tail.
    pub fn extend(&self, events: impl IntoIterator<Item = Recorded>) {
        let mut kept = self.write();
        for event in events {
            kept.push(event);
        }
        kept.trim();
    }

    /// Returns a page from the tail, after `fetch` has added missing events if possible; none: read the database instead.
    pub async fn read<F>(
        &self,
        after: Position,
        head: Position,
        filter: &Filter,
        limit: usize,
        fetch: impl Fn(Position) -> F,
    ) -> Result<Option<Page>, ReadError>
    where
        F: Future<Output = Result<Page, ReadError>>,
    {
        loop {
            let end = match self.find(after, head, filter, limit) {
                Found::Page(page) => return Ok(Some(page)),
                Found::TooLate => return Ok(None),
                Found::TooEarly(end) => end,
            };
            if head - end > MAX_MISSING {
                self.restart(head);
                return Ok(None);
            }
            let _turn = self.fetching.lock().await;
            let end = self.read_lock().end;
            if end < head {
                self.extend(fetch(end).await?.events);
            }
        }
    }

    fn find(&self, after: Position, head: Position, filter: &Filter, limit: usize) -> Found {
        let kept = self.read_lock();
        let Some(skipped) = kept.index_after(after) else {
            return Found::TooLate;
        };
        if kept.end < head {
            return Found::TooEarly(kept.end);
        }
        let wanted = kept.events.range(skipped..);
        let events: Vec<Recorded> = wanted
            .filter(|event| filter.matches(event))
            .take(limit)
            .cloned()
            .collect();
        let full = events.len() == limit;
        Found::Page(Page::new(events, full, after, kept.end))
    }

    /// Empties the tail, because too many events are missing to fetch them.
    fn restart(&self, head: Position) {
        let mut kept = self.write();
        if kept.end < head {
            *kept = Kept::after(head);
        }
    }

    fn read_lock(&self) -> RwLockReadGuard<'_, Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Kept> {
        self.kept.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    const fn after(position: Position) -> Self {
        Self {
            events: VecDeque::new(),
            bytes: 0,
            end: position,
        }
    }

    fn push(&mut self, event: Recorded) {
        if event.position == self.end + 1 {
            self.end = event.position;
            self.bytes += event.data.len();
            self.events.push_back(event);
        }
    }

    fn trim(&mut self) {
        while self.bytes > MAX_BYTES || self.events.len() > MAX_EVENTS {
            let Some(oldest) = self.events.pop_front() else {
                return;
            };
            self.bytes -= oldest.data.len();
        }
    }

    /// Returns the index of the first event after a position; none: that event is no longer in the tail.
    fn index_after(&self, position: Position) -> Option<usize> {
        let length = Position::try_from(self.events.len()).ok()?;
        let index = position - (self.end - length);
        usize::try_from(index.min(length)).ok()
    }
}
