//! If connections break, the log has each acknowledged append once, and nothing else.

use store::{Append, Expected};

use super::load::Load;
use super::proxy::{Cut, Proxy};
use crate::backend::{Backend as _, Postgres, node_on};
use crate::harness::{
    AppendExt as _, append, append_at_once, append_to, assert_holds_exactly, event, in_time, log,
    new_stream, receipt_key,
};

const TERMINATE_ALL: &str = "
select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_where_connections_are_terminated_under_load() {
    in_time(async {
        let backend = Postgres::start().await;
        let load = Load::on(&[backend.node().await, backend.node().await]);
        for _ in 0..10 {
            load.goes_on(100).await;
            let client = backend.client().await;
            client.batch_execute(TERMINATE_ALL).await.unwrap();
        }
        load.goes_on(100).await;
        load.ends_well().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_not_done_again() {
    in_time(cut_at_the_commit(Cut::Answer)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_does_not_arrive_is_done_again() {
    in_time(cut_at_the_commit(Cut::Request)).await;
}

async fn cut_at_the_commit(cut: Cut) {
    let backend = Postgres::start().await;
    let proxy = Proxy::to(&backend.config).await;
    let nodes = [node_on(proxy.config()).await];
    let mut acknowledged = vec![];
    for appends in groups() {
        proxy.cut(cut);
        for (append, outcome) in append_at_once(&nodes, appends).await {
            acknowledged.push((append, outcome.unwrap()));
        }
        proxy.has_cut().await;
        let log = log(&*nodes[0]).await;
        assert_holds_exactly(&log, &acknowledged);
    }
}

/// Builds appends of each kind, alone and together; the last group is large enough for COPY.
fn groups() -> Vec<Vec<Append>> {
    let with_key = |key, expected| {
        let stream = new_stream();
        append_to(&stream, expected, 1).with_receipt(receipt_key(key, &stream))
    };
    let several = append([event(&new_stream()), event(&new_stream())]);
    vec![
        vec![append_to(&new_stream(), Expected::Any, 2)],
        vec![append_to(&new_stream(), Expected::NoStream, 2)],
        vec![append_to(&new_stream(), Expected::Exact(0), 2)],
        vec![several.expecting(&new_stream(), Expected::NoStream)],
        vec![append([]).expecting(&new_stream(), Expected::NoStream)],
        vec![with_key(1, Expected::Any)],
        vec![with_key(2, Expected::NoStream)],
        (3..30)
            .map(|n| match n % 3 {
                0 => with_key(n, Expected::NoStream),
                1 => append_to(&new_stream(), Expected::Any, 1),
                _ => append_to(&new_stream(), Expected::NoStream, 1),
            })
            .collect(),
        (30..90)
            .map(|n| match n % 2 {
                0 => with_key(n, Expected::NoStream),
                _ => append_to(&new_stream(), Expected::NoStream, 1),
            })
            .collect(),
    ]
}
