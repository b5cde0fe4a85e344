//! The table of results, on the terminal and in the repository.

use std::fmt::{self, Write as _};

use chrono::Utc;
use serde::{Deserialize, Serialize};

use crate::conditions::Conditions;
use crate::load::Seen;

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches");

/// One measurement, with its limit if it has one.
#[derive(Serialize, Deserialize)]
pub struct Row {
    pub name: String,
    taken: String,
    value: f64,
    unit: String,
    limit: Option<f64>,
    limited_by: Option<String>,
    /// Ratio to the limit; higher is better, also for milliseconds, megabytes and sessions.
    pub ratio: Option<f64>,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    /// Further conditions of the measurement.
    conditions: Option<String>,
}

impl Row {
    pub fn new(name: &str, unit: &str, value: f64) -> Self {
        Self {
            name: name.to_owned(),
            taken: Utc::now().format("%F %H:%M").to_string(),
            value: rounded(value),
            unit: unit.to_owned(),
            limit: None,
            limited_by: None,
            ratio: None,
            p50_ms: None,
            p99_ms: None,
            conditions: None,
        }
    }

    /// Returns a row with the results of a load.
    pub fn of(name: &str, unit: &str, seen: &Seen) -> Self {
        Self {
            p50_ms: Some(rounded(seen.p50_ms)),
            p99_ms: Some(rounded(seen.p99_ms)),
            ..Self::new(name, unit, seen.per_second)
        }
    }

    #[must_use]
    pub fn limited(self, by: &str, limit: f64) -> Self {
        let ratio = if matches!(self.unit.as_str(), "ms" | "MB" | "sessions") {
            limit / self.value
        } else {
            self.value / limit
        };
        Self {
            limit: Some(rounded(limit)),
            limited_by: Some(by.to_owned()),
            ratio: Some((ratio * 1000.0).round() / 1000.0),
            ..self
        }
    }

    #[must_use]
    pub fn under(self, conditions: impl Into<String>) -> Self {
        Self {
            conditions: Some(conditions.into()),
            ..self
        }
    }
}

/// Rounds large numbers to integers and others to hundredths.
fn rounded(number: f64) -> f64 {
    if number < 100.0 {
        (number * 100.0).round() / 100.0
    } else {
        number.round()
    }
}

pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| name | value | unit | limit | what limits | ratio | p50 ms | p99 ms | conditions | taken (UTC) |\n\
         |---|---:|---|---:|---|---:|---:|---:|---|---|\n",
    );
    for row in rows {
        let _ = writeln!(text, "{row}");
    }
    text
}

/// Formats a line of the table.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number =
            |number: Option<f64>| number.map_or_else(String::new, |number| number.to_string());
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        write!(
            f,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.name,
            self.value,
            self.unit,
            number(self.limit),
            text(&self.limited_by),
            number(self.ratio),
            number(self.p50_ms),
            number(self.p99_ms),
            text(&self.conditions),
            self.taken,
        )
    }
}

/// The content of `results.json`.
#[derive(Serialize, Deserialize)]
pub struct Results {
    pub rows: Vec<Row>,
}

/// Replaces the committed figures; rows whose measurement was aborted keep their earlier values and times.
pub fn write(rows: Vec<Row>, conditions: &Conditions) {
    let mut results = former();
    for row in rows {
        let known = results.rows.iter_mut().find(|known| known.name == row.name);
        match known {
            Some(known) => *known = row,
            None => results.rows.push(row),
        }
    }
    let text = format!(
        "# Results\n\n{conditions}\n[What is measured, and how](../docs/benchmarks.md)\n\n{}",
        table(&results.rows)
    );
    std::fs::write(format!("{DIRECTORY}/RESULTS.md"), text).unwrap();
    let json = serde_json::to_string_pretty(&results).unwrap() + "\n";
    std::fs::write(format!("{DIRECTORY}/results.json"), json).unwrap();
}

fn former() -> Results {
    let text = std::fs::read_to_string(format!("{DIRECTORY}/results.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}
