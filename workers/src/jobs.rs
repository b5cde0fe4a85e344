//! JobHandler that falls due: one table, claimed item by item, leased, retried, dead_letter.
//!
//! Whoever waits for the locks of several items takes them in the order of their ids: nobody waits in a circle.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use store::{Database, Purpose, Recorded, Session, SessionError};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{Json, ToSql, Type};
use tokio_postgres::{GenericClient, Row};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::job_handler::JobHandler;

/// How long a claimed item belongs to its worker. A worker that dies loses it after this.
const LEASE_SECONDS: f64 = 60.0;
/// Partitions that are looked at in one go.
pub const LOOK: i64 = 64;
/// How often the depth is measured.
const MEASURE: Duration = Duration::from_secs(5);

/// A job to be scheduled. Its id is derived from its cause, so that scheduling it twice changes nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    pub id: Uuid,
    pub kind: &'static str,
    /// Jobs of one partition share a limit.
    pub partition: String,
    pub product_id: Uuid,
    pub payload: Value,
    pub run_at: DateTime<Utc>,
}

impl NewJob {
    /// A job for a handler because of an event: its id is the event's, its partition the event's product, and it is due at once.
    pub fn of<H: JobHandler>(cause: &Recorded, payload: &H::Payload) -> Self {
        Self {
            id: cause.event_id,
            kind: H::KIND,
            partition: cause.product_id.to_string(),
            product_id: cause.product_id,
            payload: serde_json::json!(payload),
            run_at: cause.recorded_at,
        }
    }
}

/// All items of a kind that share a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionId {
    pub kind: &'static str,
    pub partition: String,
}

/// A scheduled item.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Job {
    pub id: Uuid,
    pub kind: String,
    pub partition: String,
    pub product_id: Uuid,
    pub payload: Value,
    pub run_at: DateTime<Utc>,
    /// Failures so far.
    pub attempts: u32,
    /// The lease of this node, if it has claimed the job.
    #[serde(skip)]
    pub lease: Option<Uuid>,
    pub leased_until: Option<DateTime<Utc>>,
    /// Given up; redrive it once its cause is mended.
    pub dead_letter: bool,
    pub last_error: Option<String>,
}

/// A partition, as the oldest of its items stands.
pub struct Partition {
    pub name: String,
    /// Its time has come; it may be leased.
    pub is_due: bool,
}

const COLUMNS: &str = "w.id, w.kind, w.partition, w.product_id, w.payload, w.run_at, w.attempts, w.leased_until, w.dead_letter, w.last_error, w.lease";

fn from_row(row: &Row) -> Job {
    let Json(payload) = row.get(4);
    let attempts: i32 = row.get(6);
    Job {
        id: row.get(0),
        kind: row.get(1),
        partition: row.get(2),
        product_id: row.get(3),
        payload,
        run_at: row.get(5),
        attempts: attempts.unsigned_abs(),
        leased_until: row.get(7),
        dead_letter: row.get(8),
        last_error: row.get(9),
        lease: row.get(10),
    }
}

/// Items to be run at their times. What is scheduled already stays as it is.
pub async fn schedule(
    client: &impl GenericClient,
    items: &[NewJob],
) -> Result<(), tokio_postgres::Error> {
    insert(client, items, "nothing").await
}

/// The same, but what waits already takes the time of its namesake. The lease of one that is at work is changed, so that it
/// is run again when it ends.
pub async fn hasten(
    client: &impl GenericClient,
    items: &[NewJob],
) -> Result<(), tokio_postgres::Error> {
    const HASTEN: &str = "update
        set run_at = excluded.run_at, payload = excluded.payload, dead_letter = false, attempts = 0,
            meanwhile = case when w.lease is not null then 'hastened' end";
    insert(client, items, HASTEN).await
}

async fn insert(
    client: &impl GenericClient,
    items: &[NewJob],
    where_there_is_one: &str,
) -> Result<(), tokio_postgres::Error> {
    const INSERT: &str = "
        insert into log.jobs as w (id, kind, partition, product_id, payload, run_at)
        select * from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::json[], $6::timestamptz[])
        on conflict (id) do ";
    if items.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = items.iter().map(|item| item.id).collect();
    let kinds: Vec<&str> = items.iter().map(|item| item.kind).collect();
    let partitions: Vec<&str> = items.iter().map(|item| item.partition.as_str()).collect();
    let products: Vec<Uuid> = items.iter().map(|item| item.product_id).collect();
    let payloads: Vec<Json<&Value>> = items.iter().map(|item| Json(&item.payload)).collect();
    let times: Vec<DateTime<Utc>> = items.iter().map(|item| item.run_at).collect();
    let params: [(&(dyn ToSql + Sync), Type); 6] = [
        (&ids, Type::UUID_ARRAY),
        (&kinds, Type::TEXT_ARRAY),
        (&partitions, Type::TEXT_ARRAY),
        (&products, Type::UUID_ARRAY),
        (&payloads, Type::JSON_ARRAY),
        (&times, Type::TIMESTAMPTZ_ARRAY),
    ];
    let insert = format!("{INSERT}{where_there_is_one}");
    client.query_typed(&insert, &params).await?;
    Ok(())
}

/// Items of a partition that are dead letters are due again. One that is at work may be about to become one for the reason that
/// has just gone: its lease is changed, so that it will be due again instead.
pub async fn redrive_partition(
    client: &impl GenericClient,
    PartitionId { kind, partition }: &PartitionId,
) -> Result<(), tokio_postgres::Error> {
    const REDRIVE: &str = "
        with found as (
            select id from log.jobs
            where kind = $1 and partition = $2 and (dead_letter or leased_until is not null)
            order by id for update
        )
        update log.jobs w
        set dead_letter = false, run_at = now(), attempts = 0,
            meanwhile = case when w.meanwhile is null and w.lease is not null then 'redriven' else w.meanwhile end
        from found where w.id = found.id";
    let params: [(&(dyn ToSql + Sync), Type); 2] = [(kind, Type::TEXT), (partition, Type::TEXT)];
    client.query_typed(REDRIVE, &params).await?;
    Ok(())
}

/// Nothing of a partition is to be done any more.
pub async fn clear_partition(
    client: &impl GenericClient,
    PartitionId { kind, partition }: &PartitionId,
) -> Result<(), tokio_postgres::Error> {
    const CLEAR: &str = "
        with found as (
            select id from log.jobs where kind = $1 and partition = $2 order by id for update
        )
        delete from log.jobs w using found where w.id = found.id";
    let params: [(&(dyn ToSql + Sync), Type); 2] = [(kind, Type::TEXT), (partition, Type::TEXT)];
    client.query_typed(CLEAR, &params).await?;
    Ok(())
}

/// Partitions with jobs that are not dead letters: `LOOK` of them at most, from one on, in order; fewer are all that are left.
pub async fn partitions(
    session: &Session,
    kind: &str,
    from: &str,
) -> Result<Vec<Partition>, Error> {
    // From one partition to the next by the index, whatever lies in between.
    const PARTITIONS: &str = "
        with recursive first (partition, run_at, number) as (
            (select partition, run_at, 1::bigint from log.jobs
             where kind = $1 and partition >= $2 and not dead_letter order by partition, run_at limit 1)
            union all
            select next.partition, next.run_at, first.number + 1 from first, lateral (
                select w.partition, w.run_at from log.jobs w
                where w.kind = $1 and w.partition > first.partition and not w.dead_letter order by w.partition, w.run_at limit 1
            ) next where first.number < $3
        )
        select partition, run_at <= now() from first";
    let statement = session.prepare_cached(PARTITIONS).await?;
    let rows = session.query(&statement, &[&kind, &from, &LOOK]).await?;
    let partition = |row: &Row| Partition {
        name: row.get(0),
        is_due: row.get(1),
    };
    Ok(rows.iter().map(partition).collect())
}

/// Leases items that are due, `limit` of them at most, and of each partition at most as many as it has places.
pub async fn claim(
    session: &Session,
    kind: &str,
    places: &[(&str, i64)],
    limit: i64,
) -> Result<Vec<Job>, Error> {
    // `is true`: found by their ids and by nothing else.
    const CLAIM: &str = "
        with chosen as (
            select id from log.jobs
            where id = any(array(
                    select of_partition.id from unnest($2::text[], $3::bigint[]) as room (partition, places), lateral (
                        select w.id from log.jobs w
                        where w.kind = $1 and w.partition = room.partition and not w.dead_letter and w.run_at <= now()
                            and (w.leased_until is null or w.leased_until < now())
                        order by w.run_at limit room.places
                    ) of_partition))
                and (not dead_letter and run_at <= now() and coalesce(leased_until < now(), true)) is true
            order by run_at limit $4
            for update skip locked
        )
        update log.jobs w set lease = $6, leased_until = now() + make_interval(secs => $5), meanwhile = null
        where w.id = any(array(select id from chosen))
        returning ";
    let (partitions, places): (Vec<&str>, Vec<i64>) = places.iter().copied().unzip();
    let statement = session.prepare_cached(&format!("{CLAIM}{COLUMNS}")).await?;
    let rows = session
        .query(
            &statement,
            &[
                &kind,
                &partitions,
                &places,
                &limit,
                &LEASE_SECONDS,
                &Uuid::new_v4(),
            ],
        )
        .await?;
    Ok(rows.iter().map(from_row).collect())
}

/// Removes jobs that are done, as far as this node still has their leases. One that was hastened meanwhile runs again.
pub async fn complete(session: &Session, jobs: &[Job]) -> Result<(), Error> {
    const COMPLETE: &str = "
        with ended as (select id, lease from unnest($1::uuid[], $2::uuid[]) as ended (id, lease)),
        done as (
            delete from log.jobs w using ended
            where w.id = ended.id and w.lease = ended.lease and w.meanwhile is distinct from 'hastened'
        )
        update log.jobs w set lease = null, leased_until = null, meanwhile = null from ended
        where w.id = ended.id and w.lease = ended.lease and w.meanwhile = 'hastened'";
    if !jobs.is_empty() {
        let statement = session.prepare_cached(COMPLETE).await?;
        let (ids, leases) = (column(jobs, |job| job.id), column(jobs, |job| job.lease));
        session.execute(&statement, &[&ids, &leases]).await?;
    }
    Ok(())
}

/// Gives back jobs that are to be run again, as far as this node still has their leases; their failures so far go with them. What was
/// asked for while they were at work goes before what they came to.
pub async fn reschedule(session: &Session, jobs: &mut [Job]) -> Result<(), Error> {
    const RESCHEDULE: &str = "
        update log.jobs w
        set run_at = case when w.meanwhile is null then job.run_at else least(w.run_at, job.run_at) end,
            attempts = case when w.meanwhile is null then job.attempts else w.attempts end,
            payload = case when w.meanwhile = 'hastened' then w.payload else job.payload end,
            dead_letter = job.dead_letter and w.meanwhile is null,
            last_error = job.last_error, lease = null, leased_until = null, meanwhile = null
        from unnest($1::uuid[], $2::timestamptz[], $3::integer[], $4::json[], $5::boolean[], $6::text[], $7::uuid[])
            as job (id, run_at, attempts, payload, dead_letter, last_error, lease)
        where w.id = job.id and w.lease = job.lease";
    if jobs.is_empty() {
        return Ok(());
    }
    jobs.sort_unstable_by_key(|job| job.id);
    let attempts = |job: &Job| i32::try_from(job.attempts).unwrap_or(i32::MAX);
    let statement = session.prepare_cached(RESCHEDULE).await?;
    let columns: [&(dyn ToSql + Sync); 7] = [
        &column(jobs, |job| job.id),
        &column(jobs, |job| job.run_at),
        &column(jobs, attempts),
        &column(jobs, |job| Json(&job.payload)),
        &column(jobs, |job| job.dead_letter),
        &column(jobs, |job| job.last_error.as_deref()),
        &column(jobs, |job| job.lease),
    ];
    session.execute(&statement, &columns).await?;
    Ok(())
}

/// Renews leases of this node, by the ids of their jobs; returns until when it has each of those that are still its own.
pub async fn renew(
    session: &Session,
    leases: &BTreeMap<Uuid, Uuid>,
) -> Result<HashMap<Uuid, DateTime<Utc>>, Error> {
    const RENEW: &str = "
        update log.jobs w set leased_until = now() + make_interval(secs => $3)
        from unnest($1::uuid[], $2::uuid[]) as held (id, lease)
        where w.id = held.id and w.lease = held.lease
        returning w.id, w.leased_until";
    if leases.is_empty() {
        return Ok(HashMap::new());
    }
    let (ids, leases): (Vec<Uuid>, Vec<Uuid>) = leases.iter().unzip();
    let statement = session.prepare_cached(RENEW).await?;
    let rows = session
        .query(&statement, &[&ids, &leases, &LEASE_SECONDS])
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// One value of each job.
fn column<'a, T>(jobs: &'a [Job], value: impl Fn(&'a Job) -> T) -> Vec<T> {
    jobs.iter().map(value).collect()
}

/// Items by due time; only the dead letters if asked.
pub async fn list(database: &Database, dead_only: bool, limit: i64) -> Result<Vec<Job>, Error> {
    let sql = format!(
        "select {COLUMNS} from log.jobs w where dead_letter or not $1 order by run_at, id limit $2"
    );
    let client = database.session(Purpose::Queries).await?;
    let rows = client.query(&sql, &[&dead_only, &limit]).await?;
    Ok(rows.iter().map(from_row).collect())
}

/// Makes dead letters due again: one, or all of them. Returns how many.
pub async fn redrive(database: &Database, id: Option<Uuid>) -> Result<u64, Error> {
    const REDRIVE: &str = "
        update log.jobs set dead_letter = false, attempts = 0, run_at = now()
        where dead_letter and ($1::uuid is null or id = $1)";
    let client = database.session(Purpose::Queries).await?;
    Ok(client.execute(REDRIVE, &[&id]).await?)
}

/// Why the table of jobs could not be used.
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
                    metrics::gauge!("daybook_jobs", "kind" => kind, "state" => state).set(0.0);
                }
                for (kind, state, count) in depths {
                    #[expect(clippy::cast_precision_loss, reason = "a metric")]
                    metrics::gauge!("daybook_jobs", "kind" => kind.clone(), "state" => state.clone())
                        .set(count as f64);
                    seen.push((kind, state));
                }
            }
            Err(error) => tracing::warn!(%error, "cannot measure the jobs"),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(MEASURE) => {}
        }
    }
}

async fn depth(database: &Database) -> Result<Vec<(String, String, i64)>, Error> {
    const DEPTH: &str = "
        select kind, case when dead_letter and attempts = 0 then 'held' when dead_letter then 'dead_letter' when leased_until > now() then 'leased' else 'scheduled' end, count(*)
        from log.jobs group by 1, 2";
    let client = database.session(Purpose::Jobs).await?;
    let rows = client.query(DEPTH, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect())
}
