//! The pretend cloud: an independent reading of the VOD service, for tests, demos and people's own scripts.
//!
//! It decodes raw requests as a server does, checks signatures (version 1.0 and ACS3), times and nonces, holds the
//! service's limits, moves jobs and tasks on with time, sends signed events, and follows a script of faults. It uses the
//! crate's words and signatures but not the client code it checks. It knows nothing that the service's documentation
//! does not say; where that is unsure, [`Scenario`] has a switch.
//!
//! The walk of one request begins in `work`, with a file for each step: `wire` (decode) → `gate` and `signature`
//! (key, time, signature, nonce, action) → `rules` (does a fault strike?) → `state` (rate, permission) → `submit`,
//! `lookup` or `tasks`, `settings` or `quota` (the work, on what `store` holds), or `sts` (temporary keys, which
//! `sessions` keeps) → `reply` and `answer` (what goes back) → `deliver` (events, later). `telling` makes the rows
//! that are shown out of honest ones, and `pages` cuts and counts them. Beside the API, `metadata` answers by path
//! alone, and requests under `/queues/` go to `queue`. `socket` and `transport` are the two ways in. What can be
//! scripted: [`Scenario`], [`MediaScript`], [`QueueScript`], [`Fault`].
//!
//! ```
//! use vod_refresh::emulator::{Emulator, Fault, FaultRule, MediaScript, Scenario};
//!
//! let emulator = Emulator::new(
//!     Scenario::new()
//!         .with_media("gone", MediaScript::missing())
//!         .with_fault(FaultRule::on("GetMediaRefreshJobs", Fault::throttle()).times(2)),
//! );
//! let transport = emulator.transport(); // for a client in this process; `serve` is for all others
//! assert_eq!(emulator.unused_faults().len(), 1);
//! ```

mod answer;
mod bounds;
mod build;
mod deliver;
mod duration;
mod fault;
mod filters;
mod gate;
mod ids;
mod log;
mod lookup;
mod media;
mod memory;
mod metadata;
mod pace;
mod pages;
mod queue;
mod quota;
mod reply;
mod rules;
pub mod scenario;
mod sessions;
mod settings;
mod signature;
mod socket;
mod spelling;
mod state;
mod store;
mod sts;
mod submit;
mod tasks;
pub mod telling;
mod transport;
mod wire;
mod work;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use self::deliver::Letter;
use self::state::State;
use crate::net::clock::{Clock, SystemClock};
use crate::net::transport::Transport;

pub use self::deliver::EventSignature;
pub use self::fault::{Fault, Shape};
pub use self::filters::Filtering;
pub use self::log::{Call, SentEvent};
pub use self::media::{EventScript, MediaScript, SubmitFail, Which};
pub use self::metadata::{CredentialsUri, Metadata};
pub use self::pages::{Pages, SizeNamed, Total};
pub use self::queue::{QueueEncoding, QueueScript, QueuedMessage};
pub use self::quota::Quota;
pub use self::reply::Reply;
pub use self::rules::FaultRule;
pub use self::scenario::{Callback, JobScript, Scenario};
pub use self::spelling::{ListStyle, RowSpelling};
pub use self::sts::Sts;
pub use self::telling::{OneByOne, SecondEnd, Telling};
pub use self::transport::EmulatorTransport;

/// The pretend cloud. Clones are the same cloud.
#[derive(Clone)]
pub struct Emulator {
    shared: Arc<Shared>,
}

struct Shared {
    /// A plain mutex: nothing waits while it is held, and no part of the state is used without another.
    state: Mutex<State>,
    clock: Mutex<Arc<dyn Clock>>,
    event_transport: Mutex<Option<Arc<dyn Transport>>>,
    /// One permit for each event on its way.
    posts: Semaphore,
    /// Wakes polls of the queue: a message was sent or released.
    bell: Notify,
    /// One line in the log about missing transport, not one for each event.
    warned: Once,
}

/// A lock that a panic elsewhere does not spoil: what is held stays whole between two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The cloud's own time of day.
    fn now(&self) -> DateTime<Utc> {
        let now = lock(&self.clock).now();
        let offset = TimeDelta::try_seconds(lock(&self.state).scenario.clock_offset).unwrap_or_default();
        now.checked_add_signed(offset).unwrap_or(now)
    }
}

impl Emulator {
    /// A cloud that follows `scenario`, on the machine's clock. Durations of more than ten years count as ten years.
    pub fn new(scenario: Scenario) -> Self {
        let shared = Shared {
            state: Mutex::new(State::new(scenario.cut())),
            clock: Mutex::new(Arc::new(SystemClock)),
            event_transport: Mutex::new(None),
            posts: Semaphore::new(deliver::AT_ONCE),
            bell: Notify::new(),
            warned: Once::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Sets the clock; before first use.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        *lock(&self.shared.clock) = clock;
        self
    }

    /// Sets how events are posted. Without one no event is sent, with a warning in the log.
    #[must_use]
    pub fn with_event_transport(self, transport: Arc<dyn Transport>) -> Self {
        *lock(&self.shared.event_transport) = Some(transport);
        self
    }

    /// Takes one request, in process. Must be called inside a tokio runtime.
    ///
    /// Cancel safety: the work is done at the first poll; dropping the future afterwards only loses the answer. A receive
    /// that waits for a message takes none when it is dropped.
    pub async fn handle(&self, request: http::Request<Bytes>) -> Reply {
        if queue::serves(request.uri().path()) {
            return queue::handle(&self.shared, &request).await;
        }
        let work = self.shared.work(&request);
        deliver::schedule(&self.shared, work.events);
        if !work.delay.is_zero() {
            tokio::time::sleep(work.delay).await;
        }
        work.reply
    }

    /// A transport straight into this cloud, without sockets.
    pub fn transport(&self) -> EmulatorTransport {
        EmulatorTransport::new(self.clone())
    }

    /// Serves the API over `listener` until `shutdown`, and the logs at `/_emulator/calls` and `/_emulator/events`, the
    /// queue's messages at `/_emulator/queue`; `/_emulator/health` answers 200. Returns when every connection is gone.
    /// Cancel safety: dropping the future stops listening; what the cloud knows stays.
    pub async fn serve(&self, listener: TcpListener, shutdown: CancellationToken) {
        socket::listen(self.clone(), listener, shutdown).await;
    }

    /// Every request that came in, in order; the last 100,000.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.shared.state).calls.iter().cloned().collect()
    }

    /// How many requests asked for `action`, one of the service's, from the beginning; refused ones count as well.
    pub fn count(&self, action: &str) -> usize {
        lock(&self.shared.state).count(action)
    }

    /// Every attempt to deliver an event, in the order in which they ended; the last 100,000.
    pub fn event_log(&self) -> Vec<SentEvent> {
        lock(&self.shared.state).events.iter().cloned().collect()
    }

    /// Faults that did not fire as often as the script says (those for ever: not once). Tests assert that there are none.
    pub fn unused_faults(&self) -> Vec<String> {
        lock(&self.shared.state).faults.unused()
    }

    /// Adds a fault while running; it comes after those that are there.
    pub fn add_fault(&self, rule: FaultRule) {
        lock(&self.shared.state).faults.add(rule.cut());
    }

    /// Says how a media behaves from its next submission on.
    pub fn set_media(&self, media: impl Into<String>, script: MediaScript) {
        lock(&self.shared.state).set_media(media.into(), script.cut());
    }

    /// Changes where events go from now on, also those of jobs already submitted.
    pub fn set_callback(&self, callback: Option<Callback>) {
        let mut state = lock(&self.shared.state);
        state.scenario.callback = callback;
        // The newest word counts, whoever says it.
        state.settings.forget_default();
    }

    /// Gives a key a new security token; its old one is answered with `InvalidSecurityToken.Expired` from now on.
    pub fn set_token(&self, key_id: impl Into<String>, token: impl Into<String>) {
        let mut state = lock(&self.shared.state);
        if let Some(old) = state.scenario.tokens.insert(key_id.into(), token.into()) {
            state.memory.expired_tokens.insert(old);
        }
    }

    /// Ends every temporary key that was given out: `InvalidSecurityToken.Expired` from now on.
    pub fn revoke_sessions(&self) {
        lock(&self.shared.state).memory.sessions.revoke_all();
    }

    /// Changes how the token service behaves from now on.
    pub fn set_sts(&self, sts: Sts) {
        lock(&self.shared.state).scenario.sts = sts.cut();
    }

    /// Adds or changes an access key.
    pub fn set_key(&self, key_id: impl Into<String>, secret: impl Into<String>) {
        lock(&self.shared.state).scenario.keys.insert(key_id.into(), secret.into());
    }

    /// Makes a task complete from now on, if it has not ended; gives back how many rows that were.
    pub fn complete_task(&self, task_id: &str) -> usize {
        let now = self.shared.now();
        lock(&self.shared.state).store.complete(task_id, now)
    }

    /// Puts a message into the queue as it is, and gives back its id; `None` if the scenario has no queue.
    pub fn put_message(&self, body: impl Into<String>) -> Option<String> {
        let now = self.shared.now();
        let id = {
            let mut state = lock(&self.shared.state);
            state.open_scripted_jobs(now);
            state.queue.as_mut().map(|queue| queue.put(body.into(), now))
        };
        self.shared.bell.notify_waiters();
        id
    }

    /// The messages in the queue, hidden ones as well, the oldest first.
    pub fn queue_messages(&self) -> Vec<QueuedMessage> {
        let now = self.shared.now();
        let mut state = lock(&self.shared.state);
        state.open_scripted_jobs(now);
        state.queue.as_ref().map(queue::Queue::list).unwrap_or_default()
    }

    /// Ids of the jobs that exist, in no order.
    pub fn job_ids(&self) -> Vec<String> {
        let now = self.shared.now();
        let mut state = lock(&self.shared.state);
        state.open_scripted_jobs(now);
        state.store.jobs.keys().cloned().collect()
    }

    /// The task ids of one media of a job, in the order of its URLs; empty if there is no such media.
    pub fn task_ids(&self, job_id: &str, media: &str) -> Vec<String> {
        let state = lock(&self.shared.state);
        let rows = state.store.jobs.get(job_id).map(|job| job.media.as_slice()).unwrap_or_default();
        rows.iter().find(|row| row.media == media).map(|row| row.task_ids.clone()).unwrap_or_default()
    }

    /// The event that the cloud would send now for one media of a job: something to forge from.
    pub fn event_for(&self, job_id: &str, media: &str) -> Option<serde_json::Value> {
        let now = self.shared.now();
        deliver::body(&lock(&self.shared.state), job_id, media, now)
    }

    /// Posts an event by hand, once: forged, late, foreign, or no event at all.
    ///
    /// It goes to `url`, or to the scenario's callback, and is signed with the scenario's key as `signature` says.
    /// Gives back the status that the receiver answered; `None` if no answer came, or there is nowhere to send it.
    /// Cancel safety: the receiver may or may not have had it.
    pub async fn send_event(
        &self,
        url: Option<&str>,
        body: impl Into<String>,
        signature: EventSignature,
    ) -> Option<u16> {
        let callback = lock(&self.shared.state).callback();
        let (own_url, key) = callback.map_or((None, None), |c| (Some(c.url), c.key));
        let url = url.map(str::to_owned).or(own_url)?;
        let letter = Letter { kind: "by_hand", body: body.into(), signature, only_http: true };
        self.shared.post(&url, key.as_deref(), &letter, 1).await.and_then(|(_, status)| status)
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.shared.state);
        f.debug_struct("Emulator").field("jobs", &state.store.jobs.len()).finish_non_exhaustive()
    }
}
