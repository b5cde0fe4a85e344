//! The file in a folder that a note was imported from.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Violations;
use crate::knowledge::place;
use crate::operations::blob::is_sha256;

/// A file that was imported: its path, by which the next import finds the note, and details that are not in the note's
/// text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SourceFile)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// Path within the folder, with `/` between names.
    #[schema(max_length = 1000, example = "Garden/Rain barrel.md")]
    pub path: String,
    /// SHA-256 of the file's bytes when it was last imported, in hex.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub sha256: String,
    /// True if the file begins with a byte order mark, which is not part of the note's body.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub byte_order_mark: bool,
    /// Time at which the file was created, if the file has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime<Utc>>,
    /// Time of the file's last change before it was imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_at: Option<DateTime<Utc>>,
}

crate::generate! { struct SourceFile { path, sha256, byte_order_mark, created_at, modified_at } }

impl SourceFile {
    pub(super) fn check(&self, violations: &mut Violations) {
        violations.require(place::is_path(&self.path), "/file/path", place::PATH);
        violations.require(
            is_sha256(&self.sha256),
            "/file/sha256",
            "must be 64 hexadecimal digits in lower case",
        );
    }
}
