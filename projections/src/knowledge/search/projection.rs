//! Applies events to searchable documents: it reads the documents of a batch, changes them in memory, and writes them once.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use serde::Serialize;
use store::{Recorded, Session};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::document::{CATEGORIES, Document, DocumentChange};
use super::vector::Vectors;
use super::vocabulary::Changes as Vocabulary;
use crate::memory_budget::Part;
use crate::table::{Changes as RowChanges, Prepared, Table};
use crate::{ApplyError, Consumer, MemoryBudget, Rebuilding, Transaction, consumer};

const DDL: &str = include_str!("../../../../schema/read/search.sql");
/// Raise it when the projection of an event or the splitting into words changes; a change of the tables is detected automatically.
const VERSION: u32 = 4;
/// Bytes of text per statement.
const BYTES: usize = 8 << 20;

/// Reads bodies only where they are needed.
const READ: &str = "
    select row_to_json(t)::text
    from (
        select id, product_id, workspace_id, kind, note_id, title, case when id = any($2) then body end as body, tags,
            status, created_at, updated_at, position
        from search_documents where id = any($1)
    ) t";
/// Updates all columns but the body.
const REWORD: &str = "
    update search_documents t
    set title = r.title, tags = r.tags, status = r.status, updated_at = r.updated_at, position = r.position,
        title_words = r.title_words, words = r.words, parts = r.parts, part_starts = r.part_starts, incomplete = r.incomplete
    from json_to_recordset($1::text::json) as r (
        id uuid, title text, tags text[], status text, updated_at timestamptz, position bigint,
        title_words text, words tsvector, parts tsvector[], part_starts int[], incomplete boolean)
    where t.id = r.id";
/// Updates no indexed column.
const TOUCH: &str = "
    update search_documents t set status = r.status, updated_at = r.updated_at, position = r.position
    from json_to_recordset($1::text::json) as r (id uuid, status text, updated_at timestamptz, position bigint)
    where t.id = r.id";

/// The consumer that maintains searchable documents.
#[derive(Default)]
pub struct Search {
    table: OnceCell<Table>,
}

struct Tables<'a> {
    session: &'a Session,
    documents: Prepared<'a>,
}

/// A document before and after a batch of events.
#[derive(Default)]
struct Known {
    before: Option<Document>,
    now: Option<Document>,
}

/// A complete row.
#[derive(Serialize)]
struct Posted<'a> {
    #[serde(flatten)]
    document: &'a Document,
    #[serde(flatten)]
    vectors: Vectors,
}

impl Search {
    /// Name of the checkpoint.
    pub const NAME: &'static str = "search";

    async fn prepare<'a>(&'a self, session: &'a Session) -> Result<Tables<'a>, ApplyError> {
        let describe = || Table::describe(session, "search_documents");
        let table = self.table.get_or_try_init(describe).await?;
        Ok(Tables {
            session,
            documents: table.prepare(session).await?,
        })
    }
}

#[async_trait]
impl Consumer for Search {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn categories(&self) -> &'static [&'static str] {
        CATEGORIES
    }

    fn ddl(&self) -> &'static str {
        DDL
    }

    fn built_by(&self) -> String {
        consumer::built_by(VERSION, DDL)
    }

    async fn apply(
        &self,
        transaction: &mut Transaction<'_>,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let changes = changes(events)?;
        let session = transaction.session().await?;
        let tables = self.prepare(&session).await?;
        let known = transaction.begin_with(tables.read(&changes, false)).await?;
        let mut vocabulary = Vocabulary::default();
        tables.write(after(known, changes), &mut vocabulary).await?;
        vocabulary.write(&session).await?;
        transaction.commit().await
    }

    fn rebuilding(&self, memory: &MemoryBudget) -> Option<Box<dyn Rebuilding + '_>> {
        Some(Box::new(Rebuild {
            search: self,
            known: HashMap::new(),
            memory: memory.part(),
            written: false,
        }))
    }
}

/// A rebuild: it keeps documents in memory until they exceed the budget.
struct Rebuild<'a> {
    search: &'a Search,
    known: HashMap<Uuid, Known>,
    memory: Part,
    /// True if the tables have documents that are no longer in memory.
    written: bool,
}

#[async_trait]
impl Rebuilding for Rebuild<'_> {
    async fn take(&mut self, session: &Session, events: &[&Recorded]) -> Result<(), ApplyError> {
        let changes = changes(events.iter().copied())?;
        if self.written {
            let unknown = changes
                .iter()
                .filter(|(event, _)| !self.known.contains_key(&event.stream.id));
            let unknown: Changes<'_> = unknown.cloned().collect();
            let tables = self.search.prepare(session).await?;
            self.known.extend(tables.read(&unknown, true).await?);
        }
        self.known = after(std::mem::take(&mut self.known), changes);
        let taken = events.iter().map(|event| event.data.len()).sum();
        if !self.memory.take(taken) {
            self.finish(session).await?;
        }
        Ok(())
    }

    async fn finish(&mut self, session: &Session) -> Result<(), ApplyError> {
        let tables = self.search.prepare(session).await?;
        let mut vocabulary = Vocabulary::default();
        let known = std::mem::take(&mut self.known);
        tables.write(known, &mut vocabulary).await?;
        vocabulary.write(session).await?;
        self.memory.clear();
        self.written = true;
        Ok(())
    }
}

type Changes<'a> = Vec<(&'a Recorded, DocumentChange)>;

fn changes<'a>(events: impl IntoIterator<Item = &'a Recorded>) -> Result<Changes<'a>, ApplyError> {
    let changes = events.into_iter();
    changes
        .map(|event| Ok((event, DocumentChange::of(event)?)))
        .collect()
}

/// Returns the documents after changes.
fn after(mut known: HashMap<Uuid, Known>, changes: Changes<'_>) -> HashMap<Uuid, Known> {
    for (event, change) in changes {
        let known = known.entry(event.stream.id).or_default();
        known.now = Document::after(known.now.take(), change, event);
    }
    known
}

impl Tables<'_> {
    /// Reads the documents that changes affect: entirely, or as far as the changes need them.
    async fn read(
        &self,
        changes: &Changes<'_>,
        whole: bool,
    ) -> Result<HashMap<Uuid, Known>, ApplyError> {
        let mut begun: HashMap<Uuid, bool> = HashMap::new();
        let mut new = HashSet::new();
        for (event, change) in changes {
            let id = event.stream.id;
            if event.version == 1 {
                new.insert(id);
            } else if !new.contains(&id) {
                *begun.entry(id).or_default() |= whole || change.is_of_words();
            }
        }
        if begun.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<Uuid> = begun.keys().copied().collect();
        let whole = begun.into_iter().filter(|(_, of_words)| *of_words);
        let whole: Vec<Uuid> = whole.map(|(id, _)| id).collect();
        let read = self.session.prepare_cached(READ).await?;
        let rows = self.session.query(&read, &[&ids, &whole]).await?;
        let parsed = rows.iter().map(|row| {
            let document: Document = serde_json::from_str(row.get(0))?;
            let before = Some(document.clone());
            let now = Some(document);
            Ok((
                before.as_ref().map_or_else(Uuid::nil, |d| d.id),
                Known { before, now },
            ))
        });
        parsed
            .collect::<Result<_, serde_json::Error>>()
            .map_err(|error| ApplyError::Batch(format!("a document does not fit: {error}")))
    }

    async fn write(
        &self,
        known: HashMap<Uuid, Known>,
        vocabulary: &mut Vocabulary,
    ) -> Result<(), ApplyError> {
        for known in known.values() {
            vocabulary.add(known.before.as_ref(), known.now.as_ref());
        }
        let (mut new, mut whole, mut reworded, mut touched) = (vec![], vec![], vec![], vec![]);
        let mut gone = RowChanges::<Posted<'_>>::default();
        for (id, known) in &known {
            match (&known.before, &known.now) {
                (before, None) => gone.add(*id, None, before.is_some()),
                (None, Some(now)) => new.push(now),
                (Some(before), Some(now))
                    if before.body != now.body || before.beginning() != now.beginning() =>
                {
                    whole.push(now);
                }
                (Some(before), Some(now))
                    if (&before.title, &before.tags) != (&now.title, &now.tags) =>
                {
                    reworded.push(now);
                }
                (Some(_), Some(now)) => touched.push(now),
            }
        }
        self.documents.write(&gone).await?;
        for (documents, stored) in [(&new, false), (&whole, true)] {
            for documents in batches(documents) {
                let applied = applied(documents);
                let mut changes = RowChanges::default();
                for row in &applied {
                    changes.add(row.document.id, Some(row), stored);
                }
                self.documents.write(&changes).await?;
            }
        }
        for documents in batches(&reworded) {
            self.update(REWORD, &applied(documents)).await?;
        }
        self.update(TOUCH, &touched).await
    }

    async fn update<T: Serialize>(&self, sql: &str, rows: &[T]) -> Result<(), ApplyError> {
        if rows.is_empty() {
            return Ok(());
        }
        let rows =
            serde_json::to_string(rows).map_err(|error| ApplyError::Batch(error.to_string()))?;
        let statement = self.session.prepare_cached(sql).await?;
        self.session.execute(&statement, &[&rows]).await?;
        Ok(())
    }
}

fn applied<'a>(documents: &[&'a Document]) -> Vec<Posted<'a>> {
    let applied = documents.iter().map(|document| Posted {
        document,
        vectors: document.vectors(),
    });
    applied.collect()
}

/// Groups documents to be written in one statement.
fn batches<'a, 'b>(documents: &'b [&'a Document]) -> impl Iterator<Item = &'b [&'a Document]> {
    let mut bytes = 0;
    documents.chunk_by(move |one, _| {
        bytes += one.body.as_ref().map_or(0, String::len);
        let fits = bytes < BYTES;
        if !fits {
            bytes = 0;
        }
        fits
    })
}
