//! Store objects as archives, and as the stream `nix-store --import` reads.
//!
//! The stream, from Nix's `export-import.cc` (numbers are little-endian u64;
//! a string is its length, its bytes, and zeros up to a multiple of eight):
//!
//! ```text
//! stream = { 1 nar "NIXE" path references deriver 0 } 0
//! ```

use std::io::Write;

use super::object::{Leaf, Object};
use crate::nix::nar::{WriteError, writer};

/// `NIXE` as a little-endian number.
const MAGIC: u64 = 0x4558_494e;

/// Writes an object's NAR.
///
/// # Errors
/// When the output fails.
pub(super) fn nar(object: &Object, output: &mut dyn Write) -> Result<(), WriteError> {
    let mut folder = writer::open(output)?.directory()?;
    for (name, leaf) in &object.entries {
        let entry = folder.entry(name.as_bytes())?;
        match leaf {
            Leaf::File(text) => entry.file(false, text.len() as u64, &mut text.as_bytes())?,
            Leaf::Link(target) => entry.symlink(target.as_bytes())?,
        }
    }
    folder.close()
}

/// The stream of all objects; each after what it needs.
///
/// # Errors
/// A name or target that is not allowed in an archive.
pub(super) fn stream(objects: &[Object]) -> Result<Vec<u8>, WriteError> {
    let mut out = Vec::new();
    for object in objects {
        number(&mut out, 1);
        nar(object, &mut out)?;
        number(&mut out, MAGIC);
        string(&mut out, &object.path.to_absolute_path());
        number(&mut out, object.references.len() as u64);
        for reference in &object.references {
            string(&mut out, &reference.to_absolute_path());
        }
        string(&mut out, "");
        number(&mut out, 0);
    }
    number(&mut out, 0);
    Ok(out)
}

fn number(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_le_bytes());
}

fn string(out: &mut Vec<u8>, text: &str) {
    number(out, text.len() as u64);
    out.extend(text.as_bytes());
    out.resize(out.len().next_multiple_of(8), 0);
}
