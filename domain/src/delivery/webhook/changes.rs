//! What can be set on an endpoint.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Violations, covers, event_types};

/// The settings that a command gives; what it leaves out stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    pub url: Option<String>,
    pub events: Option<BTreeSet<String>>,
    pub description: Option<String>,
    pub headers: Option<BTreeMap<String, String>>,
    pub rate_limit: Option<u32>,
}

impl Changes {
    /// Every field at fault.
    pub(super) fn check(&self) -> Result<(), Violations> {
        let mut violations = Violations::default();
        if let Some(url) = &self.url {
            let rest = url
                .strip_prefix("https://")
                .or_else(|| url.strip_prefix("http://"));
            violations.require(
                url.len() <= 2000
                    && rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')),
                "/url",
                "must be an http or https URL of at most 2000 characters",
            );
        }
        if let Some(events) = &self.events {
            violations.require(
                (1..=100).contains(&events.len()),
                "/events",
                "must be 1 to 100 event types or patterns such as proposal.*",
            );
            for pattern in events {
                violations.require(
                event_types().any(|known| covers(pattern, known)),
                "/events",
                format!("must be types of events such as note.created, or patterns of them that end in *; {pattern:?} is none"),
            );
            }
        }
        if let Some(description) = &self.description {
            violations.require_length(description, 0, 1000, "/description");
        }
        if let Some(headers) = &self.headers {
            violations.require(
                headers.len() <= 32,
                "/headers",
                "must be at most 32 headers",
            );
            for (name, value) in headers {
                violations.require(
                    is_header(name, value),
                    format!("/headers/{}", name.replace('~', "~0").replace('/', "~1")),
                    "must be a header of printable ASCII that Daybook does not set itself",
                );
            }
        }
        violations.require(
            self.rate_limit.is_none_or(|limit| limit <= 10_000),
            "/rate_limit",
            "must be at most 10000 deliveries per second; 0 means no limit",
        );
        violations.into_result()
    }
}

fn is_header(name: &str, value: &str) -> bool {
    const OURS: [&str; 6] = [
        "host",
        "content-type",
        "content-length",
        "transfer-encoding",
        "connection",
        "user-agent",
    ];
    let lower = name.to_ascii_lowercase();
    (1..=100).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        && value.len() <= 1000
        && value.bytes().all(|b| (0x20..0x7f).contains(&b))
        && !lower.starts_with("webhook-")
        && !OURS.contains(&lower.as_str())
}
