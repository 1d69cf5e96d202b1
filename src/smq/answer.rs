//! From an HTTP answer of the queue to an element or an error.

use std::time::Duration;

use bytes::Bytes;

use super::fault::classify;
use crate::auth::echo;
use crate::error::{Error, ErrorKind, Fate, Result};
use crate::ids::RequestId;
use crate::net::xml::{self, Element};

/// A good answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The root of the body; `None` where there was no body.
    pub(crate) root: Option<Element>,
    request_id: Option<RequestId>,
}

impl Answer {
    /// The root, which must have this name.
    pub(crate) fn expect(&self, name: &str) -> Result<&Element> {
        let found = self.root.as_ref().filter(|root| root.name == name);
        found.ok_or_else(|| self.garbled(&format!("the answer is no {name}")))
    }

    /// Forgets the request id if it holds one of `secrets`: every error about this answer would name it.
    pub(crate) fn with_harmless_id(mut self, secrets: &[&str]) -> Self {
        self.request_id = echo::harmless_id(self.request_id, secrets);
        self
    }

    /// An error about this answer: it came and makes no sense.
    pub(crate) fn garbled(&self, message: &str) -> Error {
        Error::new(ErrorKind::Garbled, message)
            .with_fate(Fate::Unknown)
            .with_request_id(self.request_id.clone())
    }
}

/// Reads one answer. A partly failed batch delete is a 404 whose root is `Errors`: that is an answer, not an error.
pub(crate) fn read(answer: &http::Response<Bytes>) -> Result<Answer> {
    let status = answer.status().as_u16();
    let request_id = header(answer, "x-mns-request-id").and_then(|id| RequestId::new(id).ok());
    let root = xml::read(answer.body());
    let is_list_of_errors = root.as_ref().is_some_and(|root| root.name == "Errors");
    let readable = root.is_some() || answer.body().is_empty();
    if (is_list_of_errors || (200..300).contains(&status)) && readable {
        return Ok(Answer { root, request_id });
    }
    let envelope = root.filter(|root| root.name == "Error").unwrap_or_default();
    let code = envelope.field("Code").unwrap_or_default();
    let message = envelope.field("Message").map_or_else(
        || match code {
            "" => format!("HTTP {status} with {}", describe(answer.body())),
            _ => format!("HTTP {status} without a message"),
        },
        |text| without_string_to_sign(text).to_owned(),
    );
    let (kind, fate) = classify(code, status);
    let request_id = envelope.field("RequestId").and_then(|id| RequestId::new(id).ok()).or(request_id);
    let error = Error::new(kind, message).with_fate(fate).with_request_id(request_id).with_retry_after(
        header(answer, "retry-after").and_then(|s| s.parse().ok()).map(Duration::from_secs),
    );
    Err(if code.is_empty() { error } else { error.with_code(code) })
}

/// The server may repeat what it signed, with a receipt handle in it.
fn without_string_to_sign(message: &str) -> &str {
    let end = message.to_ascii_lowercase().find("string to sign").unwrap_or(message.len());
    message[..end].trim_end_matches([' ', ',', ';', ':', '.'])
}

/// What a body is that should have been XML, without quoting it: it may hold anything.
fn describe(body: &[u8]) -> String {
    let start = String::from_utf8_lossy(&body[..body.len().min(64)]).trim().to_ascii_lowercase();
    match start.as_str() {
        "" => "an empty body".into(),
        t if t.starts_with("<!doctype html") || t.starts_with("<html") => {
            format!("an HTML page (a proxy or gateway?), {} bytes", body.len())
        }
        _ => format!("a body that is no answer of the queue service, {} bytes", body.len()),
    }
}

pub(crate) fn header<'a>(answer: &'a http::Response<Bytes>, name: &str) -> Option<&'a str> {
    answer.headers().get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> http::Response<Bytes> {
        let builder = http::Response::builder().status(status).header("x-mns-request-id", "R-9");
        builder.body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    #[test]
    fn errors_keep_code_message_and_request_id() {
        let body = r#"<?xml version="1.0"?><Error xmlns="http://mns.aliyuncs.com/doc/v1/"><Code>QueueNotExist</Code>
            <Message>The queue &quot;q&quot; is not there.</Message><RequestId>R-1</RequestId><HostId>h</HostId></Error>"#;
        let error = read(&answer(404, body)).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Config, Some("QueueNotExist")));
        assert_eq!(error.message(), "The queue \"q\" is not there");
        assert_eq!(error.request_id().unwrap().as_str(), "R-1");
    }

    #[test]
    fn nonsense_is_described_and_never_quoted() {
        for (status, body, kind, what) in [
            (502, "<html>secret</html>", ErrorKind::Unavailable, "an HTML page"),
            (200, "<Messages><Mess", ErrorKind::Garbled, "no answer of the queue"),
            (200, "secret", ErrorKind::Garbled, "no answer of the queue"),
            (403, "", ErrorKind::Refused, "an empty body"),
        ] {
            let error = read(&answer(status, body)).unwrap_err();
            assert_eq!(error.kind(), kind, "{body}");
            assert!(error.message().contains(what) && !error.message().contains("secret"), "{error}");
            assert_eq!(error.request_id().unwrap().as_str(), "R-9");
        }
    }

    #[test]
    fn nothing_at_all_is_a_good_answer_where_the_status_says_so() {
        assert!(read(&answer(204, "")).unwrap().root.is_none());
        assert_eq!(
            read(&answer(204, "")).unwrap().expect("Messages").unwrap_err().kind(),
            ErrorKind::Garbled
        );
    }
}
