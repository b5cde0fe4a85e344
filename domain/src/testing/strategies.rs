//! Events of every aggregate for property tests. They take any possible value, but mostly few different ones, so that
//! events affect the same subjects; they include the smallest and largest values.

mod proposals;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use hex::encode as hex;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of as maybe;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use strum::VariantArray;
use uuid::Uuid;

use crate::agents::agent::{Agent, AgentEvent, Registration};
use crate::agents::policy::Policy;
use crate::agents::proposal::Proposal;
use crate::agents::tool_call::{Call, ToolCall, ToolCallEvent};
use crate::delivery::webhook::{DisableReason, Owner, Webhook, WebhookEvent};
use crate::delivery::webhook_delivery::{Delivery, DeliveryEvent};
use crate::identity::actor::{ActorEvent, KnownActor};
use crate::identity::api_key::{ApiKey, ApiKeyEvent};
use crate::identity::avatar::{Avatar, AvatarEvent};
use crate::identity::product::{Product, ProductEvent};
use crate::knowledge::artifact::{Artifact, ArtifactEvent, Attachment};
use crate::knowledge::calendar_feed::{CalendarFeed, CalendarFeedEvent};
use crate::knowledge::checklist::{Checklist, ChecklistEvent, Line};
use crate::knowledge::note::{Merge, Note, NoteEvent, SourceFile};
use crate::knowledge::task::{self, Task, TaskEvent};
use crate::knowledge::workspace::{Role, Workspace, WorkspaceEvent};
use crate::operations::blob::{Blob, BlobEvent};
use crate::operations::container::Container;
use crate::operations::file::{Content, File, FileEvent, Rendition, Upload};
use crate::operations::storage::{Storage, StorageEvent};
use crate::reservation::{Reservation, ReservationEvent};
use crate::{Actor, ActorKind, Aggregate, StreamId};
pub use proposals::{policy, proposal};

/// A recipient of the events of every aggregate.
pub trait Recipient {
    /// Takes the events of one aggregate.
    fn take<A: Aggregate>(&mut self, event: BoxedStrategy<A::Event>);
}

/// Passes on the events of every aggregate, in the order of [`contracts`](crate::contracts).
pub fn give_all(to: &mut impl Recipient) {
    to.take::<Reservation>(reservation().boxed());
    to.take::<Product>(product().boxed());
    to.take::<KnownActor>(known_actor().boxed());
    to.take::<ApiKey>(api_key().boxed());
    to.take::<Avatar>(avatar().boxed());
    to.take::<Workspace>(workspace().boxed());
    to.take::<Note>(note().boxed());
    to.take::<Task>(task().boxed());
    to.take::<Checklist>(checklist().boxed());
    to.take::<CalendarFeed>(calendar_feed().boxed());
    to.take::<Artifact>(artifact().boxed());
    to.take::<Agent>(agent().boxed());
    to.take::<Proposal>(proposal().boxed());
    to.take::<ToolCall>(tool_call().boxed());
    to.take::<Policy>(policy().boxed());
    to.take::<Webhook>(webhook().boxed());
    to.take::<Delivery>(webhook_delivery().boxed());
    to.take::<File>(file().boxed());
    to.take::<Blob>(blob().boxed());
    to.take::<Storage>(storage().boxed());
}

fn reservation() -> impl Strategy<Value = ReservationEvent> {
    prop_oneof![
        id().prop_map(|id| ReservationEvent::Taken {
            holder: StreamId::new("label", id),
        }),
        Just(ReservationEvent::Freed {}),
    ]
}

fn id() -> impl Strategy<Value = Uuid> {
    (0..4u128).prop_map(Uuid::from_u128)
}

/// Returns short texts, such as those that commands limit because indexes hold them.
fn word() -> impl Strategy<Value = String> {
    let characters = |count| vec(any::<char>(), count).prop_map(String::from_iter);
    prop_oneof![
        4 => "[a-c]{0,2}",
        3 => characters(0..20),
        1 => characters(64..65),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        7 => word(),
        1 => any::<u64>().prop_map(long),
    ]
}

/// Returns a text too long for a row of an index, and incompressible.
fn long(seed: u64) -> String {
    let part = |n: u64| hex(Sha256::digest([seed, n].map(u64::to_le_bytes).concat()));
    (0..50).map(part).collect()
}

/// Returns pieces of bodies of notes.
fn body() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "[[a]]",
        "[[b#c|a]]",
        "[[c/a#^b]]",
        "![[a.png|100]]",
        "[a](../b.md#c)",
        "[[1]](https://example.com)",
        "\n- [ ] a @2030-01-31 #b\n",
        "\r\n  - [x] c<br>b\r\n",
        "\n# a\n",
        "\n```\n[[b]]\n",
        "| a \\| b |",
        "---\na: b\n---\n",
        "#a/b",
        "'a':1A & !b <-> (c)",
        ":x",
        "👩\u{200d}💻",
        "葛\u{e0100}",
        "ﷺ",
        "İıß",
        "\u{202e}\u{2028}\u{85}",
    ]);
    let words = |seeds: Vec<u64>| seeds.into_iter().map(long).collect::<String>();
    prop_oneof![
        2 => text(),
        4 => vec(pieces, 0..30).prop_map(|pieces| pieces.join(" ")),
        1 => vec(any::<u64>(), 1..8).prop_map(move |seeds| words(seeds).replace('0', " ")),
    ]
}

fn texts() -> impl Strategy<Value = BTreeSet<String>> {
    prop_oneof![
        15 => btree_set(word(), 0..4),
        1 => btree_set(word(), 32..64),
    ]
}

fn dictionary() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(text(), text(), 0..3)
}

fn count() -> impl Strategy<Value = u32> {
    prop_oneof![2 => any::<u32>(), 1 => Just(0), 1 => Just(u32::MAX)]
}

fn whole() -> impl Strategy<Value = i64> {
    prop_oneof![2 => any::<i64>(), 1 => Just(i64::MIN), 1 => Just(i64::MAX)]
}

/// Returns a size, mostly one that a payload may have.
fn size() -> impl Strategy<Value = u64> {
    let largest = i64::MAX.unsigned_abs();
    prop_oneof![3 => 0..=largest, 2 => Just(0), 2 => Just(largest), 1 => any::<u64>()]
}

/// Returns times in microseconds, as clocks return them, in the years 1 to 9999, as requests allow.
fn time() -> impl Strategy<Value = DateTime<Utc>> {
    let first = DateTime::parse_from_rfc3339("0001-01-01T00:00:00Z").unwrap();
    let last = DateTime::parse_from_rfc3339("9999-12-31T23:59:59.999999Z").unwrap();
    prop_oneof![
        8 => any::<i32>().prop_map(|seconds| DateTime::from_timestamp(i64::from(seconds), 1_000).unwrap()),
        1 => Just(first.to_utc()),
        1 => Just(last.to_utc()),
    ]
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
    prop_oneof![
        (kind(), text()).prop_map(|(kind, name)| ActorEvent::Registered { kind, name }),
        text().prop_map(|name| ActorEvent::Renamed { name }),
    ]
}

pub fn product() -> impl Strategy<Value = ProductEvent> {
    text().prop_map(|name| ProductEvent::Created { name })
}

pub fn api_key() -> impl Strategy<Value = ApiKeyEvent> {
    prop_oneof![
        (
            (text(), actor(), texts(), word()),
            (maybe(id()), maybe(id()), any::<bool>())
        )
            .prop_map(
                |((name, actor, scopes, sha256), (issued_by, controlled_by, vouched))| {
                    ApiKeyEvent::Issued {
                        name,
                        actor,
                        scopes,
                        sha256,
                        issued_by,
                        controlled_by,
                        vouched,
                    }
                }
            ),
        (word(), time(), maybe(id())).prop_map(|(sha256, previous_valid_until, controlled_by)| {
            ApiKeyEvent::Rotated {
                sha256,
                previous_valid_until,
                controlled_by,
            }
        }),
        word().prop_map(|sha256| ApiKeyEvent::Enrolled { sha256 }),
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
    (whole(), whole()).prop_map(|(base_version, onto_version)| Merge {
        base_version,
        onto_version,
    })
}

fn source_file() -> impl Strategy<Value = SourceFile> {
    (text(), text(), any::<bool>(), maybe(time()), maybe(time())).prop_map(
        |(path, sha256, byte_order_mark, created_at, modified_at)| SourceFile {
            path,
            sha256,
            byte_order_mark,
            created_at,
            modified_at,
        },
    )
}

pub fn note() -> impl Strategy<Value = NoteEvent> {
    prop_oneof![
        (id(), text(), body(), texts(), texts(), maybe(source_file())).prop_map(
            |(workspace_id, title, body, tags, aliases, file)| NoteEvent::Created {
                workspace_id,
                title,
                body,
                tags,
                aliases,
                file,
            }
        ),
        (
            maybe(text()),
            maybe(body()),
            maybe(merge()),
            maybe(texts()),
            maybe(source_file())
        )
            .prop_map(|(title, body, merged, aliases, file)| NoteEvent::Revised {
                title,
                body,
                merged,
                aliases,
                file,
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
    (text(), maybe(text()), id(), id(), maybe(count())).prop_map(
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
    prop_oneof![
        8 => (0..20_000).prop_map(|days| NaiveDate::from_epoch_days(days).unwrap()),
        1 => Just(NaiveDate::default()),
        1 => Just(NaiveDate::from_ymd_opt(9999, 12, 31).unwrap()),
    ]
}

fn task_draft() -> impl Strategy<Value = task::Draft> {
    let place = (id(), maybe(id()), word());
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
        (maybe(text()), maybe(text()), maybe(count())).prop_map(
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
        word().prop_map(|rank| TaskEvent::Moved { rank }),
        Just(TaskEvent::Removed {}),
        task_draft().prop_map(|draft| TaskEvent::Restored {
            draft,
            status: task::Status::Done,
        }),
    ]
}

pub fn checklist() -> impl Strategy<Value = ChecklistEvent> {
    let line = (id(), text(), any::<bool>()).prop_map(|(task_id, title, done)| Line {
        task_id,
        title,
        done,
    });
    (maybe(id()), vec(line, 0..4)).prop_map(|(workspace_id, lines)| ChecklistEvent::Read {
        workspace_id,
        lines,
    })
}

pub fn calendar_feed() -> impl Strategy<Value = CalendarFeedEvent> {
    prop_oneof![
        (text(), id(), word()).prop_map(|(name, owner, sha256)| CalendarFeedEvent::Opened {
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
    let known = (maybe(size()), maybe(text()));
    let place = (maybe(text()), maybe(id()), maybe(text()));
    (of, known, place).prop_map(|(of, known, (path, file_id, url))| Attachment {
        workspace_id: of.0,
        note_id: of.1,
        name: of.2,
        path,
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
        (container(), text(), text(), size(), content()).prop_map(
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
    let what = (container(), text(), text(), size());
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
    (count(), text(), size(), content()).prop_map(|(pixels, media_type, size, content)| Rendition {
        pixels,
        media_type,
        size,
        sha256: content.sha256,
        generation: content.generation,
    })
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
        (id(), size()).prop_map(|(file_id, bytes)| StorageEvent::Reserved { file_id, bytes }),
        (id(), size()).prop_map(|(file_id, bytes)| StorageEvent::Released { file_id, bytes }),
    ]
}

pub fn tool_call() -> impl Strategy<Value = ToolCallEvent> {
    let said = (text(), text(), text(), text(), maybe(word()));
    let about = (maybe(id()), maybe(id()), maybe(id()), maybe(size()));
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

fn owner() -> impl Strategy<Value = Owner> {
    (id(), id()).prop_map(|(actor_id, api_key_id)| Owner {
        actor_id,
        api_key_id,
    })
}

pub fn webhook() -> impl Strategy<Value = WebhookEvent> {
    let limit = || maybe(count());
    let reasons = vec![
        DisableReason::Requested,
        DisableReason::KeyRevoked,
        DisableReason::Gone,
        DisableReason::Failing,
        DisableReason::Exhausted,
    ];
    prop_oneof![
        (owner(), text(), texts(), text(), dictionary(), limit()).prop_map(
            |(owner, url, events, description, headers, rate_limit)| WebhookEvent::Created {
                owner,
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
        owner().prop_map(|owner| WebhookEvent::TakenOver { owner }),
        time().prop_map(|end| WebhookEvent::SecretRotated {
            previous_valid_until: end
        }),
        time().prop_map(|since| WebhookEvent::EndpointFailing { since }),
        Just(WebhookEvent::EndpointRecovered {}),
        prop::sample::select(reasons).prop_map(|reason| WebhookEvent::EndpointDisabled { reason }),
        Just(WebhookEvent::EndpointEnabled {}),
        id().prop_map(|delivery_id| WebhookEvent::DeliveryExhausted { delivery_id }),
        text().prop_map(|event_type| WebhookEvent::ExampleRequested { event_type }),
        (whole(), whole()).prop_map(|(from_position, to_position)| {
            WebhookEvent::ReplayRequested {
                from_position,
                to_position,
            }
        }),
        Just(WebhookEvent::ReplayFinished {}),
        Just(WebhookEvent::Deleted {}),
    ]
}

pub fn webhook_delivery() -> impl Strategy<Value = DeliveryEvent> {
    let what = (id(), id(), text(), count());
    let outcome = (any::<bool>(), maybe(any::<u16>()), maybe(text()));
    let answer = (size(), text(), maybe(time()));
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
