//! The verbs, one function each: options in, engine, result out.

mod attempt;
mod cat;
mod compare;
mod config;
mod confirm;
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
mod remote;
mod restore;
mod risk;
mod schema;
mod shell;
mod takeout;
mod watch;
mod wellness;

use super::args::{Cli, Command, Hook};
use super::failure::Failure;
use super::session::{Session, output};
use super::{End, Exit};

/// Runs one verb.
///
/// # Errors
/// What is to be told, and which exit code it has.
pub(super) fn run(cli: Cli) -> Result<End, Failure> {
    Ok(match cli.command {
        Command::Schema { of } => schema::schema(&output(&cli.global), of)?.into(),
        Command::Completions { shell } => shell::completions(shell)?.into(),
        Command::Man { dir } => shell::man(&dir)?.into(),
        Command::Policy(args) => policy::run(cli.global, args)?.into(),
        Command::Demo(demo) => super::demo::run(&cli.global, &demo)?.into(),
        Command::Try(args) => attempt::attempt(&Session::open(cli.global)?, args)?,
        back if is_a_way_back(&back) => {
            run_here(&Session::open_for_a_way_back(cli.global)?, back)?.into()
        }
        other => run_here(&Session::open(cli.global)?, other)?.into(),
    })
}

/// What takes a machine back, or keeps it from being taken back.
const fn is_a_way_back(command: &Command) -> bool {
    matches!(
        command,
        Command::Undo(_)
            | Command::Rollback(_)
            | Command::Resume
            | Command::Abort
            | Command::Confirm(_)
            | Command::Revert(_)
            | Command::Hook(Hook::Watch { .. } | Hook::Boot)
    )
}

fn run_here(s: &Session, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Create(args) => points::create(s, args),
        Command::List(args) => points::list(s, args),
        Command::Show(args) => points::show(s, &args),
        Command::MarkGood(args) => points::mark(s, args, crate::engine::marks::Say::Good),
        Command::MarkBad(args) => points::mark(s, args, crate::engine::marks::Say::Bad),
        Command::Pin(args) => points::mark(s, args, crate::engine::marks::Say::Pin),
        Command::Unpin(args) => points::mark(s, args, crate::engine::marks::Say::Unpin),
        Command::Diff(args) => compare::diff(s, &args),
        Command::Restore(args) => restore::restore(s, args),
        Command::Export(args) => exchange::export(s, &args),
        Command::Import(args) => exchange::import(s, &args),
        Command::Remote(args) => remote::run(s, args),
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
        Command::Metrics(args) => watch::metrics(s, &args),
        Command::Report(args) => watch::report(s, &args),
        Command::Serve(args) => watch::serve(s, &args),
        Command::Hook(hook) => hook::run(s, hook),
        Command::Confirm(args) => confirm::confirm(s, &args),
        Command::Revert(args) => confirm::revert(s, &args),
        Command::Demo(_)
        | Command::Try(_)
        | Command::Policy(_)
        | Command::Schema { .. }
        | Command::Completions { .. }
        | Command::Man { .. } => Ok(Exit::Ok),
    }
}
