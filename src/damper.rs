//! Keeps an outage from flooding the log: of the warnings that one place in the code says again and again, a few are written.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

/// Lines of one place in the code that are written in one window.
const LINES: u32 = 5;
const WINDOW: Duration = Duration::from_secs(10);

/// The damper of this process.
pub static DAMPER: LazyLock<Damper> = LazyLock::new(Damper::default);

/// Counts warnings and errors by the place in the code that says them.
#[derive(Default)]
pub struct Damper {
    /// By file and line.
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

    /// Ends the windows that are over; returns the places that lines were left out of, and how many.
    fn left_out(&self, now: Instant) -> Vec<(&'static str, u32)> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |_: &&str, place: &mut Place| now.duration_since(place.since) >= WINDOW;
        places
            .extract_if(over)
            .map(|(name, place)| (name, place.said.saturating_sub(LINES)))
            .filter(|(_, left_out)| *left_out > 0)
            .collect()
    }

    /// Says how many lines were left out since the last time.
    pub fn report(&self) {
        for (place, lines) in self.left_out(Instant::now()) {
            tracing::info!(place, lines, "left out log lines like those before");
        }
    }
}

/// The damper as a filter of log lines. One line per request is not many: `request failed` is always written.
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
