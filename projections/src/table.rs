//! The table of a read model: any number of its rows read or written by one statement, whose text never changes.

use futures::try_join;
use serde::Serialize;
use serde_json::Value;
use store::Session;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Statement};
use uuid::Uuid;

use crate::PostError;

/// Rows in one statement: more than a batch has events, so that what is written with its commit is one statement.
const ROWS: usize = 5_000;

/// The statements of a table, as its columns make them.
pub(crate) struct Table {
    columns: Vec<Column>,
    read: String,
    upsert: String,
    delete: String,
}

struct Column {
    name: String,
    r#type: String,
    kind: Kind,
}

/// How a value becomes the text that PostgreSQL reads it from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Array,
    Json,
}

/// A table's statements, prepared on a session.
pub(crate) struct Prepared<'a> {
    table: &'a Table,
    session: &'a Session,
    read: Statement,
    upsert: Statement,
    delete: Statement,
}

impl Table {
    /// Finds out the columns of a table that exists.
    pub async fn describe(session: &Session, name: &str) -> Result<Self, Error> {
        const COLUMNS: &str = "
            select attname::text, format_type(atttypid, atttypmod), typcategory = 'A', typname in ('json', 'jsonb')
            from pg_attribute join pg_type on pg_type.oid = atttypid
            where attrelid = $1::text::regclass and attnum > 0 and not attisdropped
            order by attnum";
        let rows = session.query(COLUMNS, &[&name]).await?;
        let columns = rows.iter().map(|row| Column {
            name: row.get(0),
            r#type: row.get(1),
            kind: match (row.get(2), row.get(3)) {
                (true, _) => Kind::Array,
                (false, true) => Kind::Json,
                (false, false) => Kind::Plain,
            },
        });
        Ok(Self::new(name, columns.collect()))
    }

    fn new(name: &str, columns: Vec<Column>) -> Self {
        let list = |show: &dyn Fn(usize, &Column) -> String| {
            let shown = columns
                .iter()
                .enumerate()
                .map(|(n, column)| show(n, column));
            shown.collect::<Vec<_>>().join(", ")
        };
        let names = list(&|_, column| column.name.clone());
        Self {
            read: format!("select id, row_to_json(t)::text from {name} t where id = any($1)"),
            upsert: format!(
                "insert into {name} ({names}) select {values} from unnest({arrays}) as row ({names}) \
                 on conflict (id) do update set ({names}) = row({excluded})",
                values = list(&|_, column| format!("row.{}::{}", column.name, column.r#type)),
                arrays = list(&|n, _| format!("${}::text[]", n + 1)),
                excluded = list(&|_, column| format!("excluded.{}", column.name)),
            ),
            delete: format!("delete from {name} where id = any($1)"),
            columns,
        }
    }

    /// Prepares the statements, if that was not done on this session before.
    pub async fn prepare<'a>(&'a self, session: &'a Session) -> Result<Prepared<'a>, Error> {
        Ok(Prepared {
            table: self,
            session,
            read: session.prepare_cached(&self.read).await?,
            upsert: session.prepare_cached(&self.upsert).await?,
            delete: session.prepare_cached(&self.delete).await?,
        })
    }

    /// The rows column by column, each value as text.
    fn texts<R: Serialize>(
        &self,
        rows: &[R],
    ) -> Result<Vec<Vec<Option<String>>>, serde_json::Error> {
        let mut texts: Vec<_> = self
            .columns
            .iter()
            .map(|_| Vec::with_capacity(rows.len()))
            .collect();
        for row in rows {
            let mut row = serde_json::to_value(row)?;
            for (column, texts) in self.columns.iter().zip(&mut texts) {
                let value = row.get_mut(&column.name).map(Value::take);
                texts.push(text(column.kind, value.unwrap_or_default()));
            }
        }
        Ok(texts)
    }
}

impl Prepared<'_> {
    /// The ids and rows, as JSON, of those that exist.
    pub async fn read(&self, ids: &[Uuid]) -> Result<Vec<(Uuid, String)>, Error> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let rows = self.session.query(&self.read, &[&ids]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Inserts rows, or replaces those with the same id.
    async fn upsert<R: Serialize>(&self, rows: &[R]) -> Result<(), UpsertError> {
        if rows.is_empty() {
            return Ok(());
        }
        let texts = self.table.texts(rows)?;
        let texts: Vec<_> = texts
            .iter()
            .map(|texts| texts as &(dyn ToSql + Sync))
            .collect();
        self.session.execute(&self.upsert, &texts).await?;
        Ok(())
    }

    /// Brings the table up to date: rows that are new or other than before, and the ids of those that are gone.
    pub async fn write<R: Serialize>(&self, rows: &[R], gone: &[Uuid]) -> Result<(), PostError> {
        let upsert = async {
            for rows in rows.chunks(ROWS) {
                self.upsert(rows).await?;
            }
            Ok::<_, PostError>(())
        };
        let delete = async { Ok(self.delete(gone).await?) };
        try_join!(upsert, delete)?;
        Ok(())
    }

    async fn delete(&self, ids: &[Uuid]) -> Result<(), Error> {
        if !ids.is_empty() {
            self.session.execute(&self.delete, &[&ids]).await?;
        }
        Ok(())
    }
}

/// Why rows were not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpsertError {
    #[error(transparent)]
    Row(#[from] serde_json::Error),
    #[error(transparent)]
    Database(#[from] Error),
}

fn text(kind: Kind, value: Value) -> Option<String> {
    match (kind, value) {
        (_, Value::Null) => None,
        (Kind::Plain, Value::String(text)) => Some(text),
        (Kind::Array, Value::Array(items)) => Some(array(&items)),
        (Kind::Plain | Kind::Array | Kind::Json, value) => Some(value.to_string()),
    }
}

/// PostgreSQL's text of an array of strings, numbers or booleans.
fn array(items: &[Value]) -> String {
    let items = items.iter().map(|item| match item {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => item.to_string(),
    });
    format!("{{{}}}", items.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_become_what_postgresql_reads_them_from() {
        for (kind, value, expected) in [
            (Kind::Plain, json!("it's \"so\""), Some("it's \"so\"")),
            (Kind::Plain, json!(1.5), Some("1.5")),
            (Kind::Plain, json!(null), None),
            (Kind::Json, json!("text"), Some("\"text\"")),
            (Kind::Json, json!({"a": [1]}), Some("{\"a\":[1]}")),
            (Kind::Json, json!(null), None),
            (Kind::Array, json!([]), Some("{}")),
            (
                Kind::Array,
                json!(["a b", "NULL", "\"\\{,}"]),
                Some(r#"{"a b","NULL","\"\\{,}"}"#),
            ),
            (Kind::Array, json!([1, null]), Some("{1,NULL}")),
        ] {
            assert_eq!(text(kind, value.clone()).as_deref(), expected, "{value}");
        }
    }
}
