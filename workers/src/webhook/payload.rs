//! The payload of a scheduled delivery.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::{Position, Recorded};
use uuid::{Builder, Uuid};

use super::deliver::Deliver;
use crate::NewJob;
use crate::jobs::PartitionId;

pub const DELIVER: &str = "webhook.deliver";
pub const REPLAY: &str = "webhook.replay";

/// One event to be delivered to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    pub webhook_id: Uuid,
    pub delivery_id: Uuid,
    pub event_id: Uuid,
    /// Position of the event in the log, if it is known.
    #[serde(default)]
    pub position: Option<Position>,
    /// True if the delivery's turn under the endpoint's rate limit has come.
    #[serde(default)]
    pub paced: bool,
}

/// Returns a delivery's id: the same whenever it is scheduled, and ordered by the time of the event.
pub fn delivery_id(webhook_id: Uuid, event_id: Uuid, replay: Option<Uuid>) -> Uuid {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(webhook_id)
        .chain_update(event_id)
        .chain_update(replay.unwrap_or_default())
        .finalize()
        .into();
    let mut random = [0; 10];
    random.copy_from_slice(&digest[..10]);
    let time = event_id.as_u128() >> 80;
    Builder::from_unix_timestamp_millis(u64::try_from(time).unwrap_or_default(), &random)
        .into_uuid()
}

/// Builds the delivery of an event to an endpoint, due now.
pub fn delivery(event: &Recorded, webhook_id: Uuid, replay: Option<Uuid>) -> NewJob {
    let payload = Payload {
        webhook_id,
        delivery_id: delivery_id(webhook_id, event.event_id, replay),
        event_id: event.event_id,
        position: Some(event.position),
        paced: false,
    };
    job(event, &payload)
}

/// Returns all partitions of an endpoint.
pub fn partitions(webhook_id: Uuid) -> [PartitionId; 2] {
    [DELIVER, REPLAY].map(|kind| PartitionId {
        kind,
        partition: webhook_id.to_string(),
    })
}

/// Builds the job of a delivery that an event causes.
pub fn job(cause: &Recorded, payload: &Payload) -> NewJob {
    NewJob {
        id: payload.delivery_id,
        partition: payload.webhook_id.to_string(),
        ..NewJob::of::<Deliver>(cause, payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_has_one_id_and_a_replay_another() {
        let (webhook, event) = (Uuid::from_u128(1), Uuid::now_v7());
        let id = delivery_id(webhook, event, None);
        assert_eq!(id, delivery_id(webhook, event, None));
        assert_ne!(id, delivery_id(webhook, event, Some(Uuid::from_u128(2))));
        assert_ne!(id, delivery_id(Uuid::from_u128(3), event, None));
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.as_u128() >> 80, event.as_u128() >> 80);
    }
}
