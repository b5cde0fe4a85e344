//! The policy of a workspace: who approves proposals, how many approvals they need, which are approved automatically
//! and which are forbidden.

mod refusal;
mod rule;

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Permission;
use crate::knowledge::workspace::{Role, Workspace};
use crate::{
    Actor, ActorKind, Aggregate, Audience, DecisionContext, RequiredPermission, Violations, events,
};
pub use refusal::{PolicyRefusal, PolicyRule};
pub use rule::{Automatic, Change, Forbidden};

/// The maximum quorum of approvals.
pub const MAX_QUORUM: u32 = 20;
/// The maximum number of rules of each kind.
pub const MAX_RULES: usize = 50;
/// The maximum time in seconds that a proposal stays pending: a year and a day.
const MAX_WAIT: i64 = 366 * 86_400;

/// Approvers, who also need a role that writes. An actor qualifies by role or by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Approvers {
    #[serde(default)]
    pub roles: BTreeSet<Role>,
    /// Ids of the actors.
    #[serde(default)]
    pub actors: BTreeSet<Uuid>,
}

crate::generate! { struct Approvers { roles, actors } }

/// Expiry of proposals, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Expiry {
    /// Expiry of proposals that name none; the maximum applies if this is absent too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 31_622_400)]
    pub default_seconds: Option<i64>,
    /// The maximum; a proposal that asks for a longer time is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 31_622_400)]
    pub max_seconds: Option<i64>,
}

crate::generate! { struct Expiry { default_seconds, max_seconds } }

/// Treatment of actions that were written for an earlier version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Merging {
    /// Merge the action if it does not overlap with changes by others.
    #[default]
    Allowed,
    /// Report a conflict.
    Refused,
}

crate::generate! { enum Merging { Allowed, Refused } }

/// Rules for the proposals of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Rules {
    /// Number of people who must approve a proposal.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 20)]
    pub quorum: u32,
    /// Approvers; every member whose role writes, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvers: Option<Approvers>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<Expiry>,
    /// Rules that approve proposals as soon as they are submitted.
    #[serde(default)]
    #[schema(max_items = 50)]
    pub automatic: Vec<Automatic>,
    /// Rules that forbid proposals.
    #[serde(default)]
    #[schema(max_items = 50)]
    pub forbidden: Vec<Forbidden>,
    #[serde(default)]
    pub merge: Merging,
}

crate::generate! { struct Rules { quorum, approvers, expires_after, automatic, forbidden, merge } }

const fn one() -> u32 {
    1
}

impl Default for Rules {
    /// Requires the approval of any one person with a role that writes; there are no other rules.
    fn default() -> Self {
        Self {
            quorum: one(),
            approvers: None,
            expires_after: None,
            automatic: vec![],
            forbidden: vec![],
            merge: Merging::default(),
        }
    }
}

events! {
    /// Events of a policy.
    pub enum PolicyEvent {
        /// The workspace got these rules, which replace the previous ones.
        Set("policy.set", 1) {
            #[serde(flatten)]
            rules: Rules,
            set_by: Actor,
        },
    }
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "policy.", serialize_all = "snake_case")]
pub enum PolicyCommand {
    Set(Rules),
}

/// The rules and the actor who set them; none if they were never set. A policy's id is that of its workspace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    pub rules: Rules,
    pub set_by: Option<Actor>,
}

impl Policy {
    /// Returns true if this actor's approval counts.
    #[must_use]
    pub fn is_approver(&self, actor_id: Uuid, role: Option<Role>) -> bool {
        let Some(role) = role.filter(|role| role.grants(Permission::Write)) else {
            return false;
        };
        self.rules.approvers.as_ref().is_none_or(|approvers| {
            approvers.roles.contains(&role) || approvers.actors.contains(&actor_id)
        })
    }

    /// Returns the time at which a proposal submitted now expires; refuses one that asks for too long a time.
    pub fn expiry(
        &self,
        asked: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, PolicyRefusal> {
        let Some(expiry) = self.rules.expires_after else {
            return Ok(asked);
        };
        let after = |seconds| now + TimeDelta::seconds(seconds);
        match (asked, expiry.max_seconds) {
            (Some(asked), Some(max)) if asked > after(max) => {
                Err(PolicyRule::ExpiryTooLate(max).into())
            }
            (Some(asked), _) => Ok(Some(asked)),
            (None, max) => Ok(expiry.default_seconds.or(max).map(after)),
        }
    }

    /// Returns the rule that approves a change automatically, and the person who set it.
    #[must_use]
    pub fn approves(&self, change: &Change<'_>) -> Option<(&Automatic, Actor)> {
        let set_by = self
            .set_by
            .filter(|actor| actor.kind == ActorKind::Person)?;
        let mut rules = self.rules.automatic.iter();
        let rule = rules.find(|rule| rule.covers(change))?;
        Some((rule, set_by))
    }

    /// Returns the rule that forbids a change.
    #[must_use]
    pub fn forbids(&self, change: &Change<'_>) -> Option<&Forbidden> {
        let mut rules = self.rules.forbidden.iter();
        rules.find(|rule| rule.covers(change))
    }

    /// Returns true if any rule limits the number of changed characters.
    #[must_use]
    pub fn measures(&self) -> bool {
        let mut most = self.rules.automatic.iter().map(|rule| rule.max_characters);
        let mut above = self
            .rules
            .forbidden
            .iter()
            .map(|rule| rule.above_characters);
        most.any(|most| most.is_some()) || above.any(|above| above.is_some())
    }
}

impl Aggregate for Policy {
    const CATEGORY: &'static str = "policy";
    /// Policies are read and set as a part of their workspace.
    const SCOPE: &'static str = "workspaces";
    const AUDIENCE: Audience = Audience::Members;
    type Command = PolicyCommand;
    type Event = PolicyEvent;
    type Rule = PolicyRule;

    fn evolve(self, event: &PolicyEvent) -> Self {
        match event {
            PolicyEvent::Set { rules, set_by } => Self {
                rules: rules.clone(),
                set_by: Some(*set_by),
            },
        }
    }

    fn decide(
        &self,
        command: PolicyCommand,
        at: &DecisionContext,
    ) -> Result<Vec<PolicyEvent>, PolicyRefusal> {
        let PolicyCommand::Set(rules) = command;
        if at.actor.kind != ActorKind::Person {
            return Err(PolicyRule::NeedsPerson.into());
        }
        check(&rules)?;
        // The person responsible for the rules changes with every `Set`, even if the rules stay the same.
        if self.set_by == Some(at.actor) && self.rules == rules {
            return Ok(vec![]);
        }
        let set_by = at.actor;
        Ok(vec![PolicyEvent::Set { rules, set_by }])
    }

    fn workspace(&self, id: Uuid) -> Option<Uuid> {
        Some(id)
    }

    fn required_permission(
        &self,
        id: Uuid,
        _command: &PolicyCommand,
        _at: &DecisionContext,
    ) -> RequiredPermission {
        RequiredPermission::member_of::<Workspace>(id, Permission::Manage)
    }
}

fn check(rules: &Rules) -> Result<(), Violations> {
    let mut violations = Violations::default();
    violations.require(
        (1..=MAX_QUORUM).contains(&rules.quorum),
        "/quorum",
        format!("must be 1 to {MAX_QUORUM}"),
    );
    if let Some(approvers) = &rules.approvers {
        check_approvers(approvers, &mut violations);
    }
    if let Some(expiry) = rules.expires_after {
        check_expiry(expiry, &mut violations);
    }
    let automatic = rules.automatic.iter().map(Automatic::parts);
    rule::check(automatic, "/automatic", &mut violations);
    let forbidden = rules.forbidden.iter().map(Forbidden::parts);
    rule::check(forbidden, "/forbidden", &mut violations);
    violations.into_result()
}

fn check_approvers(approvers: &Approvers, violations: &mut Violations) {
    violations.require(
        !approvers.roles.is_empty() || !approvers.actors.is_empty(),
        "/approvers",
        "must name a role or an actor",
    );
    violations.require(
        approvers
            .roles
            .iter()
            .all(|role| role.grants(Permission::Write)),
        "/approvers/roles",
        "must be roles that write: owner, editor",
    );
    violations.require(
        approvers.actors.len() <= 100,
        "/approvers/actors",
        "must be at most 100 actors",
    );
}

fn check_expiry(expiry: Expiry, violations: &mut Violations) {
    let Expiry {
        default_seconds,
        max_seconds,
    } = expiry;
    for (seconds, pointer) in [
        (default_seconds, "/expires_after/default_seconds"),
        (max_seconds, "/expires_after/max_seconds"),
    ] {
        violations.require(
            seconds.is_none_or(|seconds| (1..=MAX_WAIT).contains(&seconds)),
            pointer,
            format!("must be 1 to {MAX_WAIT}"),
        );
    }
    violations.require(
        default_seconds
            .zip(max_seconds)
            .is_none_or(|(default, max)| default <= max),
        "/expires_after/default_seconds",
        "must not be more than max_seconds",
    );
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
