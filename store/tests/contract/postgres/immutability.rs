//! The database itself refuses changes to the log.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::backend::{Backend as _, Postgres};
use crate::harness::{AppendExt as _, append_to, given, in_time, log, new_stream, receipt_key};
use store::Expected;

const CHANGES: [&str; 7] = [
    "update log.events set data = '{}'",
    "update log.events set position = position + 1 where false",
    "delete from log.events",
    "delete from log.events where position = 1",
    "truncate log.events",
    "truncate log.events cascade",
    "insert into log.events select * from log.events on conflict (position) do update set data = '{}'",
];

async fn refusals(client: &Client, changes: &[&str]) -> Vec<SqlState> {
    let mut refusals = vec![];
    for change in changes {
        let refusal = client.batch_execute(change).await.expect_err(change);
        refusals.push(refusal.code().unwrap().clone());
    }
    refusals
}

/// Fills a log, tries to change it, and asserts that it is unchanged.
async fn refused_on(session: &str, reason: SqlState) {
    let backend = Postgres::start().await;
    let store = backend.node().await;
    given(&*store, &new_stream(), 3).await;
    let before = log(&*store).await;
    let client = backend.client().await;
    client.batch_execute(session).await.unwrap();

    let refusals = refusals(&client, &CHANGES).await;

    assert!(
        refusals.iter().all(|found| *found == reason),
        "{refusals:?}"
    );
    assert_eq!(log(&*store).await, before);
}

#[tokio::test]
async fn the_owner_is_refused() {
    in_time(refused_on("", SqlState::INTEGRITY_CONSTRAINT_VIOLATION)).await;
}

#[tokio::test]
async fn the_owner_is_refused_without_ordinary_triggers() {
    in_time(refused_on(
        "set session_replication_role = replica",
        SqlState::INTEGRITY_CONSTRAINT_VIOLATION,
    ))
    .await;
}

#[tokio::test]
async fn daybook_has_no_right_to() {
    in_time(refused_on(
        "set role daybook_app",
        SqlState::INSUFFICIENT_PRIVILEGE,
    ))
    .await;
}

#[tokio::test]
async fn daybook_has_no_right_to_change_a_receipt_or_the_rules() {
    in_time(async {
        let backend = Postgres::start().await;
        let store = backend.node().await;
        let stream = new_stream();
        let append = append_to(&stream, Expected::Any, 1).with_receipt(receipt_key(1, &stream));
        store.append(append).await.unwrap();
        let client = backend.client().await;
        client.batch_execute("set role daybook_app").await.unwrap();

        let refusals = refusals(
            &client,
            &[
                "update log.receipts set position = 7",
                "delete from log.receipts",
                "truncate log.receipts",
                "delete from log.head",
                "insert into log.head (only_row, position, recorded_at) values (false, 1, now())",
                "alter table log.events disable trigger all",
                "drop trigger refuse_change on log.events",
                "create or replace function log.refuse_change() returns trigger language plpgsql as 'begin return null; end'",
                "set session_replication_role = replica",
                "drop table log.events",
            ],
        )
        .await;

        assert!(
            refusals.iter().all(|found| *found == SqlState::INSUFFICIENT_PRIVILEGE),
            "{refusals:?}"
        );
    })
    .await;
}
