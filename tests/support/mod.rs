//! A machine under a temporary root: a real Nix store with real profiles, a
//! configuration, and the real program.
#![allow(dead_code, unused_imports, missing_docs, unreachable_pub)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod afar;
mod ailing;
mod btrfs;
mod host;
mod listing;
mod machine;
mod patient;
pub mod pty;
mod scripted;
mod servers;
mod skip;
mod store;
mod switching;
mod told;

pub use afar::{PASSWORD, beside, home, key, password, policy, sound, there, with_remote};
pub use ailing::Ailing;
pub use btrfs::Btrfs;
pub use host::Host;
pub use listing::{Exact, contents, exact, same};
pub use machine::{Machine, Run, bytes, short, succeed};
pub use patient::{Patient, ZONE as PATIENT_ZONE};
pub use scripted::{Scripted, executable};
pub use servers::Server;
pub use skip::{need, need_root};
pub use store::System;
pub use switching::Switching;
pub use told::{all_are_commands, commands};
