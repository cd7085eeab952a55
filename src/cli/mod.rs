//! The command line: arguments in, validated options to the engine, results
//! out — as text for people, as versioned JSON for programs.

mod args;
mod commands;
mod demo;
mod exit;
mod failure;
mod out;
mod session;

use clap::Parser;

pub use args::Cli;
pub use exit::Exit;

/// Runs the program.
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; clap knows where each belongs.
            let usage = error.use_stderr();
            let _ = error.print();
            return if usage { Exit::Usage } else { Exit::Ok };
        }
    };
    let json = cli.global.json;
    match commands::run(cli) {
        Ok(exit) => exit,
        Err(failure) => failure.report(json),
    }
}
