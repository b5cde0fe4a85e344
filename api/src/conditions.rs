//! Whether a client has what it asks for.

use axum::http::{HeaderMap, header};

/// Whether `If-None-Match` (RFC 9110, section 13.1.2) names the tag.
pub fn has(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == tag || known == "*")
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
