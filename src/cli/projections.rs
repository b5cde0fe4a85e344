//! `daybook projections`: how far they are, rebuilding them, comparing them with what a rebuild gives.

use std::error::Error;
use std::io;
use std::sync::Arc;

use clap::{Args, Subcommand};
use projections::{Consumer, Memory, Report, checkpoints, models, rebuild};
use store::EventStore;

use crate::config::Config;
use crate::node::Node;
use crate::output::print;

#[derive(Subcommand)]
pub enum Projections {
    /// Show every projection and reaction, and how far it is
    List,
    /// Build a read model anew beside the live one, compare the two, and swap them
    Rebuild(Which),
    /// Build a read model anew, compare it with the live one, and throw it away
    Diff(Which),
}

#[derive(Args)]
pub struct Which {
    /// One of those that `list` shows, or `all`
    name: String,
    /// MiB of rows that may be kept in memory; with fewer it takes longer
    #[arg(long, default_value_t = 512)]
    memory: usize,
}

impl Projections {
    pub async fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let node = Node::open_existing(config).await?;
        let outcome = match self {
            Self::List => list(&node).await,
            Self::Rebuild(which) => run(&node, &which, true).await,
            Self::Diff(which) => run(&node, &which, false).await,
        };
        node.close().await?;
        outcome
    }
}

async fn list(node: &Node) -> Result<(), Box<dyn Error>> {
    let head = *node.store.head().borrow();
    print(&format!(
        "{:<20} {:>12} {:>8}  STATE",
        "NAME", "POSITION", "LAG"
    ))?;
    for checkpoint in checkpoints(&node.database).await? {
        let current = models()
            .iter()
            .find(|model| model.name() == checkpoint.name)
            .map(|model| model.built_by());
        let state = match (&checkpoint.stopped, current) {
            (Some(reason), _) => format!("stopped: {reason}"),
            (None, Some(current)) if current != checkpoint.built_by => {
                "built by another version; the server will rebuild it".into()
            }
            (None, Some(_)) => "read model".into(),
            (None, None) => "reaction".into(),
        };
        let (name, position) = (&checkpoint.name, checkpoint.position);
        let lag = head - position;
        print(&format!("{name:<20} {position:>12} {lag:>8}  {state}"))?;
    }
    Ok(())
}

async fn run(node: &Node, which: &Which, swap: bool) -> Result<(), Box<dyn Error>> {
    let Which { name, memory } = which;
    let memory = Memory::of(memory.saturating_mul(1 << 20));
    let chosen: Vec<Arc<dyn Consumer>> = models()
        .into_iter()
        .filter(|model| name == "all" || model.name() == *name)
        .collect();
    if chosen.is_empty() {
        let known: Vec<_> = models().iter().map(|model| model.name()).collect();
        return Err(format!(
            "there is no read model {name}; there are {}",
            known.join(", ")
        )
        .into());
    }
    let store: Arc<dyn EventStore> = node.store.clone();
    let mut differences = 0;
    for report in rebuild(&node.database, &store, &chosen, swap, &memory).await? {
        show(&report)?;
        differences += report.differences;
    }
    if differences > 0 && !swap {
        return Err(format!("{differences} row(s) differ").into());
    }
    Ok(())
}

fn show(report: &Report) -> io::Result<()> {
    let compared = match (report.compared, report.differences) {
        (false, _) => "not compared: the live one was built by another version".into(),
        (true, 0) => "equal to the live one".into(),
        (true, differences) => format!("{differences} row(s) differ from the live one"),
    };
    let swapped = if report.swapped { "; swapped" } else { "" };
    print(&format!(
        "{}: {} events up to position {}, {compared}{swapped}",
        report.name, report.events, report.position
    ))?;
    for sample in &report.samples {
        print(&format!(
            "  only in {}, {}: {}",
            sample.only_in, sample.table, sample.row
        ))?;
    }
    Ok(())
}
