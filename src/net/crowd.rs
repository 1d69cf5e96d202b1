//! The connections of one server, and which of them gives way when there are too many.
//!
//! Half-open connections cost their owner nothing. Where all slots are taken, the oldest connection that is not in the
//! middle of an answer has to go: an honest client sends its request at once, and is never the oldest for long.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::Notify;

/// One connection, as the server loop and its own task see it.
#[derive(Debug, Default)]
pub(super) struct Guest {
    /// A request is being worked on.
    busy: AtomicBool,
    sent_away: AtomicBool,
    bell: Notify,
}

impl Guest {
    pub(super) fn set_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::Relaxed);
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// Waits until this connection has to give way.
    pub(super) async fn sent_away(&self) {
        self.bell.notified().await;
    }
}

/// Every open connection, the oldest first.
#[derive(Debug)]
pub(super) struct Crowd {
    guests: VecDeque<Weak<Guest>>,
    limit: usize,
}

impl Crowd {
    pub(super) fn of_at_most(limit: usize) -> Self {
        Self { guests: VecDeque::new(), limit }
    }

    /// A new connection; it counts until it is dropped.
    pub(super) fn enter(&mut self) -> Arc<Guest> {
        // Those that left are taken out now and then.
        if self.guests.len() >= 2 * self.limit {
            self.guests.retain(|guest| guest.strong_count() > 0);
        }
        let guest = Arc::new(Guest::default());
        self.guests.push_back(Arc::downgrade(&guest));
        guest
    }

    /// Sends up to `count` of the oldest away that are not busy.
    pub(super) fn make_room(&self, count: usize) {
        let free = self
            .guests
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|guest| !guest.is_busy() && !guest.sent_away.swap(true, Ordering::Relaxed));
        free.take(count).for_each(|guest| guest.bell.notify_one());
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn gone(guest: &Guest) -> bool {
        guest.sent_away().now_or_never().is_some()
    }

    #[test]
    fn the_oldest_that_is_not_busy_gives_way() {
        let mut crowd = Crowd::of_at_most(4);
        let guests: Vec<_> = (0..4).map(|_| crowd.enter()).collect();
        guests[0].set_busy(true);
        crowd.make_room(1);
        crowd.make_room(1);
        assert_eq!(guests.iter().map(|guest| gone(guest)).collect::<Vec<_>>(), [false, true, true, false]);
    }

    #[test]
    fn those_that_left_are_forgotten() {
        let mut crowd = Crowd::of_at_most(4);
        (0..100).for_each(|_| drop(crowd.enter()));
        assert!(crowd.guests.len() <= 8);
    }
}
