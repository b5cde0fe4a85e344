//! Settings: from flags, `DAYBOOK_*` variables and `daybook.toml`, in this order. All faults are named at once.

mod files;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use api::{Origin, OriginPattern};
use workers::webhook::Schedule;

pub use files::Files;

/// What a node needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    /// None: a private PostgreSQL in the data directory.
    pub database_url: Option<String>,
    /// How long the start waits for that database.
    pub database_wait: Duration,
    /// None: the file `secret.key` in the data directory.
    pub secret_key: Option<String>,
    /// Receives the operator's key at the first start.
    pub operator_key_file: PathBuf,
    pub log_format: LogFormat,
    /// As `RUST_LOG` has it.
    pub log: String,
    pub webhooks_allow_private: bool,
    pub webhooks_schedule: Schedule,
    pub webhooks_timeout: Duration,
    pub files: Files,
    /// Bytes.
    pub body_limit: usize,
    pub request_timeout: Duration,
    pub shutdown_timeout: Duration,
    /// None: where the server listens.
    pub public_url: Option<Origin>,
    /// Pages that may call the API.
    pub cors_origins: Vec<OriginPattern>,
    pub mcp: api::agents::mcp::Settings,
    /// Every setting that was looked for, and what was found.
    given: Vec<Given>,
}

/// A setting that was looked for.
#[derive(Debug, Clone)]
struct Given {
    name: String,
    /// The text and its source, if a source had one.
    found: Option<(String, String)>,
}

/// A setting as `config check` shows it.
#[derive(Debug)]
pub struct Setting {
    pub variable: String,
    /// What is used; secrets are masked.
    pub value: String,
    pub source: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    Human,
    Json,
}

impl FromStr for LogFormat {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err(()),
        }
    }
}

/// Directives of a log filter. A word that is no level would be taken for a target, and switch everything else off.
struct LogFilter(String);

impl FromStr for LogFilter {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        tracing_subscriber::EnvFilter::try_new(text).map_err(drop)?;
        // The parser takes any text before `=` for the name of a module.
        let is_directive = |text: &str| {
            text.contains(['=', '[', ']']) && !text.contains(';')
                || text
                    .trim()
                    .parse::<tracing_subscriber::filter::LevelFilter>()
                    .is_ok()
        };
        let fits = text.split(',').all(is_directive);
        fits.then(|| Self(text.to_owned())).ok_or(())
    }
}

/// At least one second.
struct Seconds(Duration);

impl FromStr for Seconds {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let seconds = text.parse().ok().filter(|n| (1..=31_536_000).contains(n));
        seconds.map(Duration::from_secs).map(Self).ok_or(())
    }
}

/// How long an attempt may take: well within the minute after which its worker counts as dead.
struct AttemptTimeout(Duration);

impl FromStr for AttemptTimeout {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let seconds = text.parse().ok().filter(|n| (1..=30).contains(n));
        seconds.map(Duration::from_secs).map(Self).ok_or(())
    }
}

/// Where clients find the server, with or without a slash at its end.
struct PublicUrl(Origin);

impl FromStr for PublicUrl {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let origin = text.strip_suffix('/').unwrap_or(text).parse();
        origin.map(Self).map_err(|_| ())
    }
}

/// Several, separated by commas.
struct Origins(Vec<OriginPattern>);

impl FromStr for Origins {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let origins = text.split(',').map(|text| text.trim().parse());
        origins.collect::<Result<_, _>>().map(Self).map_err(|_| ())
    }
}

/// The address of a page about a proposal.
struct ApprovalUrl(String);

impl FromStr for ApprovalUrl {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_url = text.starts_with("https://") || text.starts_with("http://");
        (is_url && text.contains("{id}"))
            .then(|| Self(text.to_owned()))
            .ok_or(())
    }
}

/// Everything that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has {} problem(s):\n{}", .0.len(), .0.iter().map(|p| format!("  - {p}")).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError(pub Vec<String>);

/// What the command line says; it goes before all else.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub config: Option<PathBuf>,
    pub listen: Option<String>,
    pub data_dir: Option<PathBuf>,
    pub log_format: Option<LogFormat>,
}

/// Requests that an agent may send by MCP.
const CALLS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(300).unwrap();

/// Variables that other parts of the program read.
const OTHER_VARIABLES: [&str; 4] = ["postgres_bin", "server", "key", "config"];

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

impl Config {
    /// Every setting, as it is used.
    pub fn settings(&self) -> Vec<Setting> {
        let setting = |given: &Given| {
            let (value, source) = match &given.found {
                Some((text, source)) => (mask(&given.name, text), source.clone()),
                None => (self.default_of(&given.name), "default".to_owned()),
            };
            Setting {
                variable: variable(&given.name),
                value,
                source,
            }
        };
        self.given.iter().map(setting).collect()
    }

    /// The value of a setting that no source has named.
    fn default_of(&self, name: &str) -> String {
        let seconds = |limit: Duration| limit.as_secs().to_string();
        match name {
            "listen" => self.listen.to_string(),
            "data_dir" => self.data_dir.display().to_string(),
            "database_url" => "a private PostgreSQL in the data directory".into(),
            "database_wait" => seconds(self.database_wait),
            "secret_key" => "secret.key in the data directory".into(),
            "operator_key_file" => self.operator_key_file.display().to_string(),
            "log_format" => "human".into(),
            "log" => self.log.clone(),
            "webhooks_allow_private" => self.webhooks_allow_private.to_string(),
            "webhooks_schedule" => "standard".into(),
            "webhooks_timeout" => seconds(self.webhooks_timeout),
            "body_limit" => self.body_limit.to_string(),
            "request_timeout" => seconds(self.request_timeout),
            "shutdown_timeout" => seconds(self.shutdown_timeout),
            "public_url" => "where the server listens".into(),
            "cors_origins" => "none".into(),
            "mcp_calls_per_minute" => self.mcp.calls_per_minute.to_string(),
            "files_url" => self.files.place.url.clone(),
            "files_quota_bytes" => self.files.quota.bytes.to_string(),
            "files_quota_count" => self.files.quota.files.to_string(),
            "files_url_ttl" => seconds(self.files.url_ttl),
            "files_sweep_interval" => seconds(self.files.sweep_interval),
            "files_sweep_grace" => seconds(self.files.sweep_grace),
            _ => "-".into(),
        }
    }
}

/// A setting's text without what is secret in it.
fn mask(name: &str, text: &str) -> String {
    const MASKED: &str = "***";
    match name {
        "database_url" => mask_password(text),
        name if ["key", "secret", "password", "token"]
            .iter()
            .any(|end| name.ends_with(end)) =>
        {
            MASKED.into()
        }
        _ => text.to_owned(),
    }
}

/// A database's URL without passwords: that of the user, and those of parameters.
fn mask_password(url: &str) -> String {
    let mut masked = url.to_owned();
    if let Some((scheme, rest)) = url.split_once("://") {
        // A password may hold an unescaped at sign, a host cannot.
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if let Some((user, host)) = authority.rsplit_once('@') {
            let user = user
                .split_once(':')
                .map_or_else(|| user.to_owned(), |(user, _)| format!("{user}:***"));
            masked = format!("{scheme}://{user}@{host}{path}");
        }
    }
    match masked.find("password=") {
        Some(start) => {
            let start = start + "password=".len();
            let end = masked[start..]
                .find(['&', ' '])
                .map_or(masked.len(), |end| start + end);
            format!("{}***{}", &masked[..start], &masked[end..])
        }
        None => masked,
    }
}

impl Overrides {
    /// Flags by the names of their settings.
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

/// Settings by name, and what was wrong with those taken so far.
struct Sources {
    flags: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
    file: BTreeMap<String, String>,
    problems: Vec<String>,
    given: Vec<Given>,
}

impl Sources {
    fn take<T: FromStr>(&mut self, name: &str, expects: &str) -> Option<T> {
        let from_file = self
            .file
            .remove(name)
            .map(|text| (text, format!("{name} in the configuration file")));
        let from_variable = self
            .variables
            .remove(name)
            .map(|text| (text, variable(name)));
        let from_flag = self
            .flags
            .remove(name)
            .map(|text| (text, format!("--{}", name.replace('_', "-"))));
        let found = from_flag.or(from_variable).or(from_file);
        self.given.push(Given {
            name: name.to_owned(),
            found: found.clone(),
        });
        let (text, source) = found?;
        let value = text.trim().parse().ok();
        if value.is_none() {
            self.problems.push(format!("{source} expects {expects}"));
        }
        value
    }

    fn finish(mut self) -> Result<Vec<Given>, ConfigError> {
        let unknown = self
            .variables
            .keys()
            .filter(|name| !OTHER_VARIABLES.contains(&name.as_str()))
            .map(|name| format!("{} is not a setting", variable(name)));
        self.problems.extend(unknown);
        let unknown = self
            .file
            .keys()
            .map(|name| format!("{name} in the configuration file is not a setting"));
        self.problems.extend(unknown);
        if self.problems.is_empty() {
            Ok(self.given)
        } else {
            Err(ConfigError(self.problems))
        }
    }
}

fn variable(name: &str) -> String {
    match name {
        "database_url" => "DATABASE_URL".into(),
        other => format!("DAYBOOK_{}", other.to_uppercase()),
    }
}

/// A TOML file as flat names: `allow_private` in `[webhooks]` is `webhooks_allow_private`.
fn read_file(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let fault = |error: &dyn Display| ConfigError(vec![format!("{}: {error}", path.display())]);
    let text = std::fs::read_to_string(path).map_err(|error| fault(&error))?;
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| fault(&error))?;
    let mut flat = BTreeMap::new();
    flatten("", &table, &mut flat);
    Ok(flat)
}

fn flatten(prefix: &str, table: &toml::Table, flat: &mut BTreeMap<String, String>) {
    for (name, value) in table {
        let name = format!("{prefix}{name}");
        match value {
            toml::Value::Table(inner) => flatten(&format!("{name}_"), inner, flat),
            toml::Value::String(text) => {
                flat.insert(name, text.clone());
            }
            plain @ (toml::Value::Integer(_)
            | toml::Value::Float(_)
            | toml::Value::Boolean(_)
            | toml::Value::Datetime(_)
            | toml::Value::Array(_)) => {
                flat.insert(name, plain.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
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
    fn a_log_filter_of_no_level_is_refused() {
        for good in [
            "info",
            "WARN,store=debug",
            "off",
            "info,[http{route=x}]=debug",
        ] {
            assert!(good.parse::<LogFilter>().is_ok(), "{good}");
        }
        for bad in ["verbose", "info,store=loud", "info;store=debug"] {
            assert!(bad.parse::<LogFilter>().is_err(), "{bad}");
        }
    }

    #[test]
    fn settings_are_shown_with_their_sources_and_without_secrets() {
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let variables = [
            (
                "database_url",
                "postgresql://daybook:hu@sh@host/daybook?password=hush",
            ),
            ("secret_key", key),
            ("listen", "127.0.0.1:1"),
        ];
        let overrides = Overrides {
            data_dir: Some("elsewhere".into()),
            ..Overrides::default()
        };
        let file = map(&[("body_limit", "7")]);
        let config = Config::from_sources(map(&variables), file, overrides).unwrap();
        let settings = config.settings();
        let shown = |variable: &str| {
            let found = settings.iter().find(|one| one.variable == variable);
            let found = found.unwrap_or_else(|| panic!("{variable} is not shown"));
            (found.value.as_str(), found.source.as_str())
        };
        let url = "postgresql://daybook:***@host/daybook?password=***";
        for (variable, expected) in [
            ("DATABASE_URL", (url, "DATABASE_URL")),
            ("DAYBOOK_SECRET_KEY", ("***", "DAYBOOK_SECRET_KEY")),
            ("DAYBOOK_LISTEN", ("127.0.0.1:1", "DAYBOOK_LISTEN")),
            ("DAYBOOK_DATA_DIR", ("elsewhere", "--data-dir")),
            (
                "DAYBOOK_BODY_LIMIT",
                ("7", "body_limit in the configuration file"),
            ),
            ("DAYBOOK_REQUEST_TIMEOUT", ("30", "default")),
            ("DAYBOOK_FILES_URL", ("elsewhere/files", "default")),
        ] {
            assert_eq!(shown(variable), expected, "{variable}");
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

    #[test]
    fn a_file_may_have_tables() {
        let mut flat = BTreeMap::new();
        let table = "listen = 'a'\n[webhooks]\nallow_private = true\n"
            .parse()
            .unwrap();
        flatten("", &table, &mut flat);
        assert_eq!(
            flat,
            map(&[("listen", "a"), ("webhooks_allow_private", "true")])
        );
    }
}
