//! Appends on a disk that is a millisecond slower: `slow_fsync.c` is preloaded into a separate PostgreSQL.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use store::PrivatePostgres;
use tokio::process::Command;

use crate::report::Row;
use crate::server::{self, Server};
use crate::{Bench, append, program};

const NAME: &str = "append_64_slow_disk";
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/slow_fsync.c");

pub async fn rows(bench: &Bench) -> Vec<Row> {
    if !bench.wants(NAME) {
        return vec![];
    }
    let directory = bench.directory.path().join("slow");
    fs::create_dir(&directory).unwrap();
    let programs = slow_programs(&directory).await;
    // The path of the programs can only be set for a new process, so this process uses the server that the other one
    // starts.
    let mut command = server::command();
    command
        .arg("--data-dir")
        .arg(&directory)
        .env("DAYBOOK_POSTGRES_BIN", programs);
    let owner = Server::launch(&mut command).await;
    let slow = Bench::on(PrivatePostgres::start(&directory).await.unwrap());
    let row = append::row(&slow, NAME, 64).await;
    slow.close().await;
    owner.stop().await;
    vec![row.under("fsync and fdatasync take 1 ms more")]
}

/// Creates a directory with a `postgres` whose disk is slow.
async fn slow_programs(directory: &Path) -> PathBuf {
    let library = directory.join("slow_fsync.so");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let mut compile = Command::new(compiler);
    compile
        .args(["-shared", "-fPIC", "-O2", "-o"])
        .arg(&library)
        .arg(SOURCE);
    program::run(&mut compile).await;
    let programs = directory.join("bin");
    fs::create_dir(&programs).unwrap();
    for name in ["postgres", "initdb"] {
        let (script, program) = (programs.join(name), program::of_postgres(name));
        let preload = format!("LD_PRELOAD={}", library.display());
        let text = format!("#!/bin/sh\n{preload} exec {} \"$@\"\n", program.display());
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    }
    programs
}
