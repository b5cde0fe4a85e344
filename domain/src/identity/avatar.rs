//! Avatars: the picture of an actor.

use uuid::Uuid;

use crate::{Aggregate, Audience, Class, DecisionContext, Rejection, Rule, events};

events! {
    /// Events of an actor's avatar.
    pub enum AvatarEvent {
        /// An uploaded picture became the actor's avatar.
        Set("avatar.set", 1) { file_id: Uuid },
        /// The actor's avatar was removed.
        Cleared("avatar.cleared", 1) {},
    }
}

/// The actor of the avatar, and whether the caller manages the actors of the product.
#[derive(Debug, Clone, Copy)]
pub struct Sitter {
    pub actor_id: Uuid,
    pub is_managed: bool,
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "avatar.", serialize_all = "snake_case")]
pub enum AvatarCommand {
    Set { sitter: Sitter, file_id: Uuid },
    Clear { sitter: Sitter },
}

/// Rules of avatars.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum AvatarRule {
    /// The avatar belongs to another actor.
    #[error("this is another actor's avatar; theirs is set with a key that has api_keys:write")]
    NotYours,
    /// The file is not a picture.
    #[error(
        "there is no such file in the container avatars, or it was not uploaded, or it is a picture that cannot be shown"
    )]
    FileUnavailable,
}

impl Rule for AvatarRule {
    type Of = Avatar;

    fn class(&self) -> Class<'_> {
        match self {
            Self::NotYours => Class::Forbidden,
            Self::FileUnavailable => Class::Rule,
        }
    }
}

/// Reasons to refuse a command.
pub type AvatarRefusal = Rejection<AvatarRule>;

/// The file of an actor's avatar, if there is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Avatar(pub Option<Uuid>);

impl Aggregate for Avatar {
    const CATEGORY: &'static str = "avatar";
    const SCOPE: &'static str = "avatars";
    const AUDIENCE: Audience = Audience::Product;
    type Command = AvatarCommand;
    type Event = AvatarEvent;
    type Rule = AvatarRule;

    fn evolve(self, event: &AvatarEvent) -> Self {
        match event {
            AvatarEvent::Set { file_id } => Self(Some(*file_id)),
            AvatarEvent::Cleared {} => Self(None),
        }
    }

    fn decide(
        &self,
        command: AvatarCommand,
        at: &DecisionContext,
    ) -> Result<Vec<AvatarEvent>, AvatarRefusal> {
        let (AvatarCommand::Set { sitter, .. } | AvatarCommand::Clear { sitter }) = command;
        if sitter.actor_id != at.actor.id && !sitter.is_managed {
            return Err(AvatarRule::NotYours.into());
        }
        match (self.0, command) {
            (Some(known), AvatarCommand::Set { file_id, .. }) if known == file_id => Ok(vec![]),
            (_, AvatarCommand::Set { file_id, .. }) => Ok(vec![AvatarEvent::Set { file_id }]),
            (Some(_), AvatarCommand::Clear { .. }) => Ok(vec![AvatarEvent::Cleared {}]),
            (None, AvatarCommand::Clear { .. }) => Err(AvatarRefusal::NotFound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{AGENT, PERSON, given};

    const FILE: Uuid = Uuid::from_u128(7);

    const fn sitter(is_managed: bool) -> Sitter {
        Sitter {
            actor_id: PERSON.id,
            is_managed,
        }
    }

    const fn set(is_managed: bool) -> AvatarCommand {
        AvatarCommand::Set {
            sitter: sitter(is_managed),
            file_id: FILE,
        }
    }

    const SET: AvatarEvent = AvatarEvent::Set { file_id: FILE };

    #[test]
    fn everybody_sets_their_own_and_whoever_manages_actors_those_of_others() {
        given::<Avatar>([]).when(set(false)).then([SET]);
        given::<Avatar>([]).when_by(AGENT, set(true)).then([SET]);
        given::<Avatar>([])
            .when_by(AGENT, set(false))
            .then_refused(AvatarRule::NotYours);
    }

    #[test]
    fn what_is_already_so_needs_no_event() {
        given::<Avatar>([SET]).when(set(false)).then_nothing();
    }

    #[test]
    fn it_is_cleared_by_whoever_sets_it() {
        let clear = AvatarCommand::Clear {
            sitter: sitter(false),
        };
        given::<Avatar>([SET])
            .when(clear.clone())
            .then([AvatarEvent::Cleared {}]);
        given::<Avatar>([SET])
            .when_by(AGENT, clear.clone())
            .then_refused(AvatarRule::NotYours);
        given::<Avatar>([])
            .when(clear)
            .then_refused(AvatarRefusal::NotFound);
    }
}
