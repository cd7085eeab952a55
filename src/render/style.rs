//! Colour, or none.

use std::fmt::Display;

use chrono::{DateTime, Utc};
use unicode_width::UnicodeWidthStr;

pub use crate::point::humane::count;

/// How to write for the place output goes to.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Whether to colour.
    pub colour: bool,
    /// Columns to fit into; unlimited when absent.
    pub width: Option<usize>,
    /// The moment relative times are relative to.
    pub now: DateTime<Utc>,
}

impl Style {
    fn paint(&self, code: &str, text: impl Display) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }

    /// Headings and names.
    pub fn bold(&self, text: impl Display) -> String {
        self.paint("1", text)
    }

    /// What matters less.
    pub fn dim(&self, text: impl Display) -> String {
        self.paint("2", text)
    }

    /// Good, added.
    pub fn green(&self, text: impl Display) -> String {
        self.paint("32", text)
    }

    /// Bad, removed.
    pub fn red(&self, text: impl Display) -> String {
        self.paint("31", text)
    }

    /// Wants attention, changed.
    pub fn yellow(&self, text: impl Display) -> String {
        self.paint("33", text)
    }

    /// Ids and places.
    pub fn cyan(&self, text: impl Display) -> String {
        self.paint("36", text)
    }

    /// A text that ends a line, cut where the line would be too long: `used`
    /// columns are taken, 20 are always left.
    pub fn fit(&self, used: usize, text: &str) -> String {
        match self.width {
            Some(width) => super::table::cut(text, width.saturating_sub(used).max(20)),
            None => text.to_owned(),
        }
    }

    /// A moment, relative to now.
    pub fn when(&self, then: DateTime<Utc>) -> String {
        crate::plan::humane::relative(self.now, then)
    }
}

/// Breaks a text at blanks into lines of at most `width` columns; a longer word
/// has a line of its own.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A moment in full (UTC).
pub fn date(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// One line of hostile text: control characters are escaped.
pub fn line(text: &str) -> String {
    crate::point::path::printable(std::path::Path::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_at_blanks_only() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a-very-long-word b", 4), ["a-very-long-word", "b"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn one_thing_and_several() {
        assert_eq!(count(1, "path"), "1 path");
        assert_eq!(count(0, "path"), "0 paths");
    }
}
