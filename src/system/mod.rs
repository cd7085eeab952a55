//! Every effect on the machine: paths under one root, files, links, locks,
//! the clock, and the programs that are run.
//!
//! Reads are native; only what changes a profile or a running system goes
//! through Nix's and NixOS's own programs, behind [`run::Runner`].

#![allow(clippy::disallowed_methods)]

pub mod accounts;
pub mod aside;
pub mod attempts;
pub mod beneath;
pub mod bus;
pub mod calendar;
pub mod cleaning;
pub mod clock;
pub mod container;
pub mod demo;
pub mod disks;
pub mod durable;
pub mod enter;
pub mod error;
pub mod flush;
pub mod follow;
pub mod foreground;
pub mod generations;
pub mod git;
pub mod governors;
pub mod healing;
pub mod herald;
pub mod history;
pub mod http;
pub mod interrupt;
pub mod journal;
pub mod knowledge_file;
pub mod known_good;
pub mod layout;
pub mod listing;
pub mod loader;
pub mod lock;
pub mod mounts;
pub mod nix_cli;
pub mod nixos_rebuild;
pub mod offender;
pub mod offspring;
pub mod ours;
pub mod picker;
pub mod pins;
pub mod pointers;
pub mod points;
pub mod policy_file;
pub mod probe;
pub mod remotes;
pub mod rights;
pub mod room;
pub mod run;
pub mod scratch;
pub mod secret;
pub mod services;
pub mod side;
pub mod snapshots;
pub mod sparse;
pub mod state_dir;
pub mod store;
pub mod switch;
pub mod switches;
pub mod tending;
pub mod terminal;
pub mod toplevel;
pub mod tree;
pub mod units;
pub mod whereabouts;
pub mod workshop;

pub use crate::fault;
pub use error::{At, IoError};
pub use layout::Layout;
