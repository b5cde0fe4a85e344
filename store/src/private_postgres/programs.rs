//! Finds PostgreSQL's programs, and runs them as the right account.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

use super::cluster::Cluster;
use super::{PrivatePostgresError, Result};

const DEBIAN: &str = "/usr/lib/postgresql";
/// The environment variables that PostgreSQL gets: others hold secrets, and PG* variables would change its behaviour.
const ENVIRONMENT: [&str; 2] = ["PATH", "LD_LIBRARY_PATH"];

/// An account of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    pub uid: u32,
    pub gid: u32,
}

impl Account {
    /// Returns the account to run PostgreSQL as, which refuses to run as root. `None` if we are not root.
    pub fn to_drop_to() -> Result<Option<Self>> {
        if Self::own_uid() != 0 {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let found = ["postgres", "nobody"]
            .iter()
            .find_map(|name| Self::named(&accounts, name));
        found.map(Some).ok_or(PrivatePostgresError::NoAccount)
    }

    fn named(accounts: &str, name: &str) -> Option<Self> {
        let account = accounts
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let mut fields = account.split(':').skip(1);
        Some(Self {
            uid: fields.next()?.parse().ok()?,
            gid: fields.next()?.parse().ok()?,
        })
    }

    #[allow(unsafe_code)]
    pub fn own_uid() -> u32 {
        // SAFETY: geteuid reads one number, has no preconditions and cannot fail.
        unsafe { libc::geteuid() }
    }

    /// Returns true if the account may enter the directory; all parent directories and access lists count.
    pub fn reaches(self, directory: &Path) -> bool {
        let entered = Command::new("true")
            .uid(self.uid)
            .gid(self.gid)
            .current_dir(directory)
            .status();
        entered.is_ok_and(|status| status.success())
    }
}

/// A directory that holds `postgres` and `initdb`, and their major version.
#[derive(Debug)]
pub struct Programs {
    directory: PathBuf,
    version: String,
}

impl Programs {
    /// Finds the first programs of the cluster's version, or the first at all if there is no cluster yet.
    pub fn find(cluster: &Cluster) -> Result<Self> {
        let named = env::var_os("DAYBOOK_POSTGRES_BIN").map(PathBuf::from);
        let directories = match &named {
            Some(directory) => vec![directory.clone()],
            None => env::split_paths(&env::var_os("PATH").unwrap_or_default())
                .chain(debian())
                .collect(),
        };
        let mut found: Vec<_> = directories
            .iter()
            .filter_map(|directory| Self::in_directory(directory))
            .collect();
        let made = cluster.version();
        let fits = |programs: &Self| made.as_ref().is_none_or(|made| *made == programs.version);
        if let Some(index) = found.iter().position(fits) {
            return Ok(found.swap_remove(index));
        }
        let mut versions: Vec<_> = found.into_iter().map(|programs| programs.version).collect();
        versions.dedup();
        Err(match (made, named) {
            (Some(made), _) if !versions.is_empty() => PrivatePostgresError::OtherVersion {
                directory: cluster.directory().to_owned(),
                made,
                found: versions.join(", "),
            },
            (_, Some(named)) => PrivatePostgresError::NoPrograms(named),
            (_, None) => PrivatePostgresError::NotInstalled,
        })
    }

    fn in_directory(directory: &Path) -> Option<Self> {
        // PATH may have links to single programs; the others are next to their targets.
        let postgres = directory.join("postgres").canonicalize().ok()?;
        let directory = postgres.parent()?.to_owned();
        if !directory.join("initdb").exists() {
            return None;
        }
        let output = Command::new(&postgres)
            .arg("--version")
            .stderr(Stdio::null())
            .output()
            .ok()?;
        // "postgres (PostgreSQL) 15.18 (Debian …)", "postgres (PostgreSQL) 19beta1"
        let text = String::from_utf8(output.stdout).ok()?;
        let version: String = text
            .split_whitespace()
            .nth(2)?
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        Some(Self { directory, version })
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns a command that runs as the account, without our directory, terminal signals and environment, and ends with this thread.
    pub fn command(&self, program: &str, account: Option<Account>) -> Command {
        let mut command = Command::new(self.directory.join(program));
        let environment = env::vars_os()
            .filter(|(name, _)| ENVIRONMENT.iter().any(|kept| OsStr::new(kept) == name));
        command
            .env_clear()
            .envs(environment)
            .current_dir("/")
            .process_group(0);
        if let Some(account) = account {
            // As root, this clears the supplementary groups as well.
            command.uid(account.uid).gid(account.gid);
        }
        end_with_this_thread(&mut command);
        command
    }
}

/// Returns Debian's directories of programs, newest first.
fn debian() -> Vec<PathBuf> {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let mut versions: Vec<u32> = versions
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable();
    versions
        .iter()
        .rev()
        .map(|version| Path::new(DEBIAN).join(version.to_string()).join("bin"))
        .collect()
}

/// Makes the kernel send the command SIGQUIT (PostgreSQL's immediate shutdown) when the thread that spawns it ends.
#[allow(unsafe_code)]
fn end_with_this_thread(command: &mut Command) {
    let parent = std::process::id();
    let ask_for_the_signal = move || {
        // SAFETY: both are plain system calls; neither touches memory of this process.
        let (asked, parent_now) = unsafe {
            (
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGQUIT),
                libc::getppid(),
            )
        };
        match (asked, u32::try_from(parent_now)) {
            (0, Ok(now)) if now == parent => Ok(()),
            // The parent died before the request: nobody would ever stop this process.
            (0, _) => Err(io::Error::from_raw_os_error(libc::ESRCH)),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec only async-signal-safe functions may run and nothing may allocate; the closure makes two system
    // calls and builds errors from numbers. It runs after the account was changed, which would have cleared the request.
    unsafe { command.pre_exec(ask_for_the_signal) };
}
