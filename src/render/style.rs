//! Colour, or none.

use std::fmt::Display;

use chrono::{DateTime, Utc};

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

    /// A moment, relative to now.
    pub fn when(&self, then: DateTime<Utc>) -> String {
        crate::plan::humane::relative(self.now, then)
    }
}

/// A moment in full (UTC).
pub fn date(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// One line of hostile text: control characters are escaped.
pub fn line(text: &str) -> String {
    crate::point::path::printable(std::path::Path::new(text))
}
