//! The queue's answers on the wire, and what a fault makes of them.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderValue, Response, StatusCode, header};
use md5::{Digest as _, Md5};

use super::script::QueueScript;
use super::store::QueuedMessage;
use crate::auth::{acs3, queue};
use crate::emulator::answer::Problem;
use crate::emulator::fault::Fault;
use crate::emulator::reply::{self, Reply};
use crate::net::xml::escaped;

const XML: &str = "text/xml;charset=utf-8";
const NAMESPACE: &str = "http://mns.aliyuncs.com/doc/v1/";

/// What an operation did.
#[derive(Debug)]
pub(super) enum Outcome {
    Nothing,
    Received { messages: Vec<QueuedMessage>, batch: bool },
    Peeked { messages: Vec<QueuedMessage>, batch: bool },
    Deleted { failures: Vec<(String, Problem)> },
    Hidden { handle: String, until: DateTime<Utc> },
    Sent { id: String, body_md5: String },
    Attributes { script: QueueScript, created: DateTime<Utc> },
}

/// What is the same for all answers to one request.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) request_id: String,
    /// The cloud's own time of day: callers measure their clock against it.
    pub(super) now: DateTime<Utc>,
}

impl Envelope {
    /// The outcome as it is, or as `fault` spoils it. Faults that are about VOD's JSON change nothing here.
    pub(super) fn reply(&self, outcome: &Result<Outcome, Problem>, fault: Option<&Fault>) -> Reply {
        let plain = || match outcome {
            Ok(outcome) => self.outcome(outcome),
            Err(problem) => self.problem(problem),
        };
        Reply::Answer(match fault {
            Some(Fault::ResetBefore | Fault::ResetAfter) => return Reply::Reset,
            Some(Fault::Stall { .. }) => return Reply::Stall,
            Some(Fault::HalfBody) => return Reply::HalfBody(plain()),
            Some(Fault::Throttle { code, status, retry_after_s, .. }) => {
                // The queue has its own word for it.
                let (status, code) = match code.as_str() {
                    "Throttling.User" => (429, "TooManyRequests"),
                    other => (*status, other),
                };
                let mut answer = self.problem(&Problem::new(status, code, "The request is throttled."));
                if let Some(seconds) = retry_after_s {
                    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
                }
                answer
            }
            Some(Fault::Error { status, code, message } | Fault::XmlError { status, code, message }) => {
                self.problem(&Problem::new(*status, code, message))
            }
            Some(Fault::Empty { status }) => self.raw(*status, "text/plain", String::new()),
            Some(Fault::Html { status }) => self.raw(*status, "text/html", reply::page(*status)),
            Some(Fault::Redirect { status, location }) => {
                reply::leading_to(location, self.raw(*status, "text/html", reply::page(*status)))
            }
            Some(Fault::Garbage) => self.raw(200, XML, "\u{1}\u{2}<Messages><garbage".into()),
            _ => plain(),
        })
    }

    fn outcome(&self, outcome: &Outcome) -> Response<Bytes> {
        match outcome {
            Outcome::Nothing => self.raw(204, XML, String::new()),
            Outcome::Received { messages, batch } => self.messages(messages, *batch, true),
            Outcome::Peeked { messages, batch } => self.messages(messages, *batch, false),
            Outcome::Deleted { failures } if failures.is_empty() => self.raw(204, XML, String::new()),
            Outcome::Deleted { failures } => {
                let line = |(handle, problem): &(String, Problem)| {
                    let fields = [
                        ("ErrorCode", problem.code.clone()),
                        ("ErrorMessage", problem.message.clone()),
                        ("ReceiptHandle", handle.clone()),
                    ];
                    format!("<Error>{}</Error>", elements(fields))
                };
                self.element(404, "Errors", &failures.iter().map(line).collect::<String>())
            }
            Outcome::Hidden { handle, until } => {
                let until = until.timestamp_millis().to_string();
                let fields = [("ReceiptHandle", handle.clone()), ("NextVisibleTime", until)];
                self.element(200, "ChangeVisibility", &elements(fields))
            }
            Outcome::Sent { id, body_md5 } => {
                let fields = [("MessageId", id.clone()), ("MessageBodyMD5", body_md5.clone())];
                self.element(201, "Message", &elements(fields))
            }
            Outcome::Attributes { script, created } => {
                // Seconds, where a message's times are milliseconds.
                let created = created.timestamp().to_string();
                let fields = [
                    ("QueueName", script.name.clone()),
                    ("CreateTime", created.clone()),
                    ("LastModifyTime", created),
                    ("DelaySeconds", "0".into()),
                    ("VisibilityTimeout", script.visibility_timeout.as_secs().to_string()),
                    ("MessageRetentionPeriod", script.retention.as_secs().to_string()),
                    ("MaximumMessageSize", "65536".into()),
                    ("PollingWaitSeconds", "0".into()),
                    ("LoggingEnabled", "False".into()),
                    // The counters are being withdrawn at the service, and read 0.
                    ("ActiveMessages", "0".into()),
                    ("InactiveMessages", "0".into()),
                    ("DelayMessages", "0".into()),
                ];
                self.element(200, "Queue", &elements(fields))
            }
        }
    }

    fn messages(&self, messages: &[QueuedMessage], batch: bool, received: bool) -> Response<Bytes> {
        let items: Vec<String> = messages.iter().map(|message| item(message, received)).collect();
        match (batch, items.as_slice()) {
            (false, [one]) => self.element(200, "Message", one),
            _ => {
                let items: String = items.iter().map(|item| format!("<Message>{item}</Message>")).collect();
                self.element(200, "Messages", &items)
            }
        }
    }

    pub(super) fn problem(&self, problem: &Problem) -> Response<Bytes> {
        let fields = [
            ("Code", problem.code.clone()),
            ("Message", problem.message.clone()),
            ("RequestId", self.request_id.clone()),
            ("HostId", "http://queue.emulator.test".into()),
        ];
        self.element(problem.status, "Error", &elements(fields))
    }

    fn element(&self, status: u16, root: &str, inside: &str) -> Response<Bytes> {
        let text = format!("<?xml version=\"1.0\"?>\n<{root} xmlns=\"{NAMESPACE}\">{inside}</{root}>");
        self.raw(status, XML, text)
    }

    fn raw(&self, status: u16, content_type: &'static str, body: String) -> Response<Bytes> {
        let mut answer = Response::new(Bytes::from(body));
        *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert("x-mns-version", HeaderValue::from_static("2015-06-06"));
        for (name, text) in [("date", queue::date(self.now)), ("x-mns-request-id", self.request_id.clone())] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
        answer
    }
}

fn item(message: &QueuedMessage, received: bool) -> String {
    let millis = |time: DateTime<Utc>| time.timestamp_millis().to_string();
    let mut fields = vec![
        ("MessageId", message.id.clone()),
        ("MessageBody", message.body.clone()),
        ("MessageBodyMD5", body_md5(&message.body)),
        ("EnqueueTime", millis(message.enqueued)),
        ("FirstDequeueTime", millis(message.first_dequeued.unwrap_or(message.enqueued))),
        ("DequeueCount", message.dequeue_count.to_string()),
        ("Priority", "8".into()),
    ];
    if received {
        fields.push(("ReceiptHandle", message.handle.clone()));
        fields.push(("NextVisibleTime", millis(message.visible_from)));
    }
    elements(fields)
}

/// The digest of a body as it is stored, as the service writes it.
pub(super) fn body_md5(body: &str) -> String {
    acs3::hex(&Md5::digest(body)).to_uppercase()
}

fn elements(fields: impl IntoIterator<Item = (&'static str, String)>) -> String {
    fields.into_iter().map(|(name, text)| format!("<{name}>{}</{name}>", escaped(&text))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::xml::{self, Element};

    fn envelope() -> Envelope {
        Envelope { request_id: "R1".into(), now: DateTime::UNIX_EPOCH }
    }

    fn read(outcome: &Outcome) -> Element {
        xml::read(envelope().outcome(outcome).body()).unwrap()
    }

    /// Source: the decoders of the vendor's Python SDK, which take an answer without one of these for damaged.
    #[test]
    fn messages_have_every_field_that_the_vendors_sdk_insists_on() {
        let mut queue = super::super::Queue::new(QueueScript::named("q"), DateTime::UNIX_EPOCH);
        queue.put("{}".into(), DateTime::UNIX_EPOCH);
        let peeked = queue.peek(1, DateTime::UNIX_EPOCH);
        let always =
            "DequeueCount EnqueueTime FirstDequeueTime MessageBody MessageId MessageBodyMD5 Priority";
        has_all(&read(&Outcome::Peeked { messages: peeked, batch: false }), always);
        let taken = queue.take(1, DateTime::UNIX_EPOCH);
        let received = read(&Outcome::Received { messages: taken, batch: false });
        has_all(&received, always);
        has_all(&received, "NextVisibleTime ReceiptHandle");
        assert_eq!(received.field("MessageBodyMD5"), Some("99914B932BD37A50B983C5E7C90AE93B"));
        has_all(
            &read(&Outcome::Sent { id: "M1".into(), body_md5: body_md5("{}") }),
            "MessageId MessageBodyMD5",
        );
    }

    #[test]
    fn attributes_have_every_field_that_the_vendors_sdk_insists_on() {
        let script = QueueScript::named("q");
        let root = read(&Outcome::Attributes { script, created: DateTime::UNIX_EPOCH });
        has_all(
            &root,
            "ActiveMessages CreateTime DelayMessages DelaySeconds InactiveMessages LastModifyTime",
        );
        has_all(&root, "MaximumMessageSize MessageRetentionPeriod QueueName VisibilityTimeout");
        has_all(&root, "PollingWaitSeconds LoggingEnabled");
    }

    fn has_all(element: &Element, names: &str) {
        for name in names.split(' ') {
            assert!(element.field(name).is_some_and(|text| !text.is_empty()), "{name} in {element:?}");
        }
    }
}
