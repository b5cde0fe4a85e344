//! The server: wired, started, and stopped within a time limit.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api::{App, Files, Limits, Site};
use blobs::{Blobs, OpenError};
use chrono::TimeDelta;
use commands::identity::api_key::Issue;
use commands::{CommandError, Executor, Request, Secrets};
use domain::identity::api_key::Issuer;
use domain::identity::product::OPERATOR;
use domain::identity::scope;
use domain::{Actor, ActorKind};
use metrics_exporter_prometheus::PrometheusHandle;
use projections::Runtime;
use store::EventStore;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;
use workers::{WorkerContext, Workers, file, webhook};

use crate::background::Background;
use crate::config::Config;
use crate::connections::{self, Bounds};
use crate::damper::DAMPER;
use crate::node::{Node, NodeError};
use crate::output::print;
use crate::private_file::Draft;
use crate::secret_key::{self, SecretKeyError};
use crate::telemetry;

/// The reasons why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The database is unavailable.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The root secret is unavailable.
    #[error(transparent)]
    SecretKey(#[from] SecretKeyError),
    /// The file store is unavailable.
    #[error(transparent)]
    Files(#[from] OpenError),
    /// The operator's key cannot be issued.
    #[error("cannot issue the operator's API key: {0}")]
    OperatorKey(#[from] CommandError),
    /// The operator's key cannot be written to its file.
    #[error(
        "cannot write the operator's API key to {path}: {source}; make its directory writable, or name another file in \
         DAYBOOK_OPERATOR_KEY_FILE"
    )]
    OperatorKeyFile {
        path: String,
        source: std::io::Error,
    },
    /// Metrics cannot be collected.
    #[error("cannot collect metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// The address is in use, or does not belong to this machine.
    #[error(
        "cannot listen on {address}: {source}; choose another address with --listen or DAYBOOK_LISTEN"
    )]
    Listen {
        address: std::net::SocketAddr,
        source: std::io::Error,
    },
    /// The server failed.
    #[error("the server broke off: {0}")]
    Io(#[from] std::io::Error),
}

/// Serves until SIGTERM or SIGINT.
pub async fn run(config: Config) -> Result<(), ServeError> {
    let mut stop = Box::pin(signals()?);
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|source| ServeError::Listen {
            address: config.listen,
            source,
        })?;
    let metrics = telemetry::metrics()?;
    let node = tokio::select! {
        node = Node::open(&config, config.database_wait) => node?,
        () = &mut stop => return Ok(()),
    };
    let secrets = secret_key::load(&config, &node.database).await?;
    let blobs = Blobs::open(&config.files.place)?;
    let site = Site {
        public_url: config.public_url.clone(),
        listen: listener.local_addr()?,
        cors_origins: config.cors_origins.clone(),
    };
    let server = Server::wire(&config, &node, secrets, blobs, metrics, site)?;
    server
        .hand_over_operator_key(&config.operator_key_file)
        .await?;
    print(&format!("listening on http://{}", listener.local_addr()?))?;
    let served = server.serve(listener, stop, config.shutdown_timeout).await;
    node.close().await?;
    tracing::info!("stopped");
    Ok(served?)
}

fn signals() -> Result<impl Future<Output = ()> + Send + 'static, std::io::Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

struct Server {
    app: App,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    _background: Background,
}

impl Server {
    fn wire(
        config: &Config,
        node: &Node,
        secrets: Secrets,
        blobs: Blobs,
        metrics: PrometheusHandle,
        site: Site,
    ) -> Result<Self, std::io::Error> {
        let background = Background::start()?;
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let store: Arc<dyn EventStore> = node.store.clone();
        let database = node.database.clone();
        let executor = Arc::new(Executor::new(Arc::clone(&store)));

        let mut runtime = Runtime::new(database.clone(), Arc::clone(&store));
        let models = runtime.add(projections::models());
        let context = WorkerContext {
            database: database.clone(),
            store: Arc::clone(&store),
            executor: Arc::clone(&executor),
        };
        let webhooks = webhook::Settings {
            secrets: secrets.clone(),
            schedule: config.webhooks_schedule.clone(),
            allow_private: config.webhooks_allow_private,
            timeout: config.webhooks_timeout,
        };
        let sweeping = file::Settings {
            blobs: blobs.clone(),
            sweep_interval: config.files.sweep_interval,
            sweep_grace: config.files.sweep_grace,
        };
        let workers = Workers::new(context, webhooks, sweeping);
        let reactions = runtime.add(workers.consumers(&models));
        background.run(|| {
            runtime.start(&tasks, &shutdown);
            workers.start(&models, &tasks, &shutdown);
        });
        tasks.spawn(keep_up(metrics.clone(), shutdown.clone()));
        let limits = Limits {
            body: config.body_limit,
            timeout: config.request_timeout,
        };
        let files = Files {
            blobs,
            quota: config.files.quota,
            max_sizes: config.files.max_sizes.clone(),
            url_ttl: TimeDelta::from_std(config.files.url_ttl).unwrap_or_default(),
        };
        Ok(Self {
            app: App::new(
                database,
                store,
                executor,
                models,
                reactions,
                secrets,
                metrics,
                limits,
                site,
                config.mcp.clone(),
                files,
                shutdown.clone(),
            ),
            tasks,
            shutdown,
            _background: background,
        })
    }

    /// Writes the operator's key into a file at the first start of a database, and prints the file's path.
    async fn hand_over_operator_key(&self, file: &Path) -> Result<(), ServeError> {
        let fault = |source| ServeError::OperatorKeyFile {
            path: file.display().to_string(),
            source,
        };
        let id = Uuid::now_v7();
        let draft = || {
            let key = self.app.secrets.api_key(id, 0);
            Draft::write(file, &format!("{key}\n")).map_err(fault)
        };
        // The file is written before the key is issued, so that no key is issued in vain.
        let early = if *self.app.store.head().borrow() == 0 {
            Some(draft()?)
        } else {
            None
        };
        let request = Request::reaction(OPERATOR, id, id, "first operator key".into());
        let request = Request {
            causation_id: None,
            ..request
        };
        let done = self
            .app
            .executor
            .execute(&request, &operator_key(id, &self.app.secrets))
            .await?;
        if done.replayed {
            return Ok(());
        }
        let draft = early.map_or_else(draft, Ok)?;
        if let Some(aside) = draft.publish_anew().map_err(fault)? {
            tracing::warn!(aside = %aside.display(), "kept the operator's API key of another database");
        }
        Ok(print_operator_key_file(file)?)
    }

    /// Answers requests until told to stop, then finishes work in flight within the time limit.
    async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
        bound: Duration,
    ) -> Result<(), std::io::Error> {
        let (app, tasks, shutdown) = (self.app, self.tasks, self.shutdown);
        let stopping = shutdown.clone();
        let stop = async move {
            stop.await;
            tracing::info!("stopping");
            stopping.cancel();
        };
        let bounds = Bounds::of_this_machine();
        let server = tokio::spawn(connections::serve(listener, api::router(app), bounds, stop));
        shutdown.cancelled().await;
        tasks.close();
        let drained = tokio::time::timeout(bound, async {
            tasks.wait().await;
            server.await
        });
        match drained.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(panicked)) => Err(std::io::Error::other(panicked)),
            Err(_) => {
                tracing::warn!(
                    ?bound,
                    "some work did not end in time; its leases will lapse"
                );
                Ok(())
            }
        }
    }
}

/// Prints the path of an operator's key, never the key itself, because output ends up in logs.
pub fn print_operator_key_file(file: &Path) -> std::io::Result<()> {
    print(&format!("operator API key written to {}", file.display()))
}

/// Returns the command that issues an operator's key, which may do everything and see every event.
pub fn operator_key(id: Uuid, secrets: &Secrets) -> Issue {
    let everything = BTreeSet::from([scope::ALL, scope::AUDIT].map(str::to_owned));
    Issue {
        id,
        name: "operator".into(),
        actor: Actor {
            kind: ActorKind::Person,
            id: Uuid::now_v7(),
        },
        actor_name: "operator".into(),
        named: false,
        scopes: everything.clone(),
        issuer: Issuer {
            is_operator: true,
            vouched: false,
            scopes: everything,
        },
        secrets: secrets.clone(),
    }
}

/// Runs the metrics' upkeep, which aggregates samples into buckets, and reports suppressed log lines.
async fn keep_up(metrics: PrometheusHandle, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        metrics.run_upkeep();
        DAMPER.report();
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(Duration::from_secs(5)) => {}
        }
    }
}
