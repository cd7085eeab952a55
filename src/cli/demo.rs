//! `demo`
use super::Exit;
use super::args::{Demo, Global};
use super::failure::Failure;

pub fn run(_global: &Global, _args: &Demo) -> Result<Exit, Failure> {
    Ok(Exit::Ok)
}
