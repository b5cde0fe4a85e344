//! Work that falls due: one table, claimed item by item, leased, retried, parked.
//!
//! Whoever waits for the locks of several items takes them in the order of their ids: nobody waits in a circle.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use store::{Database, Purpose, Session, SessionError};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{Json, ToSql, Type};
use tokio_postgres::{GenericClient, Row};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long a claimed item belongs to its worker. A worker that dies loses it after this.
const LEASE_SECONDS: f64 = 60.0;
/// Lanes that are looked at in one go.
pub const LOOK: i64 = 64;
/// How often the depth is measured.
const MEASURE: Duration = Duration::from_secs(5);

/// An item to be scheduled. Its id is derived from its cause, so that scheduling it twice changes nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct NewItem {
    pub id: Uuid,
    pub kind: &'static str,
    /// Items of one lane share a limit.
    pub lane: String,
    pub product_id: Uuid,
    pub payload: Value,
    pub run_at: DateTime<Utc>,
}

/// All items of a kind that share a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneId {
    pub kind: &'static str,
    pub lane: String,
}

/// A scheduled item.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    pub id: Uuid,
    pub kind: String,
    pub lane: String,
    pub product_id: Uuid,
    pub payload: Value,
    pub run_at: DateTime<Utc>,
    /// Failures so far.
    pub attempts: u32,
    pub leased_until: Option<DateTime<Utc>>,
    /// Given up; redrive it once its cause is mended.
    pub parked: bool,
    pub last_error: Option<String>,
}

/// A lane, as the oldest of its items stands.
pub struct Lane {
    pub name: String,
    /// Its time has come; it may be leased.
    pub is_due: bool,
}

const COLUMNS: &str = "w.id, w.kind, w.lane, w.product_id, w.payload, w.run_at, w.attempts, w.leased_until, w.parked, w.last_error";

fn from_row(row: &Row) -> Item {
    let Json(payload) = row.get(4);
    let attempts: i32 = row.get(6);
    Item {
        id: row.get(0),
        kind: row.get(1),
        lane: row.get(2),
        product_id: row.get(3),
        payload,
        run_at: row.get(5),
        attempts: attempts.unsigned_abs(),
        leased_until: row.get(7),
        parked: row.get(8),
        last_error: row.get(9),
    }
}

/// Items to be run at their times. What is scheduled already stays as it is.
pub async fn schedule(
    client: &impl GenericClient,
    items: &[NewItem],
) -> Result<(), tokio_postgres::Error> {
    insert(client, items, "nothing").await
}

/// The same, but what waits already takes the time of its namesake. The lease of one that is at work is changed, so that it
/// is run again when it ends.
pub async fn hasten(
    client: &impl GenericClient,
    items: &[NewItem],
) -> Result<(), tokio_postgres::Error> {
    const HASTEN: &str = "update
        set run_at = excluded.run_at, payload = excluded.payload, parked = false, attempts = 0,
            leased_until = w.leased_until + interval '1 microsecond'";
    insert(client, items, HASTEN).await
}

async fn insert(
    client: &impl GenericClient,
    items: &[NewItem],
    where_there_is_one: &str,
) -> Result<(), tokio_postgres::Error> {
    const INSERT: &str = "
        insert into log.due_work as w (id, kind, lane, product_id, payload, run_at)
        select * from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::json[], $6::timestamptz[])
        on conflict (id) do ";
    if items.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = items.iter().map(|item| item.id).collect();
    let kinds: Vec<&str> = items.iter().map(|item| item.kind).collect();
    let lanes: Vec<&str> = items.iter().map(|item| item.lane.as_str()).collect();
    let products: Vec<Uuid> = items.iter().map(|item| item.product_id).collect();
    let payloads: Vec<Json<&Value>> = items.iter().map(|item| Json(&item.payload)).collect();
    let times: Vec<DateTime<Utc>> = items.iter().map(|item| item.run_at).collect();
    let params: [(&(dyn ToSql + Sync), Type); 6] = [
        (&ids, Type::UUID_ARRAY),
        (&kinds, Type::TEXT_ARRAY),
        (&lanes, Type::TEXT_ARRAY),
        (&products, Type::UUID_ARRAY),
        (&payloads, Type::JSON_ARRAY),
        (&times, Type::TIMESTAMPTZ_ARRAY),
    ];
    let insert = format!("{INSERT}{where_there_is_one}");
    client.query_typed(&insert, &params).await?;
    Ok(())
}

/// Items of a lane that were parked are due again. One that is at work may be about to be parked for the reason that
/// has just gone: its lease is changed, so that it will be due again instead.
pub async fn unpark_lane(
    client: &impl GenericClient,
    LaneId { kind, lane }: &LaneId,
) -> Result<(), tokio_postgres::Error> {
    const UNPARK: &str = "
        with found as (
            select id from log.due_work
            where kind = $1 and lane = $2 and (parked or leased_until is not null)
            order by id for update
        )
        update log.due_work w
        set parked = false, run_at = now(), attempts = 0, leased_until = leased_until + interval '1 microsecond'
        from found where w.id = found.id";
    let params: [(&(dyn ToSql + Sync), Type); 2] = [(kind, Type::TEXT), (lane, Type::TEXT)];
    client.query_typed(UNPARK, &params).await?;
    Ok(())
}

/// Nothing of a lane is to be done any more.
pub async fn clear_lane(
    client: &impl GenericClient,
    LaneId { kind, lane }: &LaneId,
) -> Result<(), tokio_postgres::Error> {
    const CLEAR: &str = "
        with found as (
            select id from log.due_work where kind = $1 and lane = $2 order by id for update
        )
        delete from log.due_work w using found where w.id = found.id";
    let params: [(&(dyn ToSql + Sync), Type); 2] = [(kind, Type::TEXT), (lane, Type::TEXT)];
    client.query_typed(CLEAR, &params).await?;
    Ok(())
}

/// Lanes with items that are not parked: `LOOK` of them at most, from one on, in order; fewer are all that are left.
pub async fn lanes(session: &Session, kind: &str, from: &str) -> Result<Vec<Lane>, Error> {
    // From one lane to the next by the index, whatever lies in between.
    const LANES: &str = "
        with recursive first (lane, run_at, number) as (
            (select lane, run_at, 1::bigint from log.due_work
             where kind = $1 and lane >= $2 and not parked order by lane, run_at limit 1)
            union all
            select next.lane, next.run_at, first.number + 1 from first, lateral (
                select w.lane, w.run_at from log.due_work w
                where w.kind = $1 and w.lane > first.lane and not w.parked order by w.lane, w.run_at limit 1
            ) next where first.number < $3
        )
        select lane, run_at <= now() from first";
    let statement = session.prepare_cached(LANES).await?;
    let rows = session.query(&statement, &[&kind, &from, &LOOK]).await?;
    let lane = |row: &Row| Lane {
        name: row.get(0),
        is_due: row.get(1),
    };
    Ok(rows.iter().map(lane).collect())
}

/// Leases items that are due, `limit` of them at most, and of each lane at most as many as it has places.
pub async fn claim(
    session: &Session,
    kind: &str,
    places: &[(&str, i64)],
    limit: i64,
) -> Result<Vec<Item>, Error> {
    // `is true`: found by their ids and by nothing else.
    const CLAIM: &str = "
        with chosen as (
            select id from log.due_work
            where id = any(array(
                    select of_lane.id from unnest($2::text[], $3::bigint[]) as room (lane, places), lateral (
                        select w.id from log.due_work w
                        where w.kind = $1 and w.lane = room.lane and not w.parked and w.run_at <= now()
                            and (w.leased_until is null or w.leased_until < now())
                        order by w.run_at limit room.places
                    ) of_lane))
                and (not parked and run_at <= now() and coalesce(leased_until < now(), true)) is true
            order by run_at limit $4
            for update skip locked
        )
        update log.due_work w set leased_until = now() + make_interval(secs => $5)
        where w.id = any(array(select id from chosen))
        returning ";
    let (lanes, places): (Vec<&str>, Vec<i64>) = places.iter().copied().unzip();
    let statement = session.prepare_cached(&format!("{CLAIM}{COLUMNS}")).await?;
    let rows = session
        .query(
            &statement,
            &[&kind, &lanes, &places, &limit, &LEASE_SECONDS],
        )
        .await?;
    Ok(rows.iter().map(from_row).collect())
}

/// The items are done.
pub async fn complete(session: &Session, ids: &[Uuid]) -> Result<(), Error> {
    const COMPLETE: &str = "delete from log.due_work where id = any($1)";
    if !ids.is_empty() {
        let statement = session.prepare_cached(COMPLETE).await?;
        session.execute(&statement, &[&ids]).await?;
    }
    Ok(())
}

/// The items are to be run again; their failures so far go with them. One is parked, or put off, only if its lease is still
/// as it was.
pub async fn reschedule(session: &Session, items: &mut [Item]) -> Result<(), Error> {
    const RESCHEDULE: &str = "
        update log.due_work w
        set run_at = case when w.leased_until = item.leased_until then item.run_at else least(w.run_at, item.run_at) end,
            attempts = item.attempts, payload = item.payload,
            parked = coalesce(item.parked and w.leased_until = item.leased_until, false),
            last_error = item.last_error, leased_until = null
        from unnest($1::uuid[], $2::timestamptz[], $3::integer[], $4::json[], $5::boolean[], $6::text[], $7::timestamptz[])
            as item (id, run_at, attempts, payload, parked, last_error, leased_until)
        where w.id = item.id";
    if items.is_empty() {
        return Ok(());
    }
    items.sort_unstable_by_key(|item| item.id);
    fn column<'a, T>(items: &'a [Item], value: impl Fn(&'a Item) -> T) -> Vec<T> {
        items.iter().map(value).collect()
    }
    let attempts = |item: &Item| i32::try_from(item.attempts).unwrap_or(i32::MAX);
    let statement = session.prepare_cached(RESCHEDULE).await?;
    let columns: [&(dyn ToSql + Sync); 7] = [
        &column(items, |item| item.id),
        &column(items, |item| item.run_at),
        &column(items, attempts),
        &column(items, |item| Json(&item.payload)),
        &column(items, |item| item.parked),
        &column(items, |item| item.last_error.as_deref()),
        &column(items, |item| item.leased_until),
    ];
    session.execute(&statement, &columns).await?;
    Ok(())
}

/// Items by due time; only the parked ones if asked.
pub async fn list(database: &Database, parked_only: bool, limit: i64) -> Result<Vec<Item>, Error> {
    let sql = format!(
        "select {COLUMNS} from log.due_work w where parked or not $1 order by run_at, id limit $2"
    );
    let client = database.session(Purpose::Queries).await?;
    let rows = client.query(&sql, &[&parked_only, &limit]).await?;
    Ok(rows.iter().map(from_row).collect())
}

/// Makes parked items due again: one, or all of them. Returns how many.
pub async fn redrive(database: &Database, id: Option<Uuid>) -> Result<u64, Error> {
    const REDRIVE: &str = "
        update log.due_work set parked = false, attempts = 0, run_at = now(), leased_until = null
        where parked and ($1::uuid is null or id = $1)";
    let client = database.session(Purpose::Queries).await?;
    Ok(client.execute(REDRIVE, &[&id]).await?)
}

/// Why the table of due work could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No session was to be had.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The database refused.
    #[error("database: {}", store::describe(.0))]
    Database(#[from] tokio_postgres::Error),
}

impl Error {
    /// The same may be accepted when it is tried again.
    pub fn is_transient(&self) -> bool {
        let Self::Database(error) = self else {
            return true;
        };
        let is_lost = |code: &SqlState| {
            [
                SqlState::T_R_DEADLOCK_DETECTED,
                SqlState::T_R_SERIALIZATION_FAILURE,
            ]
            .contains(code)
        };
        store::is_unavailable(error) || error.code().is_some_and(is_lost)
    }
}

/// Keeps the depth gauge up to date.
pub async fn measure(database: Database, shutdown: CancellationToken) {
    let mut seen: Vec<(String, String)> = Vec::new();
    while !shutdown.is_cancelled() {
        match depth(&database).await {
            Ok(depths) => {
                for (kind, state) in seen.drain(..) {
                    metrics::gauge!("daybook_due_work", "kind" => kind, "state" => state).set(0.0);
                }
                for (kind, state, count) in depths {
                    #[expect(clippy::cast_precision_loss, reason = "a metric")]
                    metrics::gauge!("daybook_due_work", "kind" => kind.clone(), "state" => state.clone())
                        .set(count as f64);
                    seen.push((kind, state));
                }
            }
            Err(error) => tracing::warn!(%error, "cannot measure the due work"),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(MEASURE) => {}
        }
    }
}

async fn depth(database: &Database) -> Result<Vec<(String, String, i64)>, Error> {
    const DEPTH: &str = "
        select kind, case when parked and attempts = 0 then 'held' when parked then 'parked' when leased_until > now() then 'leased' else 'scheduled' end, count(*)
        from log.due_work group by 1, 2";
    let client = database.session(Purpose::Jobs).await?;
    let rows = client.query(DEPTH, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect())
}
