//! Progress output: a bar on a terminal, and a line at the end.

use std::io::{self, Write};
use std::time::Instant;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

const BAR: &str = "  {prefix:<9} {bar:32} {human_pos}/{human_len} {elapsed}";

/// A phase of a command that takes time.
pub struct Phase {
    name: &'static str,
    bar: ProgressBar,
    started: Instant,
}

impl Phase {
    /// Starts a phase; the bar appears on standard error, and only on a terminal.
    pub fn start(name: &'static str, steps: usize) -> Self {
        let style =
            ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(steps as u64)
            .with_style(style)
            .with_prefix(name);
        bar.tick();
        Self {
            name,
            bar,
            started: Instant::now(),
        }
    }

    pub fn step(&self) {
        self.bar.inc(1);
    }

    /// Sets the number of steps known so far.
    pub fn set_length(&self, steps: usize) {
        self.bar.set_length(steps as u64);
    }

    pub fn set_position(&self, steps: usize) {
        self.bar.set_position(steps as u64);
    }

    /// Prints a warning above the bar.
    pub fn warn(&self, text: &str) {
        self.bar.suspend(|| warn(text));
    }

    pub fn finish(&self, text: &str) {
        self.bar.finish_and_clear();
        let seconds = self.started.elapsed().as_secs_f64();
        say(self.name, &format!("{text} in {seconds:.1} s"));
    }
}

/// Prints one line of the report.
pub fn say(name: &str, text: &str) {
    print(&format!("  {name:<9} {text}"));
}

/// Prints a line; a closed pipe (`daybook demo … | head`) does not stop the command.
pub fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

pub fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "  warning: {text}");
}

/// Formats a count with its noun: `1 note`, `1,000 notes`.
pub fn count(number: usize, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", HumanCount(number as u64))
}
