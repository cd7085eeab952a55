//! `demo`
use super::Exit;
use super::args::{Demo, Global};
use super::failure::Failure;

pub(super) fn run(_global: &Global, _args: &Demo) -> Result<Exit, Failure> {
    Ok(Exit::Ok)
}
