//! The agent's process: a pure MCP client. It reads the notes of a workspace as resources and calls `propose_changes`, as any agent
//! framework would.

use std::error::Error;
use std::time::Duration;

use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::header::{HeaderName, HeaderValue};
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, Implementation,
    PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ResourceContents,
};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, Peer, RoleClient, ServiceError};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClientTransportConfig, StreamableHttpError,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{MODEL, Progress, note};
use crate::demo::idea::{Idea, Note, ideas};
use crate::output;

/// Number of concurrent requests.
const AT_ONCE: usize = 8;
/// Maximum number of attempts per request.
const ATTEMPTS: u32 = 8;
/// Time limit of one request.
const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Args)]
pub struct Agent {
    /// Base URL of the server
    #[arg(long)]
    server: String,
    /// The agent's own key
    #[arg(long, env = "DAYBOOK_KEY", hide_env_values = true)]
    key: String,
    /// The workspace whose notes the agent reads
    #[arg(long)]
    workspace: Uuid,
    /// Name of this run in the log
    #[arg(long)]
    run_id: String,
    /// Position of the log that everything it reads must have reached
    #[arg(long)]
    min_position: i64,
}

impl Agent {
    pub async fn run(self) -> Result<(), Box<dyn Error>> {
        let client = ClientConfig::new(
            ClientCapabilities::default(),
            Implementation::new("daybook-demo-agent", env!("CARGO_PKG_VERSION")),
        );
        let lifecycle = ClientLifecycleMode::Discover {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        };
        let server = client
            .serve_with_lifecycle(self.transport()?, lifecycle)
            .await?;
        let notes = self.notes(server.peer()).await?;
        let ideas = ideas(&notes);
        tell(&Progress::Ideas(ideas.len()))?;
        stream::iter(ideas)
            .map(|idea| self.propose(server.peer(), idea))
            .buffer_unordered(AT_ONCE)
            .try_for_each(async |progress| tell(&progress))
            .await?;
        server.cancel().await?;
        Ok(())
    }

    fn transport(&self) -> Result<StreamableHttpClientTransport<reqwest::Client>, Box<dyn Error>> {
        let url = format!("{}/mcp", self.server.trim_end_matches('/'));
        let position = HeaderValue::from(self.min_position);
        let run_id = HeaderValue::from_str(&self.run_id)?;
        let headers = [
            (HeaderName::from_static("daybook-min-position"), position),
            (HeaderName::from_static("daybook-run-id"), run_id),
        ];
        let config = StreamableHttpClientTransportConfig::with_uri(url)
            .auth_header(self.key.clone())
            .custom_headers(headers.into());
        let http = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        Ok(StreamableHttpClientTransport::with_client(http, config))
    }

    /// Returns the active notes of the workspace.
    async fn notes(&self, server: &Peer<RoleClient>) -> Result<Vec<Note>, ServiceError> {
        let mut uris = Vec::new();
        let mut cursor = None;
        loop {
            let page = PaginatedRequestParams::default().with_cursor(cursor);
            let page = patiently(async || server.list_resources(Some(page.clone())).await).await?;
            uris.extend(page.resources.into_iter().map(|resource| resource.uri));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        stream::iter(uris)
            .map(|uri| self.note(server, uri))
            .buffered(AT_ONCE)
            .try_filter_map(async |note| Ok(note))
            .try_collect()
            .await
    }

    async fn note(
        &self,
        server: &Peer<RoleClient>,
        uri: String,
    ) -> Result<Option<Note>, ServiceError> {
        let read = ReadResourceRequestParams::new(uri);
        let answer = patiently(async || server.read_resource(read.clone()).await).await?;
        let text = answer.contents.iter().find_map(|contents| {
            if let ResourceContents::TextResourceContents { text, .. } = contents {
                Some(text)
            } else {
                None
            }
        });
        Ok(text.and_then(|text| note::read(text, self.workspace)))
    }

    async fn propose(
        &self,
        server: &Peer<RoleClient>,
        idea: Idea<'_>,
    ) -> Result<Progress, Box<dyn Error>> {
        let arguments = json!({
            "workspace_id": self.workspace,
            "actions": idea.actions(),
            "rationale": idea.rationale(),
            "confidence": idea.confidence(),
            "model": MODEL,
            // An idea must not be proposed twice, whatever became of the first proposal.
            "idempotency_key": format!("{}:{}", self.run_id, idea.note.id),
        });
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let call = CallToolRequestParams::new("propose_changes").with_arguments(arguments);
        let answer = patiently(async || server.call_tool(call.clone()).await).await?;
        spoken(&answer).ok_or_else(|| format!("propose_changes: {answer:?}").into())
    }
}

/// Returns the result of a proposal; `None` if it was refused for any reason other than repetition.
fn spoken(answer: &CallToolResult) -> Option<Progress> {
    let position = (answer.meta.as_ref()).and_then(|meta| meta.0.get("daybook/position")?.as_i64());
    if answer.is_error == Some(true) {
        // A problem is returned as text only.
        let text = answer.content.first()?.as_text()?;
        let problem: Value = serde_json::from_str(&text.text).ok()?;
        let is_known = problem["code"] == "idempotency_key_reused";
        return is_known.then_some(Progress::Spoken {
            is_new: false,
            position: position.unwrap_or_default(),
        });
    }
    let said = answer.structured_content.as_ref();
    Some(Progress::Spoken {
        is_new: said.is_some_and(|said| said["status"] == "pending"),
        position: position?,
    })
}

/// Sends a request, and retries while the server is busy or briefly unavailable.
async fn patiently<T>(
    mut send: impl AsyncFnMut() -> Result<T, ServiceError>,
) -> Result<T, ServiceError> {
    let mut wait = Duration::from_millis(100);
    for _ in 1..ATTEMPTS {
        match send().await {
            Err(error) if let Some(pause) = pause(&error, wait) => tokio::time::sleep(pause).await,
            result => return result,
        }
        wait *= 2;
    }
    send().await
}

/// Returns the pause before a retry; `None` if retrying would not help.
fn pause(error: &ServiceError, wait: Duration) -> Option<Duration> {
    let ServiceError::TransportSend(error) = error else {
        return None;
    };
    let error: &StreamableHttpError<reqwest::Error> = error.error.downcast_ref()?;
    if let StreamableHttpError::HttpStatus(answer) = error {
        let seconds = answer.retry_after.as_ref()?.parse().ok()?;
        return Some(Duration::from_secs(seconds).min(TIMEOUT));
    }
    matches!(error, StreamableHttpError::Client(_)).then_some(wait)
}

fn tell(progress: &Progress) -> Result<(), Box<dyn Error>> {
    Ok(output::print(&json!(progress).to_string())?)
}

#[cfg(test)]
mod tests {
    use rmcp::model::ContentBlock;

    use super::*;

    #[test]
    fn an_idea_that_the_server_knows_in_other_words_is_not_new() {
        let refused = |code| {
            let problem = json!({"status": 422, "code": code}).to_string();
            spoken(&CallToolResult::error(vec![ContentBlock::text(problem)]))
        };
        let known = Progress::Spoken {
            is_new: false,
            position: 0,
        };
        assert_eq!(refused("idempotency_key_reused"), Some(known));
        assert_eq!(refused("validation_failed"), None);
    }
}
