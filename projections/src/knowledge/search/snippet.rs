//! Texts in pieces, of which those that match the query are marked.
//!
//! Pieces need no markup: no text can be mistaken for a mark, and clients need not count characters the same way.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parsed_query::{ParsedQuery, Term};
use super::words::{Word, words};

/// Approximate length of a snippet in characters.
const LENGTH: usize = 240;
/// Characters before the first match.
const BEFORE: usize = 40;

/// A piece of a text. The pieces in order make up the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fragment {
    pub text: String,
    /// True if the piece matches the query.
    pub matched: bool,
}

/// The place of a match in a text.
struct Match {
    at: Range<usize>,
    query: usize,
}

fn matches(text: &str, query: &ParsedQuery) -> Vec<Match> {
    let found: Vec<Word> = words(text).collect();
    let mut matched = vec![None; found.len()];
    let mut number = 0;
    for term in query.terms() {
        for at in 0..found.len() {
            if !stands_at(term, &found[at..]) {
                continue;
            }
            let first = term.words.first().map_or(0, |word| word.at);
            for (n, word) in term.words.iter().enumerate() {
                let place = &mut matched[at + word.at - first];
                *place = place.or(Some(number + n));
            }
        }
        number += term.words.len();
    }
    let matched = found.into_iter().zip(matched);
    let matched = matched.filter_map(|(word, query)| {
        let (at, query) = (word.at, query?);
        Some(Match { at, query })
    });
    matched.collect()
}

/// Returns true if the words of a text begin with those of a term, at their distances.
fn stands_at(term: &Term, found: &[Word]) -> bool {
    let first = term.words.first().map_or(0, |word| word.at);
    let mut query = term.words.iter();
    query.all(|query| {
        let word = found.get(query.at - first);
        word.is_some_and(|word| query.is(&word.text))
    })
}

/// Returns a whole text in pieces.
pub fn highlighted(text: &str, query: &ParsedQuery) -> Vec<Fragment> {
    fragments(text, 0..text.len(), &matches(text, query))
}

/// Returns the part of a text with the most different query words; without a match, its beginning.
pub fn snippet(text: &str, query: &ParsedQuery) -> Vec<Fragment> {
    let matches = matches(text, query);
    let first = best(&matches).map_or(0, |best| best.at.start);
    let start = begin(text, first);
    let end = ended(text, start);
    fragments(text, start..end, &matches)
}

/// Returns the first match of the densest group.
fn best(matches: &[Match]) -> Option<&Match> {
    let different = |n: usize| {
        let until = matches[n].at.start + LENGTH - BEFORE;
        let near = matches[n..].iter().take_while(|m| m.at.end <= until);
        near.fold(0_u64, |seen, m| seen | 1 << (m.query % 64))
            .count_ones()
    };
    let best = (0..matches.len()).max_by_key(|n| (different(*n), std::cmp::Reverse(*n)));
    best.map(|n| &matches[n])
}

/// Returns a place some characters earlier, at the beginning of a word if possible.
fn begin(text: &str, place: usize) -> usize {
    let before = text[..place].char_indices().rev();
    let start = before.take(BEFORE).last().map_or(place, |(at, _)| at);
    if start == 0 {
        return 0;
    }
    let blank = text[start..place].find(char::is_whitespace);
    blank.map_or(start, |blank| {
        let skipped = &text[start + blank..];
        start + blank + (skipped.len() - skipped.trim_start().len())
    })
}

fn ended(text: &str, start: usize) -> usize {
    let rest = &text[start..];
    let Some((end, _)) = rest.char_indices().nth(LENGTH) else {
        return text.len();
    };
    let blank = rest[..end].rfind(char::is_whitespace);
    // A text without blanks is cut anywhere.
    start + blank.filter(|blank| *blank > end / 2).unwrap_or(end)
}

fn fragments(text: &str, part: Range<usize>, matches: &[Match]) -> Vec<Fragment> {
    let mut fragments: Vec<Fragment> = vec![];
    let mut push = |text: &str, matched| match fragments.last_mut() {
        _ if text.is_empty() => {}
        Some(last) if last.matched == matched => last.text.push_str(text),
        Some(_) | None => fragments.push(Fragment {
            text: text.to_owned(),
            matched,
        }),
    };
    let mut done = part.start;
    for found in matches {
        // Pairs of characters overlap.
        let start = found.at.start.max(done);
        let end = found.at.end.min(part.end);
        if start < end {
            push(&text[done..start], false);
            push(&text[start..end], true);
            done = end;
        }
    }
    push(&text[done..part.end], false);
    fragments
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Shows matches in brackets.
    fn shown(fragments: &[Fragment]) -> String {
        let shown = fragments.iter().map(|fragment| match fragment.matched {
            true => format!("[{}]", fragment.text),
            false => fragment.text.clone(),
        });
        shown.collect()
    }

    fn cut(text: &str, query: &str) -> String {
        let query = ParsedQuery::parse(query);
        shown(&snippet(text, &query))
    }

    #[test]
    fn a_short_text_is_shown_whole() {
        assert_eq!(cut("Hot tea, cold TEA.", "tea "), "Hot [tea], cold [TEA].");
        assert_eq!(cut("Teapot", "tea"), "[Teapot]");
        assert_eq!(cut("東京都へ", "京都"), "東[京都]へ");
        assert_eq!(cut("", "tea"), "");
        assert_eq!(cut("A ⭐ and 👍🏽.", "⭐ 👍 "), "A [⭐] and [👍🏽].");
        assert_eq!(
            cut("inter\u{ad}national", "international "),
            "[inter\u{ad}national]"
        );
    }

    #[test]
    fn of_a_phrase_only_the_whole_is_marked() {
        let text = "The tea, the kettle, the hot kettle.";
        assert_eq!(
            cut(text, "\"hot kettle\""),
            "The tea, the kettle, the [hot] [kettle]."
        );
        assert_eq!(cut("can't, I can", "can't "), "[can]'[t], I can");
        assert_eq!(
            cut("京東 東京 x, 東京", "\"東京 x\""),
            "京東 [東京] [x], 東京"
        );
        let text = format!("kettle the {}the kettle", "x y z ".repeat(200));
        assert!(cut(&text, "\"the kettle\"").ends_with("[the] [kettle]"));
    }

    #[test]
    fn of_a_long_text_what_has_the_most_of_the_words_is_shown() {
        let filling = "nothing at all ".repeat(50);
        let text = format!("tea {filling}hot tea {filling}");
        let snippet = cut(&text, "hot tea ");
        assert!(snippet.contains("[hot] [tea]"), "{snippet}");
        assert!(snippet.starts_with("at all nothing"), "{snippet}");
        let snippet = cut(&text, "missing");
        assert!(snippet.starts_with("tea nothing"), "{snippet}");
    }

    proptest! {
        #[test]
        fn the_pieces_are_a_part_of_the_text(text in "([a-c]{1,3}|\\PC| |東京){0,400}", query in "[a-c]{1,2}( [a-c]{1,2})?") {
            let query = ParsedQuery::parse(&query);
            let whole: String = highlighted(&text, &query).into_iter().map(|piece| piece.text).collect();
            prop_assert_eq!(&whole, &text);
            let part: String = snippet(&text, &query).into_iter().map(|piece| piece.text).collect();
            prop_assert!(text.contains(&part));
            prop_assert!(part.chars().count() <= LENGTH);
        }
    }
}
