//! Line diffs with a limited number of steps. The same texts give the same changes on every machine, and coarser ones
//! if exact ones would take too long.
//!
//! Lines that both texts have exactly once are anchors (patience diff). Between anchors Myers' algorithm finds the
//! rest, up to a number of differences; a stretch with more differences is replaced as a whole. At worst, merging such
//! a stretch is a conflict.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Range;

/// The maximum number of differences searched for between two anchors. Steps and memory grow with its square.
const MAX_DIFFERENCES: usize = 512;
/// The maximum number of steps of one diff between its anchors.
const MAX_STEPS: usize = 1_000_000;
/// The maximum number of times that a stretch between anchors is searched for further anchors.
const MAX_DEPTH: usize = 6;

/// Lines of a text, and the lines that replace them in another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub before: Range<usize>,
    pub after: Range<usize>,
}

/// Returns the changes from one text to another, in order. Between two changes there is at least one line that both
/// texts have.
#[must_use]
pub fn changes<T: Eq + Hash>(before: &[T], after: &[T]) -> Vec<Change> {
    let mut ids = HashMap::new();
    let [before, after] = [before, after].map(|lines| {
        let id = |line| {
            let next = ids.len();
            *ids.entry(line).or_insert(next)
        };
        lines.iter().map(id).collect::<Vec<usize>>()
    });
    let diff = Diff {
        before: &before,
        after: &after,
        changes: vec![],
        steps: MAX_STEPS,
    };
    diff.run()
}

/// A stretch of both texts that is still to be compared, and the number of times it was cut at anchors.
type Stretch = (Range<usize>, Range<usize>, usize);

struct Diff<'a> {
    before: &'a [usize],
    after: &'a [usize],
    changes: Vec<Change>,
    /// Number of steps left.
    steps: usize,
}

/// The anchors found in a stretch.
enum Cut {
    /// The two sides have no line in common.
    Nothing,
    /// Both sides have lines in common, but none occurs exactly once on each side.
    NoAnchor,
    /// Pairs of equal lines, ascending on both sides.
    At(Vec<(usize, usize)>),
}

impl Diff<'_> {
    fn run(mut self) -> Vec<Change> {
        let mut stretches: Vec<Stretch> = vec![(0..self.before.len(), 0..self.after.len(), 0)];
        while let Some((before, after, depth)) = stretches.pop() {
            let (before, after) = self.trim(before, after);
            if before.is_empty() || after.is_empty() {
                self.push(before, after);
                continue;
            }
            match self.cut(&before, &after) {
                Cut::Nothing => self.push(before, after),
                Cut::At(anchors) if depth < MAX_DEPTH => {
                    stretches.extend(
                        between(before, after, &anchors, depth + 1)
                            .into_iter()
                            .rev(),
                    );
                }
                Cut::NoAnchor | Cut::At(_) => self.compare(before, after),
            }
        }
        self.changes
    }

    /// Returns the stretch without the common lines at its beginning and end.
    fn trim(&self, before: Range<usize>, after: Range<usize>) -> (Range<usize>, Range<usize>) {
        let (b, a) = (&self.before[before.clone()], &self.after[after.clone()]);
        let start = b.iter().zip(a).take_while(|(b, a)| b == a).count();
        let (b, a) = (&b[start..], &a[start..]);
        let rest = b.iter().rev().zip(a.iter().rev());
        let end = rest.take_while(|(b, a)| b == a).count();
        (
            before.start + start..before.end - end,
            after.start + start..after.end - end,
        )
    }

    /// Adds a change, or extends the last one.
    fn push(&mut self, before: Range<usize>, after: Range<usize>) {
        if before.is_empty() && after.is_empty() {
            return;
        }
        match self.changes.last_mut() {
            Some(last) if last.before.end == before.start && last.after.end == after.start => {
                last.before.end = before.end;
                last.after.end = after.end;
            }
            Some(_) | None => self.changes.push(Change { before, after }),
        }
    }

    fn cut(&self, before: &Range<usize>, after: &Range<usize>) -> Cut {
        /// The number of times a line occurs, and its position.
        #[derive(Default)]
        struct Seen {
            before: (usize, usize),
            after: (usize, usize),
        }
        let mut seen: HashMap<usize, Seen> = HashMap::new();
        for at in before.clone() {
            let line = &mut seen.entry(self.before[at]).or_default().before;
            *line = (at, line.1 + 1);
        }
        for at in after.clone() {
            let line = &mut seen.entry(self.after[at]).or_default().after;
            *line = (at, line.1 + 1);
        }
        if seen.values().all(|s| s.before.1 == 0 || s.after.1 == 0) {
            return Cut::Nothing;
        }
        let once = seen.values().filter(|s| s.before.1 == 1 && s.after.1 == 1);
        let mut pairs: Vec<_> = once.map(|s| (s.before.0, s.after.0)).collect();
        pairs.sort_unstable();
        let anchors = longest_growing(&pairs);
        if anchors.is_empty() {
            Cut::NoAnchor
        } else {
            Cut::At(anchors)
        }
    }

    /// Compares a stretch line by line; replaces it as a whole if that takes too many steps.
    fn compare(&mut self, before: Range<usize>, after: Range<usize>) {
        let (b, a) = (&self.before[before.clone()], &self.after[after.clone()]);
        let Some(pairs) = matching(b, a, &mut self.steps) else {
            return self.push(before, after);
        };
        let (mut next_before, mut next_after) = (before.start, after.start);
        for (b, a) in pairs {
            let (b, a) = (before.start + b, after.start + a);
            self.push(next_before..b, next_after..a);
            (next_before, next_after) = (b + 1, a + 1);
        }
        self.push(next_before..before.end, next_after..after.end);
    }
}

/// Returns the stretches before, between and after anchors.
fn between(
    before: Range<usize>,
    after: Range<usize>,
    anchors: &[(usize, usize)],
    depth: usize,
) -> Vec<Stretch> {
    let mut stretches = Vec::with_capacity(anchors.len() + 1);
    let (mut next_before, mut next_after) = (before.start, after.start);
    for (b, a) in anchors {
        stretches.push((next_before..*b, next_after..*a, depth));
        (next_before, next_after) = (b + 1, a + 1);
    }
    stretches.push((next_before..before.end, next_after..after.end, depth));
    stretches
}

/// Returns the longest subsequence of pairs, sorted by the first number, that also ascends in the second.
fn longest_growing(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // For each length, the pair with the smallest second number; for each pair, its predecessor.
    let mut ends: Vec<usize> = vec![];
    let mut previous = vec![None; pairs.len()];
    for (index, (_, second)) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| pairs[*end].1 < *second);
        previous[index] = length.checked_sub(1).map(|shorter| ends[shorter]);
        match ends.get_mut(length) {
            Some(end) => *end = index,
            None => ends.push(index),
        }
    }
    let chain = std::iter::successors(ends.last().copied(), |index| previous[*index]);
    let mut growing: Vec<_> = chain.map(|index| pairs[index]).collect();
    growing.reverse();
    growing
}

/// Returns pairs of equal lines on a shortest path from one side to the other (Myers 1986); none if the steps do not
/// suffice.
fn matching(before: &[usize], after: &[usize], steps: &mut usize) -> Option<Vec<(usize, usize)>> {
    let most = MAX_DIFFERENCES.min(before.len() + after.len());
    // The furthest line of `before` on every diagonal. The diagonal 0 is in the middle.
    let mut furthest = vec![0_usize; 2 * most + 3];
    let middle = most + 1;
    let mut trace = vec![];
    for differences in 0..=most {
        let mut pace = differences + 1;
        for diagonal in (middle - differences..=middle + differences).step_by(2) {
            let (down, right) = (furthest[diagonal + 1], furthest[diagonal - 1]);
            let goes_down = is_down(diagonal, middle, differences, down, right);
            let mut b = if goes_down { down } else { right + 1 };
            // The diagonal is the difference between the positions on the two sides.
            let mut a = (b + middle) - diagonal;
            while b < before.len() && a < after.len() && before[b] == after[a] {
                (b, a, pace) = (b + 1, a + 1, pace + 1);
            }
            furthest[diagonal] = b;
            if b >= before.len() && a >= after.len() {
                return Some(way_back(&trace, before.len(), after.len()));
            }
        }
        *steps = steps.checked_sub(pace)?;
        trace.push(furthest[middle - differences..=middle + differences].to_vec());
    }
    None
}

/// Returns true if the path to a diagonal comes from the one above it.
const fn is_down(
    diagonal: usize,
    middle: usize,
    differences: usize,
    down: usize,
    right: usize,
) -> bool {
    diagonal == middle - differences || (diagonal != middle + differences && right < down)
}

/// Returns the common lines on the path that a search has found; `trace` has the furthest lines after each number of
/// differences.
fn way_back(trace: &[Vec<usize>], mut b: usize, mut a: usize) -> Vec<(usize, usize)> {
    let mut pairs = vec![];
    for (differences, furthest) in trace.iter().enumerate().rev() {
        // The diagonal of the search with one difference more, whose middle is at `differences + 1`.
        let middle = differences + 1;
        let diagonal = (b + middle) - a;
        // The trace has the diagonals around its own middle; the search did not reach those beyond.
        let reached = |diagonal: usize| {
            let index = diagonal.checked_sub(1)?;
            furthest.get(index).copied()
        };
        let (down, right) = (
            reached(diagonal + 1).unwrap_or_default(),
            diagonal
                .checked_sub(1)
                .and_then(reached)
                .unwrap_or_default(),
        );
        let goes_down = is_down(diagonal, middle, differences + 1, down, right);
        let start = if goes_down { down } else { right + 1 };
        while b > start {
            (b, a) = (b - 1, a - 1);
            pairs.push((b, a));
        }
        if goes_down {
            a -= 1;
        } else {
            b -= 1;
        }
    }
    // Without differences, both sides are equal.
    while b > 0 && a > 0 {
        (b, a) = (b - 1, a - 1);
        pairs.push((b, a));
    }
    pairs.reverse();
    pairs
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Applies the changes to the first text, which gives the second.
    fn applied<T: Copy>(before: &[T], after: &[T], changes: &[Change]) -> Vec<T> {
        let mut made = vec![];
        let mut end = 0;
        for change in changes {
            made.extend(&before[end..change.before.start]);
            made.extend(&after[change.after.clone()]);
            end = change.before.end;
        }
        made.extend(&before[end..]);
        made
    }

    fn change(before: Range<usize>, after: Range<usize>) -> Change {
        Change { before, after }
    }

    #[test]
    fn finds_what_was_added_removed_and_replaced() {
        for (before, after, expected) in [
            ("", "", vec![]),
            ("abc", "abc", vec![]),
            ("", "abc", vec![change(0..0, 0..3)]),
            ("abc", "", vec![change(0..3, 0..0)]),
            ("abcd", "abxd", vec![change(2..3, 2..3)]),
            ("abcd", "acde", vec![change(1..2, 1..1), change(4..4, 3..4)]),
            ("aabb", "abab", vec![change(1..2, 1..1), change(3..3, 2..3)]),
        ] {
            let found = changes(before.as_bytes(), after.as_bytes());
            assert_eq!(found, expected, "{before} {after}");
        }
    }

    #[test]
    fn keeps_the_lines_that_moved_past_others_on_one_side_only() {
        let found = changes(b"abcdefgh", b"hbcdefga");
        assert_eq!(found, [change(0..1, 0..1), change(7..8, 7..8)]);
    }

    #[test]
    fn replaces_a_stretch_that_differs_too_much_as_a_whole() {
        // Every line occurs many times, so there are no anchors, and hardly any lines match by position.
        let (before, after): (Vec<usize>, Vec<usize>) = (
            (0..200_000).map(|n| n * n % 1_009).collect(),
            (0..200_000).map(|n| n * n % 997).collect(),
        );
        let found = changes(&before, &after);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn finds_two_small_changes_in_a_long_text_of_lines_alike() {
        let before = vec![7; 20_000];
        let mut after = before.clone();
        after[10] = 1;
        after[19_000] = 2;
        let found = changes(&before, &after);
        assert_eq!(applied(&before, &after, &found), after);
        let lines: usize = found.iter().map(|c| c.before.len() + c.after.len()).sum();
        assert_eq!(lines, 4);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_changes_make_the_one_text_of_the_other(
            before in vec(0_u8..6, 0..40), after in vec(0_u8..6, 0..40),
        ) {
            let found = changes(&before, &after);
            prop_assert_eq!(applied(&before, &after, &found), after);
            for pair in found.windows(2) {
                prop_assert!(pair[0].before.end < pair[1].before.start);
                prop_assert!(pair[0].after.end < pair[1].after.start);
            }
        }

        #[test]
        fn the_other_way_round_the_changes_are_as_many_lines(
            before in vec(0_u8..6, 0..40), after in vec(0_u8..6, 0..40),
        ) {
            let lines = |found: &[Change]| -> usize { found.iter().map(|c| c.before.len() + c.after.len()).sum() };
            let there = lines(&changes(&before, &after));
            prop_assert!(there <= before.len() + after.len());
            prop_assert_eq!(there == 0, before == after);
        }
    }
}
