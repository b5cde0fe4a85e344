//! The order of tasks: keys that compare as text, with room for another key between any two.
//!
//! A key is a fraction in hexadecimal digits. The key of a new task is its own id, which begins with the time, so new
//! tasks come last. Keys before the first and after the last decrease or increase that time by one, so that moving to
//! an end never makes keys longer.

use std::fmt::Write as _;

use uuid::Uuid;

/// The maximum length of a key.
pub const MAX_RANK: usize = 255;
/// Number of digits of an id that hold its time in milliseconds.
const TIME: usize = 12;
/// The middle digit; appended so that no key ends in a zero, because nothing fits below such a key.
const MIDDLE: char = '8';

/// Returns the key of a task that was not moved.
#[must_use]
pub fn of(id: Uuid) -> String {
    id.simple().to_string()
}

/// Returns a key between two others; none if they are in the wrong order or have no room between them.
#[must_use]
pub fn place(after: Option<&str>, before: Option<&str>) -> Option<String> {
    match (after, before) {
        (Some(after), Some(before)) => between(after, before),
        (None, Some(before)) => match time(before).checked_sub(1) {
            Some(time) => Some(at(time)),
            None => between("", before),
        },
        (Some(after), None) if time(after) < (1 << (4 * TIME)) - 1 => Some(at(time(after) + 1)),
        (Some(after), None) => Some(format!("{after}{MIDDLE}")),
        (None, None) => None,
    }
    .filter(|rank| rank.len() <= MAX_RANK)
}

fn at(time: u64) -> String {
    let mut rank = format!("{time:0TIME$x}");
    rank.push(MIDDLE);
    rank
}

fn time(rank: &str) -> u64 {
    (0..TIME).fold(0, |time, n| {
        time << 4 | u64::from(digit(rank, n).unwrap_or(0))
    })
}

fn digit(rank: &str, n: usize) -> Option<u32> {
    rank.chars().nth(n)?.to_digit(16)
}

fn between(after: &str, before: &str) -> Option<String> {
    if after >= before {
        return None;
    }
    let mut rank = String::new();
    let mut is_below = false;
    for n in 0..=MAX_RANK {
        let low = digit(after, n).unwrap_or(0);
        let high = if is_below { 16 } else { digit(before, n)? };
        let gap = high.saturating_sub(low);
        let next = if gap > 1 { low + gap / 2 } else { low };
        let _ = write!(rank, "{next:x}");
        if gap > 1 {
            return Some(rank);
        }
        is_below |= gap == 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns any keys that moves could have made.
    fn rank() -> impl Strategy<Value = String> {
        prop_oneof!["[0-9a-f]{0,3}[1-9a-f]", "[0-9a-f]{31}[1-9a-f]"]
    }

    proptest! {
        #[test]
        fn there_is_room_between_any_two(a in rank(), b in rank()) {
            let (low, high) = if a < b { (a, b) } else { (b, a) };
            let found = place(Some(&low), Some(&high));
            prop_assert_eq!(found.is_some(), low < high);
            if let Some(found) = found {
                prop_assert!(low < found && found < high, "{} {} {}", low, found, high);
                prop_assert!(!found.ends_with('0'));
            }
        }

        #[test]
        fn there_is_room_at_both_ends(any in rank()) {
            let first = place(None, Some(&any)).unwrap();
            let last = place(Some(&any), None).unwrap();
            prop_assert!(first < any && any < last);
        }
    }

    #[test]
    fn moving_to_an_end_never_makes_keys_longer() {
        let id = of(Uuid::from_u128(0x0198_a1c2_3d4e_7f00_8a1b_2c3d_4e5f_6071));
        let (mut first, mut last) = (id.clone(), id);
        for _ in 0..10_000 {
            first = place(None, Some(&first)).unwrap();
            last = place(Some(&last), None).unwrap();
        }
        assert_eq!((first.len(), last.len()), (13, 13));
    }

    #[test]
    fn hundreds_fit_into_one_gap_and_then_it_is_full() {
        let (after, mut before) = ("8".to_owned(), "9".to_owned());
        let mut count = 0;
        while let Some(rank) = place(Some(&after), Some(&before)) {
            assert!(rank.len() <= MAX_RANK);
            before = rank;
            count += 1;
        }
        assert!(count > 500, "{count}");
    }

    #[test]
    fn neighbours_that_do_not_stand_in_this_order_have_no_room() {
        assert_eq!(place(Some("2"), Some("1")), None);
        assert_eq!(place(Some("1"), Some("1")), None);
        assert_eq!(place(None, None), None);
    }
}
