//! The condition of the database: it tells if the log can be written now, and the cause if it cannot.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::database::{Database, Session};
use crate::failure::{self, describe};

/// Interval between two checks.
const LOOK: Duration = Duration::from_secs(1);
/// Maximum time of one check.
const LIMIT: Duration = Duration::from_secs(5);
/// Time for which a refused append counts as trouble: a check does not cover every failure of an append.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Interval between two checkpoints that should free disk space.
const CHECKPOINT: Duration = Duration::from_secs(60);
/// Space kept free for PostgreSQL itself, which stops if it cannot write: a twentieth of the disk, within these bounds.
const LEAST_FREE: u64 = 32 << 20;
const MOST_FREE: u64 = 256 << 20;

/// A state in which the database accepts no writes.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// The cause, without values of rows.
    pub cause: String,
    pub since: Instant,
    /// True if the disk is full.
    pub is_full: bool,
    /// A successful check after this time ends the trouble.
    until: Instant,
}

/// The condition that all users of a database share.
#[derive(Debug, Clone)]
pub struct Condition {
    trouble: Arc<watch::Sender<Option<Trouble>>>,
    look: Arc<Notify>,
}

impl Default for Condition {
    fn default() -> Self {
        Self {
            trouble: Arc::new(watch::Sender::new(None)),
            look: Arc::default(),
        }
    }
}

impl Condition {
    /// Returns the current trouble of the database, if any.
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble.borrow().clone()
    }

    /// Makes the watch check at once.
    pub fn look_now(&self) {
        self.look.notify_one();
    }

    /// Records that an append was refused for an error that is not its own fault.
    pub fn report(&self, error: &tokio_postgres::Error) {
        let until = Instant::now() + REMEMBERED;
        self.set(failure::cause(error), failure::is_full(error), until);
    }

    fn set(&self, cause: String, is_full: bool, until: Instant) {
        self.trouble.send_modify(|trouble| {
            let since = trouble.as_ref().map(|trouble| trouble.since);
            if since.is_none() {
                metrics::gauge!("daybook_database_trouble").set(1.0);
                tracing::error!(cause, "the database takes no writes");
            }
            *trouble = Some(Trouble {
                cause,
                since: since.unwrap_or_else(Instant::now),
                is_full,
                until,
            });
        });
    }

    /// Returns true if there was trouble.
    fn clear(&self) -> bool {
        metrics::gauge!("daybook_database_trouble").set(0.0);
        self.trouble
            .send_if_modified(|trouble| trouble.take().is_some())
    }
}

/// Checks the database every second, for ever.
pub async fn run(database: Database) {
    let mut session = None;
    let mut checkpointed: Option<Instant> = None;
    loop {
        let condition = database.condition();
        if let Some(cause) = database.volume().and_then(full) {
            condition.set(cause, true, Instant::now());
            if checkpointed.is_none_or(|last| last.elapsed() > CHECKPOINT) {
                checkpointed = Some(Instant::now());
                free_segments(&database).await;
            }
        } else {
            let looked = tokio::time::timeout(LIMIT, look(&database, &mut session)).await;
            if database.is_closed() {
                return;
            }
            match looked {
                Ok(Ok(())) => recovered(&database),
                Ok(Err(error)) => {
                    session = None;
                    let cause = failure::cause(&error);
                    condition.set(cause, failure::is_full(&error), Instant::now());
                }
                Err(_) => {
                    session = None;
                    condition.set("it does not answer".into(), false, Instant::now());
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = condition.look.notified() => {}
        }
    }
}

fn recovered(database: &Database) {
    let condition = database.condition();
    let goes_on = |trouble: Trouble| trouble.until > Instant::now();
    if condition.trouble().is_some_and(goes_on) {
        return;
    }
    if condition.clear() {
        // Older sessions may belong to a server that no longer works.
        database.distrust();
        tracing::info!("the database takes writes again");
    }
}

/// Checks that a session can write; after trouble it opens a new session, and writes.
async fn look(
    database: &Database,
    session: &mut Option<Session>,
) -> Result<(), tokio_postgres::Error> {
    const WRITE: &str = "begin; select from log.head for update skip locked; commit";
    const ASK: &str = "do $$ begin
        if pg_is_in_recovery() or current_setting('transaction_read_only')::boolean then
            raise exception 'the session is read-only' using errcode = '25006';
        end if;
    end $$";
    if database.condition().trouble().is_some() {
        return database.connect("watch").await?.batch_execute(WRITE).await;
    }
    let asked = match session {
        Some(session) => session,
        None => session.insert(database.connect("watch").await?),
    };
    asked.batch_execute(ASK).await
}

/// Returns the reason why nothing more may be written to the disk of a private PostgreSQL; none: there is room.
fn full(volume: &Path) -> Option<String> {
    let found = rustix::fs::statvfs(volume).ok()?;
    let total = found.f_blocks.saturating_mul(found.f_frsize);
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let kept = kept_free(total);
    (free < kept).then(|| {
        format!(
            "the disk of the data directory is full: {} MiB are left, and {} MiB are kept for PostgreSQL; free some",
            free >> 20,
            kept >> 20
        )
    })
}

fn kept_free(total: u64) -> u64 {
    (total / 20).clamp(LEAST_FREE, MOST_FREE)
}

/// Runs a checkpoint, so that PostgreSQL can remove segments of its write-ahead log.
async fn free_segments(database: &Database) {
    let freed = async {
        database
            .connect("watch")
            .await?
            .batch_execute("reset role; checkpoint")
            .await
    };
    if let Ok(Err(error)) = tokio::time::timeout(LIMIT, freed).await {
        tracing::debug!(
            error = describe(&error),
            "cannot free segments of the write-ahead log"
        );
    }
}

/// The directory of a private PostgreSQL, whose disk is watched.
pub type Volume = Option<PathBuf>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_of_the_disk_is_kept_free() {
        for (total, kept) in [
            (100 << 20, 32 << 20),
            (2 << 30, (2 << 30) / 20),
            (1 << 40, 256 << 20),
        ] {
            assert_eq!(kept_free(total), kept);
        }
    }

    #[test]
    fn trouble_lasts_from_its_first_report_on() {
        let condition = Condition::default();
        condition.set("one".into(), false, Instant::now());
        let first = condition.trouble().unwrap();
        condition.set("another".into(), true, Instant::now());
        let second = condition.trouble().unwrap();
        assert_eq!(
            (second.since, second.cause.as_str()),
            (first.since, "another")
        );
        assert!(condition.clear() && condition.trouble().is_none());
    }
}
