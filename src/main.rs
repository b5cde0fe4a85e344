//! Daybook: parses the command line, wires the components, and starts.

// `println!` panics if standard output is closed; `output` does not.
#![deny(clippy::print_stdout)]

mod background;
mod cli;
mod client;
mod config;
mod connections;
mod damper;
mod demo;
mod folder;
mod node;
mod output;
mod private_file;
mod progress;
mod secret_key;
mod serve;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

/// Many small allocations are made by one thread and freed by another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    // Fails only if a provider is already installed, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match cli::run(cli::Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("daybook: {error}");
            ExitCode::FAILURE
        }
    }
}
