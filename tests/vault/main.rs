//! The vault beside `restic` and beside the library it is made with.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

#[path = "../fault/support/mod.rs"]
mod fault_support;

mod init;
mod pitfalls;
mod pitfalls_restore;
mod roundtrip;
mod support;
