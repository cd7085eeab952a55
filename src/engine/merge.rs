//! Merging a point's changes into the configuration that is there.
//!
//! What a merge arrives at depends on what is there, so it cannot be worked out
//! again half way. It is therefore stored as a point of its own, after the undo
//! point (which is "ours", held still) and before the journal. From then on a
//! merge is a restore of that point: resumed, aborted and undone as any other.

mod base;
mod three;

use std::path::{Path, PathBuf};

use super::diff::End;
use super::restore::{Goal, Plan};
use super::{Engine, EngineError, create};
use crate::plan::comparison::FileChange;
use crate::plan::merge::FileConflict;
use crate::point::PointId;
use crate::point::document::{self, Completeness, Config, Missing, Point, System, Trigger};
use crate::system::journal::Scope;
use crate::system::{fault, points};
use crate::vault::ComposeRequest;
use three::ThreeWay;

/// How to merge.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// What both sides started from, instead of the point before.
    pub base: Option<Point>,
    /// Write conflicts into the files rather than refuse them.
    pub allow_conflicts: bool,
}

/// A merge that was worked out.
pub struct Merge {
    /// How it was asked for.
    pub ask: Ask,
    /// The points that are the base, one for each root that has one.
    pub bases: Vec<PointId>,
    /// Files that need a person.
    pub conflicts: Vec<FileConflict>,
    /// What would change, from now on, with the texts.
    pub files: Vec<FileChange>,
}

/// Plans a merge of a point's configuration. Nothing is changed.
///
/// # Errors
/// A point without configuration, or without one before it; a named path that
/// is nowhere; a vault or files that cannot be read. Conflicts are no error
/// here.
pub fn plan(
    engine: &Engine<'_>,
    theirs: Point,
    scope: &Scope,
    ask: Ask,
) -> Result<Plan, EngineError> {
    let stores = engine.stores()?;
    let three = ThreeWay::new(engine, &stores, &theirs, &End::Now, scope, &ask)?;
    if let Some(path) = three.unmatched() {
        return Err(EngineError::NoSuchPath {
            point: theirs.id.short_among([]),
            path,
        });
    }
    let mut warnings = Vec::new();
    if engine.is_foreign(&theirs) {
        warnings.push(super::restore::foreign_warning(&theirs));
    }
    let merge = Merge {
        bases: three.bases.clone(),
        conflicts: three.conflicts()?,
        files: three.files()?,
        ask,
    };
    Ok(Plan {
        roots: three.roots(),
        goal: Goal::Point(Box::new(theirs)),
        scope: scope.clone(),
        system: None,
        fetch: None,
        boot_step: None,
        units: Vec::new(),
        emptied: Vec::new(),
        warnings,
        merge: Some(Box::new(merge)),
    })
}

/// Refuses conflicts that were not allowed.
///
/// # Errors
/// [`EngineError::Conflicts`].
pub fn check(plan: &Plan) -> Result<(), EngineError> {
    match &plan.merge {
        Some(merge) if !merge.ask.allow_conflicts => refuse(&plan.goal, &merge.conflicts),
        _ => Ok(()),
    }
}

fn refuse(goal: &Goal, conflicts: &[FileConflict]) -> Result<(), EngineError> {
    if conflicts.is_empty() {
        return Ok(());
    }
    Err(EngineError::Conflicts {
        point: goal.label(),
        found: conflicts.to_vec(),
    })
}

/// Turns the plan of a merge into that of a restore: merges with what the undo
/// point holds, and stores what comes of it as a point. Gives the number of
/// files with conflicts too. Other plans stay as they are.
pub(super) fn settle(
    engine: &Engine<'_>,
    mut plan: Plan,
    undo: &Point,
) -> Result<(Plan, usize), EngineError> {
    let Some(merge) = plan.merge.take() else {
        return Ok((plan, 0));
    };
    let Goal::Point(theirs) = &plan.goal else {
        return Ok((plan, 0));
    };
    let stores = engine.stores()?;
    let ours = End::Point(Box::new(undo.clone()));
    let three = ThreeWay::new(engine, &stores, theirs, &ours, &plan.scope, &merge.ask)?;
    let conflicts = three.conflicts()?;
    if !merge.ask.allow_conflicts {
        refuse(&plan.goal, &conflicts)?;
    }
    let goal = store(engine, &three, theirs, undo)?;
    plan.goal = Goal::Point(Box::new(goal));
    Ok((plan, conflicts.len()))
}

/// Stores what a merge arrives at as a point.
fn store(
    engine: &Engine<'_>,
    three: &ThreeWay<'_>,
    theirs: &Point,
    undo: &Point,
) -> Result<Point, EngineError> {
    let created = engine.clock.now();
    let id = engine.clock.new_id(created);
    points::begin(engine.layout, id)?;
    fault::point("merge.begun");
    let made = (|| {
        let entries = three.compose(created)?;
        let roots = three.goal_roots();
        let mut config = Config {
            roots,
            ..Config::default()
        };
        if !entries.is_empty() {
            let captured = three.vault().compose(&ComposeRequest {
                tag: id.to_string(),
                host: undo.host.clone(),
                time: created,
                entries,
            })?;
            config = Config {
                files: captured.files,
                bytes: captured.bytes,
                hash: captured.content_hash.unwrap_or_default(),
                tree: captured.tree,
                snapshot: captured.snapshot,
                ..config
            };
        }
        fault::point("merge.composed");
        let point = Point {
            version: document::VERSION,
            id,
            created,
            host: undo.host.clone(),
            machine_id: undo.machine_id.clone(),
            reason: format!("merge of {}", theirs.id.short_among([])),
            description: None,
            trigger: Trigger::Merge,
            tags: std::collections::BTreeSet::new(),
            userdata: std::collections::BTreeMap::new(),
            system: System::default(),
            health: None,
            issues: Vec::new(),
            config: Some(config),
            state: std::collections::BTreeMap::new(),
            markers: Vec::new(),
            pins: Vec::new(),
            known_good: false,
            completeness: Completeness::from_missing(three.missing.clone()),
            imported: None,
        };
        points::store(engine.layout, &point)?;
        fault::point("merge.documented");
        Ok(point)
    })();
    match made {
        Ok(point) => {
            points::end(engine.layout, id)?;
            Ok(point)
        }
        Err(error) => {
            // What cannot be cleaned away now is by the next run.
            let _ = create::discard(engine, three.stored(), id);
            Err(error)
        }
    }
}

/// What none of these points could capture, each path once.
fn missing_of<'p>(points: impl IntoIterator<Item = &'p Point>) -> Vec<Missing> {
    let mut all: Vec<Missing> = Vec::new();
    for missing in points.into_iter().flat_map(|p| p.completeness.missing()) {
        if !all.iter().any(|known| known.what == missing.what) {
            all.push(missing.clone());
        }
    }
    all
}

/// A logical path as one below `/`.
fn relative(path: &Path) -> PathBuf {
    path.strip_prefix("/").unwrap_or(path).to_owned()
}

/// A path below `/` as a logical one.
fn absolute(path: &Path) -> PathBuf {
    Path::new("/").join(path)
}
