//! The agent: a process of its own, which speaks MCP ([`client`]) and has nothing but an address and a key that can only propose.
//! What it tells on its standard output is all that is known of it here.

pub mod client;
mod note;

use std::process::Stdio;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::cast::Cast;
use super::error::DemoError;
use crate::progress::{Phase, count};

/// What makes the proposals; a language model would give its own name.
pub const MODEL: &str = "daybook-demo/term-frequency";

/// How far the agent's process has come: a line of JSON each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Progress {
    /// It has read the notes, and has so many ideas.
    Ideas(usize),
    /// It has spoken of one of them.
    Spoken {
        /// It was not known before.
        is_new: bool,
        /// Of the server's log, at its answer.
        position: i64,
    },
}

/// Lets the agent propose at most one thing per note; returns how many it has.
pub async fn run(cast: &Cast) -> Result<usize, DemoError> {
    let phase = Phase::start("propose", 0);
    let mut process = start(cast).map_err(DemoError::AgentProcess)?;
    let proposed = follow(cast, &mut process, &phase)
        .await
        .map_err(DemoError::AgentProcess)?;
    let ended = process.wait().await.map_err(DemoError::AgentProcess)?;
    if !ended.success() {
        return Err(DemoError::Agent(ended));
    }
    phase.finish(&format!(
        "{} through MCP, by a process of its own",
        count(proposed, "proposal")
    ));
    Ok(proposed)
}

fn start(cast: &Cast) -> Result<Child, std::io::Error> {
    Command::new(std::env::current_exe()?)
        .arg("demo-agent")
        .args(["--server", cast.agent.server()])
        .args(["--workspace", &cast.workspace_id.to_string()])
        .args(["--run-id", &format!("demo-{}", cast.product_id)])
        .args(["--min-position", &cast.agent.position().to_string()])
        // Whoever lists the processes of this machine sees arguments.
        .env("DAYBOOK_KEY", cast.agent.key())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

async fn follow(cast: &Cast, process: &mut Child, phase: &Phase) -> Result<usize, std::io::Error> {
    let mut proposed = 0;
    let Some(output) = process.stdout.take() else {
        return Ok(proposed);
    };
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await? {
        match serde_json::from_str(&line)? {
            Progress::Ideas(ideas) => phase.set_length(ideas),
            Progress::Spoken { is_new, position } => {
                cast.agent.saw(position);
                proposed += usize::from(is_new);
                phase.step();
            }
        }
    }
    Ok(proposed)
}
