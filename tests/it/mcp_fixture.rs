//! The tools, resources and prompts that the conformance suite expects of a server, on the transport of the product,
//! which is what is tested.

use std::time::Duration;

use axum::Router;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ClientCapabilities, CompleteRequestParams,
    CompleteResult, CompletionInfo, GetPromptRequestParams, GetPromptResponse, InputRequiredResult,
    InputResponses, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
    ListToolsResult, PaginatedRequestParams, ProgressNotificationParam, ProtocolVersion,
    ReadResourceRequestParams, ReadResourceResponse, RequestStateCodec, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A picture of one pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/// An empty sound.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

const TOOLS: [&str; 17] = [
    "test_simple_text",
    "test_image_content",
    "test_audio_content",
    "test_embedded_resource",
    "test_multiple_content_types",
    "test_error_handling",
    "test_tool_with_progress",
    "test_missing_capability",
    "test_streaming_elicitation",
    "test_logging_tool",
    "test_input_required_result_elicitation",
    "test_input_required_result_sampling",
    "test_input_required_result_list_roots",
    "test_input_required_result_request_state",
    "test_input_required_result_multiple_inputs",
    "test_input_required_result_multi_round",
    "test_input_required_result_tampered_state",
];
const CAPABILITIES: &str = "test_input_required_result_capabilities";

pub struct Fixture {
    pub url: String,
    task: JoinHandle<()>,
}

impl Fixture {
    pub async fn start() -> Self {
        let service = api::agents::mcp::transport::service(|| Handler, 1 << 20);
        let router = Router::new().route_service("/mcp", service);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, task }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Handler;

/// Decodes a part of the protocol from JSON.
fn of<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn complete(content: Value) -> CallToolResponse {
    let result: rmcp::model::CallToolResult =
        of(json!({"resultType": "complete", "content": content}));
    result.into()
}

fn text(text: &str) -> Value {
    json!([{"type": "text", "text": text}])
}

fn embedded(uri: &str, media: &str, text: &str) -> Value {
    json!({"type": "resource", "resource": {"uri": uri, "mimeType": media, "text": text}})
}

fn image() -> Value {
    json!({"type": "image", "data": PNG, "mimeType": "image/png"})
}

/// Builds an elicitation for one value of a type.
fn elicit(message: &str, name: &str, kind: &str) -> Value {
    let schema =
        json!({"type": "object", "properties": {name: {"type": kind}}, "required": [name]});
    json!({"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}})
}

fn sample(text: &str) -> Value {
    let message = json!({"role": "user", "content": {"type": "text", "text": text}});
    json!({"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": 100}})
}

fn roots() -> Value {
    json!({"method": "roots/list"})
}

fn input_required(requests: Value, state: Option<&str>) -> InputRequiredResult {
    let state = state.map(|state| codec().seal(state.as_bytes()));
    InputRequiredResult::new(Some(of(requests)), state)
}

fn codec() -> RequestStateCodec {
    RequestStateCodec::try_new(vec![7; 32]).unwrap()
}

/// Returns the client's step, if its state was sealed here.
fn step(state: Option<&String>) -> Result<Option<Vec<u8>>, ErrorData> {
    let invalid =
        |error: rmcp::model::RequestStateError| ErrorData::invalid_params(error.to_string(), None);
    state
        .map(|state| codec().open(state).map_err(invalid))
        .transpose()
}

/// Returns true if all requested inputs are there, as objects.
fn answered(responses: Option<&InputResponses>, names: &[&str]) -> bool {
    let is_there =
        |name: &&str| responses.is_some_and(|all| all.get(*name).is_some_and(Value::is_object));
    names.iter().all(is_there)
}

/// Runs the tools that ask a client for input.
fn ask(
    params: &CallToolRequestParams,
    can: &ClientCapabilities,
) -> Result<CallToolResponse, ErrorData> {
    let step = step(params.request_state.as_ref())?;
    let responses = params.input_responses.as_ref();
    let (requests, state) = match &*params.name {
        "test_input_required_result_sampling" => (
            json!({"capital_question": sample("What is the capital of France?")}),
            None,
        ),
        "test_input_required_result_list_roots" => (json!({"client_roots": roots()}), None),
        "test_input_required_result_request_state"
        | "test_input_required_result_tampered_state" => (
            json!({"confirm": elicit("Please confirm", "ok", "boolean")}),
            Some("confirm"),
        ),
        "test_input_required_result_multiple_inputs" => {
            let name = elicit("What is your name?", "name", "string");
            let all = json!({"user_name": name, "greeting": sample("Generate a greeting"), "client_roots": roots()});
            (all, Some("all"))
        }
        "test_input_required_result_multi_round" => match step.as_deref() {
            None => (
                json!({"step1": elicit("Step 1: What is your name?", "name", "string")}),
                Some("1"),
            ),
            Some(_) => (
                json!({"step2": elicit("Step 2: What is your favorite color?", "color", "string")}),
                Some("2"),
            ),
        },
        CAPABILITIES => match can.elicitation {
            Some(_) => (
                json!({"user_name": elicit("What is your name?", "name", "string")}),
                None,
            ),
            None => (json!({"question": sample("What is your name?")}), None),
        },
        _ => (
            json!({"user_name": elicit("What is your name?", "name", "string")}),
            None,
        ),
    };
    let names: Vec<&str> = requests
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    if answered(responses, &names) && state.is_some() == step.is_some() {
        return Ok(complete(text("state-ok")));
    }
    Ok(input_required(requests, state).into())
}

async fn report_progress(request: &RequestContext<RoleServer>) {
    let Some(token) = request.meta.get_progress_token() else {
        return;
    };
    for done in [0.0, 50.0, 100.0] {
        let progress = ProgressNotificationParam::new(token.clone(), done).with_total(100.0);
        request.peer.notify_progress(progress).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_prompts()
            .enable_completions()
            .build();
        ServerConfig::new(capabilities)
    }

    fn supported_protocol_versions(&self) -> std::borrow::Cow<'static, [ProtocolVersion]> {
        vec![ProtocolVersion::V_2025_11_25, ProtocolVersion::V_2026_07_28].into()
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let describe = |name: &str| {
            of(
                json!({"name": name, "description": "A fixture.", "inputSchema": {"type": "object"}}),
            )
        };
        let names = TOOLS.into_iter().chain([CAPABILITIES]);
        Ok(ListToolsResult::with_all_items(
            names.map(describe).collect(),
        ))
    }

    async fn call_tool(
        &self,
        params: CallToolRequestParams,
        request: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let can = request.client_capabilities().unwrap_or_default();
        Ok(match &*params.name {
            "test_simple_text" | "test_logging_tool" => {
                complete(text("This is a simple text response for testing."))
            }
            "test_image_content" => complete(json!([image()])),
            "test_audio_content" => {
                complete(json!([{"type": "audio", "data": WAV, "mimeType": "audio/wav"}]))
            }
            "test_embedded_resource" => {
                let content = "This is an embedded resource content.";
                complete(json!([embedded(
                    "test://embedded-resource",
                    "text/plain",
                    content
                )]))
            }
            "test_multiple_content_types" => {
                let first = json!({"type": "text", "text": "Multiple content types test:"});
                let content = r#"{"test":"data","value":123}"#;
                let last = embedded("test://mixed-content-resource", "application/json", content);
                complete(json!([first, image(), last]))
            }
            "test_error_handling" => {
                let content = text("This tool intentionally returns an error for testing");
                let failed: rmcp::model::CallToolResult =
                    of(json!({"resultType": "complete", "content": content, "isError": true}));
                failed.into()
            }
            "test_tool_with_progress" => {
                report_progress(&request).await;
                complete(text("done"))
            }
            "test_missing_capability" if can.sampling.is_none() => {
                let needed = of(json!({"sampling": {}}));
                return Err(ErrorData::missing_required_client_capability(needed));
            }
            "test_missing_capability" => complete(text("sampled")),
            CAPABILITIES => ask(&params, &can)?,
            name if TOOLS.contains(&name) => ask(&params, &can)?,
            _ => return Err(ErrorData::invalid_params("there is no such tool", None)),
        })
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let describe = |(name, media): (&str, &str)| {
            of(
                json!({"uri": format!("test://{name}"), "name": name, "description": "A fixture.", "mimeType": media}),
            )
        };
        let all = [
            ("static-text", "text/plain"),
            ("static-binary", "image/png"),
        ];
        Ok(ListResourcesResult::with_all_items(
            all.map(describe).into(),
        ))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let template = of(json!({"uriTemplate": "test://template/{id}/data", "name": "template"}));
        Ok(ListResourceTemplatesResult::with_all_items(vec![template]))
    }

    async fn read_resource(
        &self,
        params: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = params.uri.as_str();
        let of_template = uri
            .strip_prefix("test://template/")
            .and_then(|rest| rest.strip_suffix("/data"));
        let contents = match (uri, of_template) {
            ("test://static-text", _) => {
                json!({"uri": uri, "mimeType": "text/plain", "text": "This is the content of the static text resource."})
            }
            ("test://static-binary", _) => {
                json!({"uri": uri, "mimeType": "image/png", "blob": PNG})
            }
            (_, Some(id)) => {
                let text =
                    json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
                json!({"uri": uri, "mimeType": "application/json", "text": text.to_string()})
            }
            (_, None) => {
                let data = Some(json!({ "uri": uri }));
                return Err(ErrorData::resource_not_found("Resource not found", data));
            }
        };
        let result: rmcp::model::ReadResourceResult =
            of(json!({"resultType": "complete", "contents": [contents]}));
        Ok(result.into())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let describe = |(name, arguments): (&str, &[&str])| {
            let arguments: Vec<Value> = (arguments.iter())
                .map(|name| json!({"name": name, "description": "A fixture.", "required": true}))
                .collect();
            of(json!({"name": name, "description": "A fixture.", "arguments": arguments}))
        };
        let all: [(&str, &[&str]); 5] = [
            ("test_simple_prompt", &[]),
            ("test_prompt_with_arguments", &["arg1", "arg2"]),
            ("test_prompt_with_embedded_resource", &["resourceUri"]),
            ("test_prompt_with_image", &[]),
            ("test_input_required_result_prompt", &[]),
        ];
        Ok(ListPromptsResult::with_all_items(all.map(describe).into()))
    }

    async fn get_prompt(
        &self,
        params: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let arguments = Value::Object(params.arguments.unwrap_or_default());
        let argument = |name: &str| arguments[name].as_str().unwrap_or_default().to_owned();
        let contents = match params.name.as_str() {
            "test_simple_prompt" => text("This is a simple prompt for testing."),
            "test_prompt_with_arguments" => {
                let (first, second) = (argument("arg1"), argument("arg2"));
                text(&format!(
                    "Prompt with arguments: arg1='{first}', arg2='{second}'"
                ))
            }
            "test_prompt_with_embedded_resource" => {
                let content = "Embedded resource content for testing.";
                let resource = embedded(&argument("resourceUri"), "text/plain", content);
                json!([resource, {"type": "text", "text": "Please process the embedded resource above."}])
            }
            "test_prompt_with_image" => {
                json!([image(), {"type": "text", "text": "Please analyze the image above."}])
            }
            "test_input_required_result_prompt" => {
                if !answered(params.input_responses.as_ref(), &["user_context"]) {
                    let question =
                        elicit("What context should the prompt use?", "context", "string");
                    return Ok(input_required(json!({"user_context": question}), None).into());
                }
                text("with context")
            }
            _ => return Err(ErrorData::invalid_params("there is no such prompt", None)),
        };
        let contents = contents.as_array().unwrap().iter();
        let messages: Vec<Value> = contents
            .map(|content| json!({"role": "user", "content": content}))
            .collect();
        let result: rmcp::model::GetPromptResult =
            of(json!({"resultType": "complete", "messages": messages}));
        Ok(result.into())
    }

    async fn complete(
        &self,
        _: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        Ok(CompleteResult::new(CompletionInfo::default()))
    }
}
