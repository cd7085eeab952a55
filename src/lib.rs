//! Restore points for NixOS.
//!
//! The layers, each importing only those below it:
//!
//! ```text
//! main → cli → engine → plan → heal → { point, health, learn } → nix
//!              engine → { vault, system }      system → { nix, point, heal }
//!        cli → render → { point, plan, heal, health, learn }
//! ```
//!
//! `nix`, `point`, `learn`, `heal` and `plan` are pure: no files, processes, clock or
//! randomness. `system` is the only place with effects on the machine, `vault`
//! the only one that touches stored content. `fault`, `parallel` and `next` are beside
//! them all: the first does nothing, but for tests, the second only what it is given,
//! the third are words. `ARCHITECTURE.md` has the tour.

pub mod cli;
pub mod engine;
pub mod fault;
pub mod heal;
pub mod health;
pub mod learn;
pub mod next;
pub mod nix;
mod parallel;
pub mod plan;
pub mod point;
pub mod render;
pub mod system;
pub mod vault;
