//! The times of folders. They change with whatever is put into a folder, so
//! they are given last, to all folders that a restore answers for: one that goes
//! on after a crash has nothing else left to do in them.
//!
//! Two trees that differ in times alone are equal: no restore is made for it.

use std::io;
use std::path::Path;

use super::apply::RootPlan;
use super::put::{flush_all, relative};
use super::{Engine, EngineError};
use crate::system::At;
use crate::system::beneath::Beneath;
use crate::system::flush::Unflushed;

/// Gives every folder of these roots the time the point has of it, for good.
/// Where this user may not, the folder keeps its own.
///
/// # Errors
/// What the disk says.
pub(super) fn put_back(engine: &Engine<'_>, plans: &[RootPlan]) -> Result<(), EngineError> {
    let top = Beneath::open(engine.layout.root())?;
    for plan in plans {
        let base = relative(&plan.base);
        if plan.whole_folders().next().is_none() || top.stat(base)?.is_none() {
            continue;
        }
        let base = top.below(base)?;
        let mut unflushed = Unflushed::default();
        for (path, entry) in plan.whole_folders() {
            put_back_one(
                &base,
                path,
                (entry.mtime.seconds, entry.mtime.nanos),
                &mut unflushed,
            )?;
        }
        flush_all(&base, unflushed)?;
    }
    Ok(())
}

fn put_back_one(
    base: &Beneath,
    path: &Path,
    (seconds, nanos): (i64, u32),
    unflushed: &mut Unflushed,
) -> Result<(), EngineError> {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    match base.set_folder_time(path, (seconds, i64::from(nanos))) {
        Ok(None) => Ok(()),
        Ok(Some(folder)) => {
            let added = unflushed.add(folder).map_err(io::Error::from);
            Ok(added.at("look at", base.path().join(path))?)
        }
        Err(e) if matches!(e.kind(), PermissionDenied | ReadOnlyFilesystem) => Ok(()),
        Err(e) => Err(e.into()),
    }
}
