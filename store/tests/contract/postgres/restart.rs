//! The server stops and comes back.

use std::path::Path;
use std::process::Command;

use store::testing;

use super::load::Load;
use crate::backend::node_on;
use crate::harness::in_time;

fn signal_server(data_dir: &Path, signal: &str) {
    let file = data_dir.join("postgres").join("postmaster.pid");
    let text = std::fs::read_to_string(file).unwrap();
    let pid = text.lines().next().unwrap();
    let killed = Command::new("sh")
        .args(["-c", &format!("kill -{signal} {pid}")])
        .status();
    assert!(killed.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_where_the_server_is_killed_under_load() {
    in_time(async {
        let data_dir = testing::directory();
        let mut server = testing::postgres(&data_dir).await;
        let config = server.config("daybook");
        let load = Load::on(&[node_on(&config).await, node_on(&config).await]);
        for signal in ["KILL", "QUIT", "INT"] {
            load.goes_on(200).await;
            signal_server(&data_dir, signal);
            server.stop().await.unwrap();
            server = testing::postgres(&data_dir).await;
        }
        load.goes_on(200).await;
        load.ends_well().await;
    })
    .await;
}
