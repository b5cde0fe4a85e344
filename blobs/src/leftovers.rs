//! Temporary files that a process leaves in a local folder if it dies during an upload; listings do not show them.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::{BlobError, Blobs};

impl Blobs {
    /// Deletes the files of unfinished uploads that are at least this old; returns their number. A remote store has its
    /// own rule for them.
    pub async fn clear_leftovers(&self, age: Duration, dry_run: bool) -> Result<u64, BlobError> {
        let Some(root) = self.root.clone() else {
            return Ok(0);
        };
        let cleared = tokio::task::spawn_blocking(move || clear(root, age, dry_run));
        match cleared.await {
            Ok(count) => count.map_err(|error| BlobError::io(&error)),
            Err(error) => Err(BlobError::Unavailable(error.to_string())),
        }
    }
}

fn clear(root: PathBuf, age: Duration, dry_run: bool) -> std::io::Result<u64> {
    let mut folders = vec![root];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if is_unfinished(&entry.path()) && is_older(metadata.modified()?, age) {
                count += 1;
                if !dry_run {
                    std::fs::remove_file(entry.path())?;
                }
            }
        }
    }
    Ok(count)
}

fn is_older(modified: SystemTime, age: Duration) -> bool {
    // A time in the future, after the clock was set back, is not old.
    modified.elapsed().is_ok_and(|elapsed| elapsed >= age)
}

/// Returns true for the local store's name of an unfinished file: the name of the object, `#`, and a number.
fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.rsplit_once('#'))
        .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;

    #[tokio::test]
    async fn only_what_was_left_unfinished_long_ago_is_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("a/b");
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["x#1", "x", "y#z"] {
            std::fs::write(folder.join(name), "tea").unwrap();
        }
        let place = Place {
            url: directory.path().display().to_string(),
            ..Place::default()
        };
        let blobs = Blobs::open(&place).unwrap();
        let hour = Duration::from_hours(1);
        assert_eq!(blobs.clear_leftovers(hour, false).await, Ok(0));
        assert_eq!(blobs.clear_leftovers(Duration::ZERO, true).await, Ok(1));
        assert!(folder.join("x#1").exists());
        assert_eq!(blobs.clear_leftovers(Duration::ZERO, false).await, Ok(1));
        assert!(!folder.join("x#1").exists());
        assert!(folder.join("x").exists() && folder.join("y#z").exists());
    }
}
