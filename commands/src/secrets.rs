//! API keys, signing secrets and addresses of calendar feeds. They are derived from the node's root secret, so that the
//! log holds none of them and every node can verify and sign.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::Aead;
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use uuid::Uuid;

const PREFIX: &str = "dbk_";
const SEALED: &str = "sealed:v1:";

/// The root secret: 256 random bits, the same on every node of one database.
#[derive(Clone)]
pub struct Secrets([u8; 32]);

/// The text cannot be an API key.
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

    /// Returns an API key: `dbk_`, 256 bits and their CRC-32, in hex.
    #[must_use]
    pub fn api_key(&self, id: Uuid, generation: u32) -> String {
        let bits = hex::encode(self.derive("api-key", id, generation));
        let checksum = crc32fast::hash(bits.as_bytes());
        format!("{PREFIX}{bits}{checksum:08x}")
    }

    /// Returns the token in the address of a calendar feed: `dbf_` and 256 bits in hex.
    #[must_use]
    pub fn calendar_feed(&self, id: Uuid) -> String {
        format!("dbf_{}", hex::encode(self.derive("calendar-feed", id, 0)))
    }

    /// Returns a signing secret in the format of Standard Webhooks: `whsec_` and 256 bits in base64.
    #[must_use]
    pub fn webhook(&self, id: Uuid, generation: u32) -> String {
        format!(
            "whsec_{}",
            STANDARD.encode(self.webhook_key(id, generation))
        )
    }

    /// Returns the raw key of [`Self::webhook`].
    #[must_use]
    pub fn webhook_key(&self, id: Uuid, generation: u32) -> [u8; 32] {
        self.derive("webhook", id, generation)
    }

    /// Returns the key that signs the state that clients of the tool protocol carry from one call to the next.
    #[must_use]
    pub fn request_state_key(&self) -> [u8; 32] {
        self.derive("mcp-request-state", Uuid::nil(), 0)
    }

    /// Returns the signature of the claims in a signed address of a file: 256 bits in hex.
    #[must_use]
    pub fn sign_file_url(&self, id: Uuid, claims: &str) -> String {
        hex::encode(self.file_url(id, claims).finalize().into_bytes())
    }

    /// Returns true if the signature matches the claims; takes constant time.
    #[must_use]
    pub fn verify_file_url(&self, id: Uuid, claims: &str, signature: &str) -> bool {
        let bits = hex::decode(signature).unwrap_or_default();
        self.file_url(id, claims).verify_slice(&bits).is_ok()
    }

    fn file_url(&self, id: Uuid, claims: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::from(&Self(self.derive("file-url", id, 0)));
        mac.update(claims.as_bytes());
        mac
    }

    /// Encrypts a text for the log. The same text of the same subject always gives the same result, so that a repeated
    /// command has the same content.
    #[must_use]
    pub fn seal(&self, id: Uuid, text: &str) -> String {
        let key = self.derive("seal", id, 0);
        let mut mac = Hmac::<Sha256>::from(&Self(key));
        mac.update(text.as_bytes());
        let digest = mac.finalize().into_bytes();
        let mut nonce = XNonce::default();
        nonce.copy_from_slice(&digest[..24]);
        // Encryption fails only beyond 256 GiB.
        let sealed = XChaCha20Poly1305::new(&key.into())
            .encrypt(&nonce, text.as_bytes())
            .unwrap_or_default();
        format!(
            "{SEALED}{}",
            STANDARD.encode([nonce.as_slice(), &sealed].concat())
        )
    }

    /// Decrypts the result of [`Self::seal`]; none if it was sealed for another subject or with another root secret.
    #[must_use]
    pub fn open(&self, id: Uuid, sealed: &str) -> Option<String> {
        let bytes = STANDARD.decode(sealed.strip_prefix(SEALED)?).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(24)?;
        let key = self.derive("seal", id, 0);
        let nonce = XNonce::try_from(nonce).ok()?;
        let text = XChaCha20Poly1305::new(&key.into())
            .decrypt(&nonce, sealed)
            .ok()?;
        String::from_utf8(text).ok()
    }

    /// Returns a fingerprint that distinguishes root secrets without revealing them.
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
        // Half a block, padded with zeroes; a key of exactly one block is always accepted.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&secrets.0);
        Self::new(&block.into())
    }
}

/// Checks offline that a text can be an API key: its checksum must be right.
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

/// Returns the hash under which a key is stored and bytes are identified.
#[must_use]
pub fn sha256_hex(text: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(text.as_ref()))
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
    fn every_calendar_feed_has_a_token_of_its_own() {
        let token = SECRETS.calendar_feed(Uuid::from_u128(1));
        assert_eq!(token.len(), 4 + 64);
        assert_eq!(SECRETS.calendar_feed(Uuid::from_u128(1)), token);
        assert_ne!(SECRETS.calendar_feed(Uuid::from_u128(2)), token);
    }

    #[test]
    fn an_address_is_signed_for_one_file_and_for_what_it_says() {
        let (id, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let signature = SECRETS.sign_file_url(id, "PUT 3");
        assert_eq!(signature.len(), 64);
        assert!(SECRETS.verify_file_url(id, "PUT 3", &signature));
        assert!(!SECRETS.verify_file_url(other, "PUT 3", &signature));
        assert!(!SECRETS.verify_file_url(id, "GET 3", &signature));
        assert!(!Secrets::new([8; 32]).verify_file_url(id, "PUT 3", &signature));
        for bad in ["", "tea", &signature[..62], &format!("{signature}00")] {
            assert!(!SECRETS.verify_file_url(id, "PUT 3", bad), "{bad}");
        }
    }

    #[test]
    fn what_is_sealed_is_opened_for_the_same_thing_by_the_same_root_alone() {
        let (id, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let sealed = SECRETS.seal(id, "Bearer tea");
        assert!(!sealed.contains("tea"));
        assert_eq!(SECRETS.seal(id, "Bearer tea"), sealed);
        assert_ne!(SECRETS.seal(id, "Bearer coffee"), sealed);
        assert_eq!(SECRETS.open(id, &sealed).as_deref(), Some("Bearer tea"));
        assert_eq!(SECRETS.open(other, &sealed), None);
        assert_eq!(Secrets::new([8; 32]).open(id, &sealed), None);
        for bad in [
            "",
            "Bearer tea",
            "sealed:v1:",
            "sealed:v1:AAAA",
            &sealed[..40],
        ] {
            assert_eq!(SECRETS.open(id, bad), None, "{bad}");
        }
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
