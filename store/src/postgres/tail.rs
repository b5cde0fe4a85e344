//! The end of the log, in memory: whoever follows the log reads each event from there, not from the database.

use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::{Filter, Page, Position, ReadError, Recorded};

/// Payload bytes, and events, that are kept.
const MAX_BYTES: usize = 8 << 20;
const MAX_EVENTS: usize = 16_384;
/// Events that are fetched at most, when another node has appended them.
pub const MAX_MISSING: Position = 4_096;

/// Events without a gap, up to a position that is in the log.
pub struct Tail {
    kept: RwLock<Kept>,
    /// Whoever fetches what is missing does it for all.
    fetching: tokio::sync::Mutex<()>,
}

struct Kept {
    events: VecDeque<Recorded>,
    bytes: usize,
    end: Position,
}

/// What the tail has of what a reader wants.
enum Found {
    Page(Page),
    /// It begins later.
    TooLate,
    /// It ends here, earlier than the log.
    TooEarly(Position),
}

impl Tail {
    /// Begins after a position.
    pub fn after(position: Position) -> Self {
        Self {
            kept: RwLock::new(Kept::after(position)),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// Adds events that are committed, as far as they follow what is there.
    pub fn extend(&self, events: impl IntoIterator<Item = Recorded>) {
        let mut kept = self.write();
        for event in events {
            kept.push(event);
        }
        kept.trim();
    }

    /// What a reader of the log wants, if it is here, or `fetch` can make it be; none: the database has to be asked.
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

    /// Too much is missing to be worth fetching.
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

    /// Index of the first event after a position; none, if that one is not kept any more.
    fn index_after(&self, position: Position) -> Option<usize> {
        let length = Position::try_from(self.events.len()).ok()?;
        let index = position - (self.end - length);
        usize::try_from(index.min(length)).ok()
    }
}
