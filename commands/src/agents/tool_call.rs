//! What a tool call does is recorded together with the call, in one append: neither is there without the other.

use async_trait::async_trait;
use domain::StreamId;
use domain::agents::tool_call::{Call, ToolCall, ToolCallCommand};
use uuid::Uuid;

use crate::{CommandError, Handler, UnitOfWork};

/// A command that a tool call asks for. What it decides has the call as its cause.
pub struct Called<H> {
    /// Of the call.
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
