//! Origins of web pages: scheme, host and port (RFC 6454).

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

/// The origin of a page, in the form that browsers send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(Url);

/// An error for text that is not exactly an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an origin such as https://app.example.com")]
pub struct NotAnOrigin;

impl FromStr for Origin {
    type Err = NotAnOrigin;

    /// Parses only the exact form that browsers send. More lenient parsers find `localhost` in `http://localhost:3000.evil.com`.
    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let url = Url::parse(text).map_err(|_| NotAnOrigin)?;
        let is_web = matches!(url.scheme(), "http" | "https");
        // The URL parser allows stars and quotes in a host. Browsers never send them, and a star in a setting is a wildcard.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:/[]".contains(c);
        let is_one = text.chars().all(is_plain);
        if is_web && is_one && url.origin().ascii_serialization() == text {
            Ok(Self(url))
        } else {
            Err(NotAnOrigin)
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

impl Origin {
    /// Returns true if the host always means the machine that uses it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }
}

/// A setting that allows origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginPattern {
    /// Pages of all origins: `*`.
    Any,
    /// Pages of one origin.
    One(Origin),
    /// Pages of one scheme and host at any port: `http://localhost:*`.
    AnyPort(Origin),
}

impl FromStr for OriginPattern {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        if text == "*" {
            return Ok(Self::Any);
        }
        match text.strip_suffix(":*") {
            Some(host) => {
                let origin: Origin = host.parse()?;
                // A pattern such as `http://localhost:8080:*` is invalid.
                let has_port = origin.0.port().is_some();
                (!has_port)
                    .then_some(Self::AnyPort(origin))
                    .ok_or(NotAnOrigin)
            }
            None => text.parse().map(Self::One),
        }
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::One(origin) => origin.fmt(f),
            Self::AnyPort(origin) => write!(f, "{origin}:*"),
        }
    }
}

impl OriginPattern {
    /// Returns true if pages of the origin are allowed.
    #[must_use]
    pub fn allows(&self, origin: &Origin) -> bool {
        match self {
            Self::Any => true,
            Self::One(allowed) => allowed == origin,
            Self::AnyPort(allowed) => {
                allowed.0.scheme() == origin.0.scheme() && allowed.0.host() == origin.0.host()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_origin(text: &str) -> bool {
        text.parse::<Origin>().is_ok()
    }

    #[test]
    fn an_origin_is_written_in_exactly_one_way() {
        for origin in [
            "https://app.example.com",
            "http://localhost:3000",
            "http://127.0.0.1:8080",
            "http://[::1]:3000",
            "https://xn--bcher-kva.example",
        ] {
            assert!(is_origin(origin), "{origin}");
        }
        for other in [
            "",
            "null",
            "*",
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com/path",
            "https://APP.example.com",
            "https://app.example.com:443",
            "https://user@app.example.com",
            "http://localhost:3000.evil.com",
            "http://localhost:3000@evil.com",
            "http://localhost:",
            "http://localhost:99999",
            "http://127.1",
            "file://localhost",
            " http://localhost",
        ] {
            assert!(!is_origin(other), "{other}");
        }
    }

    #[test]
    fn a_pattern_allows_one_origin_one_host_or_all() {
        let allows = |pattern: &str, origin: &str| {
            let pattern: OriginPattern = pattern.parse().unwrap();
            assert_eq!(pattern.to_string().parse(), Ok(pattern.clone()));
            pattern.allows(&origin.parse().unwrap())
        };
        assert!(allows("https://a.example", "https://a.example"));
        assert!(allows("http://localhost:*", "http://localhost:3000"));
        assert!(allows("http://localhost:*", "http://localhost"));
        assert!(allows("*", "https://a.example"));
        for (pattern, other) in [
            ("https://a.example", "http://a.example"),
            ("https://a.example", "https://a.example:8443"),
            ("https://a.example", "https://b.a.example"),
            ("http://localhost:*", "https://localhost:3000"),
            ("http://localhost:*", "http://localhost.evil.com:3000"),
        ] {
            assert!(!allows(pattern, other), "{pattern} {other}");
        }
        for bad in ["https://*.example.com", "http://localhost:8080:*", "**", ""] {
            assert_eq!(bad.parse::<OriginPattern>(), Err(NotAnOrigin), "{bad}");
        }
    }

    #[test]
    fn a_loopback_name_is_told_from_one_that_only_begins_so() {
        let is_loopback = |text: &str| text.parse::<Origin>().unwrap().is_loopback();
        for local in [
            "http://localhost:1",
            "http://a.localhost",
            "http://127.0.0.9",
            "http://[::1]",
        ] {
            assert!(is_loopback(local), "{local}");
        }
        for other in [
            "http://localhost.evil.com",
            "http://10.0.0.1",
            "http://evil.com",
        ] {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
