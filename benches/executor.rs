//! Commands in this process: decided, and appended with their receipts.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use commands::{CommandError, Done, Executor, Handler, On, Request};
use domain::StreamId;
use domain::knowledge::note::{Changes, Note, NoteCommand};
use domain::knowledge::workspace::{Workspace, WorkspaceCommand};
use store::{Direction, EventStore};
use uuid::Uuid;

use crate::notes::{BODY, Desk};
use crate::product::Product;
use crate::report::Row;
use crate::{Bench, limit, load};

const CLIENTS: usize = 64;

pub async fn rows(bench: &Bench) -> Vec<Row> {
    let mut rows = Vec::new();
    if bench.wants("executor_64") {
        rows.push(new_notes(bench).await);
    }
    if bench.wants("hot_64") {
        rows.push(hot(bench).await);
    }
    rows
}

/// Measures commands that each write a note.
async fn new_notes(bench: &Bench) -> Row {
    const NAME: &str = "executor_64";
    let author = Author::new(&bench.product(NAME).await).await;
    let execute = async || {
        load::run(CLIENTS, move |_| {
            let author = author.clone();
            async move {
                author.write().await;
            }
        })
        .await
    };
    let inserts = async || limit::inserts_per_second(bench, CLIENTS).await;
    let (seen, limit) = limit::around(inserts, execute).await;
    bench.clear(NAME).await;
    Row::of(NAME, "commands/s", &seen).limited(limit::INSERTS, limit)
}

/// Measures clients that all revise the same note; the limit is as many clients with a note each.
async fn hot(bench: &Bench) -> Row {
    const NAME: &str = "hot_64";
    let product = bench.product(NAME).await;
    let author = Author::new(&product).await;
    let note = author.write().await;
    let own: Arc<[Uuid]> = futures::future::join_all((0..CLIENTS).map(|_| author.write()))
        .await
        .into();
    let done = Arc::new(AtomicI64::new(0));
    let conflicts = Arc::new(AtomicI64::new(0));

    let spread = async || {
        let author = author.clone();
        let own = own.clone();
        let revise = move |client: usize| {
            let (author, note) = (author.clone(), own[client]);
            async move {
                author.revise(note).await.unwrap();
            }
        };
        load::run(CLIENTS, revise).await.per_second
    };
    let hot = async || {
        let (author, done, conflicts) = (author.clone(), done.clone(), conflicts.clone());
        let revise = move |_| {
            let (author, done, conflicts) = (author.clone(), done.clone(), conflicts.clone());
            async move {
                match author.revise(note).await {
                    Ok(_) => done.fetch_add(1, Ordering::Relaxed),
                    Err(CommandError::Contention(_)) => conflicts.fetch_add(1, Ordering::Relaxed),
                    Err(error) => panic!("{error}"),
                };
            }
        };
        load::run(CLIENTS, revise).await
    };
    let (seen, limit) = limit::around(spread, hot).await;
    let stream = StreamId::of::<Note>(note);
    let last = product
        .store
        .read_stream(&stream, 0, Direction::Backwards, 1);
    let version = last.await.unwrap()[0].version;
    assert_eq!(
        version,
        1 + done.load(Ordering::Relaxed),
        "a revision is lost"
    );
    bench.clear(NAME).await;
    let conflicts = conflicts.load(Ordering::Relaxed);
    Row::of(NAME, "commands/s", &seen)
        .limited("as many clients revising one note each", limit)
        .under(format!(
            "{conflicts} commands were answered by a conflict, none is lost"
        ))
}

/// An actor who issues commands, each with its own idempotency key.
#[derive(Clone)]
pub struct Author {
    executor: Arc<Executor>,
    desk: Desk,
}

impl Author {
    /// Creates an author with a workspace.
    pub async fn new(product: &Product) -> Self {
        let author = Self {
            executor: product.executor.clone(),
            desk: Desk::new(),
        };
        let workspace = On::<Workspace> {
            id: author.desk.workspace_id,
            command: WorkspaceCommand::Create {
                name: "Bench".into(),
            },
        };
        author.execute(&workspace).await.unwrap();
        author
    }

    /// Writes a note.
    pub async fn write(&self) -> Uuid {
        let id = Uuid::now_v7();
        let create = On::<Note> {
            id,
            command: NoteCommand::Create {
                workspace_id: self.desk.workspace_id,
                title: "A note".into(),
                body: "x".repeat(BODY),
                tags: [].into(),
                aliases: [].into(),
                file: None,
            },
        };
        self.execute(&create).await.unwrap();
        id
    }

    /// Changes the title of a note.
    async fn revise(&self, id: Uuid) -> Result<Done, CommandError> {
        let revise = On::<Note> {
            id,
            command: NoteCommand::Revise(Changes {
                title: Some(Uuid::now_v7().to_string()),
                ..Changes::default()
            }),
        };
        self.execute(&revise).await
    }

    async fn execute(&self, handler: &dyn Handler) -> Result<Done, CommandError> {
        let id = Uuid::now_v7();
        let request = Request {
            actor: self.desk.actor,
            causation_id: None,
            ..Request::reaction(self.desk.product_id, id, id, id.to_string())
        };
        self.executor.execute(&request, handler).await
    }
}
