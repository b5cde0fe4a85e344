//! The read model of notes that have task lines.

use domain::knowledge::checklist::{Checklist, ChecklistEvent};
use serde::{Deserialize, Serialize};
use store::{Database, Recorded};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::query::rows;
use crate::{QueryError, ReadModel, visible};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChecklistContent {
    /// Number of task lines.
    pub lines: i64,
}

pub struct Checklists;

impl ReadModel for Checklists {
    const TABLE: &'static str = "checklists";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/checklist.sql");
    const VISIBLE: &'static str = visible::IN_PRODUCT;
    type Of = Checklist;
    type Content = ChecklistContent;

    fn apply(
        _: Option<ChecklistContent>,
        ChecklistEvent::Read { lines, .. }: ChecklistEvent,
        _: &Recorded,
    ) -> Option<ChecklistContent> {
        let lines = i64::try_from(lines.len()).unwrap_or(i64::MAX);
        (lines > 0).then_some(ChecklistContent { lines })
    }
}

/// Returns those of some notes that have task lines.
pub async fn among(database: &Database, note_ids: &[Uuid]) -> Result<Vec<Uuid>, QueryError> {
    const AMONG: &str = "select to_json(id)::text from checklists where id = any($1)";
    rows(database, AMONG, &[&note_ids]).await
}
