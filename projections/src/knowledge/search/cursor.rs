//! The cursor of a page of search results.

use std::fmt;
use std::str::FromStr;

use store::Position;

const CORRECTED: &str = "-corrected";

/// Rank of the last result of the previous page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    pub(super) score: f64,
    pub(super) position: Position,
    /// True if the results are those of a correction.
    pub(super) corrected: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let corrected = if self.corrected { CORRECTED } else { "" };
        write!(
            f,
            "{:016x}{:016x}{corrected}",
            self.score.to_bits(),
            self.position
        )
    }
}

/// Reports text that is not a valid cursor.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be next_cursor of an earlier page")]
pub struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (text, corrected) = text
            .strip_suffix(CORRECTED)
            .map_or((text, false), |text| (text, true));
        let number = |digits: Option<&str>| u64::from_str_radix(digits?, 16).ok();
        let score = number(text.get(..16)).map(f64::from_bits);
        let position = number(text.get(16..)).and_then(|number| Position::try_from(number).ok());
        let score = score.filter(|score| score.is_finite());
        let place = score.zip(position).map(|(score, position)| Self {
            score,
            position,
            corrected,
        });
        place.ok_or(NoPlace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_again() {
        for corrected in [false, true] {
            let place = Place {
                score: 1.0 / 3.0,
                position: 42,
                corrected,
            };
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for text in [
            "",
            "-1",
            "here",
            "3ff0000000000000",
            "7ff00000000000000000000000000001",
        ] {
            assert_eq!(text.parse::<Place>(), Err(NoPlace), "{text}");
        }
    }
}
