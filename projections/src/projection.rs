//! Applies a [`ReadModel`]: it applies events in memory, and writes each changed row once.

use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;

use async_trait::async_trait;
use store::{Recorded, Session};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::memory_budget::Part;
use crate::read_model::{ReadModel, Row, apply};
use crate::table::{Changes, Prepared, Table, WriteError};
use crate::{ApplyError, Consumer, MemoryBudget, Rebuilding, Transaction, consumer};

/// Memory of a row in bytes, besides its payload.
const ROW_BYTES: usize = 512;

/// The consumer that maintains a read model.
pub struct Projection<M> {
    table: OnceCell<Table>,
    model: PhantomData<fn() -> M>,
}

impl<M> Default for Projection<M> {
    fn default() -> Self {
        Self {
            table: OnceCell::new(),
            model: PhantomData,
        }
    }
}

impl<M: ReadModel> Projection<M> {
    async fn prepare<'a>(&'a self, session: &'a Session) -> Result<Prepared<'a>, ApplyError> {
        let describe = || Table::describe(session, M::TABLE);
        let table = self.table.get_or_try_init(describe).await?;
        Ok(table.prepare(session).await?)
    }
}

#[async_trait]
impl<M: ReadModel> Consumer for Projection<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn categories(&self) -> &'static [&'static str] {
        std::slice::from_ref(&M::NAME)
    }

    fn ddl(&self) -> &'static str {
        M::DDL
    }

    fn built_by(&self) -> String {
        consumer::built_by(M::VERSION, M::DDL)
    }

    async fn apply(
        &self,
        transaction: &mut Transaction<'_>,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let session = transaction.session().await?;
        let table = self.prepare(&session).await?;
        let events: Vec<&Recorded> = events.iter().collect();
        let mut rows = Rows::<M>::default();
        let read = rows.read(&table, begun_before(&events));
        transaction.begin_with(read).await?;
        rows.fold(&events)?;
        transaction.commit_with(rows.write(&table)).await
    }

    fn rebuilding(&self, memory: &MemoryBudget) -> Option<Box<dyn Rebuilding + '_>> {
        Some(Box::new(Rebuild {
            fold: self,
            rows: Rows::default(),
            memory: memory.part(),
            written: false,
        }))
    }

    #[cfg(test)]
    fn fold(&self) -> Option<crate::fold_tests::Fold> {
        Some(crate::fold_tests::Fold::of::<M>())
    }
}

/// Rows in memory, some of them newer than those in the table.
struct Rows<M: ReadModel> {
    known: HashMap<Uuid, Known<M>>,
    changed: HashSet<Uuid>,
}

struct Known<M: ReadModel> {
    /// None: there is no row, or it was deleted.
    row: Option<Row<M::Content>>,
    /// True if the table has the row, perhaps outdated.
    stored: bool,
    /// Bytes of the largest event of the row.
    bytes: usize,
}

impl<M: ReadModel> Default for Known<M> {
    fn default() -> Self {
        Self {
            row: None,
            stored: false,
            bytes: 0,
        }
    }
}

impl<M: ReadModel> Default for Rows<M> {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            changed: HashSet::new(),
        }
    }
}

impl<M: ReadModel> Rows<M> {
    /// Reads rows from the table.
    async fn read(&mut self, table: &Prepared<'_>, ids: Vec<Uuid>) -> Result<(), ApplyError> {
        for (id, row) in table.read(&ids).await? {
            let row = serde_json::from_str(&row).map_err(|error| {
                ApplyError::Batch(format!("a row of {} does not fit: {error}", M::TABLE))
            })?;
            let known = self.known.entry(id).or_default();
            known.row = Some(row);
            known.stored = true;
        }
        Ok(())
    }

    /// Applies events; returns the approximate additional memory in bytes.
    fn fold(&mut self, events: &[&Recorded]) -> Result<usize, ApplyError> {
        let mut taken = 0;
        for event in events {
            let known = self.known.entry(event.stream.id).or_default();
            known.row = apply::<M>(known.row.take(), event)
                .map_err(|error| ApplyError::contract(event, &error))?;
            let more = (event.data.len() + ROW_BYTES).saturating_sub(known.bytes);
            known.bytes += more;
            taken += more;
            self.changed.insert(event.stream.id);
        }
        Ok(taken)
    }

    /// Writes changed rows to the table.
    async fn write(&mut self, table: &Prepared<'_>) -> Result<(), ApplyError> {
        let mut changes = Changes::default();
        for id in self.changed.drain() {
            if let Some(known) = self.known.get(&id) {
                changes.add(id, known.row.as_ref(), known.stored);
            }
        }
        table.write(&changes).await
    }
}

impl From<WriteError> for ApplyError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Row(error) => Self::Batch(error.to_string()),
            WriteError::Database(error) => Self::Database(error),
        }
    }
}

/// Returns the streams that began before these events; the others have no row yet.
fn begun_before(events: &[&Recorded]) -> Vec<Uuid> {
    let mut begun = HashMap::new();
    for event in events {
        begun.entry(event.stream.id).or_insert(event.version > 1);
    }
    let begun = begun.into_iter().filter(|(_, begun)| *begun);
    begun.map(|(id, _)| id).collect()
}

/// A rebuild: it keeps rows in memory until they exceed the budget.
struct Rebuild<'a, M: ReadModel> {
    fold: &'a Projection<M>,
    rows: Rows<M>,
    memory: Part,
    /// True if the table has rows that are no longer in memory.
    written: bool,
}

#[async_trait]
impl<M: ReadModel> Rebuilding for Rebuild<'_, M> {
    async fn take(&mut self, session: &Session, events: &[&Recorded]) -> Result<(), ApplyError> {
        if self.written {
            let table = self.fold.prepare(session).await?;
            let mut unknown = begun_before(events);
            unknown.retain(|id| !self.rows.known.contains_key(id));
            self.rows.read(&table, unknown).await?;
        }
        let taken = self.rows.fold(events)?;
        if !self.memory.take(taken) {
            self.finish(session).await?;
        }
        Ok(())
    }

    async fn finish(&mut self, session: &Session) -> Result<(), ApplyError> {
        let table = self.fold.prepare(session).await?;
        self.rows.write(&table).await?;
        self.rows = Rows::default();
        self.memory.clear();
        self.written = true;
        Ok(())
    }
}
