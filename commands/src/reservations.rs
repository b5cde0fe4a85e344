//! Unique values: reserved and freed in the append that changes the resource.

use domain::reservation::{Reservation, ReservationCommand};
use domain::{NoRule, Rejection, StreamId, Unique};

use crate::{CommandError, UnitOfWork};

#[cfg(test)]
#[path = "reservations_tests.rs"]
mod tests;

/// Reserves the unique values that a resource has got, and frees those that it no longer has.
pub async fn change(
    work: &mut UnitOfWork<'_>,
    holder: &StreamId,
    category: &'static str,
    before: Vec<Unique>,
    after: Vec<Unique>,
) -> Result<(), CommandError> {
    let product_id = work.request().product_id;
    for unique in after.iter().filter(|unique| !before.contains(unique)) {
        let id = unique.stream_id(product_id, category);
        let holder = holder.clone();
        work.stage_decided::<Reservation>(id, ReservationCommand::Take { holder })
            .await
            .map_err(|error| {
                if error.is_refusal(&Rejection::<NoRule<Reservation>>::Exists) {
                    CommandError::refused(unique.taken(category))
                } else {
                    error
                }
            })?;
    }
    for unique in before.iter().filter(|unique| !after.contains(unique)) {
        let id = unique.stream_id(product_id, category);
        let holder = holder.clone();
        work.stage_decided::<Reservation>(id, ReservationCommand::Free { holder })
            .await?;
    }
    Ok(())
}
