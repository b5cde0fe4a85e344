//! Visibility of events: [`Reader`]'s rule, applied to the caller's workspaces.

use std::collections::HashSet;
use std::sync::Arc;

use domain::Aggregate;
use domain::knowledge::workspace::Workspace;
use projections::knowledge::workspace;
use quick_cache::sync::Cache;
use store::{Filter, Position, Reader, Recorded};
use uuid::Uuid;

use crate::App;
use crate::caller::Caller;
use crate::problem::Problem;

/// Number of actors whose memberships are cached.
const KEPT: usize = 10_000;

type Workspaces = Arc<HashSet<Uuid>>;

/// Cached memberships by product and actor.
pub struct Memberships(Cache<(Uuid, Uuid), Known>);

#[derive(Clone)]
struct Known {
    workspaces: Workspaces,
    as_of: Position,
}

impl Default for Memberships {
    fn default() -> Self {
        Self(Cache::new(KEPT))
    }
}

impl Caller {
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            actor_id: self.actor.id,
            product_id: self.product_id,
            scopes: &self.scopes,
        }
    }
}

impl App {
    /// Narrows a filter to the events that the caller may see; the result is valid up to the position.
    pub(crate) async fn narrow(
        &self,
        caller: &Caller,
        filter: Filter,
        position: Position,
    ) -> Result<Filter, Problem> {
        let workspaces = self.workspaces(caller, position).await?;
        Ok(caller.reader().narrow(filter, workspaces))
    }

    /// Returns true if the caller may see an event.
    pub(crate) async fn sees(&self, caller: &Caller, event: &Recorded) -> Result<bool, Problem> {
        let workspaces = self.workspaces(caller, event.position).await?;
        Ok(caller.reader().sees(event, workspaces))
    }

    /// Returns the caller's workspaces at a position or later; empty for auditors, who need none.
    async fn workspaces(&self, caller: &Caller, position: Position) -> Result<Workspaces, Problem> {
        if caller.reader().is_auditor() {
            return Ok(Arc::default());
        }
        let position = position.max(self.head());
        let key = (caller.product_id, caller.actor.id);
        if let Some(known) = self.memberships.0.get(&key)
            && (known.as_of >= position
                || self
                    .query_cache
                    .has_same_workspaces(caller.product_id, known.as_of, position)
                    .await)
        {
            return Ok(known.workspaces);
        }
        let as_of = self.readers.wait(Workspace::CATEGORY, position).await?;
        let found = workspace::of_member(&self.database, key.0, key.1).await?;
        let workspaces = Arc::new(found);
        let known = Known {
            workspaces: Arc::clone(&workspaces),
            as_of,
        };
        self.memberships.0.insert(key, known);
        Ok(workspaces)
    }
}
