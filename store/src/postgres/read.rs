//! Reads the log.

use std::fmt::Write as _;
use std::pin::pin;

use domain::StreamId;
use futures::TryStreamExt;
use postgres_types::{BorrowToSql, ToSql};
use tokio_postgres::RowStream;
use uuid::Uuid;

use super::database::{Database, Running};
use super::rows::{self, EVENT_COLUMNS, RECEIPT_COLUMNS};
use super::sessions::Purpose;
use crate::event_store::PAGE_BYTES;
use crate::failure::describe;
use crate::{
    Direction, Filter, OpenError, Page, Position, ReadError, Receipt, Recorded, Visibility,
};

/// Positions that one filtered read examines, regardless of the matches: it stays short on any log.
const SCAN: i64 = 50_000;

pub async fn head(database: &Database) -> Result<Position, OpenError> {
    let client = database.session(Purpose::Queries).await?;
    let row = client
        .query_one("select position from log.head", &[])
        .await
        .map_err(|error| database.noticed(error))?;
    Ok(row.get(0))
}

pub async fn stream(
    database: &Database,
    stream: &StreamId,
    from: i64,
    direction: Direction,
    limit: usize,
) -> Result<Vec<Recorded>, ReadError> {
    let (from, beyond) = match direction {
        Direction::Forwards => (from, "version > $3 order by version"),
        Direction::Backwards if from == 0 => (i64::MAX, "version < $3 order by version desc"),
        Direction::Backwards => (from, "version < $3 order by version desc"),
    };
    let sql = format!(
        "select {EVENT_COLUMNS} from log.events where stream_id = $1 and category = $2 and {beyond} limit $4"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let params: [&(dyn ToSql + Sync); 4] = [&stream.id, &stream.category, &from, &limit];
    Ok(events(database, &sql, &params, PAGE_BYTES).await?.0)
}

pub async fn all(
    database: &Database,
    after: Position,
    head: Position,
    filter: &Filter,
    limit: usize,
) -> Result<Page, ReadError> {
    let indexed = filter.stream.is_some() || filter.correlation_id.is_some();
    let to = if filter.is_empty() {
        // Every position matches. With this bound, no plan of the database reads more than the requested events.
        let wanted = Position::try_from(limit).unwrap_or(Position::MAX);
        head.min(after.saturating_add(wanted))
    } else if indexed {
        // The index finds them without examining each position.
        head
    } else {
        head.min(after.saturating_add(SCAN))
    };
    let mut query = Query::new(after, to);
    query.restrict(filter);
    let (sql, params) = query.finish(limit);
    let (events, cut) = events(database, &sql, &params, PAGE_BYTES).await?;
    let full = cut || events.len() == limit;
    Ok(Page::new(events, full, after, to))
}

/// A select on `log.events` with conditions from the filter. It has one of a few texts, so that it stays prepared.
struct Query {
    sql: String,
    params: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Query {
    fn new(after: Position, to: Position) -> Self {
        Self {
            sql: format!(
                "select {EVENT_COLUMNS} from log.events where position > $1 and position <= $2"
            ),
            params: vec![Box::new(after), Box::new(to)],
        }
    }

    /// Adds a condition; `?` stands for the value.
    fn and(&mut self, condition: &str, value: impl ToSql + Sync + Send + 'static) {
        let placeholder = self.value(value);
        let _ = write!(self.sql, " and {}", condition.replace('?', &placeholder));
    }

    fn restrict(&mut self, filter: &Filter) {
        if !filter.products.is_empty() {
            self.and("product_id = any(?)", filter.products.clone());
        }
        if !filter.categories.is_empty() {
            self.and("category = any(?)", filter.categories.clone());
        }
        if !filter.types.is_empty() {
            let patterns: Vec<_> = filter.types.iter().map(|name| like(name)).collect();
            self.and("type like any(?)", patterns);
        }
        if let Some(stream) = &filter.stream {
            self.and("stream_id = ?", stream.id);
            self.and("category = ?", stream.category.clone());
        }
        if let Some(workspace_id) = filter.workspace_id {
            self.and("workspace_id = ?", workspace_id);
        }
        if let Some(actor_id) = filter.actor_id {
            self.and("metadata::text ~ ?", by_actor(actor_id));
        }
        if let Some(correlation_id) = filter.correlation_id {
            self.and("correlation_id = ?", correlation_id);
        }
        if let Some(since) = filter.since {
            self.and("recorded_at >= ?", since);
        }
        if let Some(until) = filter.until {
            self.and("recorded_at < ?", until);
        }
        if let Some(visibility) = &filter.visibility {
            self.show(visibility);
        }
    }

    /// Adds the condition that the reader may see an event, equivalent to [`Visibility::shows`].
    fn show(&mut self, visibility: &Visibility) {
        let workspaces: Vec<Uuid> = visibility.workspaces.iter().copied().collect();
        let product_wide = self.value(visibility.product_wide.clone());
        let in_workspaces = self.value(visibility.in_workspaces.clone());
        // PostgreSQL hashes a subselect; it may search an array from the beginning for every event.
        let workspaces = self.value(workspaces);
        let own = self.value(visibility.own.clone());
        let actor = self.value(by_actor(visibility.actor_id));
        let _ = write!(
            self.sql,
            " and (workspace_id is null and category = any({product_wide}) \
              or category = any({in_workspaces}) and workspace_id in (select unnest({workspaces}::uuid[])) \
              or category = any({own}) and metadata::text ~ {actor})"
        );
    }

    /// Adds a value; returns its placeholder.
    fn value(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.params.push(Box::new(value));
        format!("${}", self.params.len())
    }

    fn finish(mut self, limit: usize) -> (String, Vec<Box<dyn ToSql + Sync + Send>>) {
        self.params
            .push(Box::new(i64::try_from(limit).unwrap_or(i64::MAX)));
        let _ = write!(self.sql, " order by position limit ${}", self.params.len());
        (self.sql, self.params)
    }
}

/// Returns a pattern for the beginning of the metadata of an actor's events. PostgreSQL's JSON operators fail on `\u0000`, which a
/// reason may contain.
fn by_actor(id: Uuid) -> String {
    format!(r#"^\{{"actor":\{{"kind":"[a-z_]+","id":"{id}""#)
}

/// Returns a LIKE pattern for a type name, or for a prefix that ends in `*`.
fn like(name: &str) -> String {
    let (stem, rest) = name
        .strip_suffix('*')
        .map_or((name, ""), |stem| (stem, "%"));
    let escaped = stem
        .replace('\\', "\\\\")
        .replace('_', "\\_")
        .replace('%', "\\%");
    escaped + rest
}

pub async fn find(database: &Database, event_id: Uuid) -> Result<Option<Recorded>, ReadError> {
    let sql = format!("select {EVENT_COLUMNS} from log.events where event_id = $1");
    Ok(events(database, &sql, &[&event_id], usize::MAX)
        .await?
        .0
        .pop())
}

pub async fn receipt(database: &Database, key: &[u8; 32]) -> Result<Option<Receipt>, ReadError> {
    let sql = format!("select {RECEIPT_COLUMNS} from log.receipts where key = $1");
    let mut query = database.query();
    let first = async {
        let rows = rows(&mut query, &sql, &[&key.as_slice()]).await?;
        pin!(rows).try_next().await.map_err(unavailable)
    };
    let first = first.await;
    query.end();
    Ok(first?.as_ref().map(rows::receipt))
}

/// Reads events until their payloads exceed a number of bytes; returns true if there were more.
async fn events<P: BorrowToSql>(
    database: &Database,
    sql: &str,
    params: &[P],
    bytes: usize,
) -> Result<(Vec<Recorded>, bool), ReadError> {
    let mut query = database.query();
    let read = async {
        let mut rows = pin!(rows(&mut query, sql, params).await?);
        let mut events = Vec::new();
        let mut read = 0;
        while let Some(row) = rows.try_next().await.map_err(unavailable)? {
            let event = rows::recorded(&row)?;
            read += event.data.len();
            events.push(event);
            if read > bytes {
                return Ok((events, true));
            }
        }
        Ok((events, false))
    };
    let read = read.await;
    // If the page is full, the query is cancelled, so that the remaining rows need not be sent.
    if !matches!(read, Ok((_, true))) {
        query.end();
    }
    read
}

fn unavailable(error: tokio_postgres::Error) -> ReadError {
    ReadError::Unavailable(describe(&error))
}

async fn rows<P: BorrowToSql>(
    query: &mut Running,
    sql: &str,
    params: &[P],
) -> Result<RowStream, ReadError> {
    let database = query.database().clone();
    let unavailable = |error| unavailable(database.noticed(error));
    let session = query
        .begin()
        .await
        .map_err(|error| ReadError::Unavailable(describe(&error)))?;
    let statement = session.prepare_cached(sql).await.map_err(unavailable)?;
    session
        .query_raw(&statement, params.iter().map(BorrowToSql::borrow_to_sql))
        .await
        .map_err(unavailable)
}
