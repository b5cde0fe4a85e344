//! The parser of search queries: words, "phrases", alternatives with or, and exclusions with a minus.

use super::vector::{in_title, whole_title};
use super::words::{Script, words};

/// Maximum number of words; later ones are ignored.
pub const MOST_WORDS: usize = 32;
/// Minimum length of the last word, in characters, to match as a prefix.
const SHORTEST_PREFIX: usize = 2;

/// A parsed query: all terms of one of the alternatives must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParsedQuery {
    alternatives: Vec<Vec<Term>>,
    /// The text as a title would have it; none if the query is more than plain words.
    plain: Option<String>,
}

/// A word or a phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    pub words: Vec<QueryWord>,
    excluded: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryWord {
    pub text: String,
    /// True if the word also matches all words that begin with it.
    pub prefix: bool,
    /// Place within its phrase, counted like the words of a text.
    pub at: usize,
}

/// The terms of all alternatives, column by column: the terms that a document has decide if it matches.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Number of the alternative.
    pub alternatives: Vec<i32>,
    pub queries: Vec<String>,
    pub excluded: Vec<bool>,
}

/// A part of the text between blanks or quotes.
struct Part<'a> {
    text: &'a str,
    quoted: bool,
    excluded: bool,
}

impl ParsedQuery {
    pub fn parse(text: &str) -> Self {
        let mut alternatives = vec![vec![]];
        let mut left = MOST_WORDS;
        let parts = parts(text);
        let ends_in_word = text.ends_with(|c: char| !c.is_whitespace());
        let count = parts.len();
        let mut joins = false;
        for (n, part) in parts.into_iter().enumerate() {
            let is_or = !part.quoted && !part.excluded && part.text.eq_ignore_ascii_case("or");
            // Without a part before it and a part after it to join, it is a word.
            if is_or && n > 0 && n + 1 < count && !joins {
                joins = true;
                alternatives.push(vec![]);
                continue;
            }
            joins = false;
            let unfinished = n + 1 == count && ends_in_word && !part.quoted && !part.excluded;
            let mut term = Term::of(&part, unfinished);
            term.words.truncate(left);
            left -= term.words.len();
            if let (false, Some(terms)) = (term.words.is_empty(), alternatives.last_mut()) {
                terms.push(term);
            }
        }
        alternatives.retain(|terms| !terms.is_empty());
        let plain =
            matches!(alternatives.as_slice(), [terms] if terms.iter().all(|term| !term.excluded));
        Self {
            alternatives,
            plain: plain.then(|| text.to_owned()),
        }
    }

    /// Parses words of which the last one is to be completed, however short it is.
    pub fn begun(text: &str) -> Self {
        let plain = text.replace(['"', '-'], " ");
        let mut query = Self::parse(plain.trim_end());
        if let Some(word) = query.last_word() {
            word.prefix = true;
        }
        query
    }

    /// Returns the words and phrases that are searched for.
    pub fn terms(&self) -> impl Iterator<Item = &Term> {
        let terms = self.alternatives.iter().flatten();
        terms.filter(|term| !term.excluded)
    }

    /// Returns the terms for checking documents for which the index is not enough.
    pub fn by_terms(&self) -> Terms {
        let mut terms = Terms::default();
        for (alternative, all) in (0..).zip(&self.alternatives) {
            for term in all {
                terms.alternatives.push(alternative);
                terms.queries.push(term.phrase());
                terms.excluded.push(term.excluded);
            }
        }
        terms
    }

    fn last_word(&mut self) -> Option<&mut QueryWord> {
        self.alternatives.last_mut()?.last_mut()?.words.last_mut()
    }

    /// Returns the words that are searched for, without excluded ones.
    pub fn words(&self) -> impl Iterator<Item = &QueryWord> {
        self.terms().flat_map(|term| &term.words)
    }

    /// Returns a query for the index: every word, anywhere in the text. None: the index cannot narrow down the search.
    pub fn anywhere(&self) -> Option<String> {
        let indexed = |term: &Term| match (term.excluded, term.words.as_slice()) {
            (true, [word]) => Some(format!("!{}", word.show())),
            // A document may have all the words without the phrase.
            (true, _) => None,
            (false, words) => Some(join(words, " & ", QueryWord::show)),
        };
        let is_open = |terms: &Vec<Term>| terms.iter().all(|term| indexed(term).is_none());
        if self.alternatives.iter().any(is_open) {
            return None;
        }
        self.query(indexed)
    }

    /// Returns a query with phrases; none: there are no phrases, and the index alone decides.
    pub fn exactly(&self) -> Option<String> {
        let mut terms = self.alternatives.iter().flatten();
        terms.any(|term| term.words.len() > 1).then_some(())?;
        self.query(|term| {
            let phrase = term.phrase();
            Some(if term.excluded {
                format!("!({phrase})")
            } else {
                format!("({phrase})")
            })
        })
    }

    /// Returns the query that ranks documents.
    pub fn ranking(&self) -> Option<String> {
        self.query(|term| (!term.excluded).then(|| format!("({})", term.phrase())))
    }

    /// Returns a query for all words of an alternative in a title.
    pub fn in_title(&self) -> Option<String> {
        self.query(|term| {
            (!term.excluded).then(|| join(&term.words, " & ", QueryWord::show_in_title))
        })
    }

    /// Returns a query for titles that have exactly these words.
    pub fn whole_title(&self) -> Option<String> {
        let plain = self.plain.as_ref()?;
        Some(format!("'{}'", whole_title(plain)))
    }

    fn query(&self, show: impl Fn(&Term) -> Option<String>) -> Option<String> {
        let alternatives = self.alternatives.iter().filter_map(|terms| {
            let terms: Vec<String> = terms.iter().filter_map(&show).collect();
            (!terms.is_empty()).then(|| format!("({})", terms.join(" & ")))
        });
        let alternatives: Vec<String> = alternatives.collect();
        (!alternatives.is_empty()).then(|| alternatives.join(" | "))
    }
}

fn join(words: &[QueryWord], with: &str, show: impl Fn(&QueryWord) -> String) -> String {
    words.iter().map(show).collect::<Vec<_>>().join(with)
}

impl QueryWord {
    pub fn show(&self) -> String {
        self.quoted(&self.text)
    }

    fn show_in_title(&self) -> String {
        self.quoted(&in_title(&self.text))
    }

    /// Quotes a word. Words contain neither quotes nor backslashes.
    fn quoted(&self, text: &str) -> String {
        format!("'{text}'{}", if self.prefix { ":*" } else { "" })
    }

    /// Returns true if the word of a query matches the word of a text.
    pub fn is(&self, word: &str) -> bool {
        if self.prefix {
            word.starts_with(&self.text)
        } else {
            word == self.text
        }
    }
}

impl Term {
    fn of(part: &Part<'_>, unfinished: bool) -> Self {
        let found: Vec<_> = words(part.text).collect();
        let count = found.len();
        let prefix = unfinished || part.is_begun();
        let query = found.into_iter().enumerate().filter_map(|(n, word)| {
            let prefix = match word.script {
                // The preceding pair includes this character.
                Script::Last => return None,
                // A single character matches all pairs that begin with it.
                Script::Lone => true,
                Script::Pair | Script::Symbol => false,
                Script::Spaced => {
                    let long = word.text.chars().count() >= SHORTEST_PREFIX;
                    prefix && long && n + 1 == count
                }
            };
            let text = word.text;
            let at = n;
            Some(QueryWord { text, prefix, at })
        });
        Self {
            words: query.collect(),
            excluded: part.excluded,
        }
    }

    /// Returns the query for its words at their distances.
    fn phrase(&self) -> String {
        let mut phrase = String::new();
        let mut before = None;
        for word in &self.words {
            match before.map(|before| word.at - before) {
                None => {}
                Some(1) => phrase.push_str(" <-> "),
                // The last character before another script is part of the preceding pair.
                Some(distance) => phrase.push_str(&format!(" <{distance}> ")),
            }
            phrase.push_str(&word.show());
            before = Some(word.at);
        }
        phrase
    }
}

impl Part<'_> {
    /// Returns true if a word with one asterisk behind it ends the text: it matches all words that begin so.
    fn is_begun(&self) -> bool {
        let begun = self.text.strip_suffix('*');
        begun.is_some_and(|begun| !begun.contains('*') && ends_in_word(begun))
    }
}

fn ends_in_word(text: &str) -> bool {
    let last = words(text).last();
    last.is_some_and(|word| word.at.end == text.len())
}

/// Splits a text at its blanks and around its phrases. Quotes and a minus are special only at the beginning of a part;
/// elsewhere they are punctuation.
fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = vec![];
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return parts;
        }
        let excluding = rest.strip_prefix('-').filter(|after| is_excluded(after));
        rest = excluding.unwrap_or(rest);
        let (text, quoted, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (text, after) = quoted.split_once('"').unwrap_or((quoted, ""));
                (text, true, after)
            }
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let (text, after) = rest.split_at(end);
                (text, false, after)
            }
        };
        parts.push(Part {
            text,
            quoted,
            excluded: excluding.is_some(),
        });
        rest = after;
    }
}

/// Returns true if a minus precedes a word or a phrase to exclude; false for a command-line option: `--amend`, `-i`.
fn is_excluded(after: &str) -> bool {
    let part = after.split(char::is_whitespace).next().unwrap_or_default();
    let is_option = matches!(part.as_bytes(), [letter] if letter.is_ascii_alphabetic());
    after.starts_with('"')
        || !is_option && words(part).next().is_some_and(|word| word.at.start == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_phrases_exclusions_and_alternatives_are_told_apart() {
        for (text, anywhere, exactly) in [
            ("", None, None),
            ("& | ! '", None, None),
            ("Hot tea", Some("('hot' & 'tea':*)"), None),
            ("hot tea ", Some("('hot' & 'tea')"), None),
            ("te* hot ", Some("('te':* & 'hot')"), None),
            ("a b", Some("('a' & 'b')"), None),
            (
                "\"hot tea\"",
                Some("('hot' & 'tea')"),
                Some("(('hot' <-> 'tea'))"),
            ),
            ("tea -hot", Some("('tea' & !'hot')"), None),
            ("-hot", Some("(!'hot')"), None),
            (
                "tea -\"hot water\"",
                Some("('tea')"),
                Some("(('tea') & !('hot' <-> 'water'))"),
            ),
            (
                "tea or -\"hot water\"",
                None,
                Some("(('tea')) | (!('hot' <-> 'water'))"),
            ),
            (
                "tea or water OR milk ",
                Some("('tea') | ('water') | ('milk')"),
                None,
            ),
            // `or` with nothing to join.
            (
                "or tea OR or water ",
                Some("('or' & 'tea') | ('or' & 'water')"),
                None,
            ),
            ("tea or ", Some("('tea' & 'or')"), None),
            ("or ", Some("('or')"), None),
            ("\"or\"", Some("('or')"), None),
            ("tea - hot ", Some("('tea' & 'hot')"), None),
            (
                "東京都",
                Some("('東京' & '京都')"),
                Some("(('東京' <-> '京都'))"),
            ),
            ("\"京\"", Some("('京':*)"), None),
            (
                "\"東京 tea\"",
                Some("('東京' & 'tea')"),
                Some("(('東京' <2> 'tea'))"),
            ),
            // Options and punctuation.
            ("git --amend ", Some("('git' & 'amend')"), None),
            ("rebase -i ", Some("('rebase' & 'i')"), None),
            (
                "tea -hot -京 -⭐ ",
                Some("('tea' & !'hot' & !'京':* & !'⭐')"),
                None,
            ),
            ("x ->y ", Some("('x' & 'y')"), None),
            (
                "5\" pipe fitting ",
                Some("('5' & 'pipe' & 'fitting')"),
                None,
            ),
            (
                "say\"hot tea\" ",
                Some("('say' & 'hot' & 'tea')"),
                Some("(('say' <-> 'hot') & ('tea'))"),
            ),
            ("**bold** te* ", Some("('bold' & 'te':*)"), None),
            ("⭐* ", Some("('⭐')"), None),
        ] {
            let query = ParsedQuery::parse(text);
            assert_eq!(query.anywhere().as_deref(), anywhere, "{text}");
            assert_eq!(query.exactly().as_deref(), exactly, "{text}");
        }
    }

    #[test]
    fn terms_say_of_which_alternative_they_are() {
        let terms = ParsedQuery::parse("tea -\"hot water\" or milk ").by_terms();
        assert_eq!(terms.alternatives, [0, 0, 1]);
        assert_eq!(terms.queries, ["'tea'", "'hot' <-> 'water'", "'milk'"]);
        assert_eq!(terms.excluded, [false, true, false]);
    }

    #[test]
    fn what_is_excluded_makes_no_rank() {
        let query = ParsedQuery::parse("tea -hot or \"green tea\"");
        let ranking = "(('tea')) | (('green' <-> 'tea'))";
        assert_eq!(query.ranking().as_deref(), Some(ranking));
        let in_title = "(':ttea') | (':tgreen' & ':ttea')";
        assert_eq!(query.in_title().as_deref(), Some(in_title));
        assert_eq!(query.whole_title(), None);
        assert!(ParsedQuery::parse("-hot").ranking().is_none());
    }

    #[test]
    fn a_title_is_the_same_however_it_is_written() {
        let title = ParsedQuery::parse("the KETTLE").whole_title();
        assert!(title.is_some());
        assert_eq!(title, ParsedQuery::parse("\"The, Kettle!\"").whole_title());
        assert_ne!(title, ParsedQuery::parse("kettle the").whole_title());
    }

    #[test]
    fn only_so_many_words_count() {
        let query = ParsedQuery::parse(&"tea ".repeat(1_000));
        assert_eq!(query.words().count(), MOST_WORDS);
    }

    #[test]
    fn what_is_begun_is_completed_however_short_it_is() {
        let query = ParsedQuery::begun("\"hot t ");
        let words: Vec<_> = query
            .words()
            .map(|word| (word.text.as_str(), word.prefix))
            .collect();
        assert_eq!(words, [("hot", false), ("t", true)]);
    }
}
