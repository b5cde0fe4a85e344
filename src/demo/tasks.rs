//! Waits for the tasks that `- [ ]` lines become by themselves, shortly after their notes are imported.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::cast::Cast;
use super::error::DemoError;
use crate::progress::{Phase, count};

/// Longest time to wait for the tasks.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Waits for a number of tasks; returns the number that exist.
pub async fn run(cast: &Cast, lines: usize) -> Result<usize, DemoError> {
    let phase = Phase::start("tasks", lines);
    let path = format!("/v1/tasks?workspace_id={}&limit=100", cast.workspace_id);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let tasks = cast.author.list::<Value>(&path).await?.len();
        if tasks >= lines || Instant::now() > deadline {
            phase.finish(&count(tasks, "task"));
            return Ok(tasks);
        }
        phase.set_position(tasks);
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
