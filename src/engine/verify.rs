//! Checking that every point could come back.

use std::collections::BTreeSet;

use serde::Serialize;

use super::progress::Task;
use super::repair::{self, Repaired, known};
use super::{Engine, EngineError, store_check};
use crate::plan::humane::were;
use crate::point::{Point, PointId};
use crate::system::points::Catalogue;
use crate::system::{journal, pins, points, store};
use crate::vault::Vault;

/// What to look at, and whether to repair.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Read every stored byte.
    pub read_data: bool,
    /// Compare systems with the hashes that Nix has of them.
    pub store: bool,
    /// Repair what can be, before looking.
    pub repair: bool,
}

/// What was found. Nothing is ever changed by looking.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Points looked at.
    pub points: usize,
    /// Snapshots looked at.
    pub snapshots: usize,
    /// Whether every stored byte was read.
    pub read_data: bool,
    /// Store paths that were compared with their hashes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_paths: Option<usize>,
    /// Whether what could be was repaired first: a problem is a loss then.
    pub repair: bool,
    /// What was repaired.
    pub repaired: Vec<Repaired>,
    /// What is wrong, one line each.
    pub problems: Vec<Problem>,
    /// Harmless things worth knowing.
    pub notes: Vec<String>,
}

/// One thing that is wrong.
#[derive(Debug, Serialize)]
pub struct Problem {
    /// The point it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub point: Option<PointId>,
    /// What is wrong.
    pub what: String,
}

/// Checks documents, roots, systems and the vault.
///
/// # Errors
/// When the state directory or the vault cannot be opened at all; when a repair
/// cannot be made.
pub fn verify(engine: &Engine<'_>, options: Options) -> Result<Report, EngineError> {
    let repaired = match options.repair {
        true => repair::repair(engine, options.read_data)?,
        false => Vec::new(),
    };
    let _lock = engine.lock_to_read()?;
    let catalogue = engine.catalogue()?;
    let mut report = Report {
        points: catalogue.points.len(),
        read_data: options.read_data,
        repair: options.repair,
        repaired,
        ..Report::default()
    };
    let mut problem = |point: Option<PointId>, what: String| {
        report.problems.push(Problem { point, what });
    };
    for damaged in &catalogue.damaged {
        problem(
            damaged.id,
            format!("{}: {}", damaged.file.to_string_lossy(), damaged.why),
        );
    }
    for (path, why) in journal::unreadable(engine.layout)? {
        problem(
            None,
            format!("the journal {} cannot be read: {why}", path.display()),
        );
    }
    let known = known(&catalogue);
    let roots = pins::roots(engine.layout)?;
    for (point, _) in &catalogue.points {
        // What came without its system never had it here.
        let without = point.imported.is_some() && point.pins.is_empty();
        if let Some(target) = point.system.target()
            && !without
            && !store::is_valid(engine.layout, target)?
        {
            problem(
                Some(point.id),
                format!(
                    "its system is gone from the store: {}",
                    target.to_absolute_path()
                ),
            );
        }
        for pin in &point.pins {
            let name = pin.link.as_path().file_name();
            let held = roots.iter().find(|r| r.link.file_name() == name);
            match held {
                None => problem(Some(point.id), format!("the root {} is gone", pin.link)),
                Some(root) if root.target.as_ref() != Some(&pin.path) => {
                    problem(
                        Some(point.id),
                        format!("the root {} leads elsewhere", pin.link),
                    );
                }
                Some(_) => {}
            }
        }
        let missing = point.completeness.missing();
        if !missing.is_empty() {
            report.notes.push(format!(
                "{} is partial: {} not captured",
                point.id.short_among([]),
                were(missing.len())
            ));
        }
    }
    if options.store {
        let (paths, bad) = store_check::check(engine, &catalogue)?;
        report.store_paths = Some(paths);
        report.problems.extend(bad);
    }
    if let Some(vault) = engine.existing_vault()? {
        let inflight = points::inflight(engine.layout)?;
        let of_config = |p: &Point| named(p.config.as_ref().and_then(|c| c.snapshot()));
        let of_state = |p: &Point| {
            let sets = p.state.iter();
            sets.filter_map(|(name, set)| Some((format!("state {name}"), set.snapshot()?.into())))
                .collect()
        };
        let mut look = Look {
            engine,
            catalogue: &catalogue,
            known: &known,
            inflight: &inflight,
            report: &mut report,
        };
        look.at(vault.config(), &of_config)?;
        match vault.existing_state()? {
            Some(state) => look.at(&state, &of_state)?,
            None => look.gone(&BTreeSet::new(), &of_state),
        }
    }
    for root in roots {
        if root.owner.is_none_or(|id| !known.contains(&id)) {
            report.notes.push(format!(
                "root {} belongs to no restore point",
                root.link.display()
            ));
        }
    }
    Ok(report)
}

/// What a point holds in a repository: how it is called, and its snapshot.
type Held = Vec<(String, String)>;

fn named(snapshot: Option<&str>) -> Held {
    let configuration = |id: &str| ("configuration".to_owned(), id.to_owned());
    snapshot.map(configuration).into_iter().collect()
}

/// Looking at the repositories, one after the other.
struct Look<'a> {
    engine: &'a Engine<'a>,
    catalogue: &'a Catalogue,
    known: &'a BTreeSet<PointId>,
    inflight: &'a [PointId],
    report: &'a mut Report,
}

impl Look<'_> {
    /// Damage that hides one repository does not hide the other.
    fn at(&mut self, vault: &dyn Vault, held: &dyn Fn(&Point) -> Held) -> Result<(), EngineError> {
        match self.into(vault, held) {
            Err(EngineError::Vault(error)) if error.is_damaged() => {
                let what = error.to_string();
                self.report.problems.push(Problem { point: None, what });
                Ok(())
            }
            other => other,
        }
    }

    fn into(
        &mut self,
        vault: &dyn Vault,
        held: &dyn Fn(&Point) -> Held,
    ) -> Result<(), EngineError> {
        let snapshots = vault.snapshots()?;
        self.report.snapshots += snapshots.good.len();
        let stored = snapshots.good.iter().map(|s| s.id.as_str()).collect();
        self.gone(&stored, held);
        for snapshot in &snapshots.good {
            let owner: Option<PointId> = snapshot.tag.parse().ok();
            if owner.is_none_or(|id| !self.known.contains(&id) && !self.inflight.contains(&id)) {
                self.report.notes.push(format!(
                    "snapshot {} belongs to no restore point (tag {})",
                    snapshot.id.chars().take(12).collect::<String>(),
                    snapshot.tag
                ));
            }
        }
        // Without the data, what is read is an unknown part of it.
        let total = self.report.read_data.then(|| vault.size()).transpose()?;
        let going = self.engine.begin(&Task::Check, total);
        let check = vault.check(self.report.read_data)?;
        drop(going);
        let problem = |what| Problem { point: None, what };
        self.report
            .problems
            .extend(check.problems.into_iter().map(problem));
        self.report.notes.extend(check.notes);
        Ok(())
    }

    /// Tells what points hold that is not stored.
    fn gone(&mut self, stored: &BTreeSet<&str>, held: &dyn Fn(&Point) -> Held) {
        for (point, marks) in &self.catalogue.points {
            for (what, snapshot) in held(point) {
                if !stored.contains(snapshot.as_str()) {
                    self.report.problems.push(Problem {
                        point: Some(point.id),
                        what: match &marks.damaged {
                            None => format!("its {what} is gone from the vault"),
                            Some(_) => format!("its {what} is lost"),
                        },
                    });
                }
            }
        }
    }
}
