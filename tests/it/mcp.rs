//! The MCP interface for agents: they read, propose and follow their proposals; and every call is in the log.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Client, OwnApp, Server, TestApp, id, items};
use crate::mcp_wire::{STATELESS, TOOLS, VERSIONS, ask, assert_problem, call, request, structured};

/// A registered agent in a workspace of Alice's, and a note there.
pub struct Cast {
    pub app: TestApp,
    pub agent: Client,
    pub workspace_id: Uuid,
    pub note: Value,
}

impl Cast {
    pub async fn assemble() -> Self {
        Self::on(TestApp::start().await).await
    }

    pub async fn on(app: TestApp) -> Self {
        let agent = register(&app).await;
        let workspace_id = app.alice.workspace().await;
        app.alice.admit(workspace_id, &agent, "agent").await;
        let note = app.alice.note(workspace_id, "Tea", "Steep it.").await;
        let cast = Self {
            app,
            agent,
            workspace_id,
            note,
        };
        cast.see().await;
        cast
    }

    /// Waits until reads see all events.
    async fn see(&self) {
        for path in [
            "notes",
            "tasks",
            "proposals",
            "links",
            "workspaces",
            "search",
            "artifacts",
        ] {
            self.app.alice.get(&format!("/v1/{path}")).await.expect(200);
        }
    }

    pub fn proposal(&self) -> Value {
        json!({
            "workspace_id": self.workspace_id, "rationale": "the title says little",
            "actions": [{"type": "note.revise", "note_id": id(&self.note), "base_version": 1, "title": "Green tea"}],
        })
    }

    async fn propose(&self) -> Value {
        structured(call(&self.agent, "propose_changes", self.proposal()).await)
    }

    async fn approve(&self, proposal: &Value) {
        let path = format!(
            "/v1/proposals/{}/approve",
            proposal["proposal_id"].as_str().unwrap()
        );
        let approval = json!({"actions_hash": proposal["actions_hash"]});
        self.app.alice.post(&path, approval).await.expect(200);
    }

    async fn status(&self, proposal: &Value) -> Value {
        let arguments = json!({"proposal_id": proposal["proposal_id"]});
        structured(call(&self.agent, "proposal_status", arguments).await)
    }

    /// Returns the recorded calls, newest first.
    pub async fn calls(&self, query: &str) -> Vec<Value> {
        let path = format!("/v1/tool-calls?{query}");
        items(self.app.alice.get(&path).await.expect(200))
    }
}

/// Registers an agent; returns a client with its key.
pub async fn register(app: &TestApp) -> Client {
    let agent = app.alice.post("/v1/agents", json!({"name": "Librarian"}));
    let agent = agent.await.expect(201);
    let mut client = Client::new(&app.url, agent["key"].as_str().unwrap());
    client.actor_id = id(&agent);
    client
}

#[tokio::test]
async fn a_note_is_read_with_its_links_as_it_is_and_as_it_was() {
    let cast = Cast::assemble().await;
    let alice = &cast.app.alice;
    let pot = alice.note(cast.workspace_id, "Pot", "For [[Tea]].").await;
    let path = format!("/v1/notes/{}", id(&cast.note));
    let revised = alice.patch(&path, json!({"body": "In a [[Pot]]."})).await;
    let revised = revised.expect(200);
    cast.see().await;

    let arguments = json!({"note_id": id(&cast.note)});
    let read = structured(call(&cast.agent, "read_note", arguments).await);
    assert_eq!(read["note"], revised);
    assert_eq!(read["links"][0]["target_id"], pot["id"]);
    assert_eq!(read["backlinks"][0]["source_id"], pot["id"]);
    assert_eq!(read["links_truncated"], false);

    let attached = json!({"url": "https://tea.example/", "name": "tea", "media_type": "text/html"});
    let attached = alice
        .post(&format!("{path}/artifacts"), attached)
        .await
        .expect(201);
    cast.see().await;
    let arguments = json!({"note_id": id(&cast.note)});
    let read = structured(call(&cast.agent, "read_note", arguments).await);
    assert_eq!(read["artifacts"], json!([attached]));

    let arguments = json!({"note_id": id(&cast.note), "version": 1});
    let read = structured(call(&cast.agent, "read_note", arguments).await);
    assert_eq!(read["note"], cast.note);
    let arguments = json!({"note_id": id(&cast.note), "version": 3});
    let beyond = call(&cast.agent, "read_note", arguments).await;
    assert_problem(&beyond, 404, "not_found");
}

#[tokio::test]
async fn notes_are_found_by_their_words() {
    let cast = Cast::assemble().await;
    let alice = &cast.app.alice;
    for title in ["Steep paths", "Water", "Stone"] {
        alice.note(cast.workspace_id, title, "").await;
    }
    cast.see().await;
    let find = async |arguments| structured(call(&cast.agent, "search_notes", arguments).await);
    let first = find(json!({"query": "steep", "limit": 1})).await;
    assert_eq!(first["items"][0]["title"], "Steep paths");
    let rest = json!({"query": "steep", "limit": 1, "cursor": first["next_cursor"]});
    let rest = find(rest).await;
    assert_eq!(rest["items"][0]["note_id"], cast.note["id"]);
    assert_eq!(rest["items"][0]["snippet"], "Steep it.");
    assert_eq!(rest["next_cursor"], Value::Null);
    let elsewhere = json!({"query": "steep", "workspace_id": Uuid::now_v7()});
    assert_eq!(find(elsewhere).await["items"], json!([]));
    let bad = json!({"query": "steep", "cursor": "here"});
    let bad = call(&cast.agent, "search_notes", bad).await;
    assert_problem(&bad, 400, "validation_failed");
}

#[tokio::test]
async fn tasks_are_listed_with_the_filters_and_pages_of_the_api() {
    let cast = Cast::assemble().await;
    for title in ["one", "two", "three"] {
        let task = json!({"workspace_id": cast.workspace_id, "title": title, "labels": [title]});
        cast.app.alice.post("/v1/tasks", task).await.expect(201);
    }
    cast.see().await;
    let list = async |arguments| structured(call(&cast.agent, "list_tasks", arguments).await);
    let titles = |page: &Value| {
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|task| task["title"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let first = list(json!({"status": "open", "limit": 2})).await;
    assert_eq!(titles(&first), ["three", "two"]);
    let rest = list(json!({"status": "open", "limit": 2, "cursor": first["next_cursor"]})).await;
    assert_eq!(titles(&rest), ["one"]);
    assert_eq!(titles(&list(json!({"label": "two"})).await), ["two"]);
    let none: [&str; 0] = [];
    assert_eq!(titles(&list(json!({"assignee": "me"})).await), none);
}

#[tokio::test]
async fn what_is_proposed_is_approved_by_a_person_and_the_log_says_what_caused_what() {
    let cast = Cast::assemble().await;
    let proposal = cast.propose().await;
    assert_eq!(proposal["status"], "pending");
    cast.approve(&proposal).await;
    let status = cast.status(&proposal).await;
    assert_eq!(status["status"], "applied");
    assert_eq!(status["notes"][0]["version"], 2);

    let log = cast
        .app
        .alice
        .events("category=note,proposal,tool_call")
        .await;
    let mut cause = Value::Null;
    for event_type in [
        "tool_call.recorded",
        "proposal.submitted",
        "proposal.approved",
        "note.revised",
    ] {
        let mut events = log.iter();
        let event = events.find(|event| event["type"] == event_type).unwrap();
        assert_eq!(event["metadata"]["causation_id"], cause, "{event_type}");
        cause = event["event_id"].clone();
    }
}

#[tokio::test]
async fn a_proposal_is_withdrawn_by_its_proposer() {
    let cast = Cast::assemble().await;
    let proposal = cast.propose().await;
    let arguments = json!({"proposal_id": proposal["proposal_id"]});
    let withdrawn = structured(call(&cast.agent, "withdraw_proposal", arguments.clone()).await);
    assert_eq!(withdrawn["status"], "withdrawn");
    assert_eq!(cast.status(&proposal).await["status"], "withdrawn");
    let again = call(&cast.agent, "withdraw_proposal", arguments).await;
    assert_problem(&again, 409, "proposal_not_pending");
}

#[tokio::test]
async fn a_conflict_is_told() {
    let cast = Cast::assemble().await;
    let proposal = cast.propose().await;
    let path = format!("/v1/notes/{}", id(&cast.note));
    let preview = cast.status(&proposal).await["preview"].take();
    assert_eq!(preview["applies"], true);
    assert_eq!(preview["notes"][0]["title"], "Green tea");
    let edit = json!({"title": "Black tea"});
    cast.app.alice.patch(&path, edit).await.expect(200);
    assert_eq!(cast.status(&proposal).await["preview"]["applies"], false);
    cast.approve(&proposal).await;
    let status = cast.status(&proposal).await;
    assert_eq!(status["status"], "failed");
    assert_eq!(status["conflicts"][0]["current_version"], 2);
}

#[tokio::test]
async fn under_one_key_the_same_is_proposed_once() {
    let cast = Cast::assemble().await;
    let mut arguments = cast.proposal();
    arguments["idempotency_key"] = json!("k");
    let first = structured(call(&cast.agent, "propose_changes", arguments.clone()).await);
    let again = structured(call(&cast.agent, "propose_changes", arguments.clone()).await);
    assert_eq!(again, first);
    arguments["rationale"] = json!("another");
    let other = call(&cast.agent, "propose_changes", arguments).await;
    assert_problem(&other, 422, "idempotency_key_reused");
    assert_eq!(cast.app.alice.ids("/v1/proposals").await.len(), 1);
    let outcomes: Vec<Value> = (cast.calls("").await.iter())
        .map(|call| call["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["idempotency_key_reused", "replayed", "ok"]);
}

#[tokio::test]
async fn every_call_is_recorded_however_it_ends() {
    let cast = Cast::assemble().await;
    let correlation_id = Uuid::now_v7();
    let read = async |note_id: Uuid, run: &str| {
        let params = json!({
            "name": "read_note", "arguments": {"note_id": note_id}, "_meta": {"daybook/run_id": run},
        });
        let request = request(&cast.agent, STATELESS, "tools/call", params)
            .header("Daybook-Correlation-Id", correlation_id.to_string());
        cast.agent.send(request).await
    };
    structured(read(id(&cast.note), "night").await);
    assert_problem(&read(Uuid::nil(), "night").await, 404, "not_found");
    let malformed = call(&cast.agent, "read_note", json!({"note": 1})).await;
    assert_problem(&malformed, 400, "validation_failed");

    let long = "r".repeat(201);
    assert_eq!(
        read(id(&cast.note), &long).await.body["error"]["code"],
        -32602
    );
    let calls = cast.calls("run_id=night&tool=read_note").await;
    assert_eq!(calls.len(), 2);
    let [absent, read] = [&calls[0], &calls[1]];
    assert_eq!(absent["outcome"], "not_found");
    assert_eq!(read["outcome"], "ok");
    assert_eq!(read["note_id"], cast.note["id"]);
    assert_eq!(read["protocol_version"], STATELESS);
    assert_eq!(read["correlation_id"], json!(correlation_id));
    assert_eq!(
        read["actor"],
        json!({"kind": "agent", "id": cast.agent.actor_id})
    );
    assert!(read["duration_ms"].is_u64());
    let all = cast.calls(&format!("agent={}", cast.agent.actor_id)).await;
    assert_eq!(all[0]["outcome"], "validation_failed");
    assert_eq!(all.len(), 3);
    // Calls record neither the text of notes nor the arguments, which may have to be purged one day.
    let log = cast.app.alice.events("category=tool_call").await;
    let log = serde_json::to_string(&log).unwrap();
    assert!(
        !log.contains("Steep") && !log.contains("title says"),
        "{log}"
    );
}

#[tokio::test]
async fn a_call_that_cannot_be_recorded_is_not_answered() {
    let app = OwnApp::start().await;
    let cast = Cast::on(app.clone()).await;
    let hasty = [("DAYBOOK_REQUEST_TIMEOUT", "1")];
    let hasty = Server::start(&app.database_url, &hasty).await;
    let mut sql = app.sql().await;
    let hold = sql.transaction().await.unwrap();
    hold.execute("select * from log.head for update", &[])
        .await
        .unwrap();
    let arguments = json!({"note_id": id(&cast.note)});
    let answer = call(&cast.agent.at(&hasty.url), "read_note", arguments.clone()).await;
    answer.expect_problem(503, "timed_out");
    hold.rollback().await.unwrap();
    structured(call(&cast.agent, "read_note", arguments).await);
}

#[tokio::test]
async fn every_version_is_spoken_without_a_session() {
    let cast = Cast::assemble().await;
    for version in VERSIONS {
        let send = async |method: &str, params: Value| {
            let request = request(&cast.agent, version, method, params);
            cast.agent.send(request).await
        };
        if version == STATELESS {
            let found = send("server/discover", json!({})).await.expect(200);
            assert_eq!(found["result"]["supportedVersions"], json!(VERSIONS));
        } else {
            let hello = json!({
                "protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"},
            });
            let answer = send("initialize", hello).await;
            assert!(!answer.headers.contains_key("mcp-session-id"));
            let hello = answer.expect(200);
            assert_eq!(hello["result"]["protocolVersion"], version);
            assert_eq!(hello["result"]["serverInfo"]["name"], "daybook");
            send("ping", json!({})).await.expect(200);
        }
        let tools = send("tools/list", json!({})).await.expect(200);
        let names = tools["result"]["tools"].as_array().unwrap().iter();
        let names: Vec<&str> = names.map(|tool| tool["name"].as_str().unwrap()).collect();
        assert_eq!(names, TOOLS, "{version}");
        let read = json!({"name": "read_note", "arguments": {"note_id": id(&cast.note)}});
        let read = send("tools/call", read).await.expect(200);
        assert_eq!(read["result"]["structuredContent"]["note"], cast.note);
        let is_newest = version == STATELESS;
        assert_eq!(read["result"]["resultType"] == "complete", is_newest);
        let absent = json!({"uri": format!("note://{}", Uuid::now_v7())});
        let absent = send("resources/read", absent).await.expect(200);
        let code = if is_newest { -32602 } else { -32002 };
        assert_eq!(absent["error"]["code"], code, "{version}");
    }
}

#[tokio::test]
async fn tools_answer_as_they_describe_themselves() {
    let cast = Cast::assemble().await;
    let tools = ask(&cast.agent, "tools/list", json!({})).await.expect(200);
    let tools = tools["result"]["tools"].as_array().unwrap().clone();
    for tool in &tools {
        let name = tool["name"].as_str().unwrap();
        let reads = !matches!(name, "propose_changes" | "withdraw_proposal");
        assert_eq!(tool["annotations"]["readOnlyHint"], reads, "{name}");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{name}");
        let proposal_id = || async { cast.propose().await["proposal_id"].clone() };
        let arguments = match name {
            "search_notes" => json!({"query": "steep"}),
            "read_note" => json!({"note_id": id(&cast.note)}),
            "list_tasks" => json!({"limit": 1}),
            "propose_changes" => cast.proposal(),
            _ => json!({"proposal_id": proposal_id().await}),
        };
        let input = jsonschema::draft202012::new(&tool["inputSchema"]).unwrap();
        assert!(input.is_valid(&arguments), "{name}");
        let output = jsonschema::draft202012::new(&tool["outputSchema"]).unwrap();
        let answered = structured(call(&cast.agent, name, arguments.clone()).await);
        let faults: Vec<String> = (output.iter_errors(&answered))
            .map(|fault| fault.to_string())
            .collect();
        assert!(faults.is_empty(), "{name}: {faults:?}");

        let mut misspelt = arguments;
        misspelt["colour"] = json!("blue");
        assert!(!input.is_valid(&misspelt), "{name}");
        let refused = call(&cast.agent, name, misspelt).await;
        assert_problem(&refused, 400, "validation_failed");
    }
    assert_eq!(tools.len(), TOOLS.len());
}

#[tokio::test]
async fn notes_are_resources() {
    let cast = Cast::assemble().await;
    for n in 0..100 {
        let title = format!("Note {n}");
        cast.app.alice.note(cast.workspace_id, &title, "").await;
    }
    cast.see().await;
    let list = async |params| ask(&cast.agent, "resources/list", params).await.expect(200);
    let first = list(json!({})).await["result"].clone();
    let listed = first["resources"].as_array().unwrap();
    assert_eq!(
        (&listed[0]["uri"], listed.len()),
        (&json!("daybook://workspaces"), 101)
    );
    let rest = list(json!({"cursor": first["nextCursor"]})).await["result"].clone();
    let uri = format!("note://{}", id(&cast.note));
    assert_eq!(rest["resources"][0]["uri"], uri);
    assert_eq!(rest["resources"][0]["title"], "Tea");
    assert_eq!(rest.get("nextCursor"), None);

    let read = ask(&cast.agent, "resources/read", json!({"uri": uri})).await;
    let read = read.expect(200)["result"].clone();
    assert_eq!(read["cacheScope"], "private");
    let contents = &read["contents"][0];
    assert_eq!(contents["mimeType"], "text/markdown");
    let text = contents["text"].as_str().unwrap();
    assert!(text.starts_with("---\nid: \""), "{text}");
    assert!(text.contains("\nversion: 1\ntitle: \"Tea\"\n"), "{text}");
    assert!(text.ends_with("\n---\n\nSteep it."), "{text}");

    let workspaces = json!({"uri": "daybook://workspaces"});
    let read = ask(&cast.agent, "resources/read", workspaces)
        .await
        .expect(200);
    let contents = &read["result"]["contents"][0];
    assert_eq!(contents["mimeType"], "application/json");
    let told: Value = serde_json::from_str(contents["text"].as_str().unwrap()).unwrap();
    assert_eq!(told["workspaces"][0]["id"], json!(cast.workspace_id));
    assert_eq!(told["workspaces"][0]["role"], "agent");
    assert_eq!(told["workspaces"][1], Value::Null);
}

#[tokio::test]
async fn prompts_bring_along_what_they_are_about() {
    let cast = Cast::assemble().await;
    let prompts = ask(&cast.agent, "prompts/list", json!({}))
        .await
        .expect(200);
    let prompts = prompts["result"]["prompts"].as_array().unwrap().clone();
    assert_eq!(prompts.len(), 5);
    for prompt in prompts {
        let about = prompt["arguments"][0]["name"].as_str().unwrap();
        let thing = match about {
            "note_id" => id(&cast.note),
            _ => cast.workspace_id,
        };
        let arguments = json!({about: thing.to_string(), "focus": "brevity"});
        let params = json!({"name": prompt["name"], "arguments": arguments});
        let got = ask(&cast.agent, "prompts/get", params).await.expect(200);
        let messages = &got["result"]["messages"];
        assert!(messages[0].to_string().contains(&thing.to_string()));
        assert!(
            messages[0]
                .to_string()
                .contains(&id(&cast.note).to_string())
        );
        assert!(messages[1].to_string().contains("brevity"));
        let params = json!({"name": prompt["name"], "arguments": {}});
        let lacking = ask(&cast.agent, "prompts/get", params).await;
        assert_eq!(lacking.body["error"]["code"], -32602);
    }
    let params = json!({
        "ref": {"type": "ref/prompt", "name": "summarise_note"}, "argument": {"name": "note_id", "value": "te"},
    });
    let completed = ask(&cast.agent, "completion/complete", params).await;
    let completed = completed.expect(200)["result"]["completion"].clone();
    assert_eq!(completed["values"], json!([id(&cast.note)]));
}

#[tokio::test]
async fn an_agent_has_a_quota_and_is_told_what_is_left() {
    let app = OwnApp::start_with(&[("DAYBOOK_MCP_CALLS_PER_MINUTE", "2")]).await;
    let cast = Cast::on(app.clone()).await;
    let ping = async |by: &Client| ask(by, "tools/list", json!({})).await;
    let first = ping(&cast.agent).await;
    assert_eq!(first.header("ratelimit-policy"), "\"mcp\";q=2;w=60");
    assert_eq!(first.header("ratelimit"), "\"mcp\";r=1;t=30");
    first.expect(200);
    ping(&cast.agent).await.expect(200);
    let refused = ping(&cast.agent).await;
    assert_eq!(refused.header("x-ratelimit-remaining"), "0");
    let wait: u32 = refused.header("retry-after").parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    let problem = refused.expect_problem(429, "quota_exceeded");
    assert!(
        problem["type"]
            .as_str()
            .unwrap()
            .ends_with("#quota-exceeded")
    );
    ping(&register(&cast.app).await).await.expect(200);
}
