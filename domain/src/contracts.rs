//! The registry of every event contract: one line per aggregate.

use include_dir::{Dir, include_dir};
use serde_json::Value;

use crate::{
    Aggregate, ContractError, EventContract, agents, delivery, identity, knowledge, operations,
};

/// What is known of an aggregate's events without knowing its type.
pub struct Contract {
    pub category: &'static str,
    pub context: &'static str,
    /// Type names with their current versions.
    pub types: &'static [(&'static str, u16)],
    /// Reads a payload of any version, folds it into a fresh state, and writes it again as the current version would.
    pub lift: fn(event_type: &str, version: u16, data: &str) -> Result<Value, ContractError>,
}

impl Contract {
    const fn of<A: Aggregate>() -> Self {
        Self {
            category: A::CATEGORY,
            context: A::CONTEXT,
            types: A::Event::TYPES,
            lift: lift::<A>,
        }
    }
}

fn lift<A: Aggregate>(event_type: &str, version: u16, data: &str) -> Result<Value, ContractError> {
    let event = A::Event::decode(event_type, version, data)?;
    let _ = A::default().evolve(&event);
    Ok(serde_json::to_value(&event).unwrap_or_default())
}

/// Every type of event.
pub fn event_types() -> impl Iterator<Item = &'static str> {
    contracts()
        .into_iter()
        .flat_map(|contract| contract.types)
        .map(|&(event_type, _)| event_type)
}

/// Whether a pattern covers an event type: the type itself, or `*` for any rest.
#[must_use]
pub fn covers(pattern: &str, event_type: &str) -> bool {
    pattern.strip_suffix('*').map_or_else(
        || pattern == event_type,
        |prefix| event_type.starts_with(prefix),
    )
}

static SAMPLES: Dir = include_dir!("$CARGO_MANIFEST_DIR/../schema/events");

/// An event as its current contract has it.
pub struct Sample {
    pub category: &'static str,
    pub contract_version: u16,
    pub data: &'static str,
}

impl Sample {
    /// Nothing where there is no such type.
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

/// Every contract of this build.
#[must_use]
pub fn contracts() -> Vec<Contract> {
    vec![
        Contract::of::<identity::product::Product>(),
        Contract::of::<identity::actor::KnownActor>(),
        Contract::of::<identity::api_key::ApiKey>(),
        Contract::of::<identity::avatar::Avatar>(),
        Contract::of::<knowledge::workspace::Workspace>(),
        Contract::of::<knowledge::note::Note>(),
        Contract::of::<knowledge::task::Task>(),
        Contract::of::<knowledge::checklist::Checklist>(),
        Contract::of::<knowledge::calendar_feed::CalendarFeed>(),
        Contract::of::<knowledge::artifact::Artifact>(),
        Contract::of::<agents::agent::Agent>(),
        Contract::of::<agents::proposal::Proposal>(),
        Contract::of::<agents::policy::Policy>(),
        Contract::of::<delivery::webhook::Webhook>(),
        Contract::of::<delivery::webhook_delivery::Delivery>(),
        Contract::of::<operations::file::File>(),
        Contract::of::<operations::blob::Blob>(),
        Contract::of::<operations::storage::Storage>(),
    ]
}
