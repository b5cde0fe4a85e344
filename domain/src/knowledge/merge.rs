//! Three-way merges: what two have made of the same base, put together where they do not meet.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::line_diff::{self, Change};

/// Hunks that one conflict shows: the first so many.
pub const MAX_HUNKS: usize = 20;
/// Characters of a stretch that are shown.
const MAX_STRETCH: usize = 2_000;

/// A place where two changes of the same base meet and differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Hunk {
    /// The field: `title`, `body`, …
    pub field: String,
    /// What it was when the change was written.
    pub base: Stretch,
    /// What others have made of it since.
    pub current: Stretch,
    /// What the change would make of it.
    pub proposed: Stretch,
}

/// Consecutive lines of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Stretch {
    /// Number of the first line, from 1.
    pub line: usize,
    /// How many; 0: the place before `line`.
    pub lines: usize,
    pub text: String,
    /// There is more of it than `text` shows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

impl Stretch {
    fn of(text: &[&str], range: &Range<usize>) -> Self {
        let whole = text[range.clone()].concat();
        let shown: String = whole.chars().take(MAX_STRETCH).collect();
        Self {
            line: range.start + 1,
            lines: range.len(),
            truncated: shown.len() < whole.len(),
            text: shown,
        }
    }
}

/// Merges what changes as a whole; none where both have changed it, and differ.
pub fn atoms<T: PartialEq>(base: &T, current: T, proposed: T) -> Option<T> {
    if proposed == *base || proposed == current {
        Some(current)
    } else if current == *base {
        Some(proposed)
    } else {
        None
    }
}

/// Merges sets: what either added is in, what either removed is not.
#[must_use]
pub fn sets(
    base: &BTreeSet<String>,
    current: &BTreeSet<String>,
    proposed: &BTreeSet<String>,
) -> BTreeSet<String> {
    let removed = base - proposed;
    let added = proposed - base;
    &(current - &removed) | &added
}

/// A conflict over something that changes as a whole.
#[must_use]
pub fn clash(field: &str, base: &str, current: &str, proposed: &str) -> Hunk {
    let whole = |text: &str| Stretch::of(&[text], &(0..1));
    Hunk {
        field: field.to_owned(),
        base: whole(base),
        current: whole(current),
        proposed: whole(proposed),
    }
}

/// Merges texts line by line, as version control does: changes that overlap or touch are in conflict, unless they are the same. Line ends
/// make no difference: the merge has those of its base, unless both sides have others. Of the conflicts one more is returned than is shown.
pub fn texts(field: &str, base: &str, current: &str, proposed: &str) -> Result<String, Vec<Hunk>> {
    if proposed == base || proposed == current {
        return Ok(current.to_owned());
    }
    if current == base {
        return Ok(proposed.to_owned());
    }
    let [base_end, current_end, proposed_end] = [base, current, proposed].map(LineEnd::of);
    let line_end = if current_end == proposed_end {
        current_end
    } else {
        base_end
    };
    let [base, current, proposed] = [base, current, proposed].map(lines);
    let ours = changes(&base, &current);
    let theirs = changes(&base, &proposed);
    let mut merged = Merged {
        text: String::new(),
        line_end,
    };
    let mut conflicts = vec![];
    let mut rest = (&base[..], &current[..], &proposed[..]);
    let mut end = 0;
    for region in regions(&ours, &theirs) {
        merged.unchanged(&rest, region.base.start - end);
        end = region.base.end;
        rest = (
            &base[region.base.end..],
            &current[region.current.end..],
            &proposed[region.proposed.end..],
        );
        let sides = (
            &current[region.current.clone()],
            &proposed[region.proposed.clone()],
        );
        if !region.is_proposed
            || sides
                .0
                .iter()
                .map(without_end)
                .eq(sides.1.iter().map(without_end))
        {
            merged.changed(sides.0, current_end);
        } else if !region.is_current {
            merged.changed(sides.1, proposed_end);
        } else if conflicts.len() <= MAX_HUNKS {
            conflicts.push(Hunk {
                field: field.to_owned(),
                base: Stretch::of(&base, &region.base),
                current: Stretch::of(&current, &region.current),
                proposed: Stretch::of(&proposed, &region.proposed),
            });
        }
    }
    merged.unchanged(&rest, base.len() - end);
    if conflicts.is_empty() {
        Ok(merged.text)
    } else {
        Err(conflicts)
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// A line, and whether it has an end: however that is written.
fn without_end<'a>(line: &&'a str) -> (&'a str, bool) {
    match line.strip_suffix('\n') {
        Some(line) => (line.strip_suffix('\r').unwrap_or(line), true),
        None => (line, false),
    }
}

/// How the lines of a text end, where all of them end alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    Lf,
    CrLf,
    /// There is none, or there are both.
    Any,
}

impl LineEnd {
    fn of(text: &str) -> Self {
        let all = text.matches('\n').count();
        match text.matches("\r\n").count() {
            _ if all == 0 => Self::Any,
            0 => Self::Lf,
            n if n == all => Self::CrLf,
            _ => Self::Any,
        }
    }

    const fn text(self) -> Option<&'static str> {
        match self {
            Self::Lf => Some("\n"),
            Self::CrLf => Some("\r\n"),
            Self::Any => None,
        }
    }
}

/// A merge as far as it has come.
struct Merged {
    text: String,
    line_end: LineEnd,
}

impl Merged {
    /// Adds lines that both sides have left alone, but for their ends: those are as in the base, unless both sides have changed them.
    fn unchanged(&mut self, (base, current, proposed): &(&[&str], &[&str], &[&str]), count: usize) {
        for ((base, current), proposed) in base.iter().zip(*current).zip(*proposed).take(count) {
            self.text += if current == proposed { current } else { base };
        }
    }

    /// Adds lines that a side has changed, whose lines end like this.
    fn changed(&mut self, lines: &[&str], written: LineEnd) {
        for line in lines {
            match (written.text(), self.line_end.text(), without_end(line)) {
                (Some(_), Some(end), (line, true)) => {
                    self.text += line;
                    self.text += end;
                }
                (_, _, _) => self.text += line,
            }
        }
    }
}

/// How many characters a change takes away and adds: of every stretch of lines that it touches, without what the stretch begins and
/// ends with before and after.
#[must_use]
pub fn changed_characters(before: &str, after: &str) -> usize {
    let [before, after] = [before, after].map(lines);
    let changes = line_diff::changes(&before, &after).into_iter();
    let characters = changes.map(|change| {
        let (gone, new) = (before[change.before].concat(), after[change.after].concat());
        differing(&gone, &new)
    });
    characters.sum()
}

fn differing(gone: &str, new: &str) -> usize {
    let (gone, new): (Vec<char>, Vec<char>) = (gone.chars().collect(), new.chars().collect());
    let same = |(a, b): &(&char, &char)| a == b;
    let start = gone.iter().zip(&new).take_while(same).count();
    let (gone, new) = (&gone[start..], &new[start..]);
    let end = gone.iter().rev().zip(new.iter().rev());
    let end = end.take_while(same).count();
    gone.len() + new.len() - 2 * end
}

/// Changes of lines, whatever their ends.
fn changes(base: &[&str], new: &[&str]) -> Vec<Change> {
    let [base, new] = [base, new].map(|lines| lines.iter().map(without_end).collect::<Vec<_>>());
    line_diff::changes(&base, &new)
}

/// A stretch of the base that was changed on one side or on both, and what it is on each.
struct Region {
    base: Range<usize>,
    current: Range<usize>,
    proposed: Range<usize>,
    is_current: bool,
    is_proposed: bool,
}

/// One side's changes, taken one after the other.
struct Side<'a> {
    rest: &'a [Change],
    /// Where the line of the base that comes next stands in the text.
    next: usize,
    base: usize,
}

impl<'a> Side<'a> {
    const fn new(rest: &'a [Change]) -> Self {
        Self {
            rest,
            next: 0,
            base: 0,
        }
    }

    fn start(&self) -> usize {
        self.rest
            .first()
            .map_or(usize::MAX, |change| change.before.start)
    }

    /// The end of the next change, if that overlaps or touches a stretch that ends here.
    fn extend(&mut self, end: usize, taken: &mut Option<&'a Change>) -> Option<usize> {
        let (change, rest) = self.rest.split_first()?;
        if change.before.start > end {
            return None;
        }
        self.rest = rest;
        *taken = Some(change);
        Some(end.max(change.before.end))
    }

    /// The lines that stand in the place of a stretch, of which this was the last change.
    fn lines(&mut self, stretch: &Range<usize>, last: Option<&Change>) -> Range<usize> {
        let start = self.next + (stretch.start - self.base);
        let end = match last {
            Some(change) => change.after.end + (stretch.end - change.before.end),
            None => start + stretch.len(),
        };
        (self.next, self.base) = (end, stretch.end);
        start..end
    }
}

fn regions(current: &[Change], proposed: &[Change]) -> Vec<Region> {
    let (mut current, mut proposed) = (Side::new(current), Side::new(proposed));
    let mut regions = vec![];
    while !(current.rest.is_empty() && proposed.rest.is_empty()) {
        let start = current.start().min(proposed.start());
        let (mut end, mut ours, mut theirs) = (start, None, None);
        while let Some(later) = current
            .extend(end, &mut ours)
            .or_else(|| proposed.extend(end, &mut theirs))
        {
            end = later;
        }
        let base = start..end;
        regions.push(Region {
            current: current.lines(&base, ours),
            proposed: proposed.lines(&base, theirs),
            is_current: ours.is_some(),
            is_proposed: theirs.is_some(),
            base,
        });
    }
    regions
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
