//! Where a verb happens: observe → plan → journal → execute → verify.
//!
//! The engine never sees the command line. It gets everything it works with
//! in one [`Engine`] and gives back values that the command line presents.

mod anew;
pub mod apply;
mod back;
pub mod boot;
pub mod cat;
pub mod chronicle;
pub mod config;
pub mod confirm;
mod contents;
pub mod create;
pub mod descent;
pub mod diff;
pub mod error;
pub mod export;
pub mod fetch;
pub mod figures;
pub mod gate;
pub mod generations;
pub mod heal;
pub mod health;
pub mod history;
pub mod hook;
pub mod import;
pub mod learn;
mod links;
pub mod marks;
pub mod merge;
pub mod notify;
pub mod policy;
pub mod progress;
pub mod prune;
mod put;
mod quiet;
pub mod rebuild;
pub mod remote;
pub mod repair;
pub mod report;
pub mod restore;
pub mod risk;
pub mod state;
mod state_diff;
pub mod status;
mod step;
mod store_check;
pub mod takeout;
mod times;
pub mod trial;
pub mod undo;
pub mod verify;
mod versions;
mod watch;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::point::selector::Here;
use crate::point::{Point, Policy, Selector};
use crate::system::clock::Clock;
use crate::system::lock::{Lock, LockError, Mode};
use crate::system::points::{self, Catalogue};
use crate::system::run::Runner;
use crate::system::{Layout, journal, pointers};
use crate::vault::{Opened, Repo, Vault, VaultDir, VaultError, Watch};

pub use error::EngineError;
pub use progress::Progress;

/// Everything a verb works with.
pub struct Engine<'a> {
    /// Where things are.
    pub layout: &'a Layout,
    /// What to capture and keep.
    pub policy: &'a Policy,
    /// Time and ids.
    pub clock: &'a dyn Clock,
    /// Runs programs.
    pub runner: &'a dyn Runner,
    /// How long to wait for the lock.
    pub patience: Duration,
    /// Name of the system profile.
    pub profile: &'a str,
    /// Hears of long work, and says when to stop it.
    pub progress: Arc<dyn Progress>,
}

/// Both repositories, to read from. State may never have been captured.
struct Stores {
    vault: VaultDir,
    state: Option<Repo>,
}

impl Stores {
    fn of(vault: VaultDir) -> Result<Self, EngineError> {
        let state = vault.existing_state()?;
        Ok(Self { vault, state })
    }

    fn config(&self) -> &dyn Vault {
        self.vault.config()
    }

    fn state(&self) -> Result<&dyn Vault, EngineError> {
        match &self.state {
            Some(state) => Ok(state),
            None => Err(EngineError::NoStateVault),
        }
    }
}

impl Engine<'_> {
    /// Both repositories of the vault, which must be there.
    fn stores(&self) -> Result<Stores, EngineError> {
        Stores::of(self.vault()?)
    }

    fn lock(&self, mode: Mode) -> Result<Lock, EngineError> {
        points::prepare(self.layout)?;
        self.locked(|stops| Lock::take_unless(self.layout.state(), mode, self.patience, stops))
    }

    /// The lock beside others, for what changes nothing in the state directory:
    /// that may be on a read-only file system.
    fn lock_to_read(&self) -> Result<Lock, EngineError> {
        match points::prepare(self.layout) {
            Err(e) if e.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {}
            other => other?,
        }
        self.locked(|stops| Lock::take_to_read(self.layout.state(), self.patience, stops))
    }

    fn locked(
        &self,
        take: impl FnOnce(&dyn Fn() -> bool) -> Result<Lock, LockError>,
    ) -> Result<Lock, EngineError> {
        self.check_stop()?;
        let taken = take(&|| self.progress.stops());
        if taken.is_err() {
            self.check_stop()?;
        }
        Ok(taken?)
    }

    /// The lock alone, for changes that need every restore to have ended.
    fn lock_to_change(&self) -> Result<Lock, EngineError> {
        let lock = self.lock(Mode::Exclusive)?;
        self.check_finished()?;
        Ok(lock)
    }

    /// Refuses beside an unfinished restore, before anybody is asked anything.
    ///
    /// # Errors
    /// [`EngineError::Unfinished`]; a journal that cannot be read.
    pub fn check_finished(&self) -> Result<(), EngineError> {
        match journal::unfinished(self.layout)? {
            Some(entry) => Err(EngineError::Unfinished(Box::new(entry))),
            None => Ok(()),
        }
    }

    /// Refuses a logical path with a symbolic link above it: reading there would
    /// follow it, and out of another root.
    fn refuse_link_above(&self, logical: &Path) -> Result<(), EngineError> {
        let Some(above) = logical.parent() else {
            return Ok(());
        };
        if self.layout.resolve(above)? == above {
            return Ok(());
        }
        let mut folders: Vec<&Path> = above.ancestors().collect();
        folders.reverse();
        for folder in folders {
            if self.layout.resolve(folder)? != folder {
                return Err(EngineError::LinkAbove(folder.to_owned()));
            }
        }
        Ok(())
    }

    fn watch(&self) -> Arc<dyn Watch> {
        self.progress.clone()
    }

    /// The vault, made when there is none.
    fn open_or_make_vault(&self) -> Result<Opened, EngineError> {
        let Opened { vault, recovery } = VaultDir::init_or_open(&self.layout.vault())?;
        let vault = vault.watched(self.watch());
        Ok(Opened { vault, recovery })
    }

    /// The vault, which must be there.
    fn vault(&self) -> Result<VaultDir, EngineError> {
        Ok(VaultDir::open(&self.layout.vault())?.watched(self.watch()))
    }

    /// The vault, if anything was ever captured.
    fn existing_vault(&self) -> Result<Option<VaultDir>, EngineError> {
        let vault = self.existing_vault_unwatched()?;
        Ok(vault.map(|vault| vault.watched(self.watch())))
    }

    /// The vault, if anything was ever captured, for what nothing stops.
    fn existing_vault_unwatched(&self) -> Result<Option<VaultDir>, EngineError> {
        match VaultDir::open(&self.layout.vault()) {
            Ok(vault) => Ok(Some(vault)),
            Err(VaultError::NotAVault { .. }) if !self.layout.has_vault() => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// All points with their marks.
    ///
    /// # Errors
    /// When the state directory cannot be listed.
    pub fn catalogue(&self) -> Result<Catalogue, EngineError> {
        Ok(points::catalogue(self.layout)?)
    }

    /// Whether a point came here from another machine.
    pub fn is_foreign(&self, point: &Point) -> bool {
        point.is_foreign(pointers::machine_id(self.layout).as_deref())
    }

    /// The point a selector names.
    ///
    /// # Errors
    /// When it names none, or several.
    pub fn select(&self, selector: &Selector) -> Result<Point, EngineError> {
        let catalogue = self.catalogue()?;
        self.select_in(&catalogue, selector).cloned()
    }

    /// The point a selector names in a catalogue that was read already.
    ///
    /// # Errors
    /// When it names none, or several.
    pub fn select_in<'c>(
        &self,
        catalogue: &'c Catalogue,
        selector: &Selector,
    ) -> Result<&'c Point, EngineError> {
        let (booted, current) = (
            pointers::booted(self.layout),
            pointers::current(self.layout),
        );
        let machine = pointers::machine_id(self.layout);
        let here = Here {
            booted: booted.as_ref(),
            current: current.as_ref(),
            machine: machine.as_deref(),
        };
        selector
            .resolve(&catalogue.points, here)
            .map_err(|source| match catalogue.damaged.len() {
                0 => source.into(),
                damaged => EngineError::SelectDamaged { source, damaged },
            })
    }
}
