//! Range requests (RFC 9110, section 14): a single range, if the client's part of the file is still current.

use std::ops::Range;

use axum::http::{HeaderMap, header};
use http_range_header::{EndPosition, StartPosition, SyntacticallyCorrectRange};

/// The part of a file to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    Whole,
    Part(Range<u64>),
    /// The range lies beyond the end of the file.
    Nothing,
}

/// Returns the part that a request asks for. Multiple ranges and invalid ones get the whole file, as the RFC allows.
pub fn wanted(headers: &HeaderMap, size: u64, tag: &str) -> Wanted {
    let text = headers.get(header::RANGE).and_then(|v| v.to_str().ok());
    let parsed = text.and_then(|text| http_range_header::parse_range_header(text).ok());
    match parsed.as_ref().map(|parsed| parsed.ranges.as_slice()) {
        Some([range]) if is_same(headers, tag) => part(range, size),
        Some(_) | None => Wanted::Whole,
    }
}

/// Returns true if `If-Range` is absent or names the current tag. A date never matches, because unchanged bytes keep their tag.
fn is_same(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get(header::IF_RANGE)
        .is_none_or(|known| known.as_bytes() == tag.as_bytes())
}

const fn part(range: &SyntacticallyCorrectRange, size: u64) -> Wanted {
    let (start, end) = match (range.start, range.end) {
        (StartPosition::FromLast(length), _) => (size.saturating_sub(length), size),
        (StartPosition::Index(start), EndPosition::LastByte) => (start, size),
        (StartPosition::Index(start), EndPosition::Index(last)) if last < start => {
            return Wanted::Whole;
        }
        (StartPosition::Index(start), EndPosition::Index(last)) => {
            let end = last.saturating_add(1);
            (start, if end < size { end } else { size })
        }
    };
    if start < end {
        Wanted::Part(start..end)
    } else {
        Wanted::Nothing
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn asked(range: &str, size: u64) -> Wanted {
        let range = HeaderValue::from_str(range).unwrap();
        wanted(
            &HeaderMap::from_iter([(header::RANGE, range)]),
            size,
            "\"a\"",
        )
    }

    #[test]
    fn one_range_is_read_as_the_rfc_has_it() {
        for (range, part) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=2-4", Wanted::Part(2..5)),
            ("bytes=2-", Wanted::Part(2..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-30", Wanted::Part(0..10)),
            ("bytes=9-1000", Wanted::Part(9..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=10-12", Wanted::Nothing),
            ("bytes=4-2", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
            ("tea", Wanted::Whole),
        ] {
            assert_eq!(asked(range, 10), part, "{range}");
        }
        assert_eq!(asked("bytes=0-", 0), Wanted::Nothing);
    }

    #[test]
    fn a_part_of_something_else_is_not_continued() {
        let asked = |known: &'static str| {
            let headers = [
                (header::RANGE, HeaderValue::from_static("bytes=5-")),
                (header::IF_RANGE, HeaderValue::from_static(known)),
            ];
            wanted(&HeaderMap::from_iter(headers), 10, "\"a\"")
        };
        assert_eq!(asked("\"a\""), Wanted::Part(5..10));
        for other in ["\"b\"", "W/\"a\"", "Sat, 21 Nov 2026 12:00:00 GMT"] {
            assert_eq!(asked(other), Wanted::Whole, "{other}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_is_within_the_file(text in "bytes=[0-9]{0,20}-[0-9]{0,20}", size in any::<u64>()) {
            if let Wanted::Part(part) = asked(&text, size) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }

        #[test]
        fn every_part_of_a_file_can_be_asked_for(size in 1..u64::MAX, a in any::<u64>(), b in any::<u64>()) {
            let (start, last) = ((a % size).min(b % size), (a % size).max(b % size));
            prop_assert_eq!(asked(&format!("bytes={start}-{last}"), size), Wanted::Part(start..last + 1));
        }
    }
}
