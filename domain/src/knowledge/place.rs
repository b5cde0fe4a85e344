//! Paths of files within a folder of notes.

/// The maximum length of a path in characters.
pub const MAX_PATH: usize = 1_000;

/// Describes a valid path, for an error.
pub const PATH: &str = "must be a relative path of at most 1000 characters, with / between its names and without . or ..";

/// Returns true if a path leads to one place below any folder, on every system.
#[must_use]
pub fn is_path(path: &str) -> bool {
    let is_name = |name: &str| {
        !matches!(name, "" | "." | "..") && !name.contains(|c: char| c == '\\' || c.is_control())
    };
    path.chars().count() <= MAX_PATH && path.split('/').all(is_name)
}

/// Returns the folder of a file; empty for the root.
#[must_use]
pub fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Returns the path without the extension of a Markdown file.
#[must_use]
pub fn stem(path: &str) -> &str {
    markdown_stem(path).unwrap_or(path)
}

/// Returns the path of a Markdown file without its extension; None for any other file.
#[must_use]
pub fn markdown_stem(path: &str) -> Option<&str> {
    let (stem, ending) = path.rsplit_once('.')?;
    let is_markdown = ending.eq_ignore_ascii_case("md") || ending.eq_ignore_ascii_case("markdown");
    (is_markdown && !stem.is_empty() && !stem.ends_with('/')).then_some(stem)
}

/// Returns the path that a link in a file of the folder leads to; None if that is outside the root folder.
#[must_use]
pub fn resolve(folder: &str, link: &str) -> Option<String> {
    let folder = if link.starts_with('/') { "" } else { folder };
    let mut names: Vec<&str> = folder.split('/').filter(|name| !name.is_empty()).collect();
    for name in link.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop()?;
            }
            name => names.push(name),
        }
    }
    Some(names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_paths_that_stay_below_their_folder() {
        for path in ["Home.md", "Garden/Tool shed.md", "a/..b/c.", "été/ß.md"] {
            assert!(is_path(path), "{path}");
        }
        for path in [
            "",
            "/etc/passwd",
            "../x.md",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            "a\\..\\b",
            "a\nb",
            "a\0",
            &"x".repeat(MAX_PATH + 1),
        ] {
            assert!(!is_path(path), "{path}");
        }
    }

    #[test]
    fn takes_a_path_apart() {
        assert_eq!((folder("a/b/c.md"), folder("c.md")), ("a/b", ""));
        assert_eq!((stem("a/b.MD"), stem("a/v1.2")), ("a/b", "a/v1.2"));
        assert_eq!(markdown_stem("a/b.png"), None);
        assert_eq!(markdown_stem("a/.md"), None);
    }

    #[test]
    fn resolves_a_link_from_the_folder_of_its_file() {
        for (link, expected) in [
            ("b.md", Some("x/y/b.md")),
            ("./b.md", Some("x/y/b.md")),
            ("../b.md", Some("x/b.md")),
            ("/b.md", Some("b.md")),
            ("../../b.md", Some("b.md")),
            ("../../../b.md", None),
        ] {
            assert_eq!(resolve("x/y", link).as_deref(), expected, "{link}");
        }
    }
}
