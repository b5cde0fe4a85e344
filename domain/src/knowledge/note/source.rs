//! The file of a folder that a note was made of.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Violations;
use crate::knowledge::place;
use crate::operations::blob::is_sha256;

/// A file that was imported: its place, by which the next import finds the note, and what the note's text does not tell.
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
    /// The file begins with a byte order mark, which is no part of the note's body.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub byte_order_mark: bool,
    /// Time at which the file was created, as far as it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime<Utc>>,
    /// Time at which the file was last changed before it was imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_at: Option<DateTime<Utc>>,
}

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
