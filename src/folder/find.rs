//! Finds the files of a folder, except hidden ones. Links out of the folder are not followed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use domain::knowledge::note::MAX_BODY;
use domain::knowledge::place;
use indicatif::BinaryBytes;

use super::error::FolderError;

/// Maximum size of a note in bytes.
pub const MAX_NOTE: u64 = MAX_BODY as u64;
/// Maximum size of an attachment in bytes.
pub const MAX_ATTACHMENT: u64 = 100 << 20;

/// Folders of old copies that Logseq keeps.
const BACKUPS: [&str; 2] = ["logseq/bak", "logseq/version-files"];

/// The reasons for skipping a file.
#[derive(Debug, thiserror::Error)]
pub enum LeftOut {
    #[error("it has {}; a note holds at most {}", BinaryBytes(*.0), BinaryBytes(MAX_NOTE))]
    TooLarge(u64),
    #[error("it has {}; an attachment holds at most {}", BinaryBytes(*.0), BinaryBytes(MAX_ATTACHMENT))]
    TooLargeToAttach(u64),
    #[error("it is not UTF-8 from byte {0} on; convert it first")]
    NotUtf8(usize),
    #[error("it has NUL characters, so it is not text")]
    Binary,
    #[error("its front matter cannot be read: {0}")]
    FrontMatter(String),
    #[error("it is a symbolic link to a directory, and those are not followed")]
    DirectoryLink,
    #[error("it is a symbolic link out of the folder, and those are not followed")]
    Outside,
    #[error("it is not a regular file")]
    Special,
    #[error("its name cannot be kept: a path {}", place::PATH)]
    Name,
    #[error("no note could have it attached: there is none in the folder")]
    NoNote,
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("{0}")]
    Refused(String),
}

/// The files of a folder, by their relative paths.
#[derive(Debug, Default)]
pub struct Found {
    pub notes: Vec<String>,
    pub others: Vec<String>,
    pub left_out: Vec<(String, LeftOut)>,
}

/// Returns all files below a folder in the order of their paths, with Markdown files listed separately.
pub fn find(root: &Path) -> Result<Found, FolderError> {
    look_below(root).map_err(|source| FolderError::Directory {
        path: root.to_owned(),
        source,
    })
}

fn look_below(root: &Path) -> io::Result<Found> {
    let root = root.canonicalize()?;
    let mut found = Found::default();
    let mut directories = Vec::new();
    found.look_into(&root, &root, &mut directories)?;
    while let Some(directory) = directories.pop() {
        if let Err(error) = found.look_into(&root, &directory, &mut directories) {
            found
                .left_out
                .push((shown(&root, &directory), error.into()));
        }
    }
    found.notes.sort();
    found.others.sort();
    Ok(found)
}

impl Found {
    fn look_into(
        &mut self,
        root: &Path,
        directory: &Path,
        directories: &mut Vec<PathBuf>,
    ) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            let name = shown(root, &path);
            if entry.file_name().as_encoded_bytes().starts_with(b".") || BACKUPS.contains(&&*name) {
                continue;
            }
            let left_out = if kind.is_dir() {
                directories.push(path);
                continue;
            } else if kind.is_symlink() {
                match path.canonicalize() {
                    Ok(target) if target.is_dir() => Some(LeftOut::DirectoryLink),
                    Ok(target) if !target.starts_with(root) => Some(LeftOut::Outside),
                    Ok(_) => None,
                    Err(error) => Some(error.into()),
                }
            } else if kind.is_file() {
                None
            } else {
                Some(LeftOut::Special)
            };
            let is_kept = entry.path().to_str().is_some() && place::is_path(&name);
            match left_out {
                Some(reason) => self.left_out.push((name, reason)),
                None if !is_kept => self.left_out.push((name, LeftOut::Name)),
                None if place::markdown_stem(&name).is_some() => self.notes.push(name),
                None => self.others.push(name),
            }
        }
        Ok(())
    }
}

fn shown(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    let names: Vec<_> = path
        .components()
        .map(|name| name.as_os_str().to_string_lossy())
        .collect();
    names.join("/")
}

/// Reads a file of limited size.
pub fn read(path: &Path, most: u64, too_large: fn(u64) -> LeftOut) -> Result<Vec<u8>, LeftOut> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(LeftOut::Special);
    }
    if metadata.len() > most {
        return Err(too_large(metadata.len()));
    }
    Ok(fs::read(path)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn finds_files_but_hidden_ones_and_links_out_of_the_folder() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |name: &str| root.path().join(name);
        for name in [
            ".obsidian/app.json",
            ".trash/old.md",
            "logseq/bak/old.md",
            "a/b/c.MD",
            "d.md",
            "a/x.png",
        ] {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), "text").unwrap();
        }
        fs::write(outside.path().join("secret.md"), "text").unwrap();
        symlink(outside.path().join("secret.md"), at("secret.md")).unwrap();
        symlink(root.path(), at("a/circle")).unwrap();
        symlink(at("d.md"), at("a/inside.md")).unwrap();
        let found = find(root.path()).unwrap();
        assert_eq!(found.notes, ["a/b/c.MD", "a/inside.md", "d.md"]);
        assert_eq!(found.others, ["a/x.png"]);
        let mut left_out: Vec<_> = found
            .left_out
            .iter()
            .map(|(path, why)| (path.as_str(), why))
            .collect();
        left_out.sort_by_key(|(path, _)| *path);
        assert!(matches!(
            left_out[..],
            [
                ("a/circle", LeftOut::DirectoryLink),
                ("secret.md", LeftOut::Outside)
            ]
        ));
        assert!(find(Path::new("/nowhere/at/all")).is_err());
    }
}
