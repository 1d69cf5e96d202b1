//! One request from end to end: read, checked, spoilt by a fault where a rule says so, done, logged and answered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::json;

use super::answer::{Body, Envelope, Format, Reply};
use super::auth_check;
use super::edge;
use super::events;
use super::log::Call;
use super::operations::{self, metadata};
use super::queue::request::Operation;
use super::queue::serve;
use super::queue::store::Queue;
use super::request::{Problem, Received};
use super::scenario::Fault;
use super::scenario::duration::LONGEST;
use super::shared::Shared;
use super::state::{PlannedEvent, State};

/// What is known about a request once its moment under the lock is over.
struct Handled {
    envelope: Envelope,
    work: Work,
    fault: Option<Fault>,
    events: Vec<PlannedEvent>,
    /// The answer takes this long.
    delay: Duration,
}

enum Work {
    Done(Result<Body, Problem>),
    /// An operation of the queue, which may wait for messages.
    Queue(Operation),
}

/// What a request asks for; its name is the action of the envelope.
enum Asked {
    Action,
    /// A request that is known by its path.
    Path,
    Queue(Operation),
}

/// Takes one request. Its work is done at the first poll, but for a receive that waits for a message: dropped, that takes
/// none.
pub(super) async fn handle(shared: &Arc<Shared>, request: &http::Request<Bytes>) -> Reply {
    if let Some(reply) = edge::answer(shared, request) {
        return reply;
    }
    let Handled { mut envelope, work, fault, events, delay } = begin(shared, request);
    events::schedule(shared, events);
    let outcome = match work {
        Work::Done(outcome) => outcome,
        Work::Queue(operation) => serve::perform(shared, operation).await,
    };
    if !delay.is_zero() {
        tokio::time::sleep(delay.min(LONGEST)).await;
    }
    if envelope.format == Format::Queue {
        // A long poll may have taken half a minute.
        envelope.now = shared.state().now;
    }
    envelope.reply(&outcome, fault.as_ref())
}

/// Does all that is done about a request at one moment, under the lock.
fn begin(shared: &Shared, request: &http::Request<Bytes>) -> Handled {
    let state = &mut *shared.opened();
    let mut handled = Handled {
        envelope: Envelope::new(state.ids.request(), state.now),
        work: Work::Done(Ok(Body::Fields(json!({})))),
        fault: None,
        events: Vec::new(),
        delay: state.scenario.latency,
    };
    let received = Received::read(request);
    let begun =
        received.as_ref().map_err(Clone::clone).and_then(|received| work(state, &mut handled, received));
    if let Err(problem) = begun {
        handled.work = Work::Done(Err(problem));
    }
    let outcome = match (&handled.fault, &handled.work) {
        (Some(fault), _) => fault.name(),
        (None, Work::Done(Err(problem))) => problem.code.clone(),
        (None, Work::Done(Ok(Body::Plain(status, _)))) if *status != 200 => status.to_string(),
        (None, _) => "ok".to_owned(),
    };
    state.record(call(&handled.envelope, received.as_ref().ok(), request.method(), outcome));
    handled
}

/// Checks a request, and does its work or leaves it to a fault.
fn work(state: &mut State, handled: &mut Handled, received: &Received) -> Result<(), Problem> {
    let asked = ask(state, &mut handled.envelope, received)?;
    let action = &handled.envelope.action;
    handled.fault = state.faults.pick(action, &received.params());
    match &handled.fault {
        Some(Fault::Delay { by }) => handled.delay = handled.delay.saturating_add(*by),
        // The fault stands for the answer.
        Some(fault) if !fault.does_the_work() => return Ok(()),
        _ => {}
    }
    handled.work = match asked {
        Asked::Path => Work::Done(Ok(metadata::answer(state, action, received))),
        Asked::Action => {
            let done = operations::perform(state, action, received)?;
            handled.delay = handled.delay.saturating_add(done.hold);
            handled.events = done.events;
            Work::Done(Ok(done.body))
        }
        Asked::Queue(operation) => {
            check_limits_of_queue(state, action)?;
            Work::Queue(operation)
        }
    };
    Ok(())
}

/// Reads and checks what a request asks for, and how it wants to be answered.
fn ask(state: &mut State, envelope: &mut Envelope, received: &Received) -> Result<Asked, Problem> {
    if let Some(name) = metadata::name_of(received) {
        name.clone_into(&mut envelope.action);
        return Ok(Asked::Path);
    }
    if received.is_of_queue() {
        envelope.format = Format::Queue;
        auth_check::check_queue(received, state)?;
        let operation = Operation::read(received, state.queue.as_ref().map(Queue::name))?;
        operation.name().clone_into(&mut envelope.action);
        return Ok(Asked::Queue(operation));
    }
    received.action().clone_into(&mut envelope.action);
    if let Some(host) = &received.host {
        envelope.host.clone_from(host);
    }
    // XML is the default of signature version 1.0.
    let wants_json = received.given("Format").is_some_and(|format| format.eq_ignore_ascii_case("json"));
    if auth_check::acs3_authorization(received).is_none() && !wants_json {
        envelope.format = Format::Xml;
    }
    auth_check::check(received, state)?;
    Ok(Asked::Action)
}

/// Whether the rate and the permissions allow an operation of the queue.
fn check_limits_of_queue(state: &mut State, name: &str) -> Result<(), Problem> {
    if !state.keeps_rate(name) {
        return Err(Problem::new(429, "TooManyRequests", "The request is throttled, please try later."));
    }
    if state.is_denied(name) {
        let message =
            format!("The OwnerId that your Access Key Id associated to is forbidden for mns:{name}.");
        return Err(Problem::new(403, "AccessDenied", message));
    }
    Ok(())
}

/// The line in the log of calls.
fn call(envelope: &Envelope, received: Option<&Received>, method: &Method, outcome: String) -> Call {
    let claims = received.map(auth_check::claims).unwrap_or_default();
    let mut params = received.map(Received::params).unwrap_or_default();
    // A receipt handle is as good as the message.
    params.retain(|name, _| name != "Signature" && name != "ReceiptHandle");
    for secret in ["SecurityToken", "OIDCToken", "AuthKey"] {
        if let Some(value) = params.get_mut(secret) {
            *value = "***".into();
        }
    }
    Call {
        at: envelope.now,
        action: envelope.action.clone(),
        method: method.to_string(),
        params,
        key_id: claims.key_id.to_owned(),
        nonce: claims.nonce.to_owned(),
        signature_version: claims.signature_version,
        request_id: envelope.request_id.clone(),
        outcome,
    }
}
