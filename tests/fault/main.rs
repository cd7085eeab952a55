//! The program on a machine that fails it: killed at each step, without room,
//! with hostile files and documents, and many at once.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod common;

mod create_prune;
mod full;
mod heal;
mod hostile;
mod restore;
mod stress;
mod support;
