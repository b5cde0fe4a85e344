//! The table of a read model: one statement with a constant text reads or writes any number of its rows.

use std::collections::HashMap;
use std::pin::pin;

use bytes::{BufMut, Bytes, BytesMut};
use futures::{SinkExt, try_join};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use store::Session;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Statement};
use uuid::Uuid;

use crate::ApplyError;

/// Rows per statement: more than the events of a batch, so that all rows written with a commit take one statement.
const ROWS: usize = 5_000;
/// Number of new rows from which COPY is used: each row takes less time, but all of them one more round trip.
const MANY: usize = 32;
/// Rows sent at a time.
const SENT: usize = 500;

/// The statements of a table, derived from its columns.
pub(crate) struct Table {
    columns: Vec<Column>,
    read: String,
    upsert: String,
    copy: String,
    delete: String,
}

struct Column {
    name: String,
    r#type: String,
    kind: Kind,
}

/// The way to convert a JSON value into text for PostgreSQL.
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
    copy: Statement,
    delete: Statement,
}

/// Changes that are not in the table yet.
pub(crate) struct Changes<'a, R> {
    /// Rows whose ids the table does not have.
    pub new: Vec<&'a R>,
    /// Rows that differ from those in the table.
    pub changed: Vec<&'a R>,
    /// Ids of deleted rows.
    pub gone: Vec<Uuid>,
}

impl<R> Default for Changes<'_, R> {
    fn default() -> Self {
        Self {
            new: vec![],
            changed: vec![],
            gone: vec![],
        }
    }
}

impl<'a, R> Changes<'a, R> {
    /// Adds the current state of a row.
    pub fn add(&mut self, id: Uuid, row: Option<&'a R>, stored: bool) {
        match row {
            Some(row) if stored => self.changed.push(row),
            Some(row) => self.new.push(row),
            None if stored => self.gone.push(id),
            None => {}
        }
    }
}

impl Table {
    /// Reads the columns of an existing table.
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
            copy: format!("copy {name} ({names}) from stdin"),
            delete: format!("delete from {name} where id = any($1)"),
            columns,
        }
    }

    /// Prepares the statements, unless they are prepared on this session already.
    pub async fn prepare<'a>(&'a self, session: &'a Session) -> Result<Prepared<'a>, Error> {
        Ok(Prepared {
            table: self,
            session,
            read: session.prepare_cached(&self.read).await?,
            upsert: session.prepare_cached(&self.upsert).await?,
            copy: session.prepare_cached(&self.copy).await?,
            delete: session.prepare_cached(&self.delete).await?,
        })
    }

    /// Returns the rows column by column, each value as text.
    fn texts<R: Serialize>(
        &self,
        rows: &[&R],
    ) -> Result<Vec<Vec<Option<String>>>, serde_json::Error> {
        let mut texts: Vec<_> = self
            .columns
            .iter()
            .map(|_| Vec::with_capacity(rows.len()))
            .collect();
        for row in rows {
            for (texts, text) in texts.iter_mut().zip(self.row(row)?) {
                texts.push(text);
            }
        }
        Ok(texts)
    }

    /// Returns the rows in the format of COPY.
    fn lines<R: Serialize>(&self, rows: &[&R]) -> Result<Bytes, serde_json::Error> {
        let mut lines = BytesMut::new();
        for row in rows {
            for (n, text) in self.row(row)?.into_iter().enumerate() {
                if n > 0 {
                    lines.put_u8(b'\t');
                }
                match text {
                    Some(text) => put_escaped(&mut lines, &text),
                    None => lines.put_slice(br"\N"),
                }
            }
            lines.put_u8(b'\n');
        }
        Ok(lines.freeze())
    }

    /// Returns a row's values as text, column by column.
    fn row<R: Serialize>(&self, row: &R) -> Result<Vec<Option<String>>, serde_json::Error> {
        let row = serde_json::to_string(row)?;
        let values: HashMap<&str, &RawValue> = serde_json::from_str(&row)?;
        let text = |column: &Column| {
            let value = values.get(column.name.as_str());
            value.map_or(Ok(None), |value| text(column.kind, value.get()))
        };
        self.columns.iter().map(text).collect()
    }
}

impl Prepared<'_> {
    /// Returns the ids and rows, as JSON, of those that exist.
    pub async fn read(&self, ids: &[Uuid]) -> Result<Vec<(Uuid, String)>, Error> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let rows = self.session.query(&self.read, &[&ids]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Writes the changes.
    pub async fn write<R: Serialize>(&self, changes: &Changes<'_, R>) -> Result<(), ApplyError> {
        let Changes { new, changed, gone } = changes;
        let copied = if new.len() < MANY { 0 } else { new.len() };
        let (copied, inserted) = new.split_at(copied);
        try_join!(
            self.copy(copied),
            self.upsert_all(inserted),
            self.upsert_all(changed),
            async { Ok(self.delete(gone).await?) },
        )?;
        Ok(())
    }

    async fn copy<R: Serialize>(&self, rows: &[&R]) -> Result<(), WriteError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut sink = pin!(self.session.copy_in(&self.copy).await?);
        for rows in rows.chunks(SENT) {
            sink.feed(self.table.lines(rows)?).await?;
        }
        sink.finish().await?;
        Ok(())
    }

    async fn upsert_all<R: Serialize>(&self, rows: &[&R]) -> Result<(), WriteError> {
        for rows in rows.chunks(ROWS) {
            self.upsert(rows).await?;
        }
        Ok(())
    }

    /// Inserts rows, or replaces those with the same id.
    async fn upsert<R: Serialize>(&self, rows: &[&R]) -> Result<(), WriteError> {
        let texts = self.table.texts(rows)?;
        let texts: Vec<_> = texts
            .iter()
            .map(|texts| texts as &(dyn ToSql + Sync))
            .collect();
        self.session.execute(&self.upsert, &texts).await?;
        Ok(())
    }

    async fn delete(&self, ids: &[Uuid]) -> Result<(), Error> {
        if !ids.is_empty() {
            self.session.execute(&self.delete, &[&ids]).await?;
        }
        Ok(())
    }
}

/// Reasons why rows were not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    Row(#[from] serde_json::Error),
    #[error(transparent)]
    Database(#[from] Error),
}

/// Appends a value in the text format of COPY.
fn put_escaped(line: &mut BytesMut, text: &str) {
    let mut rest = text.as_bytes();
    while let Some(plain) = rest.iter().position(|byte| b"\\\n\r\t".contains(byte)) {
        line.put_slice(&rest[..plain]);
        line.put_slice(match rest[plain] {
            b'\n' => br"\n",
            b'\r' => br"\r",
            b'\t' => br"\t",
            _ => br"\\",
        });
        rest = &rest[plain + 1..];
    }
    line.put_slice(rest);
}

/// Returns the text of a JSON value.
fn text(kind: Kind, value: &str) -> Result<Option<String>, serde_json::Error> {
    Ok(if value == "null" {
        None
    } else if kind == Kind::Plain && value.starts_with('"') {
        Some(serde_json::from_str(value)?)
    } else if kind == Kind::Array && value.starts_with('[') {
        Some(array(&serde_json::from_str::<Vec<Value>>(value)?))
    } else {
        Some(value.to_owned())
    })
}

/// Returns the text of a PostgreSQL array of strings, numbers or booleans.
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
    fn copied_text_keeps_to_its_line_and_column() {
        let mut line = BytesMut::new();
        put_escaped(&mut line, "\\N a\tb\r\nc \\. é");
        assert_eq!(line, r"\\N a\tb\r\nc \\. é".as_bytes());
    }

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
            let text = text(kind, &value.to_string()).unwrap();
            assert_eq!(text.as_deref(), expected, "{value}");
        }
    }
}
