//! The raw MCP protocol, so that a test can send invalid messages.

use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};

use crate::harness::{Answer, Client};

pub const STATELESS: &str = "2026-07-28";
pub const WITH_HANDSHAKE: &str = "2025-11-25";
/// The protocol versions that the server supports.
pub const VERSIONS: [&str; 3] = ["2025-06-18", WITH_HANDSHAKE, STATELESS];
pub const TOOLS: [&str; 6] = [
    "search_notes",
    "read_note",
    "list_tasks",
    "propose_changes",
    "proposal_status",
    "withdraw_proposal",
];

/// Returns the metadata that a client of the newest version sends with every request.
pub fn meta(capabilities: &Value) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": STATELESS,
        "io.modelcontextprotocol/clientCapabilities": capabilities,
        "io.modelcontextprotocol/clientInfo": {"name": "tests", "version": "1"},
    })
}

/// Builds a request as a client of this version sends it.
pub fn request(client: &Client, version: &str, method: &str, params: Value) -> RequestBuilder {
    request_with(client, version, method, params, &json!({}))
}

/// Builds a request of a client with capabilities.
pub fn request_with(
    client: &Client,
    version: &str,
    method: &str,
    mut params: Value,
    capabilities: &Value,
) -> RequestBuilder {
    let name = params.get("name").or(params.get("uri")).cloned();
    let mut request = post(client).header("MCP-Protocol-Version", version);
    if version == STATELESS {
        let given = params["_meta"].as_object().cloned().unwrap_or_default();
        let mut all: Map<String, Value> = meta(capabilities).as_object().unwrap().clone();
        all.extend(given);
        params["_meta"] = all.into();
        request = request.header("Mcp-Method", method);
        if let Some(name) = name.as_ref().and_then(Value::as_str) {
            request = request.header("Mcp-Name", name);
        }
    }
    request.json(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
}

/// Builds a request with the headers that the transport requires.
pub fn post(client: &Client) -> RequestBuilder {
    client
        .request(Method::POST, "/mcp")
        .header("Accept", "application/json, text/event-stream")
}

/// Sends a request in the newest version.
pub async fn ask(client: &Client, method: &str, params: Value) -> Answer {
    client
        .send(request(client, STATELESS, method, params))
        .await
}

/// Calls a tool in the newest version.
pub async fn call(client: &Client, tool: &str, arguments: Value) -> Answer {
    let params = json!({"name": tool, "arguments": arguments});
    ask(client, "tools/call", params).await
}

/// Returns the result of a successful tool call.
#[track_caller]
pub fn structured(answer: Answer) -> Value {
    let body = answer.expect(200);
    assert_eq!(body["result"]["isError"], false, "{body:#}");
    body["result"]["structuredContent"].clone()
}

/// Returns the problem of a failed tool call.
#[track_caller]
pub fn problem(answer: &Answer) -> Value {
    assert_eq!(answer.body["result"]["isError"], true, "{:#}", answer.body);
    let text = answer.body["result"]["content"][0]["text"].as_str();
    serde_json::from_str(text.unwrap()).unwrap()
}

#[track_caller]
pub fn assert_problem(answer: &Answer, status: u16, code: &str) {
    let problem = problem(answer);
    assert_eq!(
        (&problem["status"], &problem["code"]),
        (&json!(status), &json!(code)),
        "{problem:#}"
    );
}
