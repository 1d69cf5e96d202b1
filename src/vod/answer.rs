//! From an HTTP answer to fields or an error.
//!
//! Errors come as JSON, as XML although JSON was asked for, or as a proxy's HTML; some products put a `Code` into a
//! 200. Whatever it is, the request id and the server's waiting time are kept, and nothing secret is.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;

use super::fault::classify;
use super::lenient::Fields;
use crate::auth::echo;
use crate::error::{Error, ErrorKind, Fate, Result};
use crate::ids::RequestId;
use crate::net::xml::resolved;

/// Fields that hold words of the service, for people. Ids and URLs are what they are: changed, they would name nothing.
const TEXTS: [&str; 4] = ["ErrorCode", "ErrorMessage", "Description", "Status"];

/// A good answer: a JSON object and the id of its request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) request_id: Option<RequestId>,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn fields(&self) -> Option<Fields<'_>> {
        Fields::of(&self.body)
    }

    /// Hides `secrets` where a good answer can repeat them: in the request id, which every error about it would name,
    /// and in texts, which reports show.
    pub(crate) fn harmless(mut self, secrets: &[&str]) -> Self {
        self.request_id = echo::harmless_id(self.request_id, secrets);
        hide_in_texts(&mut self.body, secrets);
        self
    }

    /// An error about this answer: it can be read but makes no sense.
    pub(crate) fn garbled(&self, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Garbled, message)
            .with_fate(Fate::Unknown)
            .with_request_id(self.request_id.clone())
    }
}

/// Reads one answer.
pub(crate) fn read(answer: &http::Response<Bytes>) -> Result<Answer> {
    let status = answer.status().as_u16();
    let header_id = header(answer.headers(), "x-acs-request-id").and_then(|id| RequestId::new(id).ok());
    match serde_json::from_slice::<Value>(answer.body()) {
        Ok(body) if body.is_object() => read_object(answer, body, header_id),
        _ => {
            let envelope = xml_envelope(answer.body()).unwrap_or_default();
            Err(error(answer, status, envelope, header_id))
        }
    }
}

fn read_object(answer: &http::Response<Bytes>, body: Value, header_id: Option<RequestId>) -> Result<Answer> {
    let status = answer.status().as_u16();
    let envelope = Fields::of(&body).map(Envelope::of).unwrap_or_default();
    // A code in a 200 is an error unless it says that all is well.
    let fine = ["", "ok", "success", "200", "0"].contains(&envelope.code.to_ascii_lowercase().as_str());
    if !(200..300).contains(&status) || !fine {
        return Err(error(answer, status, envelope, header_id));
    }
    let request_id = RequestId::new(&envelope.request_id).ok().or(header_id);
    Ok(Answer { request_id, body })
}

fn hide_in_texts(value: &mut Value, secrets: &[&str]) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| hide_in_texts(value, secrets)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text)
                        if TEXTS.iter().any(|known| name.trim().eq_ignore_ascii_case(known)) =>
                    {
                        if let Some(shown) = echo::hidden(text, secrets.iter().copied()) {
                            *text = shown;
                        }
                    }
                    other => hide_in_texts(other, secrets),
                }
            }
        }
        _ => {}
    }
}

/// The error envelope, whatever it was written in.
#[derive(Debug, Default)]
struct Envelope {
    code: String,
    message: String,
    request_id: String,
    denied: String,
}

impl Envelope {
    fn of(fields: Fields<'_>) -> Self {
        let text = |name| fields.text(name).unwrap_or_default();
        // With RAM denials: which action is missing, as an object.
        let denied = fields.get("AccessDeniedDetail").and_then(Fields::of);
        let denied = denied.and_then(|d| d.text("AuthAction")).unwrap_or_default();
        Self { code: text("Code"), message: text("Message"), request_id: text("RequestId"), denied }
    }
}

fn error(
    answer: &http::Response<Bytes>,
    status: u16,
    envelope: Envelope,
    header_id: Option<RequestId>,
) -> Error {
    let fault = classify(&envelope.code, status);
    let mut message = match (envelope.message.is_empty(), envelope.code.is_empty()) {
        (false, _) => without_string_to_sign(&envelope.message).to_owned(),
        (true, false) => format!("HTTP {status} without a message"),
        (true, true) => format!("HTTP {status} with {}", describe(answer.body())),
    };
    if !envelope.denied.is_empty() {
        message = format!("{message} (missing permission: {})", envelope.denied);
    }
    let told = told_wait(answer.headers()).into_iter().chain(fault.wait).max();
    let request_id = RequestId::new(&envelope.request_id).ok().or(header_id);
    let mut error = Error::new(fault.kind, message)
        .with_fate(fault.fate)
        .with_request_id(request_id)
        .with_retry_after(told);
    if !envelope.code.is_empty() {
        error = error.with_code(envelope.code);
    }
    error
}

/// The server repeats what it signed, key id and token included: none of that goes on.
fn without_string_to_sign(message: &str) -> &str {
    let lower = message.to_ascii_lowercase();
    let end = lower.find("server string to sign").unwrap_or(message.len());
    message[..end].trim_end_matches([' ', ',', ';', ':', '.'])
}

/// The string to sign that a `SignatureDoesNotMatch` answer repeats.
pub(crate) fn servers_string_to_sign(answer: &http::Response<Bytes>) -> Option<String> {
    let envelope = match serde_json::from_slice::<Value>(answer.body()) {
        Ok(body) => Fields::of(&body).map(Envelope::of)?,
        Err(_) => xml_envelope(answer.body())?,
    };
    let start = envelope.message.to_ascii_lowercase().find("server string to sign is:")?;
    Some(envelope.message[start + "server string to sign is:".len()..].trim().to_owned())
}

/// What a body is that should have been JSON, without quoting it: it may hold anything.
fn describe(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(512)]).trim().to_ascii_lowercase();
    let what = match text.as_str() {
        "" => return "an empty body".into(),
        t if t.starts_with("<!doctype html") || t.starts_with("<html") => {
            "an HTML page (a proxy or gateway?)"
        }
        t if t.starts_with('<') => "XML of an unknown form",
        t if t.starts_with('{') => "JSON that breaks off",
        _ => "neither JSON nor XML",
    };
    format!("{what}, {} bytes", body.len())
}

/// `x-acs-retry-after` in milliseconds, or the standard `Retry-After` in seconds.
fn told_wait(headers: &HeaderMap) -> Option<Duration> {
    let number = |name| header(headers, name).and_then(|text| text.trim().parse::<u64>().ok());
    number("x-acs-retry-after")
        .map(Duration::from_millis)
        .or_else(|| number("retry-after").map(Duration::from_secs))
}

pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Code, message and request id out of an XML error; `None` if it is no XML error.
fn xml_envelope(body: &[u8]) -> Option<Envelope> {
    let text = std::str::from_utf8(body).ok()?;
    if !text.trim_start_matches('\u{feff}').trim_start().starts_with('<') {
        return None;
    }
    let mut reader = Reader::from_str(text);
    let mut envelope = Envelope::default();
    let mut inside = String::new();
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => inside = start.local_name().as_ref().to_owned(),
            Ok(Event::Text(piece)) => match inside.to_ascii_lowercase().as_str() {
                "code" => envelope.code.push_str(piece.trim()),
                "message" => envelope.message.push_str(&piece),
                "requestid" => envelope.request_id.push_str(piece.trim()),
                _ => {}
            },
            Ok(Event::GeneralRef(entity)) if inside.eq_ignore_ascii_case("message") => {
                envelope.message.push(resolved(&entity));
            }
            Ok(Event::End(_)) => inside.clear(),
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    (!envelope.code.is_empty()).then_some(envelope)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> http::Response<Bytes> {
        let mut builder = http::Response::builder().status(status);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    #[test]
    fn errors_are_read_in_every_dress() {
        let json = r#"{"RequestId":"R-1","Code":"Throttling.User","Message":"slow"}"#;
        let small = r#"{"requestId":"R-1","code":"Throttling.User","message":"slow"}"#;
        let xml = "<?xml version='1.0'?><Error><RequestId>R-1</RequestId><Code>Throttling.User</Code><Message>slow</Message></Error>";
        for (status, body) in [(400, json), (400, small), (503, xml), (200, json)] {
            let error = read(&answer(status, &[], body)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Throttled, "{body}");
            assert_eq!(error.code(), Some("Throttling.User"));
            assert_eq!(error.message(), "slow");
            assert_eq!(error.request_id().unwrap().as_str(), "R-1");
        }
    }

    #[test]
    fn nonsense_is_a_fault_with_the_request_id() {
        let table = [
            (502, "<html><body>Bad Gateway</body></html>", ErrorKind::Unavailable, "an HTML page"),
            (200, "<html></html>", ErrorKind::Garbled, "an HTML page"),
            (200, r#"{"RequestId":"R-2","Media"#, ErrorKind::Garbled, "JSON that breaks off"),
            (200, "[1,2]", ErrorKind::Garbled, "neither JSON nor XML"),
            (429, "", ErrorKind::Throttled, "an empty body"),
            (500, "\u{fffd}\u{0}", ErrorKind::Unavailable, "neither JSON nor XML"),
        ];
        for (status, body, kind, what) in table {
            let error = read(&answer(status, &[("x-acs-request-id", "R-9")], body)).unwrap_err();
            assert_eq!(error.kind(), kind, "{body}");
            assert!(error.message().contains(what), "{error}");
            assert_eq!(error.request_id().unwrap().as_str(), "R-9");
        }
    }

    #[test]
    fn the_servers_wait_is_kept() {
        let body = r#"{"Code":"Throttling","Message":"m"}"#;
        for (headers, millis) in [
            (&[("x-acs-retry-after", "1500")][..], Some(1_500)),
            (&[("Retry-After", "2")][..], Some(2_000)),
            (&[("Retry-After", "soon")][..], None),
            (&[][..], None),
        ] {
            let error = read(&answer(503, headers, body)).unwrap_err();
            assert_eq!(error.retry_after(), millis.map(Duration::from_millis));
        }
    }

    #[test]
    fn the_string_to_sign_goes_no_further() {
        let body = r#"{"Code":"SignatureDoesNotMatch","Message":"Specified signature is not matched with our calculation. server string to sign is:GET&%2F&SecurityToken%3DMARK"}"#;
        let answer = answer(400, &[], body);
        let error = read(&answer).unwrap_err();
        assert_eq!(error.message(), "Specified signature is not matched with our calculation");
        assert_eq!(servers_string_to_sign(&answer).unwrap(), "GET&%2F&SecurityToken%3DMARK");
    }

    #[test]
    fn texts_of_a_good_answer_lose_secrets_and_ids_stay() {
        let body = r#"{"RequestId":"R-TOKENMARK","Rows":[{"TaskId":"TOKENMARK1","ObjectPath":"https://h/TOKENMARK",
            "Description":"no route for TOKENMARK","errorMessage":"TOKENMARK","ErrorCode":"Bad.TOKENMARK","Status":"Ok"}]}"#;
        let answer = read(&answer(200, &[], body)).unwrap().harmless(&["TOKENMARK"]);
        assert_eq!(answer.request_id, None);
        let row = Fields::of(&answer.body["Rows"][0]).unwrap();
        let shown = ["TaskId", "ObjectPath", "Description", "ErrorMessage", "ErrorCode", "Status"];
        assert_eq!(
            shown.map(|name| row.text(name).unwrap()),
            ["TOKENMARK1", "https://h/TOKENMARK", "no route for <secret>", "<secret>", "Bad.<secret>", "Ok"]
        );
    }

    #[test]
    fn a_denial_names_the_missing_permission() {
        let body = r#"{"Code":"Forbidden.RAM","Message":"no","AccessDeniedDetail":{"AuthAction":"vod:GetMediaRefreshJobs"}}"#;
        let error = read(&answer(403, &[], body)).unwrap_err();
        assert!(error.message().contains("vod:GetMediaRefreshJobs"), "{error}");
    }
}
