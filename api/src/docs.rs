//! The documentation at `/docs`: guides, API reference, error codes and events, as pages without scripts.

mod events;
mod guides;
mod layout;
mod reference;
mod schemas;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderName, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::Markup;

use crate::{App, routes};

/// Path of the first page; all others are below it.
pub const PATH: &str = "/docs";
const STYLE: &str = include_str!("docs/style.css");
/// Content security policy: a page loads only its own style sheet.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const HEADERS: [(HeaderName, &str); 2] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (REFERRER_POLICY, "no-referrer"),
];

/// A page without its frame.
struct Page {
    title: String,
    body: Markup,
}

pub fn router() -> Router<App> {
    let style = async || ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE);
    Router::new()
        .route(PATH, get(async |uri: Uri| show("", uri).await))
        .route("/docs/style.css", get(style))
        .route("/docs/{*name}", get(named))
}

async fn named(Path(name): Path<String>, uri: Uri) -> Response {
    show(&name, uri).await
}

async fn show(name: &str, uri: Uri) -> Response {
    let html = (CONTENT_TYPE, "text/html; charset=utf-8");
    match pages().get(name) {
        Some(page) => (HEADERS, [html], page.as_str()).into_response(),
        None => routes::not_found(uri).await,
    }
}

/// Returns true if there is such a page.
pub fn has(path: &str) -> bool {
    let name = path.strip_prefix("/docs/");
    path == PATH || name.is_some_and(|name| pages().contains_key(name))
}

/// Returns all pages by their names below `/docs`, built once.
fn pages() -> &'static BTreeMap<String, String> {
    static PAGES: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    PAGES.get_or_init(|| {
        let mut pages = BTreeMap::new();
        pages.insert(String::new(), layout::home());
        pages.extend(guides::pages());
        pages.extend(reference::pages());
        pages.insert("schemas".into(), schemas::page());
        pages.insert("events".into(), events::page());
        let framed = pages.into_iter().map(|(name, page)| {
            let framed = layout::frame(&name, page).into_string();
            (name, framed)
        });
        framed.collect()
    })
}
