//! The events of the log: appended, recorded, filtered, and read in pages.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::{Actor, ContractError, EventContract, StreamId, covers};
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::Visibility;

/// Place of an event in the log: 1, 2, 3, … without gaps, in commit order. 0 is before the first event.
pub type Position = i64;

/// The version that a stream must have for an append to succeed. Versions count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Any version.
    Any,
    /// The stream has no event yet.
    NoStream,
    /// The stream has at least one event.
    Existing,
    /// The stream's last event has this version.
    Exact(i64),
    /// The stream's last event is this one, which may still be in flight. The append fails if that event's append does.
    After { version: i64, event_id: Uuid },
}

impl Expected {
    /// Returns true if a stream at `version` (0: no event) with this last event meets the expectation.
    #[must_use]
    pub fn holds(self, version: i64, last: Option<Uuid>) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => version == 0,
            Self::Existing => version > 0,
            Self::Exact(expected) => version == expected,
            Self::After { event_id, .. } => last == Some(event_id),
        }
    }
}

/// The actor, the command and the origin of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    pub actor: Actor,
    /// Id of the API key that the actor used; null if Daybook acts by itself, or for a signed address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Uuid>,
    /// The actor who proposed the change, if another one made it: the agent whose proposal a person approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<Actor>,
    /// Name of the command: `note.revise`.
    pub command: String,
    /// The idempotency key of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_key: Option<String>,
    /// Reason, in the actor's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// W3C trace context of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// An event to append.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub stream: StreamId,
    /// Appending the same id twice changes nothing.
    pub event_id: Uuid,
    pub event_type: String,
    pub contract_version: u16,
    /// JSON, stored byte for byte.
    pub data: String,
    pub metadata: Metadata,
    pub correlation_id: Uuid,
    pub causation_id: Option<Uuid>,
    /// The workspace of its stream.
    pub workspace_id: Option<Uuid>,
}

/// A command's idempotency key, claimed in the append transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptKey {
    /// SHA-256 over product, credential and the client's key.
    pub key: [u8; 32],
    /// SHA-256 over the content of the command.
    pub fingerprint: [u8; 32],
    /// The stream whose state is the command's response.
    pub stream: StreamId,
}

/// The stored outcome of a command that had an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub fingerprint: Vec<u8>,
    pub position: Position,
    pub stream: StreamId,
    pub version: i64,
    pub event_ids: Vec<Uuid>,
}

/// Events that are appended together or not at all.
#[derive(Debug, Clone)]
pub struct Append {
    pub product_id: Uuid,
    /// Streams whose versions must hold; a stream without an event here is only guarded.
    pub expectations: Vec<(StreamId, Expected)>,
    pub events: Vec<NewEvent>,
    pub receipt: Option<ReceiptKey>,
}

impl Append {
    /// Returns every stream that the append touches, some more than once.
    pub fn streams(&self) -> impl Iterator<Item = &StreamId> {
        let expected = self.expectations.iter().map(|(stream, _)| stream);
        let written = self.events.iter().map(|event| &event.stream);
        let answered = self.receipt.iter().map(|receipt| &receipt.stream);
        expected.chain(written).chain(answered)
    }
}

/// The positions of appended events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Position of the last event; the head of the log if there was no event to append.
    pub position: Position,
    /// Position and version of each event, in the order of the append.
    pub placed: Vec<(Position, i64)>,
    pub recorded_at: DateTime<Utc>,
}

/// An event as recorded in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    pub position: Position,
    pub product_id: Uuid,
    pub stream: StreamId,
    pub version: i64,
    pub event_id: Uuid,
    pub event_type: String,
    pub contract_version: u16,
    pub data: String,
    pub metadata: Metadata,
    pub correlation_id: Uuid,
    pub causation_id: Option<Uuid>,
    pub recorded_at: DateTime<Utc>,
    /// The workspace whose members may see the event; none: its stream is in no workspace.
    pub workspace_id: Option<Uuid>,
}

impl Recorded {
    /// Returns the recorded form of an event, from the position and version that its append returned.
    #[must_use]
    pub fn placed(
        event: NewEvent,
        product_id: Uuid,
        (position, version): (Position, i64),
        recorded_at: DateTime<Utc>,
    ) -> Self {
        Self {
            position,
            product_id,
            stream: event.stream,
            version,
            event_id: event.event_id,
            event_type: event.event_type,
            contract_version: event.contract_version,
            data: event.data,
            metadata: event.metadata,
            correlation_id: event.correlation_id,
            causation_id: event.causation_id,
            recorded_at,
            workspace_id: event.workspace_id,
        }
    }

    /// Decodes the payload, upcast to the current contract.
    pub fn decode<E: EventContract>(&self) -> Result<E, ContractError> {
        E::decode(&self.event_type, self.contract_version, &self.data)
    }
}

/// Serializes the envelope, in the same form for every reader of the log.
impl Serialize for Recorded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct WireMetadata<'a> {
            #[serde(flatten)]
            metadata: &'a Metadata,
            correlation_id: Uuid,
            #[serde(skip_serializing_if = "Option::is_none")]
            causation_id: Option<Uuid>,
        }
        #[derive(Serialize)]
        struct Envelope<'a> {
            position: Position,
            event_id: Uuid,
            #[serde(rename = "type")]
            event_type: &'a str,
            contract_version: u16,
            product_id: Uuid,
            #[serde(skip_serializing_if = "Option::is_none")]
            workspace_id: Option<Uuid>,
            stream: &'a StreamId,
            version: i64,
            recorded_at: DateTime<Utc>,
            data: &'a RawValue,
            metadata: WireMetadata<'a>,
        }
        Envelope {
            position: self.position,
            event_id: self.event_id,
            event_type: &self.event_type,
            contract_version: self.contract_version,
            product_id: self.product_id,
            workspace_id: self.workspace_id,
            stream: &self.stream,
            version: self.version,
            recorded_at: self.recorded_at,
            data: serde_json::from_str(&self.data).map_err(S::Error::custom)?,
            metadata: WireMetadata {
                metadata: &self.metadata,
                correlation_id: self.correlation_id,
                causation_id: self.causation_id,
            },
        }
        .serialize(serializer)
    }
}

/// A filter on the whole log. Empty lists and `None` match everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub products: Vec<Uuid>,
    pub categories: Vec<String>,
    /// Full type names, or prefixes that end in `*`.
    pub types: Vec<String>,
    pub stream: Option<StreamId>,
    pub workspace_id: Option<Uuid>,
    pub actor_id: Option<Uuid>,
    pub correlation_id: Option<Uuid>,
    pub since: Option<DateTime<Utc>>,
    /// Exclusive.
    pub until: Option<DateTime<Utc>>,
    /// The events that the reader may see; none: all.
    pub visibility: Option<Arc<Visibility>>,
}

impl Filter {
    /// Returns a filter for events of these categories.
    pub fn categories(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            categories: names.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns true if the filter matches an event.
    #[must_use]
    pub fn matches(&self, event: &Recorded) -> bool {
        fn among<T: PartialEq<U>, U>(wanted: &[T], value: &U) -> bool {
            wanted.is_empty() || wanted.iter().any(|wanted| wanted == value)
        }
        among(&self.products, &event.product_id)
            && among(&self.categories, &event.stream.category)
            && (self.types.is_empty()
                || self
                    .types
                    .iter()
                    .any(|name| covers(name, &event.event_type)))
            && self
                .stream
                .as_ref()
                .is_none_or(|stream| *stream == event.stream)
            && self
                .workspace_id
                .is_none_or(|id| event.workspace_id == Some(id))
            && self.actor_id.is_none_or(|id| id == event.metadata.actor.id)
            && self
                .correlation_id
                .is_none_or(|id| id == event.correlation_id)
            && self.since.is_none_or(|since| since <= event.recorded_at)
            && self.until.is_none_or(|until| event.recorded_at < until)
            && self
                .visibility
                .as_ref()
                .is_none_or(|visibility| visibility.shows(event))
    }
}

/// A page of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    pub events: Vec<Recorded>,
    /// The position up to which events were examined: read on after it.
    pub scanned_to: Position,
}

impl Page {
    /// Makes the page of a read that began after a position and reached `end`, unless the page was full before. A full page ends with
    /// its last event; a full page without events makes no progress.
    pub(crate) fn new(events: Vec<Recorded>, full: bool, after: Position, end: Position) -> Self {
        let scanned_to = if full {
            events.last().map_or(after, |last| last.position)
        } else {
            end.max(after)
        };
        Self { events, scanned_to }
    }

    /// Removes events after a position.
    #[must_use]
    pub fn within(mut self, until: Position) -> Self {
        self.events.retain(|event| event.position <= until);
        self.scanned_to = self.scanned_to.min(until);
        self
    }
}
