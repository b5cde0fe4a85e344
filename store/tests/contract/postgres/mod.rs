//! Tests specific to PostgreSQL.

mod broken_connections;
mod immutability;
mod invisible_row;

mod load;
mod long_log;
mod processes;
mod proxy;
mod restart;
mod surroundings;
