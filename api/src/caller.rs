//! The caller of a request: the holder of an API key.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use commands::CommandError;
use domain::identity::api_key::Issuer;
use domain::identity::product::OPERATOR;
use domain::identity::scope;
use domain::{Actor, ActorKind};
use projections::Viewer;
use uuid::Uuid;

use crate::App;
use crate::middleware::Requester;
use crate::problem::Problem;
use crate::scopes;

/// The actor behind a request's key.
#[derive(Debug, Clone)]
pub struct Caller {
    pub actor: Actor,
    pub product_id: Uuid,
    pub scopes: Arc<BTreeSet<String>>,
    /// Id of the key; it stays the same after rotation.
    pub credential: Uuid,
    /// Id of the actor who controls the key: its own actor, unless somebody else has seen the key.
    pub controller: Uuid,
    /// True if the operator vouches for the actor.
    pub vouched: bool,
    /// SHA-256 of the key in the request.
    pub key_sha256: Arc<str>,
}

impl Caller {
    pub fn is_operator(&self) -> bool {
        self.product_id == OPERATOR
    }

    pub fn require(&self, wanted: &str) -> Result<(), Problem> {
        if scope::grants(&self.scopes, wanted) {
            Ok(())
        } else {
            Err(Problem::scope_missing(wanted))
        }
    }

    /// Refuses agents, for operations that run no command.
    pub fn require_no_agent(&self) -> Result<(), Problem> {
        match self.actor.kind {
            ActorKind::Agent => Err(CommandError::AgentNotAllowed.into()),
            ActorKind::Person | ActorKind::Service => Ok(()),
        }
    }

    /// Returns the caller as an issuer of keys.
    pub fn issuer(&self) -> Issuer {
        Issuer {
            is_operator: self.is_operator(),
            vouched: self.vouched,
            scopes: self.scopes.as_ref().clone(),
        }
    }

    /// Returns the caller's view: the operator sees every product, everybody else only their own.
    pub fn viewer(&self) -> Viewer {
        Viewer {
            product_id: (!self.is_operator()).then_some(self.product_id),
            actor_id: self.actor.id,
        }
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| {
                Problem::unauthorized("send an API key as `Authorization: Bearer dbk_…`")
            })?;
        let caller = app.authenticator.authenticate(token).await?;
        if let Some(requester) = parts.extensions.get::<Requester>() {
            requester.is(caller.actor);
        }
        scopes::require(parts, &caller)?;
        Ok(caller)
    }
}
