//! What the same PostgreSQL can do at most: pgbench inserting one row a transaction.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

use crate::Bench;

const TABLE: &str = "drop table if exists limit_rows; \
    create table limit_rows (id bigserial primary key, data json not null)";

/// Seconds of one run.
const SECONDS: &str = "5";

/// One-row inserts per second, as many clients at a time.
pub async fn inserts_per_second(bench: &Bench, clients: usize) -> f64 {
    let script = bench.directory.join("insert.sql");
    let data = format!("{{\"text\":\"{}\"}}", "x".repeat(289));
    std::fs::write(
        &script,
        format!("insert into limit_rows (data) values ('{data}');\n"),
    )
    .unwrap();
    let url = bench.postgres.url("postgres");
    run(Command::new(program("psql")).args(["-q", "-d", &url, "-c", TABLE])).await;
    let clients = clients.to_string();
    let output = run(Command::new(program("pgbench"))
        .args([
            "-n", "-M", "prepared", "-c", &clients, "-j", "2", "-T", SECONDS, "-f",
        ])
        .arg(&script)
        .arg(&url))
    .await;
    output
        .lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok())
        .expect("pgbench prints its rate")
}

async fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A program of PostgreSQL's, from the path or from where Debian puts it.
fn program(name: &str) -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin").join(name)))
        .find(|path| path.exists());
    debian.unwrap_or_else(|| PathBuf::from(name))
}
