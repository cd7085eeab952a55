//! The bed: machines with real systemd, real Nix and real switches, each in a
//! container of its own, or in an emulator with firmware and a boot loader. `nixos-tests/bed/` holds what they are made of.
#![allow(dead_code, unused_imports, missing_docs, unreachable_pub)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod bed;
pub mod cost;
mod groups;
mod machine;
mod place;
mod records;
#[path = "../../support/skip.rs"]
mod skip;
mod trees;

pub use bed::{Bed, Out, Pointers};
pub use machine::Machine;
pub use records::{Told, came_to, told};
