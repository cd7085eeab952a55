//! The arguments of the verbs that let go, and of the parts on their own.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::ActivationArgs;
use crate::point::Selector;
use crate::point::policy::Keep;

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
        /// Bring copies out to DIR, which is empty or not there, and change nothing else
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with_all = ["merge", "keep_added"])]
        to: Option<PathBuf>,
        /// Put its changes since the point before on top of what is there now
        #[arg(long)]
        merge: bool,
        /// Merge the changes since this point instead
        #[arg(long, value_name = "ID", requires = "merge")]
        merge_base: Option<Selector>,
        /// Write conflicts into the files, between markers
        #[arg(long, requires = "merge")]
        allow_conflicts: bool,
    },
}
