//! Rules for proposals, by proposer, type of action and size.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::MAX_RULES;
use crate::agents::action::Action;
use crate::{Violations, excerpt};

/// The proposed change that rules are matched against.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    pub proposer_id: Uuid,
    pub actions: &'a [Action],
    /// Number of characters that the change removes and adds; 0 if no rule limits it.
    pub characters: usize,
}

/// Approves proposals automatically if the rule covers all of their actions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Automatic {
    /// Name that identifies the rule in the approvals it gave.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Actor ids of the proposers; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposers: Option<BTreeSet<Uuid>>,
    /// Types of actions, such as `note.tag`; other types are not covered, whatever their size.
    #[serde(default)]
    #[schema(required, min_items = 1)]
    pub actions: BTreeSet<String>,
    /// Maximum number of actions in a proposal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_actions: Option<usize>,
    /// Maximum number of characters that a proposal removes and adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_characters: Option<usize>,
}

crate::generate! { struct Automatic { name, proposers, actions, max_actions, max_characters } }

/// Forbids proposals if the rule covers any of their actions and the proposal exceeds the rule's limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Forbidden {
    /// Name that identifies the rule in refusals.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Actor ids of the proposers; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposers: Option<BTreeSet<Uuid>>,
    /// Types of actions, such as `note.archive`; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actions: Option<BTreeSet<String>>,
    /// Covers only proposals with more actions than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub above_actions: Option<usize>,
    /// Covers only proposals that remove and add more characters than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub above_characters: Option<usize>,
}

crate::generate! { struct Forbidden { name, proposers, actions, above_actions, above_characters } }

fn is_by(proposers: Option<&BTreeSet<Uuid>>, change: &Change<'_>) -> bool {
    proposers.is_none_or(|proposers| proposers.contains(&change.proposer_id))
}

impl Automatic {
    /// Returns true if the rule covers all of the change.
    pub(super) fn covers(&self, change: &Change<'_>) -> bool {
        let covered = |action: &Action| self.actions.contains(action.action_type());
        is_by(self.proposers.as_ref(), change)
            && change.actions.iter().all(covered)
            && self
                .max_actions
                .is_none_or(|most| change.actions.len() <= most)
            && self
                .max_characters
                .is_none_or(|most| change.characters <= most)
    }

    pub(super) fn parts(&self) -> Parts<'_> {
        Parts {
            name: &self.name,
            actions: Some(&self.actions),
            numbers: [
                ("max_actions", self.max_actions),
                ("max_characters", self.max_characters),
            ],
        }
    }
}

impl Forbidden {
    /// Returns true if the rule covers any of the change and the change exceeds the rule's limits.
    pub(super) fn covers(&self, change: &Change<'_>) -> bool {
        let covered = |action: &Action| {
            let types = self.actions.as_ref();
            types.is_none_or(|types| types.contains(action.action_type()))
        };
        is_by(self.proposers.as_ref(), change)
            && change.actions.iter().any(covered)
            && self
                .above_actions
                .is_none_or(|most| change.actions.len() > most)
            && self
                .above_characters
                .is_none_or(|most| change.characters > most)
    }

    pub(super) fn parts(&self) -> Parts<'_> {
        Parts {
            name: &self.name,
            actions: self.actions.as_ref(),
            numbers: [
                ("above_actions", self.above_actions),
                ("above_characters", self.above_characters),
            ],
        }
    }
}

/// The parts that are checked in a rule of either kind.
pub(super) struct Parts<'a> {
    name: &'a str,
    /// Types of actions; none: all types. A rule that names types must name at least one.
    actions: Option<&'a BTreeSet<String>>,
    numbers: [(&'static str, Option<usize>); 2],
}

/// Records every invalid field. Names are unique among the rules of a kind.
pub(super) fn check<'a>(
    rules: impl ExactSizeIterator<Item = Parts<'a>>,
    pointer: &str,
    violations: &mut Violations,
) {
    let most = format!("must be at most {MAX_RULES} rules");
    violations.require(rules.len() <= MAX_RULES, pointer, most);
    let mut names = BTreeSet::new();
    for (index, rule) in rules.enumerate() {
        let pointer = format!("{pointer}/{index}");
        let name = format!("{pointer}/name");
        violations.require_line(rule.name, 1, 100, &name);
        violations.require(names.insert(rule.name), name, "must be a name of its own");
        violations.require(
            rule.actions.is_none_or(|types| !types.is_empty()),
            format!("{pointer}/actions"),
            "must name the types of actions that it covers, such as note.tag",
        );
        for action in rule.actions.into_iter().flatten() {
            violations.require(
                Action::TYPES.contains(&action.as_str()),
                format!("{pointer}/actions"),
                format!("must be types of actions; {} is none", excerpt(action)),
            );
        }
        for (field, number) in rule.numbers {
            violations.require(
                number.is_none_or(|number| number > 0),
                format!("{pointer}/{field}"),
                "must be at least 1",
            );
        }
    }
}
