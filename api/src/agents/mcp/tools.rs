//! The registry of tools, one line each, and the code that they share.

mod list_tasks;
mod proposal_state;
mod proposal_status;
mod propose_changes;
mod read_note;
mod search_notes;
mod withdraw_proposal;

use std::sync::OnceLock;

use async_trait::async_trait;
use commands::{Done, Idempotency, sha256_hex};
use domain::agents::tool_call::Call;
use projections::agents::proposal::{ProposalContent, Proposals};
use projections::{ReadModel, Row};
use rmcp::model::{
    self, CallToolRequestParams, CallToolResponse, CallToolResult, InputResponses, JsonObject,
    MetaObject, ToolAnnotations,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::Position;
use utoipa::ToSchema;
use uuid::Uuid;

pub use proposal_state::ProposalState;

use super::context::Context;
use super::schema;
use crate::problem::{FieldError, Problem};
use crate::schema as faults;

const TOOLS: [&dyn Tool; 6] = [
    &search_notes::SearchNotes,
    &read_note::ReadNote,
    &list_tasks::ListTasks,
    &propose_changes::ProposeChanges,
    &proposal_status::ProposalStatus,
    &withdraw_proposal::WithdrawProposal,
];

/// A tool that a client can call.
#[async_trait]
pub trait Tool: Send + Sync {
    fn name(&self) -> &'static str;
    /// Returns the scope that the caller's key needs.
    fn scope(&self) -> &'static str;
    fn describe(&self) -> model::Tool;
    async fn call(&self, asked: &Asked<'_>) -> Result<Answer, Problem>;
}

/// Returns the descriptions of all tools, built once.
pub fn all() -> &'static [model::Tool] {
    static ALL: OnceLock<Vec<model::Tool>> = OnceLock::new();
    ALL.get_or_init(|| TOOLS.iter().map(|tool| tool.describe()).collect())
}

pub fn find(name: &str) -> Option<&'static dyn Tool> {
    TOOLS.into_iter().find(|tool| tool.name() == name)
}

/// A call of a tool.
pub struct Asked<'a> {
    /// Id of the call.
    pub id: Uuid,
    pub context: &'a Context,
    /// The call as it will be recorded unless it fails.
    pub call: Call,
    pub arguments: JsonObject,
    pub input_responses: InputResponses,
    pub request_state: Option<String>,
}

/// The answer of a tool.
pub struct Answer {
    pub response: CallToolResponse,
    pub outcome: &'static str,
    /// Id of the proposal, if the arguments do not name it.
    pub proposal_id: Option<Uuid>,
    /// True if the call was recorded together with its effect.
    pub is_recorded: bool,
}

impl<'a> Asked<'a> {
    pub fn new(tool: String, context: &'a Context, params: CallToolRequestParams) -> Self {
        let arguments = params.arguments.unwrap_or_default();
        let id_of = |name: &str| Uuid::try_parse(arguments.get(name)?.as_str()?).ok();
        let call = Call {
            tool,
            arguments_sha256: sha256_hex(canonical(&arguments)),
            outcome: "ok".into(),
            protocol_version: context.protocol_version.clone(),
            run_id: context.run_id.clone(),
            workspace_id: id_of("workspace_id"),
            note_id: id_of("note_id"),
            proposal_id: id_of("proposal_id"),
            duration_ms: None,
        };
        Self {
            id: Uuid::now_v7(),
            context,
            call,
            arguments,
            input_responses: params.input_responses.unwrap_or_default(),
            request_state: params.request_state,
        }
    }

    /// Refuses arguments that the tool's schema does not describe.
    pub fn check_names(&self) -> Result<(), Problem> {
        let tool = all().iter().find(|tool| tool.name == self.call.tool);
        let known = tool.and_then(|tool| tool.input_schema.get("properties"));
        let unknown = |name: &&String| known.is_none_or(|known| known.get(name).is_none());
        let errors: Vec<FieldError> = (self.arguments.keys().filter(unknown))
            .map(|name| FieldError {
                pointer: format!("/{name}"),
                detail: "is not an argument that there is".into(),
            })
            .collect();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(errors))
        }
    }

    /// Parses the arguments; reports every fault, not only the first.
    pub fn parse<T: DeserializeOwned + ToSchema>(
        &self,
        arguments: JsonObject,
    ) -> Result<T, Problem> {
        let value = Value::Object(arguments);
        let is_plain = !faults::may_hold_odd_time(value.to_string().as_bytes());
        let parsed = match T::deserialize(&value) {
            Ok(arguments) if is_plain => return Ok(arguments),
            parsed => parsed,
        };
        let schema = Value::Object(schema::of::<T>());
        let mut errors = faults::validator(&schema)
            .map_or_else(Vec::new, |validator| faults::faults(&validator, value));
        match parsed {
            Ok(arguments) if errors.is_empty() => return Ok(arguments),
            Err(error) if errors.is_empty() => errors.push(FieldError {
                pointer: String::new(),
                detail: error.to_string(),
            }),
            Ok(_) | Err(_) => {}
        }
        Err(Problem::invalid(errors))
    }

    /// Returns the idempotency key of the call, bound to its tool and arguments.
    pub fn idempotency(&self, key: String) -> Result<Idempotency, Problem> {
        if !(1..=255).contains(&key.len()) {
            return Err(Problem::invalid(vec![FieldError {
                pointer: "/idempotency_key".into(),
                detail: "must be 1 to 255 characters".into(),
            }]));
        }
        let fingerprint = Sha256::new()
            .chain_update("mcp")
            .chain_update([0])
            .chain_update(&self.call.tool)
            .chain_update([0])
            .chain_update(canonical(&self.arguments))
            .finalize();
        Ok(Idempotency {
            key,
            tenant: self.context.caller.product_id,
            fingerprint: fingerprint.into(),
        })
    }

    /// Returns the proposal as of right after a command on it.
    async fn proposal(&self, done: &Done) -> Result<Row<ProposalContent>, Problem> {
        let views = &self.context.app.views;
        views
            .at_version::<Proposals>(done.stream.id, done.version, &done.events)
            .await?
            .ok_or_else(|| Problem::not_found(Proposals::NAME))
    }
}

/// Returns the arguments as compact JSON with sorted keys.
fn canonical(arguments: &JsonObject) -> String {
    json!(arguments).to_string()
}

impl Answer {
    /// Returns an answer with an object as of a log position.
    pub fn of(object: &impl Serialize, position: Position) -> Result<Self, Problem> {
        let value = serde_json::to_value(object).map_err(|error| Problem::internal(&error))?;
        let mut result = CallToolResult::structured(value);
        let meta = JsonObject::from_iter([("daybook/position".to_owned(), position.into())]);
        result.meta = Some(MetaObject(meta));
        Ok(Self {
            response: result.into(),
            outcome: "ok",
            proposal_id: None,
            is_recorded: false,
        })
    }

    pub fn about(self, proposal_id: Uuid) -> Self {
        Self {
            proposal_id: Some(proposal_id),
            ..self
        }
    }
}

/// Describes a tool with these input and output types.
fn tool<I: ToSchema, O: ToSchema>(
    named: &dyn Tool,
    title: &str,
    description: &'static str,
    annotations: ToolAnnotations,
) -> model::Tool {
    let mut tool = model::Tool::new(named.name(), description, schema::of::<I>());
    tool.title = Some(title.into());
    tool.output_schema = Some(schema::of::<O>().into());
    tool.annotations = Some(annotations.open_world(false));
    tool
}

/// Returns an object schema with the fields of both types.
fn merged<A: ToSchema, B: ToSchema>() -> JsonObject {
    let (mut schema, more) = (schema::of::<A>(), schema::of::<B>());
    for (name, part) in more {
        if let (Some(Value::Object(fields)), Value::Object(part)) = (schema.get_mut(&name), part) {
            fields.extend(part);
        }
    }
    schema.insert("additionalProperties".into(), false.into());
    schema
}
