//! The pretend cloud: an independent reading of the VOD service, for tests, demos and people's own scripts.
//!
//! It decodes raw requests as a server does, checks signatures (version 1.0 and ACS3), times and nonces, holds the
//! service's limits, moves jobs and tasks on with time, sends signed events, and follows a script of faults. It uses the
//! crate's signatures, but not the client code that it checks. It knows nothing that the service's documentation does not
//! say; where that is unsure, [`Scenario`] has a switch.
//!
//! The files stand in layers, and each imports from lower ones only: `scenario` (plain data: [`Scenario`],
//! [`MediaScript`], [`QueueScript`], [`Fault`]) with `actions` → `request` (decodes) → `keys` → `store`, `account`,
//! `queue::store` and `log`, which `state` holds under one lock → `auth_check` → `operations` (a file for each group of
//! actions) → `shared` → `queue::serve`, `edge` (a node of the CDN) and `events` (sent later) → `handle` (one request from end
//! to end) → `http_server` and `transport`, the two ways in. `answer` writes what goes back.
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

mod account;
mod actions;
mod answer;
mod auth_check;
mod edge;
mod events;
mod handle;
mod http_server;
mod ids;
mod keys;
mod log;
mod operations;
mod queue;
mod request;
pub mod scenario;
mod shared;
mod state;
mod store;
mod transport;

#[doc = include_str!("docs/telling.md")]
pub mod telling {}

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::shared::{Shared, lock};
use crate::net::clock::Clock;
use crate::net::transport::Transport;

pub use self::answer::Reply;
pub use self::events::EventSignature;
pub use self::log::{Call, SentEvent};
pub use self::queue::store::QueuedMessage;
pub use self::scenario::{
    Callback, CredentialsUri, EdgeScript, EventScript, Fault, FaultRule, Filtering, JobScript, ListStyle,
    MediaScript, Metadata, OneByOne, Pages, QueueEncoding, QueueScript, Quota, RowSpelling, Scenario,
    SecondEnd, Shape, SizeNamed, Sts, SubmitFail, Telling, Total, Which,
};
pub use self::transport::EmulatorTransport;

/// The pretend cloud. Clones are the same cloud.
#[derive(Clone, Debug)]
pub struct Emulator {
    shared: Arc<Shared>,
}

impl Emulator {
    /// A cloud that follows `scenario`, on the machine's clock. Durations of more than ten years count as ten years.
    pub fn new(scenario: Scenario) -> Self {
        Self { shared: Arc::new(Shared::new(scenario)) }
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
        handle::handle(&self.shared, &request).await
    }

    /// A transport straight into this cloud, without sockets.
    pub fn transport(&self) -> EmulatorTransport {
        EmulatorTransport::new(Arc::clone(&self.shared))
    }

    /// Serves the API over `listener` until `shutdown`, and the logs at `/_emulator/calls` and `/_emulator/events`, the
    /// queue's messages at `/_emulator/queue`; `/_emulator/health` answers 200. Returns when every connection is gone.
    /// Cancel safety: dropping the future stops listening; what the cloud knows stays.
    pub async fn serve(&self, listener: TcpListener, shutdown: CancellationToken) {
        http_server::listen(Arc::clone(&self.shared), listener, shutdown).await;
    }

    /// Every request that came in, in order; the last 100,000.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.state().calls.iter().cloned().collect()
    }

    /// How many requests asked for `action`, one of the service's, from the beginning; refused ones count as well.
    pub fn count(&self, action: &str) -> usize {
        self.shared.state().count(action)
    }

    /// Every attempt to deliver an event, in the order in which they ended; the last 100,000.
    pub fn event_log(&self) -> Vec<SentEvent> {
        self.shared.state().events.iter().cloned().collect()
    }

    /// Faults that did not fire as often as the script says (those for ever: not once). Tests assert that there are none.
    pub fn unused_faults(&self) -> Vec<String> {
        self.shared.state().faults.unused()
    }

    /// Adds a fault while running; it comes after those that are there.
    pub fn add_fault(&self, rule: FaultRule) {
        self.shared.state().faults.add(rule);
    }

    /// Says how a media behaves from its next submission on.
    pub fn set_media(&self, media: impl Into<String>, script: MediaScript) {
        self.shared.state().set_media(media.into(), script);
    }

    /// Changes where events go from now on, also those of jobs already submitted.
    pub fn set_callback(&self, callback: Option<Callback>) {
        let mut state = self.shared.state();
        state.scenario.callback = callback;
        // The last change counts, whoever makes it.
        state.event_settings.forget_default();
    }

    /// Gives a key a new security token; its old one is answered with `InvalidSecurityToken.Expired` from now on.
    pub fn set_token(&self, key_id: impl Into<String>, token: impl Into<String>) {
        let mut state = self.shared.state();
        if let Some(old) = state.scenario.tokens.insert(key_id.into(), token.into()) {
            state.keys.expired_tokens.insert(old);
        }
    }

    /// Ends every temporary key that was given out: `InvalidSecurityToken.Expired` from now on.
    pub fn revoke_sessions(&self) {
        self.shared.state().keys.revoke_sessions();
    }

    /// Changes other fields of the scenario while it runs. Media, faults, jobs and the queue are taken from it at the start:
    /// changes to them do nothing here.
    pub fn change_scenario(&self, change: impl FnOnce(&mut Scenario)) {
        change(&mut self.shared.state().scenario);
    }

    /// Makes a task complete from now on, if it has not ended; returns how many rows that were.
    pub fn complete_task(&self, task_id: &str) -> usize {
        let mut state = self.shared.state();
        let now = state.now;
        state.store.complete(task_id, now)
    }

    /// Puts a message into the queue as it is, and returns its id; `None` if the scenario has no queue.
    pub fn put_message(&self, body: impl Into<String>) -> Option<String> {
        let id = {
            let mut state = self.shared.opened();
            let now = state.now;
            state.queue.as_mut().map(|queue| queue.put(body.into(), now))
        };
        self.shared.queue_changed.notify_waiters();
        id
    }

    /// The messages in the queue, hidden ones as well, the oldest first.
    pub fn queue_messages(&self) -> Vec<QueuedMessage> {
        self.shared.queue_messages()
    }

    /// Ids of the jobs that exist, in no order.
    pub fn job_ids(&self) -> Vec<String> {
        self.shared.opened().store.jobs.keys().cloned().collect()
    }

    /// The task ids of one media of a job, in the order of its URLs; empty if there is no such media.
    pub fn task_ids(&self, job_id: &str, media: &str) -> Vec<String> {
        let state = self.shared.state();
        let rows = state.store.jobs.get(job_id).map(|job| job.media.as_slice()).unwrap_or_default();
        rows.iter().find(|row| row.media == media).map(|row| row.task_ids.clone()).unwrap_or_default()
    }

    /// The event that the cloud would send now for one media of a job: something to forge from.
    pub fn event_for(&self, job_id: &str, media: &str) -> Option<serde_json::Value> {
        events::body(&self.shared.state(), job_id, media)
    }

    /// Posts an event by hand, once: forged, late, foreign, or no event at all.
    ///
    /// It goes to `url`, or to the scenario's callback, and is signed with the scenario's key as `signature` says.
    /// Returns the status that the receiver answered; `None` if no answer came, or there is nowhere to send it.
    /// Cancel safety: the receiver may or may not have had it.
    pub async fn send_event(
        &self,
        url: Option<&str>,
        body: impl Into<String>,
        signature: EventSignature,
    ) -> Option<u16> {
        self.shared.send_by_hand(url, body.into(), signature).await
    }
}
