//! End-to-end tests: a real server process, a real PostgreSQL, real receivers. One file per resource.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail by panicking"
)]

mod access;
mod agent;
mod api_key;
mod artifact;
mod attachment;
mod avatar;
mod beneath;
mod calendar_feed;
mod cast;
mod cli;
mod conventions;
mod crash;
mod database;
mod demo;
mod due_work;
mod enrolment;
mod event;
mod event_access;
mod event_stream;
mod exhaustion;
mod file;
mod file_store;
mod file_sweep;
mod generated_clients;
mod harness;
mod health;
mod http;
mod import;
mod kind;
mod link;
mod load;
mod mcp;
mod mcp_access;
mod mcp_approval;
mod mcp_clients;
mod mcp_conformance;
mod mcp_fixture;
mod mcp_gate;
mod mcp_wire;
mod me;
mod merge;
mod nodes;
mod note;
mod openapi;
mod policy;
mod policy_rule;
mod product;
mod projectable;
mod proposal;
mod proposal_artifact;
mod proposal_decision;
mod proposal_end;
mod proposal_possible;
mod proposal_task;
mod proposal_undo;
mod quarantine;
mod readme;
mod rebase;
mod receipt;
mod receiver;
mod search;
mod setup;
mod task;
mod task_line;
mod webhook;
mod webhook_access;
mod webhook_delivery;
mod webhook_receiver;
mod webhook_requests;
mod workspace;
mod world;
