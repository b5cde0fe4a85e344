//! Tests of a private PostgreSQL with a real server. They run as root and as an ordinary user.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, process};

use tokio_postgres::{Client, NoTls};

use super::programs::Account;
use super::*;

/// A data directory that is open to other accounts, and is removed with its cluster at the end.
struct DataDir(PathBuf);

impl DataDir {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("daybook-test-{}-{name}", process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        Self(path.canonicalize().unwrap())
    }

    fn cluster(&self) -> PathBuf {
        self.0.join("postgres")
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if let Ok(elsewhere) = fs::read_link(self.cluster()) {
            let beside = fs::read_dir(elsewhere.parent().unwrap()).unwrap().flatten();
            let name = elsewhere.file_name().unwrap().as_encoded_bytes();
            for path in beside.map(|entry| entry.path()) {
                if path
                    .file_name()
                    .unwrap()
                    .as_encoded_bytes()
                    .starts_with(name)
                {
                    let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
                }
            }
        }
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that ends with the test, even if the test fails.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn start(data_dir: &DataDir) -> PrivatePostgres {
    PrivatePostgres::start(&data_dir.0).await.unwrap()
}

async fn connect(postgres: &PrivatePostgres) -> Client {
    let (client, connection) = postgres.config(DATABASE).connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn ask(postgres: &PrivatePostgres, question: &str) -> String {
    connect(postgres)
        .await
        .query_one(question, &[])
        .await
        .unwrap()
        .get(0)
}

async fn remember(postgres: &PrivatePostgres, fact: &str) {
    let sql = format!("CREATE TABLE remembered AS SELECT '{fact}'::text AS fact");
    connect(postgres).await.batch_execute(&sql).await.unwrap();
}

async fn recall(postgres: &PrivatePostgres) -> String {
    ask(postgres, "SELECT fact FROM remembered").await
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(EAGER).await;
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o777
}

fn is_root() -> bool {
    Account::own_uid() == 0
}

#[tokio::test]
async fn of_two_that_start_at_once_one_runs_it_and_the_other_takes_over() {
    let data_dir = DataDir::new("two");
    let half_made = data_dir.0.join("postgres.init-0a0b0c0d");
    fs::create_dir(&half_made).unwrap();
    let (one, other) = tokio::join!(start(&data_dir), start(&data_dir));
    assert!(one.owned() ^ other.owned());
    assert!(!half_made.exists());
    let (owner, attached) = if one.owned() {
        (one, other)
    } else {
        (other, one)
    };
    remember(&owner, "ours").await;
    assert_eq!(recall(&attached).await, "ours");

    owner.stop().await.unwrap();
    until("the other has taken over", || attached.owned()).await;
    assert_eq!(recall(&attached).await, "ours");

    attached.stop().await.unwrap();
    assert!(!data_dir.cluster().join("postmaster.pid").exists());
    let again = start(&data_dir).await;
    assert!(again.owned());
    assert_eq!(recall(&again).await, "ours");
    again.stop().await.unwrap();
}

#[tokio::test]
async fn nobody_else_can_reach_it() {
    let data_dir = DataDir::new("closed");
    let postgres = start(&data_dir).await;
    assert_eq!(ask(&postgres, "SHOW listen_addresses").await, "");
    assert_eq!(ask(&postgres, "SHOW server_encoding").await, "UTF8");
    assert_eq!(ask(&postgres, "SHOW lc_collate").await, "C.UTF-8");
    assert_eq!(ask(&postgres, "SHOW fsync").await, "on");
    assert_eq!(ask(&postgres, "SHOW data_checksums").await, "on");
    assert_eq!(mode(&data_dir.cluster()), 0o700);
    assert_eq!(mode(&data_dir.0.join("postgres.lock")), 0o600);
    assert_eq!(mode(&data_dir.cluster().join(".s.PGSQL.5432")), 0o700);

    let pid = fs::read_to_string(data_dir.cluster().join("postmaster.pid")).unwrap();
    let status =
        fs::read_to_string(format!("/proc/{}/status", pid.lines().next().unwrap())).unwrap();
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
            .trim()
            .to_owned()
    };
    assert!(!field("Uid:").split_whitespace().any(|uid| uid == "0"));
    if is_root() {
        assert_eq!(field("Groups:"), "");
    }
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_data_directory_that_is_made_is_closed_and_a_lock_that_was_open_is_closed() {
    let data_dir = DataDir::new("made");
    let made = data_dir.0.join("data");
    let postgres = PrivatePostgres::start(&made).await.unwrap();
    // The account that root uses may pass through.
    assert_eq!(mode(&made), if is_root() { 0o710 } else { 0o700 });
    assert!(!made.join("postgres").is_symlink());
    postgres.stop().await.unwrap();
    let lock = made.join("postgres.lock");
    fs::set_permissions(&lock, Permissions::from_mode(0o644)).unwrap();
    PrivatePostgres::start(&made)
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
    assert_eq!(mode(&lock), 0o600);
}

/// Not a test: the process that the next one kills.
#[tokio::test]
#[ignore = "runs until it is killed"]
async fn holder() {
    let (Some(data_dir), Some(held)) = (env::var_os("HOLD"), env::var_os("HELD")) else {
        return;
    };
    let postgres = PrivatePostgres::start(Path::new(&data_dir)).await.unwrap();
    remember(&postgres, "committed").await;
    fs::write(held, "").unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn it_dies_with_a_killed_process_and_starts_again_with_all_that_was_committed() {
    let data_dir = DataDir::new("killed");
    let held = data_dir.0.join("held");
    let (_, this_module) = module_path!().split_once("::").unwrap();
    let holder = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", &format!("{this_module}::holder")])
        .envs([("HOLD", &data_dir.0), ("HELD", &held)])
        .stdout(Stdio::null())
        .spawn();
    let holder = Other(holder.unwrap());
    until("the holder has committed", || held.exists()).await;
    let attached = start(&data_dir).await;
    assert!(!attached.owned());

    drop(holder);
    let next = start(&data_dir).await;
    until("one of the two runs it", || attached.owned() ^ next.owned()).await;
    assert_eq!(recall(&next).await, "committed");
    attached.stop().await.unwrap();
    next.stop().await.unwrap();
}

#[tokio::test]
async fn it_starts_after_a_power_loss_when_its_process_id_is_another_programs() {
    let data_dir = DataDir::new("power");
    let postgres = start(&data_dir).await;
    remember(&postgres, "kept").await;
    let account = postgres.cluster.account();
    postgres.stop().await.unwrap();

    let mut sleep = Command::new("sleep");
    if let Some(account) = account {
        sleep.uid(account.uid).gid(account.gid);
    }
    let other = Other(sleep.arg("60").spawn().unwrap());
    let cluster = data_dir.cluster();
    let pid_file = format!(
        "{}\n{}\n1700000000\n5432\n\n\n1 1\nready\n",
        other.0.id(),
        cluster.display()
    );
    fs::write(cluster.join("postmaster.pid"), pid_file).unwrap();
    let postgres = start(&data_dir).await;
    assert_eq!(recall(&postgres).await, "kept");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_start_that_fails_tells_what_the_log_says() {
    let data_dir = DataDir::new("fails");
    start(&data_dir).await.stop().await.unwrap();
    fs::write(
        data_dir.cluster().join("postgresql.auto.conf"),
        "no_such_setting = 1\n",
    )
    .unwrap();
    let error = PrivatePostgres::start(&data_dir.0).await.unwrap_err();
    assert!(error.to_string().contains("no_such_setting"), "{error}");

    fs::remove_file(data_dir.cluster().join("PG_VERSION")).unwrap();
    let error = PrivatePostgres::start(&data_dir.0).await.unwrap_err();
    assert!(
        matches!(error, PrivatePostgresError::NotACluster(_)),
        "{error}"
    );
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_will_do_and_so_will_other_settings() {
    let mut data_dir = DataDir::new("long");
    let root = data_dir.0.clone();
    data_dir.0 = root.join(format!("a name, with \"quotes\", {}", "long ".repeat(30)));
    let settings = &["max_connections=7"];
    let postgres = PrivatePostgres::start_with(&data_dir.0, settings)
        .await
        .unwrap();
    assert_eq!(ask(&postgres, "SHOW max_connections").await, "7");
    let sockets = postgres.cluster.sockets().to_owned();
    assert!(
        sockets.starts_with("/tmp") && mode(&sockets) == 0o700,
        "{}",
        sockets.display()
    );
    assert_eq!(
        ask(&postgres, "SHOW data_directory").await,
        data_dir.cluster().to_str().unwrap()
    );
    postgres.stop().await.unwrap();
    assert!(!sockets.exists());
    fs::remove_dir_all(root).unwrap();
}

#[tokio::test]
async fn the_url_means_the_same_as_the_configuration() {
    let directory = PathBuf::from("/some where/100%/é");
    let cluster = Arc::new(Cluster::at(directory.clone(), None));
    let postgres = PrivatePostgres {
        cluster,
        owned: Arc::default(),
        stop: mpsc::channel().0,
        supervisor: thread::spawn(|| Ok(())),
    };
    let parsed: tokio_postgres::Config = postgres.url("day book").parse().unwrap();
    assert_eq!(parsed, postgres.config("day book"));
    assert_eq!(
        parsed.get_hosts(),
        [tokio_postgres::config::Host::Unix(directory)]
    );
}

#[tokio::test]
async fn a_data_directory_may_be_closed_to_the_account_and_may_be_deleted() {
    let data_dir = DataDir::new("closed-to-the-account");
    fs::set_permissions(&data_dir.0, Permissions::from_mode(0o700)).unwrap();
    let postgres = start(&data_dir).await;
    remember(&postgres, "the first").await;
    let home = postgres.cluster.directory().to_owned();
    postgres.stop().await.unwrap();
    // The account that root uses cannot reach the directory; an ordinary user can.
    assert_eq!(data_dir.cluster().is_symlink(), is_root());
    assert_eq!(home.starts_with(&data_dir.0), !is_root());

    // A data directory that is deleted and created again is empty, wherever its cluster was.
    fs::remove_dir_all(&data_dir.0).unwrap();
    fs::create_dir(&data_dir.0).unwrap();
    fs::set_permissions(&data_dir.0, Permissions::from_mode(0o700)).unwrap();
    let anew = start(&data_dir).await;
    assert_eq!(
        ask(
            &anew,
            "SELECT count(*)::text FROM pg_class WHERE relname = 'remembered'"
        )
        .await,
        "0"
    );
    anew.stop().await.unwrap();
}
