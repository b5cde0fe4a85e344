//! The event catalogue: the meaning, visibility and payload of each event.

use domain::{Audience, Contract, Sample, contracts};
use maud::{Markup, html};

use super::Page;
use super::guides::inline;
use super::layout::address;

pub fn page() -> Page {
    let body = html! {
        h1 { "Events" }
        p {
            "Every change is an event. They are read at " code { "GET /v1/events" } " and sent to "
            a href=(address("webhooks")) { "webhooks" }
            "; " code { "data" } " is what is shown here for each type. Types keep their meaning for good: a payload that must change gets "
            "another version, and older ones are upcast to it when they are read. A filter or a subscription takes a type, or a prefix "
            "that ends in " code { "*" } "."
        }
        ul.index {
            @for contract in contracts() {
                li { a href={ "#" (contract.category) } { (contract.category) } }
            }
        }
        @for contract in contracts() { (context(&contract)) }
    };
    Page {
        title: "Events".into(),
        body,
    }
}

fn context(contract: &Contract) -> Markup {
    html! {
        section id=(contract.category) {
            h2 { (contract.category) }
            p {
                "Seen with " code { "events:read" } " and "
                @match contract.audience {
                    Audience::Auditors => { code { "audit:read" } }
                    seen_by => { code { (contract.scope) ":read" } (readers(seen_by)) }
                }
                "."
            }
            @for ((event_type, version), meaning) in contract.types.iter().zip(contract.meanings) {
                h3 id=(event_type) { code { (event_type) } }
                p { (inline(meaning.trim())) " Version " (version) "." }
                @if let Some(sample) = Sample::of(event_type) {
                    pre { code { (sample.data.trim()) } }
                }
            }
        }
    }
}

const fn readers(audience: Audience) -> &'static str {
    match audience {
        Audience::Members => ", by the members of its workspace",
        Audience::MembersOrProduct => {
            ", by the members of its workspace, or by the whole product where it is in none"
        }
        Audience::Product => ", by the whole product",
        Audience::Actor => ", by the actor who caused it",
        Audience::Auditors => "",
    }
}
