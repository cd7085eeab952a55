//! Markers of points that are being taken or removed, and what is owed for them.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use crate::point::PointId;
use crate::system::error::optional;
use crate::system::snapshots::Snapshot;
use crate::system::{At, IoError, Layout, durable};

/// Notes, durably, that a point is being taken or removed. A marker that is
/// there stays as it is.
///
/// # Errors
/// When the marker cannot be written.
pub fn begin(layout: &Layout, id: PointId) -> Result<(), IoError> {
    let path = layout.inflight().join(id.to_string());
    // What is still owed for it stays written there.
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true);
    options.open(&path).at("create", &path)?;
    durable::sync_parent(&path)
}

/// What a process that takes a point owes: to be made good by another one if
/// it dies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Owed {
    /// Units it stopped.
    pub units: Vec<String>,
    /// Commands that are to follow what it ran: programs with arguments.
    pub commands: Vec<Vec<String>>,
    /// Snapshots of filesystems it made, to be deleted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub snapshots: Vec<Snapshot>,
}

/// Notes, durably, in a point's marker what is owed for it.
///
/// # Errors
/// When the marker cannot be written.
pub fn owe(layout: &Layout, id: PointId, owed: &Owed) -> Result<(), IoError> {
    let path = layout.inflight().join(id.to_string());
    let text = serde_json::to_vec(owed)
        .map_err(io::Error::from)
        .at("encode", &path)?;
    durable::write(&path, &text)
}

/// What is owed for a point. A marker without a note owes nothing.
///
/// # Errors
/// When the marker cannot be read.
pub fn owed(layout: &Layout, id: PointId) -> Result<Owed, IoError> {
    let path = layout.inflight().join(id.to_string());
    let text = optional(fs::read(&path).at("read", &path))?.unwrap_or_default();
    // Markers are written whole: what is no note was never one.
    Ok(serde_json::from_slice(&text).unwrap_or_default())
}

/// Notes that it is whole, or gone whole.
///
/// # Errors
/// When the marker cannot be removed.
pub fn end(layout: &Layout, id: PointId) -> Result<(), IoError> {
    let path = layout.inflight().join(id.to_string());
    optional(fs::remove_file(&path).at("remove", &path)).map(|_| ())
}

/// Points that were being taken when their process died — or still are, by a
/// living process: only who holds the lock alone may clean them away.
///
/// # Errors
/// When the folder cannot be listed.
pub fn inflight(layout: &Layout) -> Result<Vec<PointId>, IoError> {
    let dir = layout.inflight();
    let entries = optional(fs::read_dir(&dir).at("list", &dir))?;
    Ok(entries
        .into_iter()
        .flatten()
        .flatten()
        // Markers are files; what else somebody put here is not ours to end.
        .filter(|e| e.file_type().is_ok_and(|t| t.is_file()))
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::points::prepare;

    #[test]
    fn a_marker_that_is_there_keeps_what_is_owed() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new("/", dir.path());
        prepare(&layout).unwrap();
        let id = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        begin(&layout, id).unwrap();
        assert_eq!(owed(&layout, id).unwrap(), Owed::default());
        let debt = Owed {
            units: vec!["app.service".to_owned()],
            ..Owed::default()
        };
        owe(&layout, id, &debt).unwrap();
        begin(&layout, id).unwrap();
        assert_eq!(owed(&layout, id).unwrap(), debt);
        end(&layout, id).unwrap();
        assert_eq!(inflight(&layout).unwrap(), []);
    }
}
