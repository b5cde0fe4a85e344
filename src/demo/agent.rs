//! The agent: a separate process that speaks MCP ([`client`]) and has only a server address and a key that can only propose. This process
//! knows only the progress that the agent prints to standard output.

pub mod client;
mod note;

use std::process::Stdio;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::cast::Cast;
use super::error::DemoError;
use crate::progress::{Phase, count};

/// Name of the model behind the proposals; a language model would give its own name.
pub const MODEL: &str = "daybook-demo/term-frequency";

/// Progress of the agent's process, one line of JSON each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Progress {
    /// The agent has read the notes and has this number of ideas.
    Ideas(usize),
    /// The agent has proposed one of them.
    Spoken {
        /// True if it was not proposed before.
        is_new: bool,
        /// Position of the server's log at its answer.
        position: i64,
    },
}

/// Lets the agent propose at most one change per note; returns the number of proposals.
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
        // Arguments are visible in the list of processes.
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
