//! The arguments of `policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::args::KeepArgs;

/// `policy`
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Write a policy to start from; never over a file that is there
    Init(FileArg),
    /// Print the policy in force, with what it leaves to the defaults
    Show,
    /// Add something to a policy file
    Add {
        /// The file to change
        #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, help = FILE_HELP)]
        file: Option<PathBuf>,
        /// What to add
        #[command(subcommand)]
        what: Add,
    },
    /// Remove something from a policy file
    Remove {
        /// The file to change
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help = FILE_HELP)]
        file: Option<PathBuf>,
        /// What kind of thing
        #[arg(value_enum)]
        kind: KindArg,
        /// Its name; the path itself for a path
        name: String,
    },
    /// Tell everything that is wrong with a policy file
    Check(CheckArg),
    /// Print the JSON Schema of policies
    Schema,
}

const FILE_HELP: &str = "The file to change [default: --policy, else cairn.json]";

/// A policy file, named in either way.
#[derive(Debug, Args)]
pub struct FileArg {
    /// The file [default: --policy, else cairn.json]
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// The file, as the other verbs name it
    #[arg(long = "file", value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "file", hide = true)]
    pub named: Option<PathBuf>,
}

/// A policy file to check, named in either way.
#[derive(Debug, Args)]
pub struct CheckArg {
    /// The file [default: --policy, else the policy in force, else cairn.json]
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// The file, as the other verbs name it
    #[arg(long = "file", value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "file", hide = true)]
    pub named: Option<PathBuf>,
}

/// `policy add`
#[derive(Debug, Subcommand)]
pub enum Add {
    /// A point that is taken without being asked for
    Point(Box<AddPoint>),
    /// State to capture beside the configuration
    State {
        /// The name of the set
        name: String,
        /// Files and folders
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<String>,
        /// Leave this below them out; may be repeated
        #[arg(long, value_name = "PATH")]
        exclude: Vec<String>,
        /// A systemd unit to stop meanwhile; may be repeated
        #[arg(long = "unit", value_name = "UNIT")]
        units: Vec<String>,
    },
    /// A command that tells whether the machine does its work
    Check {
        /// The name of the check
        name: String,
        /// Only tell when it fails
        #[arg(long)]
        wanted: bool,
        /// After this long it counts as failed
        #[arg(long, value_name = "SPAN")]
        timeout: Option<String>,
        /// Program and arguments; no shell reads them
        #[arg(last = true, required = true, value_name = "CMD")]
        command: Vec<String>,
    },
    /// A store path that is never collected
    Pin {
        /// The name of the pin
        name: String,
        /// A store path, the number of a generation, or a point
        what: String,
    },
    /// A file or folder of the configuration
    Path {
        /// The path
        path: String,
    },
    /// A place that copies of the points go to
    Remote {
        /// The name of the remote
        name: String,
        /// A path, rest:https://…, s3:… or sftp:…
        url: String,
        /// The file that holds the repository's password
        #[arg(long, value_name = "FILE")]
        password_file: Option<String>,
        /// When copies are sent, as systemd's OnCalendar has it
        #[arg(long, value_name = "WHEN")]
        schedule: Option<String>,
    },
}

/// `policy add point`
#[derive(Debug, Args)]
pub struct AddPoint {
    /// The name of the point
    pub name: String,
    /// When it is taken, as systemd's OnCalendar has it: daily, Mon 07:00
    #[arg(long, value_name = "WHEN", required_unless_present = "trigger")]
    pub schedule: Option<String>,
    /// What else makes it be taken
    #[arg(long, value_enum, conflicts_with = "schedule")]
    pub trigger: Option<WhenArg>,
    /// Why, in one line
    #[arg(short, long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Capture this state set, or * for all; may be repeated
    #[arg(long, value_name = "SET")]
    pub state: Vec<String>,
    /// Do not capture the configuration
    #[arg(long)]
    pub no_config: bool,
    /// Rules of its own
    #[command(flatten)]
    pub keep: KeepArgs,
}

/// What makes a point be taken.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum WhenArg {
    /// Before a switch
    #[value(alias = "preSwitch")]
    PreSwitch,
    /// After a boot
    Boot,
    /// Before a healing action
    #[value(alias = "preHeal")]
    PreHeal,
}

/// What a policy has several of.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum KindArg {
    /// A point
    Point,
    /// A state set
    State,
    /// A health check
    Check,
    /// A pinned store path
    Pin,
    /// A path of the configuration
    Path,
    /// A remote
    Remote,
}
