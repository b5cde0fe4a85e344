//! Quarantine: streams that a consumer skips because of an event that it cannot apply.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::StreamId;
use serde::Serialize;
use store::{Database, Position, Purpose, Recorded};
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

use crate::{ApplyError, Checkpoint, QueryError};

/// Maximum length of a stored reason in characters.
const MAX_REASON: usize = 2_000;

/// A stream in quarantine.
#[derive(Debug, Clone, Serialize)]
pub struct Quarantined {
    pub consumer: String,
    pub stream: StreamId,
    pub product_id: Uuid,
    /// Position of the event that cannot be applied; later events of the stream wait behind it.
    pub position: Position,
    pub reason: String,
    pub since: DateTime<Utc>,
    /// Number of retries of the event.
    pub retried: i32,
    /// The operator's request, until the consumer has processed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
}

/// The operator's ways to end a quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Asked {
    /// Applies the event, and those that wait behind it.
    Retry,
    /// Leaves the event out, and applies those that wait behind it.
    Skip,
}

/// The quarantine of a consumer that runs on this node.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    /// Version of the quarantine in the checkpoint; raised when anybody else changes the quarantine.
    pub version: i64,
    held: HashMap<StreamId, Quarantined>,
    /// Events that the consumer leaves out at the operator's request.
    skipped: HashSet<Position>,
}

/// The quarantine of a consumer as this node last read it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub version: i64,
    pub streams: Arc<HashMap<StreamId, Position>>,
}

impl Quarantined {
    /// Puts the stream of an event that a consumer cannot apply into quarantine.
    pub(crate) fn of(consumer: &str, event: &Recorded, reason: &ApplyError) -> Self {
        let reason = reason.to_string().replace('\0', "\\0");
        Self {
            consumer: consumer.to_owned(),
            stream: event.stream.clone(),
            product_id: event.product_id,
            position: event.position,
            reason: reason.chars().take(MAX_REASON).collect(),
            since: Utc::now(),
            retried: 0,
            asked: None,
        }
    }

    fn from_row(row: &Row) -> Self {
        let asked: Option<&str> = row.get(8);
        Self {
            consumer: row.get(0),
            stream: StreamId::new(row.get::<_, String>(1), row.get(2)),
            product_id: row.get(3),
            position: row.get(4),
            reason: row.get(5),
            since: row.get(6),
            retried: row.get(7),
            asked: asked.and_then(|asked| asked.parse().ok()),
        }
    }

    /// Writes the stream to the table.
    pub(crate) async fn write(
        &self,
        client: &impl GenericClient,
    ) -> Result<(), tokio_postgres::Error> {
        const WRITE: &str = "
            insert into log.quarantine (consumer, category, stream_id, product_id, position, reason, since, retried)
            values ($1, $2, $3, $4, $5, $6, $7, $8)
            on conflict (consumer, category, stream_id)
            do update set position = $5, reason = $6, since = $7, retried = $8, asked = null";
        let Self {
            consumer,
            stream,
            product_id,
            position,
            reason,
            since,
            retried,
            asked: _,
        } = self;
        client
            .execute(
                WRITE,
                &[
                    consumer,
                    &stream.category,
                    &stream.id,
                    product_id,
                    position,
                    reason,
                    since,
                    retried,
                ],
            )
            .await?;
        Ok(())
    }

    /// Removes the stream from the table. If the operator asked to skip its event, the event is left out from now on.
    pub(crate) async fn remove(
        &self,
        client: &impl GenericClient,
    ) -> Result<(), tokio_postgres::Error> {
        const REMOVE: &str =
            "delete from log.quarantine where consumer = $1 and category = $2 and stream_id = $3";
        const SKIP: &str = "
            insert into log.skipped_events (consumer, position, reason) values ($1, $2, $3)
            on conflict do nothing";
        let (consumer, stream) = (&self.consumer, &self.stream);
        client
            .execute(REMOVE, &[consumer, &stream.category, &stream.id])
            .await?;
        if self.asked == Some(Asked::Skip) {
            client
                .execute(SKIP, &[consumer, &self.position, &self.reason])
                .await?;
        }
        Ok(())
    }
}

impl Quarantine {
    /// Loads the quarantine of a consumer.
    pub async fn load(
        client: &impl GenericClient,
        consumer: &str,
        version: i64,
    ) -> Result<Self, tokio_postgres::Error> {
        let held = held(client, Some(consumer)).await?;
        Ok(Self {
            version,
            held: held
                .into_iter()
                .map(|held| (held.stream.clone(), held))
                .collect(),
            ..Self::empty(client, consumer).await?
        })
    }

    /// Loads an empty quarantine for a read model that is rebuilt, with the events to leave out.
    pub async fn empty(
        client: &impl GenericClient,
        consumer: &str,
    ) -> Result<Self, tokio_postgres::Error> {
        const SKIPPED: &str = "select position from log.skipped_events where consumer = $1";
        let skipped = client.query(SKIPPED, &[&consumer]).await?;
        Ok(Self {
            skipped: skipped.iter().map(|row| row.get(0)).collect(),
            ..Self::default()
        })
    }

    pub fn holds(&self, stream: &StreamId) -> bool {
        !self.held.is_empty() && self.held.contains_key(stream)
    }

    /// Returns true if the operator asked to skip the event.
    pub fn skips(&self, event: &Recorded) -> bool {
        self.skipped.contains(&event.position)
    }

    pub fn add(&mut self, held: Quarantined) {
        self.held.insert(held.stream.clone(), held);
    }

    /// Releases a stream.
    pub fn release(&mut self, held: &Quarantined) {
        self.held.remove(&held.stream);
        if held.asked == Some(Asked::Skip) {
            self.skipped.insert(held.position);
        }
    }

    /// Returns the streams, sorted by the positions of their events.
    pub fn streams(&self) -> Vec<Quarantined> {
        let mut streams: Vec<_> = self.held.values().cloned().collect();
        streams.sort_by_key(|held| held.position);
        streams
    }

    pub fn len(&self) -> usize {
        self.held.len()
    }

    pub fn known(&self) -> Known {
        let held = self.held.values();
        Known {
            version: self.version,
            streams: Arc::new(
                held.map(|held| (held.stream.clone(), held.position))
                    .collect(),
            ),
        }
    }
}

/// Replaces the streams of a consumer in the table by these.
pub(crate) async fn replace(
    client: &impl GenericClient,
    consumer: &str,
    streams: &[Quarantined],
) -> Result<(), tokio_postgres::Error> {
    const CLEAR: &str = "delete from log.quarantine where consumer = $1";
    client.execute(CLEAR, &[&consumer]).await?;
    for held in streams {
        held.write(client).await?;
    }
    Ok(())
}

async fn held(
    client: &impl GenericClient,
    consumer: Option<&str>,
) -> Result<Vec<Quarantined>, tokio_postgres::Error> {
    const HELD: &str = "
        select consumer, category, stream_id, product_id, position, reason, since, retried, asked
        from log.quarantine where $1::text is null or consumer = $1 order by consumer, position";
    let rows = client.query(HELD, &[&consumer]).await?;
    Ok(rows.iter().map(Quarantined::from_row).collect())
}

/// Returns every stream in quarantine.
pub async fn all(database: &Database) -> Result<Vec<Quarantined>, QueryError> {
    let client = database.session(Purpose::Queries).await?;
    Ok(held(&**client, None).await?)
}

/// Asks the node that runs a consumer to process one stream in quarantine, or all of them; returns how many there are.
pub async fn ask(
    database: &Database,
    consumer: &str,
    stream: Option<&StreamId>,
    asked: Asked,
) -> Result<u64, QueryError> {
    // Locks the checkpoint first, in the same order as the consumer does.
    const RAISE: &str = "update log.checkpoints set quarantine = quarantine + 1 where name = $1";
    const ASK: &str = "
        update log.quarantine set asked = $2
        where consumer = $1 and ($3::text is null or category = $3 and stream_id = $4)";
    let mut client = database.session(Purpose::Queries).await?;
    let transaction = client.transaction().await?;
    transaction.execute(RAISE, &[&consumer]).await?;
    let (category, id) = stream.map(|stream| (&stream.category, stream.id)).unzip();
    let asked: &str = asked.into();
    let count = transaction
        .execute(ASK, &[&consumer, &asked, &category, &id])
        .await?;
    transaction.commit().await?;
    Ok(count)
}

/// Returns the quarantines of consumers with these checkpoints, by name.
pub(crate) async fn known(
    database: &Database,
    checkpoints: &[Checkpoint],
) -> Result<HashMap<String, Known>, QueryError> {
    let mut streams: HashMap<String, HashMap<StreamId, Position>> = HashMap::new();
    for held in all(database).await? {
        let of_consumer = streams.entry(held.consumer).or_default();
        of_consumer.insert(held.stream, held.position);
    }
    let known = checkpoints.iter().map(|checkpoint| {
        let streams = streams.remove(&checkpoint.name).unwrap_or_default();
        let known = Known {
            version: checkpoint.quarantine,
            streams: Arc::new(streams),
        };
        (checkpoint.name.clone(), known)
    });
    Ok(known.collect())
}
