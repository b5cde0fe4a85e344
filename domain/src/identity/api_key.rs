//! API keys: the holder, the scopes, and the hashes that identify the key. The key itself is never in the log.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::product::OPERATOR;
use super::scope;
use crate::{
    Actor, ActorKind, Aggregate, Audience, Class, DecisionContext, Rejection, Rule, Violations,
    events,
};

events! {
    /// Events of an API key.
    pub enum ApiKeyEvent {
        /// An API key was issued to an actor.
        Issued("api_key.issued", 1) {
            name: String,
            actor: Actor,
            scopes: BTreeSet<String>,
            /// SHA-256 of the key, in hex.
            sha256: String as Short,
            /// Id of the actor who issued the key and saw it first.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            issued_by: Option<Uuid>,
            /// Id of the actor who controls the key; none: the holder.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            controlled_by: Option<Uuid>,
            /// True if the operator confirms that the actor is a different person: enrolling the key gives them sole
            /// control of it.
            #[serde(default)]
            vouched: bool,
        },
        /// The key was replaced by a new one; the old key works until the given time.
        Rotated("api_key.rotated", 1) {
            sha256: String as Short,
            previous_valid_until: DateTime<Utc>,
            /// Id of the actor who has seen the new key, if it is not the holder.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            controlled_by: Option<Uuid>,
        },
        /// The key was replaced at once by a new one that only its holder has seen.
        Enrolled("api_key.enrolled", 1) { sha256: String as Short },
        /// The key was revoked for good.
        Revoked("api_key.revoked", 1) {},
    }
}

/// The actor who issues, rotates or revokes a key, described by their own key.
#[derive(Debug, Clone)]
pub struct Issuer {
    pub is_operator: bool,
    /// True if the operator confirmed the actor behind that key.
    pub vouched: bool,
    pub scopes: BTreeSet<String>,
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "api_key.", serialize_all = "snake_case")]
pub enum ApiKeyCommand {
    Issue {
        name: String,
        actor: Actor,
        /// True if the issuer names the actor; otherwise the actor is new.
        named: bool,
        scopes: BTreeSet<String>,
        sha256: String,
        /// The issuer; actors cannot grant scopes that they do not have.
        issuer: Issuer,
    },
    Rotate {
        sha256: String,
        overlap: TimeDelta,
        /// The actor who rotates the key; they must hold the key's scopes, because the new key has them too.
        issuer: Issuer,
    },
    /// Replaces the key by one that only its holder sees.
    Enrol {
        sha256: String,
    },
    Revoke {
        issuer: Issuer,
    },
}

/// Rules of API keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum ApiKeyRule {
    /// The key is revoked.
    #[error("the API key is revoked; issue a new one")]
    Revoked,
    /// The issuer's own key lacks a scope.
    #[error("only a key with the scope {0} can give it or take it away; yours does not have it")]
    ScopeNotHeld(String),
    /// An actor with a key of another actor could act as two, for example to approve their own proposals.
    #[error(
        "a key is for yourself, with your own kind, or for a new actor; leave actor.id out, or ask the operator"
    )]
    ActorNotYours,
    /// An actor who rotates a key sees the new one.
    #[error(
        "a person's key is rotated by that person or the operator, any other also by whoever issued it; revoke it, or ask one of them"
    )]
    NotYours,
    /// The key is enrolled already, so nobody else controls it.
    #[error("the API key is enrolled already; rotate it if you want another")]
    Enrolled,
}

impl Rule for ApiKeyRule {
    type Of = ApiKey;

    fn class(&self) -> Class<'_> {
        match self {
            Self::ScopeNotHeld(..) | Self::ActorNotYours | Self::NotYours => Class::Forbidden,
            Self::Enrolled => Class::Conflict,
            Self::Revoked => Class::Rule,
        }
    }
}

/// Reasons to refuse a command.
pub type ApiKeyRefusal = Rejection<ApiKeyRule>;

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
    /// Id of the actor who controls the key: the holder, or the actor who has seen the key or created its holder.
    pub controller: Uuid,
    pub vouched: bool,
    /// True if only the holder has seen the key since.
    pub enrolled: bool,
    /// Number of times that the key was replaced.
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
    const SCOPE: &'static str = "api_keys";
    const AUDIENCE: Audience = Audience::Product;
    type Command = ApiKeyCommand;
    type Event = ApiKeyEvent;
    type Rule = ApiKeyRule;

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
                    controlled_by,
                    vouched,
                },
            ) => Self::Active(Grant {
                name: name.clone(),
                actor: *actor,
                scopes: scopes.clone(),
                sha256: sha256.clone(),
                issued_by: *issued_by,
                controller: controlled_by.unwrap_or(actor.id),
                vouched: *vouched,
                enrolled: false,
                generation: 0,
            }),
            (
                Self::Active(grant),
                ApiKeyEvent::Rotated {
                    sha256,
                    controlled_by,
                    ..
                },
            ) => Self::Active(Grant {
                sha256: sha256.clone(),
                controller: controlled_by.unwrap_or(grant.controller),
                enrolled: grant.enrolled && controlled_by.is_none(),
                generation: grant.generation + 1,
                ..grant
            }),
            (Self::Active(grant), ApiKeyEvent::Enrolled { sha256 }) => Self::Active(Grant {
                sha256: sha256.clone(),
                controller: if grant.vouched {
                    grant.actor.id
                } else {
                    grant.controller
                },
                enrolled: true,
                generation: grant.generation + 1,
                ..grant
            }),
            (Self::Active(grant) | Self::Revoked(grant), ApiKeyEvent::Revoked {}) => {
                Self::Revoked(grant)
            }
            (
                state @ (Self::Absent | Self::Revoked(_)),
                ApiKeyEvent::Rotated { .. } | ApiKeyEvent::Enrolled { .. },
            )
            | (state @ Self::Absent, ApiKeyEvent::Revoked {}) => state,
        }
    }

    fn decide(
        &self,
        command: ApiKeyCommand,
        at: &DecisionContext,
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
                    return Err(ApiKeyRule::ActorNotYours.into());
                }
                issuer.require(&scopes)?;
                Ok(vec![ApiKeyEvent::Issued {
                    name,
                    actor,
                    scopes,
                    sha256,
                    issued_by: Some(at.actor.id),
                    controlled_by: issuer.sees_key_of(actor, at),
                    vouched: issuer.is_operator || (issuer.vouched && actor == at.actor),
                }])
            }
            (_, ApiKeyCommand::Issue { .. }) => Err(ApiKeyRefusal::Exists),
            (
                Self::Absent,
                ApiKeyCommand::Rotate { .. }
                | ApiKeyCommand::Enrol { .. }
                | ApiKeyCommand::Revoke { .. },
            ) => Err(ApiKeyRefusal::NotFound),
            (
                Self::Active(grant),
                ApiKeyCommand::Rotate {
                    sha256,
                    overlap,
                    issuer,
                },
            ) => {
                issuer.require(&grant.scopes)?;
                if !grant.is_rotated_by(at.actor) && !issuer.is_operator {
                    return Err(ApiKeyRule::NotYours.into());
                }
                let mut violations = Violations::default();
                violations.require_overlap(overlap);
                violations.into_result()?;
                Ok(vec![ApiKeyEvent::Rotated {
                    sha256,
                    previous_valid_until: at.now + overlap,
                    controlled_by: issuer.sees_key_of(grant.actor, at),
                }])
            }
            (Self::Active(grant), ApiKeyCommand::Enrol { sha256 }) => {
                if grant.enrolled || grant.controller == grant.actor.id {
                    return Err(ApiKeyRule::Enrolled.into());
                }
                Ok(vec![ApiKeyEvent::Enrolled { sha256 }])
            }
            (Self::Revoked(_), ApiKeyCommand::Rotate { .. } | ApiKeyCommand::Enrol { .. }) => {
                Err(ApiKeyRule::Revoked.into())
            }
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

impl Grant {
    /// Returns true if the actor may see a successor of the key. Nobody can act as another person that way.
    fn is_rotated_by(&self, actor: Actor) -> bool {
        let is_issuer = self.issued_by == Some(actor.id) && self.actor.kind != ActorKind::Person;
        is_issuer || self.actor.id == actor.id
    }
}

impl Issuer {
    /// Returns the actor who controls a key that this issuer sees, if it is not the holder. All operators count as one,
    /// because they create one another.
    fn sees_key_of(&self, holder: Actor, at: &DecisionContext) -> Option<Uuid> {
        if self.is_operator {
            Some(OPERATOR)
        } else {
            Some(at.controller).filter(|controller| *controller != holder.id)
        }
    }

    fn require(&self, scopes: &BTreeSet<String>) -> Result<(), ApiKeyRefusal> {
        scopes
            .iter()
            .find(|scope| !scope::grants(&self.scopes, scope))
            .map_or(Ok(()), |scope| {
                Err(ApiKeyRule::ScopeNotHeld(scope.clone()).into())
            })
    }
}

fn check(name: &str, actor: Actor, scopes: &BTreeSet<String>) -> Result<(), Violations> {
    let mut violations = Violations::default();
    violations.require_line(name, 1, 200, "/name");
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
