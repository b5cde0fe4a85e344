//! Content codings (RFC 9110, section 8.4): decodes gzip request bodies and compresses answers.

use std::io;

use async_compression::tokio::bufread::GzipDecoder;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE,
    ETAG,
};
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt;
use tokio_util::io::{ReaderStream, StreamReader};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};

use crate::problem::Problem;

/// Size in bytes below which compression is not worthwhile.
const WORTH_IT: u64 = 1_024;

/// Media types of compressed answers. Streams are excluded, because their events would wait in the encoder.
const COMPRESSED: [&str; 9] = [
    "application/json",
    "application/problem+json",
    "image/svg+xml",
    "text/calendar",
    "text/css",
    "text/html",
    "text/javascript",
    "text/markdown",
    "text/plain",
];

/// Decodes a request body, or refuses an unsupported coding. All later layers see and count the decoded bytes.
pub fn decode(mut request: Request) -> Result<Request, Unsupported> {
    match coding(request.headers()) {
        Coding::Identity => {}
        Coding::Gzip => {
            request.headers_mut().remove(CONTENT_LENGTH);
            request = request.map(decoded);
        }
        Coding::Other => return Err(Unsupported),
    }
    request.headers_mut().remove(CONTENT_ENCODING);
    Ok(request)
}

#[derive(Debug, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
    Other,
}

/// Returns the coding of a body. Only one coding at a time is supported.
fn coding(headers: &HeaderMap) -> Coding {
    let mut found = Coding::Identity;
    for value in headers.get_all(CONTENT_ENCODING) {
        let Ok(text) = value.to_str() else {
            return Coding::Other;
        };
        for name in text.split(',').map(|name| name.trim().to_ascii_lowercase()) {
            found = match (name.as_str(), found) {
                ("identity" | "", found) => found,
                ("gzip" | "x-gzip", Coding::Identity) => Coding::Gzip,
                _ => return Coding::Other,
            };
        }
    }
    found
}

fn decoded(body: Body) -> Body {
    let bytes = body.into_data_stream().map_err(io::Error::other);
    let mut decoder = GzipDecoder::new(StreamReader::new(bytes));
    decoder.multiple_members(true);
    Body::from_stream(ReaderStream::new(decoder))
}

/// A body in a coding that is not supported.
pub struct Unsupported;

impl IntoResponse for Unsupported {
    /// Refuses the coding and names the supported ones (RFC 9110, section 15.5.16).
    fn into_response(self) -> Response {
        let problem = Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content_coding_unsupported",
            "Content-Encoding names a coding that is not taken; send the body in gzip, or as it is",
        );
        let taken = [(ACCEPT_ENCODING, HeaderValue::from_static("gzip"))];
        (taken, problem.and_close()).into_response()
    }
}

/// Compresses answers with gzip for clients that accept it. Uses the fastest level, because each answer is read only once.
pub fn compress() -> CompressionLayer<impl Predicate> {
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(WORTH_IT).and(is_compressed))
}

/// Returns false for secrets, whose length would reveal them (BREACH), and for files that can be resumed.
fn is_compressed(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let media_type = text(CONTENT_TYPE).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    COMPRESSED.contains(&media_type)
        && !headers.contains_key(ACCEPT_RANGES)
        && !text(CACHE_CONTROL).is_some_and(|value| value.contains("no-store"))
}

/// Weakens the entity tag of an encoded answer, because its bytes differ from those that the tag was made for.
pub fn weaken_tag<B>(mut response: Response<B>) -> Response<B> {
    if response.headers().contains_key(CONTENT_ENCODING)
        && let Some(tag) = response.headers().get(ETAG)
        && !tag.as_bytes().starts_with(b"W/")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        response.headers_mut().insert(ETAG, weak);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coding_is_taken_by_either_of_its_names_and_once() {
        let of = |values: &[&str]| {
            let values = values
                .iter()
                .map(|value| (CONTENT_ENCODING, value.parse().unwrap()));
            coding(&HeaderMap::from_iter(values))
        };
        assert_eq!(of(&[]), Coding::Identity);
        for identity in ["identity", "", "Identity, identity"] {
            assert_eq!(of(&[identity]), Coding::Identity, "{identity}");
        }
        for gzip in ["gzip", "GZIP", "x-gzip", "identity, gzip"] {
            assert_eq!(of(&[gzip]), Coding::Gzip, "{gzip}");
        }
        for other in ["br", "gzip, gzip", "gzip, br", "deflate", "gzip;q=1"] {
            assert_eq!(of(&[other]), Coding::Other, "{other}");
        }
        assert_eq!(of(&["gzip", "br"]), Coding::Other);
    }
}
