//! The arguments of the verbs that bring a point back, or carry one elsewhere.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::RemoteArgs;
use crate::point::Selector;

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
    /// Another machine's hardware-configuration.nix too, in the place of this one's
    #[arg(long)]
    pub hardware: bool,
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
    /// A point that the machine NAME took, from a remote [default: its newest]
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Which remote
    #[command(flatten)]
    pub remote: RemoteArgs,
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
