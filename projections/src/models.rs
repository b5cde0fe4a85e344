//! All read models. Each group registers its own.

use std::any::type_name;
use std::sync::Arc;

use crate::{Consumer, Projection, ReadModel, agents, delivery, identity, knowledge, operations};

/// Returns every read model of this build.
#[must_use]
pub fn models() -> Vec<Arc<dyn Consumer>> {
    let groups = [
        identity::models(),
        knowledge::models(),
        agents::models(),
        delivery::models(),
        operations::models(),
    ];
    groups.into_iter().flatten().collect()
}

/// Returns the consumer that maintains a read model.
///
/// # Panics
///
/// Panics if the events of the read model have no contract. The message names the missing line.
pub(crate) fn model<M: ReadModel>() -> Arc<dyn Consumer> {
    let aggregate = type_name::<M::Of>();
    assert!(
        domain::check_category(M::NAME).is_ok(),
        "{aggregate} has no contract: add it to contracts() in the mod.rs of its group in domain/src",
    );
    Arc::new(Projection::<M>::default())
}
