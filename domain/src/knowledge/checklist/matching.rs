//! Matches the lines of a note with its earlier lines.

use std::collections::{HashMap, HashSet, VecDeque};

use super::Line;
use crate::folded;
use crate::knowledge::task_line::TaskLine;

/// Scores of two lines with the same title that are matched, with the same mark and with different ones.
const ALIKE: u16 = 3;
const OTHER_MARK: u16 = 2;

/// A line as it is compared: the number of its title, and its mark.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    title: usize,
    done: bool,
}

/// The earlier line of each current line.
type Was = Vec<Option<usize>>;

/// Finds the earlier line of every current line: first by title, then by title in another spelling, then by position
/// next to a known line.
///
/// Among lines with the same title, as few as possible change their marks: if the completed line is removed, the open
/// line keeps its task. Among equally good matches, those in the order of the lines are preferred.
pub(super) fn matched(before: &[Line], now: &[TaskLine]) -> Vec<Option<usize>> {
    let (old, new) = keys(before, now, str::to_owned);
    let mut was = aligned(&old, &new);
    for (olds, news) in by_title(&old, &new) {
        let in_order: Was = news.iter().map(|at| was[*at]).collect();
        let in_order = completed(in_order, &olds, &news, &old, &new);
        let anew = completed(vec![None; news.len()], &olds, &news, &old, &new);
        let marks = |was: &Was| {
            let pairs = was.iter().zip(&news);
            let changed =
                pairs.filter(|(was, at)| was.is_some_and(|was| old[was].done != new[**at].done));
            changed.count()
        };
        let best = if marks(&anew) < marks(&in_order) {
            anew
        } else {
            in_order
        };
        for (at, line) in news.into_iter().zip(best) {
            was[at] = line;
        }
    }
    let (old, new) = keys(before, now, folded);
    let all = (0..old.len()).collect::<Vec<_>>();
    let all_new = (0..new.len()).collect::<Vec<_>>();
    was = completed(was, &all, &all_new, &old, &new);
    beside(&mut was, before.len());
    was
}

fn keys(before: &[Line], now: &[TaskLine], form: impl Fn(&str) -> String) -> (Vec<Key>, Vec<Key>) {
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut key = |title: &str, done: bool| {
        let next = numbers.len();
        let title = *numbers.entry(form(title)).or_insert(next);
        Key { title, done }
    };
    let old = before
        .iter()
        .map(|line| key(&line.title, line.done))
        .collect();
    let new = now.iter().map(|line| key(&line.title, line.done)).collect();
    (old, new)
}

/// Matches lines of the same title in the same order; it maximises the number and similarity of the matches.
fn aligned(old: &[Key], new: &[Key]) -> Was {
    let mut was = vec![None; new.len()];
    let ahead = old
        .iter()
        .zip(new)
        .take_while(|(old, new)| old == new)
        .count();
    let ends = old[ahead..].iter().rev().zip(new[ahead..].iter().rev());
    let behind = ends.take_while(|(old, new)| old == new).count();
    for (at, line) in was.iter_mut().enumerate().take(ahead) {
        *line = Some(at);
    }
    for at in 1..=behind {
        was[new.len() - at] = Some(old.len() - at);
    }
    let old = &old[ahead..old.len() - behind];
    let new = &new[ahead..new.len() - behind];
    // The best score of the lines from this pair onwards.
    let mut best = vec![vec![0_u16; new.len() + 1]; old.len() + 1];
    for (i, one) in old.iter().enumerate().rev() {
        for (j, other) in new.iter().enumerate().rev() {
            let both = score(*one, *other).map_or(0, |score| score + best[i + 1][j + 1]);
            best[i][j] = both.max(best[i + 1][j]).max(best[i][j + 1]);
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() && j < new.len() {
        let both = score(old[i], new[j]).map(|score| score + best[i + 1][j + 1]);
        if both == Some(best[i][j]) {
            was[ahead + j] = Some(ahead + i);
            (i, j) = (i + 1, j + 1);
        } else if best[i][j] == best[i + 1][j] {
            i += 1;
        } else {
            j += 1;
        }
    }
    was
}

fn score(old: Key, new: Key) -> Option<u16> {
    (old.title == new.title).then_some(if old.done == new.done {
        ALIKE
    } else {
        OTHER_MARK
    })
}

/// Returns the positions of each title, before and now.
fn by_title(old: &[Key], new: &[Key]) -> Vec<(Vec<usize>, Vec<usize>)> {
    let titles = old.iter().chain(new).map(|key| key.title + 1).max();
    let mut places = vec![(vec![], vec![]); titles.unwrap_or_default()];
    for (at, key) in old.iter().enumerate() {
        places[key.title].0.push(at);
    }
    for (at, key) in new.iter().enumerate() {
        places[key.title].1.push(at);
    }
    places
}

/// Matches the remaining lines of the same title, those with the same mark first, each in their order.
fn completed(mut was: Was, olds: &[usize], news: &[usize], old: &[Key], new: &[Key]) -> Was {
    for same_mark in [true, false] {
        let taken: HashSet<usize> = was.iter().flatten().copied().collect();
        let mut free: HashMap<(usize, bool), VecDeque<usize>> = HashMap::new();
        for at in olds.iter().filter(|at| !taken.contains(at)) {
            let Key { title, done } = old[*at];
            free.entry((title, same_mark && done))
                .or_default()
                .push_back(*at);
        }
        for (line, at) in was.iter_mut().zip(news).filter(|(line, _)| line.is_none()) {
            let Key { title, done } = new[*at];
            let alike = free.get_mut(&(title, same_mark && done));
            *line = alike.and_then(VecDeque::pop_front);
        }
    }
    was
}

/// Matches the remaining lines directly above and below known ones.
fn beside(was: &mut Was, before: usize) {
    let mut free = vec![true; before];
    for line in was.iter().flatten() {
        free[*line] = false;
    }
    let mut settle = |was: &mut Was, at: usize, candidate: Option<usize>| {
        if was[at].is_none()
            && let Some(candidate) = candidate.filter(|line| free.get(*line) == Some(&true))
        {
            free[candidate] = false;
            was[at] = Some(candidate);
        }
    };
    for at in 0..was.len() {
        let candidate = match at.checked_sub(1) {
            None => Some(0),
            Some(above) => was[above].map(|line| line + 1),
        };
        settle(was, at, candidate);
    }
    for at in (1..was.len()).rev() {
        let candidate = was[at].and_then(|line| line.checked_sub(1));
        settle(was, at - 1, candidate);
    }
}
