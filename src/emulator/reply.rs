//! What goes back: the outcome of an action, or what a fault makes of it.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::answer::{self, Envelope, Format, Problem};
use super::fault::{Fault, Shape};

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

/// The outcome as it is, or as `fault` spoils it.
pub(super) fn reply(envelope: &Envelope, outcome: &Result<Value, Problem>, fault: Option<&Fault>) -> Reply {
    let whole = |shape: fn(&mut Value)| Reply::Answer(envelope.outcome(outcome, shape));
    match fault {
        None | Some(Fault::Delay { .. }) => whole(|_| {}),
        Some(Fault::ResetBefore | Fault::ResetAfter) => Reply::Reset,
        Some(Fault::Stall { .. }) => Reply::Stall,
        Some(Fault::HalfBody) => Reply::HalfBody(envelope.outcome(outcome, |_| {})),
        Some(Fault::LowerCaseKeys) => whole(answer::lower_case_keys),
        Some(Fault::WrongTaskRows) => whole(add_wrong_rows),
        Some(Fault::TotalAsString) => whole(|body| {
            if let Some(total) = body.get_mut("TotalCount") {
                *total = json!(total.to_string());
            }
        }),
        Some(Fault::NoTotal) => whole(|body| {
            if let Value::Object(fields) = body {
                fields.remove("TotalCount");
            }
        }),
        Some(Fault::EmptyObject) => whole(|body| *body = json!({})),
        Some(Fault::WrongShape { shape }) => {
            Reply::Answer(envelope.outcome(outcome, |body| reshape(body, *shape)))
        }
        Some(Fault::Bom) => {
            let answer = envelope.outcome(outcome, |_| {});
            Reply::Answer(answer.map(|body| Bytes::from([b"\xEF\xBB\xBF", &*body].concat())))
        }
        Some(Fault::Garbage) => {
            let json = "application/json;charset=utf-8";
            Reply::Answer(envelope.raw(200, json, "\u{1}\u{2}{\"Tasks\": [garbage".into()))
        }
        Some(Fault::Throttle { code, status, retry_after_ms, retry_after_s }) => {
            let problem = Problem::new(*status, code, "Request was denied due to user flow control.");
            let mut answer = envelope.problem(problem);
            answer.headers_mut().extend(waits(*retry_after_ms, *retry_after_s));
            Reply::Answer(answer)
        }
        Some(Fault::Error { status, code, message }) => {
            Reply::Answer(envelope.problem(Problem::new(*status, code, message)))
        }
        Some(Fault::XmlError { status, code, message }) => {
            let problem = Problem::new(*status, code, message);
            Reply::Answer(envelope.as_format(Format::Xml).problem(problem))
        }
        Some(Fault::Empty { status }) => Reply::Answer(envelope.raw(*status, "text/plain", String::new())),
        Some(Fault::Html { status }) => Reply::Answer(envelope.raw(*status, "text/html", page(*status))),
        Some(Fault::Redirect { status, location }) => {
            Reply::Answer(leading_to(location, envelope.raw(*status, "text/html", page(*status))))
        }
    }
}

/// What proxies and portals send.
pub(super) fn page(status: u16) -> String {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let title = [&status.to_string(), reason.unwrap_or_default()].join(" ");
    let title = title.trim_end();
    format!("<html><head><title>{title}</title></head><body><h1>{title}</h1><hr>proxy</body></html>")
}

/// The same answer with a `Location`.
pub(super) fn leading_to(location: &str, mut answer: Response<Bytes>) -> Response<Bytes> {
    if let Ok(location) = HeaderValue::from_str(location) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

fn reshape(body: &mut Value, shape: Shape) {
    for place in ["/Tasks/Task", "/MediaRefreshJobs"] {
        let Some(Value::Array(rows)) = body.pointer_mut(place) else { continue };
        let told = match (shape, &rows[..]) {
            (Shape::Text, _) => json!("x"),
            (Shape::LoneRow, [row]) => row.clone(),
            (Shape::LoneRow, _) => continue,
            (Shape::Object, _) => json!({}),
            (Shape::EmptyRows, rows) => json!(vec![json!({}); rows.len()]),
        };
        if let Some(list) = body.pointer_mut(place) {
            *list = told;
        }
    }
}

fn waits(ms: Option<u64>, s: Option<u64>) -> HeaderMap {
    [("x-acs-retry-after", ms), ("retry-after", s)]
        .into_iter()
        .filter_map(|(name, wait)| Some((http::HeaderName::from_static(name), HeaderValue::from(wait?))))
        .collect()
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
