//! `daybook replay`: the log as it is, one event a line.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use clap::Args;
use domain::{StreamId, check_category, check_type_pattern};
use futures::StreamExt;
use store::{EventStore, Filter, Position, Recorded, pages};
use uuid::Uuid;

use crate::config::Config;
use crate::node::Node;
use crate::output;

#[derive(Args)]
pub struct Replay {
    /// Only events after this position
    #[arg(long, default_value_t = 0)]
    after: Position,
    /// Stop after so many events
    #[arg(long)]
    limit: Option<usize>,
    /// Only this product
    #[arg(long)]
    product: Option<Uuid>,
    /// Only this workspace
    #[arg(long)]
    workspace: Option<Uuid>,
    /// Only streams of these categories
    #[arg(long = "category", value_delimiter = ',', value_parser = category)]
    categories: Vec<String>,
    /// Only this stream: category-uuid
    #[arg(long)]
    stream: Option<StreamId>,
    /// Only these types; a prefix may end in *
    #[arg(long = "type", value_delimiter = ',', value_parser = type_pattern)]
    types: Vec<String>,
    /// Only events of this actor
    #[arg(long)]
    actor: Option<Uuid>,
    /// Only events with this correlation id
    #[arg(long)]
    correlation_id: Option<Uuid>,
    /// Only events recorded at this time or later (RFC 3339)
    #[arg(long)]
    since: Option<DateTime<Utc>>,
    /// Only events recorded before this time (RFC 3339)
    #[arg(long)]
    until: Option<DateTime<Utc>>,
    /// Go on when the end is reached
    #[arg(long)]
    follow: bool,
}

fn category(text: &str) -> Result<String, String> {
    check_category(text).map(|()| text.to_owned())
}

fn type_pattern(text: &str) -> Result<String, String> {
    check_type_pattern(text).map(|()| text.to_owned())
}

impl Replay {
    pub async fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let node = Node::open_existing(config).await?;
        let printed = self.print(node.store.clone()).await;
        node.close().await?;
        printed
    }

    async fn print(self, store: Arc<dyn EventStore>) -> Result<(), Box<dyn Error>> {
        let head = *store.head().borrow();
        if self.after > head {
            let after = self.after;
            return Err(format!("--after {after}: the log ends at position {head}; start from a position that it has reached").into());
        }
        if let Some(stream) = &self.stream {
            check_category(&stream.category)?;
        }
        let filter = Filter {
            products: self.product.into_iter().collect(),
            categories: self.categories,
            types: self.types,
            stream: self.stream,
            workspace_id: self.workspace,
            actor_id: self.actor,
            correlation_id: self.correlation_id,
            since: self.since,
            until: self.until,
            visibility: None,
        };
        let mut left = self.limit.unwrap_or(usize::MAX);
        let end = (!self.follow).then_some(head);
        let mut pages = pin!(pages(store, self.after, end, filter));
        // One for the whole run: a signal that comes while events are printed counts too.
        let mut interrupted = pin!(tokio::signal::ctrl_c());
        while left > 0 {
            let page = tokio::select! {
                page = pages.next() => page,
                signal = &mut interrupted => return Ok(signal?),
            };
            let Some(page) = page else { return Ok(()) };
            let mut events = page?.events;
            events.truncate(left);
            left -= events.len();
            if !write(&events)? {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// False once nobody reads any more.
fn write(events: &[Recorded]) -> Result<bool, Box<dyn Error>> {
    let mut text = Vec::new();
    for event in events {
        serde_json::to_writer(&mut text, event)?;
        text.push(b'\n');
    }
    Ok(output::write(&text)?)
}
