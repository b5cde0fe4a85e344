//! API keys in requests: looked up once and cached until an event concerns a key.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use commands::{check_api_key, sha256_hex};
use domain::agents::agent::Agent;
use domain::identity::api_key::ApiKey;
use domain::{ActorKind, Aggregate, StreamId, covers};
use projections::Readers;
use projections::agents::agent;
use projections::identity::api_key::{self, ApiKeyContent, ApiKeyStatus};
use quick_cache::sync::Cache;
use store::{Database, EventStore, Filter, Position, Recorded};
use uuid::Uuid;

use crate::caller::Caller;
use crate::follow::follow;
use crate::problem::Problem;

/// Maximum number of cached keys.
const KEPT: usize = 10_000;
/// Interval at which a key in use is checked again.
const TICK: Duration = Duration::from_secs(1);

/// Event types that can make a key work or stop working.
const FOLLOWED: [&str; 3] = ["api_key.*", "agent.suspended", "agent.resumed"];

/// A key that was found.
struct Found {
    id: Uuid,
    key: ApiKeyContent,
    caller: Caller,
    /// True if its actor is a suspended agent.
    is_suspended: bool,
    /// Position of the read models when the key was looked up.
    as_of: Position,
}

pub struct Authenticator {
    database: Database,
    store: Arc<dyn EventStore>,
    readers: Readers,
    kept: Cache<String, Arc<Found>>,
    /// Position of the last event that concerns any key; entries from before it must be looked up again.
    changed: AtomicI64,
}

impl Authenticator {
    pub fn start(database: Database, store: Arc<dyn EventStore>, readers: Readers) -> Arc<Self> {
        let head = *store.head().borrow();
        let authenticator = Arc::new(Self {
            database,
            readers,
            kept: Cache::new(KEPT),
            changed: AtomicI64::new(head),
            store,
        });
        let filter = Filter {
            types: FOLLOWED.map(str::to_owned).into(),
            ..Filter::default()
        };
        // Other nodes change keys, too.
        let (weak, store) = (
            Arc::downgrade(&authenticator),
            Arc::clone(&authenticator.store),
        );
        follow(weak, store, head, filter, |authenticator, event| {
            authenticator.changed_at(event.position);
        });
        authenticator
    }

    /// Invalidates what was found before the last of these events that concerns a key.
    pub fn notice(&self, events: &[Recorded]) {
        let concerns = |event: &&Recorded| {
            let mut patterns = FOLLOWED.into_iter();
            patterns.any(|pattern| covers(pattern, &event.event_type))
        };
        if let Some(last) = events.iter().rfind(concerns) {
            self.changed_at(last.position);
        }
    }

    /// Invalidates everything that was found before this position.
    fn changed_at(&self, position: Position) {
        self.changed.fetch_max(position, Ordering::AcqRel);
    }

    /// Returns the caller that a token belongs to, if the token works now.
    pub async fn authenticate(&self, token: &str) -> Result<Caller, Problem> {
        check_api_key(token).map_err(|error| Problem::unauthorized(error.to_string()))?;
        self.bearer(&sha256_hex(token)).await
    }

    /// Returns once the caller's key no longer works or cannot be checked.
    pub async fn refuses(&self, caller: &Caller) {
        while self.bearer(&caller.key_sha256).await.is_ok() {
            tokio::time::sleep(TICK).await;
        }
    }

    async fn bearer(&self, sha256: &str) -> Result<Caller, Problem> {
        let found = match self.kept.get(sha256) {
            Some(found) if found.as_of >= self.changed.load(Ordering::Acquire) => found,
            Some(_) | None => self.look_up(sha256).await?,
        };
        self.require_latest(&found)?;
        if found.is_suspended {
            Err(Problem::unauthorized(
                "the agent that holds the API key is suspended; a person can resume it",
            ))
        } else if works(&found.key, sha256, Utc::now()) {
            Ok(found.caller.clone())
        } else {
            Err(Problem::unauthorized(
                "the API key is revoked or was replaced; use its successor or ask for a new one",
            ))
        }
    }

    async fn look_up(&self, sha256: &str) -> Result<Arc<Found>, Problem> {
        let changed = self.changed.load(Ordering::Acquire);
        let mut as_of = self.readers.wait(ApiKey::CATEGORY, changed).await?;
        let mut row = api_key::by_hash(&self.database, sha256).await?;
        if row.is_none() {
            // The key may be new, issued by a process whose append this node does not know yet.
            let head = self.store.read_head().await?;
            as_of = self.readers.wait(ApiKey::CATEGORY, head).await?;
            row = api_key::by_hash(&self.database, sha256).await?;
        }
        let row = row.ok_or_else(|| Problem::unauthorized("there is no such API key"))?;
        let actor = row.content.actor;
        let agents_as_of = self.readers.wait(Agent::CATEGORY, changed).await?;
        let is_suspended =
            actor.kind == ActorKind::Agent && agent::is_suspended(&self.database, actor.id).await?;
        let caller = Caller {
            actor,
            product_id: row.metadata.product_id,
            scopes: Arc::new(row.content.scopes.clone()),
            credential: row.metadata.id,
            controller: row.content.controller,
            vouched: row.content.vouched,
            key_sha256: sha256.into(),
        };
        let found = Arc::new(Found {
            id: row.metadata.id,
            key: row.content,
            caller,
            is_suspended,
            as_of: as_of.min(agents_as_of),
        });
        self.kept.insert(sha256.to_owned(), Arc::clone(&found));
        Ok(found)
    }

    /// Refuses a key whose stream, or whose agent's stream, is in quarantine: it may be revoked, or its agent suspended.
    fn require_latest(&self, found: &Found) -> Result<(), Problem> {
        for (category, id) in [
            (ApiKey::CATEGORY, found.id),
            (Agent::CATEGORY, found.caller.actor.id),
        ] {
            if let Some(at) = self.readers.quarantined(&StreamId::new(category, id)) {
                return Err(Problem::quarantined(category, at));
            }
        }
        Ok(())
    }
}

fn works(key: &ApiKeyContent, sha256: &str, now: DateTime<Utc>) -> bool {
    let current = key.sha256 == sha256;
    let overlapping = key.previous_valid_until.is_some_and(|end| now < end);
    key.status == ApiKeyStatus::Active && (current || overlapping)
}
