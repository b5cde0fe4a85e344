//! The read model of webhook deliveries.

use chrono::{DateTime, Utc};
use domain::delivery::webhook_delivery::{Delivery, DeliveryEvent};
use serde::{Deserialize, Serialize};
use store::Recorded;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{ReadModel, visible};

/// The status of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    Retrying,
    Succeeded,
    Exhausted,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryContent {
    pub webhook_id: Uuid,
    /// The event that is delivered.
    pub event_id: Uuid,
    pub event_type: String,
    pub status: DeliveryStatus,
    pub attempts: u32,
    /// HTTP status of the last attempt; null if there was no response.
    pub last_status: Option<u16>,
    /// Reason why there was no response.
    pub last_error: Option<String>,
    /// The first 1 kB of the last response.
    pub last_response: String,
    pub duration_ms: u64,
    pub last_attempt_at: DateTime<Utc>,
    pub next_attempt_at: Option<DateTime<Utc>>,
}

pub struct Deliveries;

impl ReadModel for Deliveries {
    const TABLE: &'static str = "webhook_deliveries";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/webhook_delivery.sql");
    const VISIBLE: &'static str = visible::IN_PRODUCT;
    type Of = Delivery;
    type Content = DeliveryContent;

    fn apply(
        delivery: Option<DeliveryContent>,
        event: DeliveryEvent,
        envelope: &Recorded,
    ) -> Option<DeliveryContent> {
        match event {
            DeliveryEvent::Attempted {
                webhook_id,
                event_id,
                event_type,
                attempt,
                succeeded,
                status,
                error,
                duration_ms,
                response,
                next_attempt_at,
            } => Some(DeliveryContent {
                webhook_id,
                event_id,
                event_type,
                status: match (succeeded, next_attempt_at) {
                    (true, _) => DeliveryStatus::Succeeded,
                    (false, Some(_)) => DeliveryStatus::Retrying,
                    (false, None) => DeliveryStatus::Exhausted,
                },
                attempts: attempt,
                last_status: status,
                last_error: error,
                last_response: response,
                duration_ms,
                last_attempt_at: envelope.recorded_at,
                next_attempt_at,
            }),
            DeliveryEvent::ResendRequested { .. } => delivery,
        }
    }
}
