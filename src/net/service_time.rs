//! A service's time of day: our clock, moved once the service refuses what was signed by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use http::HeaderMap;

use super::clock::{Clock, date_of, to_wire};
use crate::error::Error;

/// Smaller corrections are not reported.
const NOISE: TimeDelta = TimeDelta::seconds(10);

/// What is known of a service's clock. Good to about a second, as its `Date` headers are.
#[derive(Debug)]
pub(crate) struct ServiceTime {
    clock: Arc<dyn Clock>,
    /// By how much signatures are moved ahead of our clock, in milliseconds: 0 until the service refuses our time.
    ahead_ms: AtomicI64,
    /// How far the service's clock was ahead of ours in its last answer, in milliseconds; `i64::MIN` before the first one.
    seen_ms: AtomicI64,
}

impl ServiceTime {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, ahead_ms: AtomicI64::new(0), seen_ms: AtomicI64::new(i64::MIN) }
    }

    /// Our own time of day.
    pub(crate) fn local(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The service's time of day, as well as it is known.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.local() + TimeDelta::milliseconds(self.ahead_ms.load(Ordering::Relaxed))
    }

    /// How far its clock is ahead of ours by its last answer; `None` before the first one.
    pub(crate) fn seen(&self) -> Option<TimeDelta> {
        let millis = self.seen_ms.load(Ordering::Relaxed);
        (millis != i64::MIN).then(|| TimeDelta::milliseconds(millis))
    }

    /// Takes note of an answer's time, and goes on by our own clock.
    pub(crate) fn see(&self, answer: &HeaderMap) {
        if let Some(theirs) = date_of(answer) {
            self.seen_ms.store((theirs - self.local()).num_milliseconds(), Ordering::Relaxed);
        }
    }

    /// Goes by the service's clock from now on, since it refused ours; adds both times to its `error`. Tells `moved` of them, ours
    /// first, where the clock was moved by that.
    pub(crate) fn correct(
        &self,
        error: Error,
        answer: &HeaderMap,
        moved: impl FnOnce(DateTime<Utc>, DateTime<Utc>),
    ) -> Error {
        let Some(theirs) = date_of(answer) else {
            return error.with_message_suffix("; the answer has no Date header to measure our clock by");
        };
        let ours = self.local();
        let ahead = theirs - ours;
        let before = self.ahead_ms.swap(ahead.num_milliseconds(), Ordering::Relaxed);
        if (ahead - TimeDelta::milliseconds(before)).abs() > NOISE {
            moved(ours, theirs);
        }
        let (ours, theirs) = (to_wire(ours), to_wire(theirs));
        error.with_message_suffix(&format!("; our clock says {ours}, the service's {theirs}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::net::clock::TimerClock;

    fn at(date: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::header::DATE, date.parse().unwrap())])
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_refusal_moves_the_clock_and_is_told_once() {
        let start = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
        let time = ServiceTime::new(Arc::new(TimerClock::starting_at(start)));
        let error = || Error::new(ErrorKind::Clock, "too old");
        assert_eq!(time.seen(), None);
        // An hour later than 2025-06-15T15:06:40Z.
        let answer = at("Sun, 15 Jun 2025 16:06:40 GMT");
        time.see(&answer);
        assert_eq!((time.seen(), time.now()), (Some(TimeDelta::hours(1)), start));
        let correct = |answer: &HeaderMap| {
            let mut moved = 0;
            (time.correct(error(), answer, |_, _| moved += 1), moved)
        };
        let (said, moved) = correct(&answer);
        let times = "too old; our clock says 2025-06-15T15:06:40Z, the service's 2025-06-15T16:06:40Z";
        assert_eq!((said.message(), moved), (times, 1));
        assert_eq!((time.now(), time.local()), (start + TimeDelta::hours(1), start));
        assert_eq!(correct(&answer).1, 0);
        let (said, moved) = correct(&HeaderMap::new());
        assert!(said.message().contains("no Date header") && moved == 0);
    }
}
