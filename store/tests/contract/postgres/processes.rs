//! Several processes on one log, killed in the middle of their work.

use std::collections::HashMap;
use std::env;
use std::io::Read as _;
use std::process::Stdio;

use store::{Expected, testing};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use uuid::Uuid;

use crate::backend::{Backend as _, Postgres, node_on};
use crate::harness::{append_to, given, in_time, log, new_stream, until_head};

const DATABASE: &str = "DAYBOOK_TEST_NODE_DATABASE";
const TASKS: usize = 8;

/// A node in a process of its own.
struct Node {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Node {
    async fn start(database: &str) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "postgres::processes::a_node",
                "--ignored",
                "--nocapture",
            ])
            .env(DATABASE, database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut node = Self { process, lines };
        node.next("ready").await;
        node
    }

    /// Returns the rest of the next line of this kind. The test runner prints other lines.
    async fn next(&mut self, kind: &str) -> Option<Vec<String>> {
        while let Some(line) = self.lines.next_line().await.unwrap() {
            let mut words = line.split(' ').map(str::to_owned);
            if words.next().as_deref() == Some(kind) {
                return Some(words.collect());
            }
        }
        None
    }

    /// Returns an acknowledged event and its position.
    async fn next_appended(&mut self) -> Option<(Uuid, i64)> {
        let words = self.next("appended").await?;
        Some((words[0].parse().unwrap(), words[1].parse().unwrap()))
    }
}

/// Runs in the other process; it is not a test. It waits for the first event, and then appends for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the tests that need another process"]
async fn a_node() {
    let Ok(database) = env::var(DATABASE) else {
        return;
    };
    // The standard input ends with the test that started the process.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0)
    });
    let node = node_on(&database.parse().unwrap()).await;
    println!("ready");
    until_head(&*node, 1).await;
    let tasks = (0..TASKS).map(async |_| {
        let stream = new_stream();
        for version in 0.. {
            let append = append_to(&stream, Expected::Exact(version), 1);
            let id = append.events[0].event_id;
            let appended = node.append(append).await.unwrap();
            println!("appended {id} {}", appended.position);
        }
    });
    futures::future::join_all(tasks).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_are_killed_leave_a_sound_log() {
    in_time(async {
        let backend = Postgres::start().await;
        let url = testing::url(&backend.config);
        let mut nodes = [Node::start(&url).await, Node::start(&url).await];
        let ours = backend.node().await;
        given(&*ours, &new_stream(), 1).await;

        let mut told = vec![];
        for _ in 0..300 {
            for node in &mut nodes {
                told.push(node.next_appended().await.unwrap());
            }
        }
        for node in &mut nodes {
            node.process.kill().await.unwrap();
            while let Some(appended) = node.next_appended().await {
                told.push(appended);
            }
        }

        let last = given(&*ours, &new_stream(), 1).await.position;
        let log = log(&*ours).await;
        assert_eq!(log.last().unwrap().position, last);
        let found: HashMap<_, _> = log
            .iter()
            .map(|event| (event.event_id, event.position))
            .collect();
        for (id, position) in told {
            assert_eq!(found.get(&id), Some(&position));
        }
    })
    .await;
}
