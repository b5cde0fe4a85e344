//! Finds the Markdown files below a directory, and reads them whatever their encoding.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use indicatif::BinaryBytes;

/// Longest body of a note in bytes, as `POST /v1/notes` documents it: one mebibyte.
pub const MAX_BODY: usize = 1 << 20;

/// Largest attachment in bytes, as `POST /v1/files` documents it.
const MAX_ATTACHMENT: u64 = 100 << 20;

/// Why a file or a directory is left out.
#[derive(Debug, thiserror::Error)]
pub enum LeftOut {
    /// A note would not hold it.
    #[error("it has {}; a note holds at most {}", BinaryBytes(*.0), BinaryBytes(MAX_BODY as u64))]
    TooLarge(u64),
    /// Nor would the container of attachments.
    #[error("it has {}; an attachment holds at most {}", BinaryBytes(*.0), BinaryBytes(MAX_ATTACHMENT))]
    TooLargeToAttach(u64),
    /// It is no text.
    #[error("it has NUL characters, so it is no text")]
    Binary,
    /// It could lead in circles, or out of the directory.
    #[error("it is a symbolic link to a directory, and those are not followed")]
    Link,
    /// A pipe, a socket, a device.
    #[error("it is not a regular file")]
    Special,
    /// The system does not give it out.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// What is below a directory.
#[derive(Default)]
pub struct Found {
    pub files: Vec<PathBuf>,
    /// Whatever else there is, but for what is hidden.
    pub others: Vec<PathBuf>,
    pub left_out: Vec<(PathBuf, LeftOut)>,
}

/// All files below a directory, in the order of their paths, the Markdown files apart.
pub fn find(root: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    let mut directories = Vec::new();
    found.look_into(root, &mut directories)?;
    while let Some(directory) = directories.pop() {
        if let Err(error) = found.look_into(&directory, &mut directories) {
            found.left_out.push((directory, error.into()));
        }
    }
    found.files.sort();
    found.others.sort();
    Ok(found)
}

impl Found {
    fn look_into(&mut self, directory: &Path, directories: &mut Vec<PathBuf>) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() {
                directories.push(path);
            } else if kind.is_symlink() && path.is_dir() {
                self.left_out.push((path, LeftOut::Link));
            } else if is_markdown(&path) {
                self.files.push(path);
            } else if kind.is_file() && !is_hidden(&path) {
                self.others.push(path);
            }
        }
        Ok(())
    }
}

/// Of a file, as far as it differs from others'.
pub fn name(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}

fn is_hidden(path: &Path) -> bool {
    let starts_with_a_dot = |part: &std::ffi::OsStr| part.as_encoded_bytes().starts_with(b".");
    path.file_name().is_some_and(starts_with_a_dot)
}

fn is_markdown(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("md"))
}

/// The text of a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Text {
    /// With line feeds only, whatever the file ends its lines with.
    pub text: String,
    /// What was wrong with its encoding.
    pub trouble: Option<String>,
}

pub fn read(path: &Path) -> Result<Text, LeftOut> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(LeftOut::Special);
    }
    // Not even looked into: it could be of any size.
    if metadata.len() > MAX_BODY as u64 {
        return Err(LeftOut::TooLarge(metadata.len()));
    }
    decode(&fs::read(path)?)
}

/// The bytes of a file that is to be attached.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, LeftOut> {
    match fs::metadata(path)?.len() {
        size if size > MAX_ATTACHMENT => Err(LeftOut::TooLargeToAttach(size)),
        _ => Ok(fs::read(path)?),
    }
}

fn decode(bytes: &[u8]) -> Result<Text, LeftOut> {
    let (text, trouble) = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest),
        bytes => utf8(bytes),
    };
    if text.contains('\0') {
        return Err(LeftOut::Binary);
    }
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    // A bad byte becomes three.
    if text.len() > MAX_BODY {
        return Err(LeftOut::TooLarge(text.len() as u64));
    }
    Ok(Text { text, trouble })
}

fn utf8(bytes: &[u8]) -> (String, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(error) => {
            let trouble = format!(
                "it is not UTF-8 from byte {} on; what cannot be read shows as \u{fffd}",
                error.valid_up_to()
            );
            (String::from_utf8_lossy(bytes).into_owned(), Some(trouble))
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> (String, Option<String>) {
    let (pairs, odd) = bytes.as_chunks();
    let units: Vec<u16> = pairs.iter().copied().map(unit).collect();
    let trouble = if odd.is_empty() {
        "it is UTF-16, and is imported as UTF-8"
    } else {
        "it is UTF-16 and ends in the middle of a character; the rest is imported as UTF-8"
    };
    (String::from_utf16_lossy(&units), Some(trouble.into()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(root: &Path, paths: &[PathBuf]) -> Vec<String> {
        paths
            .iter()
            .map(|path| path.strip_prefix(root).unwrap().display().to_string())
            .collect()
    }

    #[test]
    fn markdown_is_found_at_any_depth_and_a_link_in_circles_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("deep/er")).unwrap();
        for name in ["b.md", "deep/er/A.MD", "deep/not.txt", "deep/er/c.md"] {
            fs::write(at(name), "text").unwrap();
        }
        fs::write(at("deep/.hidden"), "text").unwrap();
        symlink(root.path(), at("deep/circle")).unwrap();
        symlink(at("b.md"), at("deep/link.md")).unwrap();
        symlink(at("nowhere"), at("deep/dangling.md")).unwrap();

        let found = find(root.path()).unwrap();

        assert_eq!(
            names(root.path(), &found.files),
            [
                "b.md",
                "deep/dangling.md",
                "deep/er/A.MD",
                "deep/er/c.md",
                "deep/link.md"
            ]
        );
        assert_eq!(names(root.path(), &found.others), ["deep/not.txt"]);
        let [(path, LeftOut::Link)] = &found.left_out[..] else {
            panic!("{:?}", found.left_out);
        };
        assert_eq!(path, &at("deep/circle"));
        assert_eq!(read(&at("deep/link.md")).unwrap().text, "text");
        assert!(matches!(
            read(&at("deep/dangling.md")),
            Err(LeftOut::Unreadable(_))
        ));
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        assert!(find(Path::new("/nowhere/at/all")).is_err());
    }

    #[test]
    fn line_ends_become_line_feeds_and_a_byte_order_mark_goes() {
        let read = decode(b"\xef\xbb\xbf# Tea\r\n\r\nSteep.\rEnd\n").unwrap();
        assert_eq!(read.text, "# Tea\n\nSteep.\nEnd\n");
        assert_eq!(read.trouble, None);
    }

    #[test]
    fn what_is_not_utf8_is_read_as_far_as_it_can_be_and_said() {
        let latin1 = decode(b"Caf\xe9 au lait").unwrap();
        assert_eq!(latin1.text, "Caf\u{fffd} au lait");
        assert!(latin1.trouble.unwrap().contains("byte 3"));
        let utf16: Vec<u8> = "\u{feff}Grün"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let utf16 = decode(&utf16).unwrap();
        assert_eq!(utf16.text, "Grün");
        assert!(utf16.trouble.unwrap().contains("UTF-16"));
    }

    #[test]
    fn what_no_note_could_hold_is_left_out() {
        assert!(matches!(decode(b"PNG\0\0"), Err(LeftOut::Binary)));
        let broken = vec![0xe9; MAX_BODY];
        assert!(matches!(decode(&broken), Err(LeftOut::TooLarge(n)) if n == 3 << 20));
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("huge.md");
        fs::write(&path, vec![b'x'; 2 << 20]).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert_eq!(error, "it has 2.00 MiB; a note holds at most 1.00 MiB");
        assert!(matches!(read(root.path()), Err(LeftOut::Special)));
    }
}
