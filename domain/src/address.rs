//! Web addresses, as people and programs write them.

use std::cell::Cell;

use url::{SyntaxViolation, Url};

use crate::text::first_hidden;

/// The maximum length of an address in bytes.
const MAX_LENGTH: usize = 2_000;

/// Describes what [`is_web_address`] accepts; used as the detail of a violation.
pub const WEB_ADDRESS: &str = "must be an http or https URL of at most 2000 characters such as https://example.com/hook, \
    without blanks, a name or a password";

/// Returns true for an http or https URL with a host.
///
/// URL parsers silently repair a lot: they accept `https:\\example.com` and `https:example.com`, and drop tabs. This
/// function refuses all of that, so that the text people read is the address it leads to. It also refuses user names
/// and passwords before the host.
#[must_use]
pub fn is_web_address(text: &str) -> bool {
    let mended = Cell::new(false);
    let note = |violation| {
        // Browsers percent-encode such characters themselves, so the address leads to the same place.
        let is_harmless = matches!(
            violation,
            SyntaxViolation::NonUrlCodePoint | SyntaxViolation::PercentDecode
        );
        mended.set(mended.get() || !is_harmless);
    };
    let parsed = Url::options()
        .syntax_violation_callback(Some(&note))
        .parse(text);
    text.len() <= MAX_LENGTH
        && !text.contains(char::is_whitespace)
        && first_hidden(text).is_none()
        && parsed.is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
        && !mended.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_the_web_are_taken() {
        for url in [
            "https://example.com",
            "HTTPS://Example.com:8443/hook?ids[]=1&x={y}#part",
            "http://127.0.0.1:9/",
            "http://[::1]:9/",
            "https://bücher.example/@me",
            "https://example.com/100%",
            &format!("https://{}.example/{}", "x".repeat(50), "y".repeat(1_900)),
        ] {
            assert!(is_web_address(url), "{url}");
        }
    }

    #[test]
    fn whatever_a_parser_would_have_to_mend_is_refused() {
        for text in [
            "",
            "example.com",
            "/hook",
            "https://",
            "https:///example.com",
            "https:example.com",
            "https:/example.com",
            "https:\\\\example.com",
            "https://example.com\\hook",
            "https://exa mple",
            "https://exa%20mple",
            "https://example.com/a b",
            "https://exa\tmple.com",
            " https://example.com",
            "https://example.com\n",
            "https://example.com/\u{202e}gpj",
            "https://[::1",
            "https://1.2.3.256",
            "https://example.com:65536",
            "https://example.com:port",
            "https://me@example.com",
            "https://me:pw@example.com",
            "ftp://example.com",
            "file:///etc/passwd",
            "javascript:alert(1)",
            &format!("https://example.com/{}", "x".repeat(2_000)),
        ] {
            assert!(!is_web_address(text), "{text:?}");
        }
    }
}
