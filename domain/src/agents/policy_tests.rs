//! Decisions on policies, as sentences.

use super::*;
use crate::agents::action::Action;
use crate::testing::{AGENT, PERSON, given, noon};

fn rules() -> Rules {
    Rules {
        quorum: 2,
        ..Rules::default()
    }
}

fn set(rules: Rules) -> PolicyEvent {
    PolicyEvent::Set {
        rules,
        set_by: PERSON,
    }
}

fn policy(rules: Rules) -> Policy {
    crate::fold([set(rules)])
}

fn automatic(name: &str) -> Automatic {
    Automatic {
        name: name.into(),
        proposers: None,
        actions: Action::TYPES.map(str::to_owned).into(),
        max_actions: None,
        max_characters: None,
    }
}

fn forbidden(name: &str) -> Forbidden {
    Forbidden {
        name: name.into(),
        proposers: None,
        actions: None,
        above_actions: None,
        above_characters: None,
    }
}

fn tag() -> Action {
    Action::TagNote {
        note_id: Uuid::nil(),
        add: BTreeSet::from(["a".into()]),
        remove: BTreeSet::new(),
    }
}

fn archive() -> Action {
    Action::ArchiveNote {
        note_id: Uuid::nil(),
        base_version: None,
    }
}

const fn by_agent(actions: &[Action], characters: usize) -> Change<'_> {
    Change {
        proposer_id: AGENT.id,
        actions,
        characters,
    }
}

fn types(names: &[&str]) -> Option<BTreeSet<String>> {
    Some(names.iter().map(ToString::to_string).collect())
}

#[test]
fn a_person_sets_it_and_stands_behind_it() {
    given::<Policy>([])
        .when(PolicyCommand::Set(rules()))
        .then([set(rules())]);
    given::<Policy>([set(rules())])
        .when(PolicyCommand::Set(rules()))
        .then_nothing();
    let other = Actor {
        id: Uuid::from_u128(9),
        ..PERSON
    };
    given::<Policy>([set(rules())])
        .when_by(other, PolicyCommand::Set(rules()))
        .then([PolicyEvent::Set {
            rules: rules(),
            set_by: other,
        }]);
}

#[test]
fn programs_set_none() {
    for kind in [ActorKind::Agent, ActorKind::Service] {
        let program = Actor { kind, ..AGENT };
        given::<Policy>([])
            .when_by(program, PolicyCommand::Set(rules()))
            .then_refused(PolicyRule::NeedsPerson);
    }
}

#[test]
fn every_field_at_fault_is_named() {
    let nobody = Approvers {
        roles: BTreeSet::new(),
        actors: BTreeSet::new(),
    };
    let rules = Rules {
        quorum: 0,
        approvers: Some(nobody),
        expires_after: Some(Expiry {
            default_seconds: Some(2),
            max_seconds: Some(1),
        }),
        automatic: vec![
            Automatic {
                actions: types(&["note.burn"]).unwrap(),
                max_actions: Some(0),
                ..automatic("")
            },
            automatic("a"),
            automatic("a"),
        ],
        forbidden: vec![Forbidden {
            above_characters: Some(0),
            ..forbidden("f")
        }],
        merge: Merging::Refused,
    };
    given::<Policy>([])
        .when(PolicyCommand::Set(rules))
        .then_invalid(&[
            "/quorum",
            "/approvers",
            "/expires_after/default_seconds",
            "/automatic/0/name",
            "/automatic/0/actions",
            "/automatic/0/max_actions",
            "/automatic/2/name",
            "/forbidden/0/above_characters",
        ]);
}

#[test]
fn who_is_no_writer_approves_nothing_whoever_is_named() {
    let named = Approvers {
        roles: BTreeSet::from([Role::Owner]),
        actors: BTreeSet::from([AGENT.id]),
    };
    let strict = policy(Rules {
        approvers: Some(named),
        ..Rules::default()
    });
    let somebody = Uuid::from_u128(9);
    for (role, expected) in [
        (Some(Role::Owner), [true, true]),
        (Some(Role::Editor), [true, false]),
        (Some(Role::Viewer), [false, false]),
        (Some(Role::Agent), [false, false]),
        (None, [false, false]),
    ] {
        let found = [AGENT.id, somebody].map(|id| strict.is_approver(id, role));
        assert_eq!(found, expected, "{role:?}");
    }
    assert!(Policy::default().is_approver(somebody, Some(Role::Editor)));
}

#[test]
fn a_proposal_waits_as_long_as_it_asks_within_what_is_allowed() {
    let hour = |hours| noon() + TimeDelta::hours(hours);
    let open = Policy::default();
    assert_eq!(open.expiry(None, noon()), Ok(None));
    assert_eq!(open.expiry(Some(hour(9)), noon()), Ok(Some(hour(9))));
    let bounded = |default_seconds, max_seconds| {
        policy(Rules {
            expires_after: Some(Expiry {
                default_seconds,
                max_seconds,
            }),
            ..Rules::default()
        })
    };
    let both = bounded(Some(3_600), Some(7_200));
    assert_eq!(both.expiry(None, noon()), Ok(Some(hour(1))));
    assert_eq!(both.expiry(Some(hour(2)), noon()), Ok(Some(hour(2))));
    assert_eq!(
        both.expiry(Some(hour(3)), noon()),
        Err(PolicyRule::ExpiryTooLate(7_200).into())
    );
    assert_eq!(
        bounded(None, Some(3_600)).expiry(None, noon()),
        Ok(Some(hour(1)))
    );
    assert_eq!(
        bounded(Some(3_600), None).expiry(Some(hour(9)), noon()),
        Ok(Some(hour(9)))
    );
}

#[test]
fn a_rule_approves_what_it_covers_whole() {
    let small = policy(Rules {
        automatic: vec![Automatic {
            proposers: Some(BTreeSet::from([AGENT.id])),
            actions: types(&["note.tag"]).unwrap(),
            max_actions: Some(2),
            max_characters: Some(10),
            ..automatic("tags")
        }],
        ..Rules::default()
    });
    let rule = |change| {
        small
            .approves(&change)
            .map(|(rule, by)| (rule.name.as_str(), by))
    };
    let tags = vec![tag(); 3];
    let mixed = [tag(), archive()];
    assert_eq!(rule(by_agent(&tags[..2], 10)), Some(("tags", PERSON)));
    assert_eq!(rule(by_agent(&tags, 10)), None);
    assert_eq!(rule(by_agent(&tags[..2], 11)), None);
    assert_eq!(rule(by_agent(&mixed, 1)), None);
    let tagged = [tag()];
    let other = Change {
        proposer_id: PERSON.id,
        ..by_agent(&tagged, 1)
    };
    assert_eq!(rule(other), None);
    assert!(small.measures());
}

#[test]
fn what_nobody_or_no_person_has_set_approves_nothing() {
    let rules = Rules {
        automatic: vec![automatic("all")],
        ..Rules::default()
    };
    let tags = [tag()];
    let change = by_agent(&tags, 0);
    assert!(policy(rules.clone()).approves(&change).is_some());
    for set_by in [None, Some(AGENT)] {
        let rules = rules.clone();
        assert!(Policy { rules, set_by }.approves(&change).is_none());
    }
}

#[test]
fn a_rule_forbids_what_it_covers_in_part() {
    let strict = policy(Rules {
        forbidden: vec![
            Forbidden {
                actions: types(&["note.archive"]),
                ..forbidden("no archiving")
            },
            Forbidden {
                above_actions: Some(2),
                ..forbidden("few")
            },
            Forbidden {
                above_characters: Some(100),
                ..forbidden("small")
            },
        ],
        ..Rules::default()
    });
    let rule = |change| strict.forbids(&change).map(|rule| rule.name.as_str());
    let tags = vec![tag(); 3];
    let mixed = [tag(), archive()];
    assert_eq!(rule(by_agent(&tags[..2], 100)), None);
    assert_eq!(rule(by_agent(&mixed, 1)), Some("no archiving"));
    assert_eq!(rule(by_agent(&tags, 1)), Some("few"));
    assert_eq!(rule(by_agent(&tags[..1], 101)), Some("small"));
    assert!(strict.measures() && !Policy::default().measures());
}
