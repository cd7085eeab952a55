//! Whether a policy of the right shape makes sense.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::locate::token;
use super::shape::Wrong;
use super::{Heal, Health, Keep, PointPolicy, Policy, Remote, StateSet, When, calendar};
use crate::point::address::Address;
use crate::point::health::KINDS;
use crate::point::near::hint;
use crate::point::{Span, within};

/// Where points live when no policy says.
const STATE_DIR: &str = "/var/lib/cairn";
const STORE: &str = "/nix/store";

/// Everything that makes no sense. `sets` are the state sets that were named,
/// well or badly.
pub(super) fn check(policy: &Policy, sets: &[&str]) -> Vec<Wrong> {
    let mut check = Check { wrong: Vec::new() };
    check.places(policy);
    check.keeps("/retention/points", &policy.retention.points);
    check.keeps("/retention/generations", &policy.retention.generations);
    check.each("/points", &policy.points, |check, at, point| {
        check.point(at, point, sets);
    });
    check.one_keep(&policy.points);
    check.each("/state", &policy.state, Check::set);
    check.not_zero("/preSwitch/timeout", policy.pre_switch.timeout);
    if let Some(timeout) = policy.gate.confirm_timeout {
        check.not_zero("/gate/confirmTimeout", timeout);
    }
    check.heal(&policy.heal);
    check.each("/health/checks", &policy.health.checks, |check, at, one| {
        check.command(&format!("{at}/command"), &one.command);
        check.not_zero(&format!("{at}/timeout"), one.timeout);
    });
    check.health(&policy.health);
    check.each(
        "/notify/commands",
        &policy.notify.commands,
        |check, at, one| {
            check.command(&format!("{at}/command"), &one.command);
            check.not_zero(&format!("{at}/timeout"), one.timeout);
        },
    );
    check.each("/remotes", &policy.remotes, Check::remote);
    for (n, url) in policy.caches.iter().enumerate() {
        let example = "\"https://cache.example.org\"";
        check.text(format!("/caches/{n}"), Some(url), example);
    }
    check.each("/pins", &policy.pins, |_, _, _| {});
    check.wrong
}

struct Check {
    wrong: Vec<Wrong>,
}

impl Check {
    fn say(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.wrong.push(Wrong::value(pointer, message));
    }

    fn each<T>(
        &mut self,
        pointer: &str,
        named: &BTreeMap<String, T>,
        one: impl Fn(&mut Self, &str, &T),
    ) {
        for (name, value) in named {
            let at = format!("{pointer}/{}", token(name));
            if !is_name(name) {
                let message = "this cannot be a name: letters, digits, - and _ only, a letter or \
                               digit first, 64 at most";
                self.wrong.push(Wrong::name(&at, message));
            }
            one(self, &at, value);
        }
    }

    fn places(&mut self, policy: &Policy) {
        let default = PathBuf::from(STATE_DIR);
        let state = policy.state_dir.as_ref().unwrap_or(&default);
        if self.path("/stateDir", state) && state.starts_with(STORE) {
            self.say("/stateDir", "nothing can be written in the store");
        }
        for (n, path) in policy.config_paths.iter().enumerate() {
            let at = format!("/configPaths/{n}");
            if !self.path(&at, path) {
                continue;
            }
            if path.starts_with(STORE) {
                self.say(&at, "it is in the store, where nothing can be restored to");
            }
            if path.starts_with(state) || state.starts_with(path) {
                self.overlap(&at, path, state, "");
            }
        }
        for (name, set) in &policy.state {
            for (n, path) in set.paths.iter().enumerate() {
                let left_out = set.exclude.iter().any(|e| state.starts_with(e));
                let above = state.starts_with(path) && !left_out;
                if is_plain(path) && (path.starts_with(state) || above) {
                    let at = format!("/state/{}/paths/{n}", token(name));
                    self.overlap(&at, path, state, ", or name it in exclude");
                }
            }
        }
    }

    fn overlap(&mut self, at: &str, path: &Path, state: &Path, or: &str) {
        self.say(
            at,
            format!(
                "{} and the state directory {} overlap, so points would hold points; move one \
                 out of the other{or}",
                path.display(),
                state.display()
            ),
        );
    }

    /// Whether a path can be used.
    fn path(&mut self, at: &str, path: &Path) -> bool {
        if !path.is_absolute() {
            let message = format!("'{}' is not an absolute path", path.display());
            self.say(at, message);
        } else if !is_plain(path) {
            self.say(
                at,
                format!("'{}' is not plain: no '.', '..' or NUL", path.display()),
            );
        }
        is_plain(path)
    }

    fn text(&mut self, at: String, text: Option<&String>, example: &str) {
        if text.is_some_and(|text| text.trim().is_empty()) {
            self.say(at, format!("it is empty; write one, such as {example}"));
        }
    }

    fn schedule(&mut self, at: String, schedule: Option<&String>) {
        if let Some(why) = schedule.and_then(|text| calendar::wrong(text)) {
            self.say(&at, why);
        }
        self.text(at, schedule, "\"daily\"");
    }

    fn not_zero(&mut self, at: &str, span: Span) {
        if span.duration().is_zero() {
            self.say(at, "no time at all; write a span such as 30s");
        }
    }

    fn health(&mut self, health: &Health) {
        for (n, dir) in health.dirs.iter().enumerate() {
            self.path(&format!("/health/dirs/{n}"), dir);
        }
        for (n, name) in health.resolve.iter().enumerate() {
            let example = "\"example.org\"";
            self.text(format!("/health/resolve/{n}"), Some(name), example);
        }
        for (n, host) in health.hosts.iter().enumerate().filter(|(_, h)| !is_host(h)) {
            self.say(
                format!("/health/hosts/{n}"),
                format!(
                    "'{host}' is no host and port, such as example.org:443 or [2001:db8::1]:22"
                ),
            );
        }
        for (n, name) in health.disabled.iter().enumerate() {
            let names: Vec<&str> = crate::point::health::NAMES.to_vec();
            if !names.contains(&name.as_str()) {
                self.say(
                    format!("/health/disabled/{n}"),
                    format!("unknown check \"{name}\", {}", hint(name, &names)),
                );
            }
        }
    }

    fn heal(&mut self, heal: &Heal) {
        self.not_zero("/heal/interval", heal.interval);
        self.not_zero("/heal/foresee", heal.foresee);
        for (n, pattern) in heal.ignore.iter().enumerate() {
            let kind = pattern.split(':').next().unwrap_or(pattern);
            if !kind.contains('*') && !KINDS.contains(&kind) {
                self.say(
                    format!("/heal/ignore/{n}"),
                    format!("unknown kind of issue \"{kind}\", {}", hint(kind, KINDS)),
                );
            }
        }
        for (n, action) in heal.destructive.iter().enumerate() {
            if heal.disabled.contains(action) {
                self.say(
                    format!("/heal/destructive/{n}"),
                    format!("{action} is in heal.disabled too; remove it from one of them"),
                );
            }
        }
    }

    fn command(&mut self, at: &str, command: &[String]) {
        if command.first().is_none_or(|program| program.is_empty()) {
            self.say(at, "the command is empty; name a program and its arguments");
        } else if command.iter().any(|word| word.contains('\0')) {
            self.say(at, "a NUL cannot be in a command");
        }
    }

    fn point(&mut self, at: &str, point: &PointPolicy, sets: &[&str]) {
        match (&point.schedule, point.trigger) {
            (None, When::Schedule) => self.say(
                at,
                "schedule is missing; say when, such as \"daily\", or name another trigger",
            ),
            (Some(_), When::Schedule) | (None, _) => {}
            (Some(_), _) => self.say(
                format!("{at}/schedule"),
                "only points with the trigger schedule have one; remove it, or the trigger",
            ),
        }
        if point.trigger == When::Schedule {
            self.schedule(format!("{at}/schedule"), point.schedule.as_ref());
        }
        self.text(
            format!("{at}/reason"),
            point.reason.as_ref(),
            "\"every night\"",
        );
        let named = point.capture.state.iter().flatten().enumerate();
        for (n, set) in named.filter(|(_, set)| *set != "*" && !sets.contains(&set.as_str())) {
            let hint = match sets {
                [] => "there are none".to_owned(),
                _ => hint(set, sets),
            };
            self.say(
                format!("{at}/capture/state/{n}"),
                format!("unknown state set \"{set}\", {hint}"),
            );
        }
        if let Some(keep) = &point.keep {
            self.keeps(&format!("{at}/keep"), keep);
        }
    }

    /// Points that are taken as one have one set of rules.
    fn one_keep(&mut self, points: &BTreeMap<String, PointPolicy>) {
        let mut seen: Vec<(When, &str)> = Vec::new();
        let own = points
            .iter()
            .filter(|(_, p)| p.keep.is_some() && p.trigger != When::Schedule);
        for (name, point) in own {
            match seen.iter().find(|(when, _)| *when == point.trigger) {
                Some((_, other)) => {
                    let message = format!(
                        "points of one trigger are taken as one, and {other} has rules already"
                    );
                    self.say(format!("/points/{}/keep", token(name)), message);
                }
                None => seen.push((point.trigger, name)),
            }
        }
    }

    fn keeps(&mut self, at: &str, keep: &Keep) {
        let spans = [("keepWithin", &keep.keep_within), ("minAge", &keep.min_age)];
        let mut bad = false;
        for (name, text) in spans {
            if let Some(Err(e)) = text.as_deref().map(within::parse_duration) {
                self.say(format!("{at}/{name}"), e.to_string());
                bad = true;
            }
        }
        if !bad && keep.keeps_nothing() {
            self.say(
                at,
                "no rule keeps anything, so everything would go; set one, such as keepLast",
            );
        }
    }

    fn set(&mut self, at: &str, set: &StateSet) {
        if set.paths.is_empty() {
            self.say(at, "it names no paths");
        }
        for (field, paths) in [("paths", &set.paths), ("exclude", &set.exclude)] {
            for (n, path) in paths.iter().enumerate() {
                self.path(&format!("{at}/{field}/{n}"), path);
            }
        }
        let commands = [
            ("before", &set.before),
            ("after", &set.after),
            ("version", &set.version),
        ];
        self.not_zero(&format!("{at}/timeout"), set.timeout);
        for (field, command) in commands {
            if let Some(command) = command {
                self.command(&format!("{at}/{field}"), command);
            }
        }
        for (n, unit) in set.units.iter().enumerate().filter(|(_, u)| !is_unit(u)) {
            self.say(
                format!("{at}/units/{n}"),
                format!("'{unit}' is not the name of a unit, such as postgresql.service"),
            );
        }
    }

    fn remote(&mut self, at: &str, remote: &Remote) {
        self.text(
            format!("{at}/url"),
            Some(&remote.url),
            "\"/mnt/disk/copies\"",
        );
        if let Err(error) = remote.url.parse::<Address>()
            && !remote.url.trim().is_empty()
        {
            self.say(format!("{at}/url"), error.to_string());
        }
        let files = [
            ("passwordFile", &remote.password_file),
            ("environmentFile", &remote.environment_file),
        ];
        for (field, file) in files {
            if let Some(file) = file {
                self.path(&format!("{at}/{field}"), file);
                if file.starts_with("/nix/store") {
                    let why = "everybody can read what is in the Nix store";
                    self.say(format!("{at}/{field}"), why);
                }
            }
        }
        if let Some(keep) = &remote.keep {
            self.keeps(&format!("{at}/keep"), keep);
        }
        self.text(
            format!("{at}/closures"),
            remote.closures.as_ref(),
            "\"file:///mnt/cache\"",
        );
        if let Some(age) = remote.max_age {
            self.not_zero(&format!("{at}/maxAge"), age);
        }
        for (field, schedule) in remote.schedules() {
            self.schedule(format!("{at}/{field}"), Some(schedule));
        }
    }
}

/// [`super::schema::NAME`], without a regular expression.
fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

/// [`super::schema::UNIT`], without a regular expression.
fn is_unit(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('-')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || r":_.\@-".contains(c))
}

/// [`super::schema::HOST`], without a regular expression; a port that is one.
fn is_host(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && !host.contains(char::is_whitespace)
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

fn is_plain(path: &Path) -> bool {
    let text = path.to_string_lossy();
    path.is_absolute()
        && !text.contains('\0')
        && !text.split('/').any(|part| part == "." || part == "..")
}
