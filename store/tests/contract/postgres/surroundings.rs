//! Changes to the machine or to the database's settings do not affect the log.

use store::{Database, Purpose};
use tokio_postgres::Client;

use crate::backend::{Backend as _, Postgres, is_so};
use crate::harness::{given, in_time, log, new_stream};
use crate::suite::order::appends_of_two_nodes_are_there_once_and_without_gap;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stricter_default_isolation_does_no_harm() {
    in_time(async {
        let backend = Postgres::start().await;
        let name = backend.config.get_dbname().unwrap();
        let stricter =
            format!("alter database {name} set default_transaction_isolation = 'serializable'");
        backend
            .client()
            .await
            .batch_execute(&stricter)
            .await
            .unwrap();

        appends_of_two_nodes_are_there_once_and_without_gap(&backend).await;
    })
    .await;
}

#[tokio::test]
async fn no_statement_is_compiled_where_all_others_are() {
    in_time(async {
        let backend = Postgres::start().await;
        let name = backend.config.get_dbname().unwrap();
        let compile = format!(
            "alter database {name} set jit = on; alter database {name} set jit_above_cost = 0"
        );
        let client = backend.client().await;
        client.batch_execute(&compile).await.unwrap();
        let database = Database::open(backend.config.clone()).await.unwrap();

        assert!(!is_compiled(&database.session(Purpose::Queries).await.unwrap()).await);
        assert!(!is_compiled(&database.connect("test").await.unwrap()).await);
        let others = backend.client().await;
        let can = is_so(&others, "select pg_jit_available()").await;
        assert_eq!(is_compiled(&others).await, can);
    })
    .await;
}

async fn is_compiled(client: &Client) -> bool {
    let explain = "explain analyze select from log.head for update";
    let plan = client.query(explain, &[]).await.unwrap();
    plan.iter().any(|line| line.get::<_, &str>(0) == "JIT:")
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_turn_time_round() {
    in_time(async {
        let backend = Postgres::start().await;
        let store = backend.node().await;
        let client = backend.client().await;
        let as_if_appended_an_hour_later =
            "update log.head set recorded_at = now() + interval '1 hour'";
        client
            .batch_execute(as_if_appended_an_hour_later)
            .await
            .unwrap();
        let row = client
            .query_one("select recorded_at from log.head", &[])
            .await;
        let latest: chrono::DateTime<chrono::Utc> = row.unwrap().get(0);

        let first = given(&*store, &new_stream(), 1).await;
        given(&*backend.node().await, &new_stream(), 1).await;

        assert_eq!(first.recorded_at, latest);
        assert!(
            log(&*store)
                .await
                .iter()
                .all(|event| event.recorded_at >= latest)
        );
    })
    .await;
}
