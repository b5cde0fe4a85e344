//! Three-way merges: combine two changes of the same base where they do not overlap.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::line_diff::{self, Change};

/// The maximum number of hunks in one conflict.
pub const MAX_HUNKS: usize = 20;
/// The maximum number of characters shown of a stretch.
const MAX_STRETCH: usize = 2_000;

/// A place where two changes of the same base overlap and differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Hunk {
    /// Name of the field: `title`, `body`, …
    pub field: String,
    /// The text when the change was written.
    pub base: Stretch,
    /// The text as others have changed it since.
    pub current: Stretch,
    /// The text as the change would make it.
    pub proposed: Stretch,
}

crate::generate! { struct Hunk { field, base, current, proposed } }

/// Consecutive lines of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Stretch {
    /// Number of the first line, counted from 1.
    pub line: usize,
    /// Number of lines; 0: the position before `line`.
    pub lines: usize,
    pub text: String,
    /// True if `text` shows only a part of the stretch.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

crate::generate! { struct Stretch { line, lines, text, truncated } }

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

/// Merges a value that changes as a whole; none if both sides changed it differently.
pub fn atoms<T: PartialEq>(base: &T, current: T, proposed: T) -> Option<T> {
    if proposed == *base || proposed == current {
        Some(current)
    } else if current == *base {
        Some(proposed)
    } else {
        None
    }
}

/// Merges sets: elements that either side added are in, elements that either side removed are out.
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

/// Returns a conflict about a value that changes as a whole.
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

/// Merges texts line by line, as version control does: changes that overlap or touch conflict, unless they are the
/// same. Line endings make no difference: the merge has those of its base, unless both sides have others. Returns one
/// more conflict than is shown.
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

/// Returns a line without its line ending, and true if it has one in either form.
fn without_end<'a>(line: &&'a str) -> (&'a str, bool) {
    match line.strip_suffix('\n') {
        Some(line) => (line.strip_suffix('\r').unwrap_or(line), true),
        None => (line, false),
    }
}

/// The line ending of a text, if all lines have the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    Lf,
    CrLf,
    /// The text has no line endings, or different ones.
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

/// An unfinished merge.
struct Merged {
    text: String,
    line_end: LineEnd,
}

impl Merged {
    /// Adds lines that neither side has changed except for their endings. The endings are those of the base, unless
    /// both sides have changed them.
    fn unchanged(&mut self, (base, current, proposed): &(&[&str], &[&str], &[&str]), count: usize) {
        for ((base, current), proposed) in base.iter().zip(*current).zip(*proposed).take(count) {
            self.text += if current == proposed { current } else { base };
        }
    }

    /// Adds lines that a side has changed; `written` is the line ending of that side.
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

/// Counts the characters that a change removes and adds, in every stretch of lines that it touches, without the common
/// beginning and end of the stretch.
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

/// Returns the changes of lines, ignoring their endings.
fn changes(base: &[&str], new: &[&str]) -> Vec<Change> {
    let [base, new] = [base, new].map(|lines| lines.iter().map(without_end).collect::<Vec<_>>());
    line_diff::changes(&base, &new)
}

/// A stretch of the base that one or both sides changed, with its lines on each side.
struct Region {
    base: Range<usize>,
    current: Range<usize>,
    proposed: Range<usize>,
    is_current: bool,
    is_proposed: bool,
}

/// The remaining changes of one side.
struct Side<'a> {
    rest: &'a [Change],
    /// Position in this side's text of the next line of the base.
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

    /// Returns the end of the next change if that overlaps or touches a stretch that ends here.
    fn extend(&mut self, end: usize, taken: &mut Option<&'a Change>) -> Option<usize> {
        let (change, rest) = self.rest.split_first()?;
        if change.before.start > end {
            return None;
        }
        self.rest = rest;
        *taken = Some(change);
        Some(end.max(change.before.end))
    }

    /// Returns this side's lines for a stretch whose last change is `last`.
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
