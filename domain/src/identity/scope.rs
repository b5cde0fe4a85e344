//! Scopes of keys: `<context>:read`, `<context>:write`, or `*`.

use std::collections::BTreeSet;

use crate::contracts;

/// All scopes except [`AUDIT`].
pub const ALL: &str = "*";

/// Grants the events of the whole product, regardless of their audience; for the operator, of all products. No other
/// scope includes it, and only a key that has it can grant it.
pub const AUDIT: &str = "audit:read";

/// Contexts that have scopes but no aggregates of their own.
const READ_SIDE: [&str; 3] = ["actors", "events", "jobs"];

/// Returns true if a set of scopes includes the wanted scope.
#[must_use]
pub fn grants(scopes: &BTreeSet<String>, wanted: &str) -> bool {
    scopes.contains(wanted) || wanted != AUDIT && scopes.contains(ALL)
}

/// Returns true if a set of scopes makes its holder an auditor.
#[must_use]
pub fn audits(scopes: &BTreeSet<String>) -> bool {
    grants(scopes, AUDIT)
}

/// Returns true if this build knows the scope.
#[must_use]
pub fn is_known(scope: &str) -> bool {
    scope == ALL
        || scope == AUDIT
        || scope.split_once(':').is_some_and(|(context, verb)| {
            matches!(verb, "read" | "write") && contexts().contains(context)
        })
}

/// Returns all contexts that have scopes.
#[must_use]
pub fn contexts() -> BTreeSet<&'static str> {
    contracts()
        .iter()
        .map(|contract| contract.scope)
        .chain(READ_SIDE)
        .collect()
}
