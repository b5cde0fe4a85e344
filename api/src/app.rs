//! The state that all handlers share.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use blobs::Blobs;
use chrono::TimeDelta;
use commands::{Executor, Secrets};
use domain::operations::container::MaxSizes;
use domain::operations::storage::Quota;
use metrics_exporter_prometheus::PrometheusHandle;
use projections::{Readers, Views};
use store::{Database, EventStore, Position};
use tokio_util::sync::CancellationToken;

use crate::agents::mcp;
use crate::authenticator::Authenticator;
use crate::operations::uploads::Uploads;
use crate::query_cache::QueryCache;
use crate::site::Site;
use crate::visibility::Memberships;

/// Limits on clients' requests.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Maximum size of a request body, in bytes.
    pub body: usize,
    /// Longest time from a request's head to the head of its answer.
    pub timeout: Duration,
}

/// Settings for files: their storage and their limits.
#[derive(Debug, Clone)]
pub struct Files {
    pub blobs: Blobs,
    /// Quota of each product.
    pub quota: Quota,
    pub max_sizes: MaxSizes,
    /// Minimum lifetime of a signed URL.
    pub url_ttl: TimeDelta,
}

/// The state shared by all handlers of a node.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The components of a node.
pub struct Parts {
    pub database: Database,
    pub store: Arc<dyn EventStore>,
    pub executor: Arc<Executor>,
    /// The read models that queries wait for.
    pub readers: Readers,
    /// The reactions that queries wait for.
    pub reactions: Readers,
    pub secrets: Secrets,
    pub metrics: PrometheusHandle,
    pub limits: Limits,
    pub site: Site,
    pub mcp: mcp::Settings,
    pub files: Files,
    /// Ends streams when the server stops.
    pub shutdown: CancellationToken,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) views: Arc<Views>,
    pub(crate) query_cache: Arc<QueryCache>,
    pub(crate) memberships: Memberships,
    pub(crate) uploads: Arc<Uploads>,
}

impl App {
    #[expect(clippy::too_many_arguments, reason = "the parts of a node, wired once")]
    pub fn new(
        database: Database,
        store: Arc<dyn EventStore>,
        executor: Arc<Executor>,
        readers: Readers,
        reactions: Readers,
        secrets: Secrets,
        metrics: PrometheusHandle,
        limits: Limits,
        site: Site,
        mcp: mcp::Settings,
        files: Files,
        shutdown: CancellationToken,
    ) -> Self {
        Self(Arc::new(Parts {
            authenticator: Authenticator::start(
                database.clone(),
                Arc::clone(&store),
                readers.clone(),
            ),
            views: Arc::new(Views::new(Arc::clone(&store))),
            query_cache: QueryCache::start(Arc::clone(&store)),
            memberships: Memberships::default(),
            uploads: Arc::default(),
            database,
            store,
            executor,
            readers,
            reactions,
            secrets,
            metrics,
            limits,
            site,
            mcp,
            files,
            shutdown,
        }))
    }

    /// Returns the last position that this node knows.
    pub(crate) fn head(&self) -> Position {
        *self.store.head().borrow()
    }
}
