//! Refusals of commands on webhook endpoints.

use super::Webhook;
use crate::{Class, Rejection, Rule};

/// Rules of webhook endpoints.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum WebhookRule {
    /// Nothing is sent to a disabled endpoint.
    #[error("the webhook endpoint is disabled; enable it first")]
    Disabled,
    /// The owner's key is revoked, and another actor can only enable the endpoint after setting its address.
    #[error(
        "the API key that the webhook endpoint belongs to is revoked; set its url to take it over, then enable it"
    )]
    OwnerGone,
    /// The secret proves to a receiver that a delivery comes from the owner, so only the owner may have it.
    #[error(
        "the webhook endpoint belongs to another actor, and so does its secret; set its url to take it over, then rotate the secret"
    )]
    NotOwner,
    /// Only one replay runs at a time.
    #[error("a replay of this webhook endpoint is under way; wait until its `replay` is null")]
    ReplayUnderWay,
}

impl Rule for WebhookRule {
    type Of = Webhook;

    fn class(&self) -> Class<'_> {
        match self {
            Self::ReplayUnderWay => Class::Conflict,
            Self::Disabled | Self::OwnerGone | Self::NotOwner => Class::Rule,
        }
    }
}

/// Reasons to refuse a command.
pub type WebhookRefusal = Rejection<WebhookRule>;
