//! Measurements on a log of a million events on 100,000 notes in eight products.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures::{StreamExt, TryStreamExt};
use reqwest::Client;
use store::{EventStore, Filter, pages};
use uuid::Uuid;

use crate::Bench;
use crate::limit::{self, COPY};
use crate::notes::{BATCH, Desk};
use crate::product::Product;
use crate::rebuild;
use crate::report::Row;
use crate::server::Server;

const NAME: &str = "million";
const EVENTS: usize = 1_000_000;
const NOTES: usize = 100_000;
const PRODUCTS: usize = 8;

/// Number of rows copied in to measure the limit.
const COPIED: usize = 200_000;
/// Number of appends that wait for the writer.
const IN_FLIGHT: usize = 4;

pub async fn rows(bench: &Bench) -> Vec<Row> {
    let own = ["append_bulk", "replay", "ndjson"];
    if !bench.wants_any(&own) && !bench.wants_any(&rebuild::NAMES) {
        return vec![];
    }
    let product = bench.product(NAME).await;
    let mut rows = Vec::new();
    let appended = append(bench, &product).await;
    if bench.wants("append_bulk") {
        rows.push(appended);
    }
    product.skip_to_head().await;
    if bench.wants("replay") {
        rows.push(replay(bench, &product).await);
    }
    if bench.wants("ndjson") {
        rows.push(ndjson(bench).await);
    }
    rows.extend(rebuild::rows(bench, &product, EVENTS).await);
    bench.clear(NAME).await;
    rows
}

/// Writes every note, then revises every note, and so on, so that the events of a note are far apart.
async fn append(bench: &Bench, product: &Product) -> Row {
    let desks: Vec<Desk> = (0..PRODUCTS).map(|_| Desk::new()).collect();
    let notes: Vec<Uuid> = (0..NOTES).map(|_| Uuid::now_v7()).collect();
    let started = Instant::now();
    let batches = (0..EVENTS / NOTES).flat_map(|version| {
        let version = i64::try_from(version).unwrap();
        notes
            .chunks(BATCH)
            .zip(desks.iter().cycle())
            .map(move |(notes, desk)| desk.append(notes.iter().map(|id| (*id, version))))
    });
    futures::stream::iter(batches)
        .map(|append| product.store.append(append))
        .buffered(IN_FLIGHT)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await
        .unwrap();
    let rate = EVENTS as f64 / started.elapsed().as_secs_f64();
    let client = bench.client(NAME).await;
    let limit = limit::copied_in_per_second(&client, COPIED).await;
    client
        .batch_execute("vacuum analyze log.events")
        .await
        .unwrap();
    Row::new("append_bulk", "events/s", rate)
        .limited(COPY, limit)
        .under("appends of 1,000 events, each with its expected version; the limit is taken afterwards, on 200,000 rows")
}

/// Reads the whole log through the store.
async fn replay(bench: &Bench, product: &Product) -> Row {
    let replay = async || {
        let started = Instant::now();
        let store: Arc<dyn EventStore> = product.store.clone();
        let head = store.read_head().await.unwrap();
        let mut pages = pin!(pages(store, 0, Some(head), Filter::default()));
        let mut events = 0;
        while let Some(page) = pages.try_next().await.unwrap() {
            events += page.events.len();
        }
        assert_eq!(events, EVENTS);
        EVENTS as f64 / started.elapsed().as_secs_f64()
    };
    let (rate, limit) = beside_copy(bench, replay).await;
    Row::new("replay", "events/s", rate).limited(COPY, limit)
}

/// Reads the whole log from `GET /v1/events`.
async fn ndjson(bench: &Bench) -> Row {
    let server = Server::start(&bench.postgres.url(NAME)).await;
    let before = server.resident_mb();
    let drain = async || {
        let started = Instant::now();
        let request = Client::new()
            .get(format!(
                "{}/v1/events?follow=false&limit={EVENTS}",
                server.url
            ))
            .bearer_auth(&server.operator)
            .header("accept", "application/x-ndjson");
        let mut response = request.send().await.unwrap().error_for_status().unwrap();
        let mut lines = 0;
        while let Some(chunk) = response.chunk().await.unwrap() {
            lines += chunk.iter().filter(|byte| **byte == b'\n').count();
        }
        assert_eq!(lines, EVENTS);
        EVENTS as f64 / started.elapsed().as_secs_f64()
    };
    let (rate, limit) = beside_copy(bench, drain).await;
    let after = server.resident_mb();
    server.stop().await;
    Row::new("ndjson", "events/s", rate)
        .limited(COPY, limit)
        .under(format!(
            "the server's memory was {before:.0} MB before and {after:.0} MB after"
        ))
}

async fn beside_copy(bench: &Bench, measure: impl AsyncFnOnce() -> f64) -> (f64, f64) {
    let client = bench.client(NAME).await;
    let copy = async || limit::copied_per_second(&client, EVENTS).await;
    limit::around(copy, measure).await
}
