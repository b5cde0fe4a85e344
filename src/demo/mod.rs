//! `daybook demo DIR`: the whole product on real files, through the public interfaces only. Read it to learn the API: a folder becomes
//! notes and artifacts ([`folder`](crate::folder)), their `- [ ]` lines become tasks ([`tasks`]), an agent proposes changes through MCP
//! ([`agent`]), a person decides ([`reviewer`]), signed webhooks arrive ([`receiver`]), and the log tells it all again ([`story`]).

mod agent;
mod cast;
mod error;
mod idea;
mod keywords;
mod log;
mod markdown;
mod mentions;
mod receiver;
mod report;
mod reviewer;
mod story;
mod tasks;
mod webhook;

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde_json::Value;
use uuid::Uuid;

pub use agent::client::Agent;
use cast::Cast;
pub use error::DemoError;
use log::Log;
use report::Report;
use webhook::Endpoint;

use crate::client::Client;
use crate::folder::{Folder, Found, find};
use crate::progress::{count, print, warn};

#[derive(Args)]
pub struct Demo {
    /// Directory of Markdown files, searched recursively
    dir: PathBuf,
    /// Base URL of the server. For webhooks to arrive it must run with DAYBOOK_WEBHOOKS_ALLOW_PRIVATE=true
    #[arg(long, env = "DAYBOOK_SERVER", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// The operator's API key, which the server's first start writes into data/operator.key
    #[arg(long, env = "DAYBOOK_KEY", hide_env_values = true)]
    key: String,
    /// Product of an interrupted run to continue; nothing is done twice
    #[arg(long)]
    product: Option<Uuid>,
}

impl Demo {
    pub async fn run(self) -> Result<(), DemoError> {
        let found = find(&self.dir)?;
        if found.notes.is_empty() {
            return Err(DemoError::NoFiles(self.dir));
        }
        let operator = Client::new(&self.server, &self.key);
        operator.get::<Value>("/health/ready").await?;
        print(&format!(
            "{} below {}, to {}\n",
            count(found.notes.len(), "Markdown file"),
            self.dir.display(),
            operator.server()
        ));
        let start = operator.position();

        let cast = Cast::assemble(&operator, &self.name(), self.product).await?;
        let endpoint = Endpoint::open(&cast).await?;
        let mut log = Log::after(cast.author.clone(), start, endpoint.position);
        let outcome = self.journey(&cast, &endpoint, &mut log, found).await;
        let closed = endpoint.close(&cast).await;
        outcome.and(closed)
    }

    async fn journey(
        &self,
        cast: &Cast,
        endpoint: &Endpoint,
        log: &mut Log,
        found: Found,
    ) -> Result<(), DemoError> {
        let started = Instant::now();
        let folder = Folder {
            client: &cast.author,
            workspace_id: cast.workspace_id,
            root: &self.dir,
            dry_run: false,
            overwrite: false,
        };
        let imported = folder.import(&found).await?;
        if imported.notes.is_empty() {
            return Err(DemoError::NothingImported(self.dir.clone()));
        }
        let tasks = tasks::run(cast, imported.task_lines()).await?;
        let proposals = agent::run(cast).await?;
        let decisions = reviewer::run(cast).await?;
        endpoint.settle(log).await?;
        let elapsed = started.elapsed();

        match decisions.story {
            Some(event_id) => story::tell(cast, event_id).await?,
            None => warn("there was nothing to decide, so there is no story to tell"),
        }
        Report {
            cast,
            imported,
            tasks,
            proposals,
            decisions,
            endpoint,
            log,
            elapsed,
        }
        .print();
        endpoint.check(log)
    }

    /// Returns the name of the product and its workspace.
    fn name(&self) -> String {
        let dir = self.dir.canonicalize().unwrap_or_else(|_| self.dir.clone());
        let last = dir.file_name().unwrap_or(dir.as_os_str());
        let name = format!("Demo: {}", last.to_string_lossy());
        name.chars().take(200).collect()
    }
}
