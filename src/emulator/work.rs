//! One request from end to end, at one moment and under one lock.

use std::time::Duration;

use bytes::Bytes;

use super::answer::{Envelope, Format, Problem};
use super::fault::Fault;
use super::log::Call;
use super::reply::{self, Reply};
use super::state::{Done, PlannedEvent, State};
use super::wire::{self, Received};
use super::{Shared, gate, lock, metadata, signature};

/// What comes of a request.
pub(super) struct Work {
    pub(super) reply: Reply,
    pub(super) events: Vec<PlannedEvent>,
    /// The reply takes this long.
    pub(super) delay: Duration,
}

impl Shared {
    /// All that is done about one request, at one moment.
    pub(super) fn work(&self, request: &http::Request<Bytes>) -> Work {
        let now = self.now();
        let state = &mut *lock(&self.state);
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
                state.record(call(&envelope, None, request.method(), &problem.code));
                return Work::refused(state, &envelope, problem);
            }
        };
        if let Some(page) = metadata::page(&received) {
            return self.page(state, envelope, &received, page);
        }
        envelope.describe(&received);
        let admitted = match gate::admit(&received, now, &state.scenario, &mut state.memory) {
            Ok(admitted) => admitted,
            Err(problem) => {
                state.record(call(&envelope, Some(&received), request.method(), &problem.code));
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
        state.record(call(&envelope, Some(&received), request.method(), outcome));
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

impl Shared {
    /// The same for what is found by its path, and asked without a signature.
    fn page(
        &self,
        state: &mut State,
        mut envelope: Envelope,
        received: &Received,
        page: metadata::Page<'_>,
    ) -> Work {
        page.name().clone_into(&mut envelope.action);
        let fault = state.faults.pick(page.name(), &received.params());
        let (status, body) = match &fault {
            Some(fault) if !fault.does_the_work() => (200, serde_json::json!({})),
            _ => metadata::turn(state, page, received, envelope.now),
        };
        let status_text = status.to_string();
        let outcome = match &fault {
            Some(fault) => fault.name(),
            None if status == 200 => "ok",
            None => &status_text,
        };
        state.record(call(&envelope, Some(received), &received.method, outcome));
        let reply = match (&fault, &body) {
            (None, serde_json::Value::String(text)) => {
                Reply::Answer(envelope.raw(status, "text/plain", text.clone()))
            }
            (None, body) => Reply::Answer(envelope.raw(status, "application/json", body.to_string())),
            (fault, _) => reply::reply(&envelope, &Ok(body), fault.as_ref()),
        };
        Work { reply, events: Vec::new(), delay: state.scenario.latency }
    }
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
        let v3 = received.header("authorization").is_some_and(signature::is_v3);
        let wants_json = received.param("Format").is_some_and(|format| format.eq_ignore_ascii_case("json"));
        self.format = if v3 || wants_json { Format::Json } else { Format::Xml };
    }
}

/// The line in the log of calls.
fn call(envelope: &Envelope, received: Option<&Received>, method: &http::Method, outcome: &str) -> Call {
    let claims = received.map(gate::claims).unwrap_or_default();
    let mut params = received.map(Received::params).unwrap_or_default();
    params.remove("Signature");
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
        key_id: claims.key_id,
        nonce: claims.nonce,
        signature_version: claims.version,
        request_id: envelope.request_id.clone(),
        outcome: outcome.to_owned(),
    }
}
