//! The program, as somebody runs it: each command on a machine under a
//! temporary root.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod config;
mod confirm;
mod demo;
mod exchange;
mod fetch;
mod hardening;
mod heal;
mod heal_ways;
mod health;
mod hold;
mod interrupt;
mod keep;
mod kept;
mod learn;
mod merge;
mod nix_real;
mod parts;
mod pick;
mod policy;
mod policy_file;
mod policy_of_module;
mod policy_schema;
mod profiles;
mod remote;
mod repair;
mod rescue;
mod schemas;
mod state;
mod store;
mod story;
#[path = "../support/mod.rs"]
mod support;

mod switch;
mod takeout;
mod tips;
mod user;
mod watching;
