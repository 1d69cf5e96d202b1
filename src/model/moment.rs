//! Time within a run.

use std::num::NonZeroU32;
use std::ops::Add;
use std::time::Duration;

/// A time within a run, in milliseconds since its start.
///
/// Four bytes, also as an `Option`: a ledger holds several for each task. It ends after 49 days; the service's history
/// ends after three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(NonZeroU32);

impl Moment {
    /// The start of the run.
    pub const START: Self = Self(NonZeroU32::MIN);

    /// So long after the start.
    pub fn after(since_start: Duration) -> Self {
        let millis = u32::try_from(since_start.as_millis()).unwrap_or(u32::MAX);
        Self(NonZeroU32::MIN.saturating_add(millis))
    }

    /// How long after the start.
    pub fn since_start(self) -> Duration {
        self.since(Self::START)
    }

    /// How long after `earlier`; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::from(self.0.get().saturating_sub(earlier.0.get())))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;
    fn add(self, wait: Duration) -> Self {
        Self::after(self.since_start().saturating_add(wait))
    }
}
