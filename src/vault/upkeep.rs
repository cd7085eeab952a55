//! Forgetting, pruning and checking a repository.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustic_core::repofile::{IndexFile, IndexId, SnapshotId};
use rustic_core::{CheckOptions, CheckResults, FileType, Id, LimitOption, PruneOptions, TreeId};
use sha2::{Digest, Sha256};

use crate::vault::error::VaultError;
use crate::vault::repo::{Repo, reason};
use crate::vault::store::parse_id;
use crate::vault::types::{CheckReport, Forgotten, PruneStats};
use crate::vault::view::View;
use crate::vault::words::one_line;

const CHECK: &str = "check";
const PRUNE: &str = "prune";

impl Repo {
    /// [`Vault::forget`](crate::vault::Vault::forget).
    pub(crate) fn forget_snapshots(&self, ids: &[&str]) -> Forgotten {
        let mut outcome = Forgotten::default();
        // A server tells what is there by listing all of it: once.
        let there = self.listed_for(ids);
        for id in ids {
            let name = (*id).to_owned();
            let existing = match &there {
                Some(there) => self.among(there, id),
                None => self.existing(id),
            };
            let removed = existing.and_then(|existing| {
                self.store
                    .remove(FileType::Snapshot, &existing)
                    .map_err(|error| self.fault("forget", error))
            });
            match removed {
                Ok(()) => outcome.removed.push(name),
                Err(VaultError::NoSuchSnapshot { .. }) => outcome.missing.push(name),
                Err(error) => outcome.failed.push((name, error)),
            }
        }
        outcome
    }

    /// All snapshots there are, where asking for each of `ids` would be dearer.
    fn listed_for(&self, ids: &[&str]) -> Option<BTreeSet<Id>> {
        if ids.len() < 2 {
            return None;
        }
        let listed = self.list(FileType::Snapshot).ok()?;
        Some(listed.into_iter().collect())
    }

    /// The id, if there is such a snapshot among these.
    fn among(&self, there: &BTreeSet<Id>, snapshot: &str) -> Result<SnapshotId, VaultError> {
        match parse_id(snapshot).filter(|id| there.contains(id)) {
            Some(id) => Ok(SnapshotId::from(id)),
            None => Err(VaultError::NoSuchSnapshot {
                repository: self.path().to_owned(),
                id: snapshot.to_owned(),
            }),
        }
    }

    /// [`Vault::prune`](crate::vault::Vault::prune).
    pub(crate) fn prune_alone(&self) -> Result<PruneStats, VaultError> {
        // What a damaged file refers to is not known: nothing may go then.
        let damaged = self.list_snapshots()?.damaged;
        if let Some(first) = damaged.first() {
            let detail = first.reason.clone();
            let files = damaged
                .iter()
                .map(|snapshot| snapshot.path.clone())
                .collect();
            return Err(self.damaged(PRUNE, files, detail));
        }
        let before = self.bytes()?;
        // Until all that stays is stored anew nothing is removed: reading is
        // where it may stop.
        let view = View::new(self.store.clone()).watched(Arc::clone(&self.watch));
        let view = Arc::new(view);
        let repo = self.open(PRUNE, &view)?;
        let mut options = PruneOptions::default();
        // Nobody else is here, so nothing needs to stay for a reader's sake.
        options.instant_delete = true;
        options.max_repack = LimitOption::Unlimited;
        let plan = self.call(PRUNE, &view, || repo.prune_plan(&options));
        let pruned = plan
            .map_err(|error| self.index_error(PRUNE, error))
            .and_then(|plan| self.call_writing(PRUNE, &view, || repo.prune(&options, plan)));
        self.drop_reader();
        if pruned.is_err() {
            self.check_stop()?;
        }
        pruned?;

        let leftovers = self
            .store
            .leftovers()
            .map_err(|error| self.fault(PRUNE, error))?;
        for path in &leftovers {
            fs::remove_file(path).map_err(VaultError::io("remove the file", path))?;
        }
        let temporaries = leftovers.len() as u64;
        Ok(PruneStats {
            before,
            after: self.bytes()?,
            temporaries,
        })
    }

    /// [`Vault::size`](crate::vault::Vault::size).
    pub(crate) fn bytes(&self) -> Result<u64, VaultError> {
        self.store
            .size()
            .map_err(|error| self.fault("measure", error))
    }

    /// [`Vault::check`](crate::vault::Vault::check).
    pub(crate) fn check_all(&self, read_data: bool) -> Result<CheckReport, VaultError> {
        let mut report = CheckReport::default();
        let view = self.view();
        let repo = self.open(CHECK, &view)?;

        let mut trees = Vec::new();
        for (id, file) in self.snapshot_files(&repo)? {
            let path = self.path_of(FileType::Snapshot, &id);
            match file {
                Ok(file) if self.is_intact(FileType::Snapshot, &id) => trees.push((id, file.tree)),
                Ok(_) => {
                    report
                        .problems
                        .push(line("snapshot", &path, "is not the file of that id"))
                }
                Err(error) => report
                    .problems
                    .push(line("snapshot", &path, &reason(error))),
            }
        }
        // Damaged index files are hidden from the rest of the check.
        let mut hidden = BTreeSet::new();
        for (id, why) in self.damaged_indexes()? {
            let path = self.path_of(FileType::Index, &id);
            report.problems.push(line("index", &path, &why));
            hidden.insert(id);
        }

        let all = trees.iter().map(|(_, tree)| *tree).collect();
        let mut found = self.rustic_check(&hidden, all, read_data);
        self.check_stop()?;
        if found.fatal.is_some() {
            found = self.check_apart(&hidden, trees, read_data, &mut report);
            self.check_stop()?;
        }
        report.problems.extend(found.fatal.take());
        report.add(found);

        let leftovers = self
            .store
            .leftovers()
            .map_err(|error| self.fault(CHECK, error))?;
        for path in leftovers {
            report.notes.push(line(
                "temporary",
                &path,
                "of an interrupted writer, or of one at work",
            ));
        }
        self.excuse_marked(&mut report, &hidden)?;
        for list in [&mut report.problems, &mut report.notes] {
            list.sort();
            list.dedup();
        }
        Ok(report)
    }

    /// Packs that a prune has marked are to go: nothing is missed that a push
    /// which was cut off had left in them, or that is gone already. One that
    /// holds content as well is told all the same.
    fn excuse_marked(
        &self,
        report: &mut CheckReport,
        hidden: &BTreeSet<Id>,
    ) -> Result<(), VaultError> {
        let (marked, problems): (Vec<_>, Vec<_>) = std::mem::take(&mut report.problems)
            .into_iter()
            .partition(|problem| marked_pack(problem).is_some());
        report.problems = problems;
        if marked.is_empty() {
            return Ok(());
        }
        let live = self.live_packs(hidden)?;
        for problem in marked {
            let id = marked_pack(&problem).unwrap_or_default();
            match live.iter().any(|pack| pack.starts_with(id)) {
                true => report.problems.push(problem),
                false => report.notes.push(problem),
            }
        }
        Ok(())
    }

    /// The ids of the packs that the index has content in, as hex digits.
    fn live_packs(&self, hidden: &BTreeSet<Id>) -> Result<BTreeSet<String>, VaultError> {
        let view = Arc::new(View::hiding(self.store.clone(), hidden.clone()));
        let repo = self.open(CHECK, &view)?;
        let mut live = BTreeSet::new();
        for id in self.list(FileType::Index)? {
            if !hidden.contains(&id) {
                let file: IndexFile =
                    self.call(CHECK, &view, || repo.get_file(&IndexId::from(id)))?;
                live.extend(file.packs.iter().map(|pack| pack.id.to_hex().to_string()));
            }
        }
        Ok(live)
    }

    /// Whether a file's content is what its name says.
    fn is_intact(&self, tpe: FileType, id: &Id) -> bool {
        let content = self.store.read(tpe, id);
        content.is_ok_and(|content| Id::new(Sha256::digest(content).into()) == *id)
    }

    /// Finds out which snapshots have trees that cannot be read, and checks
    /// the others.
    fn check_apart(
        &self,
        hidden: &BTreeSet<Id>,
        trees: Vec<(Id, TreeId)>,
        read_data: bool,
        report: &mut CheckReport,
    ) -> Found {
        let mut sound = Vec::new();
        for (id, tree) in trees {
            let mut found = self.rustic_check(hidden, vec![tree], false);
            if let Some(why) = found.fatal.take() {
                let path = self.path_of(FileType::Snapshot, &id);
                report
                    .problems
                    .push(line("snapshot", &path, &format!("its trees: {why}")));
            } else {
                sound.push(tree);
            }
            report.add(found);
        }
        self.rustic_check(hidden, sound, read_data)
    }

    /// The library's check of these trees. It ends at the first tree it cannot
    /// read.
    fn rustic_check(&self, hidden: &BTreeSet<Id>, trees: Vec<TreeId>, read_data: bool) -> Found {
        let mut found = Found::default();
        let view = View::hiding(self.store.clone(), hidden.clone());
        let view = Arc::new(view.watched(Arc::clone(&self.watch)));
        let results = self.open(CHECK, &view).and_then(|repo| {
            let options = CheckOptions::default().read_data(read_data);
            self.call(CHECK, &view, || repo.check_with_trees(options, trees))
        });
        match results {
            Ok(results) => found.take(results),
            Err(error) => found.fatal = Some(one_line(&error.to_string())),
        }
        found
    }
}

/// What one run of the library's check found.
#[derive(Default)]
struct Found {
    problems: Vec<String>,
    notes: Vec<String>,
    fatal: Option<String>,
}

impl Found {
    fn take(&mut self, results: CheckResults) {
        for (level, error) in results.0 {
            let text = one_line(&error.to_string());
            // What to do about it is told by who asked, in cairn's own words.
            let text = text
                .split(" To repair:")
                .next()
                .unwrap_or_default()
                .to_owned();
            // The types of the list have no public name.
            if format!("{level:?}") == "Warn" {
                self.notes.push(text);
            } else if format!("{error:?}").starts_with("ErrorCheckingTrees") {
                self.fatal = Some(text);
            } else {
                self.problems.push(text);
            }
        }
    }
}

impl CheckReport {
    fn add(&mut self, found: Found) {
        self.problems.extend(found.problems);
        self.notes.extend(found.notes);
    }
}

/// The start of the id of a pack that a problem is of and that is to go.
fn marked_pack(problem: &str) -> Option<&str> {
    let (id, rest) = problem.strip_prefix("pack ")?.split_once(' ')?;
    let marked = ["marked to delete: true", "marked to-delete: true"];
    let marked = marked.iter().any(|words| rest.starts_with(words));
    (marked && !id.is_empty()).then_some(id)
}

fn line(kind: &str, path: &Path, what: &str) -> String {
    one_line(&format!("{kind} {}: {what}", path.display()))
}

/// The name of a repository file is the SHA-256 of its bytes.
pub(crate) fn is_named_by_content(path: &Path, id: &Id) -> bool {
    fs::read(path).is_ok_and(|content| Id::new(Sha256::digest(content).into()) == *id)
}
