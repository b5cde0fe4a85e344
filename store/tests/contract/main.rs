//! The contract tests of every backend of the log, and tests specific to PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod backend;
mod harness;
mod model;
mod postgres;
#[macro_use]
mod suite;

mod in_memory {
    hold_to_the_contract!(crate::backend::InMemory);
}

mod on_postgres {
    hold_to_the_contract!(crate::backend::Postgres);
}
