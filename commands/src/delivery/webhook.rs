//! An attempt belongs to its delivery; what it means for the endpoint's health, to the endpoint.

use async_trait::async_trait;
use domain::delivery::webhook::{Outcome, Webhook, WebhookCommand, is_health_news};
use domain::delivery::webhook_delivery::{Attempt, Delivery, DeliveryCommand};
use domain::{Aggregate, StreamId};
use uuid::Uuid;

use crate::{Book, CommandError, Handler};

/// Records an attempt, and what it tells of the endpoint.
pub struct RecordAttempt {
    pub delivery_id: Uuid,
    pub attempt: Attempt,
}

#[async_trait]
impl Handler for RecordAttempt {
    fn name(&self) -> String {
        "webhook.delivery_record".into()
    }

    fn context(&self) -> &'static str {
        Webhook::CONTEXT
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Delivery>(self.delivery_id)
    }

    async fn handle(&self, book: &mut Book<'_>) -> Result<(), CommandError> {
        let record = DeliveryCommand::Record(self.attempt.clone());
        book.decide::<Delivery>(self.delivery_id, record).await?;
        let delivery = book.load::<Delivery>(self.delivery_id).await?;
        let outcome = match &delivery.state {
            Delivery::Succeeded(_) => Outcome::Succeeded,
            Delivery::Exhausted(_) if self.attempt.status == Some(410) => Outcome::Gone,
            Delivery::Exhausted(_) => Outcome::Exhausted {
                delivery_id: self.delivery_id,
            },
            Delivery::Retrying(_) | Delivery::New => Outcome::Failed,
        };
        if outcome == Outcome::Gone || !is_health_news(&self.attempt.event_type) {
            let note = WebhookCommand::NoteOutcome(outcome);
            book.decide::<Webhook>(self.attempt.webhook_id, note)
                .await?;
        }
        Ok(())
    }
}
