//! What a key may do: `<context>:read`, `<context>:write`, or `*`.

use std::collections::BTreeSet;

use crate::contracts;

/// Everything.
pub const ALL: &str = "*";

/// Contexts that have scopes without having aggregates of their own.
const READ_SIDE: [&str; 2] = ["events", "due_work"];

/// Whether a set of scopes grants one.
#[must_use]
pub fn grants(scopes: &BTreeSet<String>, wanted: &str) -> bool {
    scopes.contains(ALL) || scopes.contains(wanted)
}

/// Whether this build knows the scope.
#[must_use]
pub fn is_known(scope: &str) -> bool {
    scope == ALL
        || scope.split_once(':').is_some_and(|(context, verb)| {
            matches!(verb, "read" | "write") && contexts().contains(context)
        })
}

/// Every context that scopes can name.
#[must_use]
pub fn contexts() -> BTreeSet<&'static str> {
    contracts()
        .iter()
        .map(|contract| contract.context)
        .chain(READ_SIDE)
        .collect()
}
