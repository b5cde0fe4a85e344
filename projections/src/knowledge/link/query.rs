//! Queries for links, and for the graph around a note.

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
    /// `typed`: created explicitly; `wiki`: the body of the source names the title.
    pub kind: String,
    /// The relation of a typed link; null for a wiki link.
    pub relation: Option<String>,
    /// The title in the body of a wiki link, with the heading. The note may have another title by now. Null for a typed link.
    pub text: Option<String>,
    /// The part of a wiki link's text after the title and the number sign: a heading or a block. Null while the link dangles.
    pub anchor: Option<String>,
    pub source_id: Uuid,
    pub source_title: String,
    /// Null for a dangling wiki link.
    pub target_id: Option<Uuid>,
    /// Current title of the target.
    pub target_title: Option<String>,
    /// True if the target does not exist: no note has the title, or the note was purged.
    pub dangling: bool,
    pub created_at: DateTime<Utc>,
}

const SHOWN: &str = "json_build_object(
    'id', t.id, 'workspace_id', t.workspace_id, 'kind', t.kind, 'relation', t.relation, 'text', t.text,
    'anchor', case when not t.dangling then t.anchors[cardinality(t.awaits) + 1] end,
    'source_id', t.source_id, 'source_title', (select n.title from note_titles n where n.id = t.source_id),
    'target_id', t.target_id, 'target_title', (select n.title from note_titles n where n.id = t.target_id),
    'dangling', t.dangling, 'created_at', t.created_at)";

/// Returns a page of the links that the viewer may see, newest first.
pub async fn list(
    database: &Database,
    viewer: Viewer,
    wanted: Where,
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

/// Returns true if there is a note that the viewer may see.
pub async fn exists(database: &Database, viewer: Viewer, id: Uuid) -> Result<bool, QueryError> {
    let sql = format!(
        "select to_json(t.id)::text from note_titles t where t.id = $1 and {}",
        visible::IN_WORKSPACE
    );
    let actor = viewer.actor_id.to_string();
    let found: Vec<Uuid> = rows(database, &sql, &[&id, &viewer.product_id, &actor]).await?;
    Ok(!found.is_empty())
}

/// A note, the notes around it, and the links between them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Graph {
    /// Notes, the nearest first.
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    /// True if more notes or links lie within the requested depth.
    #[serde(default)]
    pub truncated: bool,
}

/// A note in a graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    pub id: Uuid,
    pub title: String,
    /// Number of links on the shortest path from the central note.
    pub depth: i32,
}

/// A link in a graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Edge {
    /// Id of the link.
    pub id: Uuid,
    pub source_id: Uuid,
    pub target_id: Uuid,
    /// `typed` or `wiki`.
    pub kind: String,
    /// The relation of a typed link; null for a wiki link.
    pub relation: Option<String>,
}

/// Returns the graph around a note, following links in both directions; none: there is no such note, or the viewer may not see it.
pub async fn graph(
    database: &Database,
    viewer: Viewer,
    id: Uuid,
    depth: i32,
) -> Result<Option<Graph>, QueryError> {
    let sql = include_str!("graph.sql").replace("{visible}", visible::IN_WORKSPACE);
    let actor = viewer.actor_id.to_string();
    // One more of each than is shown tells if there are more.
    let (nodes, edges) = (bound(MAX_NODES), bound(MAX_EDGES));
    // Each note is reached at most once per depth.
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
    /// Limits the graph to the maximum numbers of nodes and edges.
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
