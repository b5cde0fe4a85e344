//! Applies the policy of a workspace to a proposal.

use domain::agents::action::{Action, Subject};
use domain::agents::policy::{Change, Policy, PolicyRule};
use domain::agents::proposal::{ProposalRule, Submission};
use domain::knowledge::note::Note;
use domain::knowledge::workspace::{Role, Workspace};
use domain::{Actor, ActorKind};
use store::heavy;
use uuid::Uuid;

use crate::agents::agent;
use crate::{CommandError, UnitOfWork};

/// Returns the policy in force.
pub(super) async fn policy(
    work: &mut UnitOfWork<'_>,
    workspace_id: Uuid,
) -> Result<Policy, CommandError> {
    Ok(work.load::<Policy>(workspace_id).await?.state.clone())
}

/// Refuses changes that the policy forbids.
pub(super) async fn require_allowed(
    work: &mut UnitOfWork<'_>,
    policy: &Policy,
    proposer: Actor,
    actions: &[Action],
) -> Result<(), CommandError> {
    let change = measured(work, policy, proposer, actions).await?;
    match policy.forbids(&change) {
        Some(rule) => Err(CommandError::refused(PolicyRule::Forbidden(
            rule.name.clone(),
        ))),
        None => Ok(()),
    }
}

/// Returns the change that rules are matched against. Counts characters only if a rule limits them.
pub(super) async fn measured<'a>(
    work: &mut UnitOfWork<'_>,
    policy: &Policy,
    proposer: Actor,
    actions: &'a [Action],
) -> Result<Change<'a>, CommandError> {
    let mut characters = 0;
    if policy.measures() {
        for action in actions {
            characters += size(work, action).await?;
        }
    }
    Ok(Change {
        proposer_id: proposer.id,
        actions,
        characters,
    })
}

async fn size(work: &mut UnitOfWork<'_>, action: &Action) -> Result<usize, CommandError> {
    let base = match (action.subject(), action.base_version()) {
        (Subject::Note(Some(id)), Some(version)) => {
            Some(work.at_version::<Note>(id, version).await?)
        }
        (Subject::Note(_) | Subject::Task(_) | Subject::Artifact(_), _) => None,
    };
    let content = base.as_ref().and_then(Note::content);
    let bytes = content.map_or(0, |content| content.body.len());
    Ok(heavy(bytes, || action.characters(base.as_ref())).await?)
}

/// Refuses proposals that nobody may approve now.
pub(super) async fn require_approvable(
    work: &mut UnitOfWork<'_>,
    policy: &Policy,
    submission: &Submission,
) -> Result<(), CommandError> {
    if agent::is_suspended(work, submission.proposer).await? {
        return Err(CommandError::refused(ProposalRule::Held));
    }
    let actions = submission.effective_actions();
    require_allowed(work, policy, submission.proposer, actions).await
}

/// Returns the number of missing approvals. Approvers who could no longer approve do not count.
pub(super) async fn missing_approvals(
    work: &mut UnitOfWork<'_>,
    policy: &Policy,
    submission: &Submission,
) -> Result<u32, CommandError> {
    let workspace_id = submission.draft.workspace_id;
    let mut missing = policy.rules.quorum;
    for approver in submission.approvers.keys() {
        let role = role(work, workspace_id, *approver).await?;
        if policy.is_approver(*approver, role) {
            missing = missing.saturating_sub(1);
        }
    }
    Ok(missing)
}

pub(super) async fn role(
    work: &mut UnitOfWork<'_>,
    workspace_id: Uuid,
    actor_id: Uuid,
) -> Result<Option<Role>, CommandError> {
    let workspace = work.load::<Workspace>(workspace_id).await?;
    let details = workspace.state.details();
    Ok(details.and_then(|details| details.members.get(&actor_id).copied()))
}

/// Returns an owner of the workspace, who may do everything there; there always is one.
pub(super) async fn an_owner(
    work: &mut UnitOfWork<'_>,
    workspace_id: Uuid,
) -> Result<Option<Actor>, CommandError> {
    let workspace = work.load::<Workspace>(workspace_id).await?;
    let members = workspace.state.details().map(|details| &details.members);
    let mut owners = members.into_iter().flatten();
    let owner = owners.find(|(_, role)| **role == Role::Owner);
    Ok(owner.map(|(id, _)| Actor {
        kind: ActorKind::Person,
        id: *id,
    }))
}
