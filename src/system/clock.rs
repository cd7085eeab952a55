//! Time and ids.

use chrono::{DateTime, Utc};
use uuid::{ContextV7, Timestamp, Uuid};

use crate::point::PointId;

/// Where time and ids come from.
pub trait Clock: Sync {
    /// Now (UTC).
    fn now(&self) -> DateTime<Utc>;
    /// A new point id for the moment `at`.
    fn new_id(&self, at: DateTime<Utc>) -> PointId;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn new_id(&self, at: DateTime<Utc>) -> PointId {
        let seconds = u64::try_from(at.timestamp()).unwrap_or(0);
        let stamp = Timestamp::from_unix(ContextV7::new(), seconds, at.timestamp_subsec_nanos());
        PointId::from_uuid(Uuid::new_v7(stamp))
    }
}
