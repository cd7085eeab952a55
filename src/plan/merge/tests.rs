#![allow(clippy::disallowed_methods, reason = "runs the real git on real files")]

mod text;
mod trees;
