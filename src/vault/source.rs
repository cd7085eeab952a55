//! Feeds the walk to the repository library.

use std::sync::Arc;

use rustic_core::{ErrorKind, ReadSource, ReadSourceEntry, RusticError, RusticResult};

use crate::vault::error::VaultError;
use crate::vault::log::CaptureLog;
use crate::vault::node::to_node;
use crate::vault::reader::CheckedReader;
use crate::vault::walk::{WalkPlan, WalkedKind, Walker};

/// A source that keeps its errors in the log: the library drops them.
#[derive(Debug)]
pub(crate) struct StrictSource {
    pub(crate) plan: Arc<WalkPlan>,
    pub(crate) log: Arc<CaptureLog>,
}

/// The entries of a [`StrictSource`].
#[derive(Debug)]
pub(crate) struct StrictEntries {
    walker: Walker,
    log: Arc<CaptureLog>,
}

impl ReadSource for StrictSource {
    type Open = CheckedReader;
    type Iter = StrictEntries;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(None)
    }

    fn entries(&self) -> StrictEntries {
        let walker = Walker::new(Arc::clone(&self.plan), Arc::clone(&self.log));
        StrictEntries {
            walker,
            log: Arc::clone(&self.log),
        }
    }
}

impl Iterator for StrictEntries {
    type Item = RusticResult<ReadSourceEntry<CheckedReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        let walked = self.walker.next()?;
        let Some(node) = to_node(&walked) else {
            let what = "a time beyond the year 9999".to_owned();
            self.log.fail(VaultError::Unsupported {
                path: walked.logical,
                what,
            });
            return Some(Err(RusticError::new(
                ErrorKind::Unsupported,
                "a time out of range",
            )));
        };
        let open = match walked.kind {
            WalkedKind::File(reader) => Some(*reader),
            _ => None,
        };
        Some(Ok(ReadSourceEntry {
            path: walked.logical,
            node,
            open,
        }))
    }
}
