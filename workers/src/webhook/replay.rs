//! Delivering history: page by page, so that any length of it can be interrupted and goes on where it was.

use async_trait::async_trait;
use chrono::Utc;
use domain::delivery::webhook::Webhook;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Filter, Position};
use uuid::Uuid;

use super::fanout::wants;
use super::payload::{REPLAY, delivery};
use crate::dispatcher::{Outcome, Work};
use crate::due_work::{self, Item};
use crate::{NewItem, Office};

const PAGE: usize = 500;

/// How far a replay has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub webhook_id: Uuid,
    /// The event that asked for it.
    pub replay: Uuid,
    pub after: Position,
    pub to: Position,
}

/// Schedules a stretch of history for an endpoint.
pub struct Replay {
    office: Office,
}

impl Replay {
    pub const fn new(office: Office) -> Self {
        Self { office }
    }

    async fn page(&self, item: &Item, progress: Progress) -> Result<Outcome, String> {
        let office = &self.office;
        let webhook = office
            .executor
            .loader()
            .latest::<Webhook>(progress.webhook_id)
            .await
            .map_err(|error| error.to_string())?;
        let Some(endpoint) = webhook.state.endpoint() else {
            return Ok(Outcome::Done);
        };
        let filter = Filter {
            products: vec![item.product_id],
            ..Filter::default()
        };
        let page = office
            .store
            .read_all(progress.after, &filter, PAGE)
            .await
            .map_err(|error| error.to_string())?;
        let items: Vec<NewItem> = page
            .events
            .iter()
            .filter(|event| {
                event.position <= progress.to && wants(endpoint.events.iter(), &event.event_type)
            })
            .map(|event| delivery(event, progress.webhook_id, Some(progress.replay)))
            .collect();
        let client = office
            .database
            .pool
            .get()
            .await
            .map_err(|error| store::describe(&error))?;
        due_work::schedule(&**client, &items)
            .await
            .map_err(|error| store::describe(&error))?;
        Ok(if page.scanned_to >= progress.to {
            Outcome::Done
        } else {
            Outcome::Again {
                at: Utc::now(),
                payload: json!(Progress {
                    after: page.scanned_to,
                    ..progress
                }),
            }
        })
    }
}

#[async_trait]
impl Work for Replay {
    fn kind(&self) -> &'static str {
        REPLAY
    }

    async fn run(&self, item: &Item) -> Outcome {
        match serde_json::from_value(item.payload.clone()) {
            Ok(progress) => self
                .page(item, progress)
                .await
                .unwrap_or_else(Outcome::Failed),
            Err(error) => Outcome::Park(error.to_string()),
        }
    }
}
