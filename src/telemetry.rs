//! Log lines and measurements.

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

/// Seconds, from a quick append to a slow webhook.
const SECONDS: [f64; 14] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0,
];
const EVENTS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 512.0, 4096.0];

/// Log lines that may wait to be written, some hundred bytes each.
const WAITING_LINES: usize = 16_384;
/// How long lines gather before they are written: waking the thread for each would cost more than the line.
const GATHER: Duration = Duration::from_millis(10);

/// Sends log lines to standard error; standard output is for answers. A thread of their own writes them, so that no request waits for
/// that: when nobody takes them, lines are lost. Those that wait when the guard is dropped are written.
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

/// Standard error, which is written to when no line waits any more, and then not for a moment.
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

/// The database driver's own debug lines hold the parameters of every statement: what customers write, and the headers
/// by which their webhooks are let in. The protocol of tools says every message, and warns of every fault of a client's.
fn says_nothing_private(line: &Metadata<'_>) -> bool {
    let most = match line.target().split("::").next() {
        Some("tokio_postgres") => Level::INFO,
        Some("rmcp") => Level::ERROR,
        Some(_) | None => Level::TRACE,
    };
    *line.level() <= most
}

/// Everything that is measured, and what it says. Kinds are told by whoever measures.
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

/// Collects measurements from here on.
pub fn metrics() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_batch_events".into()), &EVENTS)?
        .install_recorder()?;
    for (name, description) in MEASURES {
        metrics::describe_gauge!(name, description);
    }
    // An alert looks at its growth, also from the first one on.
    metrics::counter!("daybook_connections_refused_total").increment(0);
    Ok(handle)
}
