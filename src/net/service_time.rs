//! A service's time of day: our clock, moved once the service refuses what was signed by it.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use http::HeaderMap;

use super::clock::{Clock, date_of, to_wire};
use crate::error::Error;

/// Smaller corrections are not reported.
const NOISE: TimeDelta = TimeDelta::seconds(10);

/// `Date` headers have whole seconds.
const PRECISION: TimeDelta = TimeDelta::seconds(1);

/// What is known of a service's clock. Good to about a second, as its `Date` headers are.
#[derive(Debug)]
pub(crate) struct ServiceTime {
    clock: Arc<dyn Clock>,
    /// By how much signatures are moved ahead of our clock, in milliseconds: 0 until the service refuses our time.
    ahead_ms: AtomicI64,
    /// How far the service's clock was ahead of ours in its last answer, at least and at most; `None` before the first one.
    seen: Mutex<Option<RangeInclusive<TimeDelta>>>,
}

impl ServiceTime {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, ahead_ms: AtomicI64::new(0), seen: Mutex::default() }
    }

    /// Our own time of day.
    pub(crate) fn local(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The service's time of day, as signatures tell it.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.local() + self.signed_ahead()
    }

    /// How far its clock is ahead of ours at least, by its last answer; `None` before the first one.
    pub(crate) fn seen(&self) -> Option<TimeDelta> {
        self.last_seen().as_ref().map(|ahead| *ahead.start())
    }

    /// How far its clock is ahead of ours: as signatures have it, or, where its last answer proves that wrong, the most that this
    /// answer leaves possible. An answer that was long on its way leaves much possible, and proves little.
    pub(crate) fn ahead(&self) -> TimeDelta {
        let signed = self.signed_ahead();
        match &*self.last_seen() {
            Some(seen) if !seen.contains(&signed) => *seen.end(),
            _ => signed,
        }
    }

    /// By how much signatures are moved ahead of our clock.
    pub(crate) fn signed_ahead(&self) -> TimeDelta {
        TimeDelta::milliseconds(self.ahead_ms.load(Ordering::Relaxed))
    }

    fn last_seen(&self) -> MutexGuard<'_, Option<RangeInclusive<TimeDelta>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of the time of an answer to what was sent then by our clock, and goes on by our own clock.
    pub(crate) fn see(&self, answer: &HeaderMap, sent_at: DateTime<Utc>) {
        if let Some(theirs) = date_of(answer) {
            let received_at = self.local();
            // Our clock may have been set back in between.
            let earliest = sent_at.min(received_at);
            let ahead = theirs - received_at..=theirs + PRECISION - earliest;
            *self.last_seen() = Some(ahead);
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
        time.see(&answer, start);
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

    #[tokio::test(start_paused = true)]
    async fn only_an_answer_that_proves_a_clock_wrong_tells_another_time() {
        let start = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
        for (date, took, ahead) in [
            ("15:06:40", 0, 0),
            // A right clock, of which the header leaves out the part of the second, or which was read before the answer came late.
            ("15:06:39", 0, 0),
            ("15:06:40", 3, 0),
            ("15:06:43", 3, 0),
            ("15:06:35", 0, -4),
            ("15:06:38", 3, -1),
            ("15:06:45", 0, 6),
            ("15:06:48", 3, 9),
        ] {
            let time = ServiceTime::new(Arc::new(TimerClock::starting_at(start)));
            assert_eq!(time.ahead(), TimeDelta::zero());
            tokio::time::advance(std::time::Duration::from_secs(took)).await;
            time.see(&at(&format!("Sun, 15 Jun 2025 {date} GMT")), start);
            assert_eq!(time.ahead(), TimeDelta::seconds(ahead), "{date} after {took} s");
        }
        // Nor does a clock that was set while the answer was on its way.
        let time = ServiceTime::new(Arc::new(TimerClock::starting_at(start)));
        time.see(&at("Sun, 15 Jun 2025 15:06:40 GMT"), start + TimeDelta::hours(1));
        assert_eq!(time.ahead(), TimeDelta::zero());
    }
}
