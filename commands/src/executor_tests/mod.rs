//! The executor on a log in memory: what two nodes, failing appends and repeated requests do to commands.

mod authorisation;
mod conditions;
mod conflicts;
mod dry_run;
mod guards;
mod idempotency;
mod in_flight;
