//! The memory budget that all rebuilds share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An approximate limit in bytes.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    limit: usize,
    taken: Arc<AtomicUsize>,
}

impl MemoryBudget {
    #[must_use]
    pub fn of(bytes: usize) -> Self {
        Self {
            limit: bytes,
            taken: Arc::default(),
        }
    }

    /// Returns an empty part of the budget, for one rebuild.
    pub(crate) fn part(&self) -> Part {
        Part {
            memory: self.clone(),
            taken: 0,
        }
    }
}

impl Default for MemoryBudget {
    /// Returns a budget of 512 MiB.
    fn default() -> Self {
        Self::of(512 << 20)
    }
}

/// The memory that one rebuild uses.
#[derive(Debug)]
pub(crate) struct Part {
    memory: MemoryBudget,
    taken: usize,
}

impl Part {
    /// Takes more memory; returns false if all rebuilds together exceed the budget, and the caller should free some.
    pub fn take(&mut self, bytes: usize) -> bool {
        self.taken += bytes;
        let before = self.memory.taken.fetch_add(bytes, Ordering::Relaxed);
        before + bytes <= self.memory.limit
    }

    /// Gives back all memory.
    pub fn clear(&mut self) {
        let taken = std::mem::take(&mut self.taken);
        self.memory.taken.fetch_sub(taken, Ordering::Relaxed);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_shared_and_comes_back() {
        let memory = MemoryBudget::of(10);
        let (mut one, mut other) = (memory.part(), memory.part());
        assert!(one.take(6) && other.take(4));
        assert!(!other.take(1));
        drop(one);
        assert!(other.take(5));
        assert!(!other.take(1));
    }
}
