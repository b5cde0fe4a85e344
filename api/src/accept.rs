//! Content negotiation: chooses the form of an answer that a client prefers.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

/// Returns the form that `Accept` (RFC 9110, section 12.5.1) weighs highest. At equal weights, a form named exactly wins over one covered
/// by a range, then the first in `forms` wins. Returns the first form if none fits.
pub fn preferred<'a>(headers: &HeaderMap, forms: &[&'a str]) -> &'a str {
    let ranges = ranges(headers);
    let mut best = (forms.first().copied().unwrap_or_default(), (0.0, 0));
    for form in forms {
        let rank = rank(form, &ranges);
        if rank > best.1 {
            best = (form, rank);
        }
    }
    best.0
}

/// The ranges of `Accept`.
fn ranges(headers: &HeaderMap) -> Vec<(&str, f32)> {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(range)
        .collect()
}

/// Returns true if `Accept` covers the form or is absent.
pub fn takes(headers: &HeaderMap, form: &str) -> bool {
    !headers.contains_key(ACCEPT) || rank(form, &ranges(headers)).0 > 0.0
}

/// Parses a media range and its weight.
fn range(text: &str) -> (&str, f32) {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().unwrap_or_default();
    let weight = parts.find_map(|parameter| parameter.strip_prefix("q="));
    (
        range,
        weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)),
    )
}

/// Returns the weight of the most specific range that covers a form, and its specificity.
fn rank(form: &str, ranges: &[(&str, f32)]) -> (f32, u8) {
    let says = |range: &str| match range.strip_suffix('*') {
        None => u8::from(range.eq_ignore_ascii_case(form)) * 3,
        Some("*/") => 1,
        Some(family) => u8::from(form.starts_with(family)) * 2,
    };
    let about = ranges.iter().map(|(range, weight)| (*weight, says(range)));
    about
        .max_by_key(|(_, says)| *says)
        .filter(|(_, says)| *says > 0)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_with_the_highest_weight_is_chosen() {
        const FORMS: [&str; 3] = [
            "application/json",
            "text/event-stream",
            "application/x-ndjson",
        ];
        let chosen = |accept: &str| {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            FORMS
                .iter()
                .position(|form| *form == preferred(&headers, &FORMS))
        };
        for (accept, form) in [
            ("*/*", 0),
            ("", 0),
            ("text/html", 0),
            ("text/event-stream", 1),
            ("TEXT/Event-Stream", 1),
            ("text/*", 1),
            ("text/event-stream, */*", 1),
            ("*/*, application/x-ndjson", 2),
            ("application/x-ndjson, text/event-stream;q=0.5", 2),
            ("application/x-ndjson;q=0.5, text/event-stream; q=0.9", 1),
            ("application/x-ndjson;q=0, */*;q=0.1", 0),
            ("application/json;q=0, application/*", 2),
            ("application/json, text/event-stream", 0),
        ] {
            assert_eq!(chosen(accept), Some(form), "{accept}");
        }
        assert_eq!(preferred(&HeaderMap::new(), &FORMS), FORMS[0]);
    }

    #[test]
    fn a_form_is_taken_by_name_by_range_or_where_nothing_is_said() {
        let takes = |accept: &str| {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            takes(&headers, "application/json")
        };
        for fine in [
            "*/*",
            "application/*",
            "APPLICATION/json",
            "text/html, */*;q=0.1",
        ] {
            assert!(takes(fine), "{fine}");
        }
        for other in ["text/html", "text/*", "application/json;q=0, */*", ""] {
            assert!(!takes(other), "{other}");
        }
        assert!(super::takes(&HeaderMap::new(), "application/json"));
    }
}
