//! Decisions on API keys, as sentences.

use super::*;
use crate::testing::{AGENT, PERSON, given, noon};

fn scopes(scopes: &[&str]) -> BTreeSet<String> {
    scopes.iter().map(ToString::to_string).collect()
}

fn holder_of(held: &[&str]) -> Issuer {
    Issuer {
        is_operator: false,
        vouched: false,
        scopes: scopes(held),
    }
}

fn operator(held: &[&str]) -> Issuer {
    Issuer {
        is_operator: true,
        ..holder_of(held)
    }
}

fn issue(name: &str, wanted: &[&str], held: &[&str]) -> ApiKeyCommand {
    ApiKeyCommand::Issue {
        name: name.into(),
        actor: AGENT,
        named: false,
        scopes: scopes(wanted),
        sha256: "aa".into(),
        issuer: holder_of(held),
    }
}

fn issue_named(wanted: Actor, by: Issuer) -> ApiKeyCommand {
    ApiKeyCommand::Issue {
        name: "scribe".into(),
        actor: wanted,
        named: true,
        scopes: scopes(&["notes:read"]),
        sha256: "aa".into(),
        issuer: by,
    }
}

fn revoke(held: &[&str]) -> ApiKeyCommand {
    ApiKeyCommand::Revoke {
        issuer: holder_of(held),
    }
}

fn issued() -> ApiKeyEvent {
    issued_by(PERSON)
}

fn issued_by(issuer: Actor) -> ApiKeyEvent {
    ApiKeyEvent::Issued {
        name: "scribe".into(),
        actor: AGENT,
        scopes: scopes(&["notes:read"]),
        sha256: "aa".into(),
        issued_by: Some(issuer.id),
        controlled_by: Some(issuer.id).filter(|id| *id != AGENT.id),
        vouched: false,
    }
}

/// Returns a key that was issued for a person.
fn issued_to_a_person(by: Uuid, vouched: bool) -> ApiKeyEvent {
    ApiKeyEvent::Issued {
        name: "bob".into(),
        actor: BOB,
        scopes: scopes(&["notes:read"]),
        sha256: "aa".into(),
        issued_by: Some(by),
        controlled_by: Some(by),
        vouched,
    }
}

const BOB: Actor = Actor {
    kind: ActorKind::Person,
    id: Uuid::from_u128(8),
};

fn enrol() -> ApiKeyCommand {
    ApiKeyCommand::Enrol {
        sha256: "cc".into(),
    }
}

fn enrolled() -> ApiKeyEvent {
    ApiKeyEvent::Enrolled {
        sha256: "cc".into(),
    }
}

#[track_caller]
fn controller(events: impl IntoIterator<Item = ApiKeyEvent>) -> Uuid {
    let key: ApiKey = crate::fold(events);
    key.grant().unwrap().controller
}

fn vouched() -> ApiKeyEvent {
    let mut event = issued();
    if let ApiKeyEvent::Issued {
        vouched,
        controlled_by,
        ..
    } = &mut event
    {
        *vouched = true;
        *controlled_by = Some(OPERATOR);
    }
    event
}

fn rotate(overlap: TimeDelta) -> ApiKeyCommand {
    ApiKeyCommand::Rotate {
        sha256: "bb".into(),
        overlap,
        issuer: holder_of(&["*"]),
    }
}

#[test]
fn it_is_issued_with_scopes_that_the_issuer_holds() {
    for held in [["notes:read"], ["*"]] {
        given::<ApiKey>([])
            .when(issue("scribe", &["notes:read"], &held))
            .then([issued()]);
    }
}

#[test]
fn nobody_gives_a_scope_that_they_do_not_hold() {
    for wanted in ["notes:write", "*"] {
        given::<ApiKey>([])
            .when(issue("scribe", &[wanted], &["notes:read"]))
            .then_refused(ApiKeyRule::ScopeNotHeld(wanted.into()));
    }
}

#[test]
fn rotating_a_key_gives_its_scopes_and_so_needs_them() {
    given::<ApiKey>([issued()])
        .when(ApiKeyCommand::Rotate {
            sha256: "bb".into(),
            overlap: TimeDelta::zero(),
            issuer: holder_of(&["api_keys:write"]),
        })
        .then_refused(ApiKeyRule::ScopeNotHeld("notes:read".into()));
}

#[test]
fn the_key_of_a_program_is_rotated_by_those_who_have_seen_it() {
    let stranger = Actor {
        id: Uuid::from_u128(9),
        ..PERSON
    };
    for (actor, controlled_by) in [(PERSON, Some(PERSON.id)), (AGENT, None)] {
        given::<ApiKey>([issued()])
            .when_by(actor, rotate(TimeDelta::zero()))
            .then([ApiKeyEvent::Rotated {
                sha256: "bb".into(),
                previous_valid_until: noon(),
                controlled_by,
            }]);
    }
    given::<ApiKey>([issued()])
        .when_by(stranger, rotate(TimeDelta::zero()))
        .then_refused(ApiKeyRule::NotYours);
}

#[test]
fn the_issuer_of_a_persons_key_never_sees_its_successor() {
    given::<ApiKey>([issued_to_a_person(PERSON.id, false)])
        .when_by(PERSON, rotate(TimeDelta::zero()))
        .then_refused(ApiKeyRule::NotYours);
}

#[test]
fn a_key_that_the_operator_issued_is_its_holders_own_once_it_is_enrolled() {
    let issued = || issued_to_a_person(OPERATOR, true);
    assert_eq!(controller([issued()]), OPERATOR);
    given::<ApiKey>([issued()])
        .when_controlled(BOB, OPERATOR, enrol())
        .then([enrolled()]);
    assert_eq!(controller([issued(), enrolled()]), BOB.id);
    given::<ApiKey>([issued(), enrolled()])
        .when_by(BOB, enrol())
        .then_refused(ApiKeyRule::Enrolled);
    given::<ApiKey>([issued(), ApiKeyEvent::Revoked {}])
        .when_by(BOB, enrol())
        .then_refused(ApiKeyRule::Revoked);
}

#[test]
fn a_person_whom_a_member_made_up_stays_in_that_members_hands() {
    let issued = || issued_to_a_person(PERSON.id, false);
    assert_eq!(controller([issued(), enrolled()]), PERSON.id);
    // A second key of theirs does not give them control either.
    given::<ApiKey>([])
        .when_controlled(BOB, PERSON.id, issue_named(BOB, holder_of(&["*"])))
        .then([ApiKeyEvent::Issued {
            name: "scribe".into(),
            actor: BOB,
            scopes: scopes(&["notes:read"]),
            sha256: "aa".into(),
            issued_by: Some(BOB.id),
            controlled_by: Some(PERSON.id),
            vouched: false,
        }]);
}

#[test]
fn a_key_that_the_operator_rotates_is_in_the_operators_hands_again() {
    let rotated = ApiKeyEvent::Rotated {
        sha256: "bb".into(),
        previous_valid_until: noon(),
        controlled_by: Some(OPERATOR),
    };
    let issued = issued_to_a_person(OPERATOR, true);
    assert_eq!(controller([issued, enrolled(), rotated]), OPERATOR);
}

#[test]
fn a_key_is_for_a_new_actor_or_for_oneself() {
    given::<ApiKey>([])
        .when_by(AGENT, issue_named(AGENT, holder_of(&["*"])))
        .then([issued_by(AGENT)]);
    let disguised = Actor {
        kind: crate::ActorKind::Person,
        ..AGENT
    };
    for other in [PERSON, disguised] {
        given::<ApiKey>([])
            .when_by(AGENT, issue_named(other, holder_of(&["*"])))
            .then_refused(ApiKeyRule::ActorNotYours);
    }
}

#[test]
fn the_operator_names_whom_they_want() {
    given::<ApiKey>([])
        .when(issue_named(AGENT, operator(&["*"])))
        .then([vouched()]);
}

#[test]
fn whoever_holds_the_scopes_or_the_key_or_operates_daybook_revokes_it() {
    let revoked = || [ApiKeyEvent::Revoked {}];
    given::<ApiKey>([issued()])
        .when(revoke(&["notes:read"]))
        .then(revoked());
    given::<ApiKey>([issued()])
        .when_by(AGENT, revoke(&["api_keys:write"]))
        .then(revoked());
    given::<ApiKey>([issued()])
        .when(ApiKeyCommand::Revoke {
            issuer: operator(&["api_keys:write"]),
        })
        .then(revoked());
    for history in [vec![issued()], vec![issued(), ApiKeyEvent::Revoked {}]] {
        given::<ApiKey>(history)
            .when(revoke(&["api_keys:write"]))
            .then_refused(ApiKeyRule::ScopeNotHeld("notes:read".into()));
    }
}

#[test]
fn every_field_at_fault_is_named() {
    given::<ApiKey>([])
        .when(issue("", &["notes:fly"], &["*"]))
        .then_invalid(&["/name", "/scopes"]);
    given::<ApiKey>([])
        .when(issue("a", &[], &["*"]))
        .then_invalid(&["/scopes"]);
}

#[test]
fn nobody_speaks_as_daybook_itself() {
    let mut command = issue("scribe", &["notes:read"], &["*"]);
    if let ApiKeyCommand::Issue { actor, .. } = &mut command {
        *actor = Actor::SYSTEM;
    }
    given::<ApiKey>([])
        .when(command)
        .then_invalid(&["/actor/id"]);
}

#[test]
fn an_id_is_used_once() {
    given::<ApiKey>([issued()])
        .when(issue("scribe", &["notes:read"], &["*"]))
        .then_refused(ApiKeyRefusal::Exists);
}

#[test]
fn a_rotated_key_works_a_little_longer() {
    given::<ApiKey>([issued()])
        .when(rotate(TimeDelta::hours(1)))
        .then([ApiKeyEvent::Rotated {
            sha256: "bb".into(),
            previous_valid_until: noon() + TimeDelta::hours(1),
            controlled_by: Some(PERSON.id),
        }]);
}

#[test]
fn the_overlap_is_bounded() {
    for overlap in [TimeDelta::days(31), TimeDelta::seconds(-1)] {
        given::<ApiKey>([issued()])
            .when(rotate(overlap))
            .then_invalid(&["/overlap_seconds"]);
    }
}

#[test]
fn it_is_revoked_once_and_for_good() {
    given::<ApiKey>([issued()])
        .when(revoke(&["*"]))
        .then([ApiKeyEvent::Revoked {}]);
    given::<ApiKey>([issued(), ApiKeyEvent::Revoked {}])
        .when(revoke(&["*"]))
        .then_nothing();
    given::<ApiKey>([issued(), ApiKeyEvent::Revoked {}])
        .when(rotate(TimeDelta::zero()))
        .then_refused(ApiKeyRule::Revoked);
}

#[test]
fn one_that_was_never_issued_is_not_found() {
    for command in [revoke(&["*"]), rotate(TimeDelta::zero()), enrol()] {
        given::<ApiKey>([])
            .when(command)
            .then_refused(ApiKeyRefusal::NotFound);
    }
}
