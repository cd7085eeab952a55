//! What experience teaches: which action heals which issue, how likely a
//! change is to fail, and what failed changes share.
//!
//! Pure: records and a moment in, figures out. The same input and seed give
//! the same answer on every machine. `docs/learning.md` has the model.

pub mod estimate;
pub mod evidence;
pub mod month;
pub mod order;
pub mod patterns;
pub mod priors;
pub mod risk;
pub mod share;
pub mod simulation;
pub mod summary;

pub use estimate::Estimate;
pub use evidence::{Judged, Knowledge, Ledger, Origin, Tally};
pub use month::Month;
pub use order::{Harm, Ladder, Ranked, Rung, order};
pub use summary::Learned;
