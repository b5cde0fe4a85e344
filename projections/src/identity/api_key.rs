//! The read model of API keys, found by the hashes of their secrets.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::Actor;
use domain::identity::api_key::{ApiKey, ApiKeyEvent};
use serde::{Deserialize, Serialize};
use store::{Database, Recorded};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::query::rows;
use crate::{QueryError, ReadModel, Row, visible};

/// The status of an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApiKeyStatus {
    Active,
    Revoked,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ApiKeyContent {
    pub name: String,
    pub actor: Actor,
    pub scopes: BTreeSet<String>,
    pub status: ApiKeyStatus,
    /// Id of the actor who controls the key.
    pub controller: Uuid,
    /// True if the operator vouches for the key's actor.
    pub vouched: bool,
    /// True if nobody but its holder has seen the current secret.
    pub enrolled: bool,
    /// Number of times that the secret was replaced.
    pub generation: u32,
    pub sha256: String,
    pub previous_sha256: Option<String>,
    pub previous_valid_until: Option<DateTime<Utc>>,
}

pub struct ApiKeys;

impl ReadModel for ApiKeys {
    const TABLE: &'static str = "api_keys";
    const VERSION: u32 = 2;
    const DDL: &'static str = include_str!("../../../schema/read/api_key.sql");
    const VISIBLE: &'static str = visible::IN_PRODUCT;
    type Of = ApiKey;
    type Content = ApiKeyContent;

    fn apply(
        key: Option<ApiKeyContent>,
        event: ApiKeyEvent,
        _: &Recorded,
    ) -> Option<ApiKeyContent> {
        Some(match (key, event) {
            (
                _,
                ApiKeyEvent::Issued {
                    name,
                    actor,
                    scopes,
                    sha256,
                    issued_by: _,
                    controlled_by,
                    vouched,
                },
            ) => ApiKeyContent {
                name,
                actor,
                scopes,
                status: ApiKeyStatus::Active,
                controller: controlled_by.unwrap_or(actor.id),
                vouched,
                enrolled: false,
                generation: 0,
                sha256,
                previous_sha256: None,
                previous_valid_until: None,
            },
            (None, _) => return None,
            (
                Some(key),
                ApiKeyEvent::Rotated {
                    sha256,
                    previous_valid_until,
                    controlled_by,
                },
            ) => ApiKeyContent {
                previous_sha256: Some(key.sha256),
                previous_valid_until: Some(previous_valid_until),
                sha256,
                controller: controlled_by.unwrap_or(key.controller),
                enrolled: key.enrolled && controlled_by.is_none(),
                generation: key.generation + 1,
                ..key
            },
            (Some(key), ApiKeyEvent::Enrolled { sha256 }) => ApiKeyContent {
                sha256,
                previous_sha256: None,
                previous_valid_until: None,
                controller: if key.vouched {
                    key.actor.id
                } else {
                    key.controller
                },
                enrolled: true,
                generation: key.generation + 1,
                ..key
            },
            (Some(key), ApiKeyEvent::Revoked {}) => ApiKeyContent {
                status: ApiKeyStatus::Revoked,
                ..key
            },
        })
    }
}

/// Returns the key with this current or previous hash, revoked or not.
pub async fn by_hash(
    database: &Database,
    sha256: &str,
) -> Result<Option<Row<ApiKeyContent>>, QueryError> {
    const BY_HASH: &str = "
        select row_to_json(k)::text from api_keys k where sha256 = $1 or previous_sha256 = $1";
    Ok(rows(database, BY_HASH, &[&sha256]).await?.pop())
}
