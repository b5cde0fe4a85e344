//! Signed URLs: their holder may upload a file once, or download it, until the URL expires. They need no key.
//!
//! A URL names the file and its expiry. The signature also covers method, size, media type, digest and the picture's size.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use commands::Secrets;
use domain::operations::file::{Upload, Variant};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::problem::Problem;

/// Bytes per second of a slow connection: the lifetime of an upload's URL grows with the file's size at this rate.
const SLOW: u64 = 1 << 20;
/// Maximum lifetime of a URL, however large the upload.
const LONGEST: TimeDelta = TimeDelta::days(366);

/// A request that uploads or downloads a file without a key.
#[derive(Serialize, ToSchema)]
pub struct SignedUrl {
    pub method: &'static str,
    /// URL relative to the server's address.
    pub url: String,
    /// Headers to send with the request.
    pub headers: BTreeMap<&'static str, String>,
    pub expires_at: DateTime<Utc>,
}

/// The query parameters of a signed URL.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Signed {
    /// Expiry in seconds since 1970.
    expires: i64,
    signature: String,
    /// Size of the picture, if it is one.
    pub pixels: Option<u32>,
}

/// The values that a signature covers, besides the file's id.
pub struct Claims<'a> {
    method: Method,
    size: u64,
    media_type: &'a str,
    sha256: &'a str,
    pixels: Option<u32>,
    expires: i64,
}

impl<'a> Claims<'a> {
    pub fn upload(
        size: u64,
        media_type: &'a str,
        sha256: Option<&'a str>,
        expires_at: DateTime<Utc>,
    ) -> Self {
        Self {
            method: Method::PUT,
            size,
            media_type,
            sha256: sha256.unwrap_or_default(),
            pixels: None,
            expires: expires_at.timestamp(),
        }
    }

    pub const fn download(
        size: u64,
        media_type: &'a str,
        sha256: &'a str,
        pixels: Option<u32>,
        expires_at: DateTime<Utc>,
    ) -> Self {
        Self {
            method: Method::GET,
            size,
            media_type,
            sha256,
            pixels,
            expires: expires_at.timestamp(),
        }
    }

    /// Returns the claims of an upload's URL for the current file; the signature tells whether they match.
    pub fn upload_said(upload: &'a Upload, signed: &Signed) -> Self {
        Self {
            expires: signed.expires,
            ..Self::upload(
                upload.size,
                &upload.media_type,
                upload.sha256.as_deref(),
                upload.expires_at,
            )
        }
    }

    /// Returns the claims of a download's URL for the current file.
    pub fn download_said(variant: &'a Variant, signed: &Signed) -> Self {
        Self {
            method: Method::GET,
            size: variant.size,
            media_type: variant.media_type,
            sha256: &variant.key.sha256,
            pixels: signed.pixels,
            expires: signed.expires,
        }
    }

    fn text(&self) -> String {
        let Self {
            method,
            size,
            media_type,
            sha256,
            pixels,
            expires,
        } = self;
        let pixels = pixels.unwrap_or_default();
        format!("{method}\n{size}\n{media_type}\n{sha256}\n{pixels}\n{expires}")
    }

    /// Returns the URL relative to the server's address.
    pub fn url(&self, secrets: &Secrets, id: Uuid) -> String {
        let signature = secrets.sign_file_url(id, &self.text());
        let pixels = self.pixels.map(|pixels| format!("&pixels={pixels}"));
        format!(
            "/files/{id}?expires={}{}&signature={signature}",
            self.expires,
            pixels.unwrap_or_default()
        )
    }
}

impl Signed {
    /// Refuses an expired URL.
    pub fn require_time(&self) -> Result<(), Problem> {
        if self.expires > Utc::now().timestamp() {
            Ok(())
        } else {
            Err(Problem::new(
                StatusCode::FORBIDDEN,
                "file_url_expired",
                "the time of this address is over; ask for a new one",
            ))
        }
    }

    /// Refuses a URL whose claims differ from the signed ones, or whose file does not exist.
    pub fn verify(
        &self,
        secrets: &Secrets,
        id: Uuid,
        claims: Option<&Claims>,
    ) -> Result<(), Problem> {
        let holds = |claims: &Claims| secrets.verify_file_url(id, &claims.text(), &self.signature);
        if claims.is_some_and(holds) {
            Ok(())
        } else {
            Err(Problem::new(
                StatusCode::FORBIDDEN,
                "file_url_invalid",
                "the address is not as it was given out, or not for this method, or its file is gone",
            ))
        }
    }
}

/// Returns the time until which an upload of this size may begin.
pub fn upload_until(now: DateTime<Utc>, ttl: TimeDelta, size: u64) -> DateTime<Utc> {
    let slow = i64::try_from(size / SLOW).unwrap_or(i64::MAX);
    let later = TimeDelta::try_seconds(slow).unwrap_or(TimeDelta::MAX);
    let wait = ttl.checked_add(&later).unwrap_or(TimeDelta::MAX);
    whole_seconds(now + wait.min(LONGEST))
}

/// Returns the time until which a download may begin. It changes only now and then, so that browsers can cache by URL.
pub fn download_until(now: DateTime<Utc>, ttl: TimeDelta) -> DateTime<Utc> {
    let ttl = ttl.num_seconds().max(1);
    let until = (now.timestamp() / ttl + 2) * ttl;
    DateTime::from_timestamp(until, 0).unwrap_or(now)
}

fn whole_seconds(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp(at.timestamp(), 0).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 7).unwrap()
    }

    #[test]
    fn a_large_upload_has_more_time() {
        let ttl = TimeDelta::seconds(900);
        assert_eq!(upload_until(at(0), ttl, 10).timestamp(), 900);
        assert_eq!(upload_until(at(0), ttl, 3 << 20).timestamp(), 903);
        for size in [i64::MAX.unsigned_abs(), u64::MAX] {
            assert_eq!(
                upload_until(at(0), ttl, size),
                at(0) + LONGEST - TimeDelta::nanoseconds(7)
            );
        }
        assert_eq!(
            upload_until(at(0), ttl, 3 << 20).timestamp_subsec_nanos(),
            0
        );
    }

    #[test]
    fn a_download_has_its_time_and_the_same_end_for_a_while() {
        let ttl = TimeDelta::seconds(100);
        let until = |seconds| download_until(at(seconds), ttl).timestamp();
        assert_eq!((until(0), until(99), until(100)), (200, 200, 300));
    }

    #[test]
    fn everything_that_an_address_is_bound_to_is_signed() {
        let secrets = Secrets::new([7; 32]);
        let (id, time) = (Uuid::from_u128(1), at(1_000));
        let of = [
            Claims::upload(3, "text/plain", None, time).url(&secrets, id),
            Claims::upload(4, "text/plain", None, time).url(&secrets, id),
            Claims::upload(3, "text/html", None, time).url(&secrets, id),
            Claims::upload(3, "text/plain", Some("5e"), time).url(&secrets, id),
            Claims::upload(3, "text/plain", None, at(1_001)).url(&secrets, id),
            Claims::upload(3, "text/plain", None, time).url(&secrets, Uuid::from_u128(2)),
            Claims::download(3, "text/plain", "", None, time).url(&secrets, id),
            Claims::download(3, "text/plain", "", Some(64), time).url(&secrets, id),
        ];
        let signatures: std::collections::BTreeSet<_> = of
            .iter()
            .map(|url| url.split("signature=").nth(1))
            .collect();
        assert_eq!(signatures.len(), of.len());
    }
}
