//! Wiki links: `[[Title]]` and `[[Title|shown text]]` in the body of a note name another note by its title.

use std::collections::HashSet;

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag};
use uuid::Uuid;

use super::note::MAX_TITLE;

/// Titles that one body names; those that come after them are not links.
pub const MAX_TITLES: usize = 1_000;

/// The titles that a body links to, in their order, each once: as it is first written there. What stands in code links
/// to nothing.
#[must_use]
pub fn titles(body: &str) -> Vec<String> {
    if !body.contains("[[") {
        return vec![];
    }
    let mut seen = HashSet::new();
    Parser::new_ext(body, Options::ENABLE_WIKILINKS)
        .filter_map(title)
        .filter(|title| (1..=MAX_TITLE).contains(&title.chars().count()))
        .filter(|title| seen.insert(folded(title)))
        .take(MAX_TITLES)
        .collect()
}

fn title(event: Event<'_>) -> Option<String> {
    if let Event::Start(
        Tag::Link {
            link_type: LinkType::WikiLink { .. },
            dest_url,
            ..
        }
        | Tag::Image {
            link_type: LinkType::WikiLink { .. },
            dest_url,
            ..
        },
    ) = event
    {
        return Some(spaced(&dest_url));
    }
    None
}

/// Stands for all titles of a workspace that are taken for the same: blanks and case make no difference.
#[must_use]
pub fn title_id(workspace_id: Uuid, title: &str) -> Uuid {
    Uuid::new_v5(&workspace_id, folded(title).as_bytes())
}

/// A link may run over the end of a line.
fn spaced(title: &str) -> String {
    title.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn folded(title: &str) -> String {
    spaced(title).to_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_body_links_to_the_titles_between_double_brackets() {
        for (body, expected) in [
            ("", &[][..]),
            ("no [link](url) [here] [][]", &[]),
            ("[[Tea]]", &["Tea"]),
            (
                "See [[Green tea]] and **[[Water]]**.",
                &["Green tea", "Water"],
            ),
            ("[[Tea|what we drink]]", &["Tea"]),
            ("![[Diagram]]", &["Diagram"]),
            ("[[ Tea ]] and [[tea]], [[TEA|again]]", &["Tea"]),
            (
                "- [[A]]\n- [[B]]\n\n> [[C]]\n\n# [[D]]",
                &["A", "B", "C", "D"],
            ),
            ("[[over the end\nof a line]]", &["over the end of a line"]),
            (
                "| [[A]] | [[B|b]] |\n|---|---|\n| [[C]] | |",
                &["A", "B", "C"],
            ),
        ] {
            assert_eq!(titles(body), expected, "{body}");
        }
    }

    #[test]
    fn what_is_code_or_escaped_or_unfinished_links_to_nothing() {
        for body in [
            "`[[Tea]]`",
            "``a ` [[Tea]]``",
            "```\n[[Tea]]\n```",
            "~~~md\n[[Tea]]\n~~~",
            "    [[Tea]]",
            "\\[[Tea]]",
            "[[]] [[|]] [[ ]] [[|Tea]]",
            "[[Tea]",
            "[[Tea",
            "[Tea]]",
            "<!-- [[Tea]] -->",
        ] {
            assert_eq!(titles(body), [""; 0], "{body}");
        }
    }

    #[test]
    fn no_more_titles_are_read_than_a_body_may_name_and_none_that_nobody_can_have() {
        let body: String = (0..2 * MAX_TITLES).map(|n| format!("[[{n}]] ")).collect();
        assert_eq!(titles(&body).len(), MAX_TITLES);
        let longest = "é".repeat(MAX_TITLE);
        assert_eq!(titles(&format!("[[{longest}]] [[{longest}é]]")), [longest]);
    }

    #[test]
    fn titles_that_differ_in_case_or_blanks_are_the_same_within_a_workspace() {
        let (here, there) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let tea = title_id(here, "Grüner  Tee");
        assert_eq!(title_id(here, " GRÜNER\ttee\n"), tea);
        assert_ne!(title_id(here, "Grünertee"), tea);
        assert_ne!(title_id(there, "Grüner Tee"), tea);
    }

    /// Pieces of which links are made, and what they are mistaken for.
    fn markdown() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            prop::sample::select(vec![
                "[[", "]]", "|", "[", "]", "![[", "`", "```\n", "\n", "\n\n", "    ", "\\", "> ",
                "- ", "(", ")", "<", ">", "Tea", "é", " "
            ])
            .prop_map(str::to_owned),
            any::<String>(),
        ];
        vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_body_can_be_read_and_names_each_title_once(body in markdown()) {
            let titles = titles(&body);
            let ids: HashSet<Uuid> = titles.iter().map(|title| title_id(Uuid::nil(), title)).collect();
            prop_assert_eq!(ids.len(), titles.len());
            for title in titles {
                prop_assert_eq!(title.trim(), &title);
                prop_assert!((1..=MAX_TITLE).contains(&title.chars().count()));
            }
        }

        #[test]
        fn a_title_is_read_back_wherever_it_is_linked_to(
            title in "[a-zA-Zäöü0-9][a-zA-Zäöü0-9 .,:!?&'/-]{0,40}",
            shown in "[a-z ]{0,10}",
            before in "([a-z]+[ \n])*",
        ) {
            let expected = [spaced(&title)];
            prop_assert_eq!(titles(&format!("{before}[[{title}]] after")), &expected);
            prop_assert_eq!(titles(&format!("{before}[[{title}|{shown}]]")), &expected);
            prop_assert_eq!(titles(&format!("{before}`[[{title}]]`")), [""; 0]);
            prop_assert_eq!(titles(&format!("{before}\n\n```\n[[{title}]]\n```\n")), [""; 0]);
        }
    }
}
