//! The domain: events, states and decisions. Pure code: no I/O, no clock, no randomness.

mod actor;
mod address;
mod aggregate;
mod contract;
mod contracts;
mod folding;
mod payload;
mod permission;
mod refusal;
pub mod reservation;
mod stream;
#[cfg(any(test, feature = "testing"))]
#[allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "tests fail by panicking"
)]
pub mod testing;

pub mod agents;
pub mod delivery;
pub mod identity;
pub mod knowledge;
pub mod operations;
pub mod text;

pub use actor::{Actor, ActorKind};
pub use address::{WEB_ADDRESS, is_web_address};
pub use aggregate::{Aggregate, Audience, DecisionContext, fold};
pub use contract::{ContractError, EventContract, Upcaster, parse as parse_payload};
pub use contracts::{
    Contract, MAX_PATTERNS, Sample, check_category, check_type_pattern, contracts, covers,
    event_types,
};
pub use folding::{composed, folded, spaced};
pub use payload::{PayloadError, encode as encode_payload, has_nul};
pub use permission::{Permission, RequiredPermission, ResourceScope};
pub use refusal::{Class, NoRule, Refusal, Rejection, Rule, Violation, Violations, excerpt};
pub use reservation::Unique;
pub use stream::{StreamId, StreamIdError};
