//! The context of a protocol request: its sender, and the run and trace that it belongs to.

use std::sync::Arc;

use axum::http::request::Parts;
use commands::{Idempotency, On, Request};
use domain::Aggregate;
use domain::agents::tool_call::{Call, MAX_RUN_ID, ToolCall, ToolCallCommand};
use rmcp::ErrorData;
use rmcp::RoleServer;
use rmcp::model::{CallToolResult, ClientCapabilities, ContentBlock, RequestMetaObject};
use rmcp::service::RequestContext;
use store::Position;
use uuid::Uuid;

use super::endpoint::Lacking;
use crate::App;
use crate::caller::Caller;
use crate::command;
use crate::cursor::ListId;
use crate::middleware::Correlation;
use crate::problem::{Problem, ProblemDetails};
use crate::query::{self, Read};

/// Names of the agent's run, as a request header and in `_meta`.
const RUN_ID_HEADER: &str = "daybook-run-id";
const RUN_ID_META: &str = "daybook/run_id";

/// Everything about a request except its parameters.
pub struct Context {
    pub app: App,
    pub caller: Caller,
    pub base_url: String,
    pub protocol_version: String,
    /// Id of the agent's run, if given.
    pub run_id: Option<String>,
    /// True if the client can open a URL for a person and then continue.
    pub opens_urls: bool,
    correlation_id: Uuid,
    traceparent: Option<String>,
    min_position: Position,
    lacking: Lacking,
}

impl Context {
    pub fn of(app: &App, request: &RequestContext<RoleServer>) -> Result<Self, ErrorData> {
        let nobody = || ErrorData::internal_error("the request came past the endpoint", None);
        let parts = request.extensions.get::<Parts>().ok_or_else(nobody)?;
        let caller = parts.extensions.get::<Caller>().ok_or_else(nobody)?;
        let lacking = parts.extensions.get::<Lacking>().ok_or_else(nobody)?;
        let correlation = parts.extensions.get::<Correlation>();
        let version = request.protocol_version();
        let context = Self {
            app: app.clone(),
            caller: caller.clone(),
            base_url: app.site.base_url(&parts.headers),
            protocol_version: version.map_or_else(String::new, |version| version.to_string()),
            run_id: run_id(parts, &request.meta)?,
            opens_urls: opens_urls(request.meta.client_capabilities()),
            correlation_id: correlation.map_or_else(Uuid::now_v7, |correlation| correlation.0),
            traceparent: traceparent(parts, &request.meta),
            min_position: query::min_position(&parts.headers, app, caller)
                .map_err(invalid_params)?,
            lacking: lacking.clone(),
        };
        Ok(context)
    }

    /// Returns a query on behalf of the caller.
    pub fn read(&self) -> Read {
        Read {
            caller: self.caller.clone(),
            min_position: self.min_position,
            list: ListId::named("mcp"),
        }
    }

    /// Returns a query for a page of a list.
    pub fn read_list(&self, name: &str) -> Read {
        Read {
            list: ListId::named(name),
            ..self.read()
        }
    }

    /// Returns a query that sees everything that any node has appended.
    pub async fn read_latest(&self) -> Result<Read, Problem> {
        Ok(Read {
            caller: self.caller.clone(),
            min_position: self.app.store.read_head().await?,
            list: ListId::named("mcp"),
        })
    }

    /// Returns a command request on behalf of the caller.
    pub fn request(&self, idempotency: Option<Idempotency>) -> Request {
        Request {
            actor: self.caller.actor,
            credential: Some(self.caller.credential),
            controller: self.caller.controller,
            is_operator: self.caller.is_operator(),
            product_id: self.caller.product_id,
            scopes: Arc::clone(&self.caller.scopes),
            correlation_id: self.correlation_id,
            causation_id: None,
            traceparent: self.traceparent.clone(),
            reason: None,
            idempotency,
            if_match: vec![],
            dry_run: false,
        }
    }

    /// Records a call that changed nothing. Daybook itself records it, so the caller needs no scope.
    pub async fn record(&self, id: Uuid, call: Call) -> Result<(), Problem> {
        let record = On::<ToolCall> {
            id,
            command: ToolCallCommand::Record(call),
        };
        let request = Request {
            scopes: Arc::new([format!("{}:write", ToolCall::SCOPE)].into()),
            ..self.request(None)
        };
        self.app.executor.execute(&request, &record).await?;
        Ok(())
    }

    /// Notes the missing scope for the response headers, if the problem is a missing scope.
    pub fn notice(&self, problem: &Problem, scope: &str) {
        if problem.code() == "scope_missing" {
            self.lacking.note(scope.to_owned());
        }
    }

    /// Returns the problem as a tool result that the model can read and react to.
    pub fn failed(&self, problem: Problem) -> CallToolResult {
        let details = ProblemDetails::from(problem).correlated(self.correlation_id);
        let text = serde_json::to_string(&details).unwrap_or_default();
        CallToolResult::error(vec![ContentBlock::text(text)])
    }

    /// Returns the problem as a protocol error.
    pub fn error(&self, problem: Problem, scope: &str) -> ErrorData {
        self.notice(&problem, scope);
        let is_ours = problem.status().is_server_error();
        let details = ProblemDetails::from(problem).correlated(self.correlation_id);
        let data = serde_json::to_value(&details).ok();
        if is_ours {
            ErrorData::internal_error(details.detail, data)
        } else {
            ErrorData::invalid_params(details.detail, data)
        }
    }
}

pub fn invalid_params(problem: Problem) -> ErrorData {
    let details = ProblemDetails::from(problem);
    let data = serde_json::to_value(&details).ok();
    ErrorData::invalid_params(details.detail, data)
}

fn run_id(parts: &Parts, meta: &RequestMetaObject) -> Result<Option<String>, ErrorData> {
    let header = parts.headers.get(RUN_ID_HEADER);
    let header = header.and_then(|value| value.to_str().ok());
    let run_id = meta.get(RUN_ID_META).and_then(|value| value.as_str());
    let run_id = run_id.or(header);
    match run_id.map(|text| text.chars().count()) {
        None => Ok(None),
        Some(1..=MAX_RUN_ID) => Ok(run_id.map(str::to_owned)),
        Some(_) => Err(ErrorData::invalid_params(
            format!("{RUN_ID_META} must be 1 to {MAX_RUN_ID} characters"),
            None,
        )),
    }
}

fn traceparent(parts: &Parts, meta: &RequestMetaObject) -> Option<String> {
    let text = meta.get("traceparent").and_then(|value| value.as_str());
    text.and_then(command::valid_traceparent)
        .or_else(|| command::traceparent(&parts.headers))
}

fn opens_urls(capabilities: Option<ClientCapabilities>) -> bool {
    let elicitation = capabilities.and_then(|capabilities| capabilities.elicitation);
    elicitation.is_some_and(|elicitation| elicitation.url.is_some())
}
