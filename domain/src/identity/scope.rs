//! What a key may do: `<context>:read`, `<context>:write`, or `*`.

use std::collections::BTreeSet;

use crate::contracts;

/// Everything.
pub const ALL: &str = "*";

/// The events of the whole product, whoever may see what they are about; of all products, where the operator holds it. No
/// other scope contains it, and only a key that has it gives it.
pub const AUDIT: &str = "audit:read";

/// Contexts that have scopes without having aggregates of their own.
const READ_SIDE: [&str; 3] = ["actors", "events", "jobs"];

/// Returns true if a set of scopes grants one.
#[must_use]
pub fn grants(scopes: &BTreeSet<String>, wanted: &str) -> bool {
    scopes.contains(wanted) || wanted != AUDIT && scopes.contains(ALL)
}

/// Returns true if a set of scopes makes an auditor.
#[must_use]
pub fn audits(scopes: &BTreeSet<String>) -> bool {
    grants(scopes, AUDIT)
}

/// Whether this build knows the scope.
#[must_use]
pub fn is_known(scope: &str) -> bool {
    scope == ALL
        || scope == AUDIT
        || scope.split_once(':').is_some_and(|(context, verb)| {
            matches!(verb, "read" | "write") && contexts().contains(context)
        })
}

/// Every context that scopes can name.
#[must_use]
pub fn contexts() -> BTreeSet<&'static str> {
    contracts()
        .iter()
        .map(|contract| contract.scope)
        .chain(READ_SIDE)
        .collect()
}
