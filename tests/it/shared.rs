//! Servers that tests share: one for each set of variables, started by the first test that asks for it.
//!
//! They run until the tests end. Statics are never dropped, so the kernel kills a server with the thread that started it.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use crate::harness::{Server, serve_until_the_end};

/// A server that no test may stop, configure or lock.
pub struct Shared {
    pub url: String,
    pub database_url: String,
    pub operator_key: String,
    /// Keeps the pipe of its output open.
    _server: Server,
}

/// Drives the servers' processes: the runtime of the test that starts one ends with that test.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a thread can be started")
});

type Servers = HashMap<String, &'static OnceCell<Shared>>;

/// Returns the server with these variables.
pub async fn shared(variables: &[(&str, &str)]) -> &'static Shared {
    static SERVERS: LazyLock<Mutex<Servers>> = LazyLock::new(Mutex::default);
    let server: &'static OnceCell<Shared> = SERVERS
        .lock()
        .unwrap()
        .entry(format!("{variables:?}"))
        .or_insert_with(|| Box::leak(Box::default()));
    server.get_or_init(|| start(variables)).await
}

async fn start(variables: &[(&str, &str)]) -> Shared {
    let database_url = store::testing::url(&store::testing::database().await);
    let mut command = serve_until_the_end(&database_url, variables);
    // Its warnings would tell of many tests, and at the end that PostgreSQL is gone.
    command.env("DAYBOOK_LOG", "error");
    let launched = RUNTIME.spawn(async move { Server::launch(&mut command).await });
    let server = launched.await.expect("the server starts");
    let key = server.operator_key.clone();
    Shared {
        url: server.url.clone(),
        database_url,
        operator_key: key.expect("the first start writes the key"),
        _server: server,
    }
}
