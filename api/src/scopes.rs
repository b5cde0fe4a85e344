//! Scopes: checked against the operation's description before anything else in the request.

use std::collections::HashMap;
use std::sync::OnceLock;

use axum::extract::MatchedPath;
use axum::http::request::Parts;
use domain::identity::scope;
use serde_json::Value;

use crate::caller::Caller;
use crate::openapi::{self, OperationKey, key};
use crate::problem::Problem;

/// Sets of scopes; any one of them suffices.
type Alternatives = Vec<Vec<String>>;

/// Refuses a caller whose key lacks the scopes that the operation needs.
pub fn require(parts: &Parts, caller: &Caller) -> Result<(), Problem> {
    let Some(path) = parts.extensions.get::<MatchedPath>() else {
        return Ok(());
    };
    let needed = needed().get(&key(&parts.method, path.as_str()));
    let Some((first, others)) = needed.and_then(|needed| needed.split_first()) else {
        return Ok(());
    };
    let lacks = |scopes: &[String]| {
        let lacking = scopes
            .iter()
            .find(|wanted| !scope::grants(&caller.scopes, wanted));
        lacking.cloned()
    };
    match lacks(first) {
        Some(lacking) if others.iter().all(|scopes| lacks(scopes).is_some()) => {
            Err(Problem::scope_missing(&lacking))
        }
        Some(_) | None => Ok(()),
    }
}

/// Returns the scopes of every operation that needs a key.
fn needed() -> &'static HashMap<OperationKey, Alternatives> {
    static NEEDED: OnceLock<HashMap<OperationKey, Alternatives>> = OnceLock::new();
    NEEDED.get_or_init(|| {
        openapi::operations_of(openapi::published())
            .map(|(key, described)| (key, alternatives(&described["security"])))
            .collect()
    })
}

fn alternatives(security: &Value) -> Alternatives {
    let scopes = |requirement: &Value| {
        let scopes = requirement["api_key"].as_array().into_iter().flatten();
        scopes
            .filter_map(|scope| Some(scope.as_str()?.to_owned()))
            .collect()
    };
    security
        .as_array()
        .into_iter()
        .flatten()
        .map(scopes)
        .collect()
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::*;

    #[test]
    fn every_command_and_query_says_what_it_needs() {
        let needs = |method, path| needed().get(&key(&method, path)).cloned();
        assert_eq!(
            needs(Method::POST, "/v1/notes"),
            Some(vec![vec!["notes:write".to_owned()]])
        );
        assert_eq!(
            needs(Method::HEAD, "/v1/notes"),
            Some(vec![vec!["notes:read".to_owned()]])
        );
        assert_eq!(needs(Method::GET, "/health/live"), Some(vec![]));
    }
}
