//! What an action needs, found before anything is changed: what it will be
//! done to, and what will take it back.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::super::{Engine, EngineError, cat};
use crate::heal::Undo;
use crate::nix::imports;
use crate::nix::store_path::StorePath;
use crate::point::heal::Action;
use crate::point::{BytePath, Issue, PointId};
use crate::system::offender::{self, Offender};
use crate::system::{
    attempts, cleaning, governors, healing, known_good, pointers, services, tending,
};

/// A `CPUWeight` that is a fifth of what units have.
const SMALL_SHARE: &str = "20";

/// How long nobody may have changed a file that is brought back: who edits it
/// is not done yet.
const LEFT_ALONE: Duration = Duration::from_secs(600);

/// How many points are looked into for a file that parses.
const POINTS: usize = 50;

/// An action with all it needs.
pub(super) struct Prepared {
    /// What is done.
    pub(super) work: Work,
    /// What takes it back, but for what only the restore point can.
    back: Vec<Undo>,
}

/// What is done.
pub(super) enum Work {
    /// Forget that this unit failed.
    Forget(String),
    /// Restart these units, in this order.
    Restart(Vec<String>),
    /// Stop this unit.
    Stop(String),
    /// Give this unit a smaller share.
    Share(String, &'static str),
    /// Collect garbage.
    Garbage,
    /// Remove the oldest of the journal.
    Journal,
    /// Remove temporary files.
    Temporary,
    /// Set governors, by file.
    Governors(BTreeMap<String, String>),
    /// Bring these files back from a point.
    Files(PointId, Vec<BytePath>),
    /// Switch to this system.
    System(StorePath),
}

impl Prepared {
    fn new(work: Work) -> Self {
        Self {
            work,
            back: Vec::new(),
        }
    }

    /// What it is done to, in a few words.
    pub(super) fn on(&self) -> Option<String> {
        match &self.work {
            Work::Forget(unit) | Work::Stop(unit) | Work::Share(unit, _) => Some(unit.clone()),
            Work::Restart(units) => Some(units.join(", ")),
            Work::Files(point, paths) => {
                let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
                Some(format!(
                    "{} from {}",
                    paths.join(", "),
                    point.short_among([])
                ))
            }
            Work::System(path) => Some(path.name().to_owned()),
            Work::Governors(files) => {
                let governor = files.values().next().cloned().unwrap_or_default();
                Some(format!("{governor} on {} processors", files.len()))
            }
            Work::Garbage | Work::Journal | Work::Temporary => None,
        }
    }

    /// What takes it back, `point` being the one taken before.
    pub(super) fn undo(&self, point: Option<PointId>) -> Vec<Undo> {
        match (&self.work, point) {
            (Work::Files(_, paths), Some(point)) => vec![Undo::Files {
                point,
                paths: paths.clone(),
            }],
            (Work::System(_), Some(point)) => vec![Undo::System { point }],
            _ => self.back.clone(),
        }
    }
}

/// Finds what an action needs. Nothing is changed.
///
/// # Errors
/// What is lacking, in one line: the action is passed over then.
pub(super) fn prepare(
    engine: &Engine<'_>,
    issue: &Issue,
    action: Action,
    asked: bool,
) -> Result<Prepared, String> {
    match action {
        Action::ResetFailed => forget(engine, &unit_of(issue)?),
        Action::RestartUnit => match issue {
            Issue::ServiceDown(unit) => restart(engine, unit, true, false),
            _ => restart(engine, &offender_of(engine, issue)?.unit, false, false),
        },
        Action::RestartDependencies => restart(engine, &unit_of(issue)?, true, true),
        Action::CollectGarbage => {
            on_filesystem(engine, issue, &["/nix/store"]).map(|_| Prepared::new(Work::Garbage))
        }
        Action::VacuumJournal => journal(engine, issue),
        Action::CleanTemporaryFiles => temporary(engine, issue),
        Action::ReniceUnit => renice(engine, issue),
        Action::StopUnit => stop(engine, issue),
        Action::SetGovernor => governor(engine, issue),
        Action::RestoreConfiguration => configuration(engine, issue, asked),
        Action::RestartNetwork => network(engine),
        Action::RollBack => roll_back(engine),
    }
}

fn unit_of(issue: &Issue) -> Result<String, String> {
    match issue {
        Issue::ServiceDown(unit) => Ok(unit.clone()),
        _ => Err("it is about no unit".to_owned()),
    }
}

fn offender_of(engine: &Engine<'_>, issue: &Issue) -> Result<Offender, String> {
    let found = match issue {
        Issue::MemoryHigh => offender::of_memory(engine.layout),
        _ => offender::of_processors(engine.layout),
    };
    found.ok_or_else(|| "no one service takes most of it".to_owned())
}

fn know(engine: &Engine<'_>, unit: &str) -> Result<tending::Known, String> {
    tending::know(engine.runner, unit).map_err(|error| error.to_string())
}

/// Units that run, of those that a stop of the unit hits, and the unit itself.
fn running(engine: &Engine<'_>, unit: &str, known: &tending::Known) -> Result<Vec<String>, String> {
    let mut units = vec![unit.to_owned()];
    let other = |name: &&String| !name.ends_with(".target") && !name.ends_with(".slice");
    units.extend(known.hits.iter().filter(other).cloned());
    services::running(engine.runner, &units).map_err(|error| error.to_string())
}

fn forget(engine: &Engine<'_>, unit: &str) -> Result<Prepared, String> {
    match know(engine, unit)?.there {
        true => Err("the unit is there: it is to run again, not to be forgotten".to_owned()),
        false => Ok(Prepared::new(Work::Forget(unit.to_owned()))),
    }
}

/// Restarts a unit, `is_down` or not, perhaps with what it needs.
fn restart(
    engine: &Engine<'_>,
    unit: &str,
    is_down: bool,
    with_needs: bool,
) -> Result<Prepared, String> {
    let known = know(engine, unit)?;
    if !known.there {
        return Err("the unit is gone from the system".to_owned());
    }
    if !known.by_hand {
        return Err("the unit refuses to be started by hand".to_owned());
    }
    let mut units = Vec::new();
    let mut ran = running(engine, unit, &known)?;
    if is_down {
        // Between two crashes it may look as if it ran.
        ran.retain(|one| one != unit);
    }
    let mut idle = Vec::new();
    for need in known.needs.iter().filter(|_| with_needs) {
        let is_plain = (need.ends_with(".service") || need.ends_with(".socket"))
            && !need.starts_with("systemd-")
            && !need.starts_with("dbus");
        if !is_plain {
            continue;
        }
        let needed = know(engine, need)?;
        if !needed.there || !needed.by_hand {
            continue;
        }
        units.push(need.clone());
        for one in running(engine, need, &needed)? {
            if !ran.contains(&one) {
                ran.push(one);
            }
        }
        if !ran.contains(need) && needed.state == "inactive" {
            idle.push(need.clone());
        }
    }
    if with_needs && units.is_empty() {
        return Err("the unit needs no other that could be restarted".to_owned());
    }
    units.push(unit.to_owned());
    let mut back = Vec::new();
    if !idle.is_empty() {
        back.push(Undo::Stop(idle));
    }
    if !ran.is_empty() {
        back.push(Undo::Start(ran));
    }
    let work = Work::Restart(units);
    Ok(Prepared { work, back })
}

fn renice(engine: &Engine<'_>, issue: &Issue) -> Result<Prepared, String> {
    let unit = offender_of(engine, issue)?.unit;
    let known = know(engine, &unit)?;
    if known.weight == SMALL_SHARE {
        return Err(format!("{unit} has a small share already"));
    }
    let back = vec![Undo::Share {
        unit: unit.clone(),
        weight: known.weight,
    }];
    let work = Work::Share(unit, SMALL_SHARE);
    Ok(Prepared { work, back })
}

fn stop(engine: &Engine<'_>, issue: &Issue) -> Result<Prepared, String> {
    let unit = offender_of(engine, issue)?.unit;
    let known = know(engine, &unit)?;
    if !known.there || !known.by_hand {
        return Err(format!("{unit} could not be started again by hand"));
    }
    let back = vec![Undo::Start(running(engine, &unit, &known)?)];
    let work = Work::Stop(unit);
    Ok(Prepared { work, back })
}

fn network(engine: &Engine<'_>) -> Result<Prepared, String> {
    let units = tending::network(engine.runner).map_err(|error| error.to_string())?;
    if units.is_empty() {
        return Err("systemd knows no unit that makes the network".to_owned());
    }
    let ran = units.iter().filter(|(_, runs)| *runs);
    let back = vec![Undo::Start(ran.map(|(unit, _)| unit.clone()).collect())];
    let work = Work::Restart(units.into_iter().map(|(unit, _)| unit).collect());
    Ok(Prepared { work, back })
}

/// The first of these folders on the filesystem that is full.
fn on_filesystem<'p>(
    engine: &Engine<'_>,
    issue: &Issue,
    folders: &[&'p str],
) -> Result<&'p str, String> {
    let full = issue.subject().unwrap_or("/");
    cleaning::first_on(engine.layout, full, folders)
        .ok_or_else(|| format!("{} is on another filesystem", folders.join(" or ")))
}

fn journal(engine: &Engine<'_>, issue: &Issue) -> Result<Prepared, String> {
    on_filesystem(engine, issue, &["/var/log/journal", "/run/log/journal"])?;
    match cleaning::journal_to_spare(engine.runner) {
        Ok(Some(_)) => Ok(Prepared::new(Work::Journal)),
        Ok(None) => Err("the journal takes too little to matter".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn temporary(engine: &Engine<'_>, issue: &Issue) -> Result<Prepared, String> {
    // In memory, they are what takes it.
    if *issue == Issue::MemoryHigh {
        return match cleaning::share_a_filesystem(engine.layout, "/tmp", "/") {
            true => Err("/tmp is not in memory".to_owned()),
            false => Ok(Prepared::new(Work::Temporary)),
        };
    }
    on_filesystem(engine, issue, &["/tmp", "/var/tmp"]).map(|_| Prepared::new(Work::Temporary))
}

fn governor(engine: &Engine<'_>, issue: &Issue) -> Result<Prepared, String> {
    let wanted = match issue {
        Issue::TemperatureHigh(_) => "powersave",
        _ => "performance",
    };
    let was = governors::others_than(engine.layout, wanted);
    if was.is_empty() {
        return Err(format!(
            "no processor could have the governor {wanted} instead"
        ));
    }
    let set = was.keys().map(|file| (file.clone(), wanted.to_owned()));
    let work = Work::Governors(set.collect());
    let back = vec![Undo::Governors(was)];
    Ok(Prepared { work, back })
}

fn configuration(engine: &Engine<'_>, issue: &Issue, asked: bool) -> Result<Prepared, String> {
    let Issue::ConfigInvalid(path) = issue else {
        return Err("it is about no file".to_owned());
    };
    let path = Path::new(path);
    let left_alone = healing::untouched_for(&engine.layout.real(path));
    if !asked && left_alone.is_none_or(|since| since < LEFT_ALONE) {
        return Err("somebody changed it within the last ten minutes".to_owned());
    }
    let catalogue = engine.catalogue().map_err(|error| error.to_string())?;
    let newest = catalogue.points.iter().rev().map(|(point, _)| point);
    for point in newest
        .filter(|point| point.config.is_some() && !engine.is_foreign(point))
        .take(POINTS)
    {
        if parses_in(engine, point, path).unwrap_or(false) {
            let paths = vec![BytePath(path.to_owned())];
            return Ok(Prepared::new(Work::Files(point.id, paths)));
        }
    }
    Err("there is no restore point in which it parses".to_owned())
}

fn parses_in(
    engine: &Engine<'_>,
    point: &crate::point::Point,
    path: &Path,
) -> Result<bool, EngineError> {
    let found = cat::find(engine, point, path)?;
    if found.entry.is_none() {
        return Ok(false);
    }
    let mut bytes = Vec::new();
    found.read(&mut bytes)?;
    let text = String::from_utf8(bytes).ok();
    Ok(text.is_some_and(|text| imports::scan(&text).errors.is_empty()))
}

fn roll_back(engine: &Engine<'_>) -> Result<Prepared, String> {
    let text = |error: crate::system::IoError| error.to_string();
    let running = pointers::current(engine.layout);
    let given_up = attempts::given_up(engine.layout).map_err(text)?;
    let good = known_good::newest_first(engine.layout).map_err(text)?;
    let to = good
        .into_iter()
        .find(|path| Some(path) != running.as_ref() && !given_up.contains(path));
    match to {
        Some(path) => Ok(Prepared::new(Work::System(path))),
        None => Err("no other system is known-good".to_owned()),
    }
}
