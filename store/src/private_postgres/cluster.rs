//! The location, the owner and the initialization of a cluster.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{
    DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, symlink,
};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::programs::{Account, Programs};
use super::{PrivatePostgresError, Result, io_error};

/// Part of the socket's name. No port is opened.
pub const PORT: u16 = 5432;
pub const SUPERUSER: &str = "postgres";
/// Directory in which root keeps clusters of data directories that the account cannot reach.
const ELSEWHERE: &str = "/var/lib/daybook";
/// Limit below the maximum length of a socket's path, which is 107 bytes.
const SOCKET_PATH_LIMIT: usize = 100;
const LOG_LIMIT: u64 = 10 << 20;
/// Bytes of the log that an error includes.
const TAIL_LIMIT: u64 = 4 << 10;

/// The directories of a cluster. Authentication is `trust`: its directories are closed to every other account instead.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    sockets: PathBuf,
    /// The account that PostgreSQL runs as; `None` is our own.
    account: Option<Account>,
}

impl Cluster {
    pub fn locate(data_dir: &Path) -> Result<Self> {
        let mut account = Account::to_drop_to()?;
        make_data_dir(data_dir, account).map_err(io_error("create", data_dir))?;
        let data_dir = data_dir
            .canonicalize()
            .map_err(io_error("find", data_dir))?;
        let place = data_dir.join("postgres");
        let directory = match (fs::read_link(&place), &account) {
            (Ok(target), _) => data_dir.join(target),
            (Err(_), Some(account)) if !place.exists() && !account.reaches(&data_dir) => {
                elsewhere(&data_dir, &place)?
            }
            (Err(_), _) => place,
        };
        if let Ok(found) = fs::metadata(&directory) {
            match &mut account {
                // Root runs a cluster as its owner.
                Some(account) if found.uid() != 0 => {
                    *account = Account {
                        uid: found.uid(),
                        gid: found.gid(),
                    }
                }
                Some(_) => {}
                None => belongs_to(Account::own_uid(), &directory, &found)?,
            }
        }
        Ok(Self::at(directory, account))
    }

    pub fn at(directory: PathBuf, account: Option<Account>) -> Self {
        let sockets = if socket_in(&directory).as_os_str().len() < SOCKET_PATH_LIMIT {
            directory.clone()
        } else {
            PathBuf::from(format!("/tmp/daybook-{}", short_hash(&directory)))
        };
        Self {
            directory,
            sockets,
            account,
        }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn sockets(&self) -> &Path {
        &self.sockets
    }

    pub fn account(&self) -> Option<Account> {
        self.account
    }

    pub fn log(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    /// Returns the major version that made the cluster, if it exists.
    pub fn version(&self) -> Option<String> {
        fs::read_to_string(self.directory.join("PG_VERSION"))
            .ok()
            .map(|version| version.trim().to_owned())
    }

    pub fn open_lock(&self) -> Result<File> {
        let lock = open_lock(&self.directory)?;
        self.hand_over(&lock, &self.directory)?;
        Ok(lock)
    }

    /// Returns true if a server accepts connections. A server that is starting or stopping has a socket too; its pid file tells.
    pub fn answers(&self) -> bool {
        UnixStream::connect(socket_in(&self.sockets)).is_ok()
            && self
                .pid_file_line(7)
                .is_some_and(|status| status == "ready")
    }

    fn pid_file_line(&self, index: usize) -> Option<String> {
        let text = fs::read_to_string(self.directory.join("postmaster.pid")).ok()?;
        text.lines().nth(index).map(|line| line.trim().to_owned())
    }

    /// Creates the cluster unless it exists. The caller holds the lock.
    pub fn initialise(&self, programs: &Programs, lock: &File, settings: &[&str]) -> Result<()> {
        if self.version().is_some() {
            return Ok(());
        }
        // An empty directory is replaced by the rename below.
        if fs::read_dir(&self.directory).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(PrivatePostgresError::NotACluster(self.directory.clone()));
        }
        tracing::info!(directory = %self.directory.display(), programs = %programs.directory().display(), "initialising a private PostgreSQL");
        // Created under another name and renamed, so that a cluster is either complete or absent.
        let half_made = sibling(
            &self.directory,
            &format!(".init-{}", hex::encode(rand::random::<[u8; 4]>())),
        );
        self.secure(&half_made)?;
        let output = programs
            .command("initdb", self.account)
            .arg("--pgdata")
            .arg(&half_made)
            .args([
                "--username",
                SUPERUSER,
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--data-checksums",
                "--auth-local=trust",
                "--auth-host=reject",
            ])
            // A server that never syncs need not sync its first files.
            .args(settings.contains(&"fsync=off").then_some("--no-sync"))
            .stdin(
                lock.try_clone()
                    .map_err(io_error("share the lock of", &self.directory))?,
            )
            .output()
            .map_err(io_error("run initdb in", programs.directory()))?;
        let parent = self.directory.parent().unwrap_or(Path::new("/"));
        let outcome = if output.status.success() {
            fs::rename(&half_made, &self.directory)
                .and_then(|()| File::open(parent)?.sync_all())
                .map_err(io_error("create", &self.directory))
        } else {
            let last_words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(PrivatePostgresError::Initdb(last_words))
        };
        self.remove_half_made(parent);
        outcome
    }

    /// Removes what this initialization or killed ones left. Only now: programs of a killed one may write for a moment.
    fn remove_half_made(&self, parent: &Path) {
        let prefix = sibling(&self.directory, ".init-");
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let path = entry.path();
            if path
                .as_os_str()
                .as_encoded_bytes()
                .starts_with(prefix.as_os_str().as_encoded_bytes())
            {
                // A leftover costs some space, no more.
                let _ = fs::remove_dir_all(&path);
            }
        }
    }

    /// Makes sure that nobody else can reach the cluster and its socket, and that no pid file keeps the server from starting.
    pub fn make_ready(&self) -> Result<()> {
        for directory in [&self.directory, &self.sockets] {
            self.secure(directory)?;
        }
        self.remove_misleading_pid_file()
    }

    pub fn remove_sockets(&self) {
        if self.sockets != self.directory {
            // If it stays, the next start checks and uses it.
            let _ = fs::remove_dir(&self.sockets);
        }
    }

    /// Creates the directory if necessary, for the account alone.
    fn secure(&self, directory: &Path) -> Result<()> {
        match DirBuilder::new().mode(0o700).create(directory) {
            Ok(()) => {
                let made = File::open(directory).map_err(io_error("open", directory))?;
                self.hand_over(&made, directory)?;
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io_error("create", directory)(error)),
        }
        // Links are not followed: anybody may have put one in /tmp.
        let found = fs::symlink_metadata(directory).map_err(io_error("examine", directory))?;
        let expected = self
            .account
            .map_or_else(Account::own_uid, |account| account.uid);
        belongs_to(expected, directory, &found)?;
        if !found.is_dir() {
            return Err(PrivatePostgresError::NotACluster(directory.to_owned()));
        }
        fs::set_permissions(directory, Permissions::from_mode(0o700))
            .map_err(io_error("close", directory))
    }

    /// Gives a file that root has created to the account.
    fn hand_over(&self, made: &File, path: &Path) -> Result<()> {
        self.account
            .map_or(Ok(()), |account| {
                fchown(made, Some(account.uid), Some(account.gid))
            })
            .map_err(io_error("hand over", path))
    }

    /// Removes a pid file that would keep PostgreSQL from starting: after a power loss its pid may be that of an unrelated process. Any
    /// other stale file is left to PostgreSQL, which checks for surviving backends too.
    fn remove_misleading_pid_file(&self) -> Result<()> {
        let Some(pid) = self.pid_file_line(0) else {
            return Ok(());
        };
        let identity = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
        let ours = identity(&self.directory).map_err(io_error("examine", &self.directory))?;
        // A server's working directory is its cluster.
        if !identity(Path::new(&format!("/proc/{pid}/cwd"))).is_ok_and(|theirs| theirs != ours) {
            return Ok(());
        }
        let path = self.directory.join("postmaster.pid");
        tracing::warn!(%pid, "removing the stale pid file of the private PostgreSQL: its process is another program now");
        fs::remove_file(&path).map_err(io_error("remove", &path))
    }

    /// Opens the server's log for appending; rotates it when it has grown large.
    pub fn open_log(&self) -> Result<File> {
        let path = self.log();
        if fs::symlink_metadata(&path).is_ok_and(|log| log.len() > LOG_LIMIT) {
            fs::rename(&path, self.directory.join("server.log.1"))
                .map_err(io_error("rotate", &path))?;
        }
        // A link must not lead root out of the account's directory.
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(io_error("open", &path))?;
        self.hand_over(&log, &path)?;
        Ok(log)
    }
}

/// Returns a directory for a cluster whose data directory the account cannot reach, and links to it from the data directory.
fn elsewhere(data_dir: &Path, link: &Path) -> Result<PathBuf> {
    let elsewhere = Path::new(ELSEWHERE);
    if !elsewhere.exists() {
        // The account must be able to enter, whatever the umask is.
        let create = fs::create_dir_all(elsewhere)
            .and_then(|()| fs::set_permissions(elsewhere, Permissions::from_mode(0o755)));
        create.map_err(io_error("create", elsewhere))?;
    }
    let directory = elsewhere.join(short_hash(data_dir));
    let lock = open_lock(&directory)?;
    // A cluster without a link belongs to a data directory that was deleted: the new one starts empty, the old one is kept.
    if lock.try_lock().is_ok() && directory.exists() && !link.is_symlink() {
        let seconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |age| age.as_secs());
        let aside = sibling(&directory, &format!(".deleted-{seconds}"));
        fs::rename(&directory, &aside).map_err(io_error("set aside", &directory))?;
        tracing::warn!(aside = %aside.display(), "set aside the PostgreSQL cluster of a data directory that was deleted");
    }
    match symlink(&directory, link) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(io_error("create", link)(error));
        }
        Ok(()) | Err(_) => {}
    }
    tracing::info!(data_dir = %data_dir.display(), directory = %directory.display(), "PostgreSQL's account cannot reach the data directory: its cluster lives elsewhere");
    Ok(directory)
}

/// Creates a data directory that nobody else may enter, except that PostgreSQL's account may pass through.
fn make_data_dir(data_dir: &Path, account: Option<Account>) -> io::Result<()> {
    if data_dir.exists() {
        return Ok(());
    }
    if let Some(parent) = data_dir.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(data_dir) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    if let Some(account) = account {
        fchown(File::open(data_dir)?, None, Some(account.gid))?;
        fs::set_permissions(data_dir, Permissions::from_mode(0o710))?;
    }
    Ok(())
}

/// Opens the lock, which is closed to other accounts: anybody who can open it can hold it.
fn open_lock(directory: &Path) -> Result<File> {
    let path = sibling(directory, ".lock");
    let lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&path)
        .map_err(io_error("open", &path))?;
    lock.set_permissions(Permissions::from_mode(0o600))
        .map_err(io_error("close", &path))?;
    Ok(lock)
}

fn belongs_to(expected: u32, directory: &Path, found: &Metadata) -> Result<()> {
    if found.uid() == expected {
        return Ok(());
    }
    Err(PrivatePostgresError::OtherOwner {
        directory: directory.to_owned(),
        owner: found.uid(),
        expected,
    })
}

fn socket_in(directory: &Path) -> PathBuf {
    directory.join(format!(".s.PGSQL.{PORT}"))
}

fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut sibling = OsString::from(path);
    sibling.push(suffix);
    PathBuf::from(sibling)
}

fn short_hash(path: &Path) -> String {
    let hash = Sha256::digest(path.as_os_str().as_encoded_bytes());
    hex::encode(hash.iter().take(6).copied().collect::<Vec<_>>())
}

/// Returns the last lines written to a log after `start`.
pub fn tail(log: &Path, start: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    let start = start.max(file.metadata()?.len().saturating_sub(TAIL_LIMIT));
    file.seek(SeekFrom::Start(start))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).trim().to_owned())
}
