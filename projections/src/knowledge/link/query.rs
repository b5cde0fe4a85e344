//! Links as they are shown, and the graph around a note.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use store::Database;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::query::{NEWEST_FIRST, Rows, page, rows};
use crate::{Cursor, List, QueryError, Viewer, Where, visible};

const MAX_NODES: usize = 200;
const MAX_EDGES: usize = 2_000;

/// A link from one note to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Link {
    pub id: Uuid,
    pub workspace_id: Uuid,
    /// `typed`: it was made; `wiki`: the body of its source names the title.
    pub kind: String,
    /// Of a typed link.
    pub relation: Option<String>,
    /// Of a wiki link: the title as the body has it, with the heading. The note may be called otherwise since.
    pub text: Option<String>,
    /// Of a wiki link to a heading or a block: what its text has behind the title and the number sign. Null while it dangles.
    pub anchor: Option<String>,
    pub source_id: Uuid,
    pub source_title: String,
    /// Of a wiki link that dangles: null.
    pub target_id: Option<Uuid>,
    /// As it is now.
    pub target_title: Option<String>,
    /// There is no such note: nobody has the title, or the note was purged.
    pub dangling: bool,
    pub created_at: DateTime<Utc>,
}

const SHOWN: &str = "json_build_object(
    'id', t.id, 'workspace_id', t.workspace_id, 'kind', t.kind, 'relation', t.relation, 'text', t.text,
    'anchor', case when not t.dangling then t.anchors[cardinality(t.awaits) + 1] end,
    'source_id', t.source_id, 'source_title', (select n.title from note_titles n where n.id = t.source_id),
    'target_id', t.target_id, 'target_title', (select n.title from note_titles n where n.id = t.target_id),
    'dangling', t.dangling, 'created_at', t.created_at)";

/// A page of the links that the viewer may see, newest first.
pub async fn list(
    database: &Database,
    viewer: Viewer,
    wanted: Where<'_>,
    cursor: Cursor,
) -> Result<List<Link>, QueryError> {
    let links = Rows {
        shown: SHOWN,
        table: "links",
        visible: visible::IN_WORKSPACE,
    };
    let id = |link: &Link| link.id;
    page(database, &links, viewer, wanted, NEWEST_FIRST, cursor, id).await
}

/// Whether there is a note that the viewer may see.
pub async fn exists(database: &Database, viewer: Viewer, id: Uuid) -> Result<bool, QueryError> {
    let sql = format!(
        "select to_json(t.id)::text from note_titles t where t.id = $1 and {}",
        visible::IN_WORKSPACE
    );
    let actor = viewer.actor_id.to_string();
    let found: Vec<Uuid> = rows(database, &sql, &[&id, &viewer.product_id, &actor]).await?;
    Ok(!found.is_empty())
}

/// Notes around one of them, and the links between them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Graph {
    /// The nearest first.
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    /// There is more within the depth that was asked for than is shown.
    #[serde(default)]
    pub truncated: bool,
}

/// A note in a graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    pub id: Uuid,
    pub title: String,
    /// Links on the shortest way from the note in the middle.
    pub depth: i32,
}

/// A link in a graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Edge {
    /// Of the link.
    pub id: Uuid,
    pub source_id: Uuid,
    pub target_id: Uuid,
    /// `typed` or `wiki`.
    pub kind: String,
    /// Of a typed link.
    pub relation: Option<String>,
}

/// The graph around a note, links followed both ways; none: there is no note that the viewer may see.
pub async fn graph(
    database: &Database,
    viewer: Viewer,
    id: Uuid,
    depth: i32,
) -> Result<Option<Graph>, QueryError> {
    let sql = include_str!("graph.sql").replace("{visible}", visible::IN_WORKSPACE);
    let actor = viewer.actor_id.to_string();
    // One more than is shown of each, to know whether there is more.
    let (nodes, edges) = (bound(MAX_NODES), bound(MAX_EDGES));
    // A note is reached once at most by each number of links.
    let steps = nodes * (i64::from(depth) + 1);
    let found: Vec<Graph> = rows(
        database,
        &sql,
        &[
            &id,
            &viewer.product_id,
            &actor,
            &depth,
            &steps,
            &nodes,
            &edges,
        ],
    )
    .await?;
    let graph = found.into_iter().find(|graph| !graph.nodes.is_empty());
    Ok(graph.map(Graph::bounded))
}

fn bound(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX - 1) + 1
}

impl Graph {
    /// As much of it as is shown.
    fn bounded(mut self) -> Self {
        self.truncated = self.nodes.len() > MAX_NODES || self.edges.len() > MAX_EDGES;
        for beyond in self.nodes.split_off(self.nodes.len().min(MAX_NODES)) {
            let reaches = |edge: &Edge| edge.source_id == beyond.id || edge.target_id == beyond.id;
            self.edges.retain(|edge| !reaches(edge));
        }
        self.edges.truncate(MAX_EDGES);
        self
    }
}
