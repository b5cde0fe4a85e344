//! End-to-end tests: a real server process, a real PostgreSQL, real receivers. One file per resource.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail by panicking"
)]

mod demo;
mod harness;
mod note;
mod receiver;
