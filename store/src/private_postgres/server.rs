//! A running PostgreSQL server.

use std::fs::File;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use super::cluster::{self, Cluster};
use super::programs::Programs;
use super::{EAGER, PrivatePostgresError, Result, io_error, memory};

/// Time for closed sessions to end by themselves: a fast shutdown would log an error for each.
const SMART: Duration = Duration::from_secs(3);
/// Maximum times of a fast shutdown, which writes everything out, and then of an immediate one.
const FAST: Duration = Duration::from_secs(30);
const IMMEDIATE: Duration = Duration::from_secs(10);

/// Shared buffers of PostgreSQL in megabytes: an eighth of the machine's memory, within these bounds.
const BUFFERS: RangeInclusive<u64> = 128..=2048;
/// Makes glibc keep the memory of a batch of rows, up to 16 MiB per connection, instead of fetching it from the kernel each time.
const MALLOC: &str = "glibc.malloc.mmap_threshold=4194304:glibc.malloc.trim_threshold=16777216:glibc.malloc.top_pad=1048576";

/// Settings for two to eight cores and a mostly appending database, with full durability.
const SETTINGS: [&str; 21] = [
    "cluster_name=daybook",
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "max_connections=200",
    "work_mem=8MB",
    "maintenance_work_mem=128MB",
    "random_page_cost=1.1",
    "jit=off",
    "fsync=on",
    "full_page_writes=on",
    "synchronous_commit=on",
    "wal_level=minimal",
    "max_wal_senders=0",
    "checkpoint_timeout=15min",
    "logging_collector=off",
    "log_destination=stderr",
    "log_checkpoints=off",
    // Details of errors contain user data.
    "log_error_verbosity=terse",
    "log_line_prefix=%m [%p] ",
    "log_timezone=UTC",
    "timezone=UTC",
];

fn buffers(memory: Option<u64>) -> u64 {
    let (least, most) = BUFFERS.into_inner();
    memory.map_or(least, |megabytes| (megabytes / 8).clamp(least, most))
}

/// Size of the write-ahead log between two checkpoints in megabytes: a tenth of the disk, within these bounds.
const WAL: RangeInclusive<u64> = 64..=2048;

fn wal(disk: Option<u64>) -> u64 {
    let (least, most) = WAL.into_inner();
    disk.map_or(most, |megabytes| (megabytes / 10).clamp(least, most))
}

/// Returns the size in megabytes of the disk that a directory is on.
fn disk(directory: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(directory).ok()?;
    Some(disk.f_blocks.saturating_mul(disk.f_frsize) >> 20)
}

pub struct Server<'a> {
    cluster: &'a Cluster,
    process: Child,
    /// Offset in the log file at which this server began.
    log_start: u64,
}

impl<'a> Server<'a> {
    /// Starts the server. The server and its processes inherit the lock as their standard input.
    pub fn launch(
        cluster: &'a Cluster,
        programs: &Programs,
        lock: &File,
        settings: &[&str],
    ) -> Result<Self> {
        let buffers = buffers(memory::megabytes());
        let wal = wal(disk(cluster.directory()));
        cluster.make_ready()?;
        let log = cluster.open_log()?;
        let log_path = cluster.log();
        let share = |file: &File| file.try_clone().map_err(io_error("share", &log_path));
        let log_start = log
            .metadata()
            .map_err(io_error("examine", &log_path))?
            .len();
        // The setting is a list of directories, so a comma or a space in the name must be quoted.
        let sockets = cluster.sockets().to_string_lossy().replace('"', "\"\"");
        let process = programs
            .command("postgres", cluster.account())
            .env("GLIBC_TUNABLES", MALLOC)
            .arg("-D")
            .arg(cluster.directory())
            .args([
                "-p",
                &cluster::PORT.to_string(),
                "-c",
                &format!("unix_socket_directories=\"{sockets}\""),
                "-c",
                &format!("shared_buffers={buffers}MB"),
                "-c",
                // The kernel's cache has at least as much again.
                &format!("effective_cache_size={}MB", 3 * buffers),
                "-c",
                &format!("max_wal_size={wal}MB"),
                "-c",
                // At least two segments.
                &format!("min_wal_size={}MB", (wal / 8).max(32)),
            ])
            .args(
                SETTINGS
                    .iter()
                    .chain(settings)
                    .flat_map(|setting| ["-c", setting]),
            )
            .stdin(share(lock)?)
            .stdout(share(&log)?)
            .stderr(log)
            .spawn()
            .map_err(io_error("run postgres in", programs.directory()))?;
        Ok(Self {
            cluster,
            process,
            log_start,
        })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Returns an error if the server has ended.
    pub fn check(&mut self) -> Result<()> {
        self.exited()?.map_or(Ok(()), |status| {
            let log: PathBuf = self.cluster.log();
            let tail =
                cluster::tail(&log, self.log_start).unwrap_or_else(|error| error.to_string());
            Err(PrivatePostgresError::Ended {
                status: status.to_string(),
                log,
                tail,
            })
        })
    }

    /// Lets sessions end by themselves, then shuts down fast, and immediately if that takes too long.
    pub fn stop(&mut self) -> Result<()> {
        self.signal(libc::SIGTERM);
        if !self.exits_within(SMART)? {
            self.signal(libc::SIGINT);
        }
        if !self.exits_within(FAST)? {
            tracing::warn!(
                process = self.id(),
                "the private PostgreSQL does not stop; it will recover at its next start"
            );
            self.signal(libc::SIGQUIT);
            if !self.exits_within(IMMEDIATE)? {
                return Err(PrivatePostgresError::StillRunning(self.id()));
            }
        }
        self.cluster.remove_sockets();
        tracing::info!(directory = %self.cluster.directory().display(), "stopped the private PostgreSQL");
        Ok(())
    }

    fn exits_within(&mut self, limit: Duration) -> Result<bool> {
        let deadline = Instant::now() + limit;
        while self.exited()?.is_none() {
            if Instant::now() > deadline {
                return Ok(false);
            }
            thread::sleep(EAGER);
        }
        Ok(true)
    }

    fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.process
            .try_wait()
            .map_err(io_error("wait for", self.cluster.directory()))
    }

    #[allow(unsafe_code)]
    fn signal(&self, signal: libc::c_int) {
        if let Ok(pid) = libc::pid_t::try_from(self.process.id()) {
            // SAFETY: kill has no memory preconditions, and the pid is our child's: it is not reused before `exited` has reaped it, and
            // nothing is sent after that.
            unsafe { libc::kill(pid, signal) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{buffers, wal};

    #[test]
    fn the_write_ahead_log_fits_the_disk() {
        for (disk, share) in [
            (None, 2048),
            (Some(200), 64),
            (Some(10_240), 1024),
            (Some(1 << 20), 2048),
        ] {
            assert_eq!(wal(disk), share, "{disk:?}");
        }
    }

    #[test]
    fn postgresql_gets_a_share_of_the_memory() {
        for (memory, share) in [
            (None, 128),
            (Some(512), 128),
            (Some(4096), 512),
            (Some(65_536), 2048),
        ] {
            assert_eq!(buffers(memory), share, "{memory:?}");
        }
    }
}
