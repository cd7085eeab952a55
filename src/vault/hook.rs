//! A test's way into the middle of reading a file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

type Action = Arc<dyn Fn(u64) + Send + Sync>;

static HOOKS: Mutex<Vec<(PathBuf, Action)>> = Mutex::new(Vec::new());

/// Calls `action` with the bytes read so far before each read of `path`.
pub(crate) fn on_read(path: &Path, action: impl Fn(u64) + Send + Sync + 'static) {
    HOOKS
        .lock()
        .unwrap()
        .push((path.to_owned(), Arc::new(action)));
}

pub(crate) fn call(path: &Path, count: u64) {
    let found = HOOKS
        .lock()
        .unwrap()
        .iter()
        .find(|(at, _)| at == path)
        .map(|(_, a)| a.clone());
    if let Some(action) = found {
        action(count);
    }
}
