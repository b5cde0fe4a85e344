//! Decisions on proposals, as sentences.

use chrono::TimeDelta;

use std::collections::BTreeSet;

use super::*;
use crate::agents::action;
use crate::testing::{AGENT, PERSON, When, given, noon, record_refusal};
use crate::{ActorKind, Refusal};

fn actions() -> Vec<Action> {
    vec![Action::ReviseNote {
        note_id: Uuid::from_u128(9),
        base_version: 1,
        title: Some("Tea".into()),
        body: None,
    }]
}

fn draft() -> Draft {
    Draft {
        workspace_id: Uuid::from_u128(7),
        actions: actions(),
        rationale: "the title is missing".into(),
        confidence: Some(0.9),
        model: None,
        run_id: None,
        expires_at: Some(noon() + TimeDelta::hours(1)),
        supersedes: None,
        rebased_from: None,
    }
}

fn submitted_by(proposer: Actor) -> ProposalEvent {
    ProposalEvent::Submitted {
        draft: draft(),
        proposer,
        actions_hash: action::hash(&actions()),
        controlled_by: None,
    }
}

fn approved() -> ProposalEvent {
    ProposalEvent::Approved {
        actions_hash: action::hash(&actions()),
        comment: None,
        edited_actions: None,
        approver: Some(PERSON),
        controlled_by: None,
        by_rule: None,
    }
}

fn edited_by(approver: Actor, actions: Vec<Action>) -> ProposalEvent {
    ProposalEvent::Approved {
        actions_hash: action::hash(&actions),
        comment: None,
        edited_actions: Some(actions),
        approver: Some(approver),
        controlled_by: None,
        by_rule: None,
    }
}

fn applied() -> ProposalEvent {
    ProposalEvent::Applied {
        notes: vec![],
        tasks: vec![],
        artifacts: vec![],
    }
}

fn approval() -> Approval {
    Approval {
        actions_hash: action::hash(&actions()),
        comment: None,
        edited_actions: None,
        by_rule: None,
    }
}

fn approve() -> ProposalCommand {
    ProposalCommand::Approve(approval())
}

fn reject() -> ProposalCommand {
    ProposalCommand::Reject {
        reason: "not now".into(),
    }
}

fn submit_with(change: impl FnOnce(&mut Draft)) -> When<Proposal> {
    let mut draft = draft();
    change(&mut draft);
    given::<Proposal>([]).when_by(AGENT, ProposalCommand::Submit(draft))
}

#[test]
fn an_agent_submits_it() {
    submit_with(|_| {}).then([submitted_by(AGENT)]);
}

#[test]
fn every_field_at_fault_is_named() {
    submit_with(|draft| {
        draft.actions.clear();
        draft.rationale.clear();
        draft.confidence = Some(1.5);
        draft.model = Some(String::new());
        draft.expires_at = Some(noon());
    })
    .then_invalid(&[
        "/actions",
        "/rationale",
        "/confidence",
        "/model",
        "/expires_at",
    ]);
}

#[test]
fn its_actions_are_checked_like_the_commands_they_become() {
    submit_with(|draft| {
        draft.actions = vec![
            Action::CreateNote {
                title: "x".repeat(501),
                body: String::new(),
                tags: BTreeSet::new(),
            },
            Action::ReviseNote {
                note_id: Uuid::nil(),
                base_version: 0,
                title: None,
                body: None,
            },
            Action::TagNote {
                note_id: Uuid::nil(),
                add: BTreeSet::new(),
                remove: BTreeSet::new(),
            },
        ];
    })
    .then_invalid(&[
        "/actions/0/title",
        "/actions/1/base_version",
        "/actions/1",
        "/actions/2",
    ]);
}

#[test]
fn a_confidence_that_is_not_a_number_is_refused() {
    submit_with(|draft| draft.confidence = Some(f64::NAN)).then_invalid(&["/confidence"]);
}

#[test]
fn a_person_approves_what_they_have_read() {
    given::<Proposal>([submitted_by(AGENT)])
        .when_by(PERSON, approve())
        .then([approved()]);
}

#[test]
fn an_agent_cannot_approve_its_own_proposal() {
    given::<Proposal>([submitted_by(AGENT)])
        .when_by(AGENT, approve())
        .then_refused(ProposalRule::SelfApproval);
}

#[test]
fn another_key_of_the_same_actor_is_still_the_same_actor() {
    let alias = Actor {
        kind: ActorKind::Person,
        id: AGENT.id,
    };
    given::<Proposal>([submitted_by(AGENT)])
        .when_by(alias, approve())
        .then_refused(ProposalRule::SelfApproval);
}

#[test]
fn only_a_person_decides_it() {
    for kind in [ActorKind::Agent, ActorKind::Service] {
        let program = Actor {
            kind,
            id: Uuid::from_u128(3),
        };
        for decide in [approve(), reject()] {
            given::<Proposal>([submitted_by(AGENT)])
                .when_by(program, decide)
                .then_refused(ProposalRule::NeedsPerson);
        }
    }
}

#[test]
fn its_proposer_withdraws_it_rather_than_rejecting_it() {
    given::<Proposal>([submitted_by(PERSON)])
        .when_by(PERSON, reject())
        .then_refused(ProposalRule::SelfRejection);
}

#[test]
fn an_approval_of_other_actions_is_refused() {
    given::<Proposal>([submitted_by(AGENT)])
        .when(ProposalCommand::Approve(Approval {
            actions_hash: "stale".into(),
            ..approval()
        }))
        .then_refused(ProposalRule::HashMismatch);
}

#[test]
fn an_approver_may_edit_but_not_empty_it() {
    given::<Proposal>([submitted_by(AGENT)])
        .when(ProposalCommand::Approve(Approval {
            edited_actions: Some(vec![]),
            ..approval()
        }))
        .then_invalid(&["/edited_actions"]);
}

#[test]
fn the_edited_actions_are_those_that_take_effect() {
    let edited = vec![Action::ArchiveNote {
        note_id: Uuid::from_u128(9),
        base_version: None,
    }];
    let state: Proposal = crate::fold([submitted_by(AGENT), edited_by(PERSON, edited.clone())]);
    assert_eq!(state.submission().unwrap().effective_actions(), edited);
}

#[test]
fn nobody_approves_after_the_deadline() {
    given::<Proposal>([submitted_by(AGENT)])
        .when_at(noon() + TimeDelta::hours(1), PERSON, approve())
        .then_refused(ProposalRule::Expired);
}

#[test]
fn it_expires_at_its_deadline_and_not_before() {
    given::<Proposal>([submitted_by(AGENT)])
        .when_by(Actor::SYSTEM, ProposalCommand::Expire)
        .then_nothing();
    given::<Proposal>([submitted_by(AGENT)])
        .when_at(
            noon() + TimeDelta::hours(1),
            Actor::SYSTEM,
            ProposalCommand::Expire,
        )
        .then([ProposalEvent::Expired {}]);
}

#[test]
fn expiry_that_comes_after_the_decision_changes_nothing() {
    given::<Proposal>([submitted_by(AGENT), ProposalEvent::Withdrawn {}])
        .when_at(
            noon() + TimeDelta::hours(1),
            Actor::SYSTEM,
            ProposalCommand::Expire,
        )
        .then_nothing();
}

#[test]
fn it_is_rejected_with_a_reason() {
    given::<Proposal>([submitted_by(AGENT)])
        .when(reject())
        .then([ProposalEvent::Rejected {
            reason: "not now".into(),
        }]);
    given::<Proposal>([submitted_by(AGENT)])
        .when(ProposalCommand::Reject {
            reason: String::new(),
        })
        .then_invalid(&["/reason"]);
}

#[test]
fn only_its_proposer_withdraws_it() {
    given::<Proposal>([submitted_by(AGENT)])
        .when_by(AGENT, ProposalCommand::Withdraw)
        .then([ProposalEvent::Withdrawn {}]);
    given::<Proposal>([submitted_by(AGENT)])
        .when_by(PERSON, ProposalCommand::Withdraw)
        .then_refused(ProposalRule::NotProposer);
}

#[test]
fn only_its_proposer_supersedes_it() {
    let by = Uuid::from_u128(9);
    given::<Proposal>([submitted_by(AGENT)])
        .when_by(AGENT, ProposalCommand::Supersede { by })
        .then([ProposalEvent::Superseded { by }]);
    given::<Proposal>([submitted_by(AGENT)])
        .when_by(PERSON, ProposalCommand::Supersede { by })
        .then_refused(ProposalRule::NotProposer);
}

#[test]
fn a_person_reverts_what_was_applied_once() {
    let revert = || ProposalCommand::Revert { reason: None };
    let reverted = || ProposalEvent::Reverted { reason: None };
    let history = || [submitted_by(AGENT), approved(), applied()];
    given::<Proposal>(history())
        .when(revert())
        .then([reverted()]);
    given::<Proposal>(history())
        .when_by(AGENT, revert())
        .then_refused(ProposalRule::NeedsPerson);
    given::<Proposal>(history().into_iter().chain([reverted()]))
        .when(revert())
        .then_refused(ProposalRule::NotApplied("reverted"));
    given::<Proposal>([submitted_by(AGENT)])
        .when(revert())
        .then_refused(ProposalRule::NotApplied("pending"));
    let wordless = ProposalCommand::Revert {
        reason: Some(String::new()),
    };
    given::<Proposal>(history())
        .when(wordless)
        .then_invalid(&["/reason"]);
}

#[test]
fn it_is_decided_once() {
    for (decided, status) in [
        (applied(), "applied"),
        (ProposalEvent::Failed { conflicts: vec![] }, "failed"),
        (
            ProposalEvent::Rejected {
                reason: "no".into(),
            },
            "rejected",
        ),
        (ProposalEvent::Withdrawn {}, "withdrawn"),
        (ProposalEvent::Expired {}, "expired"),
        (
            ProposalEvent::Superseded {
                by: Uuid::from_u128(9),
            },
            "superseded",
        ),
    ] {
        for command in [approve(), reject(), ProposalCommand::Withdraw] {
            given::<Proposal>([submitted_by(AGENT), decided.clone()])
                .when(command)
                .then_refused(ProposalRule::NotPending(status));
        }
    }
}

#[test]
fn only_an_approved_one_is_completed_or_failed() {
    let complete = || ProposalCommand::Complete(Effects::default());
    given::<Proposal>([submitted_by(AGENT), approved()])
        .when(complete())
        .then([applied()]);
    given::<Proposal>([submitted_by(AGENT), approved()])
        .when(ProposalCommand::Fail { conflicts: vec![] })
        .then([ProposalEvent::Failed { conflicts: vec![] }]);
    given::<Proposal>([submitted_by(AGENT)])
        .when(complete())
        .then_refused(ProposalRule::NotPending("pending"));
}

const OTHER: Actor = Actor {
    kind: ActorKind::Person,
    id: Uuid::from_u128(4),
};

fn archive() -> Vec<Action> {
    vec![Action::ArchiveNote {
        note_id: Uuid::from_u128(9),
        base_version: None,
    }]
}

#[test]
fn several_approve_it_each_once() {
    given::<Proposal>([submitted_by(AGENT), approved()])
        .when_by(PERSON, approve())
        .then_refused(ProposalRule::AlreadyApproved);
    let state: Proposal = crate::fold([
        submitted_by(AGENT),
        approved(),
        ProposalEvent::Approved {
            actions_hash: action::hash(&actions()),
            comment: None,
            edited_actions: None,
            approver: Some(OTHER),
            controlled_by: None,
            by_rule: None,
        },
    ]);
    let approvers = &state.pending().unwrap().approvers;
    let own = |actor: Actor| (actor.id, actor.id);
    assert_eq!(*approvers, BTreeMap::from([own(PERSON), own(OTHER)]));
    for (by, command, event) in [
        (
            OTHER,
            reject(),
            ProposalEvent::Rejected {
                reason: "not now".into(),
            },
        ),
        (
            AGENT,
            ProposalCommand::Withdraw,
            ProposalEvent::Withdrawn {},
        ),
    ] {
        given::<Proposal>([submitted_by(AGENT), approved()])
            .when_by(by, command)
            .then([event]);
    }
}

/// An actor who has seen the keys of others.
const ISSUER: Uuid = Uuid::from_u128(6);

fn submitted_in_the_hands_of(controller: Uuid) -> ProposalEvent {
    let mut event = submitted_by(OTHER);
    if let ProposalEvent::Submitted { controlled_by, .. } = &mut event {
        *controlled_by = Some(controller);
    }
    event
}

fn approved_in_the_hands_of(controller: Uuid) -> ProposalEvent {
    let mut event = approved();
    if let ProposalEvent::Approved { controlled_by, .. } = &mut event {
        *controlled_by = Some(controller);
    }
    event
}

#[test]
fn one_person_with_the_keys_of_two_is_no_second_pair_of_eyes() {
    given::<Proposal>([submitted_in_the_hands_of(ISSUER)])
        .when_controlled(PERSON, ISSUER, approve())
        .then_refused(ProposalRule::NotIndependent);
    // Nor is the issuer independent of an actor whose key they have.
    given::<Proposal>([submitted_in_the_hands_of(PERSON.id)])
        .when(approve())
        .then_refused(ProposalRule::NotIndependent);
    given::<Proposal>([submitted_in_the_hands_of(ISSUER)])
        .when(approve())
        .then([approved()]);
}

#[test]
fn one_person_with_the_keys_of_several_is_no_quorum() {
    let first = || [submitted_by(AGENT), approved_in_the_hands_of(ISSUER)];
    given::<Proposal>(first())
        .when_controlled(OTHER, ISSUER, approve())
        .then_refused(ProposalRule::NotIndependent);
    given::<Proposal>(first())
        .when_by(
            Actor {
                id: ISSUER,
                ..PERSON
            },
            approve(),
        )
        .then_refused(ProposalRule::NotIndependent);
    assert!(
        given::<Proposal>(first())
            .when_by(OTHER, approve())
            .is_accepted()
    );
}

#[test]
fn what_an_agent_proposes_one_person_approves_whoever_has_seen_their_key() {
    given::<Proposal>([submitted_by(AGENT)])
        .when_controlled(PERSON, ISSUER, approve())
        .then([approved_in_the_hands_of(ISSUER)]);
}

#[test]
fn whoever_edits_it_has_approved_that_alone_and_nobody_else_has() {
    let state: Proposal =
        crate::fold([submitted_by(AGENT), approved(), edited_by(OTHER, archive())]);
    let pending = state.pending().unwrap();
    assert_eq!(pending.approvers, BTreeMap::from([(OTHER.id, OTHER.id)]));
    assert_eq!(pending.actions_hash, action::hash(&archive()));
    given::<Proposal>([submitted_by(AGENT), edited_by(OTHER, archive())])
        .when(approve())
        .then_refused(ProposalRule::HashMismatch);
}

#[test]
fn a_rule_approves_in_the_name_of_who_has_set_it() {
    let by_rule = Some(ByRule {
        name: "tags".into(),
        set_by: PERSON,
    });
    let approval = Approval {
        by_rule: by_rule.clone(),
        ..approval()
    };
    given::<Proposal>([submitted_by(PERSON)])
        .when(ProposalCommand::Approve(approval))
        .then([ProposalEvent::Approved {
            actions_hash: action::hash(&actions()),
            comment: None,
            edited_actions: None,
            approver: Some(PERSON),
            controlled_by: None,
            by_rule,
        }]);
}

#[test]
fn its_proposer_rebases_what_is_pending_or_has_failed() {
    let rebase = |by: Actor, events: Vec<ProposalEvent>| {
        let state: Proposal = crate::fold(std::iter::once(submitted_by(AGENT)).chain(events));
        let Proposal::Submitted(submission, stage) = state else {
            panic!("it was submitted")
        };
        let at = DecisionContext::of(by, noon() + TimeDelta::hours(2));
        submission.rebase(Uuid::from_u128(5), &stage, archive(), &at)
    };
    let failed = ProposalEvent::Failed { conflicts: vec![] };
    let expected = |supersedes| Draft {
        actions: archive(),
        // The time had passed.
        expires_at: None,
        supersedes,
        rebased_from: Some(Uuid::from_u128(5)),
        ..draft()
    };
    let pending = Some(Uuid::from_u128(5));
    assert_eq!(rebase(AGENT, vec![]), Ok(expected(pending)));
    assert_eq!(rebase(AGENT, vec![approved()]), Ok(expected(pending)));
    assert_eq!(rebase(AGENT, vec![approved(), failed]), Ok(expected(None)));
    assert_eq!(
        rebase(PERSON, vec![]),
        Err(ProposalRule::NotProposer.into())
    );
    assert_eq!(
        rebase(AGENT, vec![approved(), applied()]),
        Err(ProposalRule::NotRebasable("applied").into())
    );
}

#[test]
fn it_is_submitted_once() {
    given::<Proposal>([submitted_by(AGENT)])
        .when_by(AGENT, ProposalCommand::Submit(draft()))
        .then_refused(ProposalRefusal::Exists);
}

#[test]
fn what_was_applied_before_bases_were_recorded_is_not_undone() {
    let old = serde_json::json!({"note_id": Uuid::nil(), "version": 4});
    let old: Applied = serde_json::from_value(old).unwrap();
    let refusal = old.base().unwrap_err();
    assert_eq!(refusal, ProposalRule::BaseUnknown);
    record_refusal(&refusal.code());
    let applied = Applied {
        base_version: Some(3),
        ..old
    };
    assert_eq!(applied.base(), Ok(3));
}

#[test]
fn one_that_was_never_submitted_is_not_found() {
    given::<Proposal>([])
        .when(approve())
        .then_refused(ProposalRefusal::NotFound);
}

#[test]
fn the_hash_does_not_depend_on_the_order_of_keys_or_tags() {
    let parse = |text: &str| serde_json::from_str::<Vec<Action>>(text).unwrap();
    let one = parse(
        r#"[{"type":"note.tag","note_id":"00000000-0000-0000-0000-000000000001","add":["b","a"]}]"#,
    );
    let other = parse(
        r#"[{"add":["a","b"],"remove":[],"note_id":"00000000-0000-0000-0000-000000000001","type":"note.tag"}]"#,
    );
    assert_eq!(action::hash(&one), action::hash(&other));
}
