//! How the VOD service is spoken to: signatures, and bodies of responses.

use std::collections::HashMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::Response;
use serde_json::Value;

use super::actions::Host;
use super::fault;
use super::lenient::Fields;
use crate::auth::request::{Attempt, Operation, fresh_nonce, signed};
use crate::auth::rpc::Params;
use crate::auth::{Credential, SignatureVersion, redact};
use crate::client::{Api, Envelope, Fault, Parsed, Signed, without_byte_order_mark};
use crate::error::Result;
use crate::ids::RequestId;
use crate::net::pace::Pacer;
use crate::net::xml;

/// Fields that hold texts of the service, for people. Ids and URLs are what they are: changed, they would name nothing.
const TEXTS: [&str; 4] = ["ErrorCode", "ErrorMessage", "Description", "Status"];

/// The VOD service.
pub(crate) struct Vod {
    pub(super) endpoint: String,
    pub(super) task_endpoint: String,
    pub(super) signature: SignatureVersion,
    pub(super) pacers: HashMap<&'static str, Pacer>,
}

impl Api for Vod {
    type Operation = (Host, Operation);
    type Body = Value;

    const REQUEST_ID_HEADER: &'static str = "x-acs-request-id";

    fn sign(&self, call: &Self::Operation, credential: &Credential, now: DateTime<Utc>) -> Result<Signed> {
        let (host, operation) = call;
        let endpoint = match host {
            Host::Media => &self.endpoint,
            Host::Tasks => &self.task_endpoint,
        };
        signed(self.signature, endpoint, operation, &Attempt { credential, nonce: fresh_nonce()?, now })
    }

    fn params((_, operation): &Self::Operation) -> Option<&Params> {
        Some(&operation.params)
    }

    /// Reads a JSON object that is no error, and hides `secrets` in its texts, which reports show. Errors come as JSON, as XML
    /// although JSON was asked for, or as a proxy's HTML; some products put a `Code` into a 200.
    fn parse(response: &Response<Bytes>, secrets: &[&str]) -> Parsed<Value> {
        let body = without_byte_order_mark(response.body());
        // Not `from_slice`: this one is compiled where it is optimised, and debug builds read much.
        let Ok(mut body) = str::from_utf8(body).unwrap_or_default().parse::<Value>() else {
            return Err(xml::read(body).as_ref().and_then(Envelope::of_xml).unwrap_or_default());
        };
        let Some(envelope) = Fields::of(&body).map(envelope) else { return Err(Envelope::default()) };
        // A code in a 200 is an error unless it says that all is well.
        let fine = ["", "ok", "success", "200", "0"].contains(&envelope.code.to_ascii_lowercase().as_str());
        if !response.status().is_success() || !fine {
            return Err(envelope);
        }
        hide_in_texts(&mut body, secrets);
        Ok((body, RequestId::new(&envelope.request_id).ok()))
    }

    fn classify(code: &str, status: u16, is_read: bool) -> Fault {
        fault::classify(code, status, is_read)
    }

    fn pacer(&self, action: &str) -> Option<&Pacer> {
        self.pacers.get(action)
    }
}

fn envelope(fields: Fields<'_>) -> Envelope {
    let text = |name| fields.text(name).unwrap_or_default();
    // With RAM denials: which action is missing, as an object.
    let denied = fields.get("AccessDeniedDetail").and_then(Fields::of);
    let denied = denied.and_then(|d| d.text("AuthAction")).unwrap_or_default();
    Envelope { code: text("Code"), message: text("Message"), request_id: text("RequestId"), denied }
}

fn hide_in_texts(value: &mut Value, secrets: &[&str]) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| hide_in_texts(value, secrets)),
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.trim();
                match value {
                    Value::String(text) if TEXTS.iter().any(|known| name.eq_ignore_ascii_case(known)) => {
                        if let Some(shown) = redact::hidden(text, secrets.iter().copied()) {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::client::{self, Answer, Sent};
    use crate::error::ErrorKind;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> http::Response<Bytes> {
        let mut builder = http::Response::builder().status(status);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    fn read(response: &Response<Bytes>) -> Result<Answer<Value>> {
        read_with(response, true, &[])
    }

    /// Reads a response that came at noon to a call with these secrets, which was signed as "GET&%2F&SecurityToken%3DMARK".
    fn read_with(response: &Response<Bytes>, is_read: bool, secrets: &[&str]) -> Result<Answer<Value>> {
        let (credential, string_to_sign) =
            (&Credential::new("testid", "testsecret"), "GET&%2F&SecurityToken%3DMARK");
        let now = "2026-11-25T12:00:00Z".parse().unwrap();
        client::read::<Vod>(response, Sent { is_read, secrets, credential, string_to_sign, now })
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
            (
                200,
                r#"{"RequestId":"R-2"} <!-- served by a proxy -->"#,
                ErrorKind::Garbled,
                "JSON with more text behind it",
            ),
            (200, r#"{"RequestId":"R-2" "Media": 1}"#, ErrorKind::Garbled, "JSON that can't be read"),
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
            (
                "https://u:MARK@portal.test/login?url=%2F%3FSignature%3DMARK",
                "to https://<secret>@portal.test/login?<secret> with",
            ),
            (
                "https://portal.test/go/http%3A%2F%2Fh%2F%3fSignature=MARK",
                "to https://portal.test/go/http%3A%2F%2Fh%2F<secret> with",
            ),
            ("//portal.test#MARK", "to //portal.test#<secret> with"),
            ("/login/MARK+SECRET", "to /login/<secret> with"),
        ];
        let page = "<html><head><TITLE lang=en>\n Sign in,\n MARK+SECRET \u{1b}[1m</TITLE></head></html>";
        for (location, to) in table {
            let answer = answer(302, &[("Location", location)], page);
            let error = read_with(&answer, true, &["MARK+SECRET"]).unwrap_err();
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
        for (is_read, kind) in [(true, ErrorKind::Rejected), (false, ErrorKind::Refused)] {
            let error = read_with(&answer(403, &[], body), is_read, &[]).unwrap_err();
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
        let text = "Specified signature is not matched with our calculation";
        let same = "; the service signs the same text, so the secret does not belong to key id testid";
        assert_eq!(read(&answer(400, &[], body)).unwrap_err().message(), format!("{text}{same}"));
        let other = body.replace("GET", "POST");
        let changed = "; the service signs another text than we do: something changed the request on the way";
        assert_eq!(read(&answer(400, &[], &other)).unwrap_err().message(), format!("{text}{changed}"));
    }

    #[test]
    fn texts_of_a_good_answer_lose_secrets_and_ids_stay() {
        let body = r#"{"RequestId":"R-TOKENMARK","Rows":[{"TaskId":"TOKENMARK1","ObjectPath":"https://h/TOKENMARK",
            "Description":"no route for TOKENMARK","errorMessage":"TOKENMARK","ErrorCode":"Bad.TOKENMARK","Status":"Ok"}]}"#;
        let answer = read_with(&answer(200, &[], body), true, &["TOKENMARK"]).unwrap();
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
