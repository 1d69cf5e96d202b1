//! How a consumer of a shared queue holds back: after foreign messages, and when the service does not wait.
//!
//! Pure: no clock and no queue in here, so the numbers can be tested. They follow from the service's own throttle, which
//! strikes a client that receives and does not delete for half an hour, or 5,000 messages (source: "Flow limiting policy"
//! of Simple Message Queue).

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

/// After more receipts of foreign messages than this, with no message of our own between them, the queue is no use to us.
const FOREIGN_IN_A_ROW: u32 = 300;
/// The same for all receipts of foreign messages; the service's own limit is 5,000.
const FOREIGN_IN_ALL: u32 = 4_000;
/// The longest time with nothing but foreign messages; the service's own limit is half an hour.
const FOREIGN_FOR: Duration = Duration::from_secs(20 * 60);
/// First pause after a batch of foreign messages: longer than the second for which they stay hidden, so that their owner
/// can be quicker than we.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Message ids that are remembered.
const REMEMBERED: usize = 10_000;

/// What was seen on the queue lately.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    seen: HashSet<String>,
    streak: u32,
    in_a_row: u32,
    in_all: u32,
    foreign_since: Option<Instant>,
    early: u32,
}

impl Backoff {
    /// Notes a foreign message; returns whether it came for the first time.
    pub(super) fn is_new(&mut self, id: &str) -> bool {
        if self.seen.len() >= REMEMBERED {
            self.seen.clear();
        }
        self.seen.insert(id.to_owned())
    }

    /// Notes a batch with a message of our own in it: no reason to hold back.
    pub(super) fn progress(&mut self, foreign: usize) {
        self.streak = 0;
        self.in_a_row = 0;
        self.foreign_since = None;
        self.early = 0;
        self.in_all = self.in_all.saturating_add(foreign as u32);
    }

    /// Notes a batch of foreign messages only; returns the pause until the next receive, which is longer each time known
    /// messages come back.
    pub(super) fn only_foreign(
        &mut self,
        foreign: usize,
        known: bool,
        now: Instant,
        jitter: f64,
    ) -> Duration {
        self.early = 0;
        self.in_a_row = self.in_a_row.saturating_add(foreign as u32);
        self.in_all = self.in_all.saturating_add(foreign as u32);
        self.foreign_since.get_or_insert(now);
        self.streak = if known { self.streak + 1 } else { 0 };
        let first = FIRST_PAUSE.mul_f64(1.0 + 1.5 * jitter);
        (first * (1 << self.streak.min(4))).min(LONGEST_PAUSE)
    }

    /// Notes that nothing came for a whole long poll.
    pub(super) fn empty(&mut self) {
        self.streak = 0;
        self.foreign_since = None;
        self.early = 0;
    }

    /// Notes that the service said "empty" at once instead of waiting: more polls wait than it allows. Returns the pause until
    /// the next receive, which is at most as long as the poll would have been.
    pub(super) fn answered_early(&mut self, poll: Duration, jitter: f64) -> Duration {
        self.early = (self.early + 1).min(5);
        let doubled = Duration::from_secs(1 << (self.early - 1));
        doubled.min(poll).mul_f64(0.75 + 0.25 * jitter)
    }

    /// Returns why the queue is to be left alone from now on, if it is.
    pub(super) fn gives_up(&self, now: Instant) -> Option<String> {
        if self.in_a_row > FOREIGN_IN_A_ROW {
            return Some(format!("{} messages in a row were not ours", self.in_a_row));
        }
        if self.in_all > FOREIGN_IN_ALL {
            return Some(format!("{} messages were not ours", self.in_all));
        }
        let long = self.foreign_since.is_some_and(|since| now - since > FOREIGN_FOR);
        long.then(|| format!("only messages that are not ours for {} minutes", FOREIGN_FOR.as_secs() / 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_while_the_same_messages_come_back() {
        let mut backoff = Backoff::default();
        let now = Instant::now();
        let mut pause = |known| backoff.only_foreign(1, known, now, 0.0).as_secs();
        let pauses: Vec<u64> = [false, true, true, true, true, true].into_iter().map(&mut pause).collect();
        assert_eq!(pauses, [2, 4, 8, 16, 30, 30]);
        assert_eq!(pause(false), 2, "others came");
        assert_eq!(backoff.only_foreign(1, false, now, 1.0), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_that_is_not_held_is_not_repeated_at_once() {
        let mut backoff = Backoff::default();
        let poll = Duration::from_secs(20);
        let pauses: Vec<u64> = (0..7).map(|_| backoff.answered_early(poll, 1.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 16, 16]);
        backoff.empty();
        assert_eq!(backoff.answered_early(poll, 1.0).as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_an_end_to_reading_what_is_not_ours() {
        let start = Instant::now();
        let later = start + FOREIGN_FOR + Duration::from_secs(1);
        let mut row = Backoff::default();
        for _ in 0..19 {
            row.only_foreign(16, true, start, 0.0);
        }
        assert!(row.gives_up(start).unwrap().contains("304 messages in a row"));
        row.progress(16);
        assert_eq!(row.gives_up(later), None, "one of ours between them");
        (0..250).for_each(|_| row.progress(15));
        assert!(row.gives_up(start).is_some(), "4,000 in all");
        let mut long = Backoff::default();
        long.only_foreign(1, false, start, 0.0);
        assert!(long.gives_up(later).unwrap().contains("20 minutes"));
        long.empty();
        assert_eq!(long.gives_up(later), None, "it was empty between them");
    }
}
