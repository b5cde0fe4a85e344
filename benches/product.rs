//! The product in this process, wired as by `daybook serve`, without HTTP.

use std::sync::Arc;
use std::time::Duration;

use blobs::{Blobs, Place};
use commands::{Executor, Secrets};
use projections::{Consumer, Readers, Runtime, models};
use store::{Database, EventStore, PostgresStore, Purpose};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use workers::webhook::{Schedule, Settings};
use workers::{WorkerContext, Workers, file};

pub struct Product {
    pub database: Database,
    pub store: Arc<PostgresStore>,
    pub executor: Arc<Executor>,
    pub readers: Readers,
    runtime: Runtime,
    workers: Workers,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    /// Folder of files; deleted when dropped.
    _folder: TempDir,
}

impl Product {
    pub async fn open(database: Database) -> Self {
        let store = PostgresStore::open(database.clone()).await.unwrap();
        let log: Arc<dyn EventStore> = store.clone();
        let executor = Arc::new(Executor::new(log.clone()));
        let mut runtime = Runtime::new(database.clone(), log.clone());
        let readers = runtime.add(models());
        let context = WorkerContext {
            database: database.clone(),
            store: log.clone(),
            executor: executor.clone(),
        };
        let webhooks = Settings {
            secrets: Secrets::new([0; 32]),
            schedule: Schedule::default(),
            allow_private: false,
            timeout: Duration::from_secs(15),
        };
        let folder = tempfile::tempdir().unwrap();
        let place = Place {
            url: folder.path().display().to_string(),
            ..Place::default()
        };
        let files = file::Settings {
            blobs: Blobs::open(&place).unwrap(),
            sweep_interval: Duration::from_hours(24),
            sweep_grace: Duration::from_hours(24),
        };
        let workers = Workers::new(context, webhooks, files);
        runtime.add(workers.consumers(&readers));
        Self {
            readers,
            runtime,
            workers,
            database,
            store,
            executor,
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
            _folder: folder,
        }
    }

    /// Adds consumers to the product's own.
    pub fn add(&mut self, consumers: Vec<Arc<dyn Consumer>>) {
        self.runtime.add(consumers);
    }

    /// Starts every read model, reaction and kind of job.
    pub fn start(&self) {
        self.runtime.start(&self.tasks, &self.shutdown);
        self.workers
            .start(&self.readers, &self.tasks, &self.shutdown);
    }

    pub async fn stop(&self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Moves every consumer to the head of the log.
    pub async fn skip_to_head(&self) {
        for consumer in models()
            .into_iter()
            .chain(self.workers.consumers(&self.readers))
        {
            skip_to_head(&self.database, consumer.as_ref()).await;
        }
    }
}

/// Moves a consumer to the head of the log; the tables of a read model are created empty.
pub async fn skip_to_head(database: &Database, consumer: &dyn Consumer) {
    const CHECKPOINT: &str = "
        insert into log.checkpoints (name, position, built_by) select $1, position, $2 from log.head
        on conflict (name) do update set position = excluded.position, built_by = excluded.built_by";
    const EXISTS: &str = "select from log.checkpoints where name = $1";
    let client = database.session(Purpose::Queries).await.unwrap();
    let name = consumer.name();
    if client.query_opt(EXISTS, &[&name]).await.unwrap().is_none() {
        client.batch_execute(consumer.ddl()).await.unwrap();
    }
    let built_by = consumer.built_by();
    client
        .execute(CHECKPOINT, &[&name, &built_by])
        .await
        .unwrap();
}
