//! The optimistic concurrency check of a batch of appends, by the heads of its streams and the keys used before.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::StreamId;
use quick_cache::unsync::Cache;
use uuid::Uuid;

use super::insert::Batch;
use crate::{Append, AppendError, Appended, Expected, Position, Receipt};

/// Number of stream heads that are remembered.
const REMEMBERED: usize = 65_536;

/// The head of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamHead {
    /// 0: the stream has no event.
    pub version: i64,
    /// The last event, if it is known.
    pub event_id: Option<Uuid>,
}

/// Heads of streams and of the log as this node last saw them. Other nodes may have appended since, so they are never too high.
pub struct StreamHeads {
    streams: Cache<StreamId, StreamHead>,
    /// Position of the end of this node's last batch.
    end: Position,
    /// True if that batch directly followed this node's previous one.
    alone: bool,
}

impl Default for StreamHeads {
    fn default() -> Self {
        Self {
            streams: Cache::new(REMEMBERED),
            end: 0,
            alone: true,
        }
    }
}

impl StreamHeads {
    /// Remembers the heads that result from a committed batch.
    pub fn learn(&mut self, check: &ConflictCheck<'_>, base: Position, events: Position) {
        for (stream, stream_head) in &check.stream_heads {
            self.streams.insert((*stream).clone(), *stream_head);
        }
        self.alone = base == self.end;
        self.end = base + events;
    }

    /// Returns true if no other node appends, as far as this node knows.
    pub const fn is_alone(&self) -> bool {
        self.alone
    }

    /// Forgets the streams of a batch whose assumptions were wrong.
    pub fn forget(&mut self, appends: &[Append]) {
        for stream in appends.iter().flat_map(Append::streams) {
            self.streams.remove(stream);
        }
    }
}

/// The result of checking an append, if the batch is committed.
pub enum AppendDecision {
    Holds {
        /// Place in the batch and version of each event.
        placed: Vec<(Position, i64)>,
        /// Place of the last event of the batch so far.
        end: Position,
    },
    Conflict {
        stream: StreamId,
        expected: Expected,
        actual: i64,
    },
    /// The key was used before the batch.
    Repeated(Box<Receipt>),
    /// The key was used earlier in the batch.
    RepeatedHere(Box<Receipt>),
}

impl AppendDecision {
    pub const fn holds(&self) -> bool {
        matches!(self, Self::Holds { .. })
    }

    /// Returns the verdict, given the position before the batch.
    pub fn verdict(
        self,
        base: Position,
        recorded_at: DateTime<Utc>,
    ) -> Result<Appended, AppendError> {
        match self {
            Self::Holds { mut placed, end } => {
                for (position, _) in &mut placed {
                    *position += base;
                }
                Ok(Appended {
                    position: base + end,
                    placed,
                    recorded_at,
                })
            }
            Self::Conflict {
                stream,
                expected,
                actual,
            } => Err(AppendError::Conflict {
                stream,
                expected,
                actual,
            }),
            Self::Repeated(receipt) => Err(AppendError::Repeated(receipt)),
            Self::RepeatedHere(mut receipt) => {
                receipt.position += base;
                Err(AppendError::Repeated(receipt))
            }
        }
    }
}

/// Known stream heads and keys of a batch; every append that holds updates them.
#[derive(Default)]
pub struct ConflictCheck<'a> {
    stream_heads: HashMap<&'a StreamId, StreamHead>,
    receipts: HashMap<Vec<u8>, Receipt>,
    /// Keys used by this batch.
    claimed: HashMap<[u8; 32], Receipt>,
    /// Stream heads that were assumed, not read.
    assumptions: Vec<Assumption<'a>>,
}

/// The assumed head of a stream.
struct Assumption<'a> {
    stream: &'a StreamId,
    version: i64,
    /// True if the log once had this head, so that it may only have advanced.
    remembered: bool,
}

impl<'a> ConflictCheck<'a> {
    /// Makes a check from heads and receipts that were read from the log.
    pub fn looked_up(
        stream_heads: HashMap<&'a StreamId, StreamHead>,
        receipts: HashMap<Vec<u8>, Receipt>,
    ) -> Self {
        Self {
            stream_heads,
            receipts,
            ..Self::default()
        }
    }

    /// Makes a check without reading the log: remembered heads are assumed to be current, and others to be as the appends expect.
    /// None if an append leaves the head of one of its streams open.
    pub fn assumed(appends: &'a [Append], remembered: &StreamHeads) -> Option<Self> {
        let mut check = Self::default();
        for append in appends {
            for (stream, expected) in &append.expectations {
                check.assume(stream, Some(*expected), remembered)?;
            }
            for stream in append.streams() {
                check.assume(stream, None, remembered)?;
            }
        }
        Some(check)
    }

    fn assume(
        &mut self,
        stream: &'a StreamId,
        expected: Option<Expected>,
        remembered: &StreamHeads,
    ) -> Option<()> {
        if self.stream_heads.contains_key(stream) {
            return Some(());
        }
        let known = remembered.streams.get(stream).copied();
        let wanted = match expected {
            Some(Expected::NoStream) => Some(0),
            Some(Expected::Exact(version)) if version >= 0 => Some(version),
            Some(Expected::After { version, .. }) => {
                known.filter(|stream_head| stream_head.version >= version)?;
                None
            }
            Some(Expected::Exact(_) | Expected::Any | Expected::Existing) | None => None,
        };
        let current =
            known.filter(|stream_head| wanted.is_none_or(|wanted| stream_head.version >= wanted));
        let stream_head = match (current, wanted) {
            (Some(stream_head), _) => stream_head,
            (None, Some(version)) => StreamHead {
                version,
                event_id: None,
            },
            (None, None) => return None,
        };
        self.assumptions.push(Assumption {
            stream,
            version: stream_head.version,
            remembered: current.is_some(),
        });
        self.stream_heads.insert(stream, stream_head);
        Some(())
    }

    /// Makes the batch fail if an assumption is wrong. An event appended to a stream proves its head by itself,
    /// because no two events share a version.
    pub fn guard(&self, batch: &mut Batch<'a>) {
        for assumption in &self.assumptions {
            let written = self.stream_head(assumption.stream).version > assumption.version;
            let begun = assumption.remembered || assumption.version == 0;
            if !(written && begun) {
                batch.guard(assumption.stream, assumption.version);
            }
        }
    }

    /// Judges each append by the state that those before it left.
    pub fn judge_all(
        &mut self,
        appends: &'a [Append],
        batch: &mut Batch<'a>,
    ) -> Vec<AppendDecision> {
        let judge = |append| self.judge(append, batch);
        appends.iter().map(judge).collect()
    }

    /// Judges one append by the state that those before it left, and takes its rows if it holds.
    fn judge(&mut self, append: &'a Append, batch: &mut Batch<'a>) -> AppendDecision {
        if let Some(key) = &append.receipt {
            if let Some(receipt) = self.receipts.get(key.key.as_slice()) {
                return AppendDecision::Repeated(Box::new(receipt.clone()));
            }
            if let Some(receipt) = self.claimed.get(&key.key) {
                return AppendDecision::RepeatedHere(Box::new(receipt.clone()));
            }
        }
        for (stream, expected) in &append.expectations {
            let stream_head = self.stream_head(stream);
            if !expected.holds(stream_head.version, stream_head.event_id) {
                return AppendDecision::Conflict {
                    stream: stream.clone(),
                    expected: *expected,
                    actual: stream_head.version,
                };
            }
        }
        let mut placed = Vec::with_capacity(append.events.len());
        for event in &append.events {
            let version = self.stream_head(&event.stream).version + 1;
            let stream_head = StreamHead {
                version,
                event_id: Some(event.event_id),
            };
            self.stream_heads.insert(&event.stream, stream_head);
            placed.push((batch.add_event(append.product_id, event, version), version));
        }
        if let Some(key) = &append.receipt {
            let receipt = Receipt {
                fingerprint: key.fingerprint.to_vec(),
                position: batch.events(),
                stream: key.stream.clone(),
                version: self.stream_head(&key.stream).version,
                event_ids: append.events.iter().map(|event| event.event_id).collect(),
            };
            batch.add_receipt(&key.key, receipt.clone());
            self.claimed.insert(key.key, receipt);
        }
        AppendDecision::Holds {
            placed,
            end: batch.events(),
        }
    }

    fn stream_head(&self, stream: &StreamId) -> StreamHead {
        self.stream_heads.get(stream).copied().unwrap_or_default()
    }
}
