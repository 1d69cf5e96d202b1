//! Reads which operation of the queue service a request asks for.

use std::time::Duration;

use http::Method;

use crate::emulator::request::{Problem, Received};
use crate::net::xml;

/// An operation with its parameters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Receive { most: usize, wait: Duration, batch: bool },
    Peek { most: usize, batch: bool },
    Delete { handle: String },
    BatchDelete { handles: Vec<String> },
    Hide { handle: String, timeout: Duration },
    Send { body: String },
    Attributes,
}

impl Operation {
    pub(crate) fn name(&self) -> &'static str {
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

    /// Reads a request; `queue` is the name of the queue, if there is one.
    pub(crate) fn read(received: &Received, queue: Option<&str>) -> Result<Self, Problem> {
        let not_valid = || bad("InvalidRequestURL", "Http request URL is not valid.");
        let rest = received.path.strip_prefix("/queues/").unwrap_or_default();
        let (name, messages) = match rest.split_once('/') {
            None => (rest, false),
            Some((name, "messages")) => (name, true),
            Some(_) => return Err(not_valid()),
        };
        if queue != Some(name) {
            return Err(Problem::no_queue());
        }
        if !messages {
            return match received.method {
                Method::GET => Ok(Self::Attributes),
                _ => Err(bad("InvalidRequestURL", "The emulator's queue can't be made or changed.")),
            };
        }
        let known = ["numOfMessages", "waitseconds", "peekonly", "ReceiptHandle", "VisibilityTimeout"];
        if let Some(name) = received.query.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(bad("InvalidQueryString", format!("There is no parameter {name}.")));
        }
        let handle = received.query.get("ReceiptHandle").cloned();
        match received.method {
            Method::GET => {
                let most = number(received, "numOfMessages", 1, 16)?;
                let (batch, most) = (most.is_some(), most.unwrap_or(1) as usize);
                if received.query.get("peekonly").is_some_and(|value| value == "true") {
                    return Ok(Self::Peek { most, batch });
                }
                // Absent, the queue's own setting counts, which is 0 here.
                let wait = Duration::from_secs(number(received, "waitseconds", 0, 30)?.unwrap_or(0));
                Ok(Self::Receive { most, wait, batch })
            }
            Method::DELETE => match handle {
                Some(handle) => Ok(Self::Delete { handle }),
                None => Ok(Self::BatchDelete { handles: handles(&received.body)? }),
            },
            Method::PUT => {
                let handle =
                    handle.ok_or_else(|| bad("MissingReceiptHandle", "ReceiptHandle is required."))?;
                let seconds = number(received, "VisibilityTimeout", 1, 43_200)?
                    .ok_or_else(|| bad("MissingVisibilityTimeout", "VisibilityTimeout is required."))?;
                Ok(Self::Hide { handle, timeout: Duration::from_secs(seconds) })
            }
            Method::POST => {
                let root = document(&received.body, "Message")?;
                let body = root.all("MessageBody").next().map(|body| body.text.clone());
                body.map(|body| Self::Send { body }).ok_or_else(|| bad("InvalidArgument", "No MessageBody."))
            }
            _ => Err(not_valid()),
        }
    }
}

impl Problem {
    pub(super) fn no_queue() -> Self {
        Self::new(404, "QueueNotExist", "The queue name you provided is not exist.")
    }
}

fn bad(code: &str, message: impl Into<String>) -> Problem {
    Problem::new(400, code, message)
}

fn number(received: &Received, name: &str, least: u64, most: u64) -> Result<Option<u64>, Problem> {
    let Some(text) = received.query.get(name) else { return Ok(None) };
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.map(Some).ok_or_else(|| {
        bad("InvalidArgument", format!("The value of {name} should be between {least} and {most}."))
    })
}

fn document(body: &[u8], root: &str) -> Result<xml::Element, Problem> {
    let read = xml::read(body).filter(|element| element.name == root);
    read.ok_or_else(|| bad("MalformedXML", "The XML you provided was not well-formed."))
}

fn handles(body: &[u8]) -> Result<Vec<String>, Problem> {
    let root = document(body, "ReceiptHandles")?;
    let handles: Vec<String> = root.all("ReceiptHandle").map(|handle| handle.text.clone()).collect();
    match handles.len() {
        1..=16 => Ok(handles),
        _ => Err(bad("InvalidArgument", "The number of receipt handles should be between 1 and 16.")),
    }
}
