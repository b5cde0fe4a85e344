//! Rebuilds a read model beside the live one, compares the two row by row, and swaps them.

use std::pin::pin;
use std::sync::Arc;

use futures::TryStreamExt;
use serde::Serialize;
use store::{Database, EventStore, Filter, Page, Position, ReadError, Recorded, Session, pages};

use crate::batch::{Place, Stretch, apply_batch};
use crate::consumer::Rebuilding;
use crate::quarantine::{self, Quarantine, Quarantined};
use crate::{ApplyError, Consumer, MemoryBudget, checkpoint, tables};

/// Maximum number of differing rows in a report.
const SAMPLES: i64 = 20;

/// Reasons why a rebuild failed; the live model is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The consumer keeps no read model.
    #[error("{0} keeps no read model that could be rebuilt")]
    NoModel(&'static str),
    /// Another rebuild of the same model is in progress.
    #[error("{0} is being rebuilt already")]
    UnderWay(&'static str),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An event could not be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The database refused a statement.
    #[error("database: {}", store::describe(.0))]
    Database(#[from] tokio_postgres::Error),
}

/// A row that exists only in one of the two models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub table: String,
    /// `live` or `rebuilt`.
    pub only_in: String,
    pub row: String,
}

/// The result of a rebuild.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub name: &'static str,
    /// Position at which the models were compared.
    pub position: Position,
    pub events: u64,
    /// Number of differing rows; 0 if the live model was not compared, because another version built it or it lacks tables.
    pub differences: i64,
    pub samples: Vec<Difference>,
    pub compared: bool,
    pub swapped: bool,
    /// Streams with an event that could not be applied.
    pub quarantined: Vec<Quarantined>,
}

/// Rebuilds read models beside the live ones, in one pass over the log, and compares them; swaps them if requested. Reads
/// continue throughout; each live model pauses while it is compared.
pub async fn rebuild(
    database: &Database,
    store: &Arc<dyn EventStore>,
    consumers: &[Arc<dyn Consumer>],
    swap: bool,
    memory: &MemoryBudget,
) -> Result<Vec<Report>, RebuildError> {
    let session = database.connect("rebuild").await?;
    let mut rebuilds = Vec::with_capacity(consumers.len());
    let rebuilt = async {
        for consumer in consumers {
            let consumer = consumer.as_ref();
            rebuilds.push(Rebuild::open(database, &session, consumer, memory).await?);
        }
        run(&mut rebuilds, &session, store, swap).await
    }
    .await;
    for rebuild in rebuilds {
        rebuild.end().await?;
    }
    rebuilt
}

async fn run(
    rebuilds: &mut [Rebuild<'_>],
    session: &Session,
    store: &Arc<dyn EventStore>,
    swap: bool,
) -> Result<Vec<Report>, RebuildError> {
    // The search path has all schemas: no two read models have a table of the same name.
    let schemas: Vec<_> = rebuilds.iter().map(|one| one.schema.as_str()).collect();
    let path: Arc<str> = schemas.join(", ").into();
    session
        .batch_execute("set synchronous_commit = off")
        .await?;
    for rebuild in &mut *rebuilds {
        rebuild.path = Arc::clone(&path);
        rebuild.set_up().await?;
    }
    // Most of the work comes first, while the live models go on.
    let end = rebuilds.iter().map(|rebuild| rebuild.target).max();
    let mut pages = pin!(pages(Arc::clone(store), 0, end, wanted(rebuilds)));
    while let Some(page) = pages.try_next().await? {
        for rebuild in &mut *rebuilds {
            rebuild.take(store, &page).await?;
        }
    }
    let mut reports = Vec::with_capacity(rebuilds.len());
    for rebuild in rebuilds {
        reports.push(rebuild.finish(store, swap).await?);
    }
    Ok(reports)
}

/// Returns the filter for all rebuilds: everything, if one reads everything.
fn wanted(rebuilds: &[Rebuild<'_>]) -> Filter {
    let categories = || rebuilds.iter().map(|rebuild| rebuild.consumer.categories());
    if categories().any(<[_]>::is_empty) {
        Filter::default()
    } else {
        Filter::categories(categories().flatten().copied())
    }
}

struct Rebuild<'a> {
    consumer: &'a dyn Consumer,
    way: Way<'a>,
    in_transaction: bool,
    database: &'a Database,
    session: &'a Session,
    schema: String,
    /// The schemas of all models that are rebuilt on the session.
    path: Arc<str>,
    /// Position of the live model.
    target: Position,
    position: Position,
    events: u64,
}

/// The way in which a rebuild applies events.
enum Way<'a> {
    /// A quick rebuild in memory.
    Quick(Box<dyn Rebuilding + 'a>),
    /// Like the live model; used once some event could not be applied.
    Careful(Quarantine),
}

impl<'a> Rebuild<'a> {
    /// Begins a rebuild, and locks out other rebuilds of the same model.
    async fn open(
        database: &'a Database,
        session: &'a Session,
        consumer: &'a dyn Consumer,
        memory: &MemoryBudget,
    ) -> Result<Self, RebuildError> {
        const LOCK: &str =
            "select pg_try_advisory_lock(hashtextextended('daybook rebuild ' || $1, 0))";
        let name = consumer.name();
        let rebuilding = consumer.rebuilding(memory);
        let rebuilding = rebuilding.ok_or(RebuildError::NoModel(name))?;
        if !session.query_one(LOCK, &[&name]).await?.get::<_, bool>(0) {
            return Err(RebuildError::UnderWay(name));
        }
        Ok(Self {
            consumer,
            way: Way::Quick(rebuilding),
            in_transaction: false,
            database,
            session,
            schema: format!("rebuild_{name}"),
            path: "".into(),
            target: 0,
            position: 0,
            events: 0,
        })
    }

    /// Creates empty tables in a schema of their own.
    async fn set_up(&mut self) -> Result<(), RebuildError> {
        self.make_tables().await?;
        let live = checkpoint::read(&**self.session, self.consumer.name()).await?;
        self.target = live.map_or(0, |live| live.position);
        Ok(())
    }

    async fn make_tables(&mut self) -> Result<(), RebuildError> {
        let schema = &self.schema;
        let make = format!(
            "drop schema if exists {schema} cascade; {create}; set search_path = {schema}; {ddl}\n; set search_path = {path}",
            create = self.database.create_schema(schema),
            ddl = self.consumer.ddl(),
            path = self.path,
        );
        self.session.batch_execute(&make).await?;
        (self.position, self.events) = (0, 0);
        Ok(())
    }

    /// Applies those events of a page that the live model has applied.
    async fn take(&mut self, store: &Arc<dyn EventStore>, page: &Page) -> Result<(), RebuildError> {
        match self.take_in(page).await {
            Err(RebuildError::Apply(error)) if self.can_be_careful(&error) => {
                self.begin_again(store, page.scanned_to, &error).await
            }
            taken => taken,
        }
    }

    async fn take_in(&mut self, page: &Page) -> Result<(), RebuildError> {
        let categories = self.consumer.categories();
        let concerns = |event: &&Recorded| {
            event.position <= self.target
                && (categories.is_empty() || categories.contains(&event.stream.category.as_str()))
        };
        let events: Vec<&Recorded> = page.events.iter().filter(concerns).collect();
        let count = events.len() as u64;
        if !events.is_empty() {
            match &mut self.way {
                Way::Quick(rebuilding) => rebuilding.take(self.session, &events).await?,
                Way::Careful(quarantine) => {
                    let stretch = Stretch {
                        events: events.into_iter().cloned().collect(),
                        to: page.scanned_to,
                    };
                    let place = Place::Anew(self.session);
                    let apply = apply_batch(self.consumer, quarantine, stretch, place);
                    if self.in_transaction {
                        apply.await?;
                    } else {
                        self.session.batch_execute("begin").await?;
                        let applied = apply.await;
                        let end = if applied.is_ok() {
                            "commit"
                        } else {
                            "rollback"
                        };
                        self.session.batch_execute(end).await?;
                        applied?;
                    }
                }
            }
        }
        self.events += count;
        self.position = page.scanned_to.min(self.target);
        Ok(())
    }

    /// Returns true if an event is at fault, and a careful rebuild can find it.
    fn can_be_careful(&self, error: &ApplyError) -> bool {
        matches!(self.way, Way::Quick(_)) && error.is_of_an_event()
    }

    /// Reads the log again from its start, like the live consumer: streams with events that cannot be applied go into quarantine.
    async fn begin_again(
        &mut self,
        store: &Arc<dyn EventStore>,
        until: Position,
        error: &ApplyError,
    ) -> Result<(), RebuildError> {
        let name = self.consumer.name();
        tracing::warn!(projection = name, %error, "rebuilding once more, to find the event at fault");
        self.way = Way::Careful(Quarantine::empty(&**self.session, name).await?);
        self.make_tables().await?;
        let filter = Filter::categories(self.consumer.categories().iter().copied());
        let until = until.min(self.target);
        let mut pages = pin!(pages(Arc::clone(store), 0, Some(until), filter));
        while let Some(page) = pages.try_next().await? {
            self.take_in(&page).await?;
        }
        Ok(())
    }

    async fn finish(
        &mut self,
        store: &Arc<dyn EventStore>,
        swap: bool,
    ) -> Result<Report, RebuildError> {
        match self.catch_up_and_end(store, swap).await {
            Err(RebuildError::Apply(error)) if self.can_be_careful(&error) => {
                let until = self.position;
                self.begin_again(store, until, &error).await?;
                self.catch_up_and_end(store, swap).await
            }
            report => report,
        }
    }

    async fn catch_up_and_end(
        &mut self,
        store: &Arc<dyn EventStore>,
        swap: bool,
    ) -> Result<Report, RebuildError> {
        self.session.batch_execute("begin").await?;
        self.in_transaction = true;
        let report = self.catch_up(store, swap).await;
        self.in_transaction = false;
        let end = if report.is_ok() { "commit" } else { "rollback" };
        self.session.batch_execute(end).await?;
        report
    }

    /// Catches up with the live model while that is paused, and compares the two.
    async fn catch_up(
        &mut self,
        store: &Arc<dyn EventStore>,
        swap: bool,
    ) -> Result<Report, RebuildError> {
        let live = checkpoint::lock(&**self.session, self.consumer.name()).await?;
        self.target = live.as_ref().map_or(0, |live| live.position);
        let filter = Filter::categories(self.consumer.categories().iter().copied());
        let mut pages = pin!(pages(
            Arc::clone(store),
            self.position,
            Some(self.target),
            filter
        ));
        while let Some(page) = pages.try_next().await? {
            self.take_in(&page).await?;
        }
        let quarantined = match &mut self.way {
            Way::Quick(rebuilding) => {
                rebuilding.finish(self.session).await?;
                vec![]
            }
            Way::Careful(quarantine) => quarantine.streams(),
        };
        let built_by = self.consumer.built_by();
        let mut report = Report {
            name: self.consumer.name(),
            position: self.position,
            events: self.events,
            differences: 0,
            samples: vec![],
            compared: live.is_some_and(|live| live.built_by == built_by)
                && tables::missing(&**self.session, &[self.consumer])
                    .await?
                    .is_empty(),
            swapped: swap,
            quarantined,
        };
        let tables = self.tables().await?;
        if report.compared {
            for table in &tables {
                self.compare(table, &mut report).await?;
            }
        }
        if swap {
            self.swap(&tables).await?;
            let (name, position) = (self.consumer.name(), self.position);
            checkpoint::create(&**self.session, name, position, &built_by).await?;
            quarantine::replace(&**self.session, name, &report.quarantined).await?;
        }
        Ok(report)
    }

    async fn tables(&self) -> Result<Vec<String>, RebuildError> {
        let sql = "select tablename::text from pg_tables where schemaname = $1 order by 1";
        let rows = self.session.query(sql, &[&self.schema]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn compare(&self, table: &str, report: &mut Report) -> Result<(), RebuildError> {
        let schema = &self.schema;
        let differences = format!(
            "select only_in, row from (
                (select 'live' as only_in, l::text as row from (select * from read.{table} except all select * from {schema}.{table}) l)
                union all
                (select 'rebuilt', r::text from (select * from {schema}.{table} except all select * from read.{table}) r)
             ) differing"
        );
        let count = format!("select count(*) from ({differences}) d");
        let count = self.session.query_one(&count, &[]).await?;
        report.differences += count.get::<_, i64>(0);
        let samples = format!("{differences} order by row limit {SAMPLES}");
        let samples = self.session.query(&samples, &[]).await?;
        report.samples.extend(samples.iter().map(|row| Difference {
            table: table.to_owned(),
            only_in: row.get(0),
            row: row.get(1),
        }));
        Ok(())
    }

    async fn swap(&self, tables: &[String]) -> Result<(), RebuildError> {
        let schema = &self.schema;
        for table in tables {
            let swap = format!(
                "drop table if exists read.{table}; alter table {schema}.{table} set schema read"
            );
            self.session.batch_execute(&swap).await?;
        }
        Ok(())
    }

    /// Drops the schema of the rebuild.
    async fn end(self) -> Result<(), RebuildError> {
        const UNLOCK: &str =
            "select pg_advisory_unlock(hashtextextended('daybook rebuild ' || $1, 0))";
        let schema = &self.schema;
        let clear = format!("drop schema if exists {schema} cascade");
        self.session.batch_execute(&clear).await?;
        // The session may end later than its caller goes on.
        let name = self.consumer.name();
        self.session.query_one(UNLOCK, &[&name]).await?;
        Ok(())
    }
}
