use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::knowledge::task_line::task_lines;
use crate::testing::PERSON;
use crate::{fold, testing};

const FIRST: Uuid = Uuid::from_u128(0x0198_a1c2_3d4e_7f00_8a1b_2c3d_4e5f_6071);
const WORKSPACE: Uuid = Uuid::from_u128(0x0198_a1c2_aaaa_7f00_8a1b_2c3d_4e5f_6071);
const SECOND: Uuid = Uuid::from_u128(0x0198_a1c2_ffff_7f00_8a1b_2c3d_4e5f_6071);

fn read(events: &[ChecklistEvent], body: &str, cause: Uuid) -> Vec<ChecklistEvent> {
    let command = ChecklistCommand::Read {
        workspace_id: Some(WORKSPACE),
        lines: task_lines(body),
        cause,
    };
    let context = DecisionContext::of(PERSON, testing::noon());
    let list: Checklist = fold(events.iter().cloned());
    list.decide(command, &context).unwrap()
}

fn lines(events: &[ChecklistEvent]) -> Vec<Line> {
    fold::<Checklist>(events.iter().cloned()).lines
}

/// Returns each line of the new body with the index of its earlier line: `text: index of the line that it was`.
fn becomes(before: &str, after: &str) -> Vec<(String, Option<usize>)> {
    let first = read(&[], before, FIRST);
    let mut both = first.clone();
    both.extend(read(&first, after, SECOND));
    let old = lines(&first);
    lines(&both)
        .into_iter()
        .map(|line| {
            let was = old.iter().position(|o| o.task_id == line.task_id);
            (line.title, was)
        })
        .collect()
}

fn body(titles: &[&str]) -> String {
    titles
        .iter()
        .map(|title| format!("- [ ] {title}\n"))
        .collect()
}

#[track_caller]
fn assert_becomes(before: &[&str], after: &[&str], expected: &[Option<usize>]) {
    let found: Vec<_> = becomes(&body(before), &body(after))
        .into_iter()
        .map(|(_, was)| was)
        .collect();
    assert_eq!(found, expected, "{before:?} to {after:?}");
}

#[test]
fn a_line_that_moves_stays_its_task() {
    assert_becomes(
        &["a", "b", "c"],
        &["c", "a", "b"],
        &[Some(2), Some(0), Some(1)],
    );
}

#[test]
fn a_line_that_is_edited_in_its_place_stays_its_task() {
    assert_becomes(
        &["a", "b", "c"],
        &["a", "B", "c"],
        &[Some(0), Some(1), Some(2)],
    );
    assert_becomes(&["a", "b"], &["A", "B"], &[Some(0), Some(1)]);
    assert_becomes(&["a", "b"], &["A", "b"], &[Some(0), Some(1)]);
}

#[test]
fn a_line_that_comes_back_is_the_task_that_it_was() {
    let mut events = read(&[], "- [ ] a\n- [ ] b\n- [ ] b\n", FIRST);
    let before = lines(&events);
    for (body, cause) in [
        ("- [ ] a\n", FIRST),
        ("- [ ] a\n- [x] b\n- [ ] c\n", SECOND),
    ] {
        events.extend(read(&events, body, cause));
    }
    let now = lines(&events);
    assert_eq!(now[1].task_id, before[2].task_id);
    assert!(now[1].done);
    assert!(before.iter().all(|line| line.task_id != now[2].task_id));
    events.extend(read(&events, "- [ ] b\n- [ ] b\n- [ ] b\n", SECOND));
    let ids: std::collections::BTreeSet<Uuid> =
        lines(&events).iter().map(|line| line.task_id).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn a_line_that_comes_between_is_new() {
    assert_becomes(&["a", "b"], &["new", "a", "b"], &[None, Some(0), Some(1)]);
    assert_becomes(&["a", "b"], &["a", "new", "b"], &[Some(0), None, Some(1)]);
    assert_becomes(&["a", "b"], &["a", "b", "new"], &[Some(0), Some(1), None]);
    assert_becomes(&[], &["a"], &[None]);
}

#[test]
fn a_new_line_above_does_not_take_the_place_of_an_edited_one() {
    assert_becomes(
        &["a", "b", "c"],
        &["new", "a", "B", "c"],
        &[None, Some(0), Some(1), Some(2)],
    );
    assert_becomes(&["a", "b"], &["A", "new", "b"], &[Some(0), None, Some(1)]);
}

#[test]
fn a_line_that_is_gone_takes_its_task_with_it() {
    assert_becomes(&["a", "b", "c"], &["a", "c"], &[Some(0), Some(2)]);
    assert_becomes(&["a", "b"], &["b"], &[Some(1)]);
    assert_becomes(&["a"], &[], &[]);
}

#[test]
fn lines_that_say_the_same_are_matched_in_their_order() {
    assert_becomes(&["a", "a"], &["a", "a", "a"], &[Some(0), Some(1), None]);
    assert_becomes(&["a", "a", "b"], &["a", "b"], &[Some(0), Some(2)]);
}

/// Asserts the matches of lines with the same title: `o` stands for an open line, `x` for a completed one.
#[track_caller]
fn assert_alike(before: &str, after: &str, expected: &[Option<usize>]) {
    let body = |marks: &str| -> String {
        let marks = marks
            .chars()
            .map(|mark| if mark == 'x' { 'x' } else { ' ' });
        marks.map(|mark| format!("- [{mark}] a\n")).collect()
    };
    let found = becomes(&body(before), &body(after)).into_iter();
    let found: Vec<_> = found.map(|(_, was)| was).collect();
    assert_eq!(found, expected, "{before} to {after}");
}

#[test]
fn of_lines_alike_the_open_one_stays_open_when_the_done_one_goes() {
    assert_alike("xo", "o", &[Some(1)]);
    assert_alike("ox", "o", &[Some(0)]);
    assert_alike("xo", "x", &[Some(0)]);
    assert_alike("xoxo", "oo", &[Some(1), Some(3)]);
    assert_alike("o", "xo", &[None, Some(0)]);
    assert_alike("x", "oox", &[None, None, Some(0)]);
}

#[test]
fn of_lines_alike_the_one_that_was_checked_is_done() {
    assert_alike("oo", "xo", &[Some(0), Some(1)]);
    assert_alike("oo", "ox", &[Some(0), Some(1)]);
    assert_alike("ooo", "xox", &[Some(0), Some(1), Some(2)]);
    assert_alike("xx", "xo", &[Some(0), Some(1)]);
    assert_alike("oo", "x", &[Some(0)]);
}

#[test]
fn lines_alike_that_are_sorted_by_their_marks_keep_them() {
    assert_alike("xo", "ox", &[Some(1), Some(0)]);
    assert_alike("xoxo", "ooxx", &[Some(1), Some(3), Some(0), Some(2)]);
}

#[test]
fn of_lines_alike_the_one_beside_the_same_neighbours_is_meant() {
    assert_becomes(&["a", "b", "a"], &["b", "a"], &[Some(1), Some(2)]);
    assert_becomes(
        &["a", "b", "a", "c"],
        &["b", "a", "c"],
        &[Some(1), Some(2), Some(3)],
    );
}

#[test]
fn a_line_in_another_spelling_stays_its_task_wherever_it_stands() {
    let before = ["Café", "x", "y"];
    assert_becomes(
        &before,
        &["new", "x", "y", "cafe\u{301}"],
        &[None, Some(1), Some(2), Some(0)],
    );
    assert_becomes(&["Tea", "tea"], &["tea", "Tea"], &[Some(1), Some(0)]);
}

#[test]
fn of_lines_alike_that_were_gone_the_one_with_the_same_mark_comes_back() {
    let mut events = read(&[], "- [ ] a\n- [x] a\n", FIRST);
    let before = lines(&events);
    events.extend(read(&events, "", FIRST));
    events.extend(read(&events, "- [ ] a\n", SECOND));
    assert_eq!(lines(&events)[0].task_id, before[0].task_id);
}

#[test]
fn reading_the_same_again_records_nothing() {
    let first = read(&[], "- [ ] a\n", FIRST);
    assert_eq!(read(&first, "Prose.\n\n* [ ]  **a**\n", SECOND), []);
    assert_eq!(read(&[], "no tasks", FIRST), []);
}

#[test]
fn only_what_differs_from_the_last_reading_follows() {
    let first = read(&[], "- [ ] a\n- [ ] b\n- [x] c\n- [ ] d\n", FIRST);
    let mut both = first.clone();
    both.extend(read(
        &first,
        "- [ ] a\n- [x] B\n- [ ] c\n- [ ] new\n- [ ] newer\n",
        SECOND,
    ));
    let (before, now) = (lines(&first), lines(&both));
    let other = |n: usize, title: Option<&str>, done| Change::Other {
        task_id: before[n].task_id,
        title: title.map(Into::into),
        done,
    };
    assert_eq!(
        changes(&before, &now),
        [
            other(1, Some("B"), Some(true)),
            other(2, None, Some(false)),
            other(3, Some("new"), None),
            Change::New(4),
        ]
    );
    assert_eq!(changes(&now, &[]).len(), 5);
}

#[test]
fn ids_of_new_tasks_follow_the_lines_and_are_never_used_again() {
    let all: String = (0..300).map(|n| format!("- [ ] {n}\n")).collect();
    let first = read(&[], &all, FIRST);
    let ids: Vec<Uuid> = lines(&first).iter().map(|line| line.task_id).collect();
    assert!(ids.is_sorted());
    assert_eq!(ids[0].get_version_num(), 7);
    assert_eq!(read(&[], &all, FIRST), first, "the same however often");
    let mut again = first.clone();
    again.extend(read(&first, "- [ ] 1\n", FIRST));
    again.extend(read(&again, "- [ ] other\n- [ ] 1\n", FIRST));
    assert!(!ids.contains(&lines(&again)[0].task_id));
}

proptest! {
    #[test]
    fn after_any_revision_every_line_has_one_task_of_its_own(
        bodies in vec(vec(("[a-d]", any::<bool>()), 0..8), 1..5),
    ) {
        let mut events = vec![];
        for (n, body) in (0..).zip(bodies) {
            let text: String = body
                .iter()
                .map(|(title, done)| format!("- [{}] {title}\n", if *done { 'x' } else { ' ' }))
                .collect();
            let before = lines(&events);
            events.extend(read(&events, &text, Uuid::from_u128(FIRST.as_u128() + n)));
            let now = lines(&events);
            let said: Vec<_> = now.iter().map(|line| (line.title.clone(), line.done)).collect();
            prop_assert_eq!(&said, &body);
            let mut ids: Vec<_> = now.iter().map(|line| line.task_id).collect();
            ids.sort_unstable();
            ids.dedup();
            prop_assert_eq!(ids.len(), now.len());
            for title in ["a", "b", "c", "d"] {
                let open = |lines: &[Line], done| lines.iter().filter(|l| l.title == title && l.done == done).count();
                let stayed = now.iter().filter_map(|line| {
                    let was = before.iter().find(|before| before.task_id == line.task_id)?;
                    (line.title == title && was.title == title).then_some(was.done == line.done)
                });
                let same_mark = stayed.filter(|same| *same).count();
                let most = [false, true].map(|done| open(&before, done).min(open(&now, done)));
                prop_assert_eq!(same_mark, most.into_iter().sum::<usize>(), "{} {:?} {:?}", title, before, now);
            }
            let (mut new, mut gone) = (0, 0);
            for change in changes(&before, &now) {
                match change {
                    Change::New(_) => new += 1,
                    Change::Gone(_) => gone += 1,
                    Change::Other { .. } => {}
                }
            }
            prop_assert_eq!(before.len() + new, now.len() + gone);
        }
    }
}
