//! The arguments of the verbs that look at the machine, and of its hooks.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use crate::heal::Wanted;
use crate::point::{PointId, Span, event};

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
    /// Keep what was seen as a sample in the history: forecasts are made of them
    #[arg(long, conflicts_with = "names")]
    pub record: bool,
}

/// `heal`
#[derive(Debug, Args)]
pub struct Heal {
    /// Only this issue, at once and whatever was tried before; may be repeated
    #[arg(long = "issue", value_name = "KIND[:SUBJECT]")]
    pub issues: Vec<Wanted>,
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

fn kinds(text: &str) -> Result<Kinds, String> {
    if text == "all" {
        return Ok(Kinds::All);
    }
    event::Kind::named(text).map(Kinds::One).ok_or_else(|| {
        let known = event::Kind::ALL.map(event::Kind::as_str).join(", ");
        format!("a kind is one of {known}, or all")
    })
}
