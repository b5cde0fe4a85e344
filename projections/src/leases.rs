//! Leases: they decide which consumers run on this node.
//!
//! A lease is an advisory lock. One session per node holds all of them, so that they become free as soon as the node is gone. They only
//! keep nodes from doing the same work twice: each batch is fenced by its checkpoint.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use store::{Database, Session};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::{Error, Row};
use tokio_util::sync::CancellationToken;

use crate::reader::{Lease, Reader};

/// Interval at which a node checks for free leases.
const ASK: Duration = Duration::from_secs(1);
/// Interval while other nodes hold leases from this one's share.
const ASK_SOON: Duration = Duration::from_millis(100);
/// Time that a node waits for its consumers when it gives up leases or stops.
const PATIENCE: Duration = Duration::from_secs(2);
/// First halves of the keys of advisory locks: one for consumers, one that all nodes share.
const CONSUMER: i32 = 0x6461_7901;
const NODE: i32 = 0x6461_7902;

/// Takes, holds and gives up leases until shutdown.
pub(crate) async fn run(
    database: Database,
    readers: Vec<Arc<Reader>>,
    shutdown: CancellationToken,
) {
    let mut leases = Leases::of(readers);
    while !shutdown.is_cancelled() {
        if let Err(error) = leases.hold(&database, &shutdown).await {
            tracing::warn!(
                error = store::describe(&error),
                "lost the session that holds the leases of consumers"
            );
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(ASK) => {}
        }
    }
}

struct Leases {
    readers: Vec<(i32, Arc<Reader>)>,
    /// Number of nodes at the last check.
    nodes: usize,
    /// Keys that were free at the last check.
    free: HashSet<i32>,
}

/// The advisory locks of a database that implement leases.
struct Locks {
    nodes: usize,
    /// Keys of the consumers that run on some node.
    taken: HashSet<i32>,
}

impl Leases {
    fn of(readers: Vec<Arc<Reader>>) -> Self {
        let keyed = |reader: Arc<Reader>| (key(reader.consumer.name()), reader);
        Self {
            readers: readers.into_iter().map(keyed).collect(),
            nodes: 1,
            free: HashSet::new(),
        }
    }

    /// Holds this node's share on a session, until the session is lost or the node stops.
    async fn hold(
        &mut self,
        database: &Database,
        shutdown: &CancellationToken,
    ) -> Result<(), Error> {
        const JOIN: &str = "select pg_advisory_lock_shared($1, 0)";
        let session = database.connect("leases").await?;
        session.execute(JOIN, &[&NODE]).await?;
        let kept = self.keep_share(&session, shutdown).await;
        self.lose().await;
        kept
    }

    /// Takes and gives up leases as nodes come and go.
    async fn keep_share(
        &mut self,
        session: &Session,
        shutdown: &CancellationToken,
    ) -> Result<(), Error> {
        loop {
            let begun = Instant::now();
            let locks = look(session).await?;
            self.give_up(session, &locks).await?;
            self.take(session, &locks).await?;
            let waits = if self.held().len() < self.readers.len() / locks.nodes {
                ASK_SOON
            } else {
                ASK
            };
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = sleep_until(begun + waits) => {}
            }
        }
    }

    /// Gives up leases beyond a fair share when a node has joined, and the leases that consumers have left.
    async fn give_up(&mut self, session: &Session, locks: &Locks) -> Result<(), Error> {
        const UNLOCK: &str = "select pg_advisory_unlock($1, key) from unnest($2::int[]) as key";
        if locks.nodes > self.nodes {
            let held = self.held();
            let excess: Vec<_> = held.into_iter().skip(self.share(locks.nodes)).collect();
            end(&excess).await;
        }
        self.nodes = locks.nodes;
        let keys = self.left();
        if !keys.is_empty() {
            session.execute(UNLOCK, &[&CONSUMER, &keys]).await?;
        }
        Ok(())
    }

    /// Takes free leases up to a fair share; beyond it, those that no other node has taken since the last check.
    async fn take(&mut self, session: &Session, locks: &Locks) -> Result<(), Error> {
        const LOCK: &str =
            "select key from unnest($2::int[]) as key where pg_try_advisory_lock($1, key)";
        let mut free = vec![];
        for (key, reader) in &self.readers {
            if locks.taken.contains(key) {
                reader.change(&[Lease::Free], Lease::Elsewhere);
            } else if matches!(reader.lease(), Lease::Free | Lease::Elsewhere) {
                reader.change(&[Lease::Elsewhere], Lease::Free);
                free.push(*key);
            }
        }
        let room = self.share(locks.nodes).saturating_sub(self.held().len());
        let within = free.iter().take(room);
        let beyond = free.iter().skip(room).filter(|key| self.free.contains(key));
        let wanted: Vec<i32> = within.chain(beyond).copied().collect();
        self.free = free.into_iter().collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let rows = session.query(LOCK, &[&CONSUMER, &wanted]).await?;
        let taken: HashSet<i32> = rows.iter().map(|row| row.get(0)).collect();
        for (key, reader) in &self.readers {
            if taken.contains(key) {
                reader.change(&[Lease::Free], Lease::Held);
            }
        }
        Ok(())
    }

    /// Ends all leases: their session is gone, or is about to be closed.
    async fn lose(&self) {
        end(&self.held()).await;
        self.left();
    }

    /// Forgets the leases that consumers have left; returns their keys.
    fn left(&self) -> Vec<i32> {
        let left = |(_, reader): &&(i32, Arc<Reader>)| reader.change(&[Lease::Left], Lease::Free);
        let left = self.readers.iter().filter(left);
        left.map(|(key, _)| *key).collect()
    }

    fn held(&self) -> Vec<Arc<Reader>> {
        let readers = self.readers.iter().map(|(_, reader)| reader);
        readers
            .filter(|reader| reader.lease() == Lease::Held)
            .cloned()
            .collect()
    }

    const fn share(&self, nodes: usize) -> usize {
        self.readers.len().div_ceil(nodes)
    }
}

/// Tells consumers to stop, and waits for them.
async fn end(readers: &[Arc<Reader>]) {
    for reader in readers {
        reader.change(&[Lease::Held], Lease::Ending);
    }
    let all = async {
        for reader in readers {
            reader.becomes(|lease| lease != Lease::Ending).await;
        }
    };
    // Checkpoints fence consumers that take longer.
    let _ = timeout(PATIENCE, all).await;
}

async fn look(session: &Session) -> Result<Locks, Error> {
    const LOOK: &str = "
        select classid = $1::int::oid, objid::bigint from pg_locks
        where locktype = 'advisory' and granted and objsubid = 2 and classid in ($1::int::oid, $2::int::oid)
            and database = (select oid from pg_database where datname = current_database())";
    let look = session.prepare_cached(LOOK).await?;
    let rows = session.query(&look, &[&NODE, &CONSUMER]).await?;
    let (nodes, consumers): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.get(0));
    // PostgreSQL shows the second half of a key as unsigned.
    #[expect(clippy::cast_possible_truncation, reason = "32 bits")]
    let key = |row: &Row| row.get::<_, i64>(1) as i32;
    Ok(Locks {
        nodes: nodes.len().max(1),
        taken: consumers.into_iter().map(key).collect(),
    })
}

/// Returns the key of a consumer's lock.
fn key(name: &str) -> i32 {
    let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(name).into();
    i32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn the_keys_of_all_read_models_differ() {
        let mut keys = HashMap::new();
        for name in crate::models().iter().map(|model| model.name()) {
            let other = keys.insert(key(name), name);
            assert_eq!(
                other, None,
                "{name} has the same key: rename it in its read model"
            );
        }
    }
}
