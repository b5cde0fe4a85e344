//! Merges, as sentences and as properties.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::knowledge::task_line::task_lines;
use crate::knowledge::wiki::titles;

fn merged(base: &str, current: &str, proposed: &str) -> Result<String, Vec<Hunk>> {
    texts("body", base, current, proposed)
}

fn stretch(line: usize, lines: usize, text: &str) -> Stretch {
    Stretch {
        line,
        lines,
        text: text.into(),
        truncated: false,
    }
}

#[test]
fn changes_of_different_lines_are_put_together() {
    assert_eq!(
        merged("a\nb\nc\nd\n", "A\nb\nc\nd\n", "a\nb\nc\nD\nE\n").unwrap(),
        "A\nb\nc\nD\nE\n"
    );
    assert_eq!(merged("a\nb\nc", "b\nc", "a\nb\nc!").unwrap(), "b\nc!");
    assert_eq!(merged("a\nb\nc\n", "", "a\nb\nc\n").unwrap(), "");
    assert_eq!(merged("", "", "new").unwrap(), "new");
}

#[test]
fn the_same_change_on_both_sides_is_made_once() {
    let both = "a\nx\nc\nd\n";
    assert_eq!(merged("a\nb\nc\nd\n", both, both).unwrap(), both);
    assert_eq!(
        merged("a\nb\nc\nd\ne\n", "a\nx\nc\nd\ne\n", "a\nx\nc\nd\nE\n").unwrap(),
        "a\nx\nc\nd\nE\n"
    );
}

#[test]
fn line_ends_and_a_missing_last_one_are_kept_as_they_are() {
    assert_eq!(
        merged(
            "a\r\nb\r\nc\r\nd",
            "a!\r\nb\r\nc\r\nd",
            "a\r\nb\r\nc\r\nd\r\ne"
        )
        .unwrap(),
        "a!\r\nb\r\nc\r\nd\r\ne"
    );
    assert_eq!(
        merged("ä\nö\nü\n", "ä\nö\nü", "Ä\nö\nü\n").unwrap(),
        "Ä\nö\nü"
    );
}

#[test]
fn other_line_ends_are_no_conflict_and_those_of_the_base_are_kept() {
    let base = "one\r\ntwo\r\nthree\r\nfour\r\nfive\r\n";
    let current = base.replace("one", "ONE");
    let proposed = base.replace("\r\n", "\n").replace("five", "FIVE\nsix");
    let expected = "ONE\r\ntwo\r\nthree\r\nfour\r\nFIVE\r\nsix\r\n";
    assert_eq!(merged(base, &current, &proposed).unwrap(), expected);
    assert_eq!(merged(base, &proposed, &current).unwrap(), expected);
    // If both sides have changed the line endings, the merge has the changed ones.
    let current = current.replace("\r\n", "\n");
    assert_eq!(
        merged(base, &current, &proposed).unwrap(),
        expected.replace("\r\n", "\n")
    );
    // A note with both line endings keeps both.
    let base = "one\r\ntwo\nthree\r\n";
    let proposed = "one\ntwo\nTHREE\n";
    assert_eq!(
        merged(base, &base.replace("one", "ONE"), proposed).unwrap(),
        "ONE\r\ntwo\nTHREE\n"
    );
}

#[test]
fn no_more_conflicts_are_made_than_are_counted() {
    let text = |word: &str| -> String { (0..5_000).map(|n| format!("{n}\n{word}\n")).collect() };
    let hunks = merged(&text("tea"), &text("green"), &text("black")).unwrap_err();
    assert_eq!(hunks.len(), MAX_HUNKS + 1);
}

#[test]
fn changes_of_the_same_line_are_in_conflict_and_shown() {
    let hunks = merged("a\nb\nc\nd\n", "0\na\nB\nc\nd\n", "a\nβ\nc\nD\n").unwrap_err();
    assert_eq!(
        hunks,
        [Hunk {
            field: "body".into(),
            base: stretch(2, 1, "b\n"),
            current: stretch(3, 1, "B\n"),
            proposed: stretch(2, 1, "β\n"),
        }]
    );
}

#[test]
fn changes_that_touch_are_in_conflict_as_they_may_be_about_the_same() {
    let hunks = merged("a\nb\n", "A\nb\n", "a\nB\n").unwrap_err();
    assert_eq!(hunks[0].base, stretch(1, 2, "a\nb\n"));
    assert_eq!(hunks[0].current, stretch(1, 2, "A\nb\n"));
    assert_eq!(hunks[0].proposed, stretch(1, 2, "a\nB\n"));
    let hunks = merged("a\n", "a\nb\n", "a\nc\n").unwrap_err();
    assert_eq!(hunks[0].base, stretch(2, 0, ""));
}

#[test]
fn one_change_may_meet_several_of_the_other_side() {
    let hunks = merged("1\n2\n3\n4\n5\n", "x\n2\n3\n4\ny\n", "z\n").unwrap_err();
    assert_eq!(hunks.len(), 1);
    assert_eq!(hunks[0].base, stretch(1, 5, "1\n2\n3\n4\n5\n"));
    assert_eq!(hunks[0].current, stretch(1, 5, "x\n2\n3\n4\ny\n"));
    assert_eq!(hunks[0].proposed, stretch(1, 1, "z\n"));
}

#[test]
fn a_long_stretch_is_shown_in_part() {
    let long = "ü".repeat(MAX_STRETCH + 1);
    let hunks = merged("a", "b", &long).unwrap_err();
    assert_eq!(hunks[0].proposed.text, "ü".repeat(MAX_STRETCH));
    assert!(hunks[0].proposed.truncated && !hunks[0].current.truncated);
}

#[test]
fn a_text_of_a_mebibyte_of_short_lines_is_merged_in_a_bounded_time() {
    let base = "tea\n".repeat(1 << 18);
    let side =
        |n: usize| -> String { (0..1 << 17).map(|line| format!("{}\n", line % n)).collect() };
    let (current, proposed) = (side(7), side(5));
    assert!(merged(&base, &current, &proposed).is_err());
}

#[test]
fn what_changes_as_a_whole_is_taken_from_the_side_that_changed_it() {
    assert_eq!(atoms(&1, 1, 2), Some(2));
    assert_eq!(atoms(&1, 2, 1), Some(2));
    assert_eq!(atoms(&1, 2, 2), Some(2));
    assert_eq!(atoms(&1, 2, 3), None);
}

#[test]
fn a_size_is_counted_by_what_differs_within_the_lines() {
    assert_eq!(changed_characters("", "tea"), 3);
    assert_eq!(changed_characters("tea\nwater\n", "tea\n"), 6);
    assert_eq!(
        changed_characters("a\ngreen tea\nb\n", "a\nblack tea\nb\n"),
        10
    );
    assert_eq!(changed_characters("ääää", "ääöä"), 2);
    assert_eq!(changed_characters("aaa", "aa"), 1);
}

/// Returns texts with few different lines, so that changes overlap; with and without a final line ending.
fn text() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec!["a\n", "b\n", "c\n", "\n", "d\r\n", "é\n"]);
    (
        vec(line, 0..12),
        prop::sample::select(vec!["", "", "a", "z"]),
    )
        .prop_map(|(lines, end)| lines.concat() + end)
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn assert_located(stretch: &Stretch, text: &str) {
    let start = stretch.line - 1;
    let found = lines(text)[start..start + stretch.lines].concat();
    assert!(found.starts_with(&stretch.text));
    assert_eq!(stretch.truncated, found.len() > stretch.text.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_only_one_side_changed_is_as_that_side_has_it(base in text(), x in text()) {
        prop_assert_eq!(merged(&base, &base, &x).unwrap(), x.clone());
        prop_assert_eq!(merged(&base, &x, &base).unwrap(), x.clone());
        prop_assert_eq!(merged(&base, &x, &x).unwrap(), x);
    }

    #[test]
    fn either_side_may_come_first(base in text(), x in text(), y in text()) {
        let swapped = merged(&base, &y, &x).map_err(|hunks| {
            let swap = |hunk: Hunk| Hunk { current: hunk.proposed, proposed: hunk.current, ..hunk };
            hunks.into_iter().map(swap).collect::<Vec<_>>()
        });
        prop_assert_eq!(merged(&base, &x, &y), swapped);
    }

    #[test]
    fn a_conflict_stands_where_it_says(base in text(), x in text(), y in text()) {
        for hunk in merged(&base, &x, &y).err().into_iter().flatten() {
            assert_located(&hunk.base, &base);
            assert_located(&hunk.current, &x);
            assert_located(&hunk.proposed, &y);
            prop_assert_ne!(hunk.current.text, hunk.proposed.text);
        }
    }

    #[test]
    fn changes_that_do_not_touch_are_both_in_the_merge(
        blocks in vec(vec("[a-z]{1,3}", 1..3), 3..8),
        changed in vec(prop::sample::select(vec![0u8, 1, 2]), 8),
        replacement in "[A-Z]{1,3}",
    ) {
        // Every other block stays unchanged, and no two lines are equal, so the author of each change is clear.
        let block = |n: usize, words: &[String]| -> String {
            words.iter().enumerate().map(|(m, word)| format!("{n}.{m} {word}\n")).collect()
        };
        let side = |who: u8| -> String {
            blocks.iter().enumerate().map(|(n, words)| {
                if n % 2 == 0 && (changed[n] == who || who == 3 && changed[n] > 0) {
                    format!("{n} {replacement}\n")
                } else {
                    block(n, words)
                }
            }).collect()
        };
        prop_assert_eq!(merged(&side(4), &side(1), &side(2)).unwrap(), side(3));
        prop_assert_eq!(merged(&side(4), &side(2), &side(1)).unwrap(), side(3));
    }

    #[test]
    fn the_tasks_and_links_that_either_side_wrote_are_read_from_the_merge(
        changed in vec(prop::sample::select(vec![0u8, 1, 2]), 1..8),
    ) {
        let side = |who: u8| -> String {
            let item = |(n, by): (usize, &u8)| {
                let is_theirs = *by == who || who == 3 && *by > 0;
                let (mark, link) = if is_theirs { ('x', format!(", see [[Note {n}]]")) } else { (' ', String::new()) };
                format!("- [{mark}] task {n}{link}\n\nparagraph {n}\n\n")
            };
            changed.iter().enumerate().map(item).collect()
        };
        let merged = merged(&side(4), &side(1), &side(2)).unwrap();
        let expected = changed.iter().enumerate().filter(|(_, by)| **by > 0);
        let expected: Vec<String> = expected.map(|(n, _)| format!("Note {n}")).collect();
        prop_assert_eq!(titles(&merged), expected);
        let done: Vec<bool> = task_lines(&merged).iter().map(|line| line.done).collect();
        prop_assert_eq!(done, changed.iter().map(|by| *by > 0).collect::<Vec<_>>());
    }

    #[test]
    fn any_texts_are_merged_or_in_conflict(base in any::<String>(), x in any::<String>(), y in any::<String>()) {
        let _ = merged(&base, &x, &y);
        prop_assert_eq!(merged(&base, &base, &x).unwrap(), x.clone());
        prop_assert_eq!(changed_characters(&x, &x), 0);
        let _ = changed_characters(&x, &y);
    }

    #[test]
    fn sets_have_what_either_added_and_nothing_that_either_removed(
        base in "[a-e]{0,5}", x in "[a-e]{0,5}", y in "[a-e]{0,5}",
    ) {
        let set = |text: &str| text.chars().map(String::from).collect::<BTreeSet<_>>();
        let (base, x, y) = (set(&base), set(&x), set(&y));
        let merged = sets(&base, &x, &y);
        prop_assert_eq!(&merged, &sets(&base, &y, &x));
        for tag in set("abcde") {
            let expected = if base.contains(&tag) { x.contains(&tag) && y.contains(&tag) } else { x.contains(&tag) || y.contains(&tag) };
            prop_assert_eq!(merged.contains(&tag), expected);
        }
    }
}
