//! Parsers of setting values.

use std::str::FromStr;
use std::time::Duration;

use api::{Origin, OriginPattern};

/// The format of log lines.
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

/// A log filter. Refuses a word that is not a level: it would count as a target and disable everything else.
pub(super) struct LogFilter(pub String);

impl FromStr for LogFilter {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        tracing_subscriber::EnvFilter::try_new(text).map_err(drop)?;
        // The parser accepts any text before `=` as a module name.
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

/// A duration of at least one second.
pub(super) struct Seconds(pub Duration);

impl FromStr for Seconds {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        seconds(text, 31_536_000).map(Self)
    }
}

/// Parses a duration from one second to a maximum.
fn seconds(text: &str, most: u64) -> Result<Duration, ()> {
    let seconds = text.parse().ok().filter(|n| (1..=most).contains(n));
    seconds.map(Duration::from_secs).ok_or(())
}

/// The time limit of a delivery attempt, well below the minute after which its worker counts as dead.
pub(super) struct AttemptTimeout(pub Duration);

impl FromStr for AttemptTimeout {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        seconds(text, 30).map(Self)
    }
}

/// The address that clients use, with or without a trailing slash.
pub(super) struct PublicUrl(pub Origin);

impl FromStr for PublicUrl {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let origin = text.strip_suffix('/').unwrap_or(text).parse();
        origin.map(Self).map_err(|_| ())
    }
}

/// Origins, separated by commas.
pub(super) struct Origins(pub Vec<OriginPattern>);

impl FromStr for Origins {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let origins = text.split(',').map(|text| text.trim().parse());
        origins.collect::<Result<_, _>>().map(Self).map_err(|_| ())
    }
}

/// The URL template of a proposal's page.
pub(super) struct ApprovalUrl(pub String);

impl FromStr for ApprovalUrl {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_url = text.starts_with("https://") || text.starts_with("http://");
        (is_url && text.contains("{id}"))
            .then(|| Self(text.to_owned()))
            .ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
