//! Where events wait for the runs of this process.
//!
//! One inbox serves any number of runs and receivers: whatever arrives is offered to every run, and each takes what
//! is its own. An event is acknowledged when the run has written it down, so a sender that got its 200 need not
//! send again; and the run says whether the event is its own, so that a queue's message is deleted only then.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use super::decode::MediaRefreshEvent;
use crate::error::{Error, Result};

/// Events that a run may be behind, and KiB that they may take; a sender waits, then has to come again.
const BACKLOG: usize = 1_024;
const BACKLOG_KIB: usize = 16 * 1_024;
/// The sender gives up after five seconds and should have its answer within one.
const ANSWER_WITHIN: Duration = Duration::from_millis(900);

/// Whose an event is, as far as one run can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Claim {
    /// No run of this process submitted it.
    Foreign,
    /// Not known yet: a submit answer that is still to come may name its job. The run keeps a copy meanwhile.
    Undecided,
    /// The run's own, and written down: whoever brought it need not keep it.
    Ours,
}

/// A message to one run.
#[derive(Debug)]
pub(crate) enum InboxMessage {
    /// An event, and its share of the run's backlog. The run answers through `recorded` when it has written it down.
    Event { event: Box<MediaRefreshEvent>, share: OwnedSemaphorePermit, recorded: oneshot::Sender<Claim> },
    /// Something about a source of events that a person should know.
    Warning(String),
    /// A source of events ended before its time.
    SourceEnded(SourceEnd),
}

/// How a source of events ended before its time.
#[derive(Debug, Clone)]
pub(crate) struct SourceEnd {
    pub(crate) name: String,
    pub(crate) why: Error,
    /// Whether no other source is left.
    pub(crate) is_last: bool,
}

/// Takes events from receivers and hands them to runs. Clones share one inbox.
#[derive(Debug, Clone, Default)]
pub struct Inbox(Arc<Shared>);

/// A run's end for receivers.
#[derive(Debug, Clone)]
struct Run {
    messages: mpsc::Sender<InboxMessage>,
    room: Arc<Semaphore>,
}

impl Run {
    /// Hands an event over once there is room for it; `None` for a run that has ended, which is no failure.
    async fn send(&self, event: MediaRefreshEvent) -> Option<oneshot::Receiver<Claim>> {
        let share = event.weight().div_ceil(1_024).min(BACKLOG_KIB) as u32;
        let share = Arc::clone(&self.room).acquire_many_owned(share).await.ok()?;
        let (recorded, done) = oneshot::channel();
        let message = InboxMessage::Event { event: Box::new(event), share, recorded };
        self.messages.send(message).await.ok().map(|()| done)
    }
}

#[derive(Debug, Default)]
struct Shared {
    // A std mutex: the list is copied out, never held across an await.
    runs: Mutex<Vec<Run>>,
    /// How many runs there are, for sources that rest while nobody waits.
    waiting: watch::Sender<usize>,
    /// Sources that work.
    sources: AtomicUsize,
    /// Sources that ended before their time, and why: runs that begin later must hear of it as well.
    ended: Mutex<BTreeMap<String, Error>>,
    received: AtomicU64,
    rejected: AtomicU64,
}

impl Inbox {
    /// An empty inbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hands `event` to every run, waits until all have written it down, and says whose it is.
    ///
    /// `None`: a run did not manage within 0.9 s; the sender should send again. With no run there is nobody to
    /// miss it: [`Claim::Foreign`]. Cancel safety: the event may or may not have been taken.
    pub async fn deliver(&self, event: MediaRefreshEvent) -> Option<Claim> {
        let runs: Vec<_> = lock(&self.0.runs).clone();
        let written = async {
            let mut acknowledgements = Vec::with_capacity(runs.len());
            if let Some((last, others)) = runs.split_last() {
                for run in others {
                    acknowledgements.extend(run.send(event.clone()).await);
                }
                // Usually there is one run.
                acknowledgements.extend(last.send(event).await);
            }
            let mut best = Claim::Foreign;
            for done in acknowledgements {
                best = best.max(done.await.unwrap_or(Claim::Foreign));
            }
            best
        };
        let claim = tokio::time::timeout(ANSWER_WITHIN, written).await.ok()?;
        self.0.received.fetch_add(1, Ordering::Relaxed);
        Some(claim)
    }

    /// Notes an event that was refused.
    pub fn reject(&self) {
        self.0.rejected.fetch_add(1, Ordering::Relaxed);
    }

    /// How many events were delivered so far.
    pub fn received(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }

    /// How many events were refused so far, for their signature or because they could not be read.
    pub fn rejected(&self) -> u64 {
        self.0.rejected.load(Ordering::Relaxed)
    }

    /// Registers a run. It must do so before it submits, or an early event is lost.
    pub(crate) fn subscribe(&self) -> Subscription {
        let (sender, messages) = mpsc::channel(BACKLOG);
        for (name, why) in lock(&self.0.ended).iter() {
            let _ = sender.try_send(InboxMessage::SourceEnded(self.end_of(name, why)));
        }
        let mut runs = lock(&self.0.runs);
        runs.push(Run { messages: sender, room: Arc::new(Semaphore::new(BACKLOG_KIB)) });
        self.0.waiting.send_replace(runs.len());
        drop(runs);
        Subscription { messages, inbox: self.clone() }
    }

    /// How many runs there are; changes can be waited for.
    pub(crate) fn waiting(&self) -> watch::Receiver<usize> {
        self.0.waiting.subscribe()
    }

    /// Warns the runs there are. A run that is far behind misses it; it is in the log as well.
    pub(crate) fn warn(&self, message: &str) {
        for run in lock(&self.0.runs).iter() {
            let _ = run.messages.try_send(InboxMessage::Warning(message.to_owned()));
        }
    }

    /// A receiver hands events over from now on, until the guard is dropped.
    pub(crate) fn receiver_opened(&self) -> ReceiverGuard {
        self.0.sources.fetch_add(1, Ordering::Relaxed);
        ReceiverGuard(self.clone())
    }

    /// A queue is read (again) from now on.
    pub(crate) fn source_opened(&self, name: &str) {
        lock(&self.0.ended).remove(name);
        self.0.sources.fetch_add(1, Ordering::Relaxed);
    }

    /// A queue is read no more: tells the runs there are, and those to come, where something went wrong.
    pub(crate) fn source_closed(&self, name: &str, end: &Result<()>) {
        self.0.sources.fetch_sub(1, Ordering::Relaxed);
        let Err(why) = end else { return };
        lock(&self.0.ended).insert(name.to_owned(), why.clone());
        for run in lock(&self.0.runs).iter() {
            let _ = run.messages.try_send(InboxMessage::SourceEnded(self.end_of(name, why)));
        }
    }

    fn end_of(&self, name: &str, why: &Error) -> SourceEnd {
        let is_last = self.0.sources.load(Ordering::Relaxed) == 0;
        SourceEnd { name: name.to_owned(), why: why.clone(), is_last }
    }
}

/// Counts a receiver among the sources of its inbox.
#[derive(Debug)]
pub(crate) struct ReceiverGuard(Inbox);

impl Drop for ReceiverGuard {
    fn drop(&mut self) {
        self.0.0.sources.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A run's end of the inbox; dropped with the run.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) messages: mpsc::Receiver<InboxMessage>,
    pub(crate) inbox: Inbox,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.messages.close();
        let mut runs = lock(&self.inbox.0.runs);
        runs.retain(|run| !run.messages.is_closed());
        self.inbox.0.waiting.send_replace(runs.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::callback::CallbackVerifier;
    use crate::error::ErrorKind;
    use crate::event::EventReceiver;

    #[tokio::test]
    async fn a_receiver_is_a_source_as_long_as_one_of_its_clones_lives() {
        let inbox = Inbox::new();
        let receiver = EventReceiver::new(inbox.clone(), CallbackVerifier::new("http://a.test/", Vec::new()));
        let clone = receiver.clone();
        inbox.source_opened("queue");
        inbox.source_closed("queue", &Err(Error::new(ErrorKind::Config, "no such queue")));
        let is_last = || match inbox.subscribe().messages.try_recv() {
            Ok(InboxMessage::SourceEnded(end)) => end.is_last,
            other => panic!("{other:?}"),
        };
        drop(receiver);
        assert!(!is_last());
        drop(clone);
        assert!(is_last());
    }
}
