//! The read model of calendar feeds, found by the hashes of their addresses.

use domain::Aggregate;
use domain::agents::agent::Agent;
use domain::identity::api_key::ApiKey;
use domain::knowledge::calendar_feed::{CalendarFeed, CalendarFeedEvent};
use serde::{Deserialize, Serialize};
use store::{Database, Recorded};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::query::rows;
use crate::{QueryError, ReadModel, Row};

/// The status of a calendar feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CalendarFeedStatus {
    Active,
    Revoked,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CalendarFeedContent {
    pub name: String,
    /// Id of the actor whose tasks the feed shows.
    pub owner: Uuid,
    /// Id of the key that opened the feed; the feed ends with the key.
    pub credential: Option<Uuid>,
    pub status: CalendarFeedStatus,
    pub sha256: String,
}

pub struct CalendarFeeds;

impl ReadModel for CalendarFeeds {
    const TABLE: &'static str = "calendar_feeds";
    const VERSION: u32 = 2;
    const DDL: &'static str = include_str!("../../../schema/read/calendar_feed.sql");
    /// Visible to its owner.
    const VISIBLE: &'static str =
        "($2::uuid is null or t.product_id = $2 and t.owner::text = $3::text)";
    type Of = CalendarFeed;
    type Content = CalendarFeedContent;

    fn apply(
        feed: Option<CalendarFeedContent>,
        event: CalendarFeedEvent,
        envelope: &Recorded,
    ) -> Option<CalendarFeedContent> {
        Some(match (feed, event) {
            (
                _,
                CalendarFeedEvent::Opened {
                    name,
                    owner,
                    sha256,
                },
            ) => CalendarFeedContent {
                name,
                owner,
                credential: envelope.metadata.credential,
                status: CalendarFeedStatus::Active,
                sha256,
            },
            (None, _) => return None,
            (Some(feed), CalendarFeedEvent::Revoked {}) => CalendarFeedContent {
                status: CalendarFeedStatus::Revoked,
                ..feed
            },
        })
    }
}

/// The read models that [`by_hash`] reads.
pub const DEPENDS_ON: [&str; 3] = [CalendarFeed::CATEGORY, ApiKey::CATEGORY, Agent::CATEGORY];

/// Returns the feed whose token has this hash, unless the feed is revoked or the key that opened it no longer works.
pub async fn by_hash(
    database: &Database,
    sha256: &str,
) -> Result<Option<Row<CalendarFeedContent>>, QueryError> {
    const BY_HASH: &str = "
        select row_to_json(f)::text from calendar_feeds f join api_keys k on k.id = f.credential
        where f.sha256 = $1 and f.status = 'active' and k.status = 'active'
            and not exists (select from agents a where a.id = f.owner and a.status = 'suspended')";
    Ok(rows(database, BY_HASH, &[&sha256]).await?.pop())
}
