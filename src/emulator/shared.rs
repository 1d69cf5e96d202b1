//! What the clones of one emulator share: its state and clock, and what wakes or limits its background work.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use chrono::TimeDelta;
use tokio::sync::{Notify, Semaphore};

use super::operations::open_scripted_jobs;
use super::queue::store::{Queue, QueuedMessage};
use super::scenario::{MAX_CLOCK_OFFSET, Scenario};
use super::state::State;
use crate::net::clock::{Clock, SystemClock};
use crate::net::transport::Transport;

/// Events on their way at once.
const MAX_POSTS: usize = 64;

pub(super) struct Shared {
    /// A plain mutex: nothing waits while it is held, and no part of the state is used without another.
    state: Mutex<State>,
    pub(super) clock: Mutex<Arc<dyn Clock>>,
    pub(super) event_transport: Mutex<Option<Arc<dyn Transport>>>,
    /// One permit for each event on its way.
    pub(super) posts: Semaphore,
    /// Wakes polls of the queue: a message was sent or released.
    pub(super) queue_changed: Notify,
    /// One line in the log about a missing transport, not one for each event.
    pub(super) warned: Once,
}

/// Locks a mutex that a panic elsewhere does not spoil: what it holds stays whole between two statements.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(scenario: Scenario) -> Self {
        Self {
            state: Mutex::new(State::new(scenario)),
            clock: Mutex::new(Arc::new(SystemClock)),
            event_transport: Mutex::new(None),
            posts: Semaphore::new(MAX_POSTS),
            queue_changed: Notify::new(),
            warned: Once::new(),
        }
    }

    /// Locks the state, at this moment of the emulator's own time.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = lock(&self.state);
        let now = lock(&self.clock).now();
        let offset = state.scenario.clock_offset.clamp(-MAX_CLOCK_OFFSET, MAX_CLOCK_OFFSET);
        state.now = now.checked_add_signed(TimeDelta::seconds(offset)).unwrap_or(now);
        state
    }

    /// The same, with the jobs and the queue that the scenario says exist already.
    pub(super) fn opened(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        open_scripted_jobs(&mut state);
        state
    }

    pub(super) fn queue_messages(&self) -> Vec<QueuedMessage> {
        self.opened().queue.as_ref().map(Queue::list).unwrap_or_default()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("jobs", &self.state().store.jobs.len()).finish_non_exhaustive()
    }
}
