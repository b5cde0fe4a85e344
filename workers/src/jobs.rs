//! Jobs: one table; each job is claimed, leased, retried, and finally removed or a dead letter.
//!
//! Statements that lock several jobs lock them in the order of their ids, so that they never deadlock.

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

/// Duration of a lease. A worker that dies loses its job after this.
const LEASE_SECONDS: f64 = 60.0;
/// Number of partitions that are read at once.
pub const LOOK: i64 = 64;
/// Interval at which the number of jobs is measured.
const MEASURE: Duration = Duration::from_secs(5);

/// A job to schedule. Its id is derived from its cause, so that scheduling it twice changes nothing.
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
    /// Builds a job for a handler and an event: its id is the event's, its partition the event's product, and it is due at once.
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

/// The jobs of a kind that share a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionId {
    pub kind: &'static str,
    pub partition: String,
}

/// A scheduled job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Job {
    pub id: Uuid,
    pub kind: String,
    pub partition: String,
    pub product_id: Uuid,
    pub payload: Value,
    pub run_at: DateTime<Utc>,
    /// Number of failures so far.
    pub attempts: u32,
    /// The lease of this node, if it has claimed the job.
    #[serde(skip)]
    pub lease: Option<Uuid>,
    pub leased_until: Option<DateTime<Utc>>,
    /// True if the job is a dead letter; redrive it once its cause is fixed.
    pub dead_letter: bool,
    pub last_error: Option<String>,
}

/// A partition, described by its oldest job.
pub struct Partition {
    pub name: String,
    /// True if the job is due and not leased.
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

/// Schedules jobs. A job that is scheduled already stays unchanged.
pub async fn schedule(
    client: &impl GenericClient,
    items: &[NewJob],
) -> Result<(), tokio_postgres::Error> {
    insert(client, items, "nothing").await
}

/// Schedules jobs; a waiting job with the same id takes the new time. A running one is marked, so that it runs again
/// when it ends.
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

/// Makes dead letters of a partition due again. A running job may be about to become one for a reason that no longer
/// holds: it is marked, so that it will be due again instead.
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

/// Removes all jobs of a partition.
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

/// Returns partitions with jobs that are not dead letters: at most `LOOK` of them, from one on, in order; fewer mean that there are no
/// more.
pub async fn partitions(
    session: &Session,
    kind: &str,
    from: &str,
) -> Result<Vec<Partition>, Error> {
    // The index leads from one partition to the next, skipping all jobs in between.
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

/// Leases due jobs, at most `limit` of them, and of each partition at most as many as it has places.
pub async fn claim(
    session: &Session,
    kind: &str,
    places: &[(&str, i64)],
    limit: i64,
) -> Result<Vec<Job>, Error> {
    // `is true` makes the planner find jobs by their ids, and by nothing else.
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

/// Removes finished jobs whose leases this node still has. A job that was hastened meanwhile runs again.
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

/// Gives back jobs to run again, if this node still has their leases; stores the failures so far. Requests made while a job ran
/// take precedence over its result.
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

/// Renews leases of this node, by job id; returns the new end of each lease that the node still has.
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

/// Returns one value of each job.
fn column<'a, T>(jobs: &'a [Job], value: impl Fn(&'a Job) -> T) -> Vec<T> {
    jobs.iter().map(value).collect()
}

/// Returns jobs by due time; only dead letters if requested.
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

/// Reasons why the table of jobs could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No session was available.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The database refused a statement.
    #[error("database: {}", store::describe(.0))]
    Database(#[from] tokio_postgres::Error),
}

impl Error {
    /// Returns true if a retry may succeed.
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

/// Updates the gauge of jobs.
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
