//! Secret files: readable only by their owner, and written atomically.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A secret file that is written but not yet in place. Dropping it removes it.
pub struct Draft {
    draft: PathBuf,
    place: PathBuf,
}

impl Draft {
    /// Writes the text to a new file beside its final place.
    pub fn write(place: &Path, text: &str) -> io::Result<Self> {
        make_directory(directory_of(place))?;
        let this = Self {
            draft: beside(
                place,
                &format!("{}.new", hex::encode(rand::random::<[u8; 4]>())),
            ),
            place: place.to_owned(),
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&this.draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(this)
    }

    /// Moves the file into place; returns false if another file exists there, which stays.
    pub fn publish(&self) -> io::Result<bool> {
        match fs::hard_link(&self.draft, &self.place) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(error),
        }
        File::open(directory_of(&self.place))?.sync_all()?;
        Ok(true)
    }

    /// Moves the file into place; returns the new path of an existing file there.
    pub fn publish_anew(&self) -> io::Result<Option<PathBuf>> {
        if self.publish()? {
            return Ok(None);
        }
        let seconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |age| age.as_secs());
        let aside = beside(&self.place, &format!("old-{seconds}"));
        fs::rename(&self.place, &aside)?;
        match self.publish()? {
            true => Ok(Some(aside)),
            false => Err(ErrorKind::AlreadyExists.into()),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // A leftover draft is as private as the file itself.
        let _ = fs::remove_file(&self.draft);
    }
}

/// Creates a directory and its parents, accessible only to the owner.
pub fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn directory_of(place: &Path) -> &Path {
    match place.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

fn beside(place: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(place);
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_published_file_is_for_its_owner_alone_and_leaves_no_draft() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("data/secret");
        assert!(Draft::write(&place, "hush\n").unwrap().publish().unwrap());
        assert_eq!(fs::read_to_string(&place).unwrap(), "hush\n");
        assert_eq!((mode(&place), mode(directory_of(&place))), (0o600, 0o700));
        assert_eq!(fs::read_dir(directory_of(&place)).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_there_stays_or_is_kept_aside() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("secret");
        fs::write(&place, "old").unwrap();
        let draft = Draft::write(&place, "new").unwrap();
        assert!(!draft.publish().unwrap());
        assert_eq!(fs::read_to_string(&place).unwrap(), "old");
        let aside = draft.publish_anew().unwrap().unwrap();
        assert_eq!(fs::read_to_string(&place).unwrap(), "new");
        assert_eq!(fs::read_to_string(aside).unwrap(), "old");
    }

    #[test]
    fn a_draft_that_is_not_published_is_removed() {
        let home = tempfile::tempdir().unwrap();
        drop(Draft::write(&home.path().join("secret"), "hush").unwrap());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
