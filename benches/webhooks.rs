//! Deliveries to a receiver that answers at once, while another endpoint is dead.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::Bench;
use crate::report::Row;
use crate::server::{Server, Tenant, command};

const NAME: &str = "webhooks";
const EVENTS: usize = 20_000;
const LOOK: Duration = Duration::from_secs(1);
/// Number of looks without progress after which the measurement ends.
const PATIENCE: u32 = 20;

pub async fn rows(bench: &Bench) -> Vec<Row> {
    if !bench.wants(NAME) {
        return vec![];
    }
    let url = bench.create(NAME).await;
    let mut command = command();
    command
        .env("DATABASE_URL", url)
        .env("DAYBOOK_WEBHOOKS_ALLOW_PRIVATE", "true");
    let server = Server::launch(&mut command).await;
    let tenant = Tenant::new(&server).await;
    let (receiver, received) = receive().await;
    let live = endpoint(&server, &tenant, &receiver).await;
    endpoint(&server, &tenant, &nobody().await).await;

    let store = bench.store(NAME).await;
    tenant.desk.write(store.as_ref(), EVENTS).await;
    all_received(&received).await;
    let rate = recorded(&bench.client(NAME).await, live).await;
    server.stop().await;
    bench.clear(NAME).await;
    let row = Row::new(NAME, "deliveries/s", rate);
    vec![row.under(format!(
        "{EVENTS} events to each of two endpoints, one of which refuses connections"
    ))]
}

/// Registers an endpoint for new notes.
async fn endpoint(server: &Server, tenant: &Tenant, url: &str) -> Uuid {
    let endpoint = json!({"url": url, "events": ["note.created"]});
    let made = server.post(&tenant.key, "webhooks", endpoint).await;
    made["id"].as_str().unwrap().parse().unwrap()
}

/// Returns an address that nobody listens on.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// The ids of the received messages.
type Received = Arc<Mutex<HashSet<String>>>;

async fn receive() -> (String, Received) {
    async fn take(State(received): State<Received>, headers: HeaderMap) -> StatusCode {
        let id = headers["webhook-id"].to_str().unwrap().to_owned();
        received.lock().unwrap().insert(id);
        StatusCode::NO_CONTENT
    }
    let received = Received::default();
    let app = Router::new()
        .route("/", post(take))
        .with_state(received.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, received)
}

async fn all_received(received: &Received) {
    let count = || received.lock().unwrap().len();
    let (mut known, mut idle) = (0, 0);
    while known < EVENTS {
        tokio::time::sleep(LOOK).await;
        idle = if count() > known { 0 } else { idle + 1 };
        assert!(
            idle < PATIENCE,
            "only {known} of {EVENTS} events were delivered"
        );
        known = count();
    }
}

/// Returns the deliveries per second between the first and the last record, once all are recorded.
async fn recorded(client: &Client, webhook_id: Uuid) -> f64 {
    const ATTEMPTS: &str = "
        select count(distinct data->>'event_id'), extract(epoch from max(recorded_at) - min(recorded_at))::float8
        from log.events
        where type = 'webhook.delivery_attempted' and data->>'webhook_id' = $1 and (data->>'succeeded')::bool";
    let webhook_id = webhook_id.to_string();
    for _ in 0..PATIENCE {
        tokio::time::sleep(LOOK).await;
        let row = client.query_one(ATTEMPTS, &[&webhook_id]).await.unwrap();
        let count: i64 = row.get(0);
        if usize::try_from(count).unwrap() == EVENTS {
            return EVENTS as f64 / row.get::<_, f64>(1);
        }
    }
    panic!("not all deliveries were recorded");
}
