//! Rules over what is proposed: by whom, of which kinds, and how much.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::MAX_RULES;
use crate::agents::action::Action;
use crate::{Violations, excerpt};

/// What a rule looks at.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    pub proposer_id: Uuid,
    pub actions: &'a [Action],
    /// Characters that it takes away and adds; 0 where no rule asks.
    pub characters: usize,
}

/// What is approved by itself: a proposal all of which the rule covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Automatic {
    /// By which it is known where it has approved something.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Actor ids of the proposers; all, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposers: Option<BTreeSet<Uuid>>,
    /// Types of actions, such as `note.tag`: no other is covered, however small it is.
    #[serde(default)]
    #[schema(required, min_items = 1)]
    pub actions: BTreeSet<String>,
    /// Most actions of one proposal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_actions: Option<usize>,
    /// Most characters that a proposal takes away and adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_characters: Option<usize>,
}

/// What is refused: a proposal of which the rule covers anything, or too much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Forbidden {
    /// By which a refusal names it.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Actor ids of the proposers; all, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposers: Option<BTreeSet<Uuid>>,
    /// Types of actions, such as `note.archive`; all, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actions: Option<BTreeSet<String>>,
    /// Only proposals of more actions than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub above_actions: Option<usize>,
    /// Only proposals that take away and add more characters than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub above_characters: Option<usize>,
}

fn is_by(proposers: Option<&BTreeSet<Uuid>>, change: &Change<'_>) -> bool {
    proposers.is_none_or(|proposers| proposers.contains(&change.proposer_id))
}

impl Automatic {
    /// All of the change.
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
    /// Any of the change, if there is as much of it as the rule says.
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

/// What is checked about a rule of either kind.
pub(super) struct Parts<'a> {
    name: &'a str,
    /// None: all types; a rule that names its types names at least one.
    actions: Option<&'a BTreeSet<String>>,
    numbers: [(&'static str, Option<usize>); 2],
}

/// Notes every field that breaks a rule of its own. A name stands for one rule of its kind.
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
