//! Answers on the wire: bodies, the vendor's error envelopes in JSON and XML, the headers that every answer has, and what
//! faults make of all that.

use std::fmt::Write as _;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::request::Problem;
use super::scenario::{Fault, Shape};
use crate::net::xml::escaped;

const JSON: &str = "application/json;charset=utf-8";
const XML: &str = "text/xml;charset=utf-8";

/// What the emulator does about one request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reply {
    /// Answers.
    Answer(Response<Bytes>),
    /// Cuts the connection without an answer.
    Reset,
    /// Never answers.
    Stall,
    /// Sends the head and the first half of the body, then cuts the connection.
    HalfBody(Response<Bytes>),
}

/// What an operation answers, before it is put on the wire.
#[derive(Debug)]
pub(super) enum Body {
    /// The fields of VOD or of the token service, to which the request id is added. The status is 200.
    Fields(Value),
    /// A status, and a text or JSON of the metadata service.
    Plain(u16, Value),
    /// A status and XML of the queue service.
    Queue(u16, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Xml,
    /// The XML of the queue service.
    Queue,
}

/// What is the same for all answers to one request.
#[derive(Debug, Clone)]
pub(super) struct Envelope {
    pub(super) request_id: String,
    pub(super) host: String,
    pub(super) action: String,
    pub(super) format: Format,
    /// The cloud's own time of day: callers measure their clock against it.
    pub(super) now: DateTime<Utc>,
}

impl Envelope {
    pub(super) fn new(request_id: String, now: DateTime<Utc>) -> Self {
        let host = "vod.emulator.test".into();
        Self { request_id, host, action: String::new(), format: Format::Json, now }
    }

    /// The outcome as it is, or as `fault` spoils it. Faults that are about JSON change nothing in answers of the queue.
    pub(super) fn reply(&self, outcome: &Result<Body, Problem>, fault: Option<&Fault>) -> Reply {
        let is_queue = self.format == Format::Queue;
        let spoil: &dyn Fn(&mut Value) = match fault {
            Some(Fault::LowerCaseKeys) => &lower_case_keys,
            Some(Fault::WrongTaskRows) => &add_wrong_rows,
            Some(Fault::TotalAsString) => &|body| {
                if let Some(total) = body.get_mut("TotalCount") {
                    *total = json!(total.to_string());
                }
            },
            Some(Fault::NoTotal) => &|body| {
                if let Value::Object(fields) = body {
                    fields.remove("TotalCount");
                }
            },
            Some(Fault::EmptyObject) => &|body| *body = json!({}),
            Some(Fault::WrongShape { shape }) => &|body| reshape(body, *shape),
            _ => &|_| {},
        };
        let answer = self.outcome(outcome, spoil);
        Reply::Answer(match fault {
            Some(Fault::ResetBefore | Fault::ResetAfter) => return Reply::Reset,
            Some(Fault::Stall { .. }) => return Reply::Stall,
            Some(Fault::HalfBody) => return Reply::HalfBody(answer),
            Some(Fault::Bom) if !is_queue => {
                answer.map(|body| Bytes::from([b"\xEF\xBB\xBF", &*body].concat()))
            }
            Some(Fault::Garbage) if is_queue => self.raw(200, XML, "\u{1}\u{2}<Messages><garbage".into()),
            Some(Fault::Garbage) => self.raw(200, JSON, "\u{1}\u{2}{\"Tasks\": [garbage".into()),
            Some(Fault::Throttle { code, status, retry_after_ms, retry_after_s }) => {
                let problem = match code.as_str() {
                    // The queue has its own word for it.
                    "Throttling.User" if is_queue => {
                        Problem::new(429, "TooManyRequests", "The request is throttled.")
                    }
                    _ => Problem::new(*status, code, "Request was denied due to user flow control."),
                };
                let mut answer = self.problem(&problem);
                for (name, wait) in [("x-acs-retry-after", retry_after_ms), ("retry-after", retry_after_s)] {
                    if let Some(wait) = wait {
                        put(answer.headers_mut(), name, *wait);
                    }
                }
                answer
            }
            Some(Fault::Error { status, code, message }) => {
                self.problem(&Problem::new(*status, code, message))
            }
            Some(Fault::XmlError { status, code, message }) => {
                let format = if is_queue { Format::Queue } else { Format::Xml };
                Self { format, ..self.clone() }.problem(&Problem::new(*status, code, message))
            }
            Some(Fault::Empty { status }) => self.raw(*status, "text/plain", String::new()),
            Some(Fault::Html { status }) => self.page(*status),
            Some(Fault::Redirect { status, location }) => {
                let mut answer = self.page(*status);
                put(answer.headers_mut(), "location", location.as_str());
                answer
            }
            _ => answer,
        })
    }

    /// Either outcome of an operation; `spoil` may change the body, if it is JSON or will be written as VOD's XML.
    fn outcome(&self, outcome: &Result<Body, Problem>, spoil: &dyn Fn(&mut Value)) -> Response<Bytes> {
        let (status, root, mut body) = match outcome {
            Ok(Body::Queue(status, text)) => return self.raw(*status, XML, text.clone()),
            Ok(Body::Plain(status, Value::String(text))) => {
                return self.raw(*status, "text/plain", text.clone());
            }
            Ok(Body::Plain(status, body)) => {
                let mut body = body.clone();
                spoil(&mut body);
                return self.raw(*status, "application/json", body.to_string());
            }
            Ok(Body::Fields(body)) => (200, format!("{}Response", self.action), body.clone()),
            Err(problem) if self.format == Format::Queue => return self.queue_problem(problem),
            Err(problem) => (problem.status, "Error".to_owned(), problem.body(&self.host)),
        };
        body["RequestId"] = json!(self.request_id);
        spoil(&mut body);
        match self.format {
            Format::Json => self.raw(status, JSON, body.to_string()),
            Format::Xml | Format::Queue => self.raw(status, XML, to_xml(&root, &body)),
        }
    }

    fn problem(&self, problem: &Problem) -> Response<Bytes> {
        self.outcome(&Err(problem.clone()), &|_| {})
    }

    fn queue_problem(&self, problem: &Problem) -> Response<Bytes> {
        let fields = [
            ("Code", problem.code.clone()),
            ("Message", problem.message.clone()),
            ("RequestId", self.request_id.clone()),
            ("HostId", "http://queue.emulator.test".into()),
        ];
        self.raw(problem.status, XML, queue_xml("Error", &elements(fields)))
    }

    /// What proxies and portals send.
    fn page(&self, status: u16) -> Response<Bytes> {
        let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        let title = [&status.to_string(), reason.unwrap_or_default()].join(" ");
        let title = title.trim_end();
        let body =
            format!("<html><head><title>{title}</title></head><body><h1>{title}</h1><hr>proxy</body></html>");
        self.raw(status, "text/html", body)
    }

    /// Any body, with the headers that every answer has.
    fn raw(&self, status: u16, content_type: &'static str, body: String) -> Response<Bytes> {
        let mut answer = Response::new(Bytes::from(body));
        *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = answer.headers_mut();
        put(headers, "content-type", content_type);
        put(headers, "date", http_date(self.now));
        if self.format == Format::Queue {
            put(headers, "x-mns-version", "2015-06-06");
            put(headers, "x-mns-request-id", self.request_id.as_str());
        } else {
            put(headers, "x-acs-request-id", self.request_id.as_str());
        }
        answer
    }
}

impl Problem {
    /// The error envelope of VOD and of the token service.
    fn body(&self, host: &str) -> Value {
        let mut body = json!({
            "HostId": host,
            "Code": self.code,
            "Message": self.message,
            "Recommend": format!("https://api.aliyun.com/troubleshoot?q={}&product=vod", self.code),
        });
        if let Some(action) = &self.denied {
            body["AccessDeniedDetail"] = json!({
                "AuthAction": action,
                "AuthPrincipalType": "SubUser",
                "NoPermissionType": "ImplicitDeny",
                "PolicyType": "AccountLevelIdentityBasedPolicy",
            });
        }
        body
    }
}

/// Adds a header, if the value can be one.
pub(super) fn put(headers: &mut HeaderMap, name: &'static str, value: impl TryInto<HeaderValue>) {
    if let Ok(value) = value.try_into() {
        headers.insert(name, value);
    }
}

pub(super) fn http_date(time: DateTime<Utc>) -> String {
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A document of the queue service.
pub(super) fn queue_xml(root: &str, inside: &str) -> String {
    let namespace = "http://mns.aliyuncs.com/doc/v1/";
    format!("<?xml version=\"1.0\"?>\n<{root} xmlns=\"{namespace}\">{inside}</{root}>")
}

pub(super) fn elements(fields: impl IntoIterator<Item = (&'static str, String)>) -> String {
    fields.into_iter().map(|(name, text)| format!("<{name}>{}</{name}>", escaped(&text))).collect()
}

/// The XML of VOD: a list is its element repeated.
fn to_xml(root: &str, body: &Value) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    element(&mut out, root, body);
    out
}

fn element(out: &mut String, name: &str, value: &Value) {
    let inside = match value {
        Value::Array(rows) => return rows.iter().for_each(|row| element(out, name, row)),
        Value::Object(fields) => {
            let mut inside = String::new();
            fields.iter().for_each(|(field, value)| element(&mut inside, field, value));
            inside
        }
        Value::String(text) => escaped(text),
        other => other.to_string(),
    };
    let _ = write!(out, "<{name}>{inside}</{name}>");
}

/// Makes every key begin with a small letter, as some answers of the service do.
fn lower_case_keys(value: &mut Value) {
    match value {
        Value::Array(rows) => rows.iter_mut().for_each(lower_case_keys),
        Value::Object(fields) => {
            let renamed = std::mem::take(fields).into_iter().map(|(name, mut value)| {
                lower_case_keys(&mut value);
                let mut letters = name.chars();
                let first: String = letters.next().into_iter().flat_map(char::to_lowercase).collect();
                (first + letters.as_str(), value)
            });
            *fields = renamed.collect();
        }
        _ => {}
    }
}

/// Puts something else where the list of the answer belongs.
fn reshape(body: &mut Value, shape: Shape) {
    for place in ["/Tasks/Task", "/MediaRefreshJobs"] {
        let Some(list) = body.pointer_mut(place) else { continue };
        let Value::Array(rows) = &*list else { continue };
        *list = match (shape, &rows[..]) {
            (Shape::Text, _) => json!("x"),
            (Shape::LoneRow, [row]) => row.clone(),
            (Shape::LoneRow, _) => continue,
            (Shape::Object, _) => json!({}),
            (Shape::EmptyRows, rows) => json!(vec![json!({}); rows.len()]),
        };
    }
}

fn add_wrong_rows(body: &mut Value) {
    let Some(Value::Array(rows)) = body.pointer_mut("/Tasks/Task") else { return };
    let wrong = |n: u32| {
        json!({
            "TaskId": format!("99{n}"),
            "ObjectPath": format!("https://other.example.test/wrong/{n}.mp4"),
            "ObjectType": "file",
            "Status": "Failed",
            "Process": "100%",
            "Description": "Internal Error",
            "CreationTime": "2026-01-01T00:00:00Z",
        })
    };
    rows.insert(0, wrong(1));
    rows.push(wrong(2));
    if let Some(total) = body.get_mut("TotalCount") {
        *total = json!(total.as_u64().unwrap_or_default() + 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_repeats_the_element_of_a_list() {
        let body = json!({"Tasks": {"Task": [{"TaskId": "1"}, {"TaskId": "<&>"}]}, "TotalCount": 2});
        let xml = to_xml("R", &body);
        assert!(xml.ends_with(
            "<R><Tasks><Task><TaskId>1</TaskId></Task><Task><TaskId>&lt;&amp;&gt;</TaskId></Task></Tasks>\
             <TotalCount>2</TotalCount></R>"
        ));
    }

    #[test]
    fn keys_get_small_letters_at_every_depth() {
        let mut body = json!({"RequestId": "R", "Tasks": {"Task": [{"TaskId": "T"}]}});
        lower_case_keys(&mut body);
        assert_eq!(body, json!({"requestId": "R", "tasks": {"task": [{"taskId": "T"}]}}));
    }
}
