//! Signatures of Standard Webhooks 1.0, "Verifying webhook authenticity".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Returns the `webhook-signature` header: one `v1,…` per key, separated by spaces.
#[must_use]
pub fn sign(keys: &[[u8; 32]], id: &str, timestamp: DateTime<Utc>, body: &str) -> String {
    let signed = format!("{id}.{}.{body}", timestamp.timestamp());
    keys.iter()
        .filter_map(|key| Hmac::<Sha256>::new_from_slice(key).ok())
        .map(|mut mac| {
            mac.update(signed.as_bytes());
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        })
        .collect::<Vec<_>>()
        .join(" ")
}
