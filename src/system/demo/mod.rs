//! The machine the demo plays on: a private root with a store, a profile and
//! a configuration, gone when the demo ends.
//!
//! With Nix at hand the store is a real one: [`export`] writes small systems in
//! the format of `nix-store --export`, and `nix-store --import` registers them.
//! That needs no builder, no sandbox, no network and no root. Without Nix the
//! same systems are plain folders, and [`STAND_IN`] answers for Nix's programs.

mod export;
mod janitor;
mod machine;
mod object;
mod systems;

pub use machine::{DemoError, Machine, Store};

/// A script that answers for `nix-env`, `nix-store --gc` and `nix path-info`
/// where there is no Nix. It lives in the demo's folder only.
const STAND_IN: &str = include_str!("stand-in.sh");
