//! The reference: every operation of the API by resource, with a sample request and answer.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::http::StatusCode;
use maud::{Markup, html};
use serde_json::Value;

use super::Page;
use super::guides::inline;
use super::layout::address;
use super::schemas::{described, example, kind, meaning};
use crate::openapi;

/// Parameters of all commands and queries; a guide describes them.
const SHARED: [&str; 7] = [
    "Idempotency-Key",
    "If-Match",
    "Daybook-Causation-Id",
    "Daybook-Correlation-Id",
    "Daybook-Min-Position",
    "traceparent",
    "dry_run",
];
const JSON: &str = "application/json";
const FORM: &str = "multipart/form-data";

struct Operation {
    id: &'static str,
    method: String,
    path: String,
    spec: &'static Value,
}

/// Returns operations by tag.
fn by_tag() -> &'static BTreeMap<&'static str, Vec<Operation>> {
    static OPERATIONS: OnceLock<BTreeMap<&str, Vec<Operation>>> = OnceLock::new();
    OPERATIONS.get_or_init(|| {
        let mut by_tag: BTreeMap<&str, Vec<Operation>> = BTreeMap::new();
        for ((method, path), spec) in openapi::operations_of(openapi::published()) {
            let operation = Operation {
                id: spec["operationId"].as_str().unwrap_or_default(),
                method: method.to_uppercase(),
                path,
                spec,
            };
            let tag = spec["tags"][0].as_str().unwrap_or("other");
            by_tag.entry(tag).or_default().push(operation);
        }
        by_tag
    })
}

pub fn tags() -> impl Iterator<Item = &'static str> {
    by_tag().keys().copied()
}

/// Returns the name of a tag's page.
pub fn name(tag: &str) -> String {
    format!("reference/{tag}")
}

pub fn pages() -> impl Iterator<Item = (String, Page)> {
    by_tag().iter().map(|(tag, operations)| {
        let body = html! {
            h1 { (tag) }
            (overview(tag))
            p {
                "Every command also takes " code { "Idempotency-Key" } ", " code { "If-Match" } " and " code { "dry_run" } ", every query "
                code { "Daybook-Min-Position" } ": see " a href=(address("api/requests")) { "requests" } "."
            }
            @for operation in operations { (operation.shown()) }
        };
        let page = Page {
            title: (*tag).to_owned(),
            body,
        };
        (name(tag), page)
    })
}

/// Lists the operations of a tag, one per line.
pub fn overview(tag: &str) -> Markup {
    let operations = by_tag().get(tag).into_iter().flatten();
    html! {
        ul.operations {
            @for operation in operations {
                li {
                    a href={ (address(&name(tag))) "#" (operation.id) } { (operation.heading()) }
                    " " (operation.summary())
                }
            }
        }
    }
}

impl Operation {
    fn heading(&self) -> Markup {
        html! { span.method { (self.method) } " " code { (self.path) } }
    }

    fn summary(&self) -> Markup {
        inline(self.spec["summary"].as_str().unwrap_or_default())
    }

    fn shown(&self) -> Markup {
        let description = self.spec["description"].as_str().unwrap_or_default();
        html! {
            section id=(self.id) {
                h2 { (self.heading()) }
                p { (self.summary()) }
                @if !description.is_empty() { p { (inline(description)) } }
                p { (self.needs()) }
                (self.parameters())
                (self.body())
                (self.request())
                (self.answers())
            }
        }
    }

    fn needs(&self) -> Markup {
        let scopes = self.spec["security"][0]["api_key"].as_array();
        let scope = scopes.and_then(|scopes| scopes.first());
        html! {
            @match (scopes, scope.and_then(Value::as_str)) {
                (None, _) => "Takes no key.",
                (Some(_), None) => "Takes a key with any scopes.",
                (Some(_), Some(scope)) => { "Takes the scope " code { (scope) } "." }
            }
        }
    }

    /// Renders the operation's own parameters.
    fn parameters(&self) -> Markup {
        let all = self.spec["parameters"].as_array().into_iter().flatten();
        let own: Vec<&Value> = all
            .filter(|parameter| !SHARED.iter().any(|shared| parameter["name"] == *shared))
            .collect();
        html! {
            @if !own.is_empty() {
                table {
                    thead { tr { th { "Parameter" } th { "Type" } th { "Means" } } }
                    tbody {
                        @for parameter in own {
                            tr {
                                td {
                                    code { (parameter["name"].as_str().unwrap_or_default()) }
                                    " " small { "in " (parameter["in"].as_str().unwrap_or_default()) }
                                }
                                td { (kind(&parameter["schema"])) }
                                td { (meaning(parameter)) }
                            }
                        }
                    }
                }
            }
        }
    }

    /// Returns the media type and the schema of the request body.
    fn content(&self) -> Option<(&'static str, &'static Value)> {
        let content = self.spec["requestBody"]["content"].as_object()?;
        let (media_type, content) = content.iter().next()?;
        Some((media_type, &content["schema"]))
    }

    fn body(&self) -> Markup {
        html! {
            @if let Some((media_type, schema)) = self.content() {
                h3 { "Body" }
                p { code { (media_type) } ": " (kind(schema)) }
                @if schema.get("$ref").is_some() { (described(super::schemas::resolved(schema))) }
            }
        }
    }

    /// Renders the request as a shell command.
    fn request(&self) -> Markup {
        let mut lines = vec![format!(
            "curl -X {} \"$BASE{}\"",
            self.method,
            in_shell(&self.path)
        )];
        if self.spec["security"][0]["api_key"].is_array() {
            lines.push("-H \"Authorization: Bearer $KEY\"".into());
        }
        match self.content() {
            Some((JSON, schema)) => {
                let body = example(schema, true).to_string().replace('\'', "'\\''");
                lines.push(format!("-H 'Content-Type: {JSON}'"));
                lines.push(format!("-d '{body}'"));
            }
            Some((FORM, _)) => lines.push("-F file=@plan.pdf".into()),
            Some((media_type, _)) => {
                lines.push(format!("-H 'Content-Type: {media_type}'"));
                lines.push("--data-binary @plan.pdf".into());
            }
            None => {}
        }
        html! { h3 { "Request" } pre { code { (lines.join(" \\\n  ")) } } }
    }

    fn answers(&self) -> Markup {
        let answers = self.spec["responses"].as_object().into_iter().flatten();
        let (good, bad): (Vec<_>, Vec<_>) =
            answers.partition(|(status, _)| status.starts_with(['1', '2', '3']));
        html! {
            h3 { "Answers" }
            @for (status, answer) in good { (shown_answer(status, answer)) }
            p {
                "Errors: "
                @for (index, (status, answer)) in bad.iter().filter(|(status, _)| *status != "default").enumerate() {
                    @if index > 0 { ", " }
                    span title=(answer["description"].as_str().unwrap_or_default()) { (status) }
                }
                " as " a href=(address("errors")) { "problems" } "."
            }
        }
    }
}

fn shown_answer(status: &str, answer: &Value) -> Markup {
    let parsed: Option<StatusCode> = status.parse().ok();
    let reason = parsed
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default();
    let description = answer["description"].as_str().unwrap_or_default();
    let content = answer["content"].as_object().into_iter().flatten();
    html! {
        p {
            strong { (status) " " (reason) }
            @if description != reason { ": " (inline(description)) }
            @for (media_type, content) in content.clone() { " " code { (media_type) } " " (kind(&content["schema"])) }
        }
        @for (media_type, content) in content {
            @if media_type == JSON && !is_plan(&content["schema"]) {
                pre { code { (pretty(&example(&content["schema"], false))) } }
            }
        }
    }
}

/// Turns path parameters into shell variables: `/v1/notes/$ID`.
fn in_shell(path: &str) -> String {
    let segments = path.split('/').map(|segment| {
        let parameter = segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        parameter.map_or_else(
            || segment.to_owned(),
            |name| format!("${}", name.to_uppercase()),
        )
    });
    segments.collect::<Vec<_>>().join("/")
}

/// Returns true for the answer of a dry run, which a guide describes.
fn is_plan(schema: &Value) -> bool {
    schema["$ref"]
        .as_str()
        .is_some_and(|name| name.ends_with("/DryRun"))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
