//! A step of a restore, where a test may strike.

use super::EngineError;
use crate::fault;
use crate::system::IoError;

/// Takes a step that is listed in [`fault`].
pub(super) fn step<T>(
    name: &'static str,
    take: impl FnOnce() -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let refused = |source| {
        EngineError::Io(IoError {
            operation: "take the step",
            path: name.into(),
            source,
        })
    };
    fault::step(name, refused, take)
}
