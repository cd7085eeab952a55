//! Hearing of long work while it goes on, and stopping it.

use std::fmt;
use std::sync::Arc;

/// Hears how far an operation on the vault is, and says when it is to stop.
///
/// A stopped operation fails with [`VaultError::Stopped`] and leaves nothing
/// that refers to what it had begun.
///
/// [`VaultError::Stopped`]: crate::vault::VaultError::Stopped
pub trait Watch: fmt::Debug + Send + Sync {
    /// So many bytes more are done.
    fn advance(&self, bytes: u64);

    /// Whether to stop at the next safe place.
    fn stops(&self) -> bool;
}

/// Hears nothing and never stops anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn advance(&self, _bytes: u64) {}

    fn stops(&self) -> bool {
        false
    }
}

/// Nobody watches.
pub(crate) fn unwatched() -> Arc<dyn Watch> {
    Arc::new(Unwatched)
}
