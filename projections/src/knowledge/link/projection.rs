//! Applies events to links: it reads the rows that a batch can touch, changes them in memory, and writes them once.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use domain::Aggregate;
use domain::knowledge::note::Note;
use futures::try_join;
use serde::de::DeserializeOwned;
use store::{Recorded, Session};
use tokio::sync::OnceCell;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::link_change::{LinkChange, What};
use super::link_graph::LinkGraph;
use super::{LinkRow, NoteTitle};
use crate::memory_budget::Part;
use crate::table::{Prepared, Table};
use crate::{ApplyError, Consumer, MemoryBudget, Rebuilding, Transaction, consumer};

const DDL: &str = include_str!("../../../../schema/read/link.sql");
/// Raise it when the projection of an event changes; a change of the tables is detected automatically.
const VERSION: u32 = 3;
/// Approximate memory of a row in bytes.
const ROW_BYTES: usize = 512;

const TITLES: &str = "select row_to_json(t)::text from note_titles t where t.id = any($1)";
const LEAVING: &str = "select row_to_json(t)::text from links t where t.source_id = any($1)";
const ARRIVING: &str = "select row_to_json(t)::text from links t where t.target_id = any($1)";
const WAITING: &str =
    "select row_to_json(t)::text from links t where t.awaits && $1 and t.awaits <> '{}'";
/// The oldest note of each name, except known notes.
const OLDEST: &str = "
    select row_to_json(oldest)::text
    from unnest($1::uuid[]) as wanted (name_id)
    cross join lateral (
        select * from note_titles t where t.name_ids @> array[wanted.name_id] and t.id <> all($2)
        order by t.position limit 1
    ) oldest";

/// The consumer that maintains links.
#[derive(Default)]
pub struct Links {
    tables: OnceCell<(Table, Table)>,
}

struct Tables<'a> {
    session: &'a Session,
    titles: Prepared<'a>,
    links: Prepared<'a>,
}

impl Links {
    /// Name of the checkpoint.
    pub const NAME: &'static str = "link";

    async fn prepare<'a>(&'a self, session: &'a Session) -> Result<Tables<'a>, ApplyError> {
        let describe = async || {
            let titles = Table::describe(session, "note_titles").await?;
            let links = Table::describe(session, "links").await?;
            Ok::<_, ApplyError>((titles, links))
        };
        let (titles, links) = self.tables.get_or_try_init(describe).await?;
        Ok(Tables {
            session,
            titles: titles.prepare(session).await?,
            links: links.prepare(session).await?,
        })
    }
}

#[async_trait]
impl Consumer for Links {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Note::CATEGORY]
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
        let changes = LinkChange::all(events)?;
        if changes.is_empty() {
            return Ok(());
        }
        let session = transaction.session().await?;
        let tables = self.prepare(&session).await?;
        let graph = transaction.begin_with(tables.read(&changes)).await?;
        tables.write(graph, changes).await?;
        transaction.commit().await
    }

    fn rebuilding(&self, memory: &MemoryBudget) -> Option<Box<dyn Rebuilding + '_>> {
        Some(Box::new(Rebuild {
            links: self,
            graph: LinkGraph::default(),
            memory: memory.part(),
            written: false,
        }))
    }
}

/// A rebuild: it keeps all rows in memory until they exceed the budget, then works through tables like the live consumer.
struct Rebuild<'a> {
    links: &'a Links,
    graph: LinkGraph,
    memory: Part,
    /// True if the rows in memory were written to the tables.
    written: bool,
}

#[async_trait]
impl Rebuilding for Rebuild<'_> {
    async fn take(&mut self, session: &Session, events: &[&Recorded]) -> Result<(), ApplyError> {
        let changes = LinkChange::all(events.iter().copied())?;
        if self.written {
            let tables = self.links.prepare(session).await?;
            let graph = tables.read(&changes).await?;
            return tables.write(graph, changes).await;
        }
        let before = self.graph.len();
        for change in changes {
            self.graph.apply_batch(change);
        }
        let more = self.graph.len().saturating_sub(before);
        if !self.memory.take(more * ROW_BYTES) {
            self.finish(session).await?;
        }
        Ok(())
    }

    async fn finish(&mut self, session: &Session) -> Result<(), ApplyError> {
        let graph = std::mem::take(&mut self.graph);
        self.memory.clear();
        self.written = true;
        self.links
            .prepare(session)
            .await?
            .write(graph, vec![])
            .await
    }
}

impl Tables<'_> {
    /// Reads all rows that changes can touch.
    async fn read(&self, changes: &[LinkChange<'_>]) -> Result<LinkGraph, ApplyError> {
        let mut graph = LinkGraph::default();
        let touched = Touched::by(changes);
        let (titles, leaving, arriving) = try_join!(
            self.rows::<NoteTitle>(TITLES, &touched.notes, &[]),
            self.rows::<LinkRow>(LEAVING, &touched.begun, &[]),
            self.rows::<LinkRow>(ARRIVING, &touched.purged, &[]),
        )?;
        titles.into_iter().for_each(|note| graph.read_title(note));
        for link in leaving.into_iter().chain(arriving) {
            graph.read_link(link);
        }
        let (given, mut asked) = names_in(changes, &touched, &graph);
        let waiting = self.rows::<LinkRow>(WAITING, &given, &[]).await?;
        for link in waiting {
            asked.extend(link.name_ids());
            graph.read_link(link);
        }
        let asked: Vec<Uuid> = asked.into_iter().collect();
        let known: [&(dyn ToSql + Sync); 1] = [&touched.notes];
        let oldest = self.rows::<NoteTitle>(OLDEST, &asked, &known).await?;
        oldest.into_iter().for_each(|note| graph.read_title(note));
        Ok(graph)
    }

    async fn rows<T: DeserializeOwned>(
        &self,
        sql: &str,
        ids: &Vec<Uuid>,
        more: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<T>, ApplyError> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let statement = self.session.prepare_cached(sql).await?;
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![ids];
        params.extend(more);
        let rows = self.session.query(&statement, &params).await?;
        let parsed = rows.iter().map(|row| serde_json::from_str(row.get(0)));
        parsed
            .collect::<Result<_, _>>()
            .map_err(|error| ApplyError::Batch(format!("a row of links does not fit: {error}")))
    }

    async fn write(
        &self,
        mut graph: LinkGraph,
        changes: Vec<LinkChange<'_>>,
    ) -> Result<(), ApplyError> {
        for change in changes {
            graph.apply_batch(change);
        }
        self.titles.write(&graph.titles.changes()).await?;
        self.links.write(&graph.links.changes()).await
    }
}

/// The notes that changes affect.
struct Touched {
    /// All changed notes, and the notes that they are linked to.
    notes: Vec<Uuid>,
    /// Notes that may have links already.
    begun: Vec<Uuid>,
    purged: Vec<Uuid>,
}

impl Touched {
    fn by(changes: &[LinkChange<'_>]) -> Self {
        let (mut new, mut begun) = (BTreeSet::new(), BTreeSet::new());
        let (mut targets, mut purged) = (BTreeSet::new(), vec![]);
        for change in changes {
            let id = change.note_id();
            match &change.what {
                What::Created { .. } if change.event.version == 1 => {
                    new.insert(id);
                    continue;
                }
                What::Linked(link) => {
                    targets.insert(link.target_id);
                }
                What::Purged => purged.push(id),
                What::Created { .. } | What::Revised { .. } | What::Unlinked(_) => {}
            }
            begun.insert(id);
        }
        begun.retain(|id| !new.contains(id));
        targets.retain(|id| !new.contains(id));
        Self {
            notes: begun.union(&targets).copied().collect(),
            begun: begun.into_iter().collect(),
            purged,
        }
    }
}

/// Returns the names that changes give to notes, and those that links may come to match.
fn names_in(
    changes: &[LinkChange<'_>],
    touched: &Touched,
    graph: &LinkGraph,
) -> (Vec<Uuid>, BTreeSet<Uuid>) {
    let (mut given, mut asked) = (BTreeSet::new(), BTreeSet::new());
    let mut notes: HashMap<Uuid, NoteTitle> = HashMap::new();
    for change in changes {
        let id = change.note_id();
        let named = match &change.what {
            What::Created {
                workspace_id,
                title,
                aliases,
                path,
                named,
            } => {
                let mut note = NoteTitle {
                    id,
                    workspace_id: *workspace_id,
                    ..NoteTitle::default()
                };
                note.rename(Some(title.clone()), Some(aliases.clone()), path.clone());
                given.extend(&note.name_ids);
                notes.insert(id, note);
                named.clone()
            }
            What::Revised {
                title,
                aliases,
                path,
                named,
            } => {
                let known = notes.remove(&id).or_else(|| graph.titles.get(id).cloned());
                let Some(mut note) = known else { continue };
                note.rename(title.clone(), aliases.clone(), path.clone());
                given.extend(&note.name_ids);
                notes.insert(id, note);
                named.clone().unwrap_or_default()
            }
            What::Linked(_) | What::Unlinked(_) | What::Purged => continue,
        };
        if let Some(note) = notes.get(&id) {
            let names = note.candidates(named).into_iter();
            asked.extend(names.flat_map(|(_, names)| names).map(|name| name.id));
        }
    }
    for id in &touched.purged {
        asked.extend(graph.names_of_links_to(*id));
    }
    (given.into_iter().collect(), asked)
}
