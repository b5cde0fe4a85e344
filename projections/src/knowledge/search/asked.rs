//! What somebody asks for: words, "phrases", alternatives with or, and what is excluded by a minus.

use super::vector::{in_title, whole_title};
use super::words::{Script, words};

/// Words that count; those that come after them do not.
pub const MOST_WORDS: usize = 32;
/// Characters from which on the last word stands for all that begin like it.
const SHORTEST_PREFIX: usize = 2;

/// What is asked for: all terms of one of the alternatives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    alternatives: Vec<Vec<Term>>,
    /// As a title would be; none if there is more to it than words.
    plain: Option<String>,
}

/// Words one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    words: Vec<AskedWord>,
    excluded: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedWord {
    pub text: String,
    /// And all that begin like it.
    pub prefix: bool,
}

/// A part of the text between blanks or quotes.
struct Part<'a> {
    text: &'a str,
    quoted: bool,
    excluded: bool,
}

impl Asked {
    pub fn parse(text: &str) -> Self {
        let mut alternatives = vec![vec![]];
        let mut left = MOST_WORDS;
        let parts = parts(text);
        let ends_in_word = text.ends_with(|c: char| !c.is_whitespace());
        let count = parts.len();
        for (n, part) in parts.into_iter().enumerate() {
            if !part.quoted && !part.excluded && part.text.eq_ignore_ascii_case("or") {
                alternatives.push(vec![]);
                continue;
            }
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

    /// Words of which the last one is to be completed, however short it is.
    pub fn begun(text: &str) -> Self {
        let plain = text.replace(['"', '-'], " ");
        let mut asked = Self::parse(plain.trim_end());
        if let Some(word) = asked.last_word() {
            word.prefix = true;
        }
        asked
    }

    fn last_word(&mut self) -> Option<&mut AskedWord> {
        self.alternatives.last_mut()?.last_mut()?.words.last_mut()
    }

    /// The words that are looked for, those excluded not among them.
    pub fn words(&self) -> impl Iterator<Item = &AskedWord> {
        let terms = self.alternatives.iter().flatten();
        terms
            .filter(|term| !term.excluded)
            .flat_map(|term| &term.words)
    }

    /// What the index can tell: every word, wherever it stands. None: it cannot narrow down what is asked.
    pub fn anywhere(&self) -> Option<String> {
        let indexed = |term: &Term| match (term.excluded, term.words.as_slice()) {
            (true, [word]) => Some(format!("!{}", word.show())),
            // More than one word: what has them all may still not have the phrase.
            (true, _) => None,
            (false, words) => Some(join(words, " & ", AskedWord::show)),
        };
        let is_open = |terms: &Vec<Term>| terms.iter().all(|term| indexed(term).is_none());
        if self.alternatives.iter().any(is_open) {
            return None;
        }
        self.query(indexed)
    }

    /// With phrases; none: there are none, and the index tells all.
    pub fn exactly(&self) -> Option<String> {
        let mut terms = self.alternatives.iter().flatten();
        terms.any(|term| term.words.len() > 1).then_some(())?;
        self.query(|term| {
            let phrase = join(&term.words, " <-> ", AskedWord::show);
            Some(if term.excluded {
                format!("!({phrase})")
            } else {
                format!("({phrase})")
            })
        })
    }

    /// What a document is ranked by.
    pub fn ranking(&self) -> Option<String> {
        self.query(|term| {
            (!term.excluded).then(|| format!("({})", join(&term.words, " <-> ", AskedWord::show)))
        })
    }

    /// All words of an alternative in a title.
    pub fn in_title(&self) -> Option<String> {
        self.query(|term| {
            (!term.excluded).then(|| join(&term.words, " & ", AskedWord::show_in_title))
        })
    }

    /// The title that has these words and no others.
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

fn join(words: &[AskedWord], with: &str, show: impl Fn(&AskedWord) -> String) -> String {
    words.iter().map(show).collect::<Vec<_>>().join(with)
}

impl AskedWord {
    fn show(&self) -> String {
        self.quoted(&self.text)
    }

    fn show_in_title(&self) -> String {
        self.quoted(&in_title(&self.text))
    }

    /// There are neither quotes nor backslashes in words.
    fn quoted(&self, text: &str) -> String {
        format!("'{text}'{}", if self.prefix { ":*" } else { "" })
    }

    /// Whether a word of a text is it.
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
        let prefix = unfinished || part.text.ends_with('*');
        let asked = found.into_iter().enumerate().filter_map(|(n, word)| {
            let prefix = match word.script {
                // The pair before it says as much.
                Script::Last => return None,
                // It stands for all pairs that begin with it.
                Script::Lone => true,
                Script::Pair | Script::Symbol => false,
                Script::Spaced => {
                    let long = word.text.chars().count() >= SHORTEST_PREFIX;
                    prefix && long && n + 1 == count
                }
            };
            let text = word.text;
            Some(AskedWord { text, prefix })
        });
        Self {
            words: asked.collect(),
            excluded: part.excluded,
        }
    }
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = vec![];
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return parts;
        }
        let after = rest.strip_prefix('-');
        let excluded = after.is_some_and(|after| !after.starts_with(char::is_whitespace));
        rest = after.unwrap_or(rest);
        let (text, quoted, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (text, after) = quoted.split_once('"').unwrap_or((quoted, ""));
                (text, true, after)
            }
            None => {
                let end = rest.find(|c: char| c.is_whitespace() || c == '"');
                let (text, after) = rest.split_at(end.unwrap_or(rest.len()));
                (text, false, after)
            }
        };
        parts.push(Part {
            text,
            quoted,
            excluded,
        });
        rest = after;
    }
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
            ("or tea OR or water ", Some("('tea') | ('water')"), None),
            ("\"or\"", Some("('or')"), None),
            ("tea - hot ", Some("('tea' & 'hot')"), None),
            (
                "東京都",
                Some("('東京' & '京都')"),
                Some("(('東京' <-> '京都'))"),
            ),
            ("\"京\"", Some("('京':*)"), None),
        ] {
            let asked = Asked::parse(text);
            assert_eq!(asked.anywhere().as_deref(), anywhere, "{text}");
            assert_eq!(asked.exactly().as_deref(), exactly, "{text}");
        }
    }

    #[test]
    fn what_is_excluded_makes_no_rank() {
        let asked = Asked::parse("tea -hot or \"green tea\"");
        let ranking = "(('tea')) | (('green' <-> 'tea'))";
        assert_eq!(asked.ranking().as_deref(), Some(ranking));
        let in_title = "(':ttea') | (':tgreen' & ':ttea')";
        assert_eq!(asked.in_title().as_deref(), Some(in_title));
        assert_eq!(asked.whole_title(), None);
        assert!(Asked::parse("-hot").ranking().is_none());
    }

    #[test]
    fn a_title_is_the_same_however_it_is_written() {
        let title = Asked::parse("the KETTLE").whole_title();
        assert!(title.is_some());
        assert_eq!(title, Asked::parse("\"The, Kettle!\"").whole_title());
        assert_ne!(title, Asked::parse("kettle the").whole_title());
    }

    #[test]
    fn only_so_many_words_count() {
        let asked = Asked::parse(&"tea ".repeat(1_000));
        assert_eq!(asked.words().count(), MOST_WORDS);
    }

    #[test]
    fn what_is_begun_is_completed_however_short_it_is() {
        let asked = Asked::begun("\"hot t ");
        let words: Vec<_> = asked
            .words()
            .map(|word| (word.text.as_str(), word.prefix))
            .collect();
        assert_eq!(words, [("hot", false), ("t", true)]);
    }
}
