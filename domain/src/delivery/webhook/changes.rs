//! Settings of an endpoint.

use std::collections::{BTreeMap, BTreeSet};

use super::{Owner, is_delivered};
use crate::{
    MAX_PATTERNS, Violations, WEB_ADDRESS, check_type_pattern, covers, event_types, excerpt,
    is_web_address,
};

/// The settings that a command gives; absent ones stay as they are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// The actor and key that give the settings.
    pub by: Owner,
    pub url: Option<String>,
    pub events: Option<BTreeSet<String>>,
    pub description: Option<String>,
    pub headers: Option<BTreeMap<String, String>>,
    pub rate_limit: Option<u32>,
}

impl Changes {
    /// Checks all fields, before the header values are encrypted.
    pub fn check(&self) -> Result<(), Violations> {
        self.check_with(is_header_value)
    }

    /// Checks all fields, except for the header values, which are encrypted already.
    pub(super) fn check_sealed(&self) -> Result<(), Violations> {
        self.check_with(|_| true)
    }

    fn check_with(&self, value_holds: fn(&str) -> bool) -> Result<(), Violations> {
        let mut violations = Violations::default();
        if let Some(url) = &self.url {
            violations.require(is_web_address(url), "/url", WEB_ADDRESS);
        }
        if let Some(events) = &self.events {
            violations.require(
                (1..=MAX_PATTERNS).contains(&events.len()),
                "/events",
                format!("must be 1 to {MAX_PATTERNS} event types or patterns such as proposal.*"),
            );
            for pattern in events {
                if let Err(detail) = check_delivered(pattern) {
                    violations.require(false, "/events", detail);
                }
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
                    is_header_name(name) && value_holds(value),
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

/// Refuses a pattern that matches no deliverable event type.
fn check_delivered(pattern: &str) -> Result<(), String> {
    check_type_pattern(pattern)?;
    if event_types().any(|known| is_delivered(known) && covers(pattern, known)) {
        return Ok(());
    }
    let pattern = excerpt(pattern);
    Err(format!(
        "must be types of events that are delivered, such as note.created; {pattern} never is"
    ))
}

fn is_header_name(name: &str) -> bool {
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
        && !lower.starts_with("webhook-")
        && !OURS.contains(&lower.as_str())
}

fn is_header_value(value: &str) -> bool {
    value.len() <= 1000 && value.bytes().all(|b| (0x20..0x7f).contains(&b))
}
