//! Starting up: errors are reported at once, with a remedy; and secrets are never printed.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use serde_json::json;

use crate::harness::{OwnApp, PATIENCE, Server, command, serve};
use crate::mcp_wire;
use crate::receiver::Receiver;

/// The exit code and the output of a command that ended by itself.
pub struct Ended {
    code: Option<i32>,
    said: String,
    complained: String,
}

pub async fn run(mut command: tokio::process::Command) -> Ended {
    command.kill_on_drop(true);
    let Output {
        status,
        stdout,
        stderr,
    } = tokio::time::timeout(PATIENCE, command.output())
        .await
        .expect("the command ends in time")
        .unwrap();
    Ended {
        code: status.code(),
        said: String::from_utf8(stdout).unwrap(),
        complained: String::from_utf8(stderr).unwrap(),
    }
}

impl Ended {
    /// Asserts that the command failed with these words.
    #[track_caller]
    pub fn expect_failure(&self, words: &[&str]) {
        assert_eq!(self.code, Some(1), "{}", self.complained);
        for word in words {
            assert!(
                self.complained.contains(word),
                "{word} is missing in:\n{}",
                self.complained
            );
        }
        assert!(!self.said.contains("listening"), "{}", self.said);
    }
}

fn daybook(arguments: &[&str], variables: &[(&str, &str)]) -> tokio::process::Command {
    let mut command = command("", variables);
    command.args(arguments);
    command
}

#[tokio::test]
async fn a_second_root_secret_on_the_same_database_is_refused() {
    let app = OwnApp::start().await;
    let other = (
        "DAYBOOK_SECRET_KEY",
        "//////////////////////////////////////////8=",
    );
    run(serve(&app.database_url, &[other]))
        .await
        .expect_failure(&[
            "secret key is not the one that this database was set up with",
            "give all nodes the same DAYBOOK_SECRET_KEY",
        ]);
    // The right one still works.
    Server::start(&app.database_url, &[]).await.kill().await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let database = store::testing::database().await;
    let mut command = command(&store::testing::url(&database), &[]);
    command.args(["serve", "--listen", &address]);
    run(command).await.expect_failure(&[
        &format!("cannot listen on {address}"),
        "in use",
        "--listen",
    ]);
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_an_error_that_says_what_to_do() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let url = format!("postgresql://daybook:hush@127.0.0.1:{port}/daybook");
    let ended = run(serve(&url, &[("DAYBOOK_DATABASE_WAIT", "1")])).await;
    ended.expect_failure(&["could not be used for 1 s", "refused", "DATABASE_URL"]);
    assert!(!ended.complained.contains("hush"), "{}", ended.complained);

    let mut database = store::testing::database().await;
    let known = store::testing::url(&database);
    let name = database.get_dbname().unwrap().to_owned();
    database.dbname("nowhere");
    let unknown = known.replace(&name, "nowhere");
    run(serve(&unknown, &[]))
        .await
        .expect_failure(&["\"nowhere\" does not exist", "DATABASE_URL"]);

    run(serve("the one in the cellar", &[]))
        .await
        .expect_failure(&["DATABASE_URL expects a URL such as postgresql://"]);
}

#[tokio::test]
async fn the_configuration_check_names_every_fault_at_once() {
    let faults = [
        ("DAYBOOK_LISTEN", "here"),
        ("DAYBOOK_SECRET_KEY", "hush"),
        ("DAYBOOK_WEBHOOKS_SCHEDULE", "soon"),
        ("DAYBOOK_BODY_LIMIT", "much"),
        ("DAYBOOK_COLOUR", "blue"),
    ];
    let ended = run(daybook(&["config", "check"], &faults)).await;
    ended.expect_failure(&[
        "5 problem(s)",
        "DAYBOOK_LISTEN expects an address",
        "DAYBOOK_SECRET_KEY expects 32 bytes",
        "DAYBOOK_WEBHOOKS_SCHEDULE expects",
        "DAYBOOK_BODY_LIMIT expects a number of bytes",
        "DAYBOOK_COLOUR is not a setting",
    ]);
    assert!(!ended.complained.contains("hush"), "{}", ended.complained);

    let fine = run(daybook(&["config", "check"], &[])).await;
    assert_eq!((fine.code, fine.complained.as_str()), (Some(0), ""));

    let blocked = store::testing::directory().join("blocked");
    std::fs::write(&blocked, "").unwrap();
    let blocked = blocked.to_str().unwrap();
    let below = format!("{blocked}/files");
    let faults = [
        ("DAYBOOK_DATA_DIR", blocked),
        ("DAYBOOK_FILES_URL", &below),
        ("DAYBOOK_POSTGRES_BIN", "/nowhere"),
    ];
    let ended = run(daybook(&["config", "check"], &faults)).await;
    ended.expect_failure(&[
        "3 problem(s)",
        &format!("DAYBOOK_DATA_DIR: cannot write to {blocked}"),
        &format!("DAYBOOK_FILES_URL: cannot write to {below}"),
        "DAYBOOK_POSTGRES_BIN=/nowhere does not hold runnable programs",
    ]);
}

#[tokio::test]
async fn help_names_every_subcommand_and_each_has_help_of_its_own() {
    let help = run(daybook(&["--help"], &[])).await;
    assert_eq!(help.code, Some(0));
    let (_, commands) = help.said.split_once("Commands:\n").unwrap();
    let names: Vec<&str> = commands
        .lines()
        .map_while(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    for name in ["serve", "replay", "projections", "jobs", "config", "health"] {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    for name in names {
        let help = run(daybook(&[name, "--help"], &[])).await;
        assert_eq!(help.code, Some(0), "{name}");
        assert!(
            help.said.contains("Usage: daybook"),
            "{name}: {}",
            help.said
        );
    }
}

#[tokio::test]
async fn the_first_start_writes_the_operators_key_for_its_account_alone_and_prints_only_the_path() {
    let database_url = store::testing::url(&store::testing::database().await);
    let file = store::testing::directory().join("keys/operator.key");
    let variables = [("DAYBOOK_OPERATOR_KEY_FILE", file.to_str().unwrap())];
    let server = Server::start(&database_url, &variables).await;
    let printed = server.printed.join("\n");
    assert!(printed.contains(variables[0].1), "{printed}");
    assert!(!printed.contains("dbk_"), "{printed}");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    OwnApp::on(server, database_url.clone())
        .await
        .server
        .kill()
        .await;

    // Only the first start writes the key.
    std::fs::remove_file(&file).unwrap();
    let server = Server::start(&database_url, &variables).await;
    assert_eq!(server.printed, [] as [&str; 0]);
    assert!(!file.exists());
}

#[tokio::test]
async fn an_operators_key_that_cannot_be_written_is_not_issued() {
    let database_url = store::testing::url(&store::testing::database().await);
    // A file in place of the directory.
    let blocked = store::testing::directory().join("blocked");
    std::fs::write(&blocked, "").unwrap();
    let file = blocked.join("operator.key");
    let variables = [("DAYBOOK_OPERATOR_KEY_FILE", file.to_str().unwrap())];
    run(serve(&database_url, &variables))
        .await
        .expect_failure(&["cannot write the operator's API key", variables[0].1]);
    let server = Server::start(&database_url, &[]).await;
    assert!(server.operator_key.is_some());
}

/// The root secret of this test, in base64 and in hex.
const ROOT: [&str; 2] = [
    "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I=",
    "7365637265742073656372657420736563726574207365637265742073656372",
];

#[tokio::test]
async fn no_secret_is_ever_in_the_log_however_much_it_says() {
    let database = store::testing::database().await;
    let database_url = store::testing::url(&database);
    let path = store::testing::directory().join("log");
    let mut command = serve(
        &database_url,
        &[("DAYBOOK_LOG", "debug"), ("DAYBOOK_SECRET_KEY", ROOT[0])],
    );
    command.stderr(std::fs::File::create(&path).unwrap());
    let server = Server::launch(&mut command).await;
    let app = OwnApp::on(server, database_url).await;

    let receiver = Receiver::start().await;
    receiver.reply([(500, vec![], "not now".into())]);
    let webhook = app
        .alice
        .post(
            "/v1/webhooks",
            json!({"url": receiver.url, "events": ["*"], "headers": {"x-token": "hush-hush"}}),
        )
        .await
        .expect(201);
    let at = |rest: &str| format!("/v1/webhooks/{}/{rest}", webhook["id"].as_str().unwrap());
    let rotated = app.alice.post_empty(&at("rotate-secret")).await.expect(200);
    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "Tea", "Steep it.").await;
    let arguments = json!({"note_id": note["id"]});
    mcp_wire::call(&app.alice, "read_note", arguments)
        .await
        .expect(200);
    app.alice.post_empty(&at("send-example")).await.expect(202);
    let key = app
        .alice
        .post(
            "/v1/api-keys",
            json!({"name": "spare", "actor": {"kind": "service"}, "scopes": ["notes:read"]}),
        )
        .await
        .expect(201);
    let path_of_key = format!("/v1/api-keys/{}/rotate", key["id"].as_str().unwrap());
    let spare = app.alice.post_empty(&path_of_key).await.expect(200);
    // Refused keys are secrets too: they may belong to another server, or be mistyped.
    for refused in ["dbk_0123", &format!("dbk_{}", "0".repeat(72))] {
        let mut stranger = app.alice.clone();
        stranger.key = refused.into();
        stranger
            .get("/v1/notes")
            .await
            .expect_problem(401, "unauthorized");
    }
    // Rotation, workspace, note, example; one of them was refused, and is retried.
    receiver.wait_for(4).await;
    app.server.tell_to_stop().await;
    let OwnApp { app, server, .. } = app;
    assert_eq!(server.ended().await.code(), Some(0));

    let log = std::fs::read_to_string(&path).unwrap();
    assert!(log.contains("DEBUG") && log.contains("stopped"), "{log}");
    let secrets = [
        &webhook["secret"],
        &rotated["secret"],
        &key["key"],
        &spare["key"],
    ];
    let secrets = secrets.map(|secret| secret.as_str().unwrap());
    let known = [app.operator.key.as_str(), app.alice.key.as_str()];
    let bare = secrets
        .iter()
        .chain(&known)
        .map(|secret| secret.split_once('_').unwrap().1);
    for secret in ["whsec_", "dbk_", "hush-hush", "Steep it"]
        .into_iter()
        .chain(ROOT)
        .chain(bare)
    {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is in the log");
    }
}

#[tokio::test]
async fn the_log_tells_of_every_request_by_whom_and_not_what_it_asked() {
    let database_url = store::testing::url(&store::testing::database().await);
    let path = store::testing::directory().join("log");
    let mut command = serve(&database_url, &[("DAYBOOK_LOG", "info")]);
    command.stderr(std::fs::File::create(&path).unwrap());
    let app = OwnApp::on(Server::launch(&mut command).await, database_url).await;
    let workspace_id = app.alice.workspace().await;
    app.alice
        .get(&format!("/v1/search?workspace_id={workspace_id}&q=hush"))
        .await
        .expect(200);
    app.server.tell_to_stop().await;
    let OwnApp { app, server, .. } = app;
    assert_eq!(server.ended().await.code(), Some(0));

    let log = std::fs::read_to_string(&path).unwrap();
    let actor = format!("person:{}", app.alice.actor_id);
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("/v1/search"))
        .collect();
    let [line] = lines[..] else {
        panic!("{lines:?}");
    };
    for part in ["GET", "status=200", "elapsed", "correlation_id", &actor] {
        assert!(line.contains(part), "{part} is missing in {line}");
    }
    assert!(!log.contains("hush") && !log.contains("/health/"), "{log}");
}

#[tokio::test]
async fn only_the_server_makes_a_database() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("nowhere");
    for arguments in [
        &["replay"][..],
        &["projections", "list"],
        &["jobs", "list"],
        &["operator-key"],
    ] {
        let mut command = daybook(arguments, &[]);
        command
            .env_remove("DATABASE_URL")
            .arg("--data-dir")
            .arg(&nowhere);
        run(command)
            .await
            .expect_failure(&["there is no Daybook in", "daybook serve"]);
        assert!(!nowhere.join("postgres").exists());
    }
}

#[tokio::test]
async fn a_secret_key_that_is_lost_is_asked_for_and_not_replaced() {
    let app = OwnApp::start().await;
    let directory = tempfile::tempdir().unwrap();
    let mut command = daybook(&["serve", "--listen", "127.0.0.1:0"], &[]);
    command
        .env("DATABASE_URL", &app.database_url)
        .env_remove("DAYBOOK_SECRET_KEY")
        .arg("--data-dir")
        .arg(directory.path());
    run(command)
        .await
        .expect_failure(&["secret.key", "backup", "DAYBOOK_SECRET_KEY"]);
    assert!(!directory.path().join("secret.key").exists());
}
