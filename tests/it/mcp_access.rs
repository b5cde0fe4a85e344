//! Permissions to call tools through MCP, and refusals of the transport, checked for every tool.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Client, OwnApp, TestApp, forged_key, id, without_correlation};
use crate::mcp::register;
use crate::mcp_wire::{
    STATELESS, TOOLS, WITH_HANDSHAKE, ask, assert_problem, call, meta, post, problem, request,
    structured,
};

/// The scope that each tool requires.
const SCOPES: [(&str, &str); TOOLS.len()] = [
    ("search_notes", "notes:read"),
    ("read_note", "notes:read"),
    ("list_tasks", "tasks:read"),
    ("propose_changes", "proposals:write"),
    ("proposal_status", "proposals:read"),
    ("withdraw_proposal", "proposals:write"),
];
/// A word in every visible text.
const MARK: &str = "marigold";

/// Alice's workspace with a resource for every tool.
struct Cast {
    app: TestApp,
    agent: Client,
    workspace_id: Uuid,
    note_id: Uuid,
    proposal_id: Uuid,
}

impl Cast {
    async fn assemble() -> Self {
        let app = TestApp::start().await;
        let agent = register(&app).await;
        let workspace_id = app.alice.workspace().await;
        app.alice.admit(workspace_id, &agent, "agent").await;
        let note_id = id(&app.alice.note(workspace_id, MARK, MARK).await);
        let task = json!({"workspace_id": workspace_id, "title": MARK});
        app.alice.post("/v1/tasks", task).await.expect(201);
        let mut cast = Self {
            app,
            agent,
            workspace_id,
            note_id,
            proposal_id: Uuid::nil(),
        };
        cast.proposal_id = cast.propose().await;
        for path in ["notes", "tasks", "proposals", "links", "search"] {
            cast.app.alice.get(&format!("/v1/{path}")).await.expect(200);
        }
        cast
    }

    /// Submits a proposal of the agent's.
    async fn propose(&self) -> Uuid {
        let proposal = self
            .agent
            .post("/v1/proposals", self.arguments("propose_changes"));
        id(&proposal.await.expect(201))
    }

    /// Returns arguments that refer to existing resources.
    fn arguments(&self, tool: &str) -> Value {
        match tool {
            "search_notes" => json!({"query": MARK}),
            "read_note" => json!({"note_id": self.note_id}),
            "list_tasks" => json!({"workspace_id": self.workspace_id}),
            "propose_changes" => json!({
                "workspace_id": self.workspace_id, "rationale": MARK,
                "actions": [{"type": "note.archive", "note_id": self.note_id}],
            }),
            _ => json!({"proposal_id": self.proposal_id}),
        }
    }

    /// Returns arguments that refer to nothing.
    fn nowhere(tool: &str) -> Value {
        let nothing = Uuid::now_v7();
        match tool {
            "search_notes" => json!({"query": "none"}),
            "read_note" => json!({"note_id": nothing}),
            "list_tasks" => json!({"workspace_id": nothing}),
            "propose_changes" => json!({
                "workspace_id": nothing, "rationale": "none",
                "actions": [{"type": "note.archive", "note_id": nothing}],
            }),
            _ => json!({"proposal_id": nothing}),
        }
    }

    /// Returns the events of the products, in order.
    async fn events(&self) -> Vec<Value> {
        let mut events = vec![];
        for product in self.app.products() {
            let query = format!("product={product}");
            events.extend(self.app.operator.events(&query).await);
        }
        events
    }

    /// Returns the number of events, except records of calls.
    async fn happened(&self) -> usize {
        let all = self.events().await;
        let calls = all
            .iter()
            .filter(|event| event["type"] == "tool_call.recorded");
        all.len() - calls.count()
    }
}

#[tokio::test]
async fn without_a_key_that_works_nothing_is_answered_but_where_to_learn_of_keys() {
    let cast = Cast::assemble().await;
    let url = &cast.app.url;
    let metadata = format!("{url}/.well-known/oauth-protected-resource/mcp");
    for key in ["", "dbk_garbage", &forged_key(), &cast.agent.key[..70]] {
        let nobody = Client::new(url, key);
        for tool in TOOLS {
            let answer = call(&nobody, tool, cast.arguments(tool)).await;
            let challenge = answer.header("www-authenticate").to_owned();
            let told = format!("Bearer resource_metadata=\"{metadata}\", scope=\"notes:read ");
            assert!(challenge.starts_with(&told), "{challenge}");
            answer.expect_problem(401, "unauthorized");
        }
        for method in [
            "tools/list",
            "resources/list",
            "prompts/list",
            "server/discover",
        ] {
            assert_eq!(ask(&nobody, method, json!({})).await.status, 401);
        }
    }
    let nobody = Client::new(url, "");
    for path in ["", "/mcp"] {
        let path = format!("/.well-known/oauth-protected-resource{path}");
        let told = nobody
            .send(nobody.request(Method::GET, &path))
            .await
            .expect(200);
        assert_eq!(told["resource"], format!("{url}/mcp"));
        assert_eq!(told["bearer_methods_supported"], json!(["header"]));
        for (_, scope) in SCOPES {
            assert!(
                told["scopes_supported"]
                    .as_array()
                    .unwrap()
                    .contains(&json!(scope))
            );
        }
        assert_eq!(told.get("authorization_servers"), None);
    }
}

#[tokio::test]
async fn every_tool_needs_its_scope_and_no_other() {
    let cast = Cast::assemble().await;
    let key = async |scopes: &[&str]| {
        let actor = json!({"kind": "agent", "id": cast.agent.actor_id});
        let key = json!({"name": "key", "product_id": cast.app.product_id, "actor": actor, "scopes": scopes});
        let key = cast
            .app
            .operator
            .post("/v1/api-keys", key)
            .await
            .expect(201);
        Client::new(&cast.app.url, key["key"].as_str().unwrap())
    };
    for (tool, scope) in SCOPES {
        let others: Vec<&str> = (SCOPES.iter())
            .map(|(_, other)| *other)
            .filter(|other| *other != scope)
            .collect();
        let before = cast.happened().await;
        let lacking = call(&key(&others).await, tool, cast.arguments(tool)).await;
        assert_eq!(lacking.status, 403, "{tool}");
        let challenge = lacking.header("www-authenticate");
        let told =
            format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\", resource_metadata=");
        assert!(challenge.starts_with(&told), "{challenge}");
        assert_problem(&lacking, 403, "scope_missing");
        // Two keys were issued, for an actor that is registered already.
        assert_eq!(cast.happened().await, before + 1, "{tool}");

        let fitting = key(&[scope]).await;
        structured(call(&fitting, tool, cast.arguments(tool)).await);
    }
    let lacking = key(&["tasks:read"]).await;
    let listed = ask(&lacking, "resources/list", json!({})).await;
    assert_eq!(listed.status, 403);
    assert_eq!(listed.body["error"]["data"]["code"], "scope_missing");
}

#[tokio::test]
async fn strangers_of_the_workspace_and_of_the_product_see_nothing_and_do_nothing() {
    let cast = Cast::assemble().await;
    let strangers = [
        register(&cast.app).await,
        cast.app.actor("person", &["*"]).await,
        cast.app.stranger().await,
    ];
    let before = cast.happened().await;
    for stranger in &strangers {
        for tool in TOOLS {
            let theirs = call(stranger, tool, cast.arguments(tool)).await;
            let nothing = call(stranger, tool, Cast::nowhere(tool)).await;
            // Compared without the position and the request id, which differ per call.
            let told = |answer: &Answer| {
                let text = answer.body["result"]["content"][0]["text"]
                    .as_str()
                    .unwrap();
                without_correlation(&serde_json::from_str(text).unwrap())
            };
            if stranger.actor_id == strangers[2].actor_id {
                // A caller must not be able to tell resources of another product from missing ones.
                assert_eq!(told(&theirs), told(&nothing), "{tool}");
            }
            assert!(!theirs.body.to_string().contains(MARK), "{tool}");
            if matches!(tool, "list_tasks" | "search_notes") {
                assert_eq!(structured(theirs)["items"], json!([]));
            } else {
                let problem = problem(&theirs);
                assert_eq!(problem["status"], 404, "{tool}: {problem:#}");
            }
        }
        let listed = ask(stranger, "resources/list", json!({})).await.expect(200);
        let listed = listed["result"]["resources"].as_array().unwrap();
        assert_eq!(
            (&listed[0]["uri"], listed.len()),
            (&json!("daybook://workspaces"), 1)
        );
        let workspaces = json!({"uri": "daybook://workspaces"});
        let read = ask(stranger, "resources/read", workspaces)
            .await
            .expect(200);
        assert_eq!(
            read["result"]["contents"][0]["text"],
            r#"{"workspaces":[]}"#
        );
        let uri = format!("note://{}", cast.note_id);
        let read = ask(stranger, "resources/read", json!({"uri": uri})).await;
        assert_eq!(read.body["error"]["message"], "Resource not found");
        let params = json!({"name": "summarise_note", "arguments": {"note_id": cast.note_id}});
        let prompt = ask(stranger, "prompts/get", params).await;
        assert_eq!(prompt.body["error"]["code"], -32602);
        let arguments = json!({"workspace_id": cast.workspace_id});
        let params = json!({"name": "tidy_workspace", "arguments": arguments});
        let prompt = ask(stranger, "prompts/get", params).await.expect(200);
        assert!(!prompt.to_string().contains("note://"));
        for (argument, value) in [("workspace_id", ""), ("note_id", MARK)] {
            let params = json!({
                "ref": {"type": "ref/prompt", "name": "summarise_note"}, "argument": {"name": argument, "value": value},
            });
            let completed = ask(stranger, "completion/complete", params)
                .await
                .expect(200);
            assert_eq!(completed["result"]["completion"]["values"], json!([]));
        }
    }
    assert_eq!(cast.happened().await, before);
    // Calls of others are not visible either.
    let theirs = strangers[2].get("/v1/tool-calls").await.expect(200);
    let calls = theirs["items"].as_array().unwrap();
    let own = json!(strangers[2].actor_id);
    assert!(!calls.is_empty() && calls.iter().all(|call| call["created_by"] == own));
}

#[tokio::test]
async fn a_suspended_agent_calls_nothing() {
    let cast = Cast::assemble().await;
    let path = format!("/v1/agents/{}/suspend", cast.agent.actor_id);
    let reason = json!({"reason": "it is looked at"});
    cast.app.alice.post(&path, reason).await.expect(200);
    for tool in TOOLS {
        let refused = call(&cast.agent, tool, cast.arguments(tool)).await;
        refused.expect_problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn nothing_that_is_called_writes_but_what_proposes() {
    let cast = Cast::assemble().await;
    // This holds even for a key with all scopes.
    for caller in [&cast.agent, &cast.app.alice] {
        for tool in TOOLS {
            let before = cast.events().await.len();
            let answer = call(caller, tool, cast.arguments(tool)).await;
            let all = cast.events().await;
            let mut new: Vec<&str> = (all[before..].iter())
                .map(|event| event["type"].as_str().unwrap())
                .collect();
            new.sort_unstable();
            let expected: &[&str] = match tool {
                "propose_changes" if caller.actor_id == cast.agent.actor_id => {
                    &["agent.proposed", "proposal.submitted", "tool_call.recorded"]
                }
                "propose_changes" => &["proposal.submitted", "tool_call.recorded"],
                "withdraw_proposal" if caller.actor_id == cast.agent.actor_id => {
                    &["proposal.withdrawn", "tool_call.recorded"]
                }
                _ => &["tool_call.recorded"],
            };
            assert_eq!(new, expected, "{tool}: {:#}", answer.body);
        }
    }
}

#[tokio::test]
async fn what_is_no_request_of_the_protocol_is_refused() {
    let cast = Cast::assemble().await;
    let agent = &cast.agent;
    let send = async |request| agent.send(request).await;
    let raw = |body: &str| {
        post(agent)
            .header("Content-Type", "application/json")
            .header("MCP-Protocol-Version", WITH_HANDSHAKE)
            .body(body.to_owned())
    };
    let list = || json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});

    let malformed = send(raw("{")).await;
    assert_eq!(malformed.status, 400);
    assert_eq!(
        malformed.body["error"]["code"], -32700,
        "{:#}",
        malformed.body
    );
    let batch = send(raw(&json!([list()]).to_string())).await;
    assert_eq!(batch.status, 400, "{:#}", batch.body);
    let unknown = send(request(agent, STATELESS, "notes/purge", json!({}))).await;
    assert_eq!(
        (unknown.status, &unknown.body["error"]["code"]),
        (404, &json!(-32601))
    );
    let tool = call(agent, "purge_note", json!({})).await;
    assert_eq!(tool.body["error"]["code"], -32602);
    let recorded = cast
        .app
        .alice
        .get("/v1/tool-calls?outcome=tool_unknown")
        .await;
    assert_eq!(recorded.expect(200)["items"][0]["tool"], "purge_note");
    let unacceptable = agent
        .request(Method::POST, "/mcp")
        .header("Accept", "text/html");
    let unacceptable = send(unacceptable.json(&list())).await;
    assert_eq!(
        (unacceptable.status, &unacceptable.body["error"]["code"]),
        (406, &json!(-32600))
    );
    for accept in [
        "*/*",
        "application/*, text/*",
        "application/json, */*;q=0.1",
    ] {
        let ping = agent.request(Method::POST, "/mcp").header("Accept", accept);
        let ping = ping.json(&json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}));
        assert_eq!(send(ping).await.status, 200, "{accept}");
    }
    let nameless = send(request(agent, WITH_HANDSHAKE, "tools/call", json!({}))).await;
    assert_eq!(nameless.body["error"]["code"], -32602);

    // In the newest version the headers must match the body, and all of them are required.
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta(&json!({}))}});
    let newest = |method: &str| {
        post(agent)
            .header("MCP-Protocol-Version", STATELESS)
            .header("Mcp-Method", method)
    };
    let mismatch = send(newest("tools/call").json(&body)).await;
    assert_eq!(
        (mismatch.status, &mismatch.body["error"]["code"]),
        (400, &json!(-32020))
    );
    let bare = send(newest("tools/list").json(&list())).await;
    assert_eq!(
        (bare.status, &bare.body["error"]["code"]),
        (400, &json!(-32602))
    );
    let mut ahead = body.clone();
    ahead["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2031-01-01");
    let ahead = post(agent)
        .header("MCP-Protocol-Version", "2031-01-01")
        .header("Mcp-Method", "tools/list")
        .json(&ahead);
    let ahead = send(ahead).await;
    assert_eq!(
        (ahead.status, &ahead.body["error"]["code"]),
        (400, &json!(-32022))
    );
    assert!(
        ahead.body["error"]["data"]["supported"]
            .to_string()
            .contains(STATELESS)
    );

    let told = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let told = send(raw(&told.to_string())).await;
    assert_eq!((told.status, told.body.as_str()), (202, Some("")));
    for method in [Method::GET, Method::DELETE] {
        let request = agent
            .request(method, "/mcp")
            .header("Accept", "text/event-stream");
        let answer = send(request).await;
        assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
    }
    let large = "x".repeat(3 << 20);
    assert_eq!(send(raw(&large)).await.status, 413);
}

#[tokio::test]
async fn pages_of_other_origins_are_kept_out() {
    let origins = ("DAYBOOK_MCP_ORIGINS", "https://app.example.com");
    let public = ("DAYBOOK_PUBLIC_URL", "https://daybook.example.com/");
    let app = OwnApp::start_with(&[origins, public]).await;
    let from = async |origin: &str| {
        let request = request(&app.alice, STATELESS, "tools/list", json!({}));
        app.alice
            .send(request.header("Origin", origin))
            .await
            .status
    };
    for origin in [
        "https://evil.example.com",
        "http://app.example.com",
        "https://app.example.com:8443",
        "http://localhost:3000.evil.com",
        "http://evil.com@localhost:3000",
        "null",
    ] {
        assert_eq!(from(origin).await, 403, "{origin}");
    }
    for origin in [
        "https://app.example.com",
        "https://daybook.example.com",
        "http://localhost:3000",
    ] {
        assert_eq!(from(origin).await, 200, "{origin}");
    }
    let path = "/.well-known/oauth-protected-resource/mcp";
    let told = app
        .alice
        .send(app.alice.request(Method::GET, path))
        .await
        .expect(200);
    assert_eq!(told["resource"], "https://daybook.example.com/mcp");
}

#[tokio::test]
async fn the_error_of_a_malformed_request_has_its_id() {
    let app = TestApp::start().await;
    let agent = register(&app).await;
    let ask = async |message: Value| {
        let request = post(&agent).header("MCP-Protocol-Version", WITH_HANDSHAKE);
        agent.send(request.json(&message)).await
    };
    for params in [json!([]), json!("x"), json!(3)] {
        for id in [json!(7), json!("q")] {
            let message =
                json!({"jsonrpc": "2.0", "id": id, "method": "tools/list", "params": params});
            let answer = ask(message).await;
            assert_eq!((answer.status, &answer.body["id"]), (400, &id), "{params}");
            assert_eq!(answer.body["error"]["code"], -32602, "{params}");
        }
    }
    for id in [json!(null), json!(1.5), json!(u64::MAX), json!({})] {
        let answer = ask(json!({"jsonrpc": "2.0", "id": id, "method": "ping"})).await;
        assert_eq!(
            (answer.status, &answer.body["error"]["code"]),
            (400, &json!(-32600)),
            "{id}"
        );
        assert_eq!(answer.body["id"], Value::Null);
    }
    let other = post(&agent)
        .header("Content-Type", "text/plain")
        .body("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}");
    let other = agent.send(other).await;
    assert_eq!((other.status, &other.body["id"]), (415, &json!(7)));
}

#[tokio::test]
async fn a_cursor_that_no_list_gave_is_refused() {
    let app = TestApp::start().await;
    let agent = register(&app).await;
    for list in [
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
    ] {
        let answer = ask(&agent, list, json!({"cursor": "junk"})).await;
        assert_eq!(
            answer.body["error"]["code"], -32602,
            "{list}: {:#}",
            answer.body
        );
    }
}

#[tokio::test]
async fn a_tool_that_fails_names_the_request_in_the_servers_log() {
    let cast = Cast::assemble().await;
    let failed = call(&cast.agent, "read_note", json!({"note_id": Uuid::now_v7()})).await;
    let correlation_id = failed.header("daybook-correlation-id");
    assert_eq!(problem(&failed)["correlation_id"], correlation_id);
}
