//! Commands on endpoints, whose headers may contain passwords, and on deliveries. An attempt is recorded in its
//! delivery, its effect on the endpoint's health in the endpoint.

use async_trait::async_trait;
use domain::delivery::webhook::{
    Changes, Outcome, Owner, Webhook, WebhookCommand, WebhookRefusal, WebhookRule, is_health_news,
};
use domain::delivery::webhook_delivery::{Attempt, Delivery, DeliveryCommand, DeliveryRefusal};
use domain::{Aggregate, StreamId};
use uuid::Uuid;

use crate::{CommandError, Handler, Secrets, UnitOfWork};

/// Creates or updates an endpoint; the values of its headers are sealed.
pub struct Configure {
    pub id: Uuid,
    pub command: fn(Changes) -> WebhookCommand,
    pub changes: Changes,
    pub secrets: Secrets,
}

#[async_trait]
impl Handler for Configure {
    fn name(&self) -> String {
        (self.command)(Changes::default()).as_ref().to_owned()
    }

    fn context(&self) -> &'static str {
        Webhook::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Webhook>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let mut changes = self.changes.clone();
        changes.by = caller(work);
        changes
            .check()
            .map_err(|violations| CommandError::refused(WebhookRefusal::Invalid(violations)))?;
        for value in changes
            .headers
            .iter_mut()
            .flat_map(|headers| headers.values_mut())
        {
            *value = self.secrets.seal(self.id, value);
        }
        work.decide::<Webhook>(self.id, (self.command)(changes))
            .await?;
        Ok(())
    }
}

/// Enables deliveries to an endpoint again.
pub struct Enable {
    pub id: Uuid,
}

#[async_trait]
impl Handler for Enable {
    fn name(&self) -> String {
        let by = Owner::default();
        WebhookCommand::Enable { by }.as_ref().to_owned()
    }

    fn context(&self) -> &'static str {
        Webhook::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Webhook>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let by = caller(work);
        work.decide::<Webhook>(self.id, WebhookCommand::Enable { by })
            .await?;
        Ok(())
    }
}

/// Returns the caller with the API key of the request.
fn caller(work: &UnitOfWork<'_>) -> Owner {
    Owner {
        actor_id: work.context().actor.id,
        api_key_id: work.request().credential.unwrap_or_default(),
    }
}

/// Sends a delivery again now, if its endpoint is enabled; this replaces a scheduled retry.
pub struct Resend {
    pub delivery_id: Uuid,
}

#[async_trait]
impl Handler for Resend {
    fn name(&self) -> String {
        DeliveryCommand::Resend.as_ref().to_owned()
    }

    fn context(&self) -> &'static str {
        Delivery::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Delivery>(self.delivery_id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let delivery = work.load::<Delivery>(self.delivery_id).await?;
        let Some(progress) = delivery.state.progress() else {
            return Err(CommandError::refused(DeliveryRefusal::NotFound));
        };
        let webhook_id = progress.webhook_id;
        let webhook = work.load::<Webhook>(webhook_id).await?;
        let endpoint = webhook.state.endpoint().ok_or(WebhookRefusal::NotFound);
        if endpoint.map_err(CommandError::refused)?.disabled.is_some() {
            return Err(CommandError::refused(WebhookRule::Disabled));
        }
        work.decide::<Delivery>(self.delivery_id, DeliveryCommand::Resend)
            .await?;
        Ok(())
    }
}

/// Records an attempt, and its effect on the endpoint's health.
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
        Webhook::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Delivery>(self.delivery_id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let record = DeliveryCommand::Record(self.attempt.clone());
        work.decide::<Delivery>(self.delivery_id, record).await?;
        let delivery = work.load::<Delivery>(self.delivery_id).await?;
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
            work.decide::<Webhook>(self.attempt.webhook_id, note)
                .await?;
        }
        Ok(())
    }
}
