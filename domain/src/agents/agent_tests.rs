//! Decisions on agents, as sentences.

use chrono::TimeDelta;

use super::*;
use crate::testing::{AGENT, PERSON, given, noon};

fn registration(daily_proposals: Option<u32>) -> Registration {
    Registration {
        name: "Librarian".into(),
        model: None,
        owner_id: PERSON.id,
        api_key_id: Uuid::from_u128(7),
        daily_proposals,
    }
}

fn registered(daily_proposals: Option<u32>) -> AgentEvent {
    AgentEvent::Registered {
        registration: registration(daily_proposals),
    }
}

fn suspended() -> AgentEvent {
    AgentEvent::Suspended {
        reason: "it runs wild".into(),
    }
}

fn suspend() -> AgentCommand {
    AgentCommand::Suspend {
        reason: "it runs wild".into(),
    }
}

const fn propose(number: u128) -> AgentCommand {
    AgentCommand::Propose {
        proposal_id: Uuid::from_u128(number),
    }
}

fn proposed(number: u128) -> AgentEvent {
    AgentEvent::Proposed {
        proposal_id: Uuid::from_u128(number),
        day: noon().date_naive(),
    }
}

#[test]
fn it_is_registered_once() {
    let register = || AgentCommand::Register(registration(Some(3)));
    given::<Agent>([])
        .when(register())
        .then([registered(Some(3))]);
    given::<Agent>([registered(None)])
        .when(register())
        .then_refused(AgentRefusal::Exists);
}

#[test]
fn a_registration_names_everything_that_is_wrong_with_it() {
    let bad = Registration {
        name: String::new(),
        model: Some("m".repeat(201)),
        daily_proposals: Some(0),
        ..registration(None)
    };
    given::<Agent>([])
        .when(AgentCommand::Register(bad))
        .then_invalid(&["/name", "/model", "/daily_proposals"]);
}

#[test]
fn agents_do_not_manage_agents() {
    for command in [
        AgentCommand::Register(registration(None)),
        suspend(),
        AgentCommand::Resume,
        AgentCommand::Revise(Changes::default()),
    ] {
        assert!(!Agent::agents_may(&command), "{}", command.as_ref());
    }
}

#[test]
fn only_what_differs_is_revised() {
    let revise = |name: &str, daily_proposals| {
        AgentCommand::Revise(Changes {
            name: Some(name.into()),
            model: None,
            daily_proposals,
        })
    };
    given::<Agent>([registered(Some(3))])
        .when(revise("Librarian", Some(3)))
        .then_nothing();
    let revised = AgentEvent::Revised {
        name: None,
        model: None,
        daily_proposals: Some(0),
    };
    given::<Agent>([registered(Some(3))])
        .when(revise("Librarian", Some(0)))
        .then([revised.clone()]);
    given::<Agent>([registered(Some(1)), proposed(1), revised])
        .when_by(AGENT, propose(2))
        .then([proposed(2)]);
    given::<Agent>([registered(None)])
        .when(revise("", Some(100_001)))
        .then_invalid(&["/name", "/daily_proposals"]);
}

#[test]
fn it_is_suspended_and_resumed_as_often_as_one_likes() {
    given::<Agent>([registered(None)])
        .when(suspend())
        .then([suspended()]);
    given::<Agent>([registered(None), suspended()])
        .when(suspend())
        .then_nothing();
    given::<Agent>([registered(None), suspended()])
        .when(AgentCommand::Resume)
        .then([AgentEvent::Resumed {}]);
    given::<Agent>([registered(None)])
        .when(AgentCommand::Resume)
        .then_nothing();
    let wordless = AgentCommand::Suspend {
        reason: String::new(),
    };
    given::<Agent>([registered(None)])
        .when(wordless)
        .then_invalid(&["/reason"]);
}

#[test]
fn a_suspended_agent_proposes_nothing() {
    given::<Agent>([registered(None), suspended()])
        .when_by(AGENT, propose(1))
        .then_refused(AgentRule::Suspended);
    given::<Agent>([registered(None), suspended(), AgentEvent::Resumed {}])
        .when_by(AGENT, propose(1))
        .then([proposed(1)]);
}

#[test]
fn it_proposes_as_much_a_day_as_its_budget_allows() {
    let history = || [registered(Some(2)), proposed(1), proposed(2)];
    given::<Agent>(history())
        .when_by(AGENT, propose(3))
        .then_refused(AgentRule::BudgetSpent(2));
    let tomorrow = noon() + TimeDelta::hours(12);
    let day = tomorrow.date_naive();
    given::<Agent>(history())
        .when_at(tomorrow, AGENT, propose(3))
        .then([AgentEvent::Proposed {
            proposal_id: Uuid::from_u128(3),
            day,
        }]);
}

#[test]
fn what_was_never_registered_is_not_there() {
    for command in [suspend(), AgentCommand::Resume, propose(1)] {
        given::<Agent>([])
            .when(command)
            .then_refused(AgentRefusal::NotFound);
    }
}
