//! `daybook jobs`: what is due, and what was given up.

use std::error::Error;

use clap::Subcommand;
use uuid::Uuid;

use crate::config::Config;
use crate::node::Node;
use crate::output::print;

#[derive(Subcommand)]
pub enum Jobs {
    /// Show jobs as JSON, one a line
    List {
        /// Only what was given up
        #[arg(long)]
        dead_letter: bool,
    },
    /// Make work that was given up due again
    Redrive {
        /// Only this item; all of them if not given
        id: Option<Uuid>,
    },
}

impl Jobs {
    pub async fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let node = Node::open_existing(config).await?;
        let done = self.on(&node).await;
        node.close().await?;
        done
    }

    async fn on(self, node: &Node) -> Result<(), Box<dyn Error>> {
        match self {
            Self::List { dead_letter } => {
                for item in workers::list(&node.database, dead_letter, i64::MAX).await? {
                    print(&serde_json::to_string(&item)?)?;
                }
            }
            Self::Redrive { id } => {
                let count = workers::redrive(&node.database, id).await?;
                if let (0, Some(id)) = (count, id) {
                    return Err(format!(
                        "there is no dead letter {id}; `daybook jobs list --dead-letter` shows those there are"
                    )
                    .into());
                }
                print(&format!("{count} job(s) are due again"))?;
            }
        }
        Ok(())
    }
}
