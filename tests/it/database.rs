//! Databases in operators' environments: with few rights, restored, read-only after a failover, behind a pooler, on a full disk.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use reqwest::Method;
use serde_json::{Value, json};
use store::PrivatePostgres;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;
use tokio_postgres::NoTls;
use tokio_postgres::config::Host;
use uuid::Uuid;

use crate::harness::{OwnApp, Server, command, eventually, id, serve};
use crate::setup::run;

/// A cluster that tests may change in any way.
async fn cluster() -> &'static PrivatePostgres {
    static CLUSTER: OnceCell<PrivatePostgres> = OnceCell::const_new();
    CLUSTER.get_or_init(fresh_cluster).await
}

async fn fresh_cluster() -> PrivatePostgres {
    store::testing::postgres(&store::testing::directory()).await
}

/// Runs statements one by one as the superuser.
async fn execute(cluster: &PrivatePostgres, database: &str, statements: &[&str]) {
    let (client, connection) = cluster.config(database).connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    for statement in statements {
        client.batch_execute(statement).await.unwrap();
    }
}

/// Returns the URL of a database for an account.
fn url(cluster: &PrivatePostgres, account: &str, database: &str) -> String {
    let url = cluster.url(database);
    url.replace("user=postgres", &format!("user={account}"))
}

async fn start(url: &str) -> OwnApp {
    OwnApp::on(Server::start(url, &[]).await, url.to_owned()).await
}

async fn ready(app: &OwnApp) -> Value {
    let request = app.operator.request(Method::GET, "/health/ready");
    let answer = app.operator.send(request).await;
    let expected = if answer.body["status"] == "ready" {
        200
    } else {
        503
    };
    answer.expect(expected)
}

async fn until_ready(app: &OwnApp) {
    eventually(async || (ready(app).await["status"] == "ready").then_some(())).await;
}

/// Waits until readiness reports a cause.
async fn until_not_ready(app: &OwnApp, cause: &str) {
    eventually(async || {
        ready(app).await["not_ready"]
            .to_string()
            .contains(cause)
            .then_some(())
    })
    .await;
}

/// Asserts that commands, queries and rebuilds work.
async fn expect_all_works(app: &OwnApp) {
    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "Tea", "").await;
    app.alice.get(&path(&note)).await.expect(200);
    until_ready(app).await;
    let mut rebuild = command(&app.database_url, &[]);
    let rebuilt = rebuild
        .args(["projections", "rebuild", "all"])
        .output()
        .await
        .unwrap();
    let complaint = String::from_utf8(rebuilt.stderr).unwrap();
    assert!(rebuilt.status.success(), "{complaint}");
}

fn path(note: &Value) -> String {
    format!("/v1/notes/{}", id(note))
}

#[tokio::test]
async fn an_account_that_may_make_schemas_is_enough() {
    let cluster = cluster().await;
    let statements = [
        "create role maker login createrole",
        "create database made",
        "grant connect, create on database made to maker",
    ];
    execute(cluster, "postgres", &statements).await;
    expect_all_works(&start(&url(cluster, "maker", "made")).await).await;
}

#[tokio::test]
async fn an_owner_who_may_make_no_role_is_enough_and_still_changes_no_event() {
    let cluster = fresh_cluster().await;
    let statements = [
        "create role landlord login",
        "create database owned owner landlord",
    ];
    execute(&cluster, "postgres", &statements).await;
    let app = start(&url(&cluster, "landlord", "owned")).await;
    expect_all_works(&app).await;
    let changed = app
        .sql()
        .await
        .batch_execute("update log.events set type = 'x'")
        .await;
    let refused = store::describe(&changed.unwrap_err());
    assert!(refused.contains("events are never updated"), "{refused}");

    // Once the role exists, sessions use it.
    app.server.kill().await;
    let statements = ["create role daybook_app", "grant daybook_app to landlord"];
    execute(&cluster, "postgres", &statements).await;
    let url = url(&cluster, "landlord", "owned");
    let app = OwnApp::moved(&app.app, Server::start(&url, &[]).await, url);
    expect_all_works(&app).await;
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn an_account_that_lacks_a_right_is_told_which() {
    let cluster = cluster().await;
    let statements = ["create role guest login", "create database unowned"];
    execute(cluster, "postgres", &statements).await;
    let ended = run(serve(&url(cluster, "guest", "unowned"), &[])).await;
    ended.expect_failure(&[
        "guest may not create schemas",
        "grant create on database unowned to guest",
    ]);

    // A log that was restored under another account.
    let app = start(&url(cluster, "postgres", "unowned")).await;
    app.server.kill().await;
    execute(
        cluster,
        "postgres",
        &["grant create on database unowned to guest"],
    )
    .await;
    let ended = run(serve(
        &app.database_url.replace("user=postgres", "user=guest"),
        &[],
    ))
    .await;
    ended.expect_failure(&[
        "guest lacks rights",
        "belongs to postgres",
        "pg_restore --no-owner",
    ]);
}

#[tokio::test]
async fn a_database_in_another_encoding_is_refused_at_the_start() {
    let cluster = cluster().await;
    let create =
        "create database latin encoding 'LATIN1' template template0 lc_collate 'C' lc_ctype 'C'";
    execute(cluster, "postgres", &[create]).await;
    let ended = run(serve(&url(cluster, "postgres", "latin"), &[])).await;
    ended.expect_failure(&["has the encoding LATIN1", "needs UTF8"]);
}

#[tokio::test]
async fn an_older_build_refuses_the_database_of_a_later_one() {
    let app = OwnApp::start().await;
    let migrate =
        "insert into log.schema_history values (99, 'later', '2026-01-01T00:00:00Z', '1')";
    app.sql().await.batch_execute(migrate).await.unwrap();
    let ended = run(serve(&app.database_url, &[])).await;
    ended.expect_failure(&["schema version 99 of a later Daybook"]);
}

#[tokio::test]
async fn a_log_that_was_restored_alone_gets_its_read_models_built() {
    let mut app = OwnApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "Tea", "").await;
    app.settle().await;
    for loss in [
        "drop schema read cascade",
        "delete from log.checkpoints",
        "drop schema read cascade; delete from log.checkpoints",
        // Checkpoints of a later log.
        "update log.checkpoints set position = position + 1000",
    ] {
        app.sql().await.batch_execute(loss).await.unwrap();
        app = app.restart(&[]).await;
        until_ready(&app).await;
        let found = app.alice.get(&path(&note)).await.expect(200);
        assert_eq!(found["title"], "Tea", "{loss}");
    }
    expect_all_works(&app).await;

    // Loss while the server runs is reported, and is neither the client's nor the server's fault.
    let lose = "drop table read.notes cascade";
    app.sql().await.batch_execute(lose).await.unwrap();
    until_not_ready(&app, "the table notes is missing").await;
    let list = format!("/v1/notes?workspace_id={workspace_id}&limit=7");
    let missed = app.alice.request(Method::GET, &list);
    app.alice
        .send(missed)
        .await
        .expect_problem(503, "unavailable");
    let app = app.restart(&[]).await;
    until_ready(&app).await;
    app.alice.get(&path(&note)).await.expect(200);
}

/// Returns a command for a program of PostgreSQL.
fn program(name: &str) -> Command {
    let programs = PrivatePostgres::find_programs(Path::new("/nowhere")).unwrap();
    let mut command = Command::new(programs.join(name));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn sockets(cluster: &PrivatePostgres) -> PathBuf {
    let config = cluster.config("postgres");
    let [Host::Unix(sockets)] = config.get_hosts() else {
        panic!("a private cluster has a socket");
    };
    sockets.clone()
}

#[tokio::test]
async fn a_dump_is_restored_where_the_role_is_missing() {
    let app = OwnApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "Tea", "").await;
    app.settle().await;
    let dump = store::testing::directory().join("dump");
    let dumped = program("pg_dump")
        .args(["-Fc", "-d", &app.database_url, "-f"])
        .arg(&dump)
        .status()
        .await;
    assert!(dumped.unwrap().success());
    let name = format!("restored_{}", Uuid::new_v4().simple());

    for with_create in [false, true] {
        let cluster = fresh_cluster().await;
        let (account, database) = if with_create {
            let (server, _) = app.database_url.split_once('?').unwrap();
            ("postgres", server.rsplit('/').next().unwrap())
        } else {
            let create = format!("create database {name} owner restorer");
            let statements = ["create role restorer login createrole", create.as_str()];
            execute(&cluster, "postgres", &statements).await;
            ("restorer", name.as_str())
        };
        // pg_restore reports an error about the role, and continues.
        let mut restore = program("pg_restore");
        restore
            .arg("-h")
            .arg(sockets(&cluster))
            .args(["-U", account]);
        if with_create {
            restore.args(["-C", "-d", "postgres"]);
        } else {
            restore.args(["-d", database]);
        }
        restore.arg(&dump).status().await.unwrap();
        let url = url(&cluster, account, database);
        let server = Server::start(&url, &[]).await;
        assert_eq!(server.operator_key, None, "the log has one already");
        let restored = OwnApp::moved(&app.app, server, url);
        until_ready(&restored).await;
        restored.alice.get(&path(&note)).await.expect(200);
        expect_all_works(&restored).await;
        restored.server.kill().await;
        cluster.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_database_that_became_read_only_is_named_and_used_again_once_it_can_be_written_to() {
    let cluster = cluster().await;
    execute(cluster, "postgres", &["create database failed_over"]).await;
    let app = start(&url(cluster, "postgres", "failed_over")).await;
    until_ready(&app).await;
    let end_all = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = 'failed_over'";
    let demote = "alter database failed_over set default_transaction_read_only = on";
    execute(cluster, "postgres", &[demote, end_all]).await;
    until_not_ready(&app, "read-only").await;
    let write = async || {
        app.alice
            .post("/v1/workspaces", json!({"name": "Tea"}))
            .await
    };
    let refused = write().await.expect_problem(503, "unavailable");
    let detail = refused["detail"].as_str().unwrap();
    assert!(
        detail.contains("read-only") || detail.contains("does not allow writes"),
        "{detail}"
    );

    execute(
        cluster,
        "postgres",
        &["alter database failed_over reset default_transaction_read_only"],
    )
    .await;
    eventually(async || (write().await.status == 201).then_some(())).await;
    until_ready(&app).await;
    expect_all_works(&app).await;
}

/// Starts PgBouncer in front of a cluster; returns it and its port.
async fn pooled(cluster: &PrivatePostgres, mode: &str) -> (Child, u16) {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let (sockets, directory) = (sockets(cluster), store::testing::directory());
    let settings = format!(
        "[databases]\n* = host={} port=5432 user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = any\npool_mode = {mode}\ndefault_pool_size = 300\nmax_client_conn = 500\n",
        sockets.display()
    );
    let file = directory.join("pgbouncer.ini");
    fs::write(&file, settings).unwrap();
    let owner = fs::metadata(&sockets).unwrap();
    let found = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"];
    let found = found.into_iter().find(|path| Path::new(path).exists());
    let mut bouncer = Command::new(found.expect("scripts/ensure-pgbouncer.sh brings PgBouncer"));
    bouncer
        .arg("-q")
        .arg(&file)
        .stderr(Stdio::null())
        .kill_on_drop(true);
    if rustix::process::geteuid().is_root() {
        bouncer.uid(owner.uid()).gid(owner.gid());
    }
    let bouncer = bouncer.spawn().unwrap();
    eventually(async || {
        tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .ok()
    })
    .await;
    (bouncer, port)
}

#[tokio::test]
async fn a_pooler_in_transaction_mode_is_found_out_and_one_in_session_mode_will_do() {
    let cluster = cluster().await;
    execute(cluster, "postgres", &["create database pooled"]).await;
    let (_bouncer, port) = pooled(cluster, "transaction").await;
    let url = format!("postgresql://postgres@127.0.0.1:{port}/pooled");
    run(serve(&url, &[]))
        .await
        .expect_failure(&["pooler in transaction mode", "session mode"]);

    let (_bouncer, port) = pooled(cluster, "session").await;
    let url = format!("postgresql://postgres@127.0.0.1:{port}/pooled");
    expect_all_works(&start(&url).await).await;
}

#[tokio::test]
async fn a_start_waits_for_its_database_and_says_so() {
    let directory = store::testing::directory();
    let cluster = store::testing::postgres(&directory).await;
    let url = cluster.url("daybook");
    cluster.stop().await.unwrap();
    let log = store::testing::directory().join("log");
    let mut waiting = serve(&url, &[]);
    waiting.stderr(fs::File::create(&log).unwrap());
    let begin = async {
        eventually(async || {
            let said = fs::read_to_string(&log).unwrap();
            said.contains("waiting for PostgreSQL").then_some(())
        })
        .await;
        store::testing::postgres(&directory).await
    };
    let (server, cluster) = tokio::join!(Server::launch(&mut waiting), begin);
    server.kill().await;
    cluster.stop().await.unwrap();
}

/// Builds `daybook serve` with a private PostgreSQL.
pub fn private(data_dir: &Path, variables: &[(&str, &str)]) -> Command {
    let mut command = command("", variables);
    command
        .env_remove("DATABASE_URL")
        .env_remove("DAYBOOK_OPERATOR_KEY_FILE")
        .env_remove("DAYBOOK_FILES_URL")
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data_dir);
    command
}

#[tokio::test]
async fn a_clean_stop_complains_of_nothing_and_what_it_leaves_is_for_its_account_alone() {
    let data_dir = store::testing::directory().join("data");
    let log = store::testing::directory().join("log");
    let mut command = private(&data_dir, &[]);
    command.stderr(fs::File::create(&log).unwrap());
    let app = OwnApp::on(Server::launch(&mut command).await, String::new()).await;
    let workspace_id = app.alice.workspace().await;
    app.alice.note(workspace_id, "Tea", "").await;
    app.server.tell_to_stop().await;
    assert_eq!(app.server.ended().await.code(), Some(0));
    assert_eq!(fs::read_to_string(&log).unwrap(), "");
    let said = fs::read_to_string(data_dir.join("postgres/server.log")).unwrap();
    assert!(!said.contains("FATAL"), "{said}");

    let closed = |path: &Path| fs::symlink_metadata(path).unwrap().mode() & 0o007 == 0;
    assert!(closed(&data_dir));
    for entry in fs::read_dir(&data_dir).unwrap() {
        let path = entry.unwrap().path();
        assert!(closed(&path), "{} is open to others", path.display());
    }
}

/// A small disk, unmounted on drop.
struct Disk(PathBuf);

impl Disk {
    /// Mounts a disk; none if this account may not.
    async fn mount() -> Option<Self> {
        let place = store::testing::directory();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256m,mode=0755", "tmpfs"])
            .arg(&place)
            .stderr(Stdio::null())
            .status()
            .await;
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(place))
    }

    /// Fills the disk except for so many MiB.
    fn fill(&self, left: u64) {
        let found = rustix::fs::statvfs(&self.0).unwrap();
        let free = (found.f_bavail * found.f_frsize) >> 20;
        let filler = vec![1; usize::try_from((free - left) << 20).unwrap()];
        fs::write(self.0.join("filler"), filler).unwrap();
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_commands_and_serves_queries() {
    let Some(disk) = Disk::mount().await else {
        eprintln!("not tested: this account may not mount a small disk");
        return;
    };
    let log = store::testing::directory().join("log");
    let mut command = private(&disk.0.join("data"), &[]);
    command.stderr(fs::File::create(&log).unwrap());
    let app = OwnApp::on(Server::launch(&mut command).await, String::new()).await;
    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "Tea", "").await;
    app.alice.get(&path(&note)).await.expect(200);
    until_ready(&app).await;

    disk.fill(16);
    until_not_ready(&app, "the disk of the data directory is full").await;
    let write = async || {
        app.alice
            .post("/v1/workspaces", json!({"name": "Tea"}))
            .await
    };
    for _ in 0..50 {
        write().await.expect_problem(507, "storage_full");
    }
    app.alice.get(&path(&note)).await.expect(200);
    let lines = fs::read_to_string(&log).unwrap().lines().count();
    assert!(lines < 80, "{lines} lines in the log");

    disk.empty();
    eventually(async || (write().await.status == 201).then_some(())).await;
    until_ready(&app).await;
    app.server.tell_to_stop().await;
    assert_eq!(app.server.ended().await.code(), Some(0));
}
