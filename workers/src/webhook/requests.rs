//! Requests for webhooks: examples, replays, resends, and the effects of enabling or deleting an endpoint.

use async_trait::async_trait;
use domain::delivery::webhook::{Webhook, WebhookEvent};
use domain::delivery::webhook_delivery::{Delivery, DeliveryEvent};
use domain::{Aggregate, ContractError};
use projections::ApplyError;
use store::Recorded;

use super::payload::{Payload, delivery, job, partitions};
use super::replay::{Progress, Replay};
use crate::NewJob;
use crate::reaction::{Consequences, Reaction};

/// Turns requests into jobs.
pub struct Requests;

#[async_trait]
impl Reaction for Requests {
    const NAME: &'static str = "webhook_requests";
    const CATEGORIES: &'static [&'static str] = &[Webhook::CATEGORY, Delivery::CATEGORY];

    async fn react(&self, events: &[Recorded]) -> Result<Consequences, ApplyError> {
        let mut consequences = Consequences::default();
        for event in events {
            if event.stream.category == Webhook::CATEGORY {
                endpoint(event, &mut consequences)
            } else {
                resend(event, &mut consequences)
            }
            .map_err(|error| ApplyError::contract(event, &error))?;
        }
        Ok(consequences)
    }
}

fn endpoint(event: &Recorded, consequences: &mut Consequences) -> Result<(), ContractError> {
    let webhook_id = event.stream.id;
    match event.decode::<WebhookEvent>()? {
        WebhookEvent::ExampleRequested { .. } => {
            consequences
                .schedule
                .push(delivery(event, webhook_id, None));
        }
        WebhookEvent::ReplayRequested {
            from_position,
            to_position,
        } => {
            let progress = Progress {
                webhook_id,
                replay: event.event_id,
                after: from_position,
                to: to_position,
            };
            consequences.schedule.push(NewJob {
                partition: webhook_id.to_string(),
                ..NewJob::of::<Replay>(event, &progress)
            });
        }
        WebhookEvent::EndpointEnabled {} => consequences.redrive.extend(partitions(webhook_id)),
        WebhookEvent::Deleted {} => consequences.clear.extend(partitions(webhook_id)),
        WebhookEvent::Created { .. }
        | WebhookEvent::Updated { .. }
        | WebhookEvent::TakenOver { .. }
        | WebhookEvent::ReplayFinished {}
        | WebhookEvent::SecretRotated { .. }
        | WebhookEvent::EndpointFailing { .. }
        | WebhookEvent::EndpointRecovered {}
        | WebhookEvent::EndpointDisabled { .. }
        | WebhookEvent::DeliveryExhausted { .. } => {}
    }
    Ok(())
}

fn resend(event: &Recorded, consequences: &mut Consequences) -> Result<(), ContractError> {
    if let DeliveryEvent::ResendRequested {
        webhook_id,
        event_id,
    } = event.decode()?
    {
        let payload = Payload {
            webhook_id,
            delivery_id: event.stream.id,
            event_id,
            position: None,
            paced: false,
        };
        consequences.hasten.push(job(event, &payload));
    }
    Ok(())
}
