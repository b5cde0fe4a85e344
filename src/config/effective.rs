//! The effective settings, in readable form.

use std::time::Duration;

use super::Config;
use super::sources::{Given, variable};

/// A setting as `config check` shows it.
#[derive(Debug)]
pub struct Setting {
    pub variable: String,
    /// Effective value; secrets are masked.
    pub value: String,
    pub source: String,
}

impl Config {
    /// Returns all effective settings.
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

    /// Returns the value of a setting that no source provides.
    fn default_of(&self, name: &str) -> String {
        let seconds = |limit: Duration| limit.as_secs().to_string();
        match name {
            "listen" => self.listen.to_string(),
            "data_dir" => self.data_dir.display().to_string(),
            "database_url" => "a private PostgreSQL in the data directory".into(),
            "database_wait" => seconds(self.database_wait),
            "sessions_queries" => self.sessions.queries.to_string(),
            "sessions_consumers" => self.sessions.consumers.to_string(),
            "sessions_jobs" => self.sessions.jobs.to_string(),
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

/// Masks secrets in a setting's text.
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

/// Masks passwords in a database URL, both the user's and those in parameters.
fn mask_password(url: &str) -> String {
    let mut masked = url.to_owned();
    if let Some((scheme, rest)) = url.split_once("://") {
        // A password may contain an unescaped at sign, a host cannot.
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

#[cfg(test)]
mod tests {
    use crate::config::Overrides;
    use crate::config::tests::map;

    use super::*;

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
}
