//! Events from a queue that others read as well.
//!
//! The rules, in their order of weight. A foreign message, which no run of this process claims, is never deleted. If it is an
//! event, it is released at once (hidden for one more second), so its owner gets it; what is no event at all is left alone, so
//! that nothing that nobody can read comes round each second, and a person hears of it once. A message of our own is deleted only after the run has
//! written it down. Nothing that the queue does can hang or fail a run: an event is a hint, lookups go on without it, and a
//! queue that is no use is left alone with a warning. A message that no run claims *yet* is released like a foreign one: the
//! run keeps a copy, so it misses nothing, and holding it would hide other people's events while we submit.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::backoff::Backoff;
use super::decode::{BadEvent, Decoded, Source, decode};
use super::inbox::{Claim, Inbox};
use crate::client::quoted;
use crate::error::{Error, ErrorKind, Result};
use crate::smq::{Deleted, MAX_MESSAGES_PER_CALL, Message, QueueClient, ReceiptHandle};

/// How long a receive waits for messages. Shorter than the service allows, so that a process that stops leaves no poll
/// behind for long.
const POLL: Duration = Duration::from_secs(20);
/// A poll that came back empty before this was not held by the service.
const HELD: Duration = Duration::from_secs(15);
/// How long a released message stays hidden; 0 is not documented.
const RELEASE: Duration = Duration::from_secs(1);
/// After the retries of a call that brought no answer of the service, it is made anew so much later.
const OUTAGE_PAUSE: Duration = Duration::from_secs(10);
/// Closing takes no longer than this: a process that must end has two seconds.
const CLOSE_WITHIN: Duration = Duration::from_millis(1_500);
/// A queue that hides messages for longer than this does so to other people's, should we die with them.
const LONG_VISIBILITY: chrono::TimeDelta = chrono::TimeDelta::seconds(60);
/// A message that was received more often says that too many share the queue, or that messages of nobody pile up.
const MAX_USUAL_DEQUEUES: u64 = 50;

/// Reads events from one queue and hands them to an [`Inbox`].
///
/// It rests while no run waits. One consumer a process and queue is right: the inbox hands events to all runs.
///
/// It needs the permissions `mns:BatchReceiveMessage`, `mns:ChangeMessageVisibility`, `mns:DeleteMessage`; and, to save calls,
/// `mns:BatchDeleteMessage`. A queue to share has a visibility timeout of 10 to 60 s, keeps messages a little longer than the
/// longest run, and has no dead-letter policy: a released message counts as received. Source: "Use SMQ callbacks" of VOD, and
/// the pages of the operations.
///
#[cfg_attr(feature = "emulator", doc = include_str!("../docs/items/queue_consumer.md"))]
#[derive(Debug, Clone)]
pub struct QueueConsumer {
    client: QueueClient,
    inbox: Inbox,
}

/// What one reading of the queue remembers.
#[derive(Default)]
struct Memory {
    backoff: Backoff,
    /// The last calls were not answered, or not by the service.
    is_out: bool,
    /// Of what a person has heard.
    warned: HashSet<&'static str>,
}

/// What a message turned out to be.
enum Found {
    /// An event that a run has claimed and written down.
    Ours,
    /// An event of others, or one that a run was too slow for: it had better come again.
    Others,
    /// No event, for this reason.
    NoEvent(&'static str),
}

/// Whether the service did not answer, or not yet, or somebody else did: that passes.
fn is_outage(error: &Error) -> bool {
    use ErrorKind::{Clock, Garbled, Throttled, Unavailable};
    matches!(error.kind(), Unavailable | Garbled | Clock | Throttled)
}

impl QueueConsumer {
    /// A consumer of the queue that `client` calls.
    pub fn new(client: QueueClient, inbox: Inbox) -> Self {
        Self { client, inbox }
    }

    /// Starts reading in a task of the current tokio runtime, until the handle is closed or dropped.
    pub fn spawn(self) -> QueueListener {
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let stop = stop.clone();
            async move { self.run(stop).await }
        });
        QueueListener { stop, task }
    }

    /// Reads until `stop`, or until reading makes no sense any more: no such queue, no permission, or too many messages of
    /// others. The runs get such an end as a warning, and go on with lookups; one that makes none and has no other source of
    /// events in its inbox ends, where it still needs events. An outage is sat out, throttling as well: it is told once, after the
    /// retries of a call, and once more when it is over.
    ///
    /// Stops at once where it only waits; messages that were received are first deleted or released. A poll that is under way goes
    /// on in the background and releases what it brings, for 20 s at most. Cancel safety: messages of a batch that was
    /// being sorted are visible again after the queue's visibility timeout. The error is what ended it, if not `stop`.
    pub async fn run(&self, stop: CancellationToken) -> Result<()> {
        let name = self.client.url().to_string();
        self.inbox.source_opened(&name);
        let end = self.read(&stop).await;
        if let Err(error) = &end {
            // The runs tell of it.
            debug!(queue = name, %error, "the queue is read no more");
        }
        self.inbox.source_closed(&name, &end);
        end
    }

    async fn read(&self, stop: &CancellationToken) -> Result<()> {
        let mut waiting = self.inbox.waiting();
        let mut memory = Memory::default();
        loop {
            if *waiting.borrow() == 0 {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(()),
                    _ = waiting.wait_for(|runs| *runs > 0) => memory.backoff = Backoff::default(),
                }
            }
            let asked = Instant::now();
            let Some(received) = self.receive(stop).await else { return Ok(()) };
            self.tell_of_outage(received.as_ref().err().filter(|why| is_outage(why)), &mut memory);
            let pause = match received {
                Err(error) if is_outage(&error) => {
                    debug!(queue = %self.client.url(), %error, "receive failed");
                    OUTAGE_PAUSE.max(error.retry_after().unwrap_or_default().min(POLL))
                }
                Err(error) => return Err(error),
                Ok(messages) if !messages.is_empty() => self.sort(&messages, &mut memory).await?,
                Ok(_) if asked.elapsed() >= HELD => {
                    memory.backoff.empty();
                    continue;
                }
                Ok(_) => memory.backoff.answered_early(POLL, self.client.jitter()),
            };
            if let Some(why) = memory.backoff.gives_up(Instant::now()) {
                return Err(Error::new(ErrorKind::Busy, why));
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Tells once that the queue can't be read, and why, and once that it can be again.
    fn tell_of_outage(&self, outage: Option<&Error>, memory: &mut Memory) {
        if std::mem::replace(&mut memory.is_out, outage.is_some()) == outage.is_some() {
            return;
        }
        let name = self.client.url();
        let Some(why) = outage else { return self.inbox.warn(&format!("queue {name} answers again")) };
        let clocks = match why.kind() {
            ErrorKind::Clock => " (this machine's clock and the queue's differ)",
            _ => "",
        };
        self.inbox.warn(&format!(
            "queue {name} does not answer as it should: {why}{clocks}; its events wait, and it is asked again every {} s",
            OUTAGE_PAUSE.as_secs()
        ));
    }

    /// One long poll; `None` if it was stopped. It is never cut: the service could hand its messages to nobody.
    async fn receive(&self, stop: &CancellationToken) -> Option<Result<Vec<Message>>> {
        if stop.is_cancelled() {
            return None;
        }
        let client = self.client.clone();
        let mut poll =
            tokio::spawn(async move { client.batch_receive_message(MAX_MESSAGES_PER_CALL, POLL).await });
        tokio::select! {
            biased;
            done = &mut poll => match done {
                Ok(received) => Some(received),
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(_) => None,
            },
            () = stop.cancelled() => {
                let consumer = self.clone();
                tokio::spawn(async move { consumer.give_back(poll).await });
                None
            }
        }
    }

    /// Releases what a poll brings that nobody waits for any more.
    async fn give_back(&self, poll: JoinHandle<Result<Vec<Message>>>) {
        let messages = poll.await.ok().and_then(Result::ok).unwrap_or_default();
        join_all(messages.iter().map(|message| self.release(&message.handle))).await;
    }

    /// Offers messages to the runs, releases those of others, deletes our own. Returns the pause until the next receive.
    async fn sort(&self, messages: &[Message], memory: &mut Memory) -> Result<Duration> {
        self.warn_of_settings(messages, memory);
        let found = join_all(messages.iter().map(|message| self.offer(message))).await;
        let (mut ours, mut others, mut known) = (Vec::new(), Vec::new(), false);
        for (message, found) in messages.iter().zip(found) {
            match found {
                Found::Ours => ours.push(message.handle.clone()),
                Found::Others => others.push(self.release(&message.handle)),
                Found::NoEvent(why) => self.warn_of_no_event(message, why, memory),
            }
            known |= !matches!(found, Found::Ours) && !memory.backoff.is_new(&message.id);
        }
        let (backoff, foreign) = (&mut memory.backoff, messages.len() - ours.len());
        let pause = match ours.is_empty() {
            false => {
                backoff.progress(foreign);
                Duration::ZERO
            }
            true => backoff.only_foreign(foreign, known, Instant::now(), self.client.jitter()),
        };
        let (released, deleted) = join(join_all(others), self.delete(&ours)).await;
        released.into_iter().collect::<Result<()>>().and(deleted).map(|()| pause)
    }

    /// Finds out whose a message is.
    async fn offer(&self, message: &Message) -> Found {
        let message_id = quoted(&message.id, |_| None);
        let Some(json) = message.json() else {
            return Found::NoEvent("it is neither JSON nor JSON in Base64");
        };
        match decode(json.as_bytes(), Source::Queue) {
            Ok(Decoded::Refresh(event)) => match self.inbox.deliver(*event).await {
                Some(Claim::Ours) => Found::Ours,
                _ => Found::Others,
            },
            Ok(Decoded::Other(event_type)) => {
                debug!(message_id, event_type = quoted(&event_type, |_| None), "an event of another type");
                Found::Others
            }
            Err(why) => {
                debug!(message_id, %why, "a message that is no event");
                Found::NoEvent(match why {
                    BadEvent::NotJson(_) => "its JSON can't be read",
                    BadEvent::Field("EventType") => {
                        "its JSON has no EventType, so another program may have sent it"
                    }
                    BadEvent::Field(_) => "it names no job",
                })
            }
        }
    }

    /// Makes a message visible to others again. Fails only with what would go wrong each time: then every message that we
    /// receive would stay hidden from its owner.
    async fn release(&self, handle: &ReceiptHandle) -> Result<()> {
        match self.client.change_message_visibility(handle, RELEASE).await {
            Ok(_) => Ok(()),
            Err(error) => unless_passing(error, "could not release a message; its visibility timeout will"),
        }
    }

    /// Deletes messages that a run has claimed and written down.
    async fn delete(&self, handles: &[ReceiptHandle]) -> Result<()> {
        let deleted = match handles {
            [] => return Ok(()),
            [one] => self.client.delete_message(one).await.map(|deleted| vec![deleted]),
            many => match self.client.batch_delete_message(many).await {
                // The batch is a permission of its own, which people forget.
                Err(error) if error.kind() == ErrorKind::Refused => {
                    let one_by_one = many.iter().map(|handle| self.client.delete_message(handle));
                    join_all(one_by_one).await.into_iter().collect()
                }
                done => done,
            },
        };
        match deleted {
            Ok(deleted) => {
                let expired = deleted.iter().filter(|d| **d == Deleted::HandleExpired).count();
                debug!(deleted = deleted.len() - expired, expired, "deleted our own messages");
                Ok(())
            }
            // They will come again, and are deleted then.
            Err(error) => unless_passing(error, "could not delete our own messages"),
        }
    }

    /// Warns, once for each reason, of a message that is no event.
    fn warn_of_no_event(&self, message: &Message, why: &'static str, memory: &mut Memory) {
        if memory.warned.insert(why) {
            let (name, id) = (self.client.url().name(), quoted(&message.id, |_| None));
            self.inbox.warn(&format!(
                "queue {name} holds a message that is no event ({id}): {why}; it is left alone, and others like it are not named"
            ));
        }
    }

    /// Warns, once each, of what a person should change about the queue.
    fn warn_of_settings(&self, messages: &[Message], memory: &mut Memory) {
        let name = self.client.url().name();
        let longest = messages.iter().filter_map(|message| message.next_visible).max();
        let hidden = longest.map(|until| until - self.client.service_time()).unwrap_or_default();
        if hidden > LONG_VISIBILITY && memory.warned.insert("visibility") {
            self.inbox.warn(&format!(
                "queue {name} hides a received message for {} s: should this process die, others wait that long; 10 to \
                 60 s are right for a shared queue",
                hidden.num_seconds()
            ));
        }
        let times = messages.iter().map(|message| message.dequeue_count).max().unwrap_or(0);
        if times > MAX_USUAL_DEQUEUES && memory.warned.insert("dequeues") {
            self.inbox.warn(&format!(
                "queue {name} holds a message that was received {times} times: too many share the queue, or messages \
                 that nobody waits for pile up"
            ));
        }
    }
}

/// Passes on an error that the next message would meet as well; any other one is logged as `what`.
fn unless_passing(error: Error, what: &str) -> Result<()> {
    use ErrorKind::{Config, Expired, Refused, Throttled};
    if matches!(error.kind(), Config | Expired | Refused | Throttled) {
        return Err(error);
    }
    debug!(%error, "{what}");
    Ok(())
}

/// A consumer that reads in the background until this is dropped.
#[derive(Debug)]
pub struct QueueListener {
    stop: CancellationToken,
    task: JoinHandle<Result<()>>,
}

impl QueueListener {
    /// Whether reading has ended, for the reasons named at [`QueueConsumer::run`].
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Stops reading. Messages that were received are first deleted or released, for 1.5 s at most; there are rarely any. The
    /// error is what had ended the reading before. Cancel safety: it stops all the same, in the background.
    pub async fn close(mut self) -> Result<()> {
        self.stop.cancel();
        match tokio::time::timeout(CLOSE_WITHIN, &mut self.task).await {
            Ok(Ok(end)) => end,
            Ok(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Ok(Err(_)) => Ok(()),
            Err(_) => {
                // What was not deleted or released turns visible by itself.
                self.task.abort();
                Ok(())
            }
        }
    }
}

impl Drop for QueueListener {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
