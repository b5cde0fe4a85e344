//! The server as browsers see it: its own address, and the origins whose pages may call it.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HOST,
    IF_MATCH, IF_NONE_MATCH, IF_RANGE, LOCATION, ORIGIN, RANGE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::App;
use crate::agents::mcp;
use crate::origin::{Origin, OriginPattern};

/// Time for which browsers may cache a preflight answer.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Allowed request headers, besides the standard ones.
const TAKEN: [HeaderName; 11] = [
    HeaderName::from_static("daybook-causation-id"),
    HeaderName::from_static("daybook-correlation-id"),
    HeaderName::from_static("daybook-min-position"),
    HeaderName::from_static("daybook-run-id"),
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("mcp-method"),
    HeaderName::from_static("mcp-name"),
    HeaderName::from_static("mcp-protocol-version"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("x-correlation-id"),
];

/// Exposed response headers, besides the standard ones.
const GIVEN: [HeaderName; 8] = [
    HeaderName::from_static("daybook-correlation-id"),
    HeaderName::from_static("daybook-position"),
    HeaderName::from_static("idempotency-replayed"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-reset"),
];

/// Settings for the server's address and CORS.
#[derive(Debug, Clone)]
pub struct Site {
    /// Address that clients use.
    pub public_url: Option<Origin>,
    /// Address that the server listens on.
    pub listen: SocketAddr,
    /// Origins whose pages may call the API.
    pub cors_origins: Vec<OriginPattern>,
}

impl Site {
    /// Returns the server's address without a trailing slash. A client can send any `Host`, so that is used only if it names the client's
    /// own machine.
    #[must_use]
    pub fn base_url(&self, headers: &HeaderMap) -> String {
        if let Some(url) = &self.public_url {
            return url.to_string();
        }
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let called: Option<Origin> = host.and_then(|host| format!("http://{host}").parse().ok());
        match called.filter(Origin::is_loopback) {
            Some(called) => called.to_string(),
            None if self.listen.ip().is_unspecified() => {
                format!("http://localhost:{}", self.listen.port())
            }
            None => format!("http://{}", self.listen),
        }
    }
}

/// Allows calls from pages of other origins, if the settings allow them. Keys are sent in a header, so the browser's own credentials
/// (cookies) are never allowed.
pub fn cors(app: &App) -> CorsLayer {
    let app = app.clone();
    let is_allowed = move |origin: &HeaderValue, request: &Parts| {
        let origin = origin.to_str().ok().and_then(|text| text.parse().ok());
        origin.is_some_and(|origin| allows(&app, request.uri.path(), &origin))
    };
    let standard = [
        ACCEPT,
        AUTHORIZATION,
        CONTENT_ENCODING,
        CONTENT_TYPE,
        IF_MATCH,
        IF_NONE_MATCH,
        IF_RANGE,
        RANGE,
    ];
    let told = [
        CONTENT_DISPOSITION,
        ETAG,
        LOCATION,
        RETRY_AFTER,
        WWW_AUTHENTICATE,
    ];
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(is_allowed))
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers(standard.into_iter().chain(TAKEN).collect::<Vec<_>>())
        .expose_headers(told.into_iter().chain(GIVEN).collect::<Vec<_>>())
        .max_age(REMEMBERED)
        .vary([ORIGIN])
}

fn allows(app: &App, path: &str, origin: &Origin) -> bool {
    if path == mcp::PATH {
        app.mcp.allows(&app.site, origin)
    } else {
        app.site
            .cors_origins
            .iter()
            .any(|pattern| pattern.allows(origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base_url(public_url: Option<&str>, listen: &str, host: &str) -> String {
        let site = Site {
            public_url: public_url.map(|url| url.parse().unwrap()),
            listen: listen.parse().unwrap(),
            cors_origins: vec![],
        };
        site.base_url(&HeaderMap::from_iter([(HOST, host.parse().unwrap())]))
    }

    #[test]
    fn the_host_of_a_request_is_believed_where_it_is_the_clients_own_machine() {
        for local in [
            "localhost:8080",
            "127.0.0.1:9999",
            "[::1]:8080",
            "localhost",
        ] {
            let url = base_url(None, "0.0.0.0:8080", local);
            assert_eq!(url, format!("http://{local}"));
        }
        for other in [
            "evil.com",
            "localhost:3000.evil.com",
            "localhost.evil.com",
            "evil.com\"@localhost",
            "",
        ] {
            let url = base_url(None, "0.0.0.0:8080", other);
            assert_eq!(url, "http://localhost:8080", "{other}");
            let url = base_url(None, "10.0.0.7:8080", other);
            assert_eq!(url, "http://10.0.0.7:8080", "{other}");
        }
    }

    #[test]
    fn a_public_address_goes_before_whatever_a_request_says() {
        for host in ["localhost:8080", "evil.com"] {
            let url = base_url(Some("https://daybook.example.com"), "0.0.0.0:8080", host);
            assert_eq!(url, "https://daybook.example.com");
        }
    }
}
