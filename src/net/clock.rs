//! Wall time. Timers are tokio's; this is the time of day that goes into signatures and reports.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use http::{HeaderMap, header};
use tokio::time::Instant;

/// Tells the time of day. It is asked at each attempt, so it must not wait for anything.
///
/// The page `docs::library` has a clock of your own.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time of day in UTC.
    fn now(&self) -> DateTime<Utc>;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> DateTime<Utc> {
        (**self).now()
    }
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// A clock that moves with tokio's timers, so that a paused test moves both.
///
/// It also never jumps: a run that is driven by it does not notice when somebody sets the machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct TimerClock {
    epoch: DateTime<Utc>,
    start: Instant,
}

impl TimerClock {
    /// Starts at `epoch` now.
    pub fn starting_at(epoch: DateTime<Utc>) -> Self {
        Self { epoch, start: Instant::now() }
    }
}

impl Clock for TimerClock {
    fn now(&self) -> DateTime<Utc> {
        self.epoch + self.start.elapsed()
    }
}

/// The peer's time of day when it answered, off the `Date` header.
pub(crate) fn date_of(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let date = headers.get(header::DATE)?.to_str().ok()?;
    Some(DateTime::parse_from_rfc2822(date).ok()?.with_timezone(&Utc))
}

/// A time as the service writes it: `2026-11-25T01:19:10Z`.
pub fn to_wire(time: DateTime<Utc>) -> String {
    time.trunc_subsecs(0).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
