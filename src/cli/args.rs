//! The arguments.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::point::document::Trigger;
use crate::point::event;
use crate::point::policy::Keep;
use crate::point::{PointId, Selector, Span};

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
    /// How many seconds to wait for another cairn
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
    /// What switches did, newest first, and what else happened
    History(History),
    /// How likely a switch is to fail, and why
    Risk(Risk),
    /// What was learned, and what other machines learned
    #[command(subcommand)]
    Learn(Learn),
    /// What the NixOS module's hooks and units run
    #[command(subcommand, hide = true)]
    Hook(Hook),
    /// Write, change, check or print the policy
    #[command(subcommand)]
    Policy(super::policy_args::Policy),
    /// See it all work in a temporary root
    Demo(Demo),
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

/// `create`
#[derive(Debug, Args)]
pub struct Create {
    /// Why, in one line
    #[arg(short, long, value_name = "TEXT", default_value = "by hand")]
    pub reason: String,
    /// More words
    #[arg(short, long, value_name = "TEXT")]
    pub description: Option<String>,
    /// What takes it: manual, schedule:NAME, pre-switch, boot, pre-heal, pre-restore, try
    #[arg(long, value_name = "TRIGGER", default_value = "manual")]
    pub trigger: Trigger,
    /// Label to list and prune by; may be repeated
    #[arg(short, long = "tag", value_name = "TAG", value_parser = tag)]
    pub tags: Vec<String>,
    /// Data that cairn carries but never reads; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub userdata: Vec<(String, String)>,
    /// Leave the configuration out
    #[arg(long)]
    pub no_config: bool,
    /// Only this state set of the policy; may be repeated
    #[arg(long, value_name = "SET", conflicts_with = "no_state")]
    pub state: Vec<String>,
    /// Leave state out
    #[arg(long)]
    pub no_state: bool,
    /// Pin it at once
    #[arg(long)]
    pub pin: bool,
}

/// `list`
#[derive(Debug, Args)]
pub struct List {
    /// Only points with this tag
    #[arg(short, long, value_name = "TAG")]
    pub tag: Option<String>,
    /// Only points taken by this trigger
    #[arg(long, value_name = "TRIGGER")]
    pub trigger: Option<Trigger>,
    /// Only the newest N
    #[arg(short = 'l', long, value_name = "N")]
    pub last: Option<usize>,
}

/// `show`
#[derive(Debug, Args)]
pub struct Show {
    /// The point
    #[arg(default_value = "latest")]
    pub point: Selector,
    /// Print this captured file, or what is in this folder
    #[arg(long, value_name = "PATH")]
    pub cat: Option<PathBuf>,
}

/// `diff`
#[derive(Debug, Args)]
pub struct Diff {
    /// The older side, or both as A..B
    #[arg(default_value = "latest")]
    pub from: String,
    /// The newer side [default: the machine as it is]
    pub to: Option<Selector>,
    /// Only these files or folders
    #[arg(last = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Count lines instead of showing them
    #[arg(long)]
    pub stat: bool,
}

/// `restore`
#[derive(Debug, Default, Args)]
pub struct Restore {
    /// The point [default: picked from a list on a terminal, else latest]
    pub point: Option<Selector>,
    /// Only these files or folders of its configuration and state
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Only one part
    #[arg(long, value_enum, value_name = "PART")]
    pub only: Option<Part>,
    /// Only this state set; may be repeated
    #[arg(long, value_name = "SET", conflicts_with = "no_state")]
    pub state: Vec<String>,
    /// Leave state as it is
    #[arg(long)]
    pub no_state: bool,
    /// Leave files alone that were added since
    #[arg(long)]
    pub keep_added: bool,
    /// Bring copies out to DIR, which is empty or not there, and change nothing else
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with_all = ["merge", "keep_added", "boot", "test"])]
    pub to: Option<PathBuf>,
    /// Put the configuration's changes since the point before on top of what is there now
    #[arg(long, conflicts_with_all = ["state", "boot", "test"])]
    pub merge: bool,
    /// Merge the changes since this point instead
    #[arg(long, value_name = "ID", requires = "merge")]
    pub merge_base: Option<Selector>,
    /// Write conflicts into the files, between markers
    #[arg(long, requires = "merge")]
    pub allow_conflicts: bool,
    /// How the system is activated
    #[command(flatten)]
    pub activation: ActivationArgs,
    /// Where a system comes from that is gone
    #[command(flatten)]
    pub fetch: FetchArgs,
    /// Build a system that is gone again, from the captured configuration
    #[arg(long, conflicts_with = "from")]
    pub rebuild: bool,
}

/// How a system is activated.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct ActivationArgs {
    /// Run the system from the next boot on, not now; with --root, tell the boot loader there of it
    #[arg(long, conflicts_with = "test")]
    pub boot: bool,
    /// Run the system now, but do not make it the boot default
    #[arg(long)]
    pub test: bool,
    /// Install the boot loader itself as well, not only its menu; with --root, implies --boot
    #[arg(long, conflicts_with = "test")]
    pub install_bootloader: bool,
}

/// Where a system comes from that is gone from the store.
#[derive(Clone, Debug, Default, Args)]
pub struct FetchArgs {
    /// Fetch a system that is gone from this Nix store, such as a binary cache; may be repeated
    /// [default: the policy's caches]
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub from: Vec<String>,
    /// Take what nobody trusted has signed
    #[arg(long)]
    pub no_check_sigs: bool,
}

/// A part of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The system
    Generation,
    /// The configuration files
    Config,
    /// The state sets
    State,
}

/// `export`
#[derive(Debug, Args)]
pub struct Export {
    /// The point
    pub point: Selector,
    /// The file to make; - is standard output
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// The system too, with all it needs
    #[arg(long)]
    pub closure: bool,
    /// Encrypt it with the password in FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub password_file: Option<PathBuf>,
}

/// `import`
#[derive(Debug, Args)]
pub struct Import {
    /// The file; - is standard input
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// The system in it too, into the store: only from somebody you trust
    #[arg(long)]
    pub closure: bool,
    /// The password it was encrypted with
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub password_file: Option<PathBuf>,
}

/// `undo`
#[derive(Debug, Args)]
pub struct Undo {
    /// The restore to reverse, by its point or its undo point [default: the last one]
    pub point: Option<Selector>,
    /// How the system is activated, if not as it was for the restore
    #[command(flatten)]
    pub activation: ActivationArgs,
}

/// `rollback`
#[derive(Debug, Args)]
pub struct Rollback {
    /// The point
    #[arg(default_value = "latest-good")]
    pub point: Selector,
    /// How the system is activated
    #[command(flatten)]
    pub activation: ActivationArgs,
    /// Where a system comes from that is gone
    #[command(flatten)]
    pub fetch: FetchArgs,
}

/// `try`
#[derive(Debug, Args)]
pub struct Try {
    /// Go back unless `cairn confirm` comes within TIME, such as 5min [default: the policy's
    /// gate.confirmTimeout]
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub confirm_timeout: Option<Span>,
    /// Capture this state set of the policy first, and take it back with the rest; may be repeated
    #[arg(long, value_name = "SET")]
    pub state: Vec<String>,
    /// Do not go back for the command's exit code alone
    #[arg(long)]
    pub may_fail: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// `confirm`, `revert`
#[derive(Debug, Args)]
pub struct Answer {
    /// The switch, by the start of its id or of its restore point's [default: the newest]
    pub id: Option<String>,
}

/// `mark-good`, `mark-bad`, `pin`, `unpin`
#[derive(Debug, Args)]
pub struct Mark {
    /// The point
    #[arg(default_value = "latest")]
    pub point: Selector,
    /// Why
    #[arg(short, long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// `prune`
#[derive(Debug, Args)]
pub struct Prune {
    /// Only one kind
    #[arg(long, value_enum, value_name = "KIND")]
    pub only: Option<Kind>,
    /// Rules for restore points, instead of the policy's; generations are left alone then
    #[command(flatten)]
    pub keep: KeepArgs,
}

/// What can be pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Restore points
    Points,
    /// Generations of the profile
    Generations,
}

/// Keep rules; with none, the policy's hold.
#[derive(Debug, Args)]
pub struct KeepArgs {
    /// Keep the newest N
    #[arg(long, value_name = "N")]
    pub keep_last: Option<u32>,
    /// Keep the newest of each of N hours
    #[arg(long, value_name = "N")]
    pub keep_hourly: Option<u32>,
    /// Keep the newest of each of N days
    #[arg(long, value_name = "N")]
    pub keep_daily: Option<u32>,
    /// Keep the newest of each of N weeks
    #[arg(long, value_name = "N")]
    pub keep_weekly: Option<u32>,
    /// Keep the newest of each of N months
    #[arg(long, value_name = "N")]
    pub keep_monthly: Option<u32>,
    /// Keep the newest of each of N years
    #[arg(long, value_name = "N")]
    pub keep_yearly: Option<u32>,
    /// Keep everything younger than DURATION, such as 1y2m3w4d5h
    #[arg(long, value_name = "DURATION")]
    pub keep_within: Option<String>,
    /// Keep everything with this tag; may be repeated
    #[arg(long = "keep-tag", value_name = "TAG")]
    pub keep_tags: Vec<String>,
}

impl KeepArgs {
    /// Whether no rule was given.
    pub fn is_empty(&self) -> bool {
        let Self {
            keep_last,
            keep_hourly,
            keep_daily,
            keep_weekly,
            keep_monthly,
            keep_yearly,
            keep_within,
            keep_tags,
        } = self;
        [
            keep_last,
            keep_hourly,
            keep_daily,
            keep_weekly,
            keep_monthly,
            keep_yearly,
        ]
        .iter()
        .all(|n| n.is_none())
            && keep_within.is_none()
            && keep_tags.is_empty()
    }

    /// The rules given, or the policy's when there are none.
    pub fn or(self, policy: &Keep) -> Keep {
        if self.is_empty() {
            return policy.clone();
        }
        Keep {
            keep_last: self.keep_last,
            keep_hourly: self.keep_hourly,
            keep_daily: self.keep_daily,
            keep_weekly: self.keep_weekly,
            keep_monthly: self.keep_monthly,
            keep_yearly: self.keep_yearly,
            keep_within: self.keep_within,
            min_age: None,
            keep_tags: self.keep_tags,
        }
    }
}

/// `generations`
#[derive(Debug, Subcommand)]
pub enum Generations {
    /// List the generations, newest first
    List,
    /// Show one generation
    Show {
        /// Its number [default: the profile's current one]
        number: Option<u64>,
    },
    /// Switch to a generation, by what it is, not by how far back it lies
    Switch {
        /// Its number
        number: u64,
        /// How the system is activated
        #[command(flatten)]
        activation: ActivationArgs,
    },
    /// Delete generations that no rule keeps
    Clean(KeepArgs),
}

/// `config`
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Capture the configuration now, then prune old points
    Backup {
        /// Why, in one line
        #[arg(
            short,
            long,
            value_name = "TEXT",
            default_value = "configuration backup"
        )]
        reason: String,
        /// Do not prune
        #[arg(long)]
        no_prune: bool,
    },
    /// List captured configurations, or the files of one
    List {
        /// The point whose files to list
        point: Option<Selector>,
    },
    /// Bring the configuration of a point back, or files of it
    Restore {
        /// The point
        #[arg(default_value = "latest")]
        point: Selector,
        /// Only these files or folders
        #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
        paths: Vec<PathBuf>,
        /// Leave files alone that were added since
        #[arg(long)]
        keep_added: bool,
    },
}

/// `health`
#[derive(Debug, Args)]
pub struct Health {
    /// Only these checks, commands, files or hosts
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Look again and again, until interrupted
    #[arg(
        long,
        value_name = "INTERVAL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2s"
    )]
    pub watch: Option<Span>,
}

/// `history`
#[derive(Debug, Args)]
pub struct History {
    /// Only the newest N
    #[arg(short = 'l', long, value_name = "N")]
    pub last: Option<usize>,
    /// What to list: switch, point, verdict, rollback, restore, boot, heal, or all; may be repeated
    #[arg(short, long = "kind", value_name = "KIND", value_parser = kinds, default_value = "switch")]
    pub kinds: Vec<Kinds>,
}

/// A kind of event, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds {
    /// One kind.
    One(event::Kind),
    /// All.
    All,
}

/// `risk`
#[derive(Debug, Args)]
pub struct Risk {
    /// The system to switch to, or a link to it [default: the profile's]
    #[arg(value_name = "TOPLEVEL", value_hint = ValueHint::AnyPath)]
    pub toplevel: Option<PathBuf>,
    /// A command that builds the system: it prints its path, or makes ./result
    #[arg(last = true, value_name = "CMD", conflicts_with = "toplevel")]
    pub command: Vec<OsString>,
}

/// `learn`
#[derive(Debug, Subcommand)]
pub enum Learn {
    /// What helps against what, and what failed switches share
    Show,
    /// Write what was learned to a new file, for other machines
    Export {
        /// The file
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Take what another machine wrote; again and again is no harm
    Import {
        /// The file
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
}

/// `hook`
#[derive(Debug, Subcommand)]
pub enum Hook {
    /// Before a switch: take a restore point, start the watcher
    PreSwitch {
        /// The system switched to
        toplevel: PathBuf,
        /// `NIXOS_ACTION`
        action: String,
    },
    /// Watch one switch to its end
    Watch {
        /// Id of its record
        switch: PointId,
    },
    /// The running system was replaced: was it seen?
    Switched,
    /// The machine has booted
    Boot,
}

/// `verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// Read every stored byte: the only way to find a flipped bit
    #[arg(long)]
    pub read_data: bool,
    /// Compare systems with the hashes that Nix has of them
    #[arg(long)]
    pub store: bool,
    /// Repair what can be; what is damaged is moved aside, never deleted
    #[arg(long)]
    pub repair: bool,
}

/// `demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// Keep the temporary root and say where it is
    #[arg(long)]
    pub keep: bool,
}

fn span(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|e| format!("{e}"))?;
    match span.duration().is_zero() {
        true => Err("no time at all; write a span such as 30s".to_owned()),
        false => Ok(span),
    }
}

fn profile_name(text: &str) -> Result<String, String> {
    let ok = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    if text.is_empty() || text.starts_with('.') || !text.chars().all(ok) {
        return Err("a profile name has letters, digits and -_.+ only".to_owned());
    }
    Ok(text.to_owned())
}

fn kinds(text: &str) -> Result<Kinds, String> {
    if text == "all" {
        return Ok(Kinds::All);
    }
    event::Kind::named(text).map(Kinds::One).ok_or_else(|| {
        let known = event::Kind::ALL.map(event::Kind::as_str).join(", ");
        format!("a kind is one of {known}, or all")
    })
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
