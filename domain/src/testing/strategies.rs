//! Events of every aggregate as property tests need them: any there could be, of few different values, so that events
//! meet in what they are about.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of as maybe;
use proptest::prelude::*;
use strum::VariantArray;
use uuid::Uuid;

use crate::agents::action::Action;
use crate::agents::agent::{AgentEvent, Registration};
use crate::agents::policy::{Approvers, Automatic, Expiry, Forbidden, Merging, PolicyEvent, Rules};
use crate::agents::proposal::{Applied, AppliedTask, ByRule, Conflict, Draft, ProposalEvent};
use crate::agents::tool_call::{Call, ToolCallEvent};
use crate::delivery::webhook::{DisableReason, WebhookEvent};
use crate::delivery::webhook_delivery::DeliveryEvent;
use crate::identity::actor::ActorEvent;
use crate::identity::api_key::ApiKeyEvent;
use crate::identity::avatar::AvatarEvent;
use crate::identity::product::ProductEvent;
use crate::knowledge::artifact::{ArtifactEvent, Attachment};
use crate::knowledge::calendar_feed::CalendarFeedEvent;
use crate::knowledge::checklist::{ChecklistEvent, Line};
use crate::knowledge::merge::{Hunk, Stretch};
use crate::knowledge::note::{Merge, NoteEvent};
use crate::knowledge::task::{self, TaskEvent};
use crate::knowledge::workspace::{Role, WorkspaceEvent};
use crate::operations::blob::BlobEvent;
use crate::operations::container::Container;
use crate::operations::file::{Content, FileEvent, Rendition, Upload};
use crate::operations::storage::StorageEvent;
use crate::{Actor, ActorKind, StreamId};

fn id() -> impl Strategy<Value = Uuid> {
    (0..4u128).prop_map(Uuid::from_u128)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]{0,2}", any::<String>()]
}

fn texts() -> impl Strategy<Value = BTreeSet<String>> {
    btree_set(text(), 0..4)
}

fn dictionary() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(text(), text(), 0..3)
}

fn time() -> impl Strategy<Value = DateTime<Utc>> {
    any::<i32>().prop_map(|seconds| DateTime::from_timestamp(i64::from(seconds), 1_000).unwrap())
}

fn kind() -> impl Strategy<Value = ActorKind> {
    prop::sample::select(vec![
        ActorKind::Person,
        ActorKind::Agent,
        ActorKind::Service,
    ])
}

fn actor() -> impl Strategy<Value = Actor> {
    (kind(), id()).prop_map(|(kind, id)| Actor { kind, id })
}

pub fn known_actor() -> impl Strategy<Value = ActorEvent> {
    kind().prop_map(|kind| ActorEvent::Registered { kind })
}

pub fn product() -> impl Strategy<Value = ProductEvent> {
    text().prop_map(|name| ProductEvent::Created { name })
}

pub fn api_key() -> impl Strategy<Value = ApiKeyEvent> {
    prop_oneof![
        (text(), actor(), texts(), text(), maybe(id())).prop_map(
            |(name, actor, scopes, sha256, issued_by)| ApiKeyEvent::Issued {
                name,
                actor,
                scopes,
                sha256,
                issued_by,
            }
        ),
        (text(), time()).prop_map(|(sha256, previous_valid_until)| ApiKeyEvent::Rotated {
            sha256,
            previous_valid_until,
        }),
        Just(ApiKeyEvent::Revoked {}),
    ]
}

fn role() -> impl Strategy<Value = Role> {
    prop::sample::select(vec![Role::Owner, Role::Editor, Role::Viewer, Role::Agent])
}

pub fn avatar() -> impl Strategy<Value = AvatarEvent> {
    prop_oneof![
        id().prop_map(|file_id| AvatarEvent::Set { file_id }),
        Just(AvatarEvent::Cleared {}),
    ]
}

pub fn workspace() -> impl Strategy<Value = WorkspaceEvent> {
    prop_oneof![
        (text(), id()).prop_map(|(name, owner)| WorkspaceEvent::Created { name, owner }),
        text().prop_map(|name| WorkspaceEvent::Renamed { name }),
        Just(WorkspaceEvent::Archived {}),
        (id(), role()).prop_map(|(actor_id, role)| WorkspaceEvent::MemberSet { actor_id, role }),
        id().prop_map(|actor_id| WorkspaceEvent::MemberRemoved { actor_id }),
    ]
}

fn merge() -> impl Strategy<Value = Merge> {
    (any::<i64>(), any::<i64>()).prop_map(|(base_version, onto_version)| Merge {
        base_version,
        onto_version,
    })
}

fn hunk() -> impl Strategy<Value = Hunk> {
    let stretch = || {
        (any::<usize>(), any::<usize>(), text(), any::<bool>()).prop_map(
            |(line, lines, text, truncated)| Stretch {
                line,
                lines,
                text,
                truncated,
            },
        )
    };
    (text(), stretch(), stretch(), stretch()).prop_map(|(field, base, current, proposed)| Hunk {
        field,
        base,
        current,
        proposed,
    })
}

pub fn note() -> impl Strategy<Value = NoteEvent> {
    prop_oneof![
        (id(), text(), text(), texts()).prop_map(|(workspace_id, title, body, tags)| {
            NoteEvent::Created {
                workspace_id,
                title,
                body,
                tags,
            }
        }),
        (maybe(text()), maybe(text()), maybe(merge())).prop_map(|(title, body, merged)| {
            NoteEvent::Revised {
                title,
                body,
                merged,
            }
        }),
        (texts(), texts()).prop_map(|(added, removed)| NoteEvent::Tagged { added, removed }),
        (id(), text()).prop_map(|(target_id, relation)| NoteEvent::Linked {
            target_id,
            relation
        }),
        (id(), text()).prop_map(|(target_id, relation)| NoteEvent::Unlinked {
            target_id,
            relation
        }),
        Just(NoteEvent::Archived {}),
        Just(NoteEvent::Trashed {}),
        Just(NoteEvent::Restored {}),
        Just(NoteEvent::Purged {}),
    ]
}

fn registration() -> impl Strategy<Value = Registration> {
    (text(), maybe(text()), id(), id(), maybe(any::<u32>())).prop_map(
        |(name, model, owner_id, api_key_id, daily_proposals)| Registration {
            name,
            model,
            owner_id,
            api_key_id,
            daily_proposals,
        },
    )
}

fn date() -> impl Strategy<Value = NaiveDate> {
    (0..20_000).prop_map(|days| NaiveDate::from_epoch_days(days).unwrap())
}

fn task_draft() -> impl Strategy<Value = task::Draft> {
    let place = (id(), maybe(id()), text());
    (place, text(), maybe(id()), maybe(date()), texts()).prop_map(
        |((workspace_id, note_id, rank), title, assignee, due_on, labels)| task::Draft {
            workspace_id,
            note_id,
            title,
            assignee,
            due_on,
            labels,
            rank,
        },
    )
}

pub fn agent() -> impl Strategy<Value = AgentEvent> {
    prop_oneof![
        registration().prop_map(|registration| AgentEvent::Registered { registration }),
        (maybe(text()), maybe(text()), maybe(any::<u32>())).prop_map(
            |(name, model, daily_proposals)| AgentEvent::Revised {
                name,
                model,
                daily_proposals,
            }
        ),
        text().prop_map(|reason| AgentEvent::Suspended { reason }),
        Just(AgentEvent::Resumed {}),
        (id(), time()).prop_map(|(proposal_id, time)| AgentEvent::Proposed {
            proposal_id,
            day: time.date_naive(),
        }),
    ]
}

pub fn task() -> impl Strategy<Value = TaskEvent> {
    prop_oneof![
        task_draft().prop_map(|draft| TaskEvent::Created { draft }),
        task_draft().prop_map(|draft| TaskEvent::Suggested { draft }),
        Just(TaskEvent::Accepted {}),
        Just(TaskEvent::Dismissed {}),
        text().prop_map(|title| TaskEvent::Retitled { title }),
        maybe(id()).prop_map(|assignee| TaskEvent::Assigned { assignee }),
        maybe(date()).prop_map(|due_on| TaskEvent::Scheduled { due_on }),
        (texts(), texts()).prop_map(|(added, removed)| TaskEvent::Labelled { added, removed }),
        Just(TaskEvent::Completed {}),
        Just(TaskEvent::Reopened {}),
        text().prop_map(|rank| TaskEvent::Moved { rank }),
        Just(TaskEvent::Removed {}),
    ]
}

pub fn checklist() -> impl Strategy<Value = ChecklistEvent> {
    let line = (id(), text(), any::<bool>()).prop_map(|(task_id, title, done)| Line {
        task_id,
        title,
        done,
    });
    vec(line, 0..4).prop_map(|lines| ChecklistEvent::Read { lines })
}

pub fn calendar_feed() -> impl Strategy<Value = CalendarFeedEvent> {
    prop_oneof![
        (text(), id(), text()).prop_map(|(name, owner, sha256)| CalendarFeedEvent::Opened {
            name,
            owner,
            sha256,
        }),
        Just(CalendarFeedEvent::Revoked {}),
    ]
}

pub fn artifact() -> impl Strategy<Value = ArtifactEvent> {
    prop_oneof![
        attachment().prop_map(|attachment| ArtifactEvent::Attached { attachment }),
        text().prop_map(|name| ArtifactEvent::Renamed { name }),
        Just(ArtifactEvent::Detached {}),
        Just(ArtifactEvent::Restored {}),
        Just(ArtifactEvent::Removed {}),
    ]
}

fn attachment() -> impl Strategy<Value = Attachment> {
    let of = (id(), id(), text(), text());
    let known = (maybe(any::<u64>()), maybe(text()));
    (of, known, maybe(id()), maybe(text())).prop_map(|(of, known, file_id, url)| Attachment {
        workspace_id: of.0,
        note_id: of.1,
        name: of.2,
        media_type: of.3,
        size: known.0,
        sha256: known.1,
        file_id,
        url,
    })
}

fn container() -> impl Strategy<Value = Container> {
    prop::sample::select(Container::VARIANTS)
}

pub fn file() -> impl Strategy<Value = FileEvent> {
    let by = || id().prop_map(|id| StreamId::new("artifact", id));
    prop_oneof![
        upload().prop_map(|upload| FileEvent::Requested { upload }),
        (container(), text(), text(), any::<u64>(), content()).prop_map(
            |(container, name, media_type, size, content)| FileEvent::Stored {
                container,
                name,
                media_type,
                size,
                content,
            }
        ),
        vec(rendition(), 0..3).prop_map(|renditions| FileEvent::Resized { renditions }),
        text().prop_map(|reason| FileEvent::ResizeFailed { reason }),
        by().prop_map(|by| FileEvent::Referenced { by }),
        by().prop_map(|by| FileEvent::Unreferenced { by }),
        Just(FileEvent::Expired {}),
        Just(FileEvent::Deleted {}),
    ]
}

fn upload() -> impl Strategy<Value = Upload> {
    let what = (container(), text(), text(), any::<u64>());
    (what, maybe(text()), maybe(id()), actor(), time()).prop_map(
        |((container, name, media_type, size), sha256, workspace_id, owner, expires_at)| Upload {
            container,
            name,
            media_type,
            size,
            sha256,
            workspace_id,
            owner,
            expires_at,
        },
    )
}

fn content() -> impl Strategy<Value = Content> {
    (text(), 0..3u32).prop_map(|(sha256, generation)| Content { sha256, generation })
}

fn rendition() -> impl Strategy<Value = Rendition> {
    (any::<u32>(), text(), any::<u64>(), content()).prop_map(
        |(pixels, media_type, size, content)| Rendition {
            pixels,
            media_type,
            size,
            sha256: content.sha256,
            generation: content.generation,
        },
    )
}

pub fn blob() -> impl Strategy<Value = BlobEvent> {
    let generation = || prop_oneof![0..3u32, Just(u32::MAX)];
    prop_oneof![
        (container(), text(), generation(), id()).prop_map(
            |(container, sha256, generation, file_id)| BlobEvent::Held {
                container,
                sha256,
                generation,
                file_id,
            }
        ),
        (container(), text(), generation(), id()).prop_map(
            |(container, sha256, generation, file_id)| BlobEvent::Released {
                container,
                sha256,
                generation,
                file_id,
            }
        ),
        (container(), text(), generation()).prop_map(|(container, sha256, generation)| {
            BlobEvent::Dropped {
                container,
                sha256,
                generation,
            }
        }),
    ]
}

pub fn storage() -> impl Strategy<Value = StorageEvent> {
    prop_oneof![
        (id(), any::<u64>()).prop_map(|(file_id, bytes)| StorageEvent::Reserved { file_id, bytes }),
        (id(), any::<u64>()).prop_map(|(file_id, bytes)| StorageEvent::Released { file_id, bytes }),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        (text(), text(), texts()).prop_map(|(title, body, tags)| Action::CreateNote {
            title,
            body,
            tags
        }),
        (id(), any::<i64>(), maybe(text()), maybe(text())).prop_map(
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
        (id(), maybe(any::<i64>())).prop_map(|(note_id, base_version)| Action::ArchiveNote {
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
    ]
}

fn task_action() -> impl Strategy<Value = Action> {
    let fields = (
        maybe(text()),
        maybe(maybe(id())),
        maybe(maybe(date())),
        maybe(texts()),
    );
    let version = || maybe(any::<i64>());
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
    let confidence = maybe((0..=8u8).prop_map(|eighths| f64::from(eighths) / 8.0));
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
        maybe(any::<i64>()),
        any::<i64>(),
        text(),
        vec(hunk(), 0..2),
        maybe(id()),
    )
        .prop_map(
            |(action, note_id, base_version, current_version, reason, hunks, task_id)| Conflict {
                action,
                note_id,
                task_id,
                base_version,
                current_version,
                reason,
                hunks,
            },
        )
}

fn applied_task() -> impl Strategy<Value = AppliedTask> {
    (id(), any::<i64>(), any::<i64>(), maybe(merge())).prop_map(
        |(task_id, version, base_version, merged)| AppliedTask {
            task_id,
            version,
            base_version,
            merged,
        },
    )
}

fn automatic() -> impl Strategy<Value = Automatic> {
    let most = || maybe(any::<usize>());
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
                actions,
                max_actions,
                max_characters,
            },
        )
}

fn forbidden() -> impl Strategy<Value = Forbidden> {
    automatic().prop_map(|rule| Forbidden {
        name: rule.name,
        proposers: rule.proposers,
        actions: rule.actions,
        above_actions: rule.max_actions,
        above_characters: rule.max_characters,
    })
}

pub fn policy() -> impl Strategy<Value = PolicyEvent> {
    let approvers = (btree_set(role(), 0..3), btree_set(id(), 0..3))
        .prop_map(|(roles, actors)| Approvers { roles, actors });
    let expiry =
        (maybe(any::<i64>()), maybe(any::<i64>())).prop_map(|(default_seconds, max_seconds)| {
            Expiry {
                default_seconds,
                max_seconds,
            }
        });
    let merge = prop::sample::select(vec![Merging::Allowed, Merging::Refused]);
    let rules = (vec(automatic(), 0..3), vec(forbidden(), 0..3));
    let rules = (any::<u32>(), maybe(approvers), maybe(expiry), rules, merge);
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
    let applied = (id(), any::<i64>(), maybe(any::<i64>()), maybe(merge())).prop_map(
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
            }
        }),
        (
            (text(), maybe(text()), maybe(vec(action(), 0..3))),
            maybe(actor()),
            maybe((text(), actor())),
        )
            .prop_map(|(approval, approver, by_rule)| ProposalEvent::Approved {
                actions_hash: approval.0,
                comment: approval.1,
                edited_actions: approval.2,
                approver,
                by_rule: by_rule.map(|(name, set_by)| ByRule { name, set_by }),
            }),
        (vec(applied, 0..4), vec(applied_task(), 0..2))
            .prop_map(|(notes, tasks)| ProposalEvent::Applied { notes, tasks }),
        vec(conflict(), 0..4).prop_map(|conflicts| ProposalEvent::Failed { conflicts }),
        text().prop_map(|reason| ProposalEvent::Rejected { reason }),
        Just(ProposalEvent::Withdrawn {}),
        id().prop_map(|by| ProposalEvent::Superseded { by }),
        maybe(text()).prop_map(|reason| ProposalEvent::Reverted { reason }),
        Just(ProposalEvent::Expired {}),
    ]
}

pub fn tool_call() -> impl Strategy<Value = ToolCallEvent> {
    let said = (text(), text(), text(), text(), maybe(text()));
    let about = (maybe(id()), maybe(id()), maybe(id()), maybe(any::<u64>()));
    (said, about).prop_map(|(said, about)| ToolCallEvent::Recorded {
        call: Call {
            tool: said.0,
            arguments_sha256: said.1,
            outcome: said.2,
            protocol_version: said.3,
            run_id: said.4,
            workspace_id: about.0,
            note_id: about.1,
            proposal_id: about.2,
            duration_ms: about.3,
        },
    })
}

pub fn webhook() -> impl Strategy<Value = WebhookEvent> {
    let limit = || maybe(any::<u32>());
    let reasons = vec![
        DisableReason::Requested,
        DisableReason::Gone,
        DisableReason::Failing,
        DisableReason::Exhausted,
    ];
    prop_oneof![
        (text(), texts(), text(), dictionary(), limit()).prop_map(
            |(url, events, description, headers, rate_limit)| WebhookEvent::Created {
                url,
                events,
                description,
                headers,
                rate_limit,
            }
        ),
        (
            maybe(text()),
            maybe(texts()),
            maybe(text()),
            maybe(dictionary()),
            limit()
        )
            .prop_map(|(url, events, description, headers, rate_limit)| {
                WebhookEvent::Updated {
                    url,
                    events,
                    description,
                    headers,
                    rate_limit,
                }
            }),
        time().prop_map(|end| WebhookEvent::SecretRotated {
            previous_valid_until: end
        }),
        time().prop_map(|since| WebhookEvent::EndpointFailing { since }),
        Just(WebhookEvent::EndpointRecovered {}),
        prop::sample::select(reasons).prop_map(|reason| WebhookEvent::EndpointDisabled { reason }),
        Just(WebhookEvent::EndpointEnabled {}),
        id().prop_map(|delivery_id| WebhookEvent::DeliveryExhausted { delivery_id }),
        text().prop_map(|event_type| WebhookEvent::ExampleRequested { event_type }),
        (any::<i64>(), any::<i64>()).prop_map(|(from_position, to_position)| {
            WebhookEvent::ReplayRequested {
                from_position,
                to_position,
            }
        }),
        Just(WebhookEvent::Deleted {}),
    ]
}

pub fn webhook_delivery() -> impl Strategy<Value = DeliveryEvent> {
    let what = (id(), id(), text(), any::<u32>());
    let outcome = (any::<bool>(), maybe(any::<u16>()), maybe(text()));
    let answer = (any::<u64>(), text(), maybe(time()));
    prop_oneof![
        (what, outcome, answer).prop_map(|(what, outcome, answer)| DeliveryEvent::Attempted {
            webhook_id: what.0,
            event_id: what.1,
            event_type: what.2,
            attempt: what.3,
            succeeded: outcome.0,
            status: outcome.1,
            error: outcome.2,
            duration_ms: answer.0,
            response: answer.1,
            next_attempt_at: answer.2,
        }),
        (id(), id()).prop_map(|(webhook_id, event_id)| DeliveryEvent::ResendRequested {
            webhook_id,
            event_id,
        }),
    ]
}
