//! The command line.

mod config;
mod files;
mod health;
mod jobs;
mod operator_key;
mod projections;
mod replay;

use std::error::Error;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use rustix::fs::Mode;

use crate::config::{Config, LogFormat, Overrides};
use crate::demo::{Agent, Demo};
use crate::folder::export::Export;
use crate::folder::import::Import;
use crate::{serve, telemetry};

/// The event-sourced backend that AI-native products build on.
#[derive(Parser)]
#[command(version)]
pub struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

/// Location of the data, for every subcommand. `DATABASE_URL` takes precedence over `--data-dir`.
#[derive(Args)]
struct Settings {
    /// Directory of the private PostgreSQL and the secret key [default: data]
    #[arg(long, global = true)]
    data_dir: Option<PathBuf>,
    /// Configuration file [default: daybook.toml, if there is one]
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    /// Format of log lines [default: human]
    #[arg(long, global = true)]
    log_format: Option<LogFormat>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve {
        /// Address and port [default: 127.0.0.1:8080]
        #[arg(long)]
        listen: Option<String>,
    },
    /// Show the whole journey on a directory of Markdown files, against a running server
    Demo(Demo),
    /// Make notes of a folder of Markdown files, on a running server
    Import(Import),
    /// Write notes and their files into a folder, from a running server
    #[command(subcommand)]
    Export(Export),
    /// The agent of the demonstration
    #[command(hide = true)]
    DemoAgent(Agent),
    /// Print the log, one event a line
    Replay(replay::Replay),
    /// Look after the read models
    #[command(subcommand)]
    Projections(projections::Projections),
    /// Look after jobs
    #[command(subcommand)]
    Jobs(jobs::Jobs),
    /// Look after the store of files
    #[command(subcommand)]
    Files(files::Files),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Issue another API key for the operator, and write it into a file
    OperatorKey,
    /// Ask a running server whether it is ready
    Health(health::Health),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Name everything that is wrong with the configuration, or show each setting and its source
    Check,
}

/// Runs what the command line says.
pub async fn run(cli: Cli) -> Result<(), Box<dyn Error>> {
    let mut overrides = Overrides {
        config: cli.settings.config,
        data_dir: cli.settings.data_dir,
        log_format: cli.settings.log_format,
        listen: None,
    };
    // What only speaks to a server needs no configuration of one.
    if let Command::Health(health) = cli.command {
        return health.run().await;
    }
    if let Command::Demo(demo) = cli.command {
        return Ok(demo.run().await?);
    }
    if let Command::Import(import) = cli.command {
        return import.run().await;
    }
    if let Command::Export(export) = cli.command {
        return export.run().await;
    }
    if let Command::DemoAgent(agent) = cli.command {
        return agent.run().await;
    }
    // What is beside the data is for its account alone, whoever makes it.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    if let Command::Serve { listen } = &cli.command {
        overrides.listen.clone_from(listen);
    }
    let mut config = Config::load(overrides)?;
    if !matches!(cli.command, Command::Serve { .. }) && std::env::var_os("DAYBOOK_LOG").is_none() {
        config.log = "warn".into();
    }
    // Lines that are still to be written are written when this is dropped.
    let _lines = telemetry::log(&config);
    match cli.command {
        Command::Serve { .. } => Ok(serve::run(config).await?),
        Command::Replay(replay) => replay.run(&config).await,
        Command::Projections(projections) => projections.run(&config).await,
        Command::Jobs(jobs) => jobs.run(&config).await,
        Command::Files(files) => files.run(&config).await,
        Command::Config(ConfigCommand::Check) => config::check(&config),
        Command::OperatorKey => operator_key::run(&config).await,
        Command::Health(_)
        | Command::Demo(_)
        | Command::DemoAgent(_)
        | Command::Import(_)
        | Command::Export(_) => Ok(()),
    }
}
