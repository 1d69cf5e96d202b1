//! Reads a raw queue request as a server does: which operation it is, and whether it was signed rightly.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::Method;

use super::store::Queue;
use crate::auth::queue::{SIGNED_PREFIX, TOKEN_HEADER, ToSign, VERSION_HEADER, sign};
use crate::auth::rpc::Params;
use crate::emulator::answer::Problem;
use crate::emulator::gate::WINDOW;
use crate::emulator::signature::{check_token, secret_of};
use crate::emulator::state::State;
use crate::net::xml;

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Receive { most: usize, wait: Duration, batch: bool },
    Peek { most: usize, batch: bool },
    Delete { handle: String },
    BatchDelete { handles: Vec<String> },
    Hide { handle: String, span: Duration },
    Send { body: String },
    Attributes,
}

impl Operation {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Receive { batch: false, .. } => "ReceiveMessage",
            Self::Receive { batch: true, .. } => "BatchReceiveMessage",
            Self::Peek { batch: false, .. } => "PeekMessage",
            Self::Peek { batch: true, .. } => "BatchPeekMessage",
            Self::Delete { .. } => "DeleteMessage",
            Self::BatchDelete { .. } => "BatchDeleteMessage",
            Self::Hide { .. } => "ChangeMessageVisibility",
            Self::Send { .. } => "SendMessage",
            Self::Attributes => "GetQueueAttributes",
        }
    }
}

/// The operation, and the parameters that faults may look at.
pub(super) fn read(
    request: &http::Request<Bytes>,
    now: DateTime<Utc>,
    state: &State,
) -> Result<(Operation, Params), Problem> {
    check_signature(request, now, state)?;
    let params = params(request);
    let operation = operation(request, &params, state.queue.as_ref())?;
    Ok((operation, params))
}

fn header<'a>(request: &'a http::Request<Bytes>, name: &str) -> &'a str {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The key id that a request names; empty if none.
pub(super) fn key_id(request: &http::Request<Bytes>) -> &str {
    let named = header(request, "authorization").strip_prefix("MNS ").and_then(|rest| rest.split_once(':'));
    named.map(|(key_id, _)| key_id).unwrap_or_default()
}

/// Decoded query parameters. A plus sign is a plus sign: the vendor's SDKs send handles as they are.
pub(super) fn params(request: &http::Request<Bytes>) -> Params {
    let query = request.uri().query().unwrap_or_default();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(n, v)| (n.to_owned(), decoded(v)))
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (other, _) => {
                bytes.push(*other);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn bad(code: &str, message: impl Into<String>) -> Problem {
    Problem::new(400, code, message)
}

fn check_signature(request: &http::Request<Bytes>, now: DateTime<Utc>, state: &State) -> Result<(), Problem> {
    let authorization = header(request, "authorization");
    if authorization.is_empty() {
        return Err(bad("MissingAuthorizationHeader", "The Authorization header is required."));
    }
    let parts = authorization.strip_prefix("MNS ").and_then(|rest| rest.split_once(':'));
    let Some((key_id, signature)) = parts else {
        return Err(bad("InvalidAuthorizationHeader", "The Authorization header is not valid."));
    };
    if header(request, VERSION_HEADER).is_empty() {
        return Err(bad("MissingVersionHeader", "The x-mns-version header is required."));
    }
    let date = header(request, "date");
    if date.is_empty() {
        return Err(bad("MissingDateHeader", "The Date header is required."));
    }
    let time = DateTime::parse_from_rfc2822(date).ok().filter(|_| date.ends_with(" GMT"));
    let Some(time) = time else { return Err(bad("InvalidDateHeader", "The Date header is not valid.")) };
    if (now - time.with_timezone(&Utc)).abs() > WINDOW {
        return Err(Problem::new(408, "TimeExpired", "The http request you sent is expired."));
    }
    let Ok(secret) = secret_of(key_id, &state.scenario, &state.memory) else {
        return Err(Problem::new(403, "InvalidAccessKeyId", "The AccessKey Id you provided is not exist."));
    };
    // The codes are those of the other services: the queue's list of errors has none for tokens.
    let token = Some(header(request, TOKEN_HEADER));
    check_token(key_id, token, now, &state.scenario, &state.memory)
        .map_err(|problem| Problem { status: 403, ..problem })?;
    let signed = request.headers().iter().filter(|(name, _)| name.as_str().starts_with(SIGNED_PREFIX));
    let headers: BTreeMap<String, String> = signed
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
        .collect();
    let text = ToSign {
        method: request.method(),
        content_md5: header(request, "content-md5"),
        content_type: header(request, "content-type"),
        date,
        headers: &headers,
        target: request.uri().path_and_query().map(|target| target.as_str()).unwrap_or_default(),
    }
    .text();
    if sign(&text, secret) != signature {
        let message = "The request signature we calculated does not match the signature you provided.";
        return Err(Problem::new(403, "SignatureDoesNotMatch", message));
    }
    Ok(())
}

fn operation(
    request: &http::Request<Bytes>,
    params: &Params,
    queue: Option<&Queue>,
) -> Result<Operation, Problem> {
    let rest = request.uri().path().strip_prefix("/queues/").unwrap_or_default();
    let (name, messages) = match rest.split_once('/') {
        None => (rest, false),
        Some((name, "messages")) => (name, true),
        Some(_) => return Err(bad("InvalidRequestURL", "Http request URL is not valid.")),
    };
    if queue.is_none_or(|queue| queue.name() != name) {
        return Err(Problem::no_queue());
    }
    let method = request.method();
    if !messages {
        return match *method {
            Method::GET => Ok(Operation::Attributes),
            _ => Err(bad("InvalidRequestURL", "The emulator's queue can't be made or changed.")),
        };
    }
    let known = ["numOfMessages", "waitseconds", "peekonly", "ReceiptHandle", "VisibilityTimeout"];
    if let Some(name) = params.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(bad("InvalidQueryString", format!("There is no parameter {name}.")));
    }
    match *method {
        Method::GET => reading(params),
        Method::DELETE => match params.get("ReceiptHandle") {
            Some(handle) => Ok(Operation::Delete { handle: handle.clone() }),
            None => Ok(Operation::BatchDelete { handles: handles(request.body())? }),
        },
        Method::PUT => {
            let handle = params.get("ReceiptHandle").cloned();
            let handle = handle.ok_or_else(|| bad("MissingReceiptHandle", "ReceiptHandle is required."))?;
            if !params.contains_key("VisibilityTimeout") {
                return Err(bad("MissingVisibilityTimeout", "VisibilityTimeout is required."));
            }
            let seconds = number(params, "VisibilityTimeout", 1, 43_200)?.unwrap_or(1);
            Ok(Operation::Hide { handle, span: Duration::from_secs(seconds) })
        }
        Method::POST => {
            let root = xml::read(request.body()).filter(|root| root.name == "Message");
            let root =
                root.ok_or_else(|| bad("MalformedXML", "The XML you provided was not well-formed."))?;
            let body = root.all("MessageBody").next().map(|body| body.text.clone());
            body.map(|body| Operation::Send { body }).ok_or_else(|| bad("InvalidArgument", "No MessageBody."))
        }
        _ => Err(bad("InvalidRequestURL", "Http request URL is not valid.")),
    }
}

fn reading(params: &Params) -> Result<Operation, Problem> {
    let most = number(params, "numOfMessages", 1, 16)?;
    let (batch, most) = (most.is_some(), most.unwrap_or(1) as usize);
    if params.get("peekonly").is_some_and(|value| value == "true") {
        return Ok(Operation::Peek { most, batch });
    }
    // Absent, the queue's own setting counts, which is 0 here.
    let wait = Duration::from_secs(number(params, "waitseconds", 0, 30)?.unwrap_or(0));
    Ok(Operation::Receive { most, wait, batch })
}

fn number(params: &Params, name: &str, least: u64, most: u64) -> Result<Option<u64>, Problem> {
    let Some(text) = params.get(name) else { return Ok(None) };
    match text.parse() {
        Ok(value) if (least..=most).contains(&value) => Ok(Some(value)),
        _ => {
            Err(bad("InvalidArgument", format!("The value of {name} should be between {least} and {most}.")))
        }
    }
}

fn handles(body: &[u8]) -> Result<Vec<String>, Problem> {
    let root = xml::read(body).filter(|root| root.name == "ReceiptHandles");
    let root = root.ok_or_else(|| bad("MalformedXML", "The XML you provided was not well-formed."))?;
    let handles: Vec<String> = root.all("ReceiptHandle").map(|handle| handle.text.clone()).collect();
    match handles.len() {
        1..=16 => Ok(handles),
        _ => Err(bad("InvalidArgument", "The number of receipt handles should be between 1 and 16.")),
    }
}
