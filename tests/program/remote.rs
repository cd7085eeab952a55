//! Copies elsewhere, on real servers.

mod lost;
mod travel;
mod wear;
