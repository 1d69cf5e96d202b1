//! Events from a queue that others read as well.
//!
//! The rules, in their order of weight. A message that is not ours is never deleted, and released at once (hidden for one
//! more second), so its owner gets it. Ours is deleted only after the run has written it down. Nothing that the queue does
//! can hang or fail a run: an event is a hint, lookups go on without it, and a queue that is no use is left alone with a
//! warning. A message that is not known to be ours *yet* is released like a foreign one: the run keeps a copy, so it misses
//! nothing, and holding it would hide other people's events for as long as our submissions take.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::backoff::Backoff;
use super::{Claim, Decoded, Inbox, Source, decode};
use crate::error::{Error, ErrorKind, Result};
use crate::smq::{Deleted, MAX_MESSAGES_PER_CALL, Message, QueueClient, ReceiptHandle};

/// How long a receive waits for messages. Shorter than the service allows, so that a process that stops leaves no poll
/// behind for long.
const POLL: Duration = Duration::from_secs(20);
/// A poll that came back empty before this was not held by the service.
const HELD: Duration = Duration::from_secs(15);
/// How long a released message stays hidden; 0 is not documented.
const RELEASE: Duration = Duration::from_secs(1);
/// Closing takes no longer than this: a process that is told to end has two seconds.
const LAST_WORDS: Duration = Duration::from_millis(1_500);
/// A queue that hides messages for longer than this does so to other people's, should we die with them.
const LONG_VISIBILITY: chrono::TimeDelta = chrono::TimeDelta::seconds(60);
/// A foreign message that was received so often says that too many share the queue, or that orphans pile up.
const OFTEN: u64 = 50;

/// Reads events from one queue and hands them to an [`Inbox`].
///
/// It rests while no run waits. One consumer a process and queue is right: the inbox hands events to all runs.
///
/// Permissions it needs: `mns:BatchReceiveMessage`, `mns:ChangeMessageVisibility`, `mns:DeleteMessage`; and, to save calls,
/// `mns:BatchDeleteMessage`. A queue to share has a visibility timeout of 10 to 60 s, keeps messages a little longer than the
/// longest run, and has no dead-letter policy: a released message counts as received. Source: "Use SMQ callbacks" of VOD, and
/// the pages of the operations.
///
#[cfg_attr(feature = "emulator", doc = "```")]
#[cfg_attr(not(feature = "emulator"), doc = "```ignore")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::time::Duration;
/// # use vod_refresh::emulator::{Emulator, QueueScript, Scenario};
/// # use vod_refresh::{Credential, MediaId, RefreshRequest, StaticCredentials, TaskType};
/// # let cloud = Emulator::new(
/// #     Scenario::new()
/// #         .with_queue(QueueScript::named("vod-events"))
/// #         .with_job_delay(Duration::ZERO)
/// #         .with_task_duration(Duration::ZERO),
/// # );
/// # let credentials = StaticCredentials(Credential::new("testid", "testsecret"));
/// # let (endpoint, url) = ("http://127.0.0.1:1", "http://127.0.0.1:1/queues/vod-events");
/// use vod_refresh::{Inbox, QueueClient, QueueConsumer, Refresher, VodClient};
///
/// let client = VodClient::builder(credentials);
/// # let client = client.with_endpoint(endpoint).with_transport(cloud.transport());
/// let client = client.build()?;
/// // The same credentials: `https://ACCOUNT.mns.REGION.aliyuncs.com/queues/NAME`.
/// let queue = QueueClient::builder(client.credentials(), url);
/// # let queue = queue.with_transport(cloud.transport());
/// let inbox = Inbox::new();
/// let consumer = QueueConsumer::new(queue.build()?, inbox.clone()).spawn();
///
/// # let request = RefreshRequest::new(TaskType::Refresh, [MediaId::new("intro")?]);
/// let report = Refresher::new(client).with_inbox(inbox).refresh(&request).await?;
/// assert_eq!(report.summary.events_accepted, 1);
/// consumer.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct QueueConsumer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: QueueClient,
    inbox: Inbox,
}

/// What is said once in the life of a consumer.
#[derive(Default)]
struct Said {
    long_visibility: bool,
    often: bool,
}

impl QueueConsumer {
    /// A consumer of the queue that `client` calls.
    pub fn new(client: QueueClient, inbox: Inbox) -> Self {
        Self(Arc::new(Inner { client, inbox }))
    }

    /// Starts reading in a task of its own, until the handle is closed or dropped.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn spawn(self) -> QueueListener {
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let stop = stop.clone();
            async move { self.run(stop).await }
        });
        QueueListener { stop, task }
    }

    /// Reads until `stop`, or until reading makes no sense any more: no such queue, no permission, throttled, not
    /// reachable for minutes, or too many messages of others. The runs hear of such an end as a warning, and go on with
    /// lookups.
    ///
    /// Stops at once where it only waits; messages that were received are first dealt with. A poll that is under way goes
    /// on in the background and releases what it brings, for 20 s at most. Cancel safety: messages of a batch that was
    /// being dealt with are visible again after the queue's visibility timeout.
    ///
    /// # Errors
    ///
    /// What ended it, if not `stop`.
    pub async fn run(&self, stop: CancellationToken) -> Result<()> {
        let name = self.0.client.url().to_string();
        self.0.inbox.source_opened(&name);
        let end = self.read(&stop).await;
        if let Err(error) = &end {
            warn!(queue = name, %error, "the queue is read no more");
            let message = format!("queue {name} is read no more, lookups go on without it: {error}");
            self.0.inbox.source_ended(&name, &message);
        }
        end
    }

    async fn read(&self, stop: &CancellationToken) -> Result<()> {
        let mut waiting = self.0.inbox.waiting();
        let mut backoff = Backoff::default();
        let mut said = Said::default();
        loop {
            if *waiting.borrow() == 0 {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(()),
                    _ = waiting.wait_for(|runs| *runs > 0) => backoff = Backoff::default(),
                }
            }
            let asked = Instant::now();
            let Some(received) = self.receive(stop).await else { return Ok(()) };
            let messages = received?;
            let pause = match messages.is_empty() {
                true if asked.elapsed() >= HELD => {
                    backoff.empty();
                    continue;
                }
                true => backoff.answered_early(POLL, self.0.client.jitter()),
                false => self.deal_with(messages, &mut backoff, &mut said).await?,
            };
            if let Some(why) = backoff.enough(Instant::now()) {
                return Err(Error::new(ErrorKind::Busy, why));
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One long poll; `None` if it was stopped. It is never cut: the service could hand its messages to nobody.
    async fn receive(&self, stop: &CancellationToken) -> Option<Result<Vec<Message>>> {
        if stop.is_cancelled() {
            return None;
        }
        let client = self.0.client.clone();
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

    /// Hands messages on, releases those of others, deletes ours. Gives the pause until the next receive.
    async fn deal_with(
        &self,
        messages: Vec<Message>,
        backoff: &mut Backoff,
        said: &mut Said,
    ) -> Result<Duration> {
        self.warn_once(&messages, said);
        let claims = join_all(messages.iter().map(|message| self.offer(message))).await;
        let (mut ours, mut others, mut known) = (Vec::new(), Vec::new(), false);
        for (message, claim) in messages.iter().zip(claims) {
            if claim == Some(Claim::Ours) {
                ours.push(message.handle.clone());
            } else {
                known |= !backoff.is_new(&message.id);
                others.push(self.release(&message.handle));
            }
        }
        let pause = match ours.is_empty() {
            false => {
                backoff.progress(others.len());
                Duration::ZERO
            }
            true => backoff.only_foreign(others.len(), known, Instant::now(), self.0.client.jitter()),
        };
        let (released, deleted) = join(join_all(others), self.delete(&ours)).await;
        released.into_iter().collect::<Result<()>>().and(deleted).map(|()| pause)
    }

    /// Whose a message is; `None`: a run was too slow, so it had better come again.
    async fn offer(&self, message: &Message) -> Option<Claim> {
        let message_id = &message.id;
        let Some(json) = message.json() else {
            debug!(message_id, "a message that is neither JSON nor JSON in Base64");
            return Some(Claim::Foreign);
        };
        match decode(json.as_bytes(), Source::Queue) {
            Ok(Decoded::Refresh(event)) => self.0.inbox.deliver(*event).await,
            Ok(Decoded::Other(event_type)) => {
                debug!(message_id, event_type, "an event of another type");
                Some(Claim::Foreign)
            }
            Err(why) => {
                debug!(message_id, %why, "a message that is no event");
                Some(Claim::Foreign)
            }
        }
    }

    /// Makes a message visible to others again.
    ///
    /// # Errors
    ///
    /// Only what would go wrong each time: then every message that we receive would stay hidden from its owner.
    async fn release(&self, handle: &ReceiptHandle) -> Result<()> {
        match self.0.client.change_message_visibility(handle, RELEASE).await {
            Ok(_) => Ok(()),
            Err(error) if is_final(&error) => Err(error),
            Err(error) => {
                debug!(%error, "could not release a message; its visibility timeout will");
                Ok(())
            }
        }
    }

    /// Deletes messages that are ours and written down.
    async fn delete(&self, handles: &[ReceiptHandle]) -> Result<()> {
        let deleted = match handles {
            [] => return Ok(()),
            [one] => self.0.client.delete_message(one).await.map(|deleted| vec![deleted]),
            many => match self.0.client.batch_delete_message(many).await {
                // The batch is a permission of its own, which people forget.
                Err(error) if error.kind() == ErrorKind::Refused => {
                    let one_by_one = many.iter().map(|handle| self.0.client.delete_message(handle));
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
            Err(error) if is_final(&error) => Err(error),
            Err(error) => {
                // It will come again, and is deleted then.
                debug!(%error, "could not delete our own messages");
                Ok(())
            }
        }
    }

    /// Says what a person should change about the queue.
    fn warn_once(&self, messages: &[Message], said: &mut Said) {
        let client = &self.0.client;
        let name = client.url().name();
        let longest = messages.iter().filter_map(|message| message.next_visible).max();
        let hidden = longest.map(|until| until - client.service_time()).unwrap_or_default();
        if hidden > LONG_VISIBILITY && !std::mem::replace(&mut said.long_visibility, true) {
            self.0.inbox.warn(&format!(
                "queue {name} hides a received message for {} s: should this process die, others wait that long; 10 to \
                 60 s are right for a shared queue",
                hidden.num_seconds()
            ));
        }
        let often = messages.iter().map(|message| message.dequeue_count).max().unwrap_or(0);
        if often > OFTEN && !std::mem::replace(&mut said.often, true) {
            self.0.inbox.warn(&format!(
                "queue {name} holds a message that was received {often} times: too many share the queue, or messages \
                 that nobody waits for pile up"
            ));
        }
    }
}

/// Whether the next message would fare no better.
fn is_final(error: &Error) -> bool {
    use ErrorKind::{Config, Expired, Refused, Throttled};
    matches!(error.kind(), Config | Expired | Refused | Throttled)
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

    /// Stops reading. Messages that were received are dealt with first, for 1.5 s at most; there are rarely any.
    ///
    /// # Errors
    ///
    /// What had ended it before. Cancel safety: it stops all the same, in the background.
    pub async fn close(mut self) -> Result<()> {
        self.stop.cancel();
        match tokio::time::timeout(LAST_WORDS, &mut self.task).await {
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
