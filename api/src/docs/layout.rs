//! The frame of all pages, and the navigation between them.

use maud::{DOCTYPE, Markup, html};

use super::{PATH, Page, guides, reference};

/// Renders a page in its frame.
pub fn frame(name: &str, page: Page) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (page.title) " · Daybook" }
                link rel="stylesheet" href="/docs/style.css";
            }
            body {
                nav aria-label="Documentation" { (contents(name)) }
                main { (page.body) }
            }
        }
    }
}

/// Renders the navigation; the current page is marked.
fn contents(shown: &str) -> Markup {
    let entry = |name: &str, title: &str| {
        let here = (name == shown).then_some("page");
        let href = address(name);
        html! { li { a href=(href) aria-current=[here] { (title) } } }
    };
    html! {
        a.brand href=(PATH) { "Daybook" }
        @for (group, guides) in guides::GROUPS {
            h2 { (group) }
            ul { @for name in guides { (entry(name, &guides::title(name))) } }
        }
        h2 { "Reference" }
        ul {
            @for tag in reference::tags() { (entry(&reference::name(tag), tag)) }
            (entry("schemas", "All types"))
            (entry("events", "Events"))
        }
    }
}

/// Returns the path of a page.
pub fn address(name: &str) -> String {
    match name {
        "" => PATH.to_owned(),
        name => format!("{PATH}/{name}"),
    }
}

/// Returns the first page.
pub fn home() -> Page {
    let body = html! {
        h1 { "Daybook" }
        p {
            "The event-sourced backend that AI-native products build on: agents propose, people approve, customers subscribe and "
            "webhooks go out, and each of these is an event in one log."
        }
        p {
            "Every change is a command over HTTP; every answer says for which position of the log it holds. Begin with "
            a href=(address("http-api")) { "what holds for the whole API" }
            ", look up an operation by its resource, and match errors on "
            a href=(address("errors")) { "their codes" }
            ". Generators of clients take "
            a href=(crate::openapi::PATH) { (crate::openapi::PATH) }
            "."
        }
        h2 { "A first request" }
        pre { code {
            "KEY=…            # data/operator.key of the server, or a key that it has issued\n"
            "BASE=…           # where the server listens, such as http://127.0.0.1:8080\n"
            "curl -H \"Authorization: Bearer $KEY\" $BASE/v1/me"
        } }
        h2 { "Operations" }
        @for tag in reference::tags() {
            h3 { a href=(address(&reference::name(tag))) { (tag) } }
            (reference::overview(tag))
        }
    };
    Page {
        title: "Documentation".into(),
        body,
    }
}
