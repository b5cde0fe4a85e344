//! Recording of tool calls. A call and its effects are recorded in one append, so that neither exists without the
//! other.

use async_trait::async_trait;
use domain::StreamId;
use domain::agents::tool_call::{Call, ToolCall, ToolCallCommand};
use uuid::Uuid;

use crate::{CommandError, Handler, UnitOfWork};

/// A command that a tool call runs. The call is the cause of the command's events.
pub struct Called<H> {
    /// Id of the call.
    pub id: Uuid,
    pub call: Call,
    pub command: H,
}

#[async_trait]
impl<H: Handler> Handler for Called<H> {
    fn name(&self) -> String {
        self.command.name()
    }

    fn context(&self) -> &'static str {
        self.command.context()
    }

    fn agents_may(&self) -> bool {
        self.command.agents_may()
    }

    fn stream(&self) -> StreamId {
        self.command.stream()
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let record = ToolCallCommand::Record(self.call.clone());
        let recorded = work.decide::<ToolCall>(self.id, record).await?;
        work.caused_by(recorded.last().copied());
        self.command.handle(work).await
    }
}
