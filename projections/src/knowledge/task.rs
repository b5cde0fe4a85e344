//! The read model of tasks.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use domain::Aggregate;
use domain::knowledge::note::Note;
use domain::knowledge::task::{Draft, Status, Task, TaskEvent};
use serde::{Deserialize, Serialize};
use store::{Database, Recorded};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::query::rows;
use crate::{Order, QueryError, ReadModel, Row, Viewer};

/// Maximum number of tasks in a calendar.
const MOST_DUE: i64 = 1_000;

/// The order in which users arranged the tasks.
pub const BY_RANK: Order = Order {
    begin: Uuid::nil(),
    after: "($1::uuid = '00000000-0000-0000-0000-000000000000' or (t.rank, t.id) >
        (coalesce((select last.rank from tasks last where last.id = $1), replace($1::text, '-', '')) collate \"C\", $1))",
    by: "t.rank, t.id",
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Task)]
pub struct TaskContent {
    pub workspace_id: Uuid,
    /// The note that the task belongs to.
    pub note_id: Option<Uuid>,
    pub title: String,
    pub status: Status,
    /// Id of the actor to whom the task is assigned.
    pub assignee: Option<Uuid>,
    pub due_on: Option<NaiveDate>,
    pub labels: BTreeSet<String>,
    /// Sort key: compare ranks as text; the lowest is first.
    pub rank: String,
    /// Time since which the task is done.
    pub completed_at: Option<DateTime<Utc>>,
}

pub struct Tasks;

impl ReadModel for Tasks {
    const TABLE: &'static str = "tasks";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/task.sql");
    /// Visible to the members of its workspace, unless its note is in the trash.
    const VISIBLE: &'static str = "($2::uuid is null or t.product_id = $2 and (
        select true from workspaces w where w.id = t.workspace_id and w.members ? $3::text limit 1))
        and (t.note_id is null or (
        select true from notes n where n.id = t.note_id and n.status <> 'trashed' limit 1))";
    const DEPENDS_ON: &'static [&'static str] = &[Note::CATEGORY];
    type Of = Task;
    type Content = TaskContent;

    fn apply(
        task: Option<TaskContent>,
        event: TaskEvent,
        envelope: &Recorded,
    ) -> Option<TaskContent> {
        Some(match (task, event) {
            (_, TaskEvent::Created { draft }) => begun(draft, Status::Open),
            (_, TaskEvent::Suggested { draft }) => begun(draft, Status::Suggested),
            (_, TaskEvent::Restored { draft, status }) => TaskContent {
                completed_at: (status == Status::Done).then_some(envelope.recorded_at),
                ..begun(draft, status)
            },
            (None, _) | (_, TaskEvent::Removed {}) => return None,
            (Some(task), event) => task.after(event, envelope.recorded_at),
        })
    }
}

fn begun(draft: Draft, status: Status) -> TaskContent {
    TaskContent {
        workspace_id: draft.workspace_id,
        note_id: draft.note_id,
        title: draft.title,
        status,
        assignee: draft.assignee,
        due_on: draft.due_on,
        labels: draft.labels,
        rank: draft.rank,
        completed_at: None,
    }
}

impl TaskContent {
    fn after(mut self, event: TaskEvent, at: DateTime<Utc>) -> Self {
        match event {
            TaskEvent::Accepted {} | TaskEvent::Reopened {} => {
                self.status = Status::Open;
                self.completed_at = None;
            }
            TaskEvent::Completed {} => {
                self.status = Status::Done;
                self.completed_at = Some(at);
            }
            TaskEvent::Dismissed {} => {
                self.status = Status::Dismissed;
                self.completed_at = None;
            }
            TaskEvent::Retitled { title } => self.title = title,
            TaskEvent::Assigned { assignee } => self.assignee = assignee,
            TaskEvent::Scheduled { due_on } => self.due_on = due_on,
            TaskEvent::Labelled { added, removed } => {
                self.labels.retain(|label| !removed.contains(label));
                self.labels.extend(added);
            }
            TaskEvent::Moved { rank } => self.rank = rank,
            TaskEvent::Created { .. }
            | TaskEvent::Suggested { .. }
            | TaskEvent::Removed {}
            | TaskEvent::Restored { .. } => {}
        }
        self
    }
}

/// Returns the tasks of the viewer's calendar: those with a due date that are open, or done since a time.
pub async fn due(
    database: &Database,
    viewer: Viewer,
    done_since: DateTime<Utc>,
) -> Result<Vec<Row<TaskContent>>, QueryError> {
    let sql = format!(
        "select row_to_json(t)::text from tasks t
        where t.assignee = $1 and t.due_on is not null
            and (t.status = 'open' or t.status = 'done' and t.completed_at > $4) and {}
        order by t.due_on, t.id limit $5",
        Tasks::VISIBLE
    );
    let actor = viewer.actor_id.to_string();
    rows(
        database,
        &sql,
        &[
            &viewer.actor_id,
            &viewer.product_id,
            &actor,
            &done_since,
            &MOST_DUE,
        ],
    )
    .await
}

/// Returns the tasks of a note, regardless of the viewer.
pub async fn of_note(database: &Database, note_id: Uuid) -> Result<Vec<Uuid>, QueryError> {
    const OF_NOTE: &str = "select to_json(id)::text from tasks where note_id = $1";
    rows(database, OF_NOTE, &[&note_id]).await
}
