//! The retry schedule of failed deliveries.

use std::str::FromStr;

use chrono::TimeDelta;

/// Waiting times before the second, third, … attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Vec<TimeDelta>);

/// The error for text that is not a schedule.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expects `standard`, `short`, or waiting times such as 5s,5m,2h; {0:?} is none")]
pub struct ScheduleError(String);

/// A little over three days.
const STANDARD: &str = "5s,5m,30m,2h,5h,10h,14h,20h,24h";
/// For receivers that recover at once or not at all.
const SHORT: &str = "10s,60s,300s";
/// Maximum share by which a waiting time is lengthened or shortened.
const JITTER: f64 = 0.2;

impl Default for Schedule {
    fn default() -> Self {
        Self::parse(STANDARD).unwrap_or(Self(vec![]))
    }
}

impl Schedule {
    fn parse(text: &str) -> Option<Self> {
        text.split(',')
            .map(|part| waiting_time(part.trim()))
            .collect::<Option<Vec<_>>>()
            .map(Self)
    }

    /// Returns the waiting times, each with its own jitter; `random` returns numbers from 0 to 1.
    #[must_use]
    pub fn jittered(&self, mut random: impl FnMut() -> f64) -> Vec<TimeDelta> {
        self.0
            .iter()
            .map(|wait| {
                #[expect(clippy::cast_precision_loss, reason = "at most days of milliseconds")]
                let milliseconds = wait.num_milliseconds() as f64;
                let factor = (random() * 2.0 - 1.0).mul_add(JITTER, 1.0);
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "at most days of milliseconds"
                )]
                TimeDelta::milliseconds((milliseconds * factor) as i64)
            })
            .collect()
    }
}

fn waiting_time(text: &str) -> Option<TimeDelta> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: i64 = number.parse().ok().filter(|n| (0..1_000_000).contains(n))?;
    match unit {
        "s" => TimeDelta::try_seconds(number),
        "m" => TimeDelta::try_minutes(number),
        "h" => TimeDelta::try_hours(number),
        "d" => TimeDelta::try_days(number),
        _ => None,
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let times = match text {
            "standard" => STANDARD,
            "short" => SHORT,
            other => other,
        };
        Self::parse(times).ok_or_else(|| ScheduleError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_and_lists_are_understood() {
        let short = Schedule::from_str("short").unwrap();
        assert_eq!(short, Schedule::from_str("10s, 1m, 5m").unwrap());
        assert_eq!(Schedule::default().0.len(), 9);
        assert_eq!(Schedule::from_str("standard").unwrap(), Schedule::default());
    }

    #[test]
    fn anything_else_is_an_error() {
        for text in ["", "5", "s", "-5s", "5s,,5m", "5é", "99999999999999d"] {
            assert!(Schedule::from_str(text).is_err(), "{text}");
        }
    }

    #[test]
    fn jitter_stays_within_a_fifth() {
        let schedule = Schedule::from_str("100s").unwrap();
        assert_eq!(schedule.jittered(|| 0.0), [TimeDelta::seconds(80)]);
        assert_eq!(schedule.jittered(|| 0.5), [TimeDelta::seconds(100)]);
        assert_eq!(schedule.jittered(|| 1.0), [TimeDelta::seconds(120)]);
    }
}
