//! Files of knowledge, which come from and go to other machines.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::{At, IoError, durable};
use crate::learn::share::MAX_BYTES;

/// Reads a file, as far as one may be long.
///
/// # Errors
/// When it cannot be read, or is no text.
pub fn read(path: &Path) -> Result<String, IoError> {
    let mut text = String::new();
    let most = u64::try_from(MAX_BYTES)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let file = File::open(path).at("read", path)?;
    // A pipe or a device may never end.
    if !file.metadata().at("look at", path)?.is_file() {
        return Err(io::Error::other("it is no file")).at("read", path);
    }
    file.take(most).read_to_string(&mut text).at("read", path)?;
    Ok(text)
}

/// Writes a new file, never over one that is there.
///
/// # Errors
/// When there is anything of that name, or it cannot be written.
pub fn write(path: &Path, text: &str) -> Result<(), IoError> {
    durable::create_new(path, text.as_bytes())
}
