//! Detects characters in text that could make one line look like another, because people decide by such text.

use std::fmt::Write as _;

/// Returns the first character that is invisible, breaks the line or changes its direction; none in plain text.
///
/// Joiners, variation selectors and tags count unless a script or emoji needs them.
#[must_use]
pub fn first_hidden(text: &str) -> Option<char> {
    hidden(text).next().map(|(_, c)| c)
}

/// Returns the text on one line: line ends become blanks, and invisible characters are left out.
#[must_use]
pub fn one_line(text: &str) -> String {
    replaced(text, |c, line| {
        if c.is_control() || is_line_end(c) {
            line.push(' ');
        }
    })
}

/// Returns the text on one line, with every hidden character as an escape such as `\u{202e}`.
#[must_use]
pub fn escaped(text: &str) -> String {
    replaced(text, escape)
}

/// Returns the text with every hidden character as an escape, except for line ends and tabs.
#[must_use]
pub fn escaped_lines(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let content = line.strip_suffix('\n').unwrap_or(line);
        let content = content.strip_suffix('\r').unwrap_or(content);
        escaped += &replaced(content, |c, escaped| match c {
            '\t' => escaped.push(c),
            _ => escape(c, escaped),
        });
        escaped += &line[content.len()..];
    }
    escaped
}

fn escape(c: char, text: &mut String) {
    let _ = match c {
        '\n' | '\r' | '\t' => write!(text, "{}", c.escape_default()),
        _ => write!(text, "{}", c.escape_unicode()),
    };
}

fn replaced(text: &str, replace: impl Fn(char, &mut String)) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut kept = 0;
    for (at, c) in hidden(text) {
        replaced.push_str(&text[kept..at]);
        replace(c, &mut replaced);
        kept = at + c.len_utf8();
    }
    replaced.push_str(&text[kept..]);
    replaced
}

/// Returns the hidden characters and their positions.
fn hidden(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut before = None;
    let mut in_flag = false;
    text.char_indices().filter(move |(at, c)| {
        let after = || text[at + c.len_utf8()..].chars().next();
        let is_needed = match c {
            '\u{200c}' | '\u{200d}' => joins(before, *c, after()),
            '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => {
                before.is_some_and(|before: char| !is_invisible(before) && !before.is_whitespace())
            }
            // The flag of a region consists of a black flag, its letters, and an end tag.
            '\u{e0020}'..='\u{e007f}' => in_flag,
            _ => false,
        };
        in_flag = match c {
            '\u{1f3f4}' => is_flag(&text[at + c.len_utf8()..]),
            '\u{e0020}'..='\u{e007e}' => in_flag,
            _ => false,
        };
        before = Some(*c);
        !is_needed && (c.is_control() || is_line_end(*c) || is_invisible(*c))
    })
}

const fn is_line_end(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Returns true for Unicode's property `Default_Ignorable_Code_Point`, and for the marks of interlinear annotations.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Returns true if a joiner is in a script that is written with joiners, or joins two emoji.
fn joins(before: Option<char>, joiner: char, after: Option<char>) -> bool {
    let Some((before, after)) = before.zip(after) else {
        return false;
    };
    // From Arabic to Myanmar, Khmer and Mongolian, and the presentation forms of Arabic.
    let is_joined = matches!(
        before,
        '\u{600}'..='\u{109f}' | '\u{1780}'..='\u{18af}' | '\u{a8e0}'..='\u{a8ff}'
            | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}' | '\u{11000}'..='\u{11fff}'
    ) && !is_invisible(before);
    let is_emoji = |c: char| matches!(c, '\u{2190}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{1f000}'..='\u{1faff}');
    is_joined
        || joiner == '\u{200d}'
            && (is_emoji(before) || matches!(before, '\u{fe0f}' | '\u{e007f}'))
            && is_emoji(after)
}

/// Returns true if the tags of a flag follow: at most six, and an end tag.
fn is_flag(rest: &str) -> bool {
    let tags = rest
        .chars()
        .take_while(|c| matches!(c, '\u{e0020}'..='\u{e007e}'))
        .count();
    (1..=6).contains(&tags) && rest.chars().nth(tags) == Some('\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_every_script_and_emoji_are_plain() {
        for plain in [
            "",
            "Tea, at 5 o'clock",
            "naïve cafe\u{301}",
            "مِی\u{200c}خواهم",
            "क\u{94d}\u{200d}ष",
            "👩\u{200d}💻 👨\u{200d}👩\u{200d}👧 ❤\u{fe0f} 1\u{fe0f}\u{20e3}",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "🏳\u{fe0f}\u{200d}🌈",
            "שלום עולם",
            "葛\u{e0100}",
            "한국어",
        ] {
            assert_eq!(first_hidden(plain), None, "{plain:?}");
            assert_eq!(escaped(plain), plain);
        }
    }

    #[test]
    fn characters_that_break_turn_or_hide_a_line_are_found() {
        for (text, found) in [
            ("a\nb", '\n'),
            ("a\tb", '\t'),
            ("\u{7}", '\u{7}'),
            ("a\u{85}b", '\u{85}'),
            ("a\u{2028}b", '\u{2028}'),
            ("gnp.\u{202e}txt", '\u{202e}'),
            ("ad\u{200b}min", '\u{200b}'),
            ("ad\u{200d}min", '\u{200d}'),
            ("ad\u{200c}min", '\u{200c}'),
            ("admin\u{feff}", '\u{feff}'),
            ("\u{200e}admin", '\u{200e}'),
            ("ad\u{ad}min", '\u{ad}'),
            ("\u{3164}", '\u{3164}'),
            ("a\u{e0061}", '\u{e0061}'),
            ("\u{fe0f}", '\u{fe0f}'),
            ("😀\u{fe0f}\u{fe01}", '\u{fe01}'),
            ("🏴\u{e0067}\u{e0062}", '\u{e0067}'),
        ] {
            assert_eq!(first_hidden(text), Some(found), "{text:?}");
        }
    }

    #[test]
    fn hidden_characters_are_shown_as_escapes() {
        assert_eq!(escaped("a\nb\u{202e}c"), "a\\nb\\u{202e}c");
        assert_eq!(
            escaped_lines("a\r\n\tb\rc\u{2028}\n\u{85}"),
            "a\r\n\tb\\rc\\u{2028}\n\\u{85}"
        );
        assert_eq!(one_line("a\r\nb\u{200b}c\u{2029}"), "a  bc ");
    }
}
