//! Errors of the blob store.

use std::error::Error;
use std::io::{self, ErrorKind};

/// Reasons why bytes could not be stored or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// The object does not exist.
    #[error("there is no object {0}")]
    Absent(String),
    /// The store has no space left.
    #[error("the store of files is full: {0}")]
    Full(String),
    /// The store does not respond, or responds with an error.
    #[error("the store of files is not available: {0}")]
    Unavailable(String),
}

impl BlobError {
    pub(crate) fn io(error: &io::Error) -> Self {
        let kind = error.kind();
        if matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
            Self::Full(error.to_string())
        } else {
            Self::Unavailable(error.to_string())
        }
    }

    /// Returns the same error with the store's name.
    pub(crate) fn at(self, place: &str) -> Self {
        match self {
            Self::Absent(name) => Self::Absent(name),
            Self::Full(detail) => Self::Full(format!("{place}: {detail}")),
            Self::Unavailable(detail) => Self::Unavailable(format!("{place}: {detail}")),
        }
    }
}

impl From<object_store::Error> for BlobError {
    fn from(error: object_store::Error) -> Self {
        if let object_store::Error::NotFound { path, .. } = &error {
            return Self::Absent(path.clone());
        }
        let full = |error: &io::Error| matches!(Self::io(error), Self::Full(_));
        match causes(&error).find_map(|cause| cause.downcast_ref::<io::Error>().filter(|e| full(e)))
        {
            Some(cause) => Self::io(cause),
            None => Self::Unavailable(error.to_string()),
        }
    }
}

/// Returns an error and its causes.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(kind: ErrorKind) -> BlobError {
        let source: Box<dyn Error + Send + Sync> = Box::new(io::Error::from(kind));
        object_store::Error::Generic {
            store: "LocalFileSystem",
            source,
        }
        .into()
    }

    #[test]
    fn a_full_disk_is_told_from_other_faults() {
        assert!(matches!(from(ErrorKind::StorageFull), BlobError::Full(_)));
        assert!(matches!(from(ErrorKind::QuotaExceeded), BlobError::Full(_)));
        let other = from(ErrorKind::ConnectionRefused);
        assert!(matches!(other, BlobError::Unavailable(_)));
    }

    #[test]
    fn what_is_not_there_is_told_from_what_does_not_answer() {
        let absent = object_store::Error::NotFound {
            path: "a".into(),
            source: "gone".into(),
        };
        assert_eq!(BlobError::from(absent), BlobError::Absent("a".into()));
    }
}
