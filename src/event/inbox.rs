//! Where events wait for the runs of this process.
//!
//! One inbox serves any number of runs and receivers: whatever arrives is offered to every run, and each takes what
//! is its own. An event is acknowledged when the run has written it down, so a sender that got its 200 need not
//! send again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::MediaRefreshEvent;

/// Events that a run may be behind; a sender waits, then is told to come again.
const BACKLOG: usize = 1_024;
/// The sender gives up after five seconds and should have its answer within one.
const ANSWER_WITHIN: Duration = Duration::from_millis(900);

/// An event on its way to one run. The run answers when it has written it down.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) event: MediaRefreshEvent,
    pub(crate) recorded: oneshot::Sender<()>,
}

/// Takes events from receivers and hands them to runs. Clones share one inbox.
#[derive(Debug, Clone, Default)]
pub struct Inbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    // A std mutex: the list is copied out, never held across an await.
    runs: Mutex<Vec<mpsc::Sender<Delivery>>>,
    received: AtomicU64,
    rejected: AtomicU64,
}

/// How many events an inbox has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct InboxCounts {
    /// Delivered to at least one run.
    pub received: u64,
    /// Refused for their signature or because they could not be read.
    pub rejected: u64,
}

impl Inbox {
    /// An empty inbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hands `event` to every run and waits until all have written it down.
    ///
    /// `false`: a run did not manage within 0.9 s; the sender should send again. With no run there is nobody to
    /// miss it: `true`. Cancel safety: the event may or may not have been taken.
    pub async fn deliver(&self, event: MediaRefreshEvent) -> bool {
        let runs: Vec<_> = self.runs().clone();
        let written = async {
            let mut acknowledgements = Vec::with_capacity(runs.len());
            for run in runs {
                let (recorded, done) = oneshot::channel();
                // A run that has ended no longer listens; that is no failure.
                if run.send(Delivery { event: event.clone(), recorded }).await.is_ok() {
                    acknowledgements.push(done);
                }
            }
            for done in acknowledgements {
                let _ = done.await;
            }
        };
        let in_time = tokio::time::timeout(ANSWER_WITHIN, written).await.is_ok();
        if in_time {
            self.0.received.fetch_add(1, Ordering::Relaxed);
        }
        in_time
    }

    /// Notes an event that was refused.
    pub fn reject(&self) {
        self.0.rejected.fetch_add(1, Ordering::Relaxed);
    }

    /// What was seen so far.
    pub fn counts(&self) -> InboxCounts {
        InboxCounts {
            received: self.0.received.load(Ordering::Relaxed),
            rejected: self.0.rejected.load(Ordering::Relaxed),
        }
    }

    /// Registers a run. It must do so before it submits, or an early event is lost.
    pub(crate) fn subscribe(&self) -> Subscription {
        let (sender, events) = mpsc::channel(BACKLOG);
        self.runs().push(sender);
        Subscription { events, inbox: self.clone() }
    }

    fn runs(&self) -> std::sync::MutexGuard<'_, Vec<mpsc::Sender<Delivery>>> {
        self.0.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run's end of the inbox; dropped with the run.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) events: mpsc::Receiver<Delivery>,
    pub(crate) inbox: Inbox,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.events.close();
        self.inbox.runs().retain(|run| !run.is_closed());
    }
}
