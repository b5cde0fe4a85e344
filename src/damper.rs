//! Protects the log from floods during an outage: only a few repeated warnings per place in the code are written.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

/// Lines that one place in the code may write per window.
const LINES: u32 = 5;
const WINDOW: Duration = Duration::from_secs(10);

/// The damper of this process.
pub static DAMPER: LazyLock<Damper> = LazyLock::new(Damper::default);

/// Counts warnings and errors by their place in the code.
#[derive(Default)]
pub struct Damper {
    /// Counts by file and line.
    places: Mutex<HashMap<&'static str, Place>>,
}

struct Place {
    since: Instant,
    said: u32,
}

impl Damper {
    fn admits(&self, place: &'static str, now: Instant) -> bool {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(place).or_insert(Place {
            since: now,
            said: 0,
        });
        place.said = place.said.saturating_add(1);
        place.said <= LINES
    }

    /// Ends expired windows; returns the places with suppressed lines, and their number.
    fn left_out(&self, now: Instant) -> Vec<(&'static str, u32)> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |_: &&str, place: &mut Place| now.duration_since(place.since) >= WINDOW;
        places
            .extract_if(over)
            .map(|(name, place)| (name, place.said.saturating_sub(LINES)))
            .filter(|(_, left_out)| *left_out > 0)
            .collect()
    }

    /// Logs the number of lines suppressed since the last report.
    pub fn report(&self) {
        for (place, lines) in self.left_out(Instant::now()) {
            tracing::info!(place, lines, "left out log lines like those before");
        }
    }
}

/// A log filter based on the damper. The access log is always written, as it has only one line per request, such as `request failed`.
pub struct Damping(pub &'static Damper);

impl<S: Subscriber> Filter<S> for Damping {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let line = event.metadata();
        *line.level() > Level::WARN
            || line.target() == api::ACCESS_LOG
            || self.0.admits(line.name(), Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_lines_are_written_and_the_others_counted() {
        let (damper, begun) = (Damper::default(), Instant::now());
        let written = (0..100).filter(|_| damper.admits("a place", begun)).count();
        assert_eq!(written, LINES as usize);
        assert_eq!(damper.left_out(begun), []);
        let later = begun + WINDOW;
        assert_eq!(damper.left_out(later), [("a place", 100 - LINES)]);
        assert!(damper.admits("a place", later));
    }
}
