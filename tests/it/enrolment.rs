//! Two people count as two only if nobody holds the keys of both.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::cast::{Cast, approve, retitle};
use crate::harness::{Client, OwnApp, id};

/// Issues a key for a new person; the issuer has seen it.
async fn person(by: &Client) -> (Client, Uuid) {
    let body = json!({"name": "bob", "actor": {"kind": "person"}, "scopes": ["*"]});
    let key = by.post("/v1/api-keys", body).await.expect(201);
    let client = by.holding(&key);
    (client, id(&key))
}

async fn works(client: &Client) -> bool {
    client.get("/v1/me").await.status == 200
}

#[tokio::test]
async fn an_enrolled_key_is_known_to_its_holder_alone() {
    let app = OwnApp::start().await;
    let cast = Cast::on(app.clone()).await;
    let issued = cast.app.actor("person", &["notes:read"]).await;
    let me = issued.get("/v1/me").await.expect(200);
    let before = &me["credential"];
    assert_eq!(
        (&before["enrolled"], &before["controller"]),
        (&json!(false), &json!(Uuid::nil()))
    );
    let answer = issued.post_empty("/v1/api-keys/enrol").await.expect(200);
    assert_eq!(answer["id"], before["id"]);
    let enrolled = issued.holding(&answer);
    let (old, new) = (works(&issued).await, works(&enrolled).await);
    assert_eq!(
        (old, new),
        (false, true),
        "what the operator has seen ends at once"
    );
    let me = enrolled.get("/v1/me").await.expect(200);
    let after = &me["credential"];
    assert_eq!(
        (&after["enrolled"], &after["controller"]),
        (&json!(true), &json!(issued.actor_id))
    );
    let again = enrolled.post_empty("/v1/api-keys/enrol").await;
    again.expect_problem(409, "api_key_enrolled");
    let log = json!(cast.app.operator.events("").await).to_string();
    assert!(!log.contains(&enrolled.key["dbk_".len()..][..64]));
}

#[tokio::test]
async fn whoever_issued_the_keys_of_two_people_is_no_second_pair_of_eyes() {
    let cast = Cast::assemble().await;
    let (one, two) = (
        cast.app.actor("person", &["*"]).await,
        cast.app.actor("person", &["*"]).await,
    );
    for person in [&one, &two] {
        cast.app
            .alice
            .admit(cast.workspace_id, person, "editor")
            .await;
    }
    let note = cast.note("Tea").await;
    let actions = json!([retitle(&note, "Green tea")]);
    let proposal = cast.propose_as(&one, actions).await;
    let both = approve(&two, &proposal).await;
    both.expect_problem(422, "proposal_not_independent");
    assert_eq!(cast.now(&note).await, note);
    let two = two.enrolled().await;
    let applied = approve(&two, &proposal).await.expect(200);
    assert_eq!(applied["status"], "applied");
    assert_eq!(applied["approvals"][0]["controlled_by"], Value::Null);
}

#[tokio::test]
async fn whoever_issued_the_keys_of_two_people_is_no_quorum() {
    let cast = Cast::assemble().await;
    cast.policy(json!({"quorum": 2})).await;
    let mut people = vec![];
    for _ in 0..2 {
        let person = cast.app.actor("person", &["*"]).await;
        cast.app
            .alice
            .admit(cast.workspace_id, &person, "editor")
            .await;
        people.push(person);
    }
    let note = cast.note("Tea").await;
    let proposal = cast.retitle(&note, "Green tea").await;
    let first = approve(&people[0], &proposal).await.expect(200);
    assert_eq!(first["approvals"][0]["controlled_by"], json!(Uuid::nil()));
    let second = approve(&people[1], &proposal).await;
    second.expect_problem(422, "proposal_not_independent");
    let applied = approve(&cast.editor, &proposal).await.expect(200);
    assert_eq!(applied["status"], "applied");
}

#[tokio::test]
async fn people_whom_a_member_made_up_count_as_that_member_until_the_operator_vouches() {
    let cast = Cast::assemble().await;
    let alice = &cast.app.alice;
    let (bob, _) = person(alice).await;
    let bob = bob.enrolled().await;
    let (eve, _) = person(&bob).await;
    let eve = eve.enrolled().await;
    for person in [&bob, &eve] {
        alice.admit(cast.workspace_id, person, "editor").await;
    }
    let note = cast.note("Tea").await;
    let proposal = cast
        .propose_as(alice, json!([retitle(&note, "Green tea")]))
        .await;
    for puppet in [&bob, &eve] {
        let answer = approve(puppet, &proposal).await;
        answer.expect_problem(422, "proposal_not_independent");
    }
    // For an agent's proposal, one of them suffices.
    let agents = cast
        .propose(json!([{"type": "note.create", "title": "X", "body": ""}]))
        .await;
    assert_eq!(
        approve(&eve, &agents).await.expect(200)["status"],
        "applied"
    );
    let actor = json!({"kind": "person", "id": bob.actor_id});
    let body =
        json!({"name": "bob", "product_id": cast.app.product_id, "actor": actor, "scopes": ["*"]});
    let key = cast
        .app
        .operator
        .post("/v1/api-keys", body)
        .await
        .expect(201);
    let vouched = bob.holding(&key);
    let applied = approve(&vouched.enrolled().await, &proposal)
        .await
        .expect(200);
    assert_eq!(applied["status"], "applied");
}

#[tokio::test]
async fn the_issuer_of_a_persons_key_cannot_rotate_it_and_the_operator_takes_it_over_openly() {
    let cast = Cast::assemble().await;
    let (bob, key_id) = person(&cast.app.alice).await;
    let rotate = format!("/v1/api-keys/{key_id}/rotate");
    let issuers = cast.app.alice.post_empty(&rotate).await;
    issuers.expect_problem(403, "api_key_not_yours");
    let own = bob
        .post(&rotate, json!({"overlap_seconds": 0}))
        .await
        .expect(200);
    assert_ne!(own["key"], json!(bob.key));

    let note = cast.note("Tea").await;
    let proposal = cast
        .propose_as(&cast.app.alice, json!([retitle(&note, "Green tea")]))
        .await;
    let editors = cast.editor.get("/v1/me").await.expect(200);
    let path = format!(
        "/v1/api-keys/{}/rotate",
        editors["credential"]["id"].as_str().unwrap()
    );
    let taken = cast.app.operator.post_empty(&path).await.expect(200);
    assert_eq!(
        (&taken["enrolled"], &taken["controller"]),
        (&json!(false), &json!(Uuid::nil()))
    );
    // Alice controls her own key, so the operator counts as another approver, and is named.
    let taken = cast.editor.holding(&taken);
    let applied = approve(&taken, &proposal).await.expect(200);
    assert_eq!(applied["approvals"][0]["controlled_by"], json!(Uuid::nil()));
    assert_eq!(applied["status"], "applied");
}
