//! `daybook files`: what is in the store of files, and what is there for nothing.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use blobs::Blobs;
use clap::Subcommand;
use commands::Executor;
use workers::file::{Fate, Sweep};

use crate::config::Config;
use crate::node::Node;
use crate::output::print;

#[derive(Subcommand)]
pub enum Files {
    /// Remove what no file refers to and is older than DAYBOOK_FILES_SWEEP_GRACE; the server does so by itself
    Sweep {
        /// Only show what would be removed
        #[arg(long)]
        dry_run: bool,
    },
}

impl Files {
    pub async fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let node = Node::open_existing(config).await?;
        let done = self.on(&node, config).await;
        node.close().await?;
        done
    }

    async fn on(self, node: &Node, config: &Config) -> Result<(), Box<dyn Error>> {
        let Self::Sweep { dry_run } = self;
        let sweep = Sweep {
            executor: Arc::new(Executor::new(node.store.clone())),
            blobs: Blobs::open(&config.files.place)?,
            grace: config.files.sweep_grace,
            dry_run,
        };
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        let mut orphans = vec![];
        let swept = sweep.run(None, None, |object, fate| {
            *counts.entry(fate.into()).or_default() += 1;
            if fate == Fate::Orphan {
                orphans.push(object.name.clone());
            }
        });
        swept.await?;
        let verb = if dry_run { "would remove" } else { "removed" };
        for name in &orphans {
            print(&format!("{verb} {name}"))?;
        }
        let counts: Vec<String> = counts
            .iter()
            .map(|(fate, n)| format!("{n} {fate}"))
            .collect();
        Ok(print(&format!(
            "looked at all objects: {}",
            counts.join(", ")
        ))?)
    }
}
