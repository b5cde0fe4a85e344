//! Commits batches of appends, each in one transaction that holds the log's lock, and retries until the database gives an answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::StreamId;
use tokio::sync::watch;
use tokio_postgres::Statement;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::condition::Trouble;
use super::conflict_check::{AppendDecision, ConflictCheck, StreamHead, StreamHeads};
use super::database::{self, Database};
use super::insert::{BEGIN, Batch, Statements};
use super::listener::advance;
use super::open_error::OpenError;
use super::rows::{self, RECEIPT_COLUMNS};
use super::tail::Tail;
use super::writer::Pending;
use crate::failure::{describe, is_full, spoils_session};
use crate::{Append, AppendError, Appended, NewEvent, Position, Recorded};

/// Maximum time that appends wait for a lost connection to return.
const PATIENCE: Duration = Duration::from_secs(15);
/// Interval between two attempts to reconnect.
const RECONNECT: Duration = Duration::from_millis(100);

type Verdict = Result<Appended, AppendError>;

/// State that all append connections of a node share.
pub struct Shared {
    database: Database,
    stream_heads: Mutex<StreamHeads>,
    head: Arc<watch::Sender<Position>>,
    tail: Arc<Tail>,
}

/// A connection that commits one batch at a time.
pub struct AppendConnection {
    shared: Arc<Shared>,
    session: Session,
    /// True if the session is unusable.
    is_lost: bool,
}

/// A session with the writer's prepared statements.
struct Session {
    client: database::Session,
    writing: Statements,
    lock: Statement,
    stream_heads: Statement,
    receipts: Statement,
    existing: Statement,
}

const LOCK: &str = "select from log.head for update";

const STREAM_HEADS: &str = "
select coalesce(stream_head.version, 0), stream_head.event_id
from unnest($1::text[], $2::uuid[]) with ordinality as wanted(category, stream_id, place)
left join lateral (
    select version, event_id from log.events e
    where e.stream_id = wanted.stream_id and e.category = wanted.category
    order by version desc limit 1
) as stream_head on true
order by place";

const EXISTING: &str =
    "select event_id, position, version, recorded_at from log.events where event_id = any($1)";

impl Session {
    async fn open(database: &Database) -> Result<Self, tokio_postgres::Error> {
        let client = database.connect("append").await?;
        // A custom plan per batch would be the same, and take longer than the append.
        client
            .batch_execute("set plan_cache_mode = force_generic_plan")
            .await?;
        let receipts = format!("select {RECEIPT_COLUMNS} from log.receipts where key = any($1)");
        Ok(Self {
            writing: Statements::prepare(&client).await?,
            lock: client.prepare(LOCK).await?,
            stream_heads: client.prepare(STREAM_HEADS).await?,
            receipts: client.prepare(&receipts).await?,
            existing: client.prepare(EXISTING).await?,
            client,
        })
    }
}

impl Shared {
    pub fn new(
        database: Database,
        head: Arc<watch::Sender<Position>>,
        tail: Arc<Tail>,
    ) -> Arc<Self> {
        Arc::new(Self {
            database,
            stream_heads: Mutex::default(),
            head,
            tail,
        })
    }

    /// Returns the trouble for which every append is refused: a full disk, or one that outlasts the patience of callers.
    fn refuses(&self) -> Option<Trouble> {
        let trouble = self.database.trouble()?;
        let refuses = trouble.is_full || trouble.since.elapsed() > PATIENCE;
        refuses.then_some(trouble)
    }

    fn stream_heads(&self) -> MutexGuard<'_, StreamHeads> {
        self.stream_heads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows appended events to the readers of this node.
    fn show(&self, appends: Vec<Append>, verdicts: &[Verdict]) {
        let appended = appends
            .into_iter()
            .zip(verdicts)
            .filter_map(|(append, verdict)| {
                let Appended {
                    placed,
                    recorded_at,
                    ..
                } = verdict.as_ref().ok()?;
                let product_id = append.product_id;
                let events = append.events.into_iter().zip(placed);
                Some(events.map(move |(event, place)| {
                    Recorded::placed(event, product_id, *place, *recorded_at)
                }))
            });
        // Readers that the head wakes must find the events in the tail.
        self.tail.extend(appended.flatten());
        let ends = verdicts.iter().flatten().map(|appended| appended.position);
        advance(&self.head, ends.max().unwrap_or_default());
    }
}

impl AppendConnection {
    pub async fn open(shared: Arc<Shared>) -> Result<Self, OpenError> {
        Ok(Self {
            session: Session::open(&shared.database).await?,
            is_lost: false,
            shared,
        })
    }

    pub async fn commit(&mut self, batch: Vec<Pending>) {
        let started = Instant::now();
        let (appends, replies): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|p| (p.append, p.reply)).unzip();
        let events: usize = appends.iter().map(|append| append.events.len()).sum();
        let verdicts = match self.shared.refuses() {
            Some(trouble) => appends.iter().map(|_| Err(refusal(&trouble))).collect(),
            None => self.commit_or_retry(&appends, started + PATIENCE).await,
        };
        self.shared.show(appends, &verdicts);
        for (reply, verdict) in replies.into_iter().zip(verdicts) {
            // The caller may have gone away.
            let _ = reply.send(verdict);
        }
        metrics::histogram!("daybook_append_seconds").record(started.elapsed());
        #[expect(
            clippy::cast_precision_loss,
            reason = "a batch has at most thousands of events"
        )]
        metrics::histogram!("daybook_append_batch_events").record(events as f64);
    }

    /// Retries until the database gives an answer. If a connection broke at the commit, it is unknown if the batch is in
    /// the log; the next attempt finds out.
    async fn commit_or_retry(&mut self, appends: &[Append], deadline: Instant) -> Vec<Verdict> {
        let mut told = false;
        loop {
            let attempted = match self.regain().await {
                Ok(()) => self.attempt(appends).await,
                Err(error) => Err(error),
            };
            let error = match attempted {
                Ok(Some(verdicts)) => return verdicts,
                Ok(None) => return self.commit_one_by_one(appends, deadline).await,
                Err(error) => error,
            };
            self.is_lost = true;
            if !told {
                told = true;
                let error = describe(&error);
                tracing::warn!(error, "lost the connection that appends; trying again");
            }
            self.shared.database.condition().look_now();
            if Instant::now() > deadline {
                let unavailable = || Err(AppendError::Unavailable(describe(&error)));
                return appends.iter().map(|_| unavailable()).collect();
            }
            tokio::time::sleep(RECONNECT).await;
        }
    }

    /// Opens a new session if the last one is unusable.
    async fn regain(&mut self) -> Result<(), tokio_postgres::Error> {
        if self.is_lost {
            self.session = Session::open(&self.shared.database).await?;
            self.is_lost = false;
        }
        Ok(())
    }

    /// Commits a batch that the database has refused append by append, so that only the append at fault fails.
    async fn commit_one_by_one(&mut self, appends: &[Append], deadline: Instant) -> Vec<Verdict> {
        let mut verdicts = Vec::with_capacity(appends.len());
        for append in appends {
            let append = std::slice::from_ref(append);
            verdicts.extend(Box::pin(self.commit_or_retry(append, deadline)).await);
        }
        verdicts
    }

    /// Returns the verdicts; none if the database refuses the batch because of one of its appends. An error means
    /// that the connection is lost.
    async fn attempt(
        &mut self,
        appends: &[Append],
    ) -> Result<Option<Vec<Verdict>>, tokio_postgres::Error> {
        let error = match self.transact(appends).await {
            Ok(verdicts) => return self.recognise(appends, verdicts).await.map(Some),
            Err(error) => error,
        };
        if spoils_session(&error) {
            return Err(error);
        }
        self.session.client.batch_execute("rollback").await?;
        match appends {
            [append] => Ok(Some(vec![self.explain(append, &error).await?])),
            _ => Ok(None),
        }
    }

    /// Returns the reason why a single append was refused.
    async fn explain(
        &self,
        append: &Append,
        error: &tokio_postgres::Error,
    ) -> Result<Verdict, tokio_postgres::Error> {
        let existing = self.existing(append.events.iter()).await?;
        Ok(match existing.place(append) {
            Some(appended) => Ok(appended),
            None if is_fault_of_the_events(error) => Err(AppendError::Rejected(describe(error))),
            None => {
                self.shared.database.condition().report(error);
                Err(if is_full(error) {
                    AppendError::Full(describe(error))
                } else {
                    AppendError::Unavailable(describe(error))
                })
            }
        })
    }

    /// Turns a conflict or a repeated receipt into success if the append itself is in the log already.
    async fn recognise(
        &self,
        appends: &[Append],
        mut verdicts: Vec<Verdict>,
    ) -> Result<Vec<Verdict>, tokio_postgres::Error> {
        let is_doubtful = |verdict: &Verdict| {
            matches!(
                verdict,
                Err(AppendError::Conflict { .. } | AppendError::Repeated(_))
            )
        };
        let doubtful = appends
            .iter()
            .zip(&verdicts)
            .filter(|(_, verdict)| is_doubtful(verdict));
        let existing = self
            .existing(doubtful.flat_map(|(append, _)| &append.events))
            .await?;
        for (append, verdict) in appends.iter().zip(&mut verdicts) {
            if is_doubtful(verdict)
                && let Some(appended) = existing.place(append)
            {
                *verdict = Ok(appended);
            }
        }
        Ok(verdicts)
    }

    /// Finds those of the events that are in the log.
    async fn existing(
        &self,
        events: impl Iterator<Item = &NewEvent>,
    ) -> Result<Existing, tokio_postgres::Error> {
        let ids: Vec<Uuid> = events.map(|event| event.event_id).collect();
        if ids.is_empty() {
            return Ok(Existing::default());
        }
        let session = &self.session;
        let rows = session.client.query(&session.existing, &[&ids]).await?;
        let mut existing = Existing::default();
        for row in &rows {
            let place = (row.get(1), row.get(2), row.get(3));
            existing.0.insert(row.get(0), place);
        }
        Ok(existing)
    }

    /// Runs one transaction. It reads nothing first if every append holds by remembered stream heads and these prove right.
    async fn transact(
        &mut self,
        appends: &[Append],
    ) -> Result<Vec<Verdict>, tokio_postgres::Error> {
        let assumed = ConflictCheck::assumed(appends, &self.shared.stream_heads());
        if let Some(mut check) = assumed {
            let mut batch = Batch::default();
            let judgements = check.judge_all(appends, &mut batch);
            if judgements.iter().all(AppendDecision::holds) {
                check.guard(&mut batch);
                let Session {
                    client, writing, ..
                } = &self.session;
                let alone = self.shared.stream_heads().is_alone();
                match batch.commit(client, writing, alone).await {
                    Ok(place) => return Ok(self.committed(&check, judgements, &batch, place)),
                    Err(error) if error.as_db_error().is_some() => {}
                    Err(error) => return Err(error),
                }
            }
        }
        self.shared.stream_heads().forget(appends);
        self.look_and_commit(appends).await
    }

    /// Takes the lock first, so that nothing that is read can change before the commit.
    async fn look_and_commit(
        &mut self,
        appends: &[Append],
    ) -> Result<Vec<Verdict>, tokio_postgres::Error> {
        let mut check = self.lock_and_look(appends).await?;
        let mut batch = Batch::default();
        let judgements = check.judge_all(appends, &mut batch);
        let Session {
            client, writing, ..
        } = &self.session;
        // Pipelined: a commit after a failed statement rolls back, and the error of the statement is returned.
        let (place, ()) = futures::try_join!(
            batch.insert(client, writing),
            client.batch_execute("commit")
        )?;
        Ok(self.committed(&check, judgements, &batch, place))
    }

    fn committed(
        &self,
        check: &ConflictCheck<'_>,
        judgements: Vec<AppendDecision>,
        batch: &Batch<'_>,
        (base, recorded_at): (Position, DateTime<Utc>),
    ) -> Vec<Verdict> {
        self.shared
            .stream_heads()
            .learn(check, base, batch.events());
        let verdict = |decision: AppendDecision| decision.verdict(base, recorded_at);
        judgements.into_iter().map(verdict).collect()
    }

    /// Locks the log and reads the heads. The statements are pipelined, and each sees all commits before the lock.
    async fn lock_and_look<'a>(
        &self,
        appends: &'a [Append],
    ) -> Result<ConflictCheck<'a>, tokio_postgres::Error> {
        let Session { client, .. } = &self.session;
        let mut streams: Vec<&StreamId> = appends.iter().flat_map(Append::streams).collect();
        streams.sort_unstable();
        streams.dedup();
        let categories: Vec<&str> = streams.iter().map(|s| s.category.as_str()).collect();
        let ids: Vec<Uuid> = streams.iter().map(|s| s.id).collect();
        let keys: Vec<&[u8]> = appends
            .iter()
            .filter_map(|append| Some(append.receipt.as_ref()?.key.as_slice()))
            .collect();
        let wanted: [&(dyn ToSql + Sync); 2] = [&categories, &ids];
        let keys: [&(dyn ToSql + Sync); 1] = [&keys];
        let ((), _, stream_heads, receipts) = futures::try_join!(
            client.batch_execute(BEGIN),
            client.query_one(&self.session.lock, &[]),
            client.query(&self.session.stream_heads, &wanted),
            client.query(&self.session.receipts, &keys),
        )?;
        let stream_heads = stream_heads.iter().map(|row| StreamHead {
            version: row.get(0),
            event_id: row.get(1),
        });
        let receipts = receipts.iter().map(|row| (row.get(0), rows::receipt(row)));
        Ok(ConflictCheck::looked_up(
            streams.into_iter().zip(stream_heads).collect(),
            receipts.collect(),
        ))
    }
}

/// Places of events that are in the log already: position, version, time.
#[derive(Default)]
struct Existing(HashMap<Uuid, (Position, i64, DateTime<Utc>)>);

impl Existing {
    /// Returns the place of an append, if all of its events are in the log.
    fn place(&self, append: &Append) -> Option<Appended> {
        let ids = append.events.iter().map(|event| &event.event_id);
        let places: Vec<_> = ids.map(|id| self.0.get(id)).collect::<Option<_>>()?;
        let &&(position, _, recorded_at) = places.last()?;
        Some(Appended {
            position,
            placed: places.iter().map(|place| (place.0, place.1)).collect(),
            recorded_at,
        })
    }
}

/// Returns the error of an append while the database is in trouble.
fn refusal(trouble: &Trouble) -> AppendError {
    let cause = trouble.cause.clone();
    if trouble.is_full {
        AppendError::Full(cause)
    } else {
        let seconds = trouble.since.elapsed().as_secs();
        AppendError::Unavailable(format!("{cause}, for {seconds} seconds now"))
    }
}

/// Returns true for errors that recur whenever the same events are appended.
fn is_fault_of_the_events(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        *code == SqlState::UNIQUE_VIOLATION
            || code.code().starts_with("22")
            || code.code().starts_with("54")
    })
}
