//! README's tour, run in a shell against a server.

use std::path::Path;
use std::process::Stdio;

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::database::private;
use crate::harness::{DAYBOOK, PATIENCE, Server};

/// Address that the tour uses.
const ADDRESS: &str = "http://127.0.0.1:8080";
/// Printed after each block.
const END: &str = "=== end of block ===";

/// A block to run, and the output that README shows below it.
struct Step {
    block: String,
    promise: String,
}

/// Returns the fenced blocks of the tour: pairs of one in `sh` and one with its output.
fn tour() -> Vec<Step> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"));
    let readme = readme.unwrap();
    let (_, tour) = readme.split_once("\n## A tour").unwrap();
    let (tour, _) = tour.split_once("\n## ").unwrap();
    let mut steps: Vec<Step> = vec![];
    let mut language = None;
    for event in Parser::new(tour) {
        match (event, &language) {
            (Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))), _) => {
                language = Some(info.to_string());
            }
            (Event::Text(text), Some(language)) if language == "sh" => {
                let (block, promise) = (text.to_string(), String::new());
                steps.push(Step { block, promise });
            }
            (Event::Text(text), Some(_)) => steps.last_mut().unwrap().promise += &text,
            (Event::End(_), _) => language = None,
            _ => {}
        }
    }
    steps
}

/// Returns true if the text matches, where `…` stands for anything.
fn keeps(promise: &str, text: &str) -> bool {
    let mut pieces = promise.trim().split('…');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.trim().strip_prefix(first) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        let Some((_, after)) = rest.split_once(piece) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

#[test]
fn a_promise_is_kept_by_the_same_text_with_anything_in_its_gaps() {
    for (text, expected) in [
        ("a: 1, c", true),
        ("a: 1, b, c\n", true),
        ("a: , c", true),
        ("a: 1", false),
        ("b: 1, c", false),
        ("a: 1, c!", false),
    ] {
        assert_eq!(keeps("a: …, c\n", text), expected, "{text}");
    }
    assert!(keeps("as it is", "as it is\n") && !keeps("as it is", "as it is not"));
}

#[tokio::test]
async fn the_tour_can_be_pasted_and_prints_what_it_shows() {
    let home = store::testing::directory();
    let server = Server::launch(&mut private(&home.join("data"), &[])).await;
    std::fs::create_dir_all(home.join("target/serve")).unwrap();
    std::os::unix::fs::symlink(DAYBOOK, home.join("target/serve/daybook")).unwrap();
    let steps = tour();
    assert!(steps.len() > 5 && steps[0].block.contains(ADDRESS));

    let mut shell = Command::new("bash")
        .args(["-euo", "pipefail"])
        .current_dir(&home)
        .env_remove("DATABASE_URL")
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut pasted = String::from("exec 2>&1\n");
    for step in &steps {
        let block = step.block.replace(ADDRESS, &server.url);
        pasted += &format!("{block}\necho '{END}'\n");
    }
    let mut terminal = shell.stdin.take().unwrap();
    terminal.write_all(pasted.as_bytes()).await.unwrap();
    drop(terminal);
    let output = tokio::time::timeout(PATIENCE, shell.wait_with_output()).await;
    let output = output.expect("the tour ends in time").unwrap();
    let printed = String::from_utf8(output.stdout)
        .unwrap()
        .replace("\r\n", "\n");
    assert!(output.status.success(), "{printed}");

    let mut printed = printed.split(END);
    for Step { block, promise } in &steps {
        let printed = printed.next().unwrap();
        assert!(
            keeps(promise, printed),
            "{block}\nprints\n{printed}\nand not\n{promise}"
        );
    }
    server.tell_to_stop().await;
    assert!(server.ended().await.success());
}
