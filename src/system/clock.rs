//! Time and ids.

use chrono::{DateTime, Utc};
use uuid::{ContextV7, Timestamp, Uuid};

use crate::point::PointId;
use crate::point::switch::SinceBoot;

/// Where time and ids come from.
pub trait Clock: Sync {
    /// Now (UTC).
    fn now(&self) -> DateTime<Utc>;
    /// A new point id for the moment `at`.
    fn new_id(&self, at: DateTime<Utc>) -> PointId;
}

/// Now on the clock that nobody sets: since boot, sleep included.
pub fn since_boot() -> SinceBoot {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let millis = now.tv_sec * 1000 + now.tv_nsec / 1_000_000;
    SinceBoot {
        boot: super::switches::boot_id(),
        millis: u64::try_from(millis).unwrap_or(0),
    }
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
