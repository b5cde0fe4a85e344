//! Logs and metrics.

use std::io::{self, BufWriter, IsTerminal, Stderr, Write};
use std::thread;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::{Level, Metadata};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{Config, LogFormat};
use crate::damper::{DAMPER, Damping};

/// Buckets in seconds, from a quick append to a slow webhook.
const SECONDS: [f64; 14] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0,
];
const EVENTS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 512.0, 4096.0];

/// Maximum number of buffered log lines, of some hundred bytes each.
const WAITING_LINES: usize = 16_384;
/// Time for which lines are collected before they are written; waking the thread for each line would cost more than the line.
const GATHER: Duration = Duration::from_millis(10);

/// Sends log lines to standard error; standard output is for results. A separate thread writes them, so that requests never wait: lines
/// are lost if the buffer is full. Dropping the guard writes the remaining lines.
pub fn log(config: &Config) -> WorkerGuard {
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry()
        .with(filter)
        .with(filter_fn(says_nothing_private));
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING_LINES)
        .thread_name("log")
        .finish(Gathering(BufWriter::new(io::stderr())));
    let lines = fmt::layer()
        .with_writer(writer)
        .with_ansi(io::stderr().is_terminal());
    let damping = Damping(&DAMPER);
    match config.log_format {
        LogFormat::Human => registry.with(lines.with_filter(damping)).init(),
        LogFormat::Json => registry
            .with(lines.json().flatten_event(true).with_filter(damping))
            .init(),
    }
    guard
}

/// Standard error, flushed when no line is waiting, with a pause after each flush.
struct Gathering(BufWriter<Stderr>);

impl Write for Gathering {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        thread::sleep(GATHER);
        Ok(())
    }
}

/// Suppresses private data: the database driver's debug lines contain the parameters of every statement, such as customers' texts and
/// webhook headers. The MCP library logs every message, and warns of every client fault.
fn says_nothing_private(line: &Metadata<'_>) -> bool {
    let most = match line.target().split("::").next() {
        Some("tokio_postgres") => Level::INFO,
        Some("rmcp") => Level::ERROR,
        Some(_) | None => Level::TRACE,
    };
    *line.level() <= most
}

/// All metrics with their descriptions; the code that records a metric decides its kind.
const MEASURES: [(&str, &str); 16] = [
    (
        "daybook_append_batch_events",
        "Events in one append transaction.",
    ),
    (
        "daybook_append_seconds",
        "How long one append transaction took.",
    ),
    ("daybook_commands_total", "Commands by type and outcome."),
    ("daybook_connections", "Connections of clients."),
    (
        "daybook_connections_refused_total",
        "Connections that were refused because there were too many.",
    ),
    (
        "daybook_database_trouble",
        "1: the log cannot be written, for a cause that readiness names.",
    ),
    ("daybook_jobs", "Jobs by kind and state."),
    (
        "daybook_files_swept_total",
        "Objects that the sweep has looked at, by what became of them.",
    ),
    (
        "daybook_http_request_seconds",
        "From a request's head to the head of its answer.",
    ),
    (
        "daybook_mcp_tool_calls_total",
        "Calls of agents by tool and outcome.",
    ),
    (
        "daybook_projection_lag_positions",
        "How far a consumer of the log is behind its end.",
    ),
    (
        "daybook_projection_lag_seconds",
        "For how long a consumer of the log has been behind its end.",
    ),
    (
        "daybook_projection_stopped",
        "1: the tables of the projection are not as they must be, and it does not go on.",
    ),
    (
        "daybook_projection_quarantined_streams",
        "Streams that a consumer of the log goes on without, because of an event that it cannot apply.",
    ),
    (
        "daybook_webhook_attempt_seconds",
        "How long endpoints took to answer a delivery.",
    ),
    (
        "daybook_webhook_attempts_total",
        "Attempted deliveries by outcome.",
    ),
];

/// Starts collecting metrics.
pub fn metrics() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_batch_events".into()), &EVENTS)?
        .install_recorder()?;
    for (name, description) in MEASURES {
        metrics::describe_gauge!(name, description);
    }
    // Alerts look at its increase, so it must exist before the first refusal.
    metrics::counter!("daybook_connections_refused_total").increment(0);
    Ok(handle)
}
