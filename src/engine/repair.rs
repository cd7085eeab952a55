//! Repairing what can be. What is damaged is moved aside and the rest goes on
//! without it: damage of one point never blocks the others. What is lost is
//! noted in the marks of the points that lost it; they stay listed.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use super::{Engine, EngineError, anew, create};
use crate::point::marks::Note;
use crate::point::{Marks, Point, PointId};
use crate::system::lock::Mode;
use crate::system::points::{Catalogue, Fault};
use crate::system::{aside, journal, pins, points, store};
use crate::vault::{Vault, VaultDir};

/// One thing that was repaired.
#[derive(Debug, Serialize)]
pub struct Repaired {
    /// The point it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub point: Option<PointId>,
    /// What was wrong, and what became of it.
    pub what: String,
}

/// Repairs documents, roots and the vault.
///
/// # Errors
/// No lock; an unfinished restore, which is to end first; a vault that cannot
/// be opened; what cannot be moved or written.
pub(super) fn repair(engine: &Engine<'_>, read_data: bool) -> Result<Vec<Repaired>, EngineError> {
    let lock = engine.lock(Mode::Exclusive)?;
    let mut repair = Repair {
        engine,
        done: Vec::new(),
    };
    for what in set_journals_aside(engine)? {
        repair.say(None, what);
    }
    engine.check_finished()?;
    let vault = engine.existing_vault()?;
    if let Some(vault) = &vault {
        for one in vault.repair_settings(&repair.aside())? {
            repair.say(None, one.what);
        }
    }
    let cleaned = create::clean_locked(engine, &lock)?;
    if cleaned.any {
        repair.say(None, "removed what an interrupted run had left".to_owned());
    }
    repair.documents(&engine.catalogue()?)?;
    repair.roots(&engine.catalogue()?)?;
    if let Some(vault) = &vault {
        repair.vault(vault, read_data)?;
    }
    // By now the vault has all it will have.
    for (id, what) in anew::documents(engine, vault.as_ref(), &engine.catalogue()?)? {
        repair.say(Some(id), what);
    }
    if let Some(vault) = &vault {
        repair.note_losses(vault, &engine.catalogue()?)?;
    }
    Ok(repair.done)
}

struct Repair<'e> {
    engine: &'e Engine<'e>,
    done: Vec<Repaired>,
}

impl Repair<'_> {
    fn say(&mut self, point: Option<PointId>, what: String) {
        self.done.push(Repaired { point, what });
    }

    /// Marks that are none, and files that are nobody's. A point whose marks
    /// are lost may have been pinned, so it is.
    fn documents(&mut self, catalogue: &Catalogue) -> Result<(), EngineError> {
        let layout = self.engine.layout;
        for damaged in &catalogue.damaged {
            match damaged.id {
                Some(id)
                    if damaged.fault == Fault::Marks && points::has_damaged_marks(layout, id) =>
                {
                    let from = layout.state().join(&damaged.file);
                    let to = aside::file(layout, &from, "marks")?;
                    let note = self.note("its marks were damaged, and may have had a pin");
                    let marks = Marks {
                        pinned: Some(note),
                        ..Marks::default()
                    };
                    points::store_marks(layout, id, &marks)?;
                    let what = format!(
                        "its marks were damaged ({}); it is pinned now, for it may have been; \
                         they are now {}",
                        damaged.why,
                        to.display()
                    );
                    self.say(Some(id), what);
                }
                None => {
                    let from = layout.points().join(&damaged.file);
                    let to = aside::file(layout, &from, "points")?;
                    let name = damaged.file.to_string_lossy();
                    let what = format!("{name} is no document; it is now {}", to.display());
                    self.say(None, what);
                }
                // A document: what there is of its point is looked for later.
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Roots that are gone or lead elsewhere.
    fn roots(&mut self, catalogue: &Catalogue) -> Result<(), EngineError> {
        let layout = self.engine.layout;
        for (point, _) in &catalogue.points {
            for pin in &point.pins {
                let link = layout.gcroots();
                let link = link.join(pin.link.as_path().file_name().unwrap_or_default());
                let target = pins::target(&link);
                if target.as_ref() == Some(&pin.path) || !store::is_valid(layout, &pin.path)? {
                    continue;
                }
                if target.is_some() {
                    aside::link(layout, &link, "roots")?;
                }
                pins::hold(layout, pin)?;
                self.say(
                    Some(point.id),
                    format!("the root {} was made anew", pin.link),
                );
            }
        }
        // Roots of no point here stay: they may be of points that another state
        // directory has, and would be all that keeps their systems.
        Ok(())
    }

    /// Where what is damaged in the vault goes.
    fn aside(&self) -> PathBuf {
        self.engine.layout.damaged().join("vault")
    }

    fn vault(&mut self, vault: &VaultDir, read_data: bool) -> Result<(), EngineError> {
        let aside = self.aside();
        let mut done = vault.config().repair(&aside.join("config"), read_data)?;
        if let Some(state) = vault.existing_state()? {
            done.extend(state.repair(&aside.join("state"), read_data)?);
        }
        for one in done {
            let point = one.tag.and_then(|tag| tag.parse().ok());
            self.say(point, one.what);
        }
        Ok(())
    }

    /// Says in the marks of a point what it has lost, or no longer.
    fn note_losses(&mut self, vault: &VaultDir, catalogue: &Catalogue) -> Result<(), EngineError> {
        let layout = self.engine.layout;
        let mut stored = ids(vault.config())?;
        if let Some(state) = vault.existing_state()? {
            stored.extend(ids(&state)?);
        }
        for (point, marks) in &catalogue.points {
            let lost = losses(point, &stored);
            if lost.is_some() == marks.damaged.is_some() {
                continue;
            }
            let mut marks = points::read_marks(layout, point.id)?;
            marks.damaged = lost.as_deref().map(|why| self.note(why));
            points::store_marks(layout, point.id, &marks)?;
        }
        Ok(())
    }

    fn note(&self, reason: &str) -> Note {
        Note {
            at: self.engine.clock.now(),
            reason: Some(reason.to_owned()),
        }
    }
}

/// Moves journals aside that are none; gives what became of each. They would
/// keep every verb from its work, and a machine from being taken back.
pub(super) fn set_journals_aside(engine: &Engine<'_>) -> Result<Vec<String>, EngineError> {
    let mut told = Vec::new();
    for (path, why) in journal::damaged(engine.layout)? {
        let to = aside::file(engine.layout, &path, "journal")?;
        told.push(format!(
            "the journal of a restore is damaged ({why}); whether that restore ended is not \
             known: cairn diff; it is now {}",
            to.display()
        ));
    }
    Ok(told)
}

fn ids(vault: &dyn Vault) -> Result<BTreeSet<String>, EngineError> {
    let good = vault.snapshots()?.good;
    Ok(good.into_iter().map(|snapshot| snapshot.id).collect())
}

/// What a point names that is not stored, in words.
fn losses(point: &Point, stored: &BTreeSet<String>) -> Option<String> {
    let config = point.config.as_ref().and_then(|config| config.snapshot());
    let config = config.map(|id| ("its configuration".to_owned(), id));
    let state = point
        .state
        .iter()
        .filter_map(|(name, set)| Some((format!("its state {name}"), set.snapshot()?)));
    let lost: Vec<String> = config
        .into_iter()
        .chain(state)
        .filter(|(_, id)| !stored.contains(*id))
        .map(|(what, _)| what)
        .collect();
    (!lost.is_empty()).then(|| format!("{} is lost", lost.join(", ")))
}

/// Points that are listed, if only as damaged.
pub(super) fn known(catalogue: &Catalogue) -> BTreeSet<PointId> {
    let listed = catalogue.points.iter().map(|(point, _)| point.id);
    let damaged = catalogue.damaged.iter().filter_map(|d| d.id);
    listed.chain(damaged).collect()
}
