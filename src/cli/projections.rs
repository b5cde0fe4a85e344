//! `daybook projections`: how far they are, rebuilding them, comparing them with what a rebuild gives.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::SecondsFormat;
use clap::{Args, Subcommand};
use domain::StreamId;
use domain::text::escaped;
use projections::{
    Asked, Consumer, MemoryBudget, Quarantined, Report, ask, checkpoints, models, quarantined,
    rebuild,
};
use store::{Database, EventStore};

use crate::config::Config;
use crate::node::Node;
use crate::output::print;

/// Longest wait for a server that runs the projection.
const PATIENCE: Duration = Duration::from_secs(10);
/// Interval between two looks.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Subcommand)]
pub enum Projections {
    /// Show every projection and reaction, and how far it is
    List,
    /// Build a read model anew beside the live one, compare the two, and swap them
    Rebuild(Which),
    /// Build a read model anew, compare it with the live one, and throw it away
    Diff(Which),
    /// Apply the events of streams in quarantine once more
    Retry {
        /// One of those that `list` shows
        name: String,
        /// Only this stream, such as note-0192f0c1-2b3c-7def-8000-0123456789ab; all of the projection's if not given
        stream: Option<StreamId>,
    },
    /// Leave out the event that put a stream into quarantine, and go on with those behind it
    Skip {
        /// One of those that `list` shows
        name: String,
        /// The stream, as `list` shows it
        stream: StreamId,
    },
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
            Self::Retry { name, stream } => {
                settle(&node.database, &name, stream.as_ref(), Asked::Retry).await
            }
            Self::Skip { name, stream } => {
                settle(&node.database, &name, Some(&stream), Asked::Skip).await
            }
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
    let held = quarantined(&node.database).await?;
    for checkpoint in checkpoints(&node.database).await? {
        let current = models()
            .iter()
            .find(|model| model.name() == checkpoint.name)
            .map(|model| model.built_by());
        let mut state = match current {
            Some(current) if current != checkpoint.built_by => {
                "built by another version; the server will rebuild it".to_owned()
            }
            Some(_) => "read model".into(),
            None => "reaction".into(),
        };
        let held = || held.iter().filter(|held| held.consumer == checkpoint.name);
        if held().next().is_some() {
            state = format!("{state}, {} stream(s) in quarantine", held().count());
        }
        let (name, position) = (&checkpoint.name, checkpoint.position);
        let lag = head - position;
        print(&format!("{name:<20} {position:>12} {lag:>8}  {state}"))?;
        for held in held() {
            show_quarantined(held)?;
        }
    }
    Ok(())
}

fn show_quarantined(held: &Quarantined) -> io::Result<()> {
    let Quarantined {
        stream,
        position,
        reason,
        since,
        retried,
        ..
    } = held;
    let (since, reason) = (
        since.to_rfc3339_opts(SecondsFormat::Secs, true),
        escaped(reason),
    );
    print(&format!(
        "  {stream} at position {position} since {since}, retried {retried} time(s): {reason}"
    ))
}

/// Asks the server to deal with streams in quarantine, and waits a while for the outcome.
async fn settle(
    database: &Database,
    name: &str,
    stream: Option<&StreamId>,
    asked: Asked,
) -> Result<(), Box<dyn Error>> {
    let concerns = |held: &Quarantined| {
        held.consumer == name && stream.is_none_or(|stream| held.stream == *stream)
    };
    let count = ask(database, name, stream, asked).await?;
    if count == 0 {
        let what = stream.map_or_else(String::new, |stream| format!(" of {stream}"));
        return Err(format!(
            "{name} has nothing{what} in quarantine; `daybook projections list` shows what there is"
        )
        .into());
    }
    let end = Instant::now() + PATIENCE;
    loop {
        let mut held = quarantined(database).await?;
        held.retain(concerns);
        if held.iter().all(|held| held.asked.is_none()) {
            print(&format!(
                "{} of {count} stream(s) go on",
                count - held.len() as u64
            ))?;
            held.iter().try_for_each(show_quarantined)?;
            return if held.is_empty() {
                Ok(())
            } else {
                Err("some events still cannot be applied; skip them, or upgrade and retry".into())
            };
        }
        if Instant::now() >= end {
            print("no server has dealt with it yet; it is done when one runs")?;
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn run(node: &Node, which: &Which, swap: bool) -> Result<(), Box<dyn Error>> {
    let Which { name, memory } = which;
    let memory = MemoryBudget::of(memory.saturating_mul(1 << 20));
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
    report.quarantined.iter().try_for_each(show_quarantined)?;
    for sample in &report.samples {
        print(&format!(
            "  only in {}, {}: {}",
            sample.only_in, sample.table, sample.row
        ))?;
    }
    Ok(())
}
