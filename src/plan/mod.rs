//! Plans: decisions made in memory, before anything is touched.
//!
//! Every function here takes what was observed and returns what should be
//! done, as data with reasons: no files, processes, clock or randomness. The
//! engine shows a plan (`--dry-run`), journals it, and only then carries it
//! out.

pub mod capture;
pub mod change;
pub mod comparison;
pub mod confirm;
pub mod figures;
pub mod gate;
pub mod graph;
pub mod merge;
pub mod notice;
pub mod prune;
pub mod report;
pub mod restore;
pub mod text_diff;
pub mod tree_diff;

pub use crate::point::humane;
