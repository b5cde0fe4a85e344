//! Unique values, such as a name or an e-mail address: a stream per value says which resource has it.

use std::borrow::Cow;

use uuid::Uuid;

use crate::{
    Aggregate, Audience, Class, DecisionContext, NoRule, Refusal, Rejection, StreamId, events,
    folded, spaced,
};

/// A value that at most one resource of a product may have.
///
/// An aggregate returns its unique values from [`Aggregate::unique`]. They are reserved, changed and freed in the append
/// that changes the aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unique {
    field: &'static str,
    value: String,
    within: Option<Uuid>,
}

impl Unique {
    /// Names a field and its value, which is compared exactly.
    #[must_use]
    pub fn exact(field: &'static str, value: impl Into<String>) -> Self {
        Self {
            field,
            value: value.into(),
            within: None,
        }
    }

    /// Names a field and its text, which is compared regardless of case, blanks and Unicode composition.
    #[must_use]
    pub fn text(field: &'static str, text: &str) -> Self {
        Self::exact(field, folded(&spaced(text)))
    }

    /// Limits the value to one container, such as a workspace: others may have the same value.
    #[must_use]
    pub fn within(self, container: Uuid) -> Self {
        Self {
            within: Some(container),
            ..self
        }
    }

    /// Returns the id of the stream that reserves the value for one resource of the category. The value cannot be read from it.
    #[must_use]
    pub fn stream_id(&self, product_id: Uuid, category: &str) -> Uuid {
        let within = self.within.unwrap_or_default();
        let name = format!("{category}/{}/{within}/{}", self.field, self.value);
        Uuid::new_v5(&product_id, name.as_bytes())
    }

    /// Returns the refusal of a command that needs the value while another resource of the category has it.
    #[must_use]
    pub const fn taken(&self, category: &'static str) -> Taken {
        Taken {
            category,
            field: self.field,
        }
    }
}

/// Another resource has a unique value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("another {} has this {field}; choose another", .category.replace('_', " "))]
pub struct Taken {
    category: &'static str,
    field: &'static str,
}

impl Refusal for Taken {
    fn code(&self) -> Cow<'static, str> {
        format!("{}_{}_taken", self.category, self.field).into()
    }

    fn class(&self) -> Class<'_> {
        Class::Conflict
    }
}

events! {
    /// Events of a unique value.
    pub enum ReservationEvent {
        /// A unique value was reserved for a resource.
        Taken("reservation.taken", 1) {
            /// The resource that has the value.
            holder: StreamId,
        },
        /// The value is free again.
        Freed("reservation.freed", 1) {},
    }
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "reservation.", serialize_all = "snake_case")]
pub enum ReservationCommand {
    Take { holder: StreamId },
    Free { holder: StreamId },
}

/// The resource that has a unique value, if any.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reservation(Option<StreamId>);

impl Aggregate for Reservation {
    const CATEGORY: &'static str = "reservation";
    const SCOPE: &'static str = "reservations";
    const AUDIENCE: Audience = Audience::Auditors;
    type Command = ReservationCommand;
    type Event = ReservationEvent;
    type Rule = NoRule<Self>;

    fn evolve(self, event: &ReservationEvent) -> Self {
        match event {
            ReservationEvent::Taken { holder } => Self(Some(holder.clone())),
            ReservationEvent::Freed {} => Self(None),
        }
    }

    fn decide(
        &self,
        command: ReservationCommand,
        _: &DecisionContext,
    ) -> Result<Vec<ReservationEvent>, Rejection<NoRule<Self>>> {
        match (&self.0, command) {
            (None, ReservationCommand::Take { holder }) => {
                Ok(vec![ReservationEvent::Taken { holder }])
            }
            (Some(known), ReservationCommand::Take { holder }) if *known != holder => {
                Err(Rejection::Exists)
            }
            (Some(known), ReservationCommand::Free { holder }) if *known == holder => {
                Ok(vec![ReservationEvent::Freed {}])
            }
            (Some(_), ReservationCommand::Take { .. })
            | (Some(_) | None, ReservationCommand::Free { .. }) => Ok(vec![]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn holder(id: u128) -> StreamId {
        StreamId::new("label", Uuid::from_u128(id))
    }

    fn taken(id: u128) -> ReservationEvent {
        ReservationEvent::Taken { holder: holder(id) }
    }

    #[test]
    fn one_resource_has_the_value_until_it_frees_it() {
        let take = |id| ReservationCommand::Take { holder: holder(id) };
        let free = |id| ReservationCommand::Free { holder: holder(id) };
        given::<Reservation>([]).when(take(1)).then([taken(1)]);
        given::<Reservation>([taken(1)])
            .when(take(1))
            .then_nothing();
        given::<Reservation>([taken(1)])
            .when(take(2))
            .then_refused(Rejection::Exists);
        given::<Reservation>([taken(1)])
            .when(free(2))
            .then_nothing();
        given::<Reservation>([taken(1)])
            .when(free(1))
            .then([ReservationEvent::Freed {}]);
        given::<Reservation>([taken(1), ReservationEvent::Freed {}])
            .when(take(2))
            .then([taken(2)]);
    }

    #[test]
    fn texts_that_differ_in_case_or_blanks_are_one_value() {
        let id = |unique: Unique| unique.stream_id(Uuid::nil(), "label");
        assert_eq!(
            id(Unique::text("name", " To  Do")),
            id(Unique::text("name", "to do"))
        );
        assert_ne!(
            id(Unique::exact("name", "To Do")),
            id(Unique::exact("name", "to do"))
        );
        let within = |container| Unique::text("name", "a").within(Uuid::from_u128(container));
        assert_ne!(id(within(1)), id(within(2)));
        assert_ne!(
            Unique::text("name", "a").stream_id(Uuid::nil(), "label"),
            Unique::text("name", "a").stream_id(Uuid::from_u128(1), "label")
        );
    }
}
