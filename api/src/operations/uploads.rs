//! Uploads in progress on this node: one at a time per file, and limited in number to bound memory.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use uuid::Uuid;

use crate::problem::Problem;

/// Maximum number of uploads; each holds some parts of its file in memory.
const MOST: usize = 32;

#[derive(Default)]
pub struct Uploads(Mutex<HashSet<Uuid>>);

/// An upload in progress; dropping it ends it.
pub struct Underway {
    uploads: Arc<Uploads>,
    file_id: Uuid,
}

impl Uploads {
    /// Begins an upload of a file.
    pub fn begin(uploads: &Arc<Self>, file_id: Uuid) -> Result<Underway, Problem> {
        let mut files = uploads.files();
        if files.contains(&file_id) {
            let detail = "bytes are arriving at this address already; wait for the answer, or try again in a moment";
            let problem = Problem::new(StatusCode::CONFLICT, "upload_in_progress", detail);
            return Err(problem.retry_after(1).and_close());
        }
        if files.len() >= MOST {
            let detail = "too many files are arriving; try again in a moment at the same address";
            return Err(Problem::unavailable(detail).coded("busy").and_close());
        }
        files.insert(file_id);
        drop(files);
        Ok(Underway {
            uploads: Arc::clone(uploads),
            file_id,
        })
    }

    fn files(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.uploads.files().remove(&self.file_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_arrives_once_at_a_time_and_not_too_many_do() {
        let uploads = Arc::new(Uploads::default());
        let begin = |n: u128| Uploads::begin(&uploads, Uuid::from_u128(n));
        let code = |n| begin(n).err().map(|problem| problem.code().to_owned());
        let first = begin(0).unwrap();
        assert_eq!(code(0).as_deref(), Some("upload_in_progress"));
        let others: Vec<_> = (1..MOST as u128).map(begin).collect();
        assert!(others.iter().all(Result::is_ok));
        assert_eq!(code(1_000).as_deref(), Some("busy"));
        drop(first);
        assert_eq!(code(0), None);
    }
}
