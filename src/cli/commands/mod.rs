//! The verbs, one function each: options in, engine, result out.

mod cat;
mod compare;
mod config;
mod exchange;
mod generations;
mod heal;
mod health;
mod history;
mod hook;
mod keep;
mod learn;
pub(super) mod merge;
mod pick;
mod points;
mod policy;
mod restore;
mod risk;
mod shell;
mod takeout;
mod wellness;

use super::Exit;
use super::args::{Cli, Command};
use super::failure::Failure;
use super::session::Session;

/// Runs one verb.
///
/// # Errors
/// What is to be told, and which exit code it has.
pub(super) fn run(cli: Cli) -> Result<Exit, Failure> {
    let command = match cli.command {
        Command::Completions { shell } => return shell::completions(shell),
        Command::Man { dir } => return shell::man(&dir),
        Command::Policy(args) => return policy::run(cli.global, args),
        Command::Demo(demo) => return super::demo::run(&cli.global, &demo),
        other => other,
    };
    let session = Session::open(cli.global)?;
    let s = &session;
    match command {
        Command::Create(args) => points::create(s, args),
        Command::List(args) => points::list(s, &args),
        Command::Show(args) => points::show(s, &args),
        Command::MarkGood(args) => points::mark(s, args, crate::engine::marks::Say::Good),
        Command::MarkBad(args) => points::mark(s, args, crate::engine::marks::Say::Bad),
        Command::Pin(args) => points::mark(s, args, crate::engine::marks::Say::Pin),
        Command::Unpin(args) => points::mark(s, args, crate::engine::marks::Say::Unpin),
        Command::Diff(args) => compare::diff(s, &args),
        Command::Restore(args) => restore::restore(s, args),
        Command::Export(args) => exchange::export(s, &args),
        Command::Import(args) => exchange::import(s, &args),
        Command::Undo(args) => restore::undo(s, &args),
        Command::Rollback(args) => restore::rollback(s, args),
        Command::Resume => restore::end(s, crate::engine::undo::Way::Resume),
        Command::Abort => restore::end(s, crate::engine::undo::Way::Abort),
        Command::Prune(args) => keep::prune(s, args),
        Command::Generations(args) => generations::run(s, args),
        Command::Config(args) => config::run(s, args),
        Command::Verify(args) => health::verify(s, &args),
        Command::Status => health::status(s),
        Command::Health(args) => wellness::health(s, &args),
        Command::Heal(args) => heal::heal(s, &args),
        Command::History(args) => history::history(s, &args),
        Command::Risk(args) => risk::risk(s, &args),
        Command::Learn(args) => learn::run(s, args),
        Command::Hook(hook) => hook::run(s, hook),
        Command::Demo(_)
        | Command::Policy(_)
        | Command::Completions { .. }
        | Command::Man { .. } => Ok(Exit::Ok),
    }
}
