//! Events of proposals and of policies.

use proptest::collection::{btree_set, vec};
use proptest::option::of as maybe;
use proptest::prelude::*;

use super::{actor, count, date, id, merge, role, size, text, texts, time, whole};
use crate::agents::action::Action;
use crate::agents::policy::{Approvers, Automatic, Expiry, Forbidden, Merging, PolicyEvent, Rules};
use crate::agents::proposal::{
    Applied, AppliedArtifact, AppliedTask, ByRule, Conflict, Draft, ProposalEvent,
};
use crate::knowledge::merge::{Hunk, Stretch};

fn large() -> impl Strategy<Value = usize> {
    size().prop_map(|size| usize::try_from(size).unwrap())
}

fn hunk() -> impl Strategy<Value = Hunk> {
    let stretch = || {
        (large(), large(), text(), any::<bool>()).prop_map(|(line, lines, text, truncated)| {
            Stretch {
                line,
                lines,
                text,
                truncated,
            }
        })
    };
    (text(), stretch(), stretch(), stretch()).prop_map(|(field, base, current, proposed)| Hunk {
        field,
        base,
        current,
        proposed,
    })
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        (text(), text(), texts()).prop_map(|(title, body, tags)| Action::CreateNote {
            title,
            body,
            tags
        }),
        (id(), whole(), maybe(text()), maybe(text())).prop_map(
            |(note_id, base_version, title, body)| Action::ReviseNote {
                note_id,
                base_version,
                title,
                body,
            }
        ),
        (id(), texts(), texts()).prop_map(|(note_id, add, remove)| Action::TagNote {
            note_id,
            add,
            remove
        }),
        (id(), maybe(whole())).prop_map(|(note_id, base_version)| Action::ArchiveNote {
            note_id,
            base_version
        }),
        (id(), id(), text()).prop_map(|(note_id, target_id, relation)| Action::LinkNote {
            note_id,
            target_id,
            relation,
        }),
        (id(), id(), maybe(text())).prop_map(|(note_id, target_id, relation)| {
            Action::UnlinkNote {
                note_id,
                target_id,
                relation,
            }
        }),
        task_action(),
        artifact_action(),
    ]
}

fn artifact_action() -> impl Strategy<Value = Action> {
    let what = (maybe(id()), maybe(text()), maybe(text()), maybe(text()));
    prop_oneof![
        (id(), what).prop_map(|(note_id, what)| Action::AttachArtifact {
            note_id,
            file_id: what.0,
            url: what.1,
            name: what.2,
            media_type: what.3,
        }),
        id().prop_map(|artifact_id| Action::DetachArtifact { artifact_id }),
    ]
}

fn task_action() -> impl Strategy<Value = Action> {
    let fields = (
        maybe(text()),
        maybe(maybe(id())),
        maybe(maybe(date())),
        maybe(texts()),
    );
    let version = || maybe(whole());
    prop_oneof![
        (maybe(id()), text(), maybe(id()), maybe(date()), texts()).prop_map(
            |(note_id, title, assignee, due_on, labels)| Action::CreateTask {
                note_id,
                title,
                assignee,
                due_on,
                labels,
            }
        ),
        (id(), version(), fields).prop_map(|(task_id, base_version, fields)| {
            Action::ReviseTask {
                task_id,
                base_version,
                title: fields.0,
                assignee: fields.1,
                due_on: fields.2,
                labels: fields.3,
            }
        }),
        (id(), version()).prop_map(|(task_id, base_version)| Action::CompleteTask {
            task_id,
            base_version
        }),
        (id(), version()).prop_map(|(task_id, base_version)| Action::ReopenTask {
            task_id,
            base_version
        }),
        (id(), version()).prop_map(|(task_id, base_version)| Action::DeleteTask {
            task_id,
            base_version
        }),
        (id(), maybe(id()), maybe(id())).prop_map(|(task_id, after, before)| Action::MoveTask {
            task_id,
            after,
            before,
        }),
    ]
}

fn draft() -> impl Strategy<Value = Draft> {
    let confidence = maybe(prop_oneof![0.0..=1.0, Just(f64::MIN_POSITIVE)]);
    let actions = vec(action(), 0..4);
    (
        (id(), actions, text(), confidence),
        (
            maybe(text()),
            maybe(text()),
            maybe(time()),
            maybe(id()),
            maybe(id()),
        ),
    )
        .prop_map(|(what, why)| Draft {
            workspace_id: what.0,
            actions: what.1,
            rationale: what.2,
            confidence: what.3,
            model: why.0,
            run_id: why.1,
            expires_at: why.2,
            supersedes: why.3,
            rebased_from: why.4,
        })
}

fn conflict() -> impl Strategy<Value = Conflict> {
    (
        0..9usize,
        maybe(id()),
        maybe(whole()),
        whole(),
        text(),
        vec(hunk(), 0..2),
        maybe(id()),
        maybe(id()),
        maybe(text()),
    )
        .prop_map(
            |(
                action,
                note_id,
                base_version,
                current_version,
                reason,
                hunks,
                task_id,
                artifact_id,
                code,
            )| Conflict {
                action,
                note_id,
                task_id,
                artifact_id,
                base_version,
                current_version,
                reason,
                code,
                hunks,
            },
        )
}

fn applied_task() -> impl Strategy<Value = AppliedTask> {
    (id(), whole(), whole(), maybe(merge())).prop_map(|(task_id, version, base_version, merged)| {
        AppliedTask {
            task_id,
            version,
            base_version,
            merged,
        }
    })
}

fn applied_artifact() -> impl Strategy<Value = AppliedArtifact> {
    (id(), whole(), whole()).prop_map(|(artifact_id, version, base_version)| AppliedArtifact {
        artifact_id,
        version,
        base_version,
    })
}

fn automatic() -> impl Strategy<Value = Automatic> {
    let most = || maybe(large());
    (
        text(),
        maybe(btree_set(id(), 0..3)),
        maybe(texts()),
        most(),
        most(),
    )
        .prop_map(
            |(name, proposers, actions, max_actions, max_characters)| Automatic {
                name,
                proposers,
                actions: actions.unwrap_or_default(),
                max_actions,
                max_characters,
            },
        )
}

fn forbidden() -> impl Strategy<Value = Forbidden> {
    automatic().prop_map(|rule| Forbidden {
        name: rule.name,
        proposers: rule.proposers,
        actions: Some(rule.actions).filter(|actions| !actions.is_empty()),
        above_actions: rule.max_actions,
        above_characters: rule.max_characters,
    })
}

pub fn policy() -> impl Strategy<Value = PolicyEvent> {
    let approvers = (btree_set(role(), 0..3), btree_set(id(), 0..3))
        .prop_map(|(roles, actors)| Approvers { roles, actors });
    let expiry =
        (maybe(whole()), maybe(whole())).prop_map(|(default_seconds, max_seconds)| Expiry {
            default_seconds,
            max_seconds,
        });
    let merge = prop::sample::select(vec![Merging::Allowed, Merging::Refused]);
    let rules = (vec(automatic(), 0..3), vec(forbidden(), 0..3));
    let rules = (count(), maybe(approvers), maybe(expiry), rules, merge);
    (rules, actor()).prop_map(|(rules, set_by)| PolicyEvent::Set {
        rules: Rules {
            quorum: rules.0,
            approvers: rules.1,
            expires_after: rules.2,
            automatic: rules.3.0,
            forbidden: rules.3.1,
            merge: rules.4,
        },
        set_by,
    })
}

pub fn proposal() -> impl Strategy<Value = ProposalEvent> {
    let applied = (id(), whole(), maybe(whole()), maybe(merge())).prop_map(
        |(note_id, version, base_version, merged)| Applied {
            note_id,
            version,
            base_version,
            merged,
        },
    );
    prop_oneof![
        (draft(), actor(), text()).prop_map(|(draft, proposer, actions_hash)| {
            ProposalEvent::Submitted {
                draft,
                proposer,
                actions_hash,
                controlled_by: None,
            }
        }),
        (
            (text(), maybe(text()), maybe(vec(action(), 0..3))),
            maybe((actor(), maybe(id()))),
            maybe((text(), actor())),
        )
            .prop_map(|(approval, approver, by_rule)| ProposalEvent::Approved {
                actions_hash: approval.0,
                comment: approval.1,
                edited_actions: approval.2,
                approver: approver.map(|(actor, _)| actor),
                controlled_by: approver.and_then(|(_, controller)| controller),
                by_rule: by_rule.map(|(name, set_by)| ByRule { name, set_by }),
            }),
        (
            vec(applied, 0..4),
            vec(applied_task(), 0..2),
            vec(applied_artifact(), 0..2),
        )
            .prop_map(|(notes, tasks, artifacts)| ProposalEvent::Applied {
                notes,
                tasks,
                artifacts,
            }),
        vec(conflict(), 0..4).prop_map(|conflicts| ProposalEvent::Failed { conflicts }),
        text().prop_map(|reason| ProposalEvent::Rejected { reason }),
        Just(ProposalEvent::Withdrawn {}),
        id().prop_map(|by| ProposalEvent::Superseded { by }),
        maybe(text()).prop_map(|reason| ProposalEvent::Reverted { reason }),
        Just(ProposalEvent::Expired {}),
    ]
}
