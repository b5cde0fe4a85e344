//! Tool calls: what an agent called through a tool protocol, and the outcome. Each call is a stream of one event, so
//! that calls never wait for one another.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Aggregate, Audience, DecisionContext, NoRule, Rejection, Violations, events};

/// The maximum length of a run id, as in proposals.
pub const MAX_RUN_ID: usize = 200;

/// Data of a call. It holds only ids and digests: the text of a note is purged with the note and must not be kept here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    pub tool: String,
    /// SHA-256, in hex, of the arguments as compact JSON with sorted keys.
    pub arguments_sha256: String,
    /// `ok`, or the error code.
    pub outcome: String,
    /// Version of the protocol that the client used.
    pub protocol_version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal_id: Option<Uuid>,
    /// Duration of the call. None if the call is recorded in the same append as its effect, because the duration is not
    /// known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

crate::generate! {
    struct Call {
        tool, arguments_sha256, outcome, protocol_version, run_id as Short, workspace_id, note_id,
        proposal_id, duration_ms,
    }
}

events! {
    /// Events of a tool call.
    pub enum ToolCallEvent {
        /// A tool was called through the Model Context Protocol.
        Recorded("tool_call.recorded", 1) {
            #[serde(flatten)]
            call: Call,
        },
    }
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "tool_call.", serialize_all = "snake_case")]
pub enum ToolCallCommand {
    Record(Call),
}

/// Reasons to refuse a command.
pub type ToolCallRefusal = Rejection<NoRule<ToolCall>>;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ToolCall {
    #[default]
    Unknown,
    Recorded,
}

impl Aggregate for ToolCall {
    const CATEGORY: &'static str = "tool_call";
    /// Actors who may read agents may read their tool calls.
    const SCOPE: &'static str = "agents";
    const AUDIENCE: Audience = Audience::Product;
    type Command = ToolCallCommand;
    type Event = ToolCallEvent;
    type Rule = NoRule<Self>;

    fn evolve(self, event: &ToolCallEvent) -> Self {
        match event {
            ToolCallEvent::Recorded { .. } => Self::Recorded,
        }
    }

    /// Agents issue this command, because Daybook records the calls they make.
    fn agents_may(_: &ToolCallCommand) -> bool {
        true
    }

    fn decide(
        &self,
        command: ToolCallCommand,
        _: &DecisionContext,
    ) -> Result<Vec<ToolCallEvent>, ToolCallRefusal> {
        let ToolCallCommand::Record(call) = command;
        let mut violations = Violations::default();
        if let Some(run_id) = &call.run_id {
            violations.require_line(run_id, 1, MAX_RUN_ID, "/run_id");
        }
        violations.into_result()?;
        match self {
            Self::Unknown => Ok(vec![ToolCallEvent::Recorded { call }]),
            Self::Recorded => Err(ToolCallRefusal::Exists),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn call(run_id: &str) -> Call {
        Call {
            tool: "read_note".into(),
            arguments_sha256: "00".into(),
            outcome: "ok".into(),
            protocol_version: "2026-07-28".into(),
            run_id: Some(run_id.into()),
            workspace_id: None,
            note_id: Some(Uuid::nil()),
            proposal_id: None,
            duration_ms: Some(3),
        }
    }

    fn record(run_id: &str) -> ToolCallCommand {
        ToolCallCommand::Record(call(run_id))
    }

    #[test]
    fn a_call_is_recorded_once() {
        let call = call("run");
        let recorded = ToolCallEvent::Recorded { call };
        given::<ToolCall>([])
            .when(record("run"))
            .then([recorded.clone()]);
        given::<ToolCall>([recorded])
            .when(record("run"))
            .then_refused(ToolCallRefusal::Exists);
    }

    #[test]
    fn the_name_of_a_run_has_1_to_200_characters() {
        for run_id in ["", &"r".repeat(201)] {
            given::<ToolCall>([])
                .when(record(run_id))
                .then_invalid(&["/run_id"]);
        }
    }
}
