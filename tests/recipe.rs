//! Runs `docs/adding-a-context.md`: applies its snippets to a copy of the source code, and checks the copy.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PAGE: &str = "docs/adding-a-context.md";
/// Folders and files that the copy does not need.
const LEFT_OUT: [&str; 4] = [".git", "target", "data", "node_modules"];
/// Tests that cover every context, and that of the page itself.
const GENERATED: [&str; 6] = [
    "label",
    "access",
    "conventions",
    "openapi",
    "fold",
    "golden",
];

/// A snippet of the page.
struct Snippet {
    path: String,
    text: String,
    /// True if the snippet is a whole file; its lines are inserted into one otherwise.
    is_file: bool,
}

/// Returns the snippets whose fence names a file: `file=` for a whole one, `in=` for lines.
fn snippets(page: &str) -> Vec<Snippet> {
    let mut snippets = vec![];
    for block in page.split("\n```").skip(1).step_by(2) {
        let (fence, text) = block.split_once('\n').unwrap();
        let target = fence.split(' ').find_map(|word| word.split_once('='));
        if let Some((kind, path)) = target {
            snippets.push(Snippet {
                path: path.to_owned(),
                text: format!("{text}\n"),
                is_file: kind == "file",
            });
        }
    }
    snippets
}

/// Inserts a line among the lines like it: before the first that is greater, or after the last.
fn insert(file: &str, line: &str) -> String {
    let mut lines: Vec<&str> = file.lines().collect();
    let alike: Vec<usize> = (0..lines.len())
        .filter(|n| shape(lines[*n]) == shape(line))
        .collect();
    let greater = alike.iter().find(|n| lines[**n] > line).copied();
    let last = alike.last().map(|n| n + 1);
    let at = greater.or(last);
    lines.insert(at.unwrap_or_else(|| panic!("no line like {line:?}")), line);
    lines.join("\n") + "\n"
}

/// Returns what remains of a line without its names; of a row of a table, its first cell.
fn shape(line: &str) -> String {
    match line.strip_prefix("| ") {
        Some(row) => row.split(' ').next().unwrap_or_default().to_owned(),
        None => line
            .chars()
            .filter(|c| !c.is_alphanumeric() && *c != '_')
            .collect(),
    }
}

/// Copies a folder. Unchanged files keep their time, so that nothing is built twice.
fn copy(from: &Path, to: &Path) {
    for_each_file(from, to, &mut |from, to| {
        let text = fs::read(from).unwrap();
        if fs::read(to).ok().as_ref() != Some(&text) {
            fs::write(to, text).unwrap();
        }
    });
}

/// Links a folder's files into another.
fn link(from: &Path, to: &Path) {
    for_each_file(from, to, &mut |from, to| {
        if !to.exists() {
            fs::hard_link(from, to).unwrap();
        }
    });
}

fn for_each_file(from: &Path, to: &Path, act: &mut impl FnMut(&Path, &Path)) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let to = to.join(&name);
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            for_each_file(&entry.path(), &to, act);
        } else {
            act(&entry.path(), &to);
        }
    }
}

fn run(folder: &Path, arguments: &[&str]) {
    println!("cargo {}", arguments.join(" "));
    let status = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env_remove("REFUSALS_FOLDER")
        // Records the fold of the page\'s read model.
        .env("RECORD_FOLDS", "1")
        .status()
        .unwrap();
    let command = arguments.join(" ");
    assert!(
        status.success(),
        "cargo {command} fails with the context of {PAGE}"
    );
}

/// Returns the folder of this build.
fn target() -> PathBuf {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().unwrap().to_owned()
}

#[test]
#[ignore = "builds a copy of the source code; `make test` runs it"]
fn the_page_adds_a_context() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = target().join("recipe");
    copy(root, &folder);
    // The dependencies are built already.
    for part in ["deps", "build", ".fingerprint"] {
        let part = Path::new("debug").join(part);
        link(&target().join(&part), &folder.join("target").join(&part));
    }
    let page = fs::read_to_string(root.join(PAGE)).unwrap();
    for Snippet {
        path,
        text,
        is_file,
    } in snippets(&page)
    {
        let path = folder.join(path);
        let text = if is_file {
            text
        } else {
            let file = fs::read_to_string(&path).unwrap();
            text.lines().fold(file, |file, line| insert(&file, line))
        };
        fs::write(path, text).unwrap();
    }
    run(&folder, &["fmt", "--all", "--check"]);
    run(&folder, &["clippy", "--workspace", "--", "-D", "warnings"]);
    let test = [
        "test",
        "--workspace",
        "--lib",
        "--test",
        "golden",
        "--test",
        "refusals",
        "--test",
        "it",
        "--",
    ];
    run(&folder, &[&test[..], &GENERATED].concat());
}

/// Counts the lines of the page's context, without its tests, and the files that it edits.
#[test]
fn a_context_is_small() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE)).unwrap();
    let code =
        |snippet: &&Snippet| !snippet.path.starts_with("tests/") && !snippet.path.ends_with(".md");
    let snippets = snippets(&page);
    let lines: usize = snippets
        .iter()
        .filter(code)
        .map(|snippet| {
            let code = snippet
                .text
                .split("#[cfg(test)]")
                .next()
                .unwrap_or_default();
            code.lines().count()
        })
        .sum();
    let edited = snippets
        .iter()
        .filter(code)
        .filter(|snippet| !snippet.is_file)
        .count();
    assert!(lines <= 250, "{lines} lines");
    assert_eq!(edited, 3, "one file per layer");
}
