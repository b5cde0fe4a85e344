//! A cache of single-resource answers, valid until an event concerns them.
//!
//! An answer is stored with the position that its read model had before it was read. A follower of the log drops it on any event of its
//! stream, and on any event of a workspace, because visibility may depend on that. An answer is used only if the follower has reached the
//! read model's position, so it always equals the read model's answer.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use domain::knowledge::workspace::Workspace;
use domain::{Aggregate, StreamId};
use projections::Viewer;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use store::{EventStore, Filter, Position, Recorded};
use tokio::sync::watch;

use crate::follow::follow;

/// Maximum total size in bytes.
const BYTES: u64 = 32 << 20;
/// Maximum size of one answer in bytes.
const LARGEST: usize = 64 << 10;
/// Overhead of an answer in bytes.
const OVERHEAD: usize = 256;
/// Maximum number of viewers per resource.
const VIEWERS: usize = 8;
/// Maximum age, after which the results of a rebuilt read model become visible.
const MAX_AGE: Duration = Duration::from_secs(5);
/// Longest time to wait for the follower of the log.
const FOLLOWED_WITHIN: Duration = Duration::from_millis(20);
/// Number of recent events that are remembered.
const RECENT: usize = 16_384;

/// A resource as JSON.
#[derive(Clone)]
pub struct Answer {
    pub json: Bytes,
    /// Version of the stream.
    pub version: i64,
}

#[derive(Clone)]
struct Kept {
    viewer: Viewer,
    answer: Answer,
    since: Instant,
}

/// Answers about one stream.
type Answers = Arc<Vec<Kept>>;

#[derive(Clone)]
struct Bytewise;

impl Weighter<StreamId, Answers> for Bytewise {
    fn weight(&self, _: &StreamId, answers: &Answers) -> u64 {
        let bytes: usize = answers
            .iter()
            .map(|kept| kept.answer.json.len() + OVERHEAD)
            .sum();
        bytes as u64
    }
}

pub struct QueryCache {
    answers: Cache<StreamId, Answers, Bytewise>,
    recent: Mutex<Recent>,
    /// Position up to which the log was followed.
    followed: watch::Sender<Position>,
}

/// The most recent events that were followed.
struct Recent {
    /// Position up to which events are no longer remembered.
    after: Position,
    until: Position,
    /// Position of the last event of any workspace.
    workspace: Position,
    last: HashMap<StreamId, Position>,
    order: VecDeque<(StreamId, Position)>,
}

impl QueryCache {
    pub fn start(store: Arc<dyn EventStore>) -> Arc<Self> {
        let head = *store.head().borrow();
        let cache = Arc::new(Self {
            answers: Cache::with_weighter(RECENT, BYTES, Bytewise),
            recent: Mutex::new(Recent::after(head)),
            followed: watch::Sender::new(head),
        });
        let drop_for = |cache: &Self, event: Recorded| cache.drop_for(event.stream, event.position);
        follow(
            Arc::downgrade(&cache),
            store,
            head,
            Filter::default(),
            drop_for,
        );
        cache
    }

    /// Returns the answer for a viewer, valid at the read model's position.
    pub fn find(&self, stream: &StreamId, viewer: Viewer, position: Position) -> Option<Answer> {
        // Checked first, because an answer could be dropped in between.
        if self.recent().until < position {
            return None;
        }
        let answers = self.answers.get(stream)?;
        let kept = answers.iter().find(|kept| kept.viewer == viewer)?;
        (kept.since.elapsed() < MAX_AGE).then(|| kept.answer.clone())
    }

    /// Stores an answer that was read when the read model was at a position or beyond it.
    pub fn keep(&self, stream: StreamId, viewer: Viewer, position: Position, answer: Answer) {
        if answer.json.len() > LARGEST {
            return;
        }
        // The lock is held to the end, so that nothing is dropped in between.
        let recent = self.recent();
        if !recent.has_nothing_after(position, &stream) {
            return;
        }
        let others = self.answers.get(&stream).unwrap_or_default();
        let others = others.iter().filter(|kept| kept.viewer != viewer);
        let kept = Kept {
            viewer,
            answer,
            since: Instant::now(),
        };
        let answers = std::iter::once(kept).chain(others.cloned());
        let answers = answers.take(VIEWERS).collect();
        self.answers.insert(stream, Arc::new(answers));
    }

    fn drop_for(&self, stream: StreamId, position: Position) {
        let mut recent = self.recent();
        if stream.category == Workspace::CATEGORY {
            self.answers.clear();
        } else {
            self.answers.remove(&stream);
        }
        recent.note(stream, position);
        drop(recent);
        self.followed.send_replace(position);
    }

    /// Returns true if it is certain that no workspace has changed between two positions.
    pub async fn has_same_workspaces(&self, from: Position, to: Position) -> bool {
        let mut followed = self.followed.subscribe();
        let reached = followed.wait_for(|followed| *followed >= to);
        let is_known = tokio::time::timeout(FOLLOWED_WITHIN, reached).await.is_ok();
        is_known && self.recent().workspace <= from
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    fn after(position: Position) -> Self {
        Self {
            after: position,
            until: position,
            workspace: position,
            last: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Returns true if no event after the position is known that could change a stream's answers.
    fn has_nothing_after(&self, position: Position, stream: &StreamId) -> bool {
        let last = self.last.get(stream).copied().unwrap_or(self.after);
        position >= last.max(self.workspace).max(self.after)
    }

    fn note(&mut self, stream: StreamId, position: Position) {
        self.until = position;
        if stream.category == Workspace::CATEGORY {
            self.workspace = position;
        }
        self.last.insert(stream.clone(), position);
        self.order.push_back((stream, position));
        if self.order.len() > RECENT
            && let Some((stream, position)) = self.order.pop_front()
        {
            self.after = position;
            if self.last.get(&stream) == Some(&position) {
                self.last.remove(&stream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const VIEWER: Viewer = Viewer {
        product_id: None,
        actor_id: Uuid::nil(),
    };

    fn cache(position: Position) -> QueryCache {
        QueryCache {
            answers: Cache::with_weighter(RECENT, BYTES, Bytewise),
            recent: Mutex::new(Recent::after(position)),
            followed: watch::Sender::new(position),
        }
    }

    fn note(number: u128) -> StreamId {
        StreamId::new("note", Uuid::from_u128(number))
    }

    fn workspace() -> StreamId {
        StreamId::new(Workspace::CATEGORY, Uuid::nil())
    }

    impl QueryCache {
        fn keep_at(&self, stream: StreamId, position: Position) {
            let answer = Answer {
                json: Bytes::from_static(b"{}"),
                version: 1,
            };
            self.keep(stream, VIEWER, position, answer);
        }

        fn has(&self, stream: &StreamId, position: Position) -> bool {
            self.find(stream, VIEWER, position).is_some()
        }
    }

    #[test]
    fn an_answer_is_used_until_anything_happens_to_its_stream() {
        let cache = cache(10);
        cache.keep_at(note(1), 10);
        cache.drop_for(note(2), 11);
        assert!(cache.has(&note(1), 11));
        cache.drop_for(note(1), 12);
        assert!(!cache.has(&note(1), 12));
    }

    #[test]
    fn an_answer_from_before_the_last_event_of_its_stream_is_not_kept() {
        let cache = cache(10);
        cache.drop_for(note(1), 11);
        cache.drop_for(note(2), 12);
        cache.keep_at(note(1), 10);
        assert!(!cache.has(&note(1), 10));
        cache.keep_at(note(1), 11);
        assert!(cache.has(&note(1), 12));
    }

    #[test]
    fn an_answer_is_not_used_where_the_read_model_is_further_than_the_log_was_followed() {
        let cache = cache(10);
        cache.keep_at(note(1), 10);
        assert!(!cache.has(&note(1), 11));
        cache.drop_for(note(2), 11);
        assert!(cache.has(&note(1), 11));
    }

    #[test]
    fn an_event_of_any_workspace_drops_everything() {
        let cache = cache(10);
        cache.keep_at(note(1), 10);
        cache.drop_for(workspace(), 11);
        assert!(!cache.has(&note(1), 11));
        cache.keep_at(note(1), 10);
        assert!(!cache.has(&note(1), 11));
        cache.keep_at(note(1), 11);
        assert!(cache.has(&note(1), 11));
    }

    #[tokio::test]
    async fn memberships_hold_until_anything_happens_to_a_workspace() {
        let cache = cache(10);
        cache.drop_for(note(1), 11);
        assert!(cache.has_same_workspaces(10, 11).await);
        assert!(!cache.has_same_workspaces(10, 12).await, "nobody knows yet");
        cache.drop_for(workspace(), 12);
        cache.drop_for(note(1), 13);
        assert!(!cache.has_same_workspaces(11, 13).await);
        assert!(cache.has_same_workspaces(12, 13).await);
    }

    #[test]
    fn what_happened_longer_ago_than_is_remembered_may_have_been_anything() {
        let cache = cache(0);
        let events = Position::try_from(RECENT).unwrap() + 1;
        for position in 1..=events {
            cache.drop_for(note(2), position);
        }
        cache.keep_at(note(1), 0);
        assert!(!cache.has(&note(1), 0));
        cache.keep_at(note(1), 1);
        assert!(cache.has(&note(1), events));
        let recent = cache.recent();
        assert_eq!((recent.last.len(), recent.order.len()), (1, RECENT));
    }

    #[test]
    fn one_viewer_is_not_answered_what_another_was() {
        let cache = cache(10);
        cache.keep_at(note(1), 10);
        let other = Viewer {
            product_id: Some(Uuid::nil()),
            ..VIEWER
        };
        assert!(cache.find(&note(1), other, 10).is_none());
    }
}
