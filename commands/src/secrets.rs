//! API keys and signing secrets. They are derived from the node's root secret, so that the log holds none of them
//! and a repeated request gets the same one again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use uuid::Uuid;

const PREFIX: &str = "dbk_";

/// The root secret: 256 random bits, the same on every node of one database.
#[derive(Clone)]
pub struct Secrets([u8; 32]);

/// A text that cannot be an API key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "this is not an API key: it starts with dbk_, followed by 72 hexadecimal digits with a valid checksum"
)]
pub struct ApiKeyError;

impl Secrets {
    #[must_use]
    pub const fn new(root: [u8; 32]) -> Self {
        Self(root)
    }

    /// `dbk_`, 256 bits and their CRC-32, in hex.
    #[must_use]
    pub fn api_key(&self, id: Uuid, generation: u32) -> String {
        let bits = hex::encode(self.derive("api-key", id, generation));
        let checksum = crc32fast::hash(bits.as_bytes());
        format!("{PREFIX}{bits}{checksum:08x}")
    }

    /// A signing secret as Standard Webhooks writes it: `whsec_` and 256 bits in base64.
    #[must_use]
    pub fn webhook(&self, id: Uuid, generation: u32) -> String {
        format!(
            "whsec_{}",
            STANDARD.encode(self.webhook_key(id, generation))
        )
    }

    /// The bits behind [`Self::webhook`].
    #[must_use]
    pub fn webhook_key(&self, id: Uuid, generation: u32) -> [u8; 32] {
        self.derive("webhook", id, generation)
    }

    /// Tells nodes with different root secrets apart without revealing them.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex::encode(self.derive("fingerprint", Uuid::nil(), 0))
    }

    fn derive(&self, purpose: &str, id: Uuid, generation: u32) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::from(self);
        mac.update(purpose.as_bytes());
        mac.update(id.as_bytes());
        mac.update(&generation.to_be_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl From<&Secrets> for Hmac<Sha256> {
    fn from(secrets: &Secrets) -> Self {
        // Half a block is padded with zeroes: a key of exactly one block cannot be refused.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&secrets.0);
        Self::new(&block.into())
    }
}

/// Whether a text is an API key, without asking anyone: its checksum must hold.
pub fn check_api_key(text: &str) -> Result<(), ApiKeyError> {
    let digits = text.strip_prefix(PREFIX).ok_or(ApiKeyError)?;
    let (bits, checksum) = digits.split_at_checked(64).ok_or(ApiKeyError)?;
    let expected = format!("{:08x}", crc32fast::hash(bits.as_bytes()));
    if checksum == expected && bits.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(())
    } else {
        Err(ApiKeyError)
    }
}

/// How a key is stored.
#[must_use]
pub fn sha256_hex(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRETS: Secrets = Secrets::new([7; 32]);

    #[test]
    fn a_derived_key_passes_its_own_check() {
        let key = SECRETS.api_key(Uuid::from_u128(1), 0);
        assert_eq!(key.len(), 4 + 64 + 8);
        assert_eq!(check_api_key(&key), Ok(()));
    }

    #[test]
    fn a_mistyped_key_does_not() {
        let key = SECRETS.api_key(Uuid::from_u128(1), 0);
        let last = if key.ends_with('0') { "1" } else { "0" };
        let mistyped = format!("{}{last}", &key[..key.len() - 1]);
        for text in [mistyped.as_str(), "dbk_", "", "dbk_é", &key[..70]] {
            assert_eq!(check_api_key(text), Err(ApiKeyError), "{text}");
        }
    }

    #[test]
    fn every_id_generation_purpose_and_root_has_its_own() {
        let id = Uuid::from_u128(1);
        let secrets = [
            SECRETS.derive("api-key", id, 0),
            SECRETS.derive("api-key", id, 1),
            SECRETS.derive("webhook", id, 0),
            SECRETS.derive("api-key", Uuid::from_u128(2), 0),
            Secrets::new([8; 32]).derive("api-key", id, 0),
        ];
        let distinct: std::collections::HashSet<_> = secrets.iter().collect();
        assert_eq!(distinct.len(), secrets.len());
    }
}
