//! UmaDB: its own server, and appends on the condition that no event has the same tag yet.

#[path = "../../load.rs"]
mod load;

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::process::{Child, Command};
use umadb_client::{AsyncUmaDbClient, UmaDbClient};
use umadb_dcb::{DcbAppendCondition, DcbEvent, DcbEventStoreAsync, DcbQuery, DcbQueryItem};
use uuid::Uuid;

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().expect("the server's program");
    let directory = tempfile::tempdir().unwrap();
    let (mut server, url) = serve(&program, directory.path());
    for writers in arguments {
        append(&url, writers.parse().unwrap()).await;
    }
    replay(&url).await;
    server.kill().await.unwrap();
}

/// Starts the server, which ends with this process.
fn serve(program: &str, directory: &Path) -> (Child, String) {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let server = Command::new("setpriv")
        .args(["--pdeathsig=KILL", program])
        .args(["--listen", &address, "--db-path"])
        .arg(directory)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    (server, format!("http://{address}"))
}

async fn connect(url: &str) -> AsyncUmaDbClient {
    for _ in 0..100 {
        if let Ok(client) = UmaDbClient::new(url.to_owned()).connect_async().await {
            return client;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the server does not answer");
}

async fn append(url: &str, writers: usize) {
    let client = Arc::new(connect(url).await);
    let seen = load::run(writers, move |_| {
        let client = Arc::clone(&client);
        async move {
            let tag = Uuid::new_v4().to_string();
            let nothing_yet = DcbQuery::new().item(DcbQueryItem::new().tags([tag.clone()]));
            let event = DcbEvent::new()
                .uuid(Uuid::new_v4())
                .event_type("note.created")
                .tags([tag])
                .data(format!("{{\"text\":\"{}\"}}", "x".repeat(289)));
            let condition = Some(DcbAppendCondition::new(nothing_yet));
            client.append(vec![event], condition, None).await.unwrap();
        }
    })
    .await;
    println!(
        "{}",
        json!({
            "peer": "UmaDB", "version": VERSION, "writers": writers,
            "appends_per_second": seen.per_second, "p50_ms": seen.p50_ms, "p99_ms": seen.p99_ms,
        })
    );
}

async fn replay(url: &str) {
    let client = connect(url).await;
    let start = Instant::now();
    let mut events = 0;
    let mut response = client.read(None, None, false, None).await.unwrap();
    loop {
        let batch = response.next_batch().await.unwrap();
        if batch.is_empty() {
            break;
        }
        events += batch.len();
    }
    println!(
        "{}",
        json!({
            "peer": "UmaDB", "version": VERSION, "events": events,
            "replayed_per_second": events as f64 / start.elapsed().as_secs_f64(),
        })
    );
}
