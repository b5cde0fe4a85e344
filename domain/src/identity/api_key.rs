//! An API key: who holds it, what it may do, and the hashes by which it is known. The key itself is never in the log.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::scope;
use crate::{Actor, Aggregate, Audience, Class, Moment, Refusal, Violations, events};

events! {
    /// Everything that happens to an API key.
    pub enum ApiKeyEvent {
        Issued("api_key.issued", 1) {
            name: String,
            actor: Actor,
            scopes: BTreeSet<String>,
            /// SHA-256 of the key, in hex.
            sha256: String,
            /// Id of the actor who has seen the key first.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            issued_by: Option<Uuid>,
        },
        /// Replaced by a new key; the old one works a little longer.
        Rotated("api_key.rotated", 1) { sha256: String, previous_valid_until: DateTime<Utc> },
        Revoked("api_key.revoked", 1) {},
    }
}

/// Whoever issues, rotates or revokes a key, as their own key has it.
#[derive(Debug, Clone)]
pub struct Issuer {
    pub is_operator: bool,
    pub scopes: BTreeSet<String>,
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "api_key.", serialize_all = "snake_case")]
pub enum ApiKeyCommand {
    Issue {
        name: String,
        actor: Actor,
        /// The issuer says who the actor is; otherwise it is a new one.
        named: bool,
        scopes: BTreeSet<String>,
        sha256: String,
        /// Nobody gives scopes that they do not have.
        issuer: Issuer,
    },
    Rotate {
        sha256: String,
        overlap: TimeDelta,
        /// A new key carries the old one's scopes, so whoever rotates it must hold them.
        issuer: Issuer,
    },
    Revoke {
        issuer: Issuer,
    },
}

/// Why a command on an API key is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(prefix = "api_key_", serialize_all = "snake_case")]
pub enum ApiKeyRefusal {
    /// It was never issued.
    #[error("there is no such API key")]
    NotFound,
    /// The id is taken.
    #[error("an API key with this id exists already")]
    Exists,
    /// It no longer works.
    #[error("the API key is revoked; issue a new one")]
    Revoked,
    /// The issuer's own key lacks a scope.
    #[error("only a key with the scope {0} can give it or take it away; yours does not have it")]
    ScopeNotHeld(String),
    /// Whoever could get a key of another actor could act as two: their own eyes and the other's.
    #[error(
        "a key is for yourself, with your own kind, or for a new actor; leave actor.id out, or ask the operator"
    )]
    ActorNotYours,
    /// Whoever rotates a key sees the new one.
    #[error("only its actor, whoever issued it, or the operator rotates an API key")]
    NotYours,
    /// The command is malformed.
    #[error("{0}")]
    Invalid(#[from] Violations),
}

impl Refusal for ApiKeyRefusal {
    fn class(&self) -> Class<'_> {
        match self {
            Self::NotFound => Class::Absent,
            Self::Exists => Class::Conflict,
            Self::Revoked => Class::Rule,
            Self::ScopeNotHeld(_) | Self::ActorNotYours | Self::NotYours => Class::Forbidden,
            Self::Invalid(violations) => Class::Invalid(violations),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub enum ApiKey {
    #[default]
    Absent,
    Active(Grant),
    Revoked(Grant),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    pub name: String,
    pub actor: Actor,
    pub scopes: BTreeSet<String>,
    pub sha256: String,
    pub issued_by: Option<Uuid>,
    /// How often it was rotated.
    pub generation: u32,
}

impl ApiKey {
    #[must_use]
    pub const fn grant(&self) -> Option<&Grant> {
        match self {
            Self::Absent => None,
            Self::Active(grant) | Self::Revoked(grant) => Some(grant),
        }
    }
}

impl Aggregate for ApiKey {
    const CATEGORY: &'static str = "api_key";
    const CONTEXT: &'static str = "api_keys";
    const AUDIENCE: Audience = Audience::Product;
    type Command = ApiKeyCommand;
    type Event = ApiKeyEvent;
    type Refusal = ApiKeyRefusal;

    fn evolve(self, event: &ApiKeyEvent) -> Self {
        match (self, event) {
            (
                _,
                ApiKeyEvent::Issued {
                    name,
                    actor,
                    scopes,
                    sha256,
                    issued_by,
                },
            ) => Self::Active(Grant {
                name: name.clone(),
                actor: *actor,
                scopes: scopes.clone(),
                sha256: sha256.clone(),
                issued_by: *issued_by,
                generation: 0,
            }),
            (Self::Active(grant), ApiKeyEvent::Rotated { sha256, .. }) => Self::Active(Grant {
                sha256: sha256.clone(),
                generation: grant.generation + 1,
                ..grant
            }),
            (Self::Active(grant) | Self::Revoked(grant), ApiKeyEvent::Revoked {}) => {
                Self::Revoked(grant)
            }
            (state @ (Self::Absent | Self::Revoked(_)), ApiKeyEvent::Rotated { .. })
            | (state @ Self::Absent, ApiKeyEvent::Revoked {}) => state,
        }
    }

    fn decide(
        &self,
        command: ApiKeyCommand,
        at: &Moment,
    ) -> Result<Vec<ApiKeyEvent>, ApiKeyRefusal> {
        match (self, command) {
            (
                Self::Absent,
                ApiKeyCommand::Issue {
                    name,
                    actor,
                    named,
                    scopes,
                    sha256,
                    issuer,
                },
            ) => {
                check(&name, actor, &scopes)?;
                if named && actor != at.actor && !issuer.is_operator {
                    return Err(ApiKeyRefusal::ActorNotYours);
                }
                issuer.require(&scopes)?;
                Ok(vec![ApiKeyEvent::Issued {
                    name,
                    actor,
                    scopes,
                    sha256,
                    issued_by: Some(at.actor.id),
                }])
            }
            (_, ApiKeyCommand::Issue { .. }) => Err(ApiKeyRefusal::Exists),
            (Self::Absent, ApiKeyCommand::Rotate { .. } | ApiKeyCommand::Revoke { .. }) => {
                Err(ApiKeyRefusal::NotFound)
            }
            (
                Self::Active(grant),
                ApiKeyCommand::Rotate {
                    sha256,
                    overlap,
                    issuer,
                },
            ) => {
                issuer.require(&grant.scopes)?;
                let seen_by = [Some(grant.actor.id), grant.issued_by];
                if !seen_by.contains(&Some(at.actor.id)) && !issuer.is_operator {
                    return Err(ApiKeyRefusal::NotYours);
                }
                let mut violations = Violations::default();
                violations.require_overlap(overlap);
                violations.into_result()?;
                Ok(vec![ApiKeyEvent::Rotated {
                    sha256,
                    previous_valid_until: at.now + overlap,
                }])
            }
            (Self::Revoked(_), ApiKeyCommand::Rotate { .. }) => Err(ApiKeyRefusal::Revoked),
            (Self::Active(grant) | Self::Revoked(grant), ApiKeyCommand::Revoke { issuer }) => {
                if grant.actor.id != at.actor.id && !issuer.is_operator {
                    issuer.require(&grant.scopes)?;
                }
                Ok(match self {
                    Self::Active(_) => vec![ApiKeyEvent::Revoked {}],
                    Self::Absent | Self::Revoked(_) => vec![],
                })
            }
        }
    }
}

impl Issuer {
    fn require(&self, scopes: &BTreeSet<String>) -> Result<(), ApiKeyRefusal> {
        scopes
            .iter()
            .find(|scope| !scope::grants(&self.scopes, scope))
            .map_or(Ok(()), |scope| {
                Err(ApiKeyRefusal::ScopeNotHeld(scope.clone()))
            })
    }
}

fn check(name: &str, actor: Actor, scopes: &BTreeSet<String>) -> Result<(), Violations> {
    let mut violations = Violations::default();
    violations.require_length(name, 1, 200, "/name");
    violations.require(
        actor.id != Actor::SYSTEM.id,
        "/actor/id",
        "must not be that of Daybook itself",
    );
    violations.require(
        !scopes.is_empty(),
        "/scopes",
        "must name at least one scope",
    );
    for unknown in scopes.iter().filter(|scope| !scope::is_known(scope)) {
        violations.require(
            false,
            "/scopes",
            format!(
                "must be * or audit:read or <context>:read or <context>:write with one of the contexts {}; {unknown:?} is not",
                scope::contexts().into_iter().collect::<Vec<_>>().join(", ")
            ),
        );
    }
    violations.into_result()
}

#[cfg(test)]
#[path = "api_key_tests.rs"]
mod tests;
