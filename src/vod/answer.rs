//! From an HTTP answer to fields or an error.
//!
//! Errors come as JSON, as XML although JSON was asked for, or as a proxy's HTML; some products put a `Code` into a
//! 200. What has no code of the service is no word of the service, and the error names what it is instead. Whatever it is,
//! the request id and the server's waiting time are kept, and nothing secret is.

mod no_word;

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::HeaderMap;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;

use super::fault::classify;
use super::lenient::{Fields, without_mark};
use crate::auth::echo;
use crate::error::{Error, ErrorKind, Fate, Result};
use crate::ids::RequestId;
use crate::net::clock::date_of;
use crate::net::xml::resolved;

/// Fields that hold words of the service, for people. Ids and URLs are what they are: changed, they would name nothing.
const TEXTS: [&str; 4] = ["ErrorCode", "ErrorMessage", "Description", "Status"];

/// What has to be known of a call to read its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// Whether the call changes nothing, however often it is made.
    pub(crate) is_read: bool,
    /// What must not show: an answer may repeat the request.
    pub(crate) secrets: &'a [&'a str],
    /// When the answer came, by the service's clock.
    pub(crate) now: DateTime<Utc>,
}

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

    /// An error about this answer: it can be read but makes no sense.
    pub(crate) fn garbled(&self, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Garbled, message)
            .with_fate(Fate::Unknown)
            .with_request_id(self.request_id.clone())
    }
}

/// Reads one answer. What it repeats of the secrets is hidden: in the request id, which every error about it names, in errors,
/// and in texts, which reports show.
pub(crate) fn read(answer: &http::Response<Bytes>, asked: Asked<'_>) -> Result<Answer> {
    let header_id = text_of(answer.headers(), "x-acs-request-id").and_then(|id| RequestId::new(id).ok());
    let body = without_mark(answer.body());
    let read = match serde_json::from_slice::<Value>(body) {
        Ok(body) if body.is_object() => read_object(answer, body, header_id, asked),
        _ => Err(error(answer, xml_envelope(body).unwrap_or_default(), header_id, asked)),
    };
    match read {
        Ok(mut answer) => {
            answer.request_id = echo::harmless_id(answer.request_id, asked.secrets);
            hide_in_texts(&mut answer.body, asked.secrets);
            Ok(answer)
        }
        Err(error) => Err(echo::masked(error, asked.secrets)),
    }
}

fn read_object(
    answer: &http::Response<Bytes>,
    body: Value,
    header_id: Option<RequestId>,
    asked: Asked<'_>,
) -> Result<Answer> {
    let envelope = Fields::of(&body).map(Envelope::of).unwrap_or_default();
    // A code in a 200 is an error unless it says that all is well.
    let fine = ["", "ok", "success", "200", "0"].contains(&envelope.code.to_ascii_lowercase().as_str());
    if !answer.status().is_success() || !fine {
        return Err(error(answer, envelope, header_id, asked));
    }
    let request_id = RequestId::new(&envelope.request_id).ok().or(header_id);
    let answer = Answer { request_id, body };
    // Every answer of the service has at least the id of its request.
    match answer.body.as_object().is_some_and(serde_json::Map::is_empty) {
        true => Err(answer.garbled("the answer is an empty object")),
        false => Ok(answer),
    }
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
    mut envelope: Envelope,
    header_id: Option<RequestId>,
    asked: Asked<'_>,
) -> Error {
    // The service's codes are words; gateways repeat the status as a number.
    if !envelope.code.starts_with(|first: char| first.is_ascii_alphabetic()) {
        envelope.code.clear();
    }
    let status = answer.status().as_u16();
    let fault = classify(&envelope.code, status, asked.is_read);
    let mut message = match (envelope.code.is_empty(), envelope.message.is_empty()) {
        (true, _) => no_word::described(answer, &envelope.message, asked.secrets),
        (false, true) => format!("HTTP {status} without a message"),
        (false, false) => without_string_to_sign(&envelope.message).to_owned(),
    };
    if !envelope.denied.is_empty() && !envelope.code.is_empty() {
        message = format!("{message} (missing permission: {})", envelope.denied);
    }
    let told = told_wait(answer.headers(), asked.now).into_iter().chain(fault.wait).max();
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
    let body = without_mark(answer.body());
    let envelope = match serde_json::from_slice::<Value>(body) {
        Ok(body) => Fields::of(&body).map(Envelope::of)?,
        Err(_) => xml_envelope(body)?,
    };
    let start = envelope.message.to_ascii_lowercase().find("server string to sign is:")?;
    Some(envelope.message[start + "server string to sign is:".len()..].trim().to_owned())
}

/// `x-acs-retry-after` in milliseconds, or the standard `Retry-After` in seconds or as a date, which is measured against the
/// answer's own `Date`, or `now` if it has none.
fn told_wait(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let number = |name| text_of(headers, name).and_then(|text| text.trim().parse::<u64>().ok());
    let until = || DateTime::parse_from_rfc2822(text_of(headers, "retry-after")?.trim()).ok();
    number("x-acs-retry-after")
        .map(Duration::from_millis)
        .or_else(|| number("retry-after").map(Duration::from_secs))
        .or_else(|| (until()?.to_utc() - date_of(headers).unwrap_or(now)).to_std().ok())
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Code, message and request id out of an XML error; `None` if it is no XML error. A page may have an element `code` as well.
fn xml_envelope(body: &[u8]) -> Option<Envelope> {
    let text = std::str::from_utf8(body).ok()?;
    if !text.trim_start().starts_with('<') {
        return None;
    }
    let mut reader = Reader::from_str(text);
    let mut envelope = Envelope::default();
    let (mut root, mut inside) = (None, String::new());
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                inside = start.local_name().as_ref().to_owned();
                let root = root.get_or_insert_with(|| inside.to_ascii_lowercase());
                if !["error", "response"].iter().any(|word| root.ends_with(word)) {
                    return None;
                }
            }
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

    fn read(answer: &http::Response<Bytes>) -> Result<Answer> {
        super::read(answer, asked(&[]))
    }

    /// A call that reads, answered at noon.
    fn asked<'a>(secrets: &'a [&'a str]) -> Asked<'a> {
        Asked { is_read: true, secrets, now: "2026-11-25T12:00:00Z".parse().unwrap() }
    }

    #[test]
    fn errors_are_read_in_every_dress() {
        let json = r#"{"RequestId":"R-1","Code":"Throttling.User","Message":"slow"}"#;
        let small = r#"{"requestId":"R-1","code":"Throttling.User","message":"slow"}"#;
        let xml = "<?xml version='1.0'?><Error><RequestId>R-1</RequestId><Code>Throttling.User</Code><Message>slow</Message></Error>";
        let marked = [json, xml].map(|body| format!("\u{feff}{body}"));
        let [json_marked, xml_marked] = marked.each_ref().map(String::as_str);
        let table = [
            (400, json),
            (400, small),
            (503, xml),
            (200, json),
            (302, json),
            (400, json_marked),
            (503, xml_marked),
        ];
        for (status, body) in table {
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
            (302, "<html></html>", ErrorKind::Unavailable, "HTTP 302 with an HTML page"),
            (
                404,
                "<?xml version='1.0'?><!DOCTYPE html><html></html>",
                ErrorKind::Unavailable,
                "an HTML page",
            ),
            (403, "<html><p><code>ERR_DENIED</code></p></html>", ErrorKind::Unavailable, "an HTML page"),
            (403, "<p><code>ERR_DENIED</code></p>", ErrorKind::Unavailable, "XML of an unknown form"),
            (407, "", ErrorKind::Unavailable, "HTTP 407 with an empty body"),
            (451, "not here", ErrorKind::Unavailable, "neither JSON nor XML"),
            (403, "{}", ErrorKind::Unavailable, "JSON without a code"),
            (403, r#"{"code":403,"message":"blocked"}"#, ErrorKind::Unavailable, "that says \"blocked\""),
            (
                200,
                r#"{"code":500,"message":"no\u0007route"}"#,
                ErrorKind::Garbled,
                "that says \"no\\u{7}route\"",
            ),
            (200, r#"{"RequestId":"R-2","Media"#, ErrorKind::Garbled, "JSON that breaks off"),
            (200, "[1,2]", ErrorKind::Garbled, "neither JSON nor XML"),
            (429, "", ErrorKind::Throttled, "an empty body"),
            (500, "\u{fffd}\u{0}", ErrorKind::Unavailable, "neither JSON nor XML"),
        ];
        for (status, body, kind, what) in table {
            let error = read(&answer(status, &[("x-acs-request-id", "R-9")], body)).unwrap_err();
            assert_eq!(error.kind(), kind, "{body}");
            assert!(error.message().contains(what), "{error}");
            assert_eq!((error.code(), error.request_id().unwrap().as_str()), (None, "R-9"), "{body}");
        }
    }

    #[test]
    fn a_portal_is_named_by_its_address_and_title_without_what_is_secret() {
        let table = [
            ("https://u:p@portal.test/login?url=%2F%3FSignature%3DMARK", "to https://portal.test/login with"),
            (
                "https://portal.test/go/http%3A%2F%2Fh%2F%3fSignature=MARK",
                "to https://portal.test/go/http%3A%2F%2Fh%2F with",
            ),
            ("//portal.test#MARK", "to //portal.test with"),
            ("/login/MARK+SECRET", "to /login/<secret> with"),
        ];
        let page = "<html><head><TITLE lang=en>\n Sign in,\n MARK+SECRET \u{1b}[1m</TITLE></head></html>";
        for (location, to) in table {
            let answer = answer(302, &[("Location", location)], page);
            let error = super::read(&answer, asked(&["MARK+SECRET"])).unwrap_err();
            let text = error.message();
            assert!(text.contains(to) && !text.contains("MARK"), "{text}");
            assert!(text.ends_with(", titled \"Sign in, <secret> \\u{1b}[1m\""), "{text}");
        }
        for page in ["<html><title>", "<html><title></title>", "<html><title", "<html>"] {
            assert!(read(&answer(403, &[], page)).unwrap_err().message().ends_with("bytes"), "{page}");
        }
    }

    #[test]
    fn a_code_that_nobody_knows_stays_the_services_word() {
        let body = r#"{"Code":"SomethingNew","Message":"m","RequestId":"R"}"#;
        let submission = Asked { is_read: false, ..asked(&[]) };
        for (asked, kind) in [(asked(&[]), ErrorKind::Rejected), (submission, ErrorKind::Refused)] {
            let error = super::read(&answer(403, &[], body), asked).unwrap_err();
            assert_eq!((error.kind(), error.code()), (kind, Some("SomethingNew")));
        }
    }

    #[test]
    fn the_servers_wait_is_kept() {
        let body = r#"{"Code":"Throttling","Message":"m"}"#;
        for (headers, millis) in [
            (&[("x-acs-retry-after", "1500")][..], Some(1_500)),
            (&[("Retry-After", "2")][..], Some(2_000)),
            (&[("Retry-After", "soon")][..], None),
            (&[("Retry-After", "Wed, 25 Nov 2026 12:00:05 GMT")][..], Some(5_000)),
            (&[("Retry-After", "Wed, 25 Nov 2026 11:59:59 GMT")][..], None),
            (
                &[
                    ("Retry-After", "Wed, 25 Nov 2026 09:00:07 GMT"),
                    ("Date", "Wed, 25 Nov 2026 09:00:00 GMT"),
                ][..],
                Some(7_000),
            ),
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
        let answer = super::read(&answer(200, &[], body), asked(&["TOKENMARK"])).unwrap();
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
