//! What is wrong with a policy, and where.

use std::fmt;

use serde::Serialize;

use crate::point::path::printable;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// The character in that line, from 1.
    pub column: usize,
    /// The JSON pointer of what is wrong; empty for the whole.
    pub pointer: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if !self.pointer.is_empty() {
            write!(f, ", {}", printable(self.pointer.as_ref()))?;
        }
        write!(f, ": {}", printable(self.message.as_ref()))
    }
}

/// Why a policy cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPolicy {
    /// What is wrong, in the order of the text; never empty.
    pub faults: Vec<Fault>,
}

impl fmt::Display for BadPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.faults.iter().enumerate() {
            let before = if n == 0 { "" } else { "; " };
            write!(f, "{before}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BadPolicy {}
