//! The paths that one `.nix` file refers to, so that a configuration can be
//! captured whole even where it reaches out of its directory.
//!
//! A scan of the text, not an evaluation: nothing is resolved on disk. What
//! can't be known without evaluating is reported as [`RefKind::Dynamic`] with its
//! source, never dropped.

mod depth;
mod flake;
mod syntax;
mod walk;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A reference to a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathRef {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is referred to.
    pub kind: RefKind,
    /// What for.
    pub role: Role,
}

/// What a reference names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefKind {
    /// A path as written: relative to the file's directory, absolute, or
    /// beginning with `~/`. It may be a directory, whose `default.nix` (or
    /// `flake.nix`) an import means.
    Literal(PathBuf),
    /// `<nixpkgs/nixos>`, without the brackets: found through `NIX_PATH`.
    Search(String),
    /// An expression whose value only an evaluation tells. Its source on one
    /// line, without outer parentheses, cut to [`MAX_SOURCE_CHARS`].
    Dynamic(String),
}

/// What a path is referred to for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Nix code, itself to be scanned: the argument of `import`, `scopedImport`
    /// or `callPackage`; an entry of `imports`, or of a list of modules
    /// (`modules`, `baseModules`, `extraModules`, `sharedModules`); a flake input
    /// on disk.
    Import,
    /// Anything else. A literal that ends in `.nix` may still be Nix code, as in
    /// `home-manager.users.alice = ./home.nix`.
    Other,
}

/// A place that could not be parsed. References after it may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ScanError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// What a scan found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// The references, in the order of the text.
    pub refs: Vec<PathRef>,
    /// What could not be read.
    pub errors: Vec<ScanError>,
}

/// Longest source of a dynamic reference, in characters.
pub const MAX_SOURCE_CHARS: usize = 120;

/// Finds the references in the text of a `.nix` file.
pub fn scan(text: &str) -> Scan {
    let lines = Lines::new(text);
    if let Some(offset) = depth::too_deep_at(text) {
        let message = format!(
            "expressions nest more than {} tokens deep; this file is not read",
            depth::MAX_DEPTH
        );
        return Scan {
            refs: Vec::new(),
            errors: vec![lines.error(offset, message)],
        };
    }
    let parse = rnix::Root::parse(text);
    let errors = parse
        .errors()
        .iter()
        .map(|error| lines.error(syntax::error_offset(error, text.len()), error.to_string()))
        .collect();
    let mut found = walk::references(&parse.syntax());
    // Stable: an expression stands before what is inside it.
    found.sort_by_key(|reference| reference.offset);
    let refs = found
        .into_iter()
        .map(|found| {
            let (line, column) = lines.position(found.offset);
            PathRef {
                line,
                column,
                kind: found.kind,
                role: found.role,
            }
        })
        .collect();
    Scan { refs, errors }
}

/// Turns byte offsets into lines and columns.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(ends).collect(),
        }
    }

    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|&start| start <= offset);
        let start = self
            .starts
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or("");
        (line, before.chars().count() + 1)
    }

    fn error(&self, offset: usize, message: String) -> ScanError {
        let (line, column) = self.position(offset);
        ScanError {
            line,
            column,
            message,
        }
    }
}

#[cfg(test)]
mod tests;
