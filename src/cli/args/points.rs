//! The arguments of the verbs that take and show points.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::RemoteArgs;
use super::{key_value, tag};
use crate::point::document::Trigger;
use crate::point::{Point, Selector};

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
#[derive(Debug, Default, Args)]
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
    /// As a graph: what each came from, and what was left behind by going back
    #[arg(short, long, conflicts_with_all = ["remote", "url", "host", "all_hosts"])]
    pub graph: bool,
    /// The points on a remote
    #[command(flatten)]
    pub remote: RemoteArgs,
    /// Of this machine, on a remote
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Of all machines, on a remote
    #[arg(long, conflicts_with = "host")]
    pub all_hosts: bool,
}

impl List {
    /// Whether its options let a point pass.
    pub fn wants(&self, point: &Point) -> bool {
        let tag = |tag: &String| point.tags.contains(tag);
        let trigger = |trigger: &Trigger| point.trigger == *trigger;
        self.tag.as_ref().is_none_or(tag) && self.trigger.as_ref().is_none_or(trigger)
    }

    /// Takes the newest that are wanted of points, oldest first.
    pub fn newest<T>(&self, points: &mut Vec<T>) {
        let most = self.last.unwrap_or(usize::MAX);
        points.drain(..points.len().saturating_sub(most));
    }
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
