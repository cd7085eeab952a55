//! Folders above what is put in place, and what a crash left there.

use crate::engine::apply::RootPlan;
use crate::engine::{Engine, EngineError};
use crate::point::BytePath;
use crate::system::beneath::Beneath;
use crate::system::ours::is_staged;
use rustix::fs::FileType;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// Folders above the roots that are not there and will be made.
pub(in crate::engine) fn missing_above(
    engine: &Engine<'_>,
    plans: &[RootPlan],
) -> Result<Vec<BytePath>, EngineError> {
    let top = Beneath::open(engine.layout.root())?;
    let mut missing = BTreeSet::new();
    for plan in plans.iter().filter(|p| !p.changes.is_empty()) {
        for folder in relative(&plan.base).ancestors() {
            if top.stat(folder)?.is_some() {
                break;
            }
            missing.insert(Path::new("/").join(folder));
        }
    }
    Ok(missing.into_iter().map(BytePath).collect())
}

/// Takes folders away that a restore had made above its roots; one that holds
/// something by now stays.
pub(in crate::engine) fn take_away(
    engine: &Engine<'_>,
    folders: &[BytePath],
) -> Result<(), EngineError> {
    if folders.is_empty() {
        return Ok(());
    }
    let top = Beneath::open(engine.layout.root())?;
    let mut deepest_first: Vec<&Path> = folders.iter().map(BytePath::as_path).collect();
    deepest_first.sort_by_key(|f| std::cmp::Reverse(f.components().count()));
    for folder in deepest_first.into_iter().map(relative) {
        match top.remove_dir(folder) {
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            other => other?,
        }
        let above = folder.parent().unwrap_or(Path::new(""));
        if top.stat(above)?.is_some() {
            top.sync(above)?;
        }
    }
    Ok(())
}

/// A logical path as one below `/`.
pub(in crate::engine) fn relative(logical: &Path) -> &Path {
    logical.strip_prefix("/").unwrap_or(logical)
}

/// Removes what a crash left staged: in the root, and beside it.
pub(super) fn sweep(top: &Beneath, plan: &RootPlan) -> Result<(), EngineError> {
    let base = relative(&plan.base);
    let mut todo = vec![relative(plan.root.path.as_path()).to_owned()];
    let mut beside = Some(base.to_owned());
    while let Some(dir) = beside.take().or_else(|| todo.pop()) {
        let deep = dir != base;
        for (name, kind) in top.entries(&dir)? {
            let path = dir.join(&name);
            match (kind == FileType::Directory, is_staged(&name)) {
                (true, true) => match top.remove_dir(&path) {
                    // Somebody put something into it: that is not ours.
                    Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                    other => other?,
                },
                (true, false) if deep => todo.push(path),
                (true, false) => {}
                (false, true) => top.remove_file(&path)?,
                (false, false) => {}
            }
        }
    }
    Ok(())
}
