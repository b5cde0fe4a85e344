//! Comparison with the committed figures.

use std::process::Command;

use crate::report::{Results, Row};

/// The share of a ratio that may be lost.
const TOLERANCE: f64 = 0.2;

/// Returns the rows whose ratio is worse than the committed one by more than the tolerance.
pub fn regressions(rows: &[Row]) -> Vec<String> {
    let committed = committed();
    rows.iter()
        .filter_map(|row| {
            let before = committed
                .iter()
                .find(|before| before.name == row.name)?
                .ratio?;
            let now = row.ratio?;
            let worse = now < before * (1.0 - TOLERANCE);
            worse.then(|| format!("{}: ratio {now}, committed {before}", row.name))
        })
        .collect()
}

fn committed() -> Vec<Row> {
    let output = Command::new("git")
        .args(["show", "HEAD:benches/results.json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "no results are committed");
    serde_json::from_slice::<Results>(&output.stdout)
        .unwrap()
        .rows
}
