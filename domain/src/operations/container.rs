//! Containers: the purpose of a file, which limits its size and media type.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

const KIB: u64 = 1 << 10;
const MIB: u64 = KIB << 10;
const GIB: u64 = MIB << 10;

/// The purpose of a file.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::Display,
    strum::EnumString,
    strum::VariantArray,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Container {
    Attachments,
    Audio,
    Transcripts,
    /// Pictures of actors; each is also stored in 64, 128 and 256 pixels.
    Avatars,
    Releases,
    Backups,
}

crate::generate! { enum Container { Attachments, Audio, Transcripts, Avatars, Releases, Backups } }

impl Container {
    /// Returns the default maximum size of a file in bytes.
    #[must_use]
    pub const fn max_size(self) -> u64 {
        match self {
            Self::Avatars => 5 * MIB,
            Self::Transcripts => 32 * MIB,
            Self::Attachments => 100 * MIB,
            Self::Audio => 512 * MIB,
            Self::Releases => 2 * GIB,
            // The most that S3 copies in one request.
            Self::Backups => 5 * GIB,
        }
    }

    /// Returns the media types that the container accepts.
    #[must_use]
    pub const fn media_types(self) -> &'static [&'static str] {
        match self {
            Self::Avatars => &["image/png", "image/jpeg", "image/webp", "image/gif"],
            Self::Audio => &["audio/*", "video/mp4", "video/webm", "application/ogg"],
            Self::Transcripts => &["text/*", "application/json", "application/x-subrip"],
            Self::Attachments | Self::Releases | Self::Backups => &["*"],
        }
    }

    #[must_use]
    pub fn takes(self, media_type: &str) -> bool {
        self.media_types()
            .iter()
            .any(|pattern| crate::covers(pattern, media_type))
    }
}

/// The maximum size in bytes of a file in each container, if it differs from [`Container::max_size`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MaxSizes(pub BTreeMap<Container, u64>);

impl MaxSizes {
    #[must_use]
    pub fn of(&self, container: Container) -> u64 {
        let said = self.0.get(&container).copied();
        said.unwrap_or_else(|| container.max_size())
    }
}

/// Returns true for a media type without parameters, as defined by RFC 6838 (section 4.2).
#[must_use]
pub fn is_media_type(text: &str) -> bool {
    let name = |text: &str| {
        (1..=127).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && text
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9') || b"!#$&-^_.+".contains(&b))
    };
    text.split_once('/')
        .is_some_and(|(kind, subtype)| name(kind) && name(subtype))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_takes_what_it_is_for() {
        assert!(Container::Audio.takes("audio/mpeg"));
        assert!(!Container::Audio.takes("text/plain"));
        assert!(Container::Avatars.takes("image/png"));
        assert!(!Container::Avatars.takes("image/svg+xml"));
        assert!(Container::Backups.takes("application/x-anything"));
    }

    #[test]
    fn a_media_type_has_two_names_and_no_parameters() {
        for good in ["text/plain", "image/svg+xml", "application/vnd.ms-excel"] {
            assert!(is_media_type(good), "{good}");
        }
        for bad in [
            "",
            "text",
            "text/",
            "/plain",
            "Text/Plain",
            "text/plain; charset=utf-8",
            "text/pl ain",
            "text/plain\r\nx: y",
            "a/b/c",
            "*/*",
        ] {
            assert!(!is_media_type(bad), "{bad}");
        }
    }
}
