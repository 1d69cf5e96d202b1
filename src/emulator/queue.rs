//! The queue of the pretend cloud: one, at `/queues/NAME`, as the queue service serves it.
//!
//! It reads the raw request itself (`request`: which operation, signed rightly?), holds messages with their visibility and
//! handles (`store`), and writes the service's XML (`answer`). What the scenario says about it stands in `script`. A
//! receive that finds nothing waits here, woken by a message that is sent or released, or that turns visible.

mod answer;
mod request;
mod script;
mod store;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep_until};

use super::answer::Problem;
use super::fault::Fault;
use super::log::Call;
use super::reply::Reply;
use super::state::State;
use super::{Shared, lock};
use answer::{Envelope, Outcome};
use request::Operation;

pub use script::{QueueEncoding, QueueScript};
pub(super) use store::Queue;
pub use store::QueuedMessage;

/// The operations that there are.
pub(super) const OPERATIONS: &[&str] = &[
    "ReceiveMessage",
    "BatchReceiveMessage",
    "PeekMessage",
    "BatchPeekMessage",
    "DeleteMessage",
    "BatchDeleteMessage",
    "ChangeMessageVisibility",
    "SendMessage",
    "GetQueueAttributes",
];

/// Whether a path is the queue's to serve.
pub(super) fn serves(path: &str) -> bool {
    path.starts_with("/queues/")
}

/// One request from end to end.
pub(super) async fn handle(shared: &Arc<Shared>, request: &http::Request<Bytes>) -> Reply {
    let now = shared.now();
    let mut envelope = Envelope { request_id: lock(&shared.state).ids.request(), now };
    let (operation, fault) = match begin(shared, request, &envelope) {
        Ok(begun) => begun,
        Err(problem) => return Reply::Answer(envelope.problem(&problem)),
    };
    let outcome = match &fault {
        Some(fault) if !fault.does_the_work() => Ok(Outcome::Nothing),
        _ => perform(shared, operation).await,
    };
    let mut delay = lock(&shared.state).scenario.latency;
    if let Some(Fault::Delay { by }) = &fault {
        delay += *by;
    }
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    envelope.now = shared.now();
    envelope.reply(&outcome, fault.as_ref())
}

/// Reads and checks a request, logs it, and picks the fault that strikes it.
fn begin(
    shared: &Shared,
    request: &http::Request<Bytes>,
    envelope: &Envelope,
) -> Result<(Operation, Option<Fault>), Problem> {
    let state = &mut *lock(&shared.state);
    state.open_scripted_jobs(envelope.now);
    let read = request::read(request, envelope.now, state);
    let (operation, params) = match read {
        Ok(read) => read,
        Err(problem) => {
            record(state, envelope, request, "", &problem.code);
            return Err(problem);
        }
    };
    let name = operation.name();
    let refusal = if !state.allows(name, envelope.now) {
        Some(Problem::new(429, "TooManyRequests", "The request is throttled, please try later."))
    } else if state.scenario.deny.iter().any(|denied| denied == name) {
        let message =
            format!("The OwnerId that your Access Key Id associated to is forbidden for mns:{name}.");
        Some(Problem::new(403, "AccessDenied", message))
    } else {
        None
    };
    let fault = state.faults.pick(name, &params);
    let outcome = match (&fault, &refusal) {
        (Some(fault), _) => fault.name(),
        (None, Some(problem)) => &problem.code,
        (None, None) => "ok",
    };
    record(state, envelope, request, name, outcome);
    match (fault, refusal) {
        (None, Some(problem)) => Err(problem),
        (fault, _) => Ok((operation, fault)),
    }
}

fn record(state: &mut State, envelope: &Envelope, request: &http::Request<Bytes>, name: &str, outcome: &str) {
    state.record(Call {
        at: envelope.now,
        action: name.to_owned(),
        method: request.method().to_string(),
        // Without the handle, which is as good as the message.
        params: request::params(request).into_iter().filter(|(name, _)| name != "ReceiptHandle").collect(),
        key_id: request::key_id(request).to_owned(),
        nonce: String::new(),
        signature_version: "MNS",
        request_id: envelope.request_id.clone(),
        outcome: outcome.to_owned(),
    });
}

async fn perform(shared: &Arc<Shared>, operation: Operation) -> Result<Outcome, Problem> {
    if let Operation::Receive { most, wait, batch } = operation {
        let taken = receive(shared, most, wait).await?;
        return Ok(Outcome::Received { messages: taken, batch });
    }
    let now = shared.now();
    let state = &mut *lock(&shared.state);
    let queue = state.queue.as_mut().ok_or_else(Problem::no_queue)?;
    Ok(match operation {
        Operation::Peek { most, batch } => match queue.peek(most, now) {
            empty if empty.is_empty() => return Err(Problem::empty_queue()),
            messages => Outcome::Peeked { messages, batch },
        },
        Operation::Delete { handle } => {
            queue.delete(&handle, now)?;
            Outcome::Nothing
        }
        Operation::BatchDelete { handles } => {
            let failed = |handle: String| queue.delete(&handle, now).err().map(|problem| (handle, problem));
            Outcome::Deleted { failures: handles.into_iter().filter_map(failed).collect() }
        }
        Operation::Hide { handle, span } => {
            let (handle, until) = queue.hide(&handle, span, now)?;
            shared.bell.notify_waiters();
            Outcome::Hidden { handle, until }
        }
        Operation::Send { body } => {
            let body_md5 = answer::body_md5(&body);
            let id = queue.put(body, now);
            shared.bell.notify_waiters();
            Outcome::Sent { id, body_md5 }
        }
        Operation::Attributes | Operation::Receive { .. } => {
            Outcome::Attributes { script: queue.script.clone(), created: queue.created }
        }
    })
}

/// Takes messages, waiting for the first if need be.
async fn receive(shared: &Arc<Shared>, most: usize, wait: Duration) -> Result<Vec<QueuedMessage>, Problem> {
    let until = Instant::now() + wait;
    let mut seat = None;
    loop {
        // Registered before looking, or a message that comes in between wakes nobody.
        let mut rung = std::pin::pin!(shared.bell.notified());
        rung.as_mut().enable();
        let now = shared.now();
        let next = {
            let state = &mut *lock(&shared.state);
            let queue = state.queue.as_mut().ok_or_else(Problem::no_queue)?;
            let taken = queue.take(most, now);
            if !taken.is_empty() {
                return Ok(taken);
            }
            if seat.is_none() {
                if queue.script.poll_cap.is_some_and(|cap| queue.polls >= cap) {
                    return Err(Problem::empty_queue());
                }
                queue.polls += 1;
                seat = Some(Seat(shared.clone()));
            }
            queue.next_visible(now)
        };
        if Instant::now() >= until {
            return Err(Problem::empty_queue());
        }
        let turns_visible =
            next.map(|at: DateTime<Utc>| Instant::now() + (at - now).to_std().unwrap_or_default());
        tokio::select! {
            biased;
            () = rung => {}
            () = sleep_until(turns_visible.map_or(until, |at| at.min(until))) => {}
        }
    }
}

/// A poll that waits; it may be dropped at any time.
struct Seat(Arc<Shared>);

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(queue) = &mut lock(&self.0.state).queue {
            queue.polls -= 1;
        }
    }
}

impl Problem {
    fn empty_queue() -> Self {
        Self::new(404, "MessageNotExist", "Message not exist.")
    }

    fn no_queue() -> Self {
        Self::new(404, "QueueNotExist", "The queue name you provided is not exist.")
    }
}
