//! The read model of recorded tool calls.

use domain::Actor;
use domain::agents::tool_call::{ToolCall, ToolCallEvent};
use serde::{Deserialize, Serialize};
use store::Recorded;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{ReadModel, visible};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ToolCall)]
pub struct ToolCallContent {
    pub tool: String,
    /// SHA-256, in hex, of the arguments as compact JSON with sorted keys.
    pub arguments_sha256: String,
    /// `ok`, `replayed`, `input_required`, or an error code.
    pub outcome: String,
    /// Version of the protocol that the client used.
    pub protocol_version: String,
    pub run_id: Option<String>,
    pub workspace_id: Option<Uuid>,
    pub note_id: Option<Uuid>,
    pub proposal_id: Option<Uuid>,
    /// Null if the call was recorded in the same append as its effect.
    pub duration_ms: Option<u64>,
    /// The caller.
    pub actor: Actor,
    /// Correlation id of every event that the call caused.
    pub correlation_id: Uuid,
}

pub struct ToolCalls;

impl ReadModel for ToolCalls {
    const TABLE: &'static str = "tool_calls";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/tool_call.sql");
    const VISIBLE: &'static str = visible::IN_PRODUCT;
    type Of = ToolCall;
    type Content = ToolCallContent;

    fn apply(
        _: Option<ToolCallContent>,
        ToolCallEvent::Recorded { call }: ToolCallEvent,
        envelope: &Recorded,
    ) -> Option<ToolCallContent> {
        Some(ToolCallContent {
            tool: call.tool,
            arguments_sha256: call.arguments_sha256,
            outcome: call.outcome,
            protocol_version: call.protocol_version,
            run_id: call.run_id,
            workspace_id: call.workspace_id,
            note_id: call.note_id,
            proposal_id: call.proposal_id,
            duration_ms: call.duration_ms,
            actor: envelope.metadata.actor,
            correlation_id: envelope.correlation_id,
        })
    }
}
