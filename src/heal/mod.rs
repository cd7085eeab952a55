//! What can be done about issues, when, and how often: tables and decisions.
//!
//! Pure: the engine looks, acts and writes down; here it is said what each
//! action can break, which actions an issue has, and whether it may be tried
//! now. `docs/healing.md` is written from these tables.

pub mod book;
pub mod decide;
pub mod deed;
pub mod ladder;
pub mod result;
pub mod wanted;

pub use book::{Book, Case, Open, Try, Undo};
pub use decide::{Hold, hold, rungs};
pub use deed::{DEEDS, Deed, deed};
pub use ladder::{LADDERS, Ladder, Rung, ladder};
pub use result::{Foreseen, Healed, Off, Planned, Standing, Treated, Tried, Waiting};
pub use wanted::Wanted;
