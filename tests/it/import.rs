//! `daybook import` and `daybook export`, on typical folders of Obsidian, Foam, Logseq and Notion.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use uuid::Uuid;

use crate::harness::{DAYBOOK, PATIENCE, TestApp, eventually, id};

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        write(root.path(), name, bytes);
    }
    root
}

fn write(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Returns the files of a folder, except hidden ones.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            if path.file_name().unwrap().to_str().unwrap().starts_with('.') {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
            } else {
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

fn command(app: &TestApp, args: &[&str]) -> Command {
    let mut command = Command::new(DAYBOOK);
    command
        .args(args)
        .args(["--server", &app.url, "--key", &app.alice.key])
        .env("NO_PROXY", "127.0.0.1")
        .kill_on_drop(true);
    command
}

async fn daybook(app: &TestApp, args: &[&str]) -> (Output, String, String) {
    let output = tokio::time::timeout(2 * PATIENCE, command(app, args).output()).await;
    let output = output.expect("it ends in time").unwrap();
    let told = String::from_utf8(output.stdout.clone()).unwrap();
    let warned = String::from_utf8(output.stderr.clone()).unwrap();
    (output, told, warned)
}

async fn import(
    app: &TestApp,
    root: &Path,
    workspace_id: Uuid,
    more: &[&str],
) -> (Output, String, String) {
    let workspace_id = workspace_id.to_string();
    let mut args = vec![
        "import",
        root.to_str().unwrap(),
        "--workspace",
        workspace_id.as_str(),
    ];
    args.extend(more);
    daybook(app, &args).await
}

async fn export(app: &TestApp, workspace_id: Uuid, root: &Path) -> (Output, String, String) {
    let workspace_id = workspace_id.to_string();
    daybook(
        app,
        &["export", "workspace", &workspace_id, root.to_str().unwrap()],
    )
    .await
}

async fn list(app: &TestApp, kind: &str, workspace_id: Uuid) -> Vec<Value> {
    let path = format!("/v1/{kind}?workspace_id={workspace_id}&limit=200");
    app.alice.pages(&path).await.concat()
}

/// Returns the notes of a workspace by title.
async fn notes(app: &TestApp, workspace_id: Uuid) -> BTreeMap<String, Value> {
    let notes = list(app, "notes", workspace_id).await.into_iter();
    notes
        .map(|note| (note["title"].as_str().unwrap().to_owned(), note))
        .collect()
}

/// Returns the texts of dangling links.
async fn dangling(app: &TestApp, workspace_id: Uuid) -> BTreeSet<String> {
    let links = list(app, "links", workspace_id).await.into_iter();
    let links = links.filter(|link| link["target_id"].is_null());
    links
        .map(|link| link["text"].as_str().unwrap().to_owned())
        .collect()
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(ToString::to_string).collect()
}

fn vault() -> TempDir {
    folder(&[
        (
            "Start.md",
            b"---\naliases: [Home, Index]\ntags: [map, top/level]\ncreated: 2024-05-02\nup: \"[[Start]]\"\n---\n\
              [[Barrel]] [[Yard/Heap|the heap]] [[shed]] ![[pot.png|200]] ![p](Files/plan%20a.png) #Inline `#code`\n\
              [s](<Yard/Shed.md>) [[home]] [[Nobody]] ![[gone.png]]\n",
        ),
        ("Yard/Barrel.md", b"\xef\xbb\xbfWater.\r\n\r\n- [ ] rinse\r\n"),
        ("Yard/Heap.md", b"[[Index]]"),
        ("Yard/Shed.md", b"---\ntitle: 'The shed'\n# odd:   yaml\n---\n\n[up](../Start.md)\n"),
        ("Files/pot.png", b"\x89PNG pot"),
        ("Files/plan a.png", b"\x89PNG plan"),
        ("Files/copy.png", b"\x89PNG plan"),
        (".obsidian/app.md", b"hidden"),
    ])
}

#[tokio::test]
async fn an_obsidian_vault_is_imported_linked_and_written_back_to_the_byte() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let vault = vault();
    let (output, told, warned) = import(&app, vault.path(), workspace_id, &[]).await;
    assert!(output.status.success(), "{told}\n{warned}");
    assert!(told.contains("no such note: Start.md: Nobody"), "{told}");
    assert!(told.contains("no such file: Start.md: gone.png"), "{told}");

    let notes = notes(&app, workspace_id).await;
    let titles: BTreeSet<String> = notes.keys().cloned().collect();
    assert_eq!(titles, set(&["Start", "Barrel", "Heap", "The shed"]));
    assert_eq!(dangling(&app, workspace_id).await, set(&["Nobody"]));
    let start = &notes["Start"];
    assert_eq!(start["tags"], json!(["inline", "map", "top/level"]));
    assert_eq!(start["aliases"], json!(["Home", "Index"]));
    assert_eq!(start["file"]["created_at"], "2024-05-02T00:00:00Z");
    let artifacts = list(&app, "artifacts", workspace_id).await;
    let placed: BTreeSet<String> = artifacts
        .iter()
        .map(|a| a["path"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        placed,
        set(&["Files/pot.png", "Files/plan a.png", "Files/copy.png"])
    );
    let uploaded: BTreeSet<&str> = artifacts
        .iter()
        .map(|a| a["file_id"].as_str().unwrap())
        .collect();
    assert_eq!(uploaded.len(), 2, "the same bytes are uploaded once");
    app.settle().await;
    assert_eq!(list(&app, "tasks", workspace_id).await.len(), 1);

    let back = tempfile::tempdir().unwrap();
    let (output, told, warned) = export(&app, workspace_id, back.path()).await;
    assert!(output.status.success(), "{told}\n{warned}");
    assert_eq!(files(back.path()), files(vault.path()));
}

#[tokio::test]
async fn a_second_import_changes_only_what_has_changed() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let vault = vault();
    let (output, ..) = import(&app, vault.path(), workspace_id, &[]).await;
    assert!(output.status.success());
    let head = app.position().await;
    let (output, told, _) = import(&app, vault.path(), workspace_id, &[]).await;
    assert!(output.status.success());
    assert!(
        told.contains("0 notes created, 0 revised, 4 unchanged; 0 files attached, 3 unchanged"),
        "{told}"
    );
    assert_eq!(app.position().await, head, "nothing happens");

    // A change in Daybook is kept if the file is unchanged.
    let before = notes(&app, workspace_id).await;
    let at = |title: &str| format!("/v1/notes/{}", id(&before[title]));
    app.alice
        .patch(&at("Heap"), json!({"body": "Ours"}))
        .await
        .expect(200);
    app.alice
        .patch(
            &at("Start"),
            json!({"tags": ["map", "top/level", "inline", "ours"]}),
        )
        .await
        .expect(200);
    write(
        vault.path(),
        "Start.md",
        b"---\ntags: [map]\n---\nNew [[Barrel]]\n",
    );
    std::fs::rename(
        vault.path().join("Yard/Barrel.md"),
        vault.path().join("Tun.md"),
    )
    .unwrap();
    write(vault.path(), "New.md", b"New");
    let (_, told, _) = import(&app, vault.path(), workspace_id, &["--dry-run"]).await;
    assert!(
        told.contains("create New.md") && told.contains("revise Tun.md"),
        "{told}"
    );
    assert_eq!(notes(&app, workspace_id).await.len(), 4);
    let (output, told, warned) = import(&app, vault.path(), workspace_id, &[]).await;
    assert!(output.status.success(), "{told}\n{warned}");
    assert!(
        told.contains("1 note created, 2 revised, 2 unchanged"),
        "{told}"
    );
    let after = notes(&app, workspace_id).await;
    assert_eq!(after["Heap"]["body"], "Ours");
    assert_eq!(after["Tun"]["id"], before["Barrel"]["id"], "it was moved");
    assert_eq!(after["Start"]["tags"], json!(["map", "ours"]));

    // A change on both sides loses nobody's text.
    write(vault.path(), "Yard/Heap.md", b"Theirs");
    let (output, _, warned) = import(&app, vault.path(), workspace_id, &[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        warned.contains("Yard/Heap.md is left out: both the file and its note"),
        "{warned}"
    );
    assert_eq!(notes(&app, workspace_id).await["Heap"]["body"], "Ours");
    let (output, ..) = import(&app, vault.path(), workspace_id, &["--overwrite"]).await;
    assert!(output.status.success());
    assert_eq!(notes(&app, workspace_id).await["Heap"]["body"], "Theirs");
}

#[tokio::test]
async fn what_cannot_be_a_note_is_left_out_and_the_rest_goes_on() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let root = folder(&[
        ("good.md", b"fine"),
        ("latin1.md", b"Caf\xe9"),
        ("bad.md", b"---\na: [\n---\n"),
        ("huge.md", &vec![b'x'; 2 << 20]),
    ]);
    std::os::unix::fs::symlink("/etc/hostname", root.path().join("out.md")).unwrap();
    let (output, _, warned) = import(&app, root.path(), workspace_id, &[]).await;
    assert_eq!(output.status.code(), Some(1));
    for reason in [
        "latin1.md is left out: it is not UTF-8 from byte 3 on",
        "bad.md is left out: its front matter cannot be read",
        "huge.md is left out: it has 2.00 MiB",
        "out.md is left out: it is a symbolic link out of the folder",
        "4 files left out",
    ] {
        assert!(warned.contains(reason), "{reason}: {warned}");
    }
    assert_eq!(notes(&app, workspace_id).await.len(), 1);
}

#[tokio::test]
async fn logseq_foam_and_notion_folders_keep_their_links() {
    let app = TestApp::start().await;
    let notion = "0123456789abcdef0123456789abcdef";
    let logseq = folder(&[
        ("logseq/config.edn", b"{:meta/version 1}"),
        ("logseq/bak/old.md", b"[[Nothing]]"),
        (
            "journals/2024_05_02.md",
            b"- Met [[garden/tools]] #sun ![x](../assets/x.png)\n",
        ),
        (
            "pages/garden___tools.md",
            b"alias:: Kit\ntags:: shed\n\n- [[May 2nd, 2024]] and [[kit]]\n",
        ),
        ("assets/x.png", b"png"),
    ]);
    let foam = folder(&[
        ("inbox.md", b"# Inbox\n\n[[big-plan]]\n\n[//begin]: # \"Autogenerated\"\n[big-plan]: plans/big-plan.md \"Big plan\"\n[//end]: # \"Autogenerated\"\n"),
        ("plans/big-plan.md", b"# Big plan\n\n[[inbox]]\n"),
    ]);
    let root = format!("Home {notion}.md");
    let child = format!("Home {notion}/Reading list {notion}.md");
    let home = format!(
        "# Home\n\n[Reading list](Home%20{notion}/Reading%20list%20{notion}.md)\n\n[DB](Home%20{notion}/DB%20{notion}.csv)\n"
    );
    let list_page = format!("# Reading list of everything\n\n[Home](../Home%20{notion}.md)\n");
    let table = format!("Home {notion}/DB {notion}.csv");
    let notion = folder(&[
        (&root, home.as_bytes()),
        (&child, list_page.as_bytes()),
        (&table, b"a,b\n"),
    ]);
    for (root, titles) in [
        (&logseq, ["May 2nd, 2024", "garden/tools"]),
        (&foam, ["big-plan", "inbox"]),
        (&notion, ["Home", "Reading list of everything"]),
    ] {
        let workspace_id = app.alice.workspace().await;
        let (output, told, warned) = import(&app, root.path(), workspace_id, &[]).await;
        assert!(output.status.success(), "{told}\n{warned}");
        let found: Vec<String> = notes(&app, workspace_id).await.into_keys().collect();
        assert_eq!(found, titles);
        assert_eq!(dangling(&app, workspace_id).await, set(&[]));
        assert!(list(&app, "links", workspace_id).await.len() >= 2);
        let back = tempfile::tempdir().unwrap();
        let (output, ..) = export(&app, workspace_id, back.path()).await;
        assert!(output.status.success());
        let mut expected = files(root.path());
        expected.retain(|path, _| !path.starts_with("logseq/bak"));
        assert_eq!(files(back.path()), expected);
    }
}

#[tokio::test]
async fn what_daybook_changes_is_written_into_the_files() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let vault = vault();
    let (output, ..) = import(&app, vault.path(), workspace_id, &[]).await;
    assert!(output.status.success());
    let heap = id(&notes(&app, workspace_id).await["Heap"]);
    let change = json!({"title": "Compost", "tags": ["warm"], "body": "Turn it."});
    app.alice
        .patch(&format!("/v1/notes/{heap}"), change)
        .await
        .expect(200);
    app.alice.note(workspace_id, "a/b", "Native.").await;
    let (output, _, warned) = export(&app, workspace_id, vault.path()).await;
    assert_eq!(
        output.status.code(),
        Some(1),
        "a file that says something else is kept"
    );
    assert!(warned.contains("Yard/Heap.md is kept"), "{warned}");
    let back = tempfile::tempdir().unwrap();
    let (output, ..) = export(&app, workspace_id, back.path()).await;
    assert!(output.status.success());
    let found = files(back.path());
    let text = |path: &str| String::from_utf8(found[path].clone()).unwrap();
    assert_eq!(
        text("Yard/Heap.md"),
        "---\ntitle: \"Compost\"\ntags: [\"warm\"]\n---\nTurn it."
    );
    assert_eq!(text("a-b.md"), "---\ntitle: \"a/b\"\n---\nNative.");
    // Importing the export restores the same notes.
    let other = app.alice.workspace().await;
    let (output, ..) = import(&app, back.path(), other, &[]).await;
    assert!(output.status.success());
    assert_eq!(notes(&app, other).await["Compost"]["tags"], json!(["warm"]));
}

/// Writes notes that link to each other in a ring, each with a file of its own.
fn ring(notes: usize) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for number in 0..notes {
        let next = (number + 1) % notes;
        let text = format!("---\ntags: [ring]\n---\nTo [[Note {next}]].\n\n![[{number}.png]]\n");
        let place = format!("Part {}/Note {number}.md", number % 7);
        write(root.path(), &place, text.as_bytes());
        let picture = format!("\u{89}PNG {number}");
        write(
            root.path(),
            &format!("Files/{number}.png"),
            picture.as_bytes(),
        );
    }
    root
}

/// Starts an import, and kills the process (`kill -9`) once something of a kind exists.
async fn import_until_there_are(kind: &str, app: &TestApp, root: &Path, workspace_id: Uuid) {
    let workspace = workspace_id.to_string();
    let args = ["import", root.to_str().unwrap(), "--workspace", &workspace];
    let mut process = command(app, &args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let path = format!("/v1/{kind}?workspace_id={workspace_id}&limit=1");
    eventually(async || {
        let page = app.alice.get(&path).await.expect(200);
        page["items"].get(0).is_some().then_some(())
    })
    .await;
    process.kill().await.unwrap();
}

#[tokio::test]
async fn an_import_that_was_killed_is_finished_by_the_next_and_doubles_nothing() {
    const NOTES: usize = 200;
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let root = ring(NOTES);
    for kind in ["notes", "artifacts"] {
        import_until_there_are(kind, &app, root.path(), workspace_id).await;
        let there = list(&app, kind, workspace_id).await.len();
        assert!((1..NOTES).contains(&there), "{there} {kind}");
    }
    let (output, told, warned) = import(&app, root.path(), workspace_id, &[]).await;
    assert!(output.status.success(), "{told}\n{warned}");
    assert!(
        told.contains("0 notes created, 0 revised, 200 unchanged"),
        "{told}"
    );

    for kind in ["notes", "artifacts"] {
        let all = list(&app, kind, workspace_id).await;
        let place = |of: &Value| match kind {
            "notes" => of["file"]["path"].to_string(),
            _ => format!("{} {}", of["note_id"], of["path"]),
        };
        let places: BTreeSet<String> = all.iter().map(place).collect();
        assert_eq!((all.len(), places.len()), (NOTES, NOTES), "{kind}");
    }
    assert_eq!(dangling(&app, workspace_id).await, set(&[]));
    let back = tempfile::tempdir().unwrap();
    let (output, _, warned) = export(&app, workspace_id, back.path()).await;
    assert!(output.status.success(), "{warned}");
    assert_eq!(files(back.path()), files(root.path()));
}
