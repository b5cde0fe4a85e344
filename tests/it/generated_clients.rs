//! Clients generated from the published document: they type-check, and a scenario works with each.

use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::process::Command;

use crate::harness::{DAYBOOK, TestApp};

/// Returns the directory with the generators.
fn installed() -> PathBuf {
    let directory = Path::new(DAYBOOK)
        .ancestors()
        .nth(2)
        .unwrap()
        .join("openapi");
    assert!(
        directory.join("installed").exists(),
        "{} has no generators: run scripts/ensure-clients.sh openapi",
        directory.display()
    );
    directory
}

fn journey(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/generated_clients")
        .join(name)
}

/// Runs a program; on failure, panics with its output.
async fn run(command: &mut Command) {
    let output = command.kill_on_drop(true).output().await.unwrap();
    assert!(
        output.status.success(),
        "{command:?}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Returns a command for a Node.js program that is installed with the generators.
fn node(program: &str) -> Command {
    let directory = installed();
    let mut node = Command::new(directory.join("node_modules/.bin/node"));
    if !program.is_empty() {
        node.arg(directory.join("node_modules").join(program));
    }
    node
}

/// A directory to generate a client in: the published document, and keys of a person and an agent.
struct Workshop {
    _app: TestApp,
    directory: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Workshop {
    async fn open() -> Self {
        let app = TestApp::start().await;
        let agent = app.actor("agent", &["*"]).await;
        let document = app.alice.get("/openapi.json").await.expect(200);
        // Inside the target directory, so that node finds the packages installed there.
        let directory = tempfile::tempdir_in(installed()).unwrap();
        std::fs::write(directory.path().join("openapi.json"), document.to_string()).unwrap();
        let variables = vec![
            ("BASE", app.url.clone()),
            ("KEY", app.alice.key.clone()),
            ("AGENT_KEY", agent.key.clone()),
            ("AGENT_ID", agent.actor_id.to_string()),
        ];
        Self {
            _app: app,
            directory,
            variables,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn set_up<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let variables = self.variables.iter().map(|(name, value)| (*name, value));
        command.current_dir(self.directory.path()).envs(variables)
    }
}

#[tokio::test]
async fn a_python_client_is_generated_type_checks_and_works() {
    let workshop = Workshop::open().await;
    let bin = installed().join("venv/bin");
    std::fs::write(workshop.path("config.json"), r#"{"post_hooks": []}"#).unwrap();
    let mut generate = Command::new(bin.join("openapi-python-client"));
    generate.args(["generate", "--path", "openapi.json", "--meta", "none"]);
    generate.args(["--config", "config.json", "--fail-on-warning"]);
    generate.args(["--output-path", "daybook_client"]);
    run(workshop.set_up(&mut generate)).await;

    std::fs::copy(journey("journey.py"), workshop.path("journey.py")).unwrap();
    let mut check = Command::new(bin.join("mypy"));
    check.args(["--strict", "--follow-imports=silent", "journey.py"]);
    run(workshop.set_up(&mut check)).await;
    let mut python = Command::new(bin.join("python"));
    run(workshop.set_up(python.arg("journey.py"))).await;
}

#[tokio::test]
async fn a_typescript_client_is_generated_type_checks_and_works() {
    let workshop = Workshop::open().await;
    let mut generate = node("@hey-api/openapi-ts/bin/run.js");
    generate.args(["-i", "openapi.json", "-o", "daybook"]);
    generate.args([
        "-p",
        "@hey-api/typescript",
        "@hey-api/sdk",
        "@hey-api/client-fetch",
    ]);
    run(workshop.set_up(&mut generate)).await;

    let options = json!({
        "compilerOptions": {
            "strict": true,
            "exactOptionalPropertyTypes": false,
            "noUncheckedIndexedAccess": true,
            "target": "es2022",
            "lib": ["es2023", "dom", "dom.iterable"],
            "module": "commonjs",
            "moduleResolution": "node10",
            "types": ["node"],
            "skipLibCheck": true,
            "outDir": "js",
        },
        "files": ["journey.ts"],
    });
    std::fs::write(workshop.path("tsconfig.json"), options.to_string()).unwrap();
    std::fs::copy(journey("journey.ts"), workshop.path("journey.ts")).unwrap();
    let mut check = node("typescript/bin/tsc");
    run(workshop.set_up(check.args(["-p", "."]))).await;
    let mut node = node("");
    run(workshop.set_up(node.arg("js/journey.js"))).await;
}

#[tokio::test]
async fn the_published_document_passes_redocly() {
    let workshop = Workshop::open().await;
    let mut lint = node("@redocly/cli/bin/cli.js");
    lint.args(["lint", "openapi.json"]);
    lint.env("REDOCLY_TELEMETRY", "off");
    lint.env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true");
    run(workshop.set_up(&mut lint)).await;
}

#[tokio::test]
async fn names_of_schemas_are_those_of_resources_and_clash_with_no_language() {
    let app = TestApp::start().await;
    let document = app.alice.get("/openapi.json").await.expect(200);
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in ["Note", "NoteList", "NewNoteReviseAction", "DryRun"] {
        assert!(schemas.contains_key(name), "{name}");
    }
    // Names of types that generated clients already have.
    const TAKEN: [&str; 7] = [
        "File",
        "FileTypes",
        "Response",
        "Unset",
        "Client",
        "Blob",
        "Options",
    ];
    for name in schemas.keys() {
        let clashes = TAKEN.contains(&name.as_str());
        assert!(
            !clashes
                && name.chars().all(char::is_alphanumeric)
                && name.starts_with(char::is_uppercase),
            "{name}: choose another name with #[schema(as = …)]"
        );
    }
    for operation in ["/files/{id}", "/health/live", "/metrics"] {
        assert_eq!(document["paths"][operation]["get"]["security"], json!([]));
    }
}
