//! The pretend cloud: an independent reading of the VOD service, for tests, demos and people's own scripts.
//!
//! It decodes raw requests as a server does, checks signatures (version 1.0 and ACS3), times and nonces, holds the
//! service's limits, moves jobs and tasks on with time, sends signed events, and follows a script of faults. It uses the
//! crate's words and signatures but not the client code it checks. It knows nothing that the service's documentation
//! does not say; where that is unsure, [`Scenario`] has a switch.
//!
//! The walk of one request, a file for each step: `wire` (decode) → `gate` (key, time, signature, nonce, action) →
//! `fault` (does a fault strike?) → `state` (rate, permission) → `submit`, `lookup` or `tasks` (the work, on what
//! `store` holds) → `reply` and `answer` (what goes back) → `deliver` (events, later). `socket` and `transport` are the
//! two ways in.
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
mod deliver;
mod duration;
mod fault;
mod gate;
mod ids;
mod log;
mod lookup;
mod media;
mod pace;
mod reply;
pub mod scenario;
mod socket;
mod state;
mod store;
mod submit;
mod tasks;
mod transport;
mod wire;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::answer::{Envelope, Format, Problem};
use self::deliver::Letter;
use self::state::{Done, PlannedEvent, State};
use self::wire::Received;
use crate::net::clock::{Clock, SystemClock};
use crate::net::transport::Transport;

pub use self::deliver::EventSignature;
pub use self::fault::{Fault, FaultRule};
pub use self::log::{Call, SentEvent};
pub use self::media::{EventScript, MediaScript, SubmitFail, Which};
pub use self::reply::Reply;
pub use self::scenario::{Callback, JobScript, Scenario};
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
}

/// A lock that a panic elsewhere does not spoil: what is held stays whole between two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The cloud's own time of day.
    fn now(&self) -> DateTime<Utc> {
        let now = lock(&self.clock).now();
        now + TimeDelta::try_seconds(lock(&self.state).scenario.clock_offset).unwrap_or_default()
    }
}

impl Emulator {
    /// A cloud that follows `scenario`, on the machine's clock.
    pub fn new(scenario: Scenario) -> Self {
        let shared = Shared {
            state: Mutex::new(State::new(scenario)),
            clock: Mutex::new(Arc::new(SystemClock)),
            event_transport: Mutex::new(None),
            posts: Semaphore::new(deliver::AT_ONCE),
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
    /// Cancel safety: the work is done at the first poll; dropping the future afterwards only loses the answer.
    pub async fn handle(&self, request: http::Request<Bytes>) -> Reply {
        let work = self.work(&request);
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

    /// Serves the API over `listener` until `shutdown`, and the logs at `/_emulator/calls` and `/_emulator/events`;
    /// `/_emulator/health` answers 200. Returns when every connection is gone.
    pub async fn serve(&self, listener: TcpListener, shutdown: CancellationToken) {
        socket::listen(self.clone(), listener, shutdown).await;
    }

    /// Every request that came in, in order; the last 100,000.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.shared.state).calls.iter().cloned().collect()
    }

    /// How many of those asked for `action`.
    pub fn count(&self, action: &str) -> usize {
        lock(&self.shared.state).calls.iter().filter(|call| call.action == action).count()
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
        lock(&self.shared.state).faults.add(rule);
    }

    /// Says how a media behaves from its next submission on.
    pub fn set_media(&self, media: impl Into<String>, script: MediaScript) {
        lock(&self.shared.state).set_media(media.into(), script);
    }

    /// Changes where events go from now on, also those of jobs already submitted.
    pub fn set_callback(&self, callback: Option<Callback>) {
        lock(&self.shared.state).scenario.callback = callback;
    }

    /// Gives a key a new security token; its old one is answered with `InvalidSecurityToken.Expired` from now on.
    pub fn set_token(&self, key_id: impl Into<String>, token: impl Into<String>) {
        let mut state = lock(&self.shared.state);
        if let Some(old) = state.scenario.tokens.insert(key_id.into(), token.into()) {
            state.memory.expired_tokens.insert(old);
        }
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
    pub async fn send_event(
        &self,
        url: Option<&str>,
        body: impl Into<String>,
        signature: EventSignature,
    ) -> Option<u16> {
        let callback = lock(&self.shared.state).scenario.callback.clone();
        let (own_url, key) = callback.map_or((None, None), |c| (Some(c.url), c.key));
        let url = url.map(str::to_owned).or(own_url)?;
        let letter = Letter { kind: "by_hand", body: body.into(), signature };
        self.shared.post(&url, key.as_deref(), &letter, 1).await
    }

    /// All that is done about one request, at one moment.
    fn work(&self, request: &http::Request<Bytes>) -> Work {
        let now = self.shared.now();
        let state = &mut *lock(&self.shared.state);
        state.open_scripted_jobs(now);
        let mut envelope = Envelope {
            request_id: state.ids.request(),
            host: "vod.emulator.test".into(),
            action: String::new(),
            format: Format::Json,
            now,
        };
        let received = match wire::read(request) {
            Ok(received) => received,
            Err(problem) => {
                state.calls.push(call(&envelope, None, request.method(), &problem.code));
                return Work::refused(state, &envelope, problem);
            }
        };
        envelope.describe(&received);
        let admitted = match gate::admit(&received, now, &state.scenario, &mut state.memory) {
            Ok(admitted) => admitted,
            Err(problem) => {
                state.calls.push(call(&envelope, Some(&received), request.method(), &problem.code));
                return Work::refused(state, &envelope, problem);
            }
        };
        let fault = state.faults.pick(&admitted.action, &admitted.params);
        let done = match &fault {
            Some(fault) if !fault.does_the_work() => Ok(Done::of(serde_json::json!({}))),
            _ => state.perform(&admitted.action, &admitted.params, now),
        };
        let outcome = match (&fault, &done) {
            (Some(fault), _) => fault.name(),
            (None, Ok(_)) => "ok",
            (None, Err(problem)) => &problem.code,
        };
        state.calls.push(call(&envelope, Some(&received), request.method(), outcome));
        let mut delay = state.scenario.latency;
        if let Some(Fault::Delay { by }) = &fault {
            delay += *by;
        }
        let (outcome, events) = match done {
            Ok(done) => {
                delay += done.hold;
                (Ok(done.body), done.events)
            }
            Err(problem) => (Err(problem), Vec::new()),
        };
        Work { reply: reply::reply(&envelope, &outcome, fault.as_ref()), events, delay }
    }
}

/// What comes of a request.
struct Work {
    reply: Reply,
    events: Vec<PlannedEvent>,
    /// The reply takes this long.
    delay: Duration,
}

impl Work {
    fn refused(state: &State, envelope: &Envelope, problem: Problem) -> Self {
        Self {
            reply: Reply::Answer(envelope.problem(problem)),
            events: Vec::new(),
            delay: state.scenario.latency,
        }
    }
}

impl Envelope {
    /// Takes over what the request says about its answer: XML is the default of signature version 1.0.
    fn describe(&mut self, received: &Received) {
        self.action = received.action().to_owned();
        if let Some(host) = &received.host {
            self.host.clone_from(host);
        }
        let v3 = received.header("authorization").is_some_and(gate::is_v3);
        let wants_json = received.param("Format").is_some_and(|format| format.eq_ignore_ascii_case("json"));
        self.format = if v3 || wants_json { Format::Json } else { Format::Xml };
    }
}

/// The line in the log of calls.
fn call(envelope: &Envelope, received: Option<&Received>, method: &http::Method, outcome: &str) -> Call {
    let claims = received.map(gate::claims).unwrap_or_default();
    let mut params = received.map(Received::params).unwrap_or_default();
    params.remove("Signature");
    if let Some(token) = params.get_mut("SecurityToken") {
        *token = "***".into();
    }
    Call {
        at: envelope.now,
        action: envelope.action.clone(),
        method: method.to_string(),
        params,
        key_id: claims.key_id,
        nonce: claims.nonce,
        signature_version: claims.version,
        request_id: envelope.request_id.clone(),
        outcome: outcome.to_owned(),
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.shared.state);
        f.debug_struct("Emulator").field("jobs", &state.store.jobs.len()).finish_non_exhaustive()
    }
}
