//! End-to-end tests: a real server process, a real PostgreSQL, real receivers. One file per resource.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail by panicking"
)]

mod harness;
mod note;
mod receiver;
