//! What every handler has at hand.

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

/// Bounds on what a client can ask of the server.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body: usize,
    /// From the request's head to the head of the answer.
    pub timeout: Duration,
}

/// Files: where their bytes are, and bounds on them.
#[derive(Debug, Clone)]
pub struct Files {
    pub blobs: Blobs,
    /// Of each product.
    pub quota: Quota,
    pub max_sizes: MaxSizes,
    /// How long a signed address is good, at least.
    pub url_ttl: TimeDelta,
}

/// Shared by all handlers of a node.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What a node is made of.
pub struct Parts {
    pub database: Database,
    pub store: Arc<dyn EventStore>,
    pub executor: Arc<Executor>,
    /// Of the read models.
    pub readers: Readers,
    /// Of the reactions.
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

    /// The last position that this node knows of.
    pub(crate) fn head(&self) -> Position {
        *self.store.head().borrow()
    }
}
