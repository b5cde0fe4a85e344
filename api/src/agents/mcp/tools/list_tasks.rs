//! `list_tasks`: lists tasks across notes.

use async_trait::async_trait;
use projections::Row;
use projections::knowledge::task::TaskContent;
use rmcp::model::{self, JsonObject, ToolAnnotations};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answer, Asked, Tool, tool};
use crate::knowledge::task::TaskFilter;
use crate::problem::Problem;
use crate::query::Page;

pub struct ListTasks;

/// A page to return.
#[derive(Deserialize, ToSchema)]
struct PageInput {
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
    /// Maximum number of tasks per page; 50 if not given.
    #[schema(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// A page of tasks.
#[derive(Serialize, ToSchema)]
struct ListTasksOutput {
    #[schema(inline)]
    items: Vec<Row<TaskContent>>,
    /// Cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

#[async_trait]
impl Tool for ListTasks {
    fn name(&self) -> &'static str {
        "list_tasks"
    }

    fn scope(&self) -> &'static str {
        "tasks:read"
    }

    fn describe(&self) -> model::Tool {
        let mut tool = tool::<TaskFilter, ListTasksOutput>(
            self,
            "List tasks",
            "Lists the tasks of your workspaces, newest first; filtered by workspace, note, status, assignee (`me` is you), label \
             and date. Pass next_cursor as cursor for the next page.",
            ToolAnnotations::new().read_only(true),
        );
        tool.input_schema = super::merged::<TaskFilter, PageInput>().into();
        tool
    }

    async fn call(&self, asked: &Asked<'_>) -> Result<Answer, Problem> {
        let (page, filter): (JsonObject, JsonObject) = asked
            .arguments
            .clone()
            .into_iter()
            .partition(|(name, _)| name == "cursor" || name == "limit");
        let PageInput { cursor, limit } = asked.parse(page)?;
        let filter: TaskFilter = asked.parse(filter)?;
        let read = asked.context.read_list(self.name());
        let page = Page { cursor, limit };
        let (tasks, position) = asked.context.app.tasks(&read, &filter, page).await?;
        let output = ListTasksOutput {
            items: tasks.items,
            next_cursor: tasks.next_cursor,
        };
        Answer::of(&output, position)
    }
}
