//! The contracts of all events. Each group registers those of its aggregates.

use include_dir::{Dir, include_dir};
use serde_json::Value;

use crate::refusal::rule_codes;
use crate::reservation::Reservation;
#[cfg(any(test, feature = "testing"))]
use crate::testing::ContractTests;
use crate::{
    Aggregate, Audience, ContractError, EventContract, agents, delivery, excerpt, identity,
    knowledge, operations,
};

/// The contract of an aggregate's events, independent of the aggregate's Rust type.
pub struct Contract {
    pub category: &'static str,
    pub scope: &'static str,
    pub audience: Audience,
    /// Type names with their current versions.
    pub types: &'static [(&'static str, u16)],
    /// Descriptions of the types, one sentence each, in the same order.
    pub meanings: &'static [&'static str],
    /// Returns the codes of the aggregate's own rules.
    pub codes: fn() -> Vec<String>,
    /// Reads a payload of any version, folds it into a new state, and writes it in the current version.
    pub upcast: fn(event_type: &str, version: u16, data: &str) -> Result<Value, ContractError>,
    #[cfg(any(test, feature = "testing"))]
    pub tests: ContractTests,
}

impl Contract {
    /// Returns the contract of an aggregate.
    pub(crate) const fn of<A: Aggregate>() -> Self {
        Self {
            category: A::CATEGORY,
            scope: A::SCOPE,
            audience: A::AUDIENCE,
            types: A::Event::TYPES,
            meanings: A::Event::MEANINGS,
            codes: rule_codes::<A::Rule>,
            upcast: upcast::<A>,
            #[cfg(any(test, feature = "testing"))]
            tests: ContractTests::of::<A>(),
        }
    }
}

fn upcast<A: Aggregate>(
    event_type: &str,
    version: u16,
    data: &str,
) -> Result<Value, ContractError> {
    let event = A::Event::decode(event_type, version, data)?;
    let _ = A::default().evolve(&event);
    Ok(serde_json::to_value(&event).unwrap_or_default())
}

/// Returns all event types.
pub fn event_types() -> impl Iterator<Item = &'static str> {
    contracts()
        .into_iter()
        .flat_map(|contract| contract.types)
        .map(|&(event_type, _)| event_type)
}

/// The maximum number of type patterns, and of categories, in a filter or a subscription.
pub const MAX_PATTERNS: usize = 50;
/// Number of similar names suggested for a misspelt one.
const NEAREST: usize = 3;
/// Number of characters of a misspelt name that are compared.
const COMPARED: usize = 100;

/// Refuses an event type, or a prefix ending in `*`, that matches no event; the error names the most similar types.
pub fn check_type_pattern(pattern: &str) -> Result<(), String> {
    if event_types().any(|known| covers(pattern, known)) {
        return Ok(());
    }
    Err(format!(
        "must be types of events, or prefixes of them that end in *; {} is none: did you mean {}?",
        excerpt(pattern),
        nearest(pattern, event_types())
    ))
}

/// Refuses a category that no stream has; the error names the most similar categories.
pub fn check_category(category: &str) -> Result<(), String> {
    let known = || contracts().into_iter().map(|contract| contract.category);
    if known().any(|known| known == category) {
        return Ok(());
    }
    Err(format!(
        "must be categories of streams; {} is none: did you mean {}?",
        excerpt(category),
        nearest(category, known())
    ))
}

/// Returns the known names most similar to a text, the most similar first.
fn nearest<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> String {
    let text: String = text.chars().take(COMPARED).collect();
    let mut known: Vec<(f64, &str)> = known
        .map(|known| (strsim::jaro_winkler(&text, known), known))
        .collect();
    known.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let names: Vec<&str> = known.into_iter().map(|(_, name)| name).collect();
    names
        .into_iter()
        .take(NEAREST)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Returns true if a pattern matches an event type: either the type itself, or a prefix followed by `*`.
#[must_use]
pub fn covers(pattern: &str, event_type: &str) -> bool {
    pattern.strip_suffix('*').map_or_else(
        || pattern == event_type,
        |prefix| event_type.starts_with(prefix),
    )
}

static SAMPLES: Dir = include_dir!("$CARGO_MANIFEST_DIR/../schema/events");

/// An example event in the current version of its contract.
pub struct Sample {
    pub category: &'static str,
    pub contract_version: u16,
    pub data: &'static str,
}

impl Sample {
    /// Returns the sample of an event type; none if the type does not exist.
    #[must_use]
    pub fn of(event_type: &str) -> Option<Self> {
        contracts().into_iter().find_map(|contract| {
            let (_, version) = contract
                .types
                .iter()
                .find(|(known, _)| *known == event_type)?;
            let file = SAMPLES.get_file(format!("{event_type}.v{version}.json"))?;
            Some(Self {
                category: contract.category,
                contract_version: *version,
                data: file.contents_utf8()?,
            })
        })
    }
}

/// Returns all contracts of this build.
#[must_use]
pub fn contracts() -> Vec<Contract> {
    let mut all = vec![Contract::of::<Reservation>()];
    all.extend(identity::contracts());
    all.extend(knowledge::contracts());
    all.extend(agents::contracts());
    all.extend(delivery::contracts());
    all.extend(operations::contracts());
    all
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn any_events_in_any_order_fold() {
        for contract in contracts() {
            (contract.tests.check_fold)();
        }
    }

    #[test]
    fn a_misspelt_type_is_answered_with_the_nearest() {
        for known in ["note.created", "note.*", "note.c*", "*", "api_key.issued"] {
            assert_eq!(check_type_pattern(known), Ok(()), "{known}");
        }
        for (unknown, meant) in [("note.craeted", "note.created"), ("notes.*", "note.")] {
            let error = check_type_pattern(unknown).unwrap_err();
            assert!(error.contains(&format!("did you mean {meant}")), "{error}");
        }
        for unknown in [
            "",
            "NOTE.*",
            "*.created",
            "note.%",
            "note.created*x",
            "note",
        ] {
            assert!(check_type_pattern(unknown).is_err(), "{unknown}");
        }
        assert!(
            check_type_pattern(&"x".repeat(1_000_000))
                .unwrap_err()
                .len()
                < 500
        );
    }

    #[test]
    fn a_misspelt_category_is_answered_with_the_nearest() {
        assert_eq!(check_category("webhook_delivery"), Ok(()));
        let error = check_category("notes").unwrap_err();
        assert!(error.contains("did you mean note,"), "{error}");
    }

    #[test]
    fn every_event_says_what_has_happened() {
        for contract in contracts() {
            for ((event_type, _), meaning) in contract.types.iter().zip(contract.meanings) {
                assert!(
                    meaning.trim().ends_with('.'),
                    "describe {event_type} in a sentence above it in `events!`, not {meaning:?}"
                );
            }
        }
    }

    /// Fails if an aggregate declares members as its audience but does not return its workspace.
    #[test]
    fn whatever_members_see_says_which_workspace_it_is_in() {
        for contract in contracts() {
            let is_placed = contract.types.iter().any(|&(event_type, version)| {
                let sample = Sample::of(event_type).unwrap_or_else(|| {
                    panic!("schema/events/{event_type}.v{version}.json is missing: add an example")
                });
                (contract.tests.workspace)(Uuid::from_u128(1), event_type, version, sample.data)
                    .is_some()
            });
            let expected = match contract.audience {
                Audience::Members | Audience::MembersOrProduct => true,
                Audience::Product | Audience::Actor | Audience::Auditors => false,
            };
            assert_eq!(
                is_placed,
                expected,
                "{}: AUDIENCE is {:?}, and `workspace` returns {} workspace; make them agree",
                contract.category,
                contract.audience,
                if is_placed { "a" } else { "no" }
            );
        }
    }
}
