//! The arguments.

mod answer;
mod insight;
mod keep;
mod points;
mod remote;
mod restore;
mod watch;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

pub(super) use answer::{Answer, Try};
pub(super) use insight::{Demo, Heal, Health, History, Hook, Kinds, Learn, Risk, Verify};
pub(super) use keep::{Config, Generations, KeepArgs, Kind, Prune};
pub(super) use points::{Create, Diff, List, Mark, Show};
pub(super) use remote::{AddRemote, Remote, RemoteArgs};
pub(super) use restore::{
    ActivationArgs, Export, FetchArgs, Import, Part, Restore, Rollback, Undo,
};
pub(super) use watch::{Metrics, Report, Serve};

/// Restore points for NixOS: system, configuration and state together.
#[derive(Debug, Parser)]
#[command(
    name = "cairn",
    version,
    propagate_version = true,
    max_term_width = 80,
    arg_required_else_help = true
)]
#[command(after_help = "\
Points are named by the start of their id, latest, latest~N, latest-good,
booted or current.

Exit codes: 0 ok, 1 error, 2 usage, 3 partial, 10 no such point, 11 locked,
12 vault key, 20 unhealthy, 21 rolled back, 22 resume or abort an interrupted restore first, 130 interrupted
or declined.")]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Print versioned JSON instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Work on the system under DIR, such as a mounted disk
    #[arg(long, global = true, value_name = "DIR", default_value = "/", env = "CAIRN_ROOT", hide_env_values = true, value_hint = ValueHint::DirPath)]
    pub root: PathBuf,
    /// Where restore points live [default: the policy's, else /var/lib/cairn under the root, else
    /// the user's data folder]
    #[arg(long, global = true, value_name = "DIR", env = "CAIRN_STATE_DIR", hide_env_values = true, value_hint = ValueHint::DirPath)]
    pub state_dir: Option<PathBuf>,
    /// The policy [default: /etc/cairn/policy.json under the root]
    #[arg(long, global = true, value_name = "FILE", env = "CAIRN_POLICY", hide_env_values = true, value_hint = ValueHint::FilePath)]
    pub policy: Option<PathBuf>,
    /// The Nix profile
    #[arg(long, global = true, value_name = "NAME", default_value = "system", value_parser = profile_name)]
    pub profile: String,
    /// Show what would happen and change nothing
    #[arg(short = 'n', long, global = true)]
    pub dry_run: bool,
    /// Answer every question with yes
    #[arg(short = 'y', long, global = true)]
    pub yes: bool,
    /// Print only what was asked for
    #[arg(short = 'q', long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print more
    #[arg(short = 'v', long, global = true)]
    pub verbose: bool,
    /// How many seconds to wait for another cairn, or for a switch to end
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 60)]
    pub lock_timeout: u64,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take a restore point
    Create(Create),
    /// List restore points, newest first
    #[command(visible_alias = "ls")]
    List(List),
    /// Show one restore point
    Show(Show),
    /// Compare two restore points, or one with now
    Diff(Diff),
    /// Bring a restore point back, whole or in part
    Restore(Restore),
    /// Write one restore point into one file
    Export(Export),
    /// Take a restore point in from such a file
    Import(Import),
    /// Copies of restore points elsewhere
    #[command(subcommand)]
    Remote(Remote),
    /// Reverse the last restore
    Undo(Undo),
    /// Bring back only the system of a restore point
    Rollback(Rollback),
    /// Run a command; keep what it did, or take all of it back
    Try(Try),
    /// Keep a switch that awaits it
    Confirm(Answer),
    /// Take a switch back now
    Revert(Answer),
    /// Go on with an interrupted restore
    Resume,
    /// Take an interrupted restore back
    Abort,
    /// Say that a point's system works
    MarkGood(Mark),
    /// Say that a point's system does not work
    MarkBad(Mark),
    /// Keep a point whatever the retention rules say
    Pin(Mark),
    /// Let the retention rules have a point again
    Unpin(Mark),
    /// Remove restore points and generations that no rule keeps
    Prune(Prune),
    /// The generations of the system profile
    #[command(subcommand)]
    Generations(Generations),
    /// The configuration on its own
    #[command(subcommand)]
    Config(Config),
    /// Check that every restore point could come back
    Verify(Verify),
    /// One look at the machine and its restore points
    Status,
    /// Check how well the machine is
    Health(Health),
    /// Find what is wrong and heal it: try, look again, take back what did not help
    Heal(Heal),
    /// What switches did, newest first, and what else happened
    History(History),
    /// How likely a switch is to fail, and why
    Risk(Risk),
    /// What was learned, and what other machines learned
    #[command(subcommand)]
    Learn(Learn),
    /// The machine and its restore points in figures, as Prometheus reads them
    Metrics(Metrics),
    /// A page about the machine: what happened, how it is, what changed
    Report(Report),
    /// Serve that page, and the figures, on this machine alone
    Serve(Serve),
    /// What the NixOS module's hooks and units run
    #[command(subcommand, hide = true)]
    Hook(Hook),
    /// Write, change, check or print the policy
    #[command(subcommand)]
    Policy(super::policy_args::Policy),
    /// See it all work in a temporary root
    Demo(Demo),
    /// Print the JSON Schema of what cairn writes
    Schema {
        /// Of what
        #[arg(value_enum)]
        of: SchemaOf,
    },
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages into DIR
    Man {
        /// An existing folder
        #[arg(value_hint = ValueHint::DirPath)]
        dir: PathBuf,
    },
}

fn profile_name(text: &str) -> Result<String, String> {
    let ok = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    if text.is_empty() || text.starts_with('.') || !text.chars().all(ok) {
        return Err("a profile name has letters, digits and -_.+ only".to_owned());
    }
    Ok(text.to_owned())
}

fn tag(text: &str) -> Result<String, String> {
    let ok = |c: char| !c.is_whitespace() && !c.is_control() && c != ',';
    if text.is_empty() || text.len() > 64 || !text.chars().all(ok) {
        return Err("a tag has 1 to 64 characters, none of them white space or a comma".to_owned());
    }
    Ok(text.to_owned())
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("userdata is KEY=VALUE".to_owned()),
    }
}

/// What a JSON Schema is published of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// The policy
    Policy,
    /// A restore point's document
    Point,
    /// What was said of a point since
    Marks,
    /// The record of a switch
    Switch,
    /// What commands of the policy are told on their standard input
    Notice,
}
