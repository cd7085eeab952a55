//! The command line: arguments in, validated options to the engine, results
//! out — as text for people, as versioned JSON for programs.

mod args;
mod commands;
mod demo;
mod exit;
mod failure;
mod out;
mod policy_args;
mod progress;
mod session;
mod usage;

use clap::Parser;
use clap::error::ErrorKind;

use crate::point::selector::SelectError;
use failure::Failure;

pub use args::Cli;
pub use exit::{End, Exit};

/// What names no restore point is told as such, not as wrong usage.
fn not_a_point(error: &clap::Error) -> Option<SelectError> {
    std::error::Error::source(error)?.downcast_ref().cloned()
}

/// Runs the program.
pub fn main() -> End {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let json = usage::words().any(|word| word == "--json");
            if let Some(error) = not_a_point(&error) {
                return Failure::from(error).report(json).into();
            }
            // Help and version are no errors; clap knows where each belongs.
            let help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
            if help || !error.use_stderr() {
                let _ = error.print();
                return if help { Exit::Usage } else { Exit::Ok }.into();
            }
            return usage::failure(&error, usage::words()).report(json).into();
        }
    };
    let json = cli.global.json;
    match commands::run(cli) {
        Ok(end) => end,
        Err(failure) => failure.report(json).into(),
    }
}
