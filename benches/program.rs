//! Runs external programs: PostgreSQL's, wrk, the C compiler.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

/// Returns the output of a program, which must succeed.
pub async fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the path of a PostgreSQL program, from Debian's directory or the search path.
pub fn of_postgres(name: &str) -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin").join(name)))
        .find(|path| path.exists());
    debian.unwrap_or_else(|| PathBuf::from(name))
}
