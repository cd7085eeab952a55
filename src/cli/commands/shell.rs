//! `completions` and `man`

use std::path::Path;

use clap::CommandFactory;

use super::super::Exit;
use super::super::args::Cli;
use super::super::failure::Failure;
use crate::system::At;

/// `completions`
pub(super) fn completions(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "cairn", &mut text);
    std::io::Write::write_all(&mut std::io::stdout(), &text)?;
    Ok(Exit::Ok)
}

/// `man`: one page for the program and one for each verb.
pub(super) fn man(dir: &Path) -> Result<Exit, Failure> {
    clap_mangen::generate_to(Cli::command(), dir).at("write the man pages into", dir)?;
    Ok(Exit::Ok)
}
