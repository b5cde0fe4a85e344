//! Values that a setting may have, as text says them.

use std::str::FromStr;
use std::time::Duration;

use api::{Origin, OriginPattern};

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
pub(super) struct LogFilter(pub String);

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
pub(super) struct Seconds(pub Duration);

impl FromStr for Seconds {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        seconds(text, 31_536_000).map(Self)
    }
}

/// One second to so many.
fn seconds(text: &str, most: u64) -> Result<Duration, ()> {
    let seconds = text.parse().ok().filter(|n| (1..=most).contains(n));
    seconds.map(Duration::from_secs).ok_or(())
}

/// The time that an attempt may take: well within the minute after which its worker counts as dead.
pub(super) struct AttemptTimeout(pub Duration);

impl FromStr for AttemptTimeout {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        seconds(text, 30).map(Self)
    }
}

/// The address at which clients find the server, with or without a slash at its end.
pub(super) struct PublicUrl(pub Origin);

impl FromStr for PublicUrl {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let origin = text.strip_suffix('/').unwrap_or(text).parse();
        origin.map(Self).map_err(|_| ())
    }
}

/// Several, separated by commas.
pub(super) struct Origins(pub Vec<OriginPattern>);

impl FromStr for Origins {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let origins = text.split(',').map(|text| text.trim().parse());
        origins.collect::<Result<_, _>>().map(Self).map_err(|_| ())
    }
}

/// The address of a page about a proposal.
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
