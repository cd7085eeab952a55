//! Real switches of real machines: systemd, Nix and the module's own units, each
//! machine in a container of its own.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod boot;
mod confirm;
mod contract;
mod cost;
mod driver;
mod gate;
mod heal;
mod qemu;
mod refused;
mod remote;
mod rescue;
mod restore;
mod support;
mod trial;
mod unattended;
mod ways;
