//! Settings from flags, `DAYBOOK_*` variables and `daybook.toml`, in this order of precedence. All faults are reported at once.

mod effective;
mod files;
mod sources;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::{Origin, OriginPattern};
use store::SessionLimits;
use workers::webhook::Schedule;

pub use files::Files;
use sources::{Given, Sources, read_file};
pub use values::LogFormat;
use values::{ApprovalUrl, AttemptTimeout, LogFilter, Origins, PublicUrl, Seconds};

/// The configuration of a node.
#[derive(Debug, Clone)]
pub struct Config {
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    /// URL of the database; if absent, a private PostgreSQL in the data directory is used.
    pub database_url: Option<String>,
    /// Longest time that startup waits for that database.
    pub database_wait: Duration,
    /// Maximum number of database sessions that this node opens.
    pub sessions: SessionLimits,
    /// Root secret; if absent, it is read from `secret.key` in the data directory.
    pub secret_key: Option<String>,
    /// File that receives the operator's key at the first start.
    pub operator_key_file: PathBuf,
    pub log_format: LogFormat,
    /// Log filter in the format of `RUST_LOG`.
    pub log: String,
    pub webhooks_allow_private: bool,
    pub webhooks_schedule: Schedule,
    pub webhooks_timeout: Duration,
    pub files: Files,
    /// Maximum size of a request body in bytes.
    pub body_limit: usize,
    pub request_timeout: Duration,
    pub shutdown_timeout: Duration,
    /// Public address; if absent, the address that the server listens on is used.
    pub public_url: Option<Origin>,
    /// Origins whose pages may call the API.
    pub cors_origins: Vec<OriginPattern>,
    pub mcp: api::agents::mcp::Settings,
    /// Every setting that was looked up, with its value and source.
    given: Vec<Given>,
}

/// All faults of the configuration.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has {} problem(s):\n{}", .0.len(), .0.iter().map(|p| format!("  - {p}")).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError(pub Vec<String>);

/// Settings from the command line, which take precedence.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub config: Option<PathBuf>,
    pub listen: Option<String>,
    pub data_dir: Option<PathBuf>,
    pub log_format: Option<LogFormat>,
}

/// Default number of MCP requests per minute and agent.
const CALLS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(300).unwrap();

impl Config {
    /// Reads all sources.
    pub fn load(overrides: Overrides) -> Result<Self, ConfigError> {
        let variables = std::env::vars().filter_map(|(name, value)| {
            let name = match name.as_str() {
                "DATABASE_URL" => "database_url".to_owned(),
                other => other.strip_prefix("DAYBOOK_")?.to_lowercase(),
            };
            (!name.starts_with("test_") && !value.is_empty()).then_some((name, value))
        });
        let path = overrides
            .config
            .clone()
            .or_else(|| std::env::var_os("DAYBOOK_CONFIG").map(PathBuf::from));
        let file = match path {
            Some(path) => read_file(&path)?,
            None => match Path::new("daybook.toml") {
                path if path.exists() => read_file(path)?,
                _ => BTreeMap::new(),
            },
        };
        Self::from_sources(variables.collect(), file, overrides)
    }

    fn from_sources(
        variables: BTreeMap<String, String>,
        file: BTreeMap<String, String>,
        overrides: Overrides,
    ) -> Result<Self, ConfigError> {
        let mut sources = Sources {
            flags: overrides.flags(),
            variables,
            file,
            problems: vec![],
            given: vec![],
        };
        let listen = sources.take("listen", "an address and port such as 127.0.0.1:8080");
        let data_dir = sources.take("data_dir", "a directory");
        let database_url: Option<String> = sources.take(
            "database_url",
            "a URL such as postgresql://user@host/database",
        );
        if let Some(url) = &database_url
            && url.parse::<tokio_postgres::Config>().is_err()
        {
            sources
                .problems
                .push("DATABASE_URL expects a URL such as postgresql://user@host/database".into());
        }
        let database_wait = sources.take(
            "database_wait",
            "a number of seconds; 0: the start does not wait",
        );
        let sessions = sessions(&mut sources);
        let secret_key: Option<String> =
            sources.take("secret_key", "32 bytes in base64, the same on every node");
        if let Some(key) = &secret_key
            && crate::secret_key::decode(key).is_none()
        {
            sources
                .problems
                .push("DAYBOOK_SECRET_KEY expects 32 bytes in base64, the same on every node; `openssl rand -base64 32` makes them".into());
        }
        let operator_key_file = sources.take("operator_key_file", "the path of a file");
        let log_format = sources.take("log_format", "human or json");
        let log = sources.take("log", "a filter such as info or info,store=debug, of the levels error, warn, info, debug, trace and off");
        let webhooks_allow_private = sources.take("webhooks_allow_private", "true or false");
        let webhooks_schedule = sources.take(
            "webhooks_schedule",
            "standard, short, or waiting times such as 5s,5m,2h",
        );
        let webhooks_timeout = sources.take("webhooks_timeout", "1 to 30 seconds");
        let files = Files::take(&mut sources);
        let body_limit = sources.take("body_limit", "a number of bytes, at least 1");
        let request_timeout = sources.take("request_timeout", "a number of seconds, at least 1");
        let shutdown_timeout = sources.take("shutdown_timeout", "a number of seconds");
        let public_url = sources.take(
            "public_url",
            "an address without a path, such as https://daybook.example.com",
        );
        let cors_origins = sources.take(
            "cors_origins",
            "origins of web pages such as https://app.example.com or http://localhost:*, separated by commas, or *",
        );
        let origins = sources.take(
            "mcp_origins",
            "origins of web pages such as https://app.example.com, separated by commas",
        );
        let calls_per_minute = sources.take("mcp_calls_per_minute", "a number from 1");
        let approval_url = sources.take(
            "mcp_approval_url",
            "an address with {id} in it, such as https://app.example.com/proposals/{id}",
        );
        let given = sources.finish()?;
        let mcp = api::agents::mcp::Settings {
            origins: origins.map_or_else(Vec::new, |Origins(origins)| origins),
            calls_per_minute: calls_per_minute.unwrap_or(CALLS_PER_MINUTE),
            approval_url: approval_url.map(|ApprovalUrl(url)| url),
        };
        let data_dir = overrides
            .data_dir
            .or(data_dir)
            .unwrap_or_else(|| PathBuf::from("data"));
        Ok(Self {
            given,
            sessions,
            database_wait: Duration::from_secs(database_wait.unwrap_or(60)),
            public_url: public_url.map(|PublicUrl(url)| url),
            cors_origins: cors_origins.map_or_else(Vec::new, |Origins(origins)| origins),
            mcp,
            files: files.below(&data_dir),
            listen: listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
            operator_key_file: operator_key_file.unwrap_or_else(|| data_dir.join("operator.key")),
            data_dir,
            database_url,
            secret_key,
            log_format: overrides
                .log_format
                .or(log_format)
                .unwrap_or(LogFormat::Human),
            log: log.map_or_else(|| "info".into(), |LogFilter(log)| log),
            webhooks_allow_private: webhooks_allow_private.unwrap_or(false),
            webhooks_schedule: webhooks_schedule.unwrap_or_default(),
            webhooks_timeout: webhooks_timeout
                .map_or(Duration::from_secs(15), |AttemptTimeout(limit)| limit),
            body_limit: body_limit.map_or(2 << 20, NonZeroUsize::get),
            request_timeout: request_timeout
                .map_or(Duration::from_secs(30), |Seconds(limit)| limit),
            shutdown_timeout: Duration::from_secs(shutdown_timeout.unwrap_or(20)),
        })
    }
}

/// Returns the maximum number of sessions of each pool.
fn sessions(sources: &mut Sources) -> SessionLimits {
    const SESSIONS: &str = "a number of database sessions, at least 1";
    let SessionLimits {
        queries,
        consumers,
        jobs,
    } = SessionLimits::default();
    let mut limit = |name, default| {
        sources
            .take(name, SESSIONS)
            .map_or(default, NonZeroUsize::get)
    };
    SessionLimits {
        queries: limit("sessions_queries", queries),
        consumers: limit("sessions_consumers", consumers),
        jobs: limit("sessions_jobs", jobs),
    }
}

impl Overrides {
    /// Returns flags by the names of their settings.
    fn flags(&self) -> BTreeMap<String, String> {
        let log_format = self.log_format.map(|format| match format {
            LogFormat::Human => "human".to_owned(),
            LogFormat::Json => "json".to_owned(),
        });
        let data_dir = self
            .data_dir
            .as_ref()
            .map(|path| path.display().to_string());
        [
            ("listen", self.listen.clone()),
            ("data_dir", data_dir),
            ("log_format", log_format),
        ]
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), text?)))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect()
    }

    fn load(variables: &[(&str, &str)], file: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_sources(map(variables), map(file), Overrides::default())
    }

    #[test]
    fn nothing_said_means_the_defaults() {
        let config = load(&[], &[]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.database_url, None);
        assert!(!config.webhooks_allow_private);
    }

    #[test]
    fn a_variable_goes_before_the_file_and_a_flag_before_both() {
        let file = [("listen", "127.0.0.1:1"), ("body_limit", "7")];
        let config = load(&[("listen", "127.0.0.1:2")], &file).unwrap();
        assert_eq!(config.listen.port(), 2);
        assert_eq!(config.body_limit, 7);
        let overrides = Overrides {
            listen: Some("127.0.0.1:3".into()),
            ..Overrides::default()
        };
        let config = Config::from_sources(map(&[("listen", "x")]), map(&file), overrides).unwrap();
        assert_eq!(config.listen.port(), 3);
    }

    #[test]
    fn every_fault_is_named_with_what_is_expected() {
        let ConfigError(problems) = load(
            &[
                ("listen", "here"),
                ("webhooks_schedule", "soon"),
                ("webhooks_timeout", "31"),
                ("files_url", "gopher://cellar"),
                ("files_quota_bytes", "much"),
                ("files_max_sizes", "cellar=1"),
                ("colour", "blue"),
                ("secret_key", "short"),
                ("log", "info,store=loud"),
                ("request_timeout", "0"),
            ],
            &[("log_format", "xml"), ("colour", "red")],
        )
        .unwrap_err();
        let text = problems.join("\n");
        for part in [
            "DAYBOOK_LISTEN expects an address",
            "DAYBOOK_WEBHOOKS_SCHEDULE expects",
            "DAYBOOK_WEBHOOKS_TIMEOUT expects 1 to 30 seconds",
            "DAYBOOK_FILES_URL expects s3://bucket/prefix",
            "DAYBOOK_FILES_QUOTA_BYTES expects a number of bytes",
            "DAYBOOK_FILES_MAX_SIZES expects sizes by container",
            "DAYBOOK_COLOUR is not a setting",
            "DAYBOOK_SECRET_KEY expects 32 bytes",
            "DAYBOOK_LOG expects a filter",
            "DAYBOOK_REQUEST_TIMEOUT expects a number of seconds, at least 1",
            "log_format in the configuration file expects human or json",
            "colour in the configuration file is not a setting",
        ] {
            assert!(text.contains(part), "{part} is missing in:\n{text}");
        }
    }

    #[test]
    fn addresses_for_agents_are_told_from_what_is_none() {
        let given = [
            ("public_url", "https://daybook.example.com/"),
            ("cors_origins", "*"),
            ("mcp_origins", "https://a.example.com, http://localhost:*"),
            ("mcp_calls_per_minute", "7"),
            ("mcp_approval_url", "https://a.example.com/{id}"),
        ];
        let config = load(&given, &[]).unwrap();
        let public_url = config.public_url.unwrap();
        assert_eq!(public_url.to_string(), "https://daybook.example.com");
        assert_eq!(config.cors_origins, [OriginPattern::Any]);
        let mcp = config.mcp;
        let origins = ["https://a.example.com", "http://localhost:*"];
        assert_eq!(mcp.origins, origins.map(|origin| origin.parse().unwrap()));
        assert_eq!(mcp.calls_per_minute.get(), 7);
        let faults = [
            ("public_url", "https://daybook.example.com/api"),
            ("cors_origins", "https://*.example.com"),
            ("mcp_origins", "https://a.example.com,"),
            ("mcp_calls_per_minute", "0"),
            ("mcp_approval_url", "https://a.example.com/"),
        ];
        let ConfigError(problems) = load(&faults, &[]).unwrap_err();
        assert_eq!(problems.len(), faults.len(), "{problems:?}");
    }
}
