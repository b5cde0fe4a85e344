//! Submission of proposals, which checks the subjects of the actions and the workspace's policy.

use async_trait::async_trait;
use domain::agents::action::{Action, Subject};
use domain::agents::policy::Policy;
use domain::agents::proposal::{
    Approval, ByRule, Draft, Proposal, ProposalCommand, ProposalRefusal, ProposalRule,
};
use domain::knowledge::artifact::Artifact;
use domain::knowledge::note::Note;
use domain::knowledge::task::Task;
use domain::{Actor, Aggregate, StreamId};
use uuid::Uuid;

use super::approve::{apply, approve};
use super::change_set::{ChangeSet, require_possible};
use super::governance;
use crate::agents::agent;
use crate::knowledge::{artifact, note, task};
use crate::{CommandError, Handler, UnitOfWork};

/// Submits a proposal about existing subjects; if a rule of the workspace approves it, it is applied in the same
/// append.
pub struct Submit {
    pub id: Uuid,
    pub draft: Draft,
    /// Ids for new subjects, one for each possible action.
    pub new_ids: Vec<Uuid>,
}

#[async_trait]
impl Handler for Submit {
    fn name(&self) -> String {
        "proposal.submit".into()
    }

    fn context(&self) -> &'static str {
        Proposal::SCOPE
    }

    fn agents_may(&self) -> bool {
        true
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Proposal>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let workspace_id = self.draft.workspace_id;
        let policy = governance::policy(work, workspace_id).await?;
        let expiry = policy.expiry(self.draft.expires_at, work.context().now);
        let draft = Draft {
            expires_at: expiry.clone().unwrap_or(self.draft.expires_at),
            ..self.draft.clone()
        };
        // The permission is checked first, so that other actors learn nothing about policies, notes and tasks.
        work.decide::<Proposal>(self.id, ProposalCommand::Submit(draft))
            .await?;
        expiry.map_err(CommandError::refused)?;
        for (index, action) in self.draft.actions.iter().enumerate() {
            require_subject(work, workspace_id, index, action).await?;
        }
        let proposer = work.request().actor;
        governance::require_allowed(work, &policy, proposer, &self.draft.actions).await?;
        self.try_out(work, &policy).await?;
        self.supersede(work).await?;
        agent::count(work, self.id).await?;
        self.approve_by_rule(work, &policy).await
    }
}

impl Submit {
    /// Refuses actions that could not be carried out now, whoever approved them.
    async fn try_out(
        &self,
        work: &mut UnitOfWork<'_>,
        policy: &Policy,
    ) -> Result<(), CommandError> {
        let workspace_id = self.draft.workspace_id;
        let Some(owner) = governance::an_owner(work, workspace_id).await? else {
            return Ok(());
        };
        let change_set = ChangeSet {
            workspace_id,
            actions: &self.draft.actions,
            new_ids: &self.new_ids,
            merging: policy.rules.merge,
        };
        let before = work.staged();
        work.on_authority_of(owner);
        let tried = change_set.carry_out(work).await;
        work.on_own_authority();
        work.discard(before)?;
        require_possible(&tried?.1)
    }

    /// Supersedes the proposer's earlier proposal, if the draft names one.
    async fn supersede(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let Some(earlier) = self.draft.supersedes else {
            return Ok(());
        };
        let proposal = work.load::<Proposal>(earlier).await?;
        let workspace = proposal.state.submission().map(|s| s.draft.workspace_id);
        if workspace != Some(self.draft.workspace_id) {
            return Err(CommandError::refused(ProposalRefusal::NotFound));
        }
        let supersede = ProposalCommand::Supersede { by: self.id };
        work.decide::<Proposal>(earlier, supersede).await?;
        Ok(())
    }

    /// Applies the proposal if a rule of the policy approves it. If that fails, the proposal waits for people.
    async fn approve_by_rule(
        &self,
        work: &mut UnitOfWork<'_>,
        policy: &Policy,
    ) -> Result<(), CommandError> {
        let proposer = work.request().actor;
        let actions = &self.draft.actions;
        let change = governance::measured(work, policy, proposer, actions).await?;
        let Some((rule, set_by)) = policy.approves(&change) else {
            return Ok(());
        };
        let by_rule = ByRule {
            name: rule.name.clone(),
            set_by,
        };
        let before = work.staged();
        work.on_authority_of(set_by);
        let applied = self.apply(work, policy, by_rule, set_by).await;
        work.on_own_authority();
        match applied {
            Ok(true) => Ok(()),
            // A refusal may mean that the author of the rule may no longer make the change.
            Ok(false) | Err(CommandError::Refused(_)) => work.discard(before),
            Err(error) => Err(error),
        }
    }

    async fn apply(
        &self,
        work: &mut UnitOfWork<'_>,
        policy: &Policy,
        by_rule: ByRule,
        set_by: Actor,
    ) -> Result<bool, CommandError> {
        let proposal = work.load::<Proposal>(self.id).await?;
        let hash = proposal.state.pending().map(|s| s.actions_hash.clone());
        let approval = Approval {
            actions_hash: hash.unwrap_or_default(),
            comment: None,
            edited_actions: None,
            by_rule: Some(by_rule),
        };
        let submission = approve(work, self.id, approval).await?;
        match apply(work, policy, &submission, set_by, &self.new_ids).await? {
            Ok(complete) => {
                work.decide::<Proposal>(self.id, complete).await?;
                Ok(true)
            }
            Err(_) => Ok(false),
        }
    }
}

/// Requires that the subject of an action is in the workspace and has reached the version that the action names.
async fn require_subject(
    work: &mut UnitOfWork<'_>,
    workspace_id: Uuid,
    index: usize,
    action: &Action,
) -> Result<(), CommandError> {
    let no_note = || CommandError::refused(ProposalRule::NoteUnavailable { action: index });
    let current = match action.subject() {
        Subject::Note(Some(id)) => {
            let note = work.load::<Note>(id).await?;
            let at_home = matches!(&note.state, Note::Active(content)
                if content.workspace_id == workspace_id);
            at_home.then_some(note.version).ok_or_else(no_note)?
        }
        Subject::Task(Some(id)) => {
            if task::workspace(work, id).await? != Some(workspace_id) {
                let refusal = ProposalRule::TaskUnavailable { action: index };
                return Err(CommandError::refused(refusal));
            }
            work.base_version::<Task>(id).await?
        }
        Subject::Artifact(Some(id)) => {
            if artifact::workspace(work, id).await? != Some(workspace_id) {
                let refusal = ProposalRule::ArtifactUnavailable { action: index };
                return Err(CommandError::refused(refusal));
            }
            work.base_version::<Artifact>(id).await?
        }
        Subject::Note(None) | Subject::Task(None) | Subject::Artifact(None) => 0,
    };
    if action.base_version().is_some_and(|base| base > current) {
        let action = index;
        let refusal = ProposalRule::NoSuchVersion { action, current };
        return Err(CommandError::refused(refusal));
    }
    match action.target_id() {
        Some(id) if note::workspace(work, id).await? != Some(workspace_id) => Err(no_note()),
        Some(_) | None => Ok(()),
    }
}
