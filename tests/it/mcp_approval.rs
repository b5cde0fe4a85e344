//! An approval that is offered during an agent's call: only a person with a key of their own can give it.

use serde_json::{Value, json};

use crate::harness::{Answer, OwnApp, Server, eventually, items};
use crate::mcp::{Cast, register};
use crate::mcp_wire::{STATELESS, WITH_HANDSHAKE, call, request_with, structured};

/// Calls `propose_changes` and waits for a person, like a client that can open addresses.
async fn waiting(cast: &Cast, version: &str, more: Value) -> Answer {
    let mut arguments = cast.proposal();
    arguments["wait_for_approval"] = json!(true);
    let mut params = json!({"name": "propose_changes", "arguments": arguments});
    for (name, value) in more.as_object().unwrap() {
        params[name] = value.clone();
    }
    let opens = json!({"elicitation": {"url": {}}});
    let request = request_with(&cast.agent, version, "tools/call", params, &opens);
    cast.agent.send(request).await
}

#[tokio::test]
async fn an_approval_is_offered_within_the_call_and_a_person_gives_it() {
    let approval = ("DAYBOOK_MCP_APPROVAL_URL", "https://app.example.com/{id}");
    let app = OwnApp::start_with(&[approval]).await;
    let cast = Cast::on(app.clone()).await;
    let asked = waiting(&cast, STATELESS, json!({})).await.expect(200)["result"].clone();
    assert_eq!(asked["resultType"], "input_required");
    let elicitation = &asked["inputRequests"]["approval"];
    assert_eq!(elicitation["method"], "elicitation/create");
    assert_eq!(elicitation["params"]["mode"], "url");
    let proposal_id = cast.app.alice.ids("/v1/proposals").await[0];
    let address = format!("https://app.example.com/{proposal_id}");
    assert_eq!(elicitation["params"]["url"], address);
    let message = elicitation["params"]["message"].as_str().unwrap();
    assert!(message.contains("the title says little"), "{message}");

    // The agent's own client reports an approval, which approves nothing.
    let back = |action: &str| json!({"requestState": asked["requestState"], "inputResponses": {"approval": {"action": action}}});
    let declined = structured(waiting(&cast, STATELESS, back("decline")).await);
    assert_eq!(declined["status"], "pending");
    let path = format!("/v1/proposals/{proposal_id}/approve");
    let hash = declined["actions_hash"].clone();
    let approve = async {
        let approval = json!({"actions_hash": hash});
        let approve = cast.app.alice.post(&path, approval);
        approve.await.expect(200);
    };
    let (answer, ()) = tokio::join!(waiting(&cast, STATELESS, back("accept")), approve);
    assert_eq!(structured(answer)["status"], "applied");
    assert_eq!(cast.app.alice.ids("/v1/proposals").await.len(), 1);
    let outcomes: Vec<Value> = (cast.calls("").await.iter())
        .map(|call| call["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["ok", "ok", "input_required"]);
    for call in cast.calls("").await {
        assert_eq!(call["proposal_id"], json!(proposal_id), "{call:#}");
    }
}

#[tokio::test]
async fn whoever_says_accept_without_a_decision_is_asked_again() {
    let app = OwnApp::start_with(&[("DAYBOOK_REQUEST_TIMEOUT", "5")]).await;
    let cast = Cast::on(app.clone()).await;
    let asked = waiting(&cast, STATELESS, json!({})).await.expect(200)["result"].clone();
    let state = asked["requestState"].clone();
    for responses in [json!({"approval": {"action": "accept"}}), json!({})] {
        let back = json!({"requestState": state, "inputResponses": responses});
        let again = waiting(&cast, STATELESS, back).await.expect(200);
        assert_eq!(again["result"]["resultType"], "input_required");
    }
    let proposals = items(cast.app.alice.get("/v1/proposals").await.expect(200));
    assert_eq!(proposals.len(), 1);
    assert_eq!(proposals[0]["status"], "pending");
}

#[tokio::test]
async fn a_state_that_was_tampered_with_or_is_anothers_is_refused() {
    let cast = Cast::assemble().await;
    let asked = waiting(&cast, STATELESS, json!({})).await.expect(200)["result"].clone();
    let state = asked["requestState"].as_str().unwrap();
    let mut forged = state.to_owned();
    let last = if forged.pop() == Some('A') { 'B' } else { 'A' };
    forged.push(last);
    for bad in [forged.as_str(), "", "rs1.AAAA.BBBB"] {
        let back = json!({"requestState": bad, "inputResponses": {}});
        let refused = waiting(&cast, STATELESS, back).await;
        assert_eq!(refused.body["error"]["code"], -32602);
        assert_eq!(
            refused.body["error"]["data"]["code"],
            "request_state_invalid"
        );
    }
    let other = register(&cast.app).await;
    cast.app
        .alice
        .admit(cast.workspace_id, &other, "agent")
        .await;
    let theirs = Cast {
        agent: other,
        ..cast
    };
    let back = json!({"requestState": state, "inputResponses": {}});
    let refused = waiting(&theirs, STATELESS, back).await;
    assert_eq!(
        refused.body["error"]["data"]["code"],
        "request_state_invalid"
    );
}

#[tokio::test]
async fn a_client_that_cannot_ask_is_told_that_it_waits() {
    let cast = Cast::assemble().await;
    let old = waiting(&cast, WITH_HANDSHAKE, json!({})).await;
    assert_eq!(structured(old)["status"], "pending");
    let mut arguments = cast.proposal();
    arguments["wait_for_approval"] = json!(true);
    let unable = call(&cast.agent, "propose_changes", arguments).await;
    assert_eq!(structured(unable)["status"], "pending");
}

#[tokio::test]
async fn another_node_answers_as_well() {
    let app = OwnApp::start().await;
    let cast = Cast::on(app.clone()).await;
    let second = Server::start(&app.database_url, &[]).await;
    let asked = waiting(&cast, STATELESS, json!({})).await.expect(200)["result"].clone();
    let there = Cast {
        agent: cast.agent.at(&second.url),
        ..cast
    };
    let back = json!({"requestState": asked["requestState"], "inputResponses": {"approval": {"action": "cancel"}}});
    let told = structured(waiting(&there, STATELESS, back).await);
    assert_eq!(told["status"], "pending");
    eventually(async || {
        let calls = there.calls("").await;
        (calls.len() == 2).then_some(())
    })
    .await;
}
