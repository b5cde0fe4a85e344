//! An API key: who holds it, what it may do, and the hashes by which it is known. The key itself is never in the log.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::scope;
use crate::{Actor, Aggregate, Class, Moment, Refusal, Violations, events};

events! {
    /// Everything that happens to an API key.
    pub enum ApiKeyEvent {
        Issued("api_key.issued", 1) {
            name: String,
            actor: Actor,
            scopes: BTreeSet<String>,
            /// SHA-256 of the key, in hex.
            sha256: String,
        },
        /// Replaced by a new key; the old one works a little longer.
        Rotated("api_key.rotated", 1) { sha256: String, previous_valid_until: DateTime<Utc> },
        Revoked("api_key.revoked", 1) {},
    }
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "api_key.", serialize_all = "snake_case")]
pub enum ApiKeyCommand {
    Issue {
        name: String,
        actor: Actor,
        scopes: BTreeSet<String>,
        sha256: String,
        /// What the issuer holds: nobody gives what they do not have.
        issuer_scopes: BTreeSet<String>,
    },
    Rotate {
        sha256: String,
        overlap: TimeDelta,
        /// A new key carries the old one's scopes, so whoever rotates it must hold them.
        issuer_scopes: BTreeSet<String>,
    },
    Revoke,
}

/// Why a command on an API key is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr)]
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
    #[error("you cannot give the scope {0}: your own key does not have it")]
    ScopeNotHeld(String),
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
            Self::ScopeNotHeld(_) => Class::Forbidden,
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
                },
            ) => Self::Active(Grant {
                name: name.clone(),
                actor: *actor,
                scopes: scopes.clone(),
                sha256: sha256.clone(),
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
                    scopes,
                    sha256,
                    issuer_scopes,
                },
            ) => {
                check(&name, actor, &scopes)?;
                require_held(&scopes, &issuer_scopes)?;
                Ok(vec![ApiKeyEvent::Issued {
                    name,
                    actor,
                    scopes,
                    sha256,
                }])
            }
            (_, ApiKeyCommand::Issue { .. }) => Err(ApiKeyRefusal::Exists),
            (Self::Absent, ApiKeyCommand::Rotate { .. } | ApiKeyCommand::Revoke) => {
                Err(ApiKeyRefusal::NotFound)
            }
            (
                Self::Active(grant),
                ApiKeyCommand::Rotate {
                    sha256,
                    overlap,
                    issuer_scopes,
                },
            ) => {
                require_held(&grant.scopes, &issuer_scopes)?;
                let mut violations = Violations::default();
                violations.require_overlap(overlap);
                violations.into_result()?;
                Ok(vec![ApiKeyEvent::Rotated {
                    sha256,
                    previous_valid_until: at.now + overlap,
                }])
            }
            (Self::Revoked(_), ApiKeyCommand::Rotate { .. }) => Err(ApiKeyRefusal::Revoked),
            (Self::Active(_), ApiKeyCommand::Revoke) => Ok(vec![ApiKeyEvent::Revoked {}]),
            (Self::Revoked(_), ApiKeyCommand::Revoke) => Ok(vec![]),
        }
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
                "must be * or <context>:read or <context>:write with one of the contexts {}; {unknown:?} is not",
                scope::contexts().into_iter().collect::<Vec<_>>().join(", ")
            ),
        );
    }
    violations.into_result()
}

fn require_held(
    scopes: &BTreeSet<String>,
    issuer_scopes: &BTreeSet<String>,
) -> Result<(), ApiKeyRefusal> {
    scopes
        .iter()
        .find(|scope| !scope::grants(issuer_scopes, scope))
        .map_or(Ok(()), |scope| {
            Err(ApiKeyRefusal::ScopeNotHeld(scope.clone()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{AGENT, given, noon};

    fn scopes(scopes: &[&str]) -> BTreeSet<String> {
        scopes.iter().map(ToString::to_string).collect()
    }

    fn issue(name: &str, wanted: &[&str], held: &[&str]) -> ApiKeyCommand {
        ApiKeyCommand::Issue {
            name: name.into(),
            actor: AGENT,
            scopes: scopes(wanted),
            sha256: "aa".into(),
            issuer_scopes: scopes(held),
        }
    }

    fn issued() -> ApiKeyEvent {
        ApiKeyEvent::Issued {
            name: "scribe".into(),
            actor: AGENT,
            scopes: scopes(&["notes:read"]),
            sha256: "aa".into(),
        }
    }

    fn rotate(overlap: TimeDelta) -> ApiKeyCommand {
        ApiKeyCommand::Rotate {
            sha256: "bb".into(),
            overlap,
            issuer_scopes: scopes(&["*"]),
        }
    }

    #[test]
    fn it_is_issued_with_scopes_that_the_issuer_holds() {
        for held in [["notes:read"], ["*"]] {
            given::<ApiKey>([])
                .when(issue("scribe", &["notes:read"], &held))
                .then([issued()]);
        }
    }

    #[test]
    fn nobody_gives_a_scope_that_they_do_not_hold() {
        for wanted in ["notes:write", "*"] {
            given::<ApiKey>([])
                .when(issue("scribe", &[wanted], &["notes:read"]))
                .then_refused(ApiKeyRefusal::ScopeNotHeld(wanted.into()));
        }
    }

    #[test]
    fn rotating_a_key_gives_its_scopes_and_so_needs_them() {
        given::<ApiKey>([issued()])
            .when(ApiKeyCommand::Rotate {
                sha256: "bb".into(),
                overlap: TimeDelta::zero(),
                issuer_scopes: scopes(&["api_keys:write"]),
            })
            .then_refused(ApiKeyRefusal::ScopeNotHeld("notes:read".into()));
    }

    #[test]
    fn every_field_at_fault_is_named() {
        given::<ApiKey>([])
            .when(issue("", &["notes:fly"], &["*"]))
            .then_invalid(&["/name", "/scopes"]);
        given::<ApiKey>([])
            .when(issue("a", &[], &["*"]))
            .then_invalid(&["/scopes"]);
    }

    #[test]
    fn nobody_speaks_as_daybook_itself() {
        let mut command = issue("scribe", &["notes:read"], &["*"]);
        if let ApiKeyCommand::Issue { actor, .. } = &mut command {
            *actor = Actor::SYSTEM;
        }
        given::<ApiKey>([])
            .when(command)
            .then_invalid(&["/actor/id"]);
    }

    #[test]
    fn an_id_is_used_once() {
        given::<ApiKey>([issued()])
            .when(issue("scribe", &["notes:read"], &["*"]))
            .then_refused(ApiKeyRefusal::Exists);
    }

    #[test]
    fn a_rotated_key_works_a_little_longer() {
        given::<ApiKey>([issued()])
            .when(rotate(TimeDelta::hours(1)))
            .then([ApiKeyEvent::Rotated {
                sha256: "bb".into(),
                previous_valid_until: noon() + TimeDelta::hours(1),
            }]);
    }

    #[test]
    fn the_overlap_is_bounded() {
        for overlap in [TimeDelta::days(31), TimeDelta::seconds(-1)] {
            given::<ApiKey>([issued()])
                .when(rotate(overlap))
                .then_invalid(&["/overlap_seconds"]);
        }
    }

    #[test]
    fn it_is_revoked_once_and_for_good() {
        given::<ApiKey>([issued()])
            .when(ApiKeyCommand::Revoke)
            .then([ApiKeyEvent::Revoked {}]);
        given::<ApiKey>([issued(), ApiKeyEvent::Revoked {}])
            .when(ApiKeyCommand::Revoke)
            .then_nothing();
        given::<ApiKey>([issued(), ApiKeyEvent::Revoked {}])
            .when(rotate(TimeDelta::zero()))
            .then_refused(ApiKeyRefusal::Revoked);
    }

    #[test]
    fn one_that_was_never_issued_is_not_found() {
        for command in [ApiKeyCommand::Revoke, rotate(TimeDelta::zero())] {
            given::<ApiKey>([])
                .when(command)
                .then_refused(ApiKeyRefusal::NotFound);
        }
    }
}
