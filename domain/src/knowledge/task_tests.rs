use super::*;
use crate::knowledge::rank;
use crate::testing::{AGENT, PERSON, given};

const SERVICE: Actor = Actor {
    kind: ActorKind::Service,
    id: Uuid::from_u128(3),
};

fn labels(labels: &[&str]) -> BTreeSet<String> {
    labels.iter().map(ToString::to_string).collect()
}

fn draft() -> Draft {
    Draft {
        workspace_id: Uuid::from_u128(7),
        note_id: None,
        title: "Buy tea".into(),
        assignee: Some(PERSON.id),
        due_on: NaiveDate::from_ymd_opt(2026, 1, 31),
        labels: labels(&["shop"]),
        rank: rank::of(Uuid::from_u128(9)),
    }
}

fn created() -> TaskEvent {
    TaskEvent::Created { draft: draft() }
}

fn suggested() -> TaskEvent {
    TaskEvent::Suggested { draft: draft() }
}

fn follow(title: Option<&str>, done: Option<bool>) -> TaskCommand {
    TaskCommand::FollowLine {
        title: title.map(Into::into),
        done,
    }
}

#[test]
fn it_is_created_with_a_trimmed_title_and_labels_in_lower_case() {
    let sent = Draft {
        title: " Buy tea ".into(),
        labels: labels(&[" Shop"]),
        ..draft()
    };
    given::<Task>([])
        .when(TaskCommand::Create(sent.clone()))
        .then([created()]);
    given::<Task>([])
        .when_by(AGENT, TaskCommand::Suggest(sent))
        .then([suggested()]);
}

#[test]
fn an_id_is_used_once() {
    for events in [vec![created()], vec![suggested(), TaskEvent::Removed {}]] {
        for command in [TaskCommand::Create(draft()), TaskCommand::Suggest(draft())] {
            given::<Task>(events.clone())
                .when(command)
                .then_refused(TaskRefusal::Exists);
        }
    }
}

#[test]
fn an_agent_suggests_and_does_not_create() {
    assert!(Task::agents_may(&TaskCommand::Suggest(draft())));
    for command in [TaskCommand::Create(draft()), TaskCommand::Complete] {
        assert!(!Task::agents_may(&command), "{}", command.as_ref());
    }
    given::<Task>([])
        .when_by(SERVICE, TaskCommand::Create(draft()))
        .then([created()]);
}

#[test]
fn only_a_person_decides_a_suggestion() {
    for actor in [AGENT, SERVICE] {
        for command in [TaskCommand::Accept, TaskCommand::Dismiss] {
            given::<Task>([suggested()])
                .when_by(actor, command)
                .then_refused(TaskRule::NeedsPerson);
        }
    }
    given::<Task>([suggested()])
        .when(TaskCommand::Accept)
        .then([TaskEvent::Accepted {}]);
    given::<Task>([suggested()])
        .when(TaskCommand::Dismiss)
        .then([TaskEvent::Dismissed {}]);
}

#[test]
fn a_suggestion_is_decided_once() {
    given::<Task>([suggested(), TaskEvent::Accepted {}])
        .when(TaskCommand::Accept)
        .then_nothing();
    given::<Task>([suggested(), TaskEvent::Dismissed {}])
        .when(TaskCommand::Dismiss)
        .then_nothing();
    given::<Task>([suggested(), TaskEvent::Accepted {}])
        .when(TaskCommand::Dismiss)
        .then_refused(TaskRule::NotSuggested(Status::Open));
    given::<Task>([suggested(), TaskEvent::Dismissed {}])
        .when(TaskCommand::Accept)
        .then_refused(TaskRule::NotSuggested(Status::Dismissed));
}

#[test]
fn what_was_not_accepted_is_not_worked_on() {
    for command in [TaskCommand::Complete, TaskCommand::Reopen] {
        given::<Task>([suggested()])
            .when(command)
            .then_refused(TaskRule::NotAccepted(Status::Suggested));
    }
    let rank = "8".to_owned();
    for command in [
        TaskCommand::Complete,
        TaskCommand::Reopen,
        TaskCommand::Revise(Changes::default()),
        TaskCommand::Move { rank },
    ] {
        given::<Task>([suggested(), TaskEvent::Dismissed {}])
            .when(command)
            .then_refused(TaskRule::NotAccepted(Status::Dismissed));
    }
}

#[test]
fn every_field_at_fault_is_named() {
    let sent = Draft {
        title: " ".into(),
        due_on: NaiveDate::from_ymd_opt(10_000, 1, 1),
        labels: labels(&["", "fine"]),
        ..draft()
    };
    given::<Task>([])
        .when(TaskCommand::Create(sent.clone()))
        .then_invalid(&["/title", "/due_on", "/labels"]);
    given::<Task>([])
        .when(TaskCommand::Suggest(Draft {
            title: "two\nlines".into(),
            ..sent
        }))
        .then_invalid(&["/title", "/due_on", "/labels"]);
    given::<Task>([created()])
        .when(TaskCommand::Revise(Changes {
            title: Some("x".repeat(MAX_TITLE + 1)),
            assignee: None,
            due_on: Some(NaiveDate::from_ymd_opt(1969, 12, 31)),
            labels: Some((0..=MAX_LABELS).map(|n| n.to_string()).collect()),
        }))
        .then_invalid(&["/title", "/due_on", "/labels"]);
}

#[test]
fn a_revision_records_only_what_changes() {
    given::<Task>([created()])
        .when(TaskCommand::Revise(Changes {
            title: Some("Buy green tea".into()),
            assignee: Some(None),
            due_on: Some(None),
            labels: Some(labels(&["green"])),
        }))
        .then([
            TaskEvent::Retitled {
                title: "Buy green tea".into(),
            },
            TaskEvent::Assigned { assignee: None },
            TaskEvent::Scheduled { due_on: None },
            TaskEvent::Labelled {
                added: labels(&["green"]),
                removed: labels(&["shop"]),
            },
        ]);
    let same = Changes {
        title: Some("Buy tea".into()),
        assignee: Some(draft().assignee),
        due_on: Some(draft().due_on),
        labels: Some(labels(&["SHOP"])),
    };
    for changes in [same, Changes::default()] {
        given::<Task>([created()])
            .when(TaskCommand::Revise(changes))
            .then_nothing();
    }
}

#[test]
fn it_is_completed_and_reopened() {
    given::<Task>([created()])
        .when(TaskCommand::Complete)
        .then([TaskEvent::Completed {}]);
    given::<Task>([created(), TaskEvent::Completed {}])
        .when(TaskCommand::Reopen)
        .then([TaskEvent::Reopened {}]);
    given::<Task>([created(), TaskEvent::Completed {}])
        .when(TaskCommand::Complete)
        .then_nothing();
    given::<Task>([created()])
        .when(TaskCommand::Reopen)
        .then_nothing();
}

#[test]
fn moving_to_where_it_is_needs_no_event() {
    let there = draft().rank;
    given::<Task>([created()])
        .when(TaskCommand::Move { rank: there })
        .then_nothing();
    let rank = "8".to_owned();
    given::<Task>([created()])
        .when(TaskCommand::Move { rank: rank.clone() })
        .then([TaskEvent::Moved { rank }]);
}

#[test]
fn a_removed_one_is_not_found() {
    given::<Task>([created()])
        .when(TaskCommand::Delete)
        .then([TaskEvent::Removed {}]);
    for command in [
        TaskCommand::Delete,
        TaskCommand::Complete,
        TaskCommand::Accept,
    ] {
        given::<Task>([created(), TaskEvent::Removed {}])
            .when(command)
            .then_refused(TaskRefusal::NotFound);
    }
}

#[test]
fn a_removed_one_comes_back_as_it_was() {
    let done = [created(), TaskEvent::Completed {}, TaskEvent::Removed {}];
    let restored = TaskEvent::Restored {
        draft: draft(),
        status: Status::Done,
    };
    given::<Task>(done.clone())
        .when(TaskCommand::Restore)
        .then([restored.clone()]);
    given::<Task>(done.into_iter().chain([restored]))
        .when(TaskCommand::Reopen)
        .then([TaskEvent::Reopened {}]);
    given::<Task>([created()])
        .when(TaskCommand::Restore)
        .then_nothing();
    given::<Task>([])
        .when(TaskCommand::Restore)
        .then_refused(TaskRefusal::NotFound);
}

#[test]
fn it_follows_what_changes_in_its_line() {
    given::<Task>([created()])
        .when(follow(Some("Buy green tea"), Some(true)))
        .then([
            TaskEvent::Retitled {
                title: "Buy green tea".into(),
            },
            TaskEvent::Completed {},
        ]);
    given::<Task>([created(), TaskEvent::Completed {}])
        .when(follow(None, Some(false)))
        .then([TaskEvent::Reopened {}]);
}

#[test]
fn what_it_is_already_its_line_does_not_change() {
    given::<Task>([created(), TaskEvent::Completed {}])
        .when(follow(Some("Buy tea"), Some(true)))
        .then_nothing();
    given::<Task>([created(), TaskEvent::Removed {}])
        .when(follow(Some("Buy green tea"), Some(true)))
        .then_nothing();
}
