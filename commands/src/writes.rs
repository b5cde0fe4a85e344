//! The last position that each credential has written through this node; its queries see at least that position.

use quick_cache::sync::Cache;
use store::Position;
use uuid::Uuid;

/// Number of credentials that are remembered. A forgotten one sees its writes with the usual delay.
const REMEMBERED: usize = 100_000;

pub struct Writes(Cache<Uuid, Position>);

impl Default for Writes {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl Writes {
    pub fn note(&self, credential: Uuid, position: Position) {
        self.0
            .insert(credential, position.max(self.last(credential)));
    }

    /// Returns the last position; -1 for a credential that has written nothing.
    pub fn last(&self, credential: Uuid) -> Position {
        self.0.get(&credential).unwrap_or(-1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_position_of_a_credential_counts() {
        let (writes, one, other) = (Writes::default(), Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(writes.last(one), -1);
        writes.note(one, 7);
        writes.note(one, 5);
        assert_eq!((writes.last(one), writes.last(other)), (7, -1));
    }
}
