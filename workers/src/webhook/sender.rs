//! Sends one HTTP request to an untrusted receiver.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use domain::delivery::webhook::Endpoint;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};

use super::address::is_public;

/// Bytes of the response that are kept; the rest is not read.
const KEPT: usize = 1024;
/// Maximum time by which a receiver can postpone its next attempt.
const MAX_RETRY_AFTER: TimeDelta = TimeDelta::hours(24);

/// The result of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// None: there was no response.
    pub status: Option<u16>,
    pub error: Option<String>,
    pub response: String,
    pub duration: Duration,
    pub retry_after: Option<DateTime<Utc>>,
}

/// The content of a request: the endpoint's own headers, and those of Standard Webhooks.
pub struct Signed<'a> {
    pub headers: Vec<(&'a str, String)>,
    pub id: &'a str,
    pub timestamp: DateTime<Utc>,
    pub signature: String,
    pub body: String,
}

pub struct Sender {
    client: Client,
    allow_private: bool,
}

impl Sender {
    /// Creates a sender. The timeout covers the whole request, including connection and response.
    pub fn new(allow_private: bool, timeout: Duration) -> Self {
        let client = Client::builder()
            .user_agent(concat!("Daybook-Webhooks/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            .redirect(Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(Resolver { allow_private }))
            .build();
        Self {
            // Only a broken TLS set-up can fail here; the default client then reports it at its first request.
            client: client.unwrap_or_default(),
            allow_private,
        }
    }

    pub async fn send(&self, endpoint: &Endpoint, signed: Signed<'_>) -> Answer {
        let started = Instant::now();
        let mut answer = match self.request(endpoint, signed).await {
            Ok(response) => read(response).await,
            Err(error) => Answer {
                error: Some(error),
                ..Answer::default()
            },
        };
        answer.duration = started.elapsed();
        answer
    }

    async fn request(&self, endpoint: &Endpoint, signed: Signed<'_>) -> Result<Response, String> {
        let url: Url = endpoint
            .url
            .parse()
            .map_err(|e| format!("the URL is not valid: {e}"))?;
        self.check_literal(&url)?;
        let mut request = self.client.post(url);
        for (name, value) in &signed.headers {
            request = request.header(*name, value);
        }
        request
            .header("content-type", "application/json")
            .header("webhook-id", signed.id)
            .header(
                "webhook-timestamp",
                signed.timestamp.timestamp().to_string(),
            )
            .header("webhook-signature", signed.signature)
            .body(signed.body)
            .send()
            .await
            .map_err(|error| describe(&error))
    }

    /// Checks an address in the URL itself, which is never resolved.
    fn check_literal(&self, url: &Url) -> Result<(), String> {
        let literal: Option<IpAddr> = url
            .host_str()
            .and_then(|host| host.trim_matches(['[', ']']).parse().ok());
        match literal {
            Some(address) if !self.allow_private && !is_public(address) => {
                Err(NotPublic.to_string())
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// The error if the host has no address, or no public one. The owner of the endpoint gets the same text for
/// both, without addresses, which would reveal internal names and where they lead.
#[derive(Debug, thiserror::Error)]
#[error(
    "the host has no public address; correct its name, or let the operator allow private ones (DAYBOOK_WEBHOOKS_ALLOW_PRIVATE=true)"
)]
struct NotPublic;

/// Describes the kind of failure. An error's own text would reveal the addresses of a name, and what answered there.
fn describe(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<NotPublic>() {
            return NotPublic.to_string();
        }
        cause = inner.source();
    }
    let text = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection: it was refused or broken off, or its certificate is not valid"
    } else if error.is_body() || error.is_decode() {
        "the answer broke off"
    } else {
        "the connection broke off before there was an answer"
    };
    text.into()
}

async fn read(mut response: Response) -> Answer {
    let status = response.status();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| retry_at(text, Utc::now()));
    let mut kept = Vec::new();
    let mut error = None;
    while kept.len() < KEPT {
        match response.chunk().await {
            Ok(Some(chunk)) => kept.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(failure) => {
                error = Some(describe(&failure));
                break;
            }
        }
    }
    kept.truncate(KEPT);
    Answer {
        status: Some(status.as_u16()),
        // The status has arrived: a truncated response does not change the receiver's answer.
        error: error.filter(|_| !status.is_success()),
        // PostgreSQL's text cannot contain NUL.
        response: String::from_utf8_lossy(&kept).replace('\0', "\u{fffd}"),
        duration: Duration::ZERO,
        retry_after,
    }
}

/// Parses `Retry-After` (RFC 9110, section 10.2.3): seconds, or an HTTP date.
fn retry_at(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let wanted = match text.trim().parse::<i64>() {
        Ok(seconds) => now.checked_add_signed(TimeDelta::try_seconds(seconds)?)?,
        Err(_) => DateTime::parse_from_rfc2822(text.trim()).ok()?.to_utc(),
    };
    Some(wanted.min(now + MAX_RETRY_AFTER))
}

/// Resolves names to addresses that may be called; the connection uses exactly the checked addresses.
struct Resolver {
    allow_private: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let allowed: Vec<SocketAddr> = found
                .map_err(|_| NotPublic)?
                .filter(|address| allow_private || is_public(address.ip()))
                .collect();
            if allowed.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_at_most_a_day() {
        let now = DateTime::from_timestamp(1_767_355_200, 0).unwrap();
        let at = |text| retry_at(text, now);
        assert_eq!(at("120"), Some(now + TimeDelta::seconds(120)));
        assert_eq!(
            at("Fri, 02 Jan 2026 12:01:00 GMT"),
            Some(now + TimeDelta::minutes(1))
        );
        assert_eq!(at("999999999"), Some(now + MAX_RETRY_AFTER));
        assert_eq!(at("soon"), None);
        assert_eq!(at("99999999999999999999"), None);
    }
}
