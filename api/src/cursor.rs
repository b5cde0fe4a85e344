//! Cursors: the start of a list's next page. A cursor is valid only for the list that issued it.

use std::fmt::Display;
use std::str::FromStr;

use axum::http::request::Parts;
use sha2::{Digest, Sha256};

use crate::parameters;
use crate::problem::Problem;

/// Number of characters that identify the list in a cursor.
const NAME: usize = 8;
/// Parameters that select a page, not a list.
const OF_PAGES: [&str; 2] = ["cursor", "limit"];

/// Message for an invalid cursor.
pub const NOT_OURS: &str =
    "must be next_cursor of an earlier page of this list, asked for with the same filters";

/// The identity of a list: a hash of its path and filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListId(u32);

impl ListId {
    /// Returns the list that a request asks for.
    pub fn of(parts: &Parts) -> Self {
        let mut filters = parameters::given(&parts.uri);
        filters.retain(|(name, _)| !OF_PAGES.contains(&name.as_str()));
        filters.sort_unstable();
        let mut hash = Sha256::new().chain_update(parts.uri.path());
        for (name, value) in filters {
            hash = hash
                .chain_update([0])
                .chain_update(name)
                .chain_update([0])
                .chain_update(value);
        }
        Self::from(hash)
    }

    /// Returns a list that is identified by name instead of path and filters.
    pub fn named(name: &str) -> Self {
        Self::from(Sha256::new().chain_update(name))
    }

    fn from(hash: Sha256) -> Self {
        let [a, b, c, d, ..]: [u8; 32] = hash.finalize().into();
        Self(u32::from_be_bytes([a, b, c, d]))
    }

    /// Returns the cursor of a page that starts after a place in the list.
    pub fn cursor(self, place: impl Display) -> String {
        format!("{:08x}{place}", self.0)
    }

    /// Returns the place that a cursor stands for, if there is a cursor.
    pub fn place<T: FromStr>(self, cursor: Option<&str>) -> Result<Option<T>, Problem> {
        let invalid = || parameters::invalid("cursor", NOT_OURS);
        cursor
            .map(|cursor| self.open(cursor).ok_or_else(invalid))
            .transpose()
    }

    /// Returns the place that a cursor stands for; `None` if the cursor belongs to another list.
    pub fn open<T: FromStr>(self, cursor: &str) -> Option<T> {
        let (name, place) = cursor.split_at_checked(NAME)?;
        let is_own = name == format!("{:08x}", self.0);
        place.parse().ok().filter(|_| is_own)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn list(uri: &str) -> ListId {
        let (parts, ()) = Request::get(uri).body(()).unwrap().into_parts();
        ListId::of(&parts)
    }

    #[test]
    fn a_cursor_is_good_for_its_own_list_alone() {
        let notes = list("/v1/notes?tag=tea&status=active");
        let cursor = notes.cursor(42);
        for same in [
            "/v1/notes?status=active&tag=tea",
            "/v1/notes?cursor=x&limit=7&tag=tea&status=active",
        ] {
            assert_eq!(list(same).place::<u32>(Some(&cursor)).unwrap(), Some(42));
        }
        for other in ["/v1/notes?tag=tea", "/v1/tasks?tag=tea&status=active"] {
            assert!(list(other).place::<u32>(Some(&cursor)).is_err(), "{other}");
        }
        assert_eq!(notes.place::<u32>(None).unwrap(), None);
    }

    #[test]
    fn what_was_never_given_out_is_no_cursor() {
        let notes = list("/v1/notes");
        for text in ["", "42", "ééééé", &notes.cursor("x"), &notes.cursor("")] {
            assert!(notes.place::<u32>(Some(text)).is_err(), "{text}");
        }
    }
}
