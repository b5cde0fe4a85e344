//! `kill -9` at random times under load: every acknowledged command is in the log, once.

use std::path::Path;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tokio::process::Command;

use crate::harness::{OwnApp, Server, command, eventually, serve};
use crate::load::{Crew, Subscriber, audit, chance, lapse_leases};

/// Failing receivers are retried at once: the server is under test here.
const SCHEDULE: (&str, &str) = ("DAYBOOK_WEBHOOKS_SCHEDULE", "0s,0s,0s,1s,1s,1s,1s,1s,1s,1s");

/// Kills the server repeatedly while a crew works, then audits the result.
async fn survive(
    mut app: OwnApp,
    mut command: Command,
    hands: usize,
    rounds: usize,
    mut chance: StdRng,
) {
    let subscriber = Subscriber::subscribe(&app.alice).await;
    let crew = Crew::hire(&app, &[&app.url]).await;
    let shift = crew.work(hands, &mut chance);
    for _ in 0..rounds {
        subscriber.stumble();
        crew.acknowledged(chance.random_range(5..40)).await;
        // A time within a command, a delivery or a batch.
        tokio::time::sleep(Duration::from_micros(chance.random_range(0..30_000))).await;
        app.server.process.kill().await.unwrap();
        let server = Server::launch(&mut command).await;
        assert_eq!(server.operator_key, None, "it is handed over once");
        app = OwnApp::moved(&app.app, server, app.database_url);
        lapse_leases(&app.database_url).await;
        crew.move_to(&[&app.url]);
    }
    crew.acknowledged(10).await;
    shift.rest().await;
    audit(&app, &app.url, &crew, &subscriber).await;
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_or_doubled_however_often_the_server_is_killed() {
    let app = OwnApp::start_with(&[SCHEDULE]).await;
    let command = serve(&app.database_url, &[SCHEDULE]);
    survive(app, command, 5, 5, chance()).await;
}

/// Builds a server command with a private PostgreSQL.
fn private(data_dir: &Path) -> Command {
    // No log, because losing the database is expected here.
    let mut command = command("", &[SCHEDULE, ("DAYBOOK_LOG", "off")]);
    command
        .env_remove("DATABASE_URL")
        .env_remove("DAYBOOK_SECRET_KEY")
        .env_remove("DAYBOOK_OPERATOR_KEY_FILE")
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data_dir);
    command
}

/// Returns a line of PostgreSQL's pid file: the first is its process, the fifth the directory of its socket.
fn postgres_says(data_dir: &Path, line: usize) -> String {
    let said = std::fs::read_to_string(data_dir.join("postgres/postmaster.pid")).unwrap();
    said.lines().nth(line).unwrap().trim().to_owned()
}

async fn start_private(data_dir: &Path) -> OwnApp {
    let server = Server::launch(&mut private(data_dir)).await;
    let socket = postgres_says(data_dir, 4);
    let url = format!("postgresql:///daybook?host={socket}&user=postgres");
    OwnApp::on(server, url).await
}

#[tokio::test]
async fn nor_where_its_private_postgresql_dies_with_it() {
    let data_dir = store::testing::directory();
    let app = start_private(&data_dir).await;
    survive(app, private(&data_dir), 3, 2, chance()).await;
}

#[tokio::test]
async fn nor_where_the_private_postgresql_is_killed_under_a_running_server() {
    let mut chance = chance();
    let data_dir = store::testing::directory();
    let app = start_private(&data_dir).await;
    let subscriber = Subscriber::subscribe(&app.alice).await;
    let crew = Crew::hire(&app, &[&app.url]).await;
    let shift = crew.work(3, &mut chance);
    crew.acknowledged(chance.random_range(5..40)).await;
    let before = postgres_says(&data_dir, 0);
    let killed = Command::new("kill").args(["-9", &before]).status().await;
    assert!(killed.unwrap().success());
    eventually(async || {
        let now = std::fs::read_to_string(data_dir.join("postgres/postmaster.pid")).ok()?;
        (now.contains("ready") && !now.starts_with(&before)).then_some(())
    })
    .await;
    crew.acknowledged(20).await;
    shift.rest().await;
    lapse_leases(&app.database_url).await;
    audit(&app, &app.url, &crew, &subscriber).await;
}
