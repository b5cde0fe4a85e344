//! Endpoints whose deliveries keep failing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Consecutive failures after which an endpoint counts as down.
const DOWN: u32 = 8;

/// Consecutive failures of each partition whose last attempt failed.
#[derive(Default)]
pub struct Streaks(Mutex<HashMap<String, u32>>);

impl Streaks {
    pub fn note(&self, partition: &str, succeeded: bool) {
        if succeeded {
            self.forget(partition);
        } else {
            *self.failures().entry(partition.to_owned()).or_default() += 1;
        }
    }

    pub fn forget(&self, partition: &str) {
        self.failures().remove(partition);
    }

    pub fn is_down(&self, partition: &str) -> bool {
        self.failures()
            .get(partition)
            .is_some_and(|row| *row >= DOWN)
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_down_after_a_row_of_failures_and_up_again_after_one_success() {
        let streaks = Streaks::default();
        for _ in 1..DOWN {
            streaks.note("a", false);
        }
        assert!(!streaks.is_down("a"));
        streaks.note("a", false);
        assert!(streaks.is_down("a"));
        assert!(!streaks.is_down("b"));
        streaks.note("a", true);
        assert!(!streaks.is_down("a"));
    }
}
