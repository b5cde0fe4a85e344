//! The registry of resource scopes: the aggregates whose members have roles, one line each.

use async_trait::async_trait;
use domain::knowledge::workspace::Workspace;
use domain::{Permission, ResourceScope};
use std::marker::PhantomData;
use uuid::Uuid;

use crate::{CommandError, UnitOfWork};

static RESOURCE_SCOPES: [(&str, &dyn Permits); 1] = [of::<Workspace>()];

/// A [`ResourceScope`] of any type.
#[async_trait]
trait Permits: Send + Sync {
    async fn permit(
        &self,
        work: &mut UnitOfWork<'_>,
        id: Uuid,
        permission: Permission,
    ) -> Result<(), CommandError>;
}

struct Of<S>(PhantomData<fn() -> S>);

const fn of<S: ResourceScope>() -> (&'static str, &'static dyn Permits) {
    (S::CATEGORY, &Of::<S>(PhantomData))
}

#[async_trait]
impl<S: ResourceScope> Permits for Of<S> {
    async fn permit(
        &self,
        work: &mut UnitOfWork<'_>,
        id: Uuid,
        permission: Permission,
    ) -> Result<(), CommandError> {
        work.permit::<S>(id, permission).await
    }
}

/// Returns true if the members of this category's aggregates have roles.
pub fn is_resource_scope(category: &str) -> bool {
    RESOURCE_SCOPES.iter().any(|(known, _)| *known == category)
}

/// Refuses unless the actor's role in the resource scope grants the permission.
pub async fn permit(
    work: &mut UnitOfWork<'_>,
    category: &str,
    id: Uuid,
    permission: Permission,
) -> Result<(), CommandError> {
    let scope = RESOURCE_SCOPES.iter().find(|(known, _)| *known == category);
    let (_, scope) = scope.ok_or_else(|| {
        CommandError::Damaged(format!(
            "{category} is no resource scope: add it to commands/src/resource_scopes.rs"
        ))
    })?;
    scope.permit(work, id, permission).await
}
