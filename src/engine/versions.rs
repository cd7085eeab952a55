//! Versions of the programs that own state: what is written in the state, and
//! what their own commands say.
//!
//! Going back to older programs does not take the migrations of their data
//! back, and the other way round: data of another release may not be opened by
//! the program that comes with it. So whoever brings back one of the two and
//! not the other is told first.

use std::cmp::Ordering;
use std::path::Path;

use super::apply::{Part, RootPlan};
use super::quiet::{self, call};
use super::restore::Goal;
use super::state::Source;
use super::{Engine, EngineError, Stores};
use crate::nix::store_path::StorePath;
use crate::nix::version::compare_versions;
use crate::point::Point;
use crate::point::document::Marker;
use crate::point::path::printable;
use crate::point::policy::VersionChange;
use crate::system::journal::Scope;
use crate::system::{pointers, tree};
use crate::vault::{Entry, EntryKind};

/// Files that name the format of what they lie beside. Their programs write
/// them themselves, and refuse or migrate by them.
const MARKERS: &[&str] = &[
    "PG_VERSION",                                  // PostgreSQL
    "mysql_upgrade_info",                          // MySQL, MariaDB before 10.11
    "mariadb_upgrade_info",                        // MariaDB
    ".HA_VERSION",                                 // Home Assistant
    "jenkins.install.InstallUtil.lastExecVersion", // Jenkins
];

/// Longest marker that is read, in bytes.
const MAX_BYTES: u64 = 256;

/// Most folders at the top of a set that are searched for markers, and most
/// markers that a point holds.
const MANY: usize = 64;

/// What a set's version command says now; `None` where it has none, or where
/// commands of the policy are not to be run.
///
/// # Errors
/// Why it said nothing, in a line.
pub(super) fn asked(engine: &Engine<'_>, source: &Source) -> Result<Option<String>, String> {
    let Some(command) = source.version.as_ref().filter(|_| quiet::is_live(engine)) else {
        return Ok(None);
    };
    let call = call(command).limit(source.timeout).yields();
    let ended = engine.runner.check(&call);
    let ended = ended.map_err(|e| format!("its version is not known: {e}"))?;
    match first_line(&ended.stdout) {
        Some(line) => Ok(Some(line)),
        None => Err(format!(
            "its version is not known: `{}` printed nothing",
            call.line()
        )),
    }
}

/// The first line that says something.
fn first_line(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().filter(|c| !c.is_control()).take(200).collect())
}

/// All markers at the top of the policy's state sets, or in a folder there.
pub(super) fn markers(engine: &Engine<'_>) -> Vec<Marker> {
    let mut found: Vec<Marker> = Vec::new();
    for path in engine.policy.state.values().flat_map(|set| &set.paths) {
        // What cannot be looked at is found out when it is captured.
        let Ok(path) = engine.layout.resolve(path) else {
            continue;
        };
        let real = engine.layout.real(&path);
        let folders = tree::folders(&real, MANY).into_iter();
        let folders = folders.map(|name| path.join(name));
        for folder in [path.clone()].into_iter().chain(folders) {
            found.extend(MARKERS.iter().filter_map(|name| {
                let path = folder.join(name);
                let says = said_now(engine, &path)?;
                let path = path.into();
                Some(Marker { path, says })
            }));
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup();
    found.truncate(MANY);
    found
}

fn said_now(engine: &Engine<'_>, path: &Path) -> Option<String> {
    let text = tree::read_small(&engine.layout.real(path), MAX_BYTES).ok()??;
    first_line(&text)
}

/// What a restore would leave to a program of another version.
#[derive(Debug, Default)]
pub(super) struct Mismatches {
    /// One line each.
    pub(super) warnings: Vec<String>,
    /// Those that the policy does not allow.
    pub(super) refused: Vec<String>,
}

impl Mismatches {
    fn say(&mut self, engine: &Engine<'_>, set: &str, what: String) {
        let policy = engine.policy.state.get(set);
        if policy.is_some_and(|set| set.version_change == VersionChange::Refuse) {
            self.refused.push(what.clone());
        }
        self.warnings.push(what);
    }
}

/// Finds what a restore of this goal would leave to a program of another
/// version: state without its system, or a system without its state. `moves`
/// says whether the system changes at all.
pub(super) fn mismatches(
    engine: &Engine<'_>,
    stores: Option<&Stores>,
    goal: &Goal,
    moves: bool,
    scope: &Scope,
    roots: &[RootPlan],
) -> Result<Mismatches, EngineError> {
    let mut found = Mismatches::default();
    let running = pointers::current(engine.layout);
    let system = goal.system(scope.stand_in.as_ref());
    let target = system
        .run_target()
        .filter(|target| moves && Some(*target) != running.as_ref());
    if target.is_none()
        && let (Some(point), Some(stores)) = (goal.point(), stores)
    {
        // The program stays, and so it does where the point was taken of the
        // same system.
        if running.is_none() || point.system.current != running {
            let changed = |set: &&String| super::restore::changes(roots, set);
            for set in scope.state.iter().filter(changed) {
                said_by_command(engine, point, set, &mut found);
            }
        }
        said_by_files(engine, stores, roots, &mut found)?;
    }
    if let Some(target) = target {
        left_behind(engine, goal, target, scope, &mut found)?;
    }
    Ok(found)
}

/// State comes back, its program stays: what its command said then and says
/// now.
fn said_by_command(engine: &Engine<'_>, point: &Point, set: &str, found: &mut Mismatches) {
    let Some(then) = point.state.get(set).and_then(|set| set.version.as_ref()) else {
        return;
    };
    let Some(source) = Source::of_policy(engine, set) else {
        return;
    };
    match asked(engine, &source) {
        Ok(Some(now)) if now != *then => {
            let may = match compare_versions(then, &now) {
                Ordering::Greater => "may not be able to open it",
                _ => "may migrate it",
            };
            found.say(
                engine,
                set,
                format!("state {set} is of {then}, and {now} is what runs now: it {may}"),
            );
        }
        Ok(_) => {}
        Err(why) => found.warnings.push(format!("state {set}: {why}")),
    }
}

/// The same, by the markers in it.
fn said_by_files(
    engine: &Engine<'_>,
    stores: &Stores,
    roots: &[RootPlan],
    found: &mut Mismatches,
) -> Result<(), EngineError> {
    for root in roots {
        let Part::State(set) = &root.part else {
            continue;
        };
        for change in &root.changes {
            let is_marker = |name: &&str| change.path.ends_with(name);
            let depth = change.path.components().count();
            if !(2..=3).contains(&depth) || !MARKERS.iter().any(is_marker) {
                continue;
            }
            let path = root.base.join(&change.path);
            let then = match root.entry(&change.path) {
                Some(entry) => stored(stores, entry)?,
                None => None,
            };
            let now = tree::read_small(&engine.layout.real(&path), MAX_BYTES)?;
            let now = now.as_deref().and_then(first_line);
            // Data that was not there, or is to go, is opened by no program.
            if let (Some(then), Some(now)) = (&then, &now)
                && then != now
            {
                let path = printable(&path);
                found.say(
                    engine,
                    set,
                    format!(
                        "{path} says {now} now and {then} in the point: the program that opens \
                         it must be of that release"
                    ),
                );
            }
        }
    }
    Ok(())
}

fn stored(stores: &Stores, entry: &Entry) -> Result<Option<String>, EngineError> {
    match entry.kind {
        EntryKind::File { size, .. } if size <= MAX_BYTES => {
            let mut text = Vec::new();
            stores.state()?.read(entry, &mut text)?;
            Ok(first_line(&text))
        }
        _ => Ok(None),
    }
}

/// The system changes and state stays: what the sets are now, and what they
/// were when that system was last seen to run.
fn left_behind(
    engine: &Engine<'_>,
    goal: &Goal,
    target: &StorePath,
    scope: &Scope,
    found: &mut Mismatches,
) -> Result<(), EngineError> {
    let stays = |name: &&String| !scope.state.contains(name);
    let sets: Vec<&String> = engine.policy.state.keys().filter(stays).collect();
    if sets.is_empty() {
        return Ok(());
    }
    let catalogue = engine.catalogue()?;
    let others = catalogue.points.iter().rev().map(|(point, _)| point);
    // The goal itself knows best; without it, the newest point of its system.
    let known: Vec<&Point> = goal
        .point()
        .into_iter()
        .chain(others)
        .filter(|point| point.system.current.as_ref() == Some(target))
        .collect();
    for set in sets {
        let Some(source) = Source::of_policy(engine, set) else {
            continue;
        };
        let paths: Vec<_> = source
            .paths
            .iter()
            .filter_map(|path| engine.layout.resolve(path).ok())
            .collect();
        let of_set = |m: &&Marker| paths.iter().any(|path| m.path.0.starts_with(path));
        let newest = known.iter().find(|p| p.markers.iter().any(|m| of_set(&m)));
        let markers = newest.map_or(&[][..], |point| &point.markers);
        for marker in markers.iter().filter(of_set) {
            let Some(now) = said_now(engine, &marker.path.0).filter(|now| *now != marker.says)
            else {
                continue;
            };
            let (path, then) = (&marker.path, &marker.says);
            found.say(
                engine,
                set,
                format!(
                    "{path} says {now} now and said {then} when {} ran: its program may not be \
                     able to open it",
                    target.name()
                ),
            );
        }
        let then = known
            .iter()
            .find_map(|point| point.state.get(set)?.version.as_ref());
        let Some(then) = then else { continue };
        match asked(engine, &source) {
            Ok(Some(now)) if now != *then => {
                let may = match compare_versions(&now, then) {
                    Ordering::Greater => "may not be able to open it",
                    _ => "may migrate it",
                };
                found.say(
                    engine,
                    set,
                    format!("state {set} stays as {now} has it, and {then} comes back: it {may}"),
                );
            }
            Ok(_) => {}
            Err(why) => found.warnings.push(format!("state {set}: {why}")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_says_something_counts() {
        let line = |text: &str| first_line(text.as_bytes());
        assert_eq!(line("\n  \n 16.4 \nmore\n").as_deref(), Some("16.4"));
        assert_eq!(line("8.0.35").as_deref(), Some("8.0.35"));
        assert_eq!(line("a\u{1b}[2Jb").as_deref(), Some("a[2Jb"));
        assert_eq!(line(" \n\n"), None);
    }
}
