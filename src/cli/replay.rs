//! `daybook replay`: the log as it is, one event a line.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;

use clap::Args;
use domain::StreamId;
use futures::StreamExt;
use store::{EventStore, Filter, Position, Recorded, pages};
use uuid::Uuid;

use crate::config::Config;
use crate::node::Node;
use crate::output;

#[derive(Args)]
pub struct Replay {
    /// Only this stream: category-uuid
    #[arg(long)]
    stream: Option<StreamId>,
    /// Only events after this position
    #[arg(long, default_value_t = 0)]
    after: Position,
    /// Only this product
    #[arg(long)]
    product: Option<Uuid>,
    /// Only these types; a prefix may end in *
    #[arg(long = "type")]
    types: Vec<String>,
    /// Go on when the end is reached
    #[arg(long)]
    follow: bool,
}

impl Replay {
    pub async fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let node = Node::open_existing(config).await?;
        let printed = self.print(node.store.clone()).await;
        node.close().await?;
        printed
    }

    async fn print(&self, store: Arc<dyn EventStore>) -> Result<(), Box<dyn Error>> {
        let filter = Filter {
            stream: self.stream.clone(),
            products: self.product.into_iter().collect(),
            types: self.types.clone(),
            ..Filter::default()
        };
        let end = (!self.follow).then(|| *store.head().borrow());
        let mut pages = pin!(pages(store, self.after, end, filter));
        // One for the whole run: a signal that comes while events are printed counts too.
        let mut interrupted = pin!(tokio::signal::ctrl_c());
        loop {
            let page = tokio::select! {
                page = pages.next() => page,
                signal = &mut interrupted => return Ok(signal?),
            };
            let Some(page) = page else { return Ok(()) };
            if !write(&page?.events)? {
                return Ok(());
            }
        }
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
