//! A cache of single-resource answers, valid until an event concerns them.
//!
//! An answer is stored with the position that its read model had before it was read. A follower of the log drops it on any event of its
//! stream. An event of a workspace makes all earlier answers of its product invalid, because visibility may depend on it. An answer is
//! used only if the follower has reached the read model's position, so it always equals the read model's answer.

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
use uuid::Uuid;

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
    /// Position of the read model before it was read.
    position: Position,
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
    /// Positions of the last events of workspaces, by product.
    workspaces: HashMap<Uuid, Position>,
    /// Position up to which events of workspaces are no longer remembered.
    workspaces_after: Position,
    last: HashMap<StreamId, Position>,
    order: VecDeque<Followed>,
}

/// The parts of an event that decide which answers it makes invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Followed {
    product_id: Uuid,
    stream: StreamId,
    position: Position,
}

impl QueryCache {
    pub fn start(store: Arc<dyn EventStore>) -> Arc<Self> {
        let head = *store.head().borrow();
        let cache = Arc::new(Self {
            answers: Cache::with_weighter(RECENT, BYTES, Bytewise),
            recent: Mutex::new(Recent::after(head)),
            followed: watch::Sender::new(head),
        });
        let drop_for = |cache: &Self, event: Recorded| {
            cache.drop_for(Followed {
                product_id: event.product_id,
                stream: event.stream,
                position: event.position,
            });
        };
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
        let recent = self.recent();
        if recent.until < position {
            return None;
        }
        let workspaces = recent.workspaces_of(viewer.product_id);
        drop(recent);
        let answers = self.answers.get(stream)?;
        let kept = answers.iter().find(|kept| kept.viewer == viewer)?;
        let is_valid = kept.position >= workspaces && kept.since.elapsed() < MAX_AGE;
        is_valid.then(|| kept.answer.clone())
    }

    /// Stores an answer that was read when the read model was at a position or beyond it.
    pub fn keep(&self, stream: StreamId, viewer: Viewer, position: Position, answer: Answer) {
        if answer.json.len() > LARGEST {
            return;
        }
        // The lock is held to the end, so that nothing is dropped in between.
        let recent = self.recent();
        if !recent.has_nothing_after(position, &stream, viewer.product_id) {
            return;
        }
        let others = self.answers.get(&stream).unwrap_or_default();
        let others = others.iter().filter(|kept| kept.viewer != viewer);
        let kept = Kept {
            viewer,
            answer,
            position,
            since: Instant::now(),
        };
        let answers = std::iter::once(kept).chain(others.cloned());
        let answers = answers.take(VIEWERS).collect();
        self.answers.insert(stream, Arc::new(answers));
    }

    fn drop_for(&self, event: Followed) {
        let mut recent = self.recent();
        self.answers.remove(&event.stream);
        let position = event.position;
        recent.note(event);
        drop(recent);
        self.followed.send_replace(position);
    }

    /// Returns true if it is certain that no workspace of a product has changed between two positions.
    pub async fn has_same_workspaces(
        &self,
        product_id: Uuid,
        from: Position,
        to: Position,
    ) -> bool {
        let mut followed = self.followed.subscribe();
        let reached = followed.wait_for(|followed| *followed >= to);
        let is_known = tokio::time::timeout(FOLLOWED_WITHIN, reached).await.is_ok();
        is_known && self.recent().workspaces_of(Some(product_id)) <= from
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
            workspaces: HashMap::new(),
            workspaces_after: position,
            last: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Returns the position up to which workspaces of a product, or of any, may have changed.
    fn workspaces_of(&self, product_id: Option<Uuid>) -> Position {
        let last = match product_id {
            Some(product_id) => self.workspaces.get(&product_id),
            None => self.workspaces.values().max(),
        };
        last.copied().unwrap_or(self.workspaces_after)
    }

    /// Returns true if no event after the position is known that could change a stream's answers.
    fn has_nothing_after(
        &self,
        position: Position,
        stream: &StreamId,
        product_id: Option<Uuid>,
    ) -> bool {
        let last = self.last.get(stream).copied().unwrap_or(self.after);
        position >= last.max(self.workspaces_of(product_id)).max(self.after)
    }

    fn note(&mut self, event: Followed) {
        self.until = event.position;
        if event.stream.category == Workspace::CATEGORY {
            self.workspaces.insert(event.product_id, event.position);
        }
        self.last.insert(event.stream.clone(), event.position);
        self.order.push_back(event);
        if self.order.len() > RECENT
            && let Some(oldest) = self.order.pop_front()
        {
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, event: &Followed) {
        self.after = event.position;
        if self.last.get(&event.stream) == Some(&event.position) {
            self.last.remove(&event.stream);
        }
        if event.stream.category == Workspace::CATEGORY {
            self.workspaces_after = event.position;
            if self.workspaces.get(&event.product_id) == Some(&event.position) {
                self.workspaces.remove(&event.product_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
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

    /// An event of the only product.
    fn event(stream: StreamId, position: Position) -> Followed {
        Followed {
            product_id: Uuid::nil(),
            stream,
            position,
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
        cache.drop_for(event(note(2), 11));
        assert!(cache.has(&note(1), 11));
        cache.drop_for(event(note(1), 12));
        assert!(!cache.has(&note(1), 12));
    }

    #[test]
    fn an_answer_from_before_the_last_event_of_its_stream_is_not_kept() {
        let cache = cache(10);
        cache.drop_for(event(note(1), 11));
        cache.drop_for(event(note(2), 12));
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
        cache.drop_for(event(note(2), 11));
        assert!(cache.has(&note(1), 11));
    }

    #[test]
    fn an_event_of_a_workspace_drops_the_answers_of_its_product() {
        let cache = cache(10);
        cache.keep_at(note(1), 10);
        cache.drop_for(event(workspace(), 11));
        assert!(!cache.has(&note(1), 11));
        cache.keep_at(note(1), 10);
        assert!(!cache.has(&note(1), 11));
        cache.keep_at(note(1), 11);
        assert!(cache.has(&note(1), 11));
    }

    #[test]
    fn an_event_of_a_workspace_drops_no_answer_of_another_product() {
        let cache = cache(10);
        let viewer = |number| Viewer {
            product_id: Some(Uuid::from_u128(number)),
            ..VIEWER
        };
        let answer = Answer {
            json: Bytes::from_static(b"{}"),
            version: 1,
        };
        for number in [1, 2] {
            cache.keep(note(number), viewer(number), 10, answer.clone());
        }
        cache.drop_for(Followed {
            product_id: Uuid::from_u128(1),
            ..event(workspace(), 11)
        });
        assert!(cache.find(&note(1), viewer(1), 11).is_none());
        assert!(cache.find(&note(2), viewer(2), 11).is_some());
    }

    #[tokio::test]
    async fn memberships_hold_until_anything_happens_to_a_workspace() {
        let cache = cache(10);
        cache.drop_for(event(note(1), 11));
        assert!(cache.has_same_workspaces(Uuid::nil(), 10, 11).await);
        assert!(
            !cache.has_same_workspaces(Uuid::nil(), 10, 12).await,
            "nobody knows yet"
        );
        cache.drop_for(event(workspace(), 12));
        cache.drop_for(event(note(1), 13));
        assert!(!cache.has_same_workspaces(Uuid::nil(), 11, 13).await);
        assert!(cache.has_same_workspaces(Uuid::nil(), 12, 13).await);
    }

    #[test]
    fn what_happened_longer_ago_than_is_remembered_may_have_been_anything() {
        let cache = cache(0);
        let events = Position::try_from(RECENT).unwrap() + 1;
        for position in 1..=events {
            cache.drop_for(event(note(2), position));
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
