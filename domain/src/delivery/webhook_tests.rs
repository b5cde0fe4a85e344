//! Decisions on webhook endpoints, as sentences.

use super::*;
use crate::testing::{PERSON, given, noon};
use crate::{Actor, covers};

const OWNER: Owner = Owner {
    actor_id: PERSON.id,
    api_key_id: Uuid::from_u128(11),
};
/// The same actor with another key.
const AGAIN: Owner = Owner {
    actor_id: PERSON.id,
    api_key_id: Uuid::from_u128(12),
};
const ANOTHER: Owner = Owner {
    actor_id: Uuid::from_u128(3),
    api_key_id: Uuid::from_u128(13),
};

fn changes() -> Changes {
    Changes {
        by: OWNER,
        url: Some("https://example.com/hook".into()),
        events: Some(BTreeSet::from(["proposal.*".into()])),
        ..Changes::default()
    }
}

fn created() -> WebhookEvent {
    WebhookEvent::Created {
        owner: OWNER,
        url: "https://example.com/hook".into(),
        events: BTreeSet::from(["proposal.*".into()]),
        description: String::new(),
        headers: BTreeMap::new(),
        rate_limit: None,
    }
}

fn failing() -> WebhookEvent {
    WebhookEvent::EndpointFailing { since: noon() }
}

fn exhausted() -> WebhookEvent {
    WebhookEvent::DeliveryExhausted {
        delivery_id: Uuid::nil(),
    }
}

fn disabled(reason: DisableReason) -> WebhookEvent {
    WebhookEvent::EndpointDisabled { reason }
}

fn outcome(outcome: Outcome) -> WebhookCommand {
    WebhookCommand::NoteOutcome(outcome)
}

const fn enable(by: Owner) -> WebhookCommand {
    WebhookCommand::Enable { by }
}

const EXHAUSTED: Outcome = Outcome::Exhausted {
    delivery_id: Uuid::nil(),
};

#[test]
fn an_id_is_used_once() {
    for events in [vec![created()], vec![created(), WebhookEvent::Deleted {}]] {
        given::<Webhook>(events)
            .when(WebhookCommand::Create(changes()))
            .then_refused(WebhookRefusal::Exists);
    }
}

#[test]
fn it_is_created_enabled() {
    given::<Webhook>([])
        .when(WebhookCommand::Create(changes()))
        .then([created()]);
}

#[test]
fn every_field_at_fault_is_named() {
    given::<Webhook>([])
        .when(WebhookCommand::Create(Changes {
            by: OWNER,
            url: Some("https://exa mple".into()),
            events: Some(BTreeSet::from(["Note Created".into()])),
            description: Some("x".repeat(1001)),
            headers: Some(BTreeMap::from([("webhook-id".into(), "1".into())])),
            rate_limit: Some(10_001),
        }))
        .then_invalid(&[
            "/url",
            "/events",
            "/description",
            "/headers/webhook-id",
            "/rate_limit",
        ]);
}

#[test]
fn an_update_records_only_what_changes() {
    given::<Webhook>([created()])
        .when(WebhookCommand::Update(Changes {
            description: Some("to the chat".into()),
            ..changes()
        }))
        .then([WebhookEvent::Updated {
            url: None,
            events: None,
            description: Some("to the chat".into()),
            headers: None,
            rate_limit: None,
        }]);
    given::<Webhook>([created()])
        .when(WebhookCommand::Update(changes()))
        .then_nothing();
}

/// Returns an endpoint with a password in its headers.
fn with_a_password() -> WebhookEvent {
    let mut event = created();
    if let WebhookEvent::Created { headers, .. } = &mut event {
        headers.insert("authorization".into(), "sealed".into());
    }
    event
}

fn to(url: &str) -> Changes {
    Changes {
        by: OWNER,
        url: Some(url.into()),
        ..Changes::default()
    }
}

fn moved(url: &str, headers: Option<BTreeMap<String, String>>) -> WebhookEvent {
    WebhookEvent::Updated {
        url: Some(url.into()),
        events: None,
        description: None,
        headers,
        rate_limit: None,
    }
}

/// Returns a rotation after which the old secret signs nothing.
fn rotated() -> WebhookEvent {
    WebhookEvent::SecretRotated {
        previous_valid_until: noon(),
    }
}

#[test]
fn an_address_of_another_origin_gets_neither_the_headers_nor_the_secret() {
    for url in [
        "https://evil.example/hook",
        "http://example.com/hook",
        "https://example.com:8443/hook",
        "https://example.com.evil.example/hook",
    ] {
        given::<Webhook>([with_a_password()])
            .when(WebhookCommand::Update(to(url)))
            .then([moved(url, Some(BTreeMap::new())), rotated()]);
    }
    let anew = BTreeMap::from([("x-key".to_owned(), "sealed".to_owned())]);
    let changes = Changes {
        headers: Some(anew.clone()),
        ..to("https://evil.example/hook")
    };
    given::<Webhook>([with_a_password()])
        .when(WebhookCommand::Update(changes))
        .then([moved("https://evil.example/hook", Some(anew)), rotated()]);
}

#[test]
fn another_path_of_the_same_origin_changes_nothing_else() {
    for url in ["https://example.com/other", "https://EXAMPLE.com:443/hook"] {
        given::<Webhook>([with_a_password()])
            .when(WebhookCommand::Update(to(url)))
            .then([moved(url, None)]);
    }
}

#[test]
fn a_rotated_secret_signs_a_little_longer() {
    given::<Webhook>([created()])
        .when(WebhookCommand::RotateSecret {
            overlap: SECRET_OVERLAP,
        })
        .then([WebhookEvent::SecretRotated {
            previous_valid_until: noon() + SECRET_OVERLAP,
        }]);
    given::<Webhook>([created()])
        .when(WebhookCommand::RotateSecret {
            overlap: TimeDelta::days(31),
        })
        .then_invalid(&["/overlap_seconds"]);
}

#[test]
fn only_its_owner_rotates_the_secret() {
    let another = Actor {
        id: ANOTHER.actor_id,
        ..PERSON
    };
    let rotate = || WebhookCommand::RotateSecret {
        overlap: SECRET_OVERLAP,
    };
    given::<Webhook>([created()])
        .when_by(another, rotate())
        .then_refused(WebhookRule::NotOwner);
    given::<Webhook>([created(), taken_over(ANOTHER)])
        .when(rotate())
        .then_refused(WebhookRule::NotOwner);
    assert!(
        given::<Webhook>([created(), taken_over(ANOTHER)])
            .when_by(another, rotate())
            .is_accepted()
    );
}

#[test]
fn the_first_failure_and_the_first_success_after_it_are_events() {
    given::<Webhook>([created()])
        .when(outcome(Outcome::Failed))
        .then([failing()]);
    given::<Webhook>([created(), failing()])
        .when(outcome(Outcome::Failed))
        .then_nothing();
    given::<Webhook>([created(), failing()])
        .when(outcome(Outcome::Succeeded))
        .then([WebhookEvent::EndpointRecovered {}]);
    given::<Webhook>([created()])
        .when(outcome(Outcome::Succeeded))
        .then_nothing();
}

#[test]
fn five_days_of_nothing_but_failure_disable_it() {
    let after = |delta: TimeDelta| {
        given::<Webhook>([created(), failing()]).when_at(
            noon() + delta,
            PERSON,
            outcome(Outcome::Failed),
        )
    };
    after(MAX_FAILING - TimeDelta::seconds(1)).then_nothing();
    after(MAX_FAILING).then([disabled(DisableReason::Failing)]);
}

#[test]
fn ten_exhausted_deliveries_in_a_row_disable_it() {
    let with = |lost: usize| {
        let mut events = vec![created(), failing()];
        events.extend(std::iter::repeat_n(exhausted(), lost));
        given::<Webhook>(events).when(outcome(EXHAUSTED))
    };
    with(8).then([exhausted()]);
    with(9).then([exhausted(), disabled(DisableReason::Exhausted)]);
}

#[test]
fn a_success_ends_the_row() {
    let mut events = vec![created(), failing()];
    events.extend(std::iter::repeat_n(exhausted(), 9));
    events.extend([WebhookEvent::EndpointRecovered {}, failing()]);
    given::<Webhook>(events)
        .when(outcome(EXHAUSTED))
        .then([exhausted()]);
}

#[test]
fn gone_disables_it_at_once() {
    given::<Webhook>([created()])
        .when(outcome(Outcome::Gone))
        .then([failing(), disabled(DisableReason::Gone)]);
}

#[test]
fn it_is_disabled_and_enabled_once() {
    let off = disabled(DisableReason::Requested);
    given::<Webhook>([created()])
        .when(WebhookCommand::Disable)
        .then([off.clone()]);
    given::<Webhook>([created(), off.clone()])
        .when(WebhookCommand::Disable)
        .then_nothing();
    given::<Webhook>([created(), off])
        .when(enable(OWNER))
        .then([WebhookEvent::EndpointEnabled {}]);
    given::<Webhook>([created()])
        .when(enable(OWNER))
        .then_nothing();
}

#[test]
fn nothing_is_sent_to_a_disabled_one() {
    for command in [
        WebhookCommand::SendExample {
            event_type: Some("note.created".into()),
        },
        WebhookCommand::Replay {
            from_position: 0,
            to_position: 9,
        },
    ] {
        given::<Webhook>([created(), disabled(DisableReason::Gone)])
            .when(command)
            .then_refused(WebhookRule::Disabled);
    }
}

#[test]
fn a_deleted_one_is_not_found_but_its_last_attempt_may_still_end() {
    given::<Webhook>([created(), WebhookEvent::Deleted {}])
        .when(enable(OWNER))
        .then_refused(WebhookRefusal::NotFound);
    given::<Webhook>([created(), WebhookEvent::Deleted {}])
        .when(outcome(Outcome::Failed))
        .then_nothing();
}

#[test]
fn a_pattern_covers_types_that_start_like_it() {
    assert!(covers("*", "note.created"));
    assert!(covers("note.*", "note.created"));
    assert!(covers("note.created", "note.created"));
    assert!(!covers("note.*", "notebook.created"));
    assert!(!covers("note.created", "note.created_again"));
}

#[test]
fn an_example_is_of_a_type_that_there_is_or_of_the_first_subscribed_to() {
    let example = |event_type: Option<&str>| WebhookCommand::SendExample {
        event_type: event_type.map(Into::into),
    };
    let requested = |event_type: &str| WebhookEvent::ExampleRequested {
        event_type: event_type.into(),
    };
    given::<Webhook>([created()])
        .when(example(Some("note.created")))
        .then([requested("note.created")]);
    given::<Webhook>([created()])
        .when(example(None))
        .then([requested("proposal.submitted")]);
    given::<Webhook>([created()])
        .when(example(Some("note.craeted")))
        .then_invalid(&["/event_type"]);
}

#[test]
fn a_pattern_covers_an_event_that_there_is() {
    for pattern in [
        "note.craeted",
        "payments.*",
        "*.created",
        "note created",
        "",
        "Note.*",
    ] {
        given::<Webhook>([])
            .when(WebhookCommand::Create(Changes {
                url: Some("https://example.com".into()),
                events: Some(BTreeSet::from([pattern.into()])),
                ..Changes::default()
            }))
            .then_invalid(&["/events"]);
    }
}

fn taken_over(owner: Owner) -> WebhookEvent {
    WebhookEvent::TakenOver { owner }
}

fn disown(api_key_id: Uuid) -> WebhookCommand {
    WebhookCommand::Disown { api_key_id }
}

#[test]
fn whoever_gives_it_an_address_owns_it() {
    let by_another = |url: Option<&str>| {
        WebhookCommand::Update(Changes {
            by: ANOTHER,
            url: url.map(Into::into),
            description: Some("to the chat".into()),
            ..Changes::default()
        })
    };
    let described = WebhookEvent::Updated {
        url: None,
        events: None,
        description: Some("to the chat".into()),
        headers: None,
        rate_limit: None,
    };
    // An actor who changes other settings does not confirm the address.
    given::<Webhook>([created()])
        .when(by_another(None))
        .then([described.clone()]);
    given::<Webhook>([created()])
        .when(by_another(Some("https://example.com/hook")))
        .then([described, rotated(), taken_over(ANOTHER)]);
}

#[test]
fn whoever_takes_it_over_gets_neither_the_headers_nor_the_secret() {
    for url in ["https://example.com/hook", "https://example.com/another"] {
        let changes = Changes {
            by: ANOTHER,
            ..to(url)
        };
        let dropped = WebhookEvent::Updated {
            url: Some(url.to_owned()).filter(|url| url != "https://example.com/hook"),
            events: None,
            description: None,
            headers: Some(BTreeMap::new()),
            rate_limit: None,
        };
        given::<Webhook>([with_a_password()])
            .when(WebhookCommand::Update(changes))
            .then([dropped, rotated(), taken_over(ANOTHER)]);
    }
}

#[test]
fn it_is_disabled_once_the_key_that_it_belongs_to_is_revoked() {
    let revoked = disabled(DisableReason::KeyRevoked);
    for reason in [None, Some(DisableReason::Requested)] {
        let before = [created()].into_iter().chain(reason.map(disabled));
        given::<Webhook>(before)
            .when(disown(OWNER.api_key_id))
            .then([revoked.clone()]);
    }
    given::<Webhook>([created(), revoked.clone()])
        .when(disown(OWNER.api_key_id))
        .then_nothing();
    given::<Webhook>([created(), taken_over(ANOTHER)])
        .when(disown(OWNER.api_key_id))
        .then_nothing();
    given::<Webhook>([created(), WebhookEvent::Deleted {}])
        .when(disown(OWNER.api_key_id))
        .then_nothing();
}

#[test]
fn after_that_its_actor_enables_it_with_another_key_and_others_take_it_over_first() {
    let revoked = disabled(DisableReason::KeyRevoked);
    given::<Webhook>([created(), revoked.clone()])
        .when(enable(AGAIN))
        .then([taken_over(AGAIN), WebhookEvent::EndpointEnabled {}]);
    given::<Webhook>([created(), revoked.clone()])
        .when(enable(ANOTHER))
        .then_refused(WebhookRule::OwnerGone);
    given::<Webhook>([created(), revoked, taken_over(ANOTHER)])
        .when(enable(ANOTHER))
        .then([WebhookEvent::EndpointEnabled {}]);
    // Disabled for another reason, the endpoint keeps its owner.
    given::<Webhook>([created(), disabled(DisableReason::Gone)])
        .when(enable(ANOTHER))
        .then([WebhookEvent::EndpointEnabled {}]);
}

#[test]
fn one_replay_is_under_way_at_a_time() {
    let replay = || WebhookCommand::Replay {
        from_position: 0,
        to_position: 9,
    };
    let requested = WebhookEvent::ReplayRequested {
        from_position: 0,
        to_position: 9,
    };
    let finished = WebhookEvent::ReplayFinished {};
    given::<Webhook>([created(), requested.clone()])
        .when(replay())
        .then_refused(WebhookRule::ReplayUnderWay);
    given::<Webhook>([created(), requested.clone()])
        .when(WebhookCommand::FinishReplay)
        .then([finished.clone()]);
    given::<Webhook>([created(), requested.clone(), finished])
        .when(replay())
        .then([requested]);
    given::<Webhook>([created()])
        .when(WebhookCommand::FinishReplay)
        .then_nothing();
}
