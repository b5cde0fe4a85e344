//! What every backend of the log is held to, and what is particular to PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod backend;
mod harness;
mod postgres;
#[macro_use]
mod suite;

mod on_postgres {
    hold_to_the_contract!(crate::backend::Postgres);
}
