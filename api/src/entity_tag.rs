//! Conditional queries: 304 for answers that the client already has.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;

/// Returns true if `If-None-Match` (RFC 9110, section 13.1.2) names the tag.
pub fn has(headers: &HeaderMap, tag: &str) -> bool {
    is_named(headers.get_all(header::IF_NONE_MATCH), tag)
}

/// Returns true if one of the lists names the tag, by weak comparison.
fn is_named<'a>(lists: impl IntoIterator<Item = &'a HeaderValue>, tag: &str) -> bool {
    let tag = tag.trim_start_matches("W/");
    lists
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == tag || known == "*")
}

/// Entity tags of the answers that the client already has.
pub struct Known(Vec<HeaderValue>);

impl Known {
    /// Returns `None` for a command.
    pub fn of(request: &Request) -> Option<Self> {
        let lists = request.headers().get_all(header::IF_NONE_MATCH);
        matches!(*request.method(), Method::GET | Method::HEAD)
            .then(|| Self(lists.iter().cloned().collect()))
    }
}

/// Answers 304 if the client already has the answer, and sets caching headers on answers with a tag.
pub fn not_modified(known: &Known, mut response: Response) -> Response {
    let is_ok = response.status() == StatusCode::OK;
    let headers = response.headers_mut();
    let Some(tag) = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()) else {
        return response;
    };
    let is_known = is_ok && is_named(&known.0, tag);
    if !headers.contains_key(header::CACHE_CONTROL) {
        let private = HeaderValue::from_static("private, no-cache");
        headers.insert(header::CACHE_CONTROL, private);
        headers.append(header::VARY, HeaderValue::from_name(header::AUTHORIZATION));
    }
    if is_known {
        headers.remove(header::CONTENT_TYPE);
        headers.remove(header::CONTENT_LENGTH);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::http::header::IF_NONE_MATCH;

    use super::*;

    #[test]
    fn a_client_that_has_it_says_so_strongly_weakly_or_whatever_it_is() {
        let has = |value: &str| {
            has(
                &HeaderMap::from_iter([(IF_NONE_MATCH, value.parse().unwrap())]),
                "\"a\"",
            )
        };
        assert!(has("\"a\"") && has("W/\"a\"") && has("\"b\", \"a\"") && has("*"));
        assert!(!has("\"b\"") && !has("a") && !has(""));
    }
}
