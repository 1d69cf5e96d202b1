//! How the queue service is spoken to: signatures, and bodies of responses.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Method, Request, Response, header};
use secrecy::ExposeSecret as _;

use super::queue_url::QueueUrl;
use crate::auth::Credential;
use crate::auth::queue::{self, TOKEN_HEADER, ToSign, VERSION_HEADER};
use crate::auth::request::secret_header;
use crate::client::{Answer, Api, Envelope, Fault, Parsed, Signed};
use crate::error::{Error, ErrorKind, Result};
use crate::net::xml::{self, Element};

/// Version of the API.
const VERSION: &str = "2015-06-06";
/// Nothing to receive; or the message of a handle is gone.
pub(super) const MESSAGE_NOT_EXIST: &str = "MessageNotExist";
/// A handle that is no longer valid, or never was.
pub(super) const RECEIPT_HANDLE_ERROR: &str = "ReceiptHandleError";

/// One operation to be signed.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(super) action: &'static str,
    pub(super) method: Method,
    /// Path and query exactly as they go out: this is what is signed.
    pub(super) target: String,
    /// XML, or nothing.
    pub(super) body: String,
}

/// The queue service.
pub(crate) struct Queue {
    pub(super) url: QueueUrl,
}

impl Api for Queue {
    type Operation = Operation;
    type Body = Body;

    const REQUEST_ID_HEADER: &'static str = "x-mns-request-id";
    const SIGNATURE_HINT: &'static str =
        "; the secret does not belong to the key id, or the host is not the one of the queue's account";

    fn sign(&self, call: &Operation, credential: &Credential, now: DateTime<Utc>) -> Result<Signed> {
        let date = queue::date(now);
        let (content_type, content_md5) = match call.body.as_str() {
            "" => ("", String::new()),
            body => ("text/xml", queue::content_md5(body.as_bytes())),
        };
        let string_to_sign = ToSign {
            method: &call.method,
            content_md5: &content_md5,
            content_type,
            date: &date,
            headers: &BTreeMap::from([(VERSION_HEADER.to_owned(), VERSION.to_owned())]),
            target: &call.target,
        }
        .text();
        let signature = queue::sign(&string_to_sign, credential.secret.expose_secret());
        let secret = |text: &str| {
            secret_header(text).map_err(|_| {
                let source = &credential.source;
                let message = format!("the key id or token from {source} can't stand in a header");
                Error::new(ErrorKind::Config, message).with_action(call.action)
            })
        };
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("{}{}", self.url.origin(), call.target))
            .header(header::DATE, &date)
            .header(VERSION_HEADER, VERSION)
            .header(header::CONTENT_LENGTH, call.body.len());
        if !call.body.is_empty() {
            request = request.header(header::CONTENT_TYPE, content_type).header("content-md5", &content_md5);
        }
        let authorization = queue::authorization(&credential.key_id, &signature);
        request = request.header(header::AUTHORIZATION, secret(&authorization)?);
        if let Some(token) = &credential.token {
            request = request.header(TOKEN_HEADER, secret(token.expose_secret())?);
        }
        let internal = |_| Error::new(ErrorKind::Internal, "the request target is no part of a URL");
        let request = request.body(Bytes::from(call.body.clone())).map_err(internal)?;
        debug_assert_eq!(request.uri().path_and_query().map(|p| p.as_str()), Some(call.target.as_str()));
        Ok(Signed { request, string_to_sign })
    }

    /// A batch delete that partly failed is a 404 whose root is `Errors`: that is an answer, not an error.
    fn parse(response: &Response<Bytes>, _: &[&str]) -> Parsed<Body> {
        let root = xml::read(response.body()).or_else(|| readable_messages(response.body()));
        let is_list_of_errors = root.as_ref().is_some_and(|root| root.name == "Errors");
        let is_readable = root.is_some() || response.body().is_empty();
        if (is_list_of_errors || response.status().is_success()) && is_readable {
            return Ok((root, None));
        }
        Err(root.as_ref().and_then(Envelope::of_xml).unwrap_or_default())
    }

    /// The code decides first: an empty queue and a missing one are both a 404. Source: "Error responses" of Simple Message
    /// Queue, in both editions.
    fn classify(code: &str, status: u16, _: bool) -> Fault {
        use ErrorKind::{Clock, Config, Expired, NotFound, Refused, Throttled, Unavailable};
        let lower = code.to_ascii_lowercase();
        Fault::of(match lower.as_str() {
            "messagenotexist" | "receipthandleerror" => NotFound,
            "queuenotexist" | "invalidqueuename" | "queuenamelengtherror" | "invalidrequesturl" => Config,
            "toomanyrequests" | "qpslimitexceeded" => Throttled,
            "timeexpired" => Clock,
            "internalerror" | "internalservererror" | "serviceunavailable" => Unavailable,
            "signaturedoesnotmatch" | "invalidaccesskeyid" => Refused,
            _ if lower.starts_with("accessdenied") => Refused,
            // Not in the list of codes; the names are those of the vendor's other products.
            _ if lower.contains("securitytoken") && lower.contains("expired") => Expired,
            _ if lower.contains("securitytoken") => Refused,
            // An unknown code with a 403 may refuse a permission: batches are then deleted one by one.
            _ => return Fault::of_unknown_code(code, status, false),
        })
    }
}

/// The messages of an answer that is no XML because of one of them: a body that is no UTF-8, or holds tags. Of such a message no
/// more than its id and its handle is read. `None` for an answer of another kind, or one that breaks off.
fn readable_messages(body: &[u8]) -> Option<Element> {
    let text = String::from_utf8_lossy(body);
    let (_, list) = text.trim_end().strip_suffix("</Messages>")?.split_once("<Messages")?;
    let message = |rest: &str| {
        let rest = rest.rsplit_once("</Message>").map_or(rest, |(message, _)| message);
        xml::read(format!("<Message>{rest}</Message>").as_bytes()).unwrap_or_else(|| {
            let field = |name: &str| {
                let (_, from) = rest.split_once(&format!("<{name}>"))?;
                let text = from.split_once(&format!("</{name}>"))?.0.to_owned();
                Some(Element { name: name.to_owned(), text, children: Vec::new() })
            };
            let children = ["MessageId", "ReceiptHandle"].into_iter().filter_map(field).collect();
            Element { name: "Message".to_owned(), text: String::new(), children }
        })
    };
    let children = list.split("<Message>").skip(1).map(message).collect();
    Some(Element { name: "Messages".to_owned(), text: String::new(), children })
}

/// The root of a good answer's body; `None` where there was no body.
pub(crate) type Body = Option<Element>;

/// Returns the root of an answer, which must have this name.
pub(super) fn root_named<'a>(answer: &'a Answer<Body>, name: &str) -> Result<&'a Element> {
    let found = answer.body.as_ref().filter(|root| root.name == name);
    found.ok_or_else(|| answer.garbled(format!("the answer is no {name}")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::client::{self, Sent};

    fn read(response: &Response<Bytes>) -> Result<Answer<Body>> {
        let (credential, now) =
            (&Credential::new("testid", "testsecret"), "2026-11-25T12:00:00Z".parse().unwrap());
        client::read::<Queue>(
            response,
            Sent { is_read: true, secrets: &[], credential, string_to_sign: "", now },
        )
    }

    fn answer(status: u16, body: &str) -> Response<Bytes> {
        let builder = Response::builder().status(status).header("x-mns-request-id", "R-9");
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
            (200, "<Messages><Mess", ErrorKind::Garbled, "XML of an unknown form"),
            (200, "secret", ErrorKind::Garbled, "neither JSON nor XML"),
            (403, "", ErrorKind::Unavailable, "an empty body"),
        ] {
            let error = read(&answer(status, body)).unwrap_err();
            assert_eq!(error.kind(), kind, "{body}");
            assert!(error.message().contains(what) && !error.message().contains("secret"), "{error}");
            assert_eq!(error.request_id().unwrap().as_str(), "R-9");
        }
    }

    #[test]
    fn nothing_at_all_is_a_good_answer_where_the_status_says_so() {
        assert!(read(&answer(204, "")).unwrap().body.is_none());
        assert_eq!(
            root_named(&read(&answer(204, "")).unwrap(), "Messages").unwrap_err().kind(),
            ErrorKind::Garbled
        );
    }

    #[test]
    fn codes_decide_before_statuses() {
        use ErrorKind::*;
        for (code, status, kind) in [
            ("MessageNotExist", 404, NotFound),
            ("QueueNotExist", 404, Config),
            ("ReceiptHandleError", 400, NotFound),
            ("InvalidArgument", 400, Rejected),
            ("InvalidDegist", 400, Rejected),
            ("InvalidQueueName", 400, Config),
            ("SignatureDoesNotMatch", 403, Refused),
            ("AccessDenied", 403, Refused),
            ("AccessDeniedByRamPolicy", 400, Refused),
            ("TimeExpired", 408, Clock),
            ("TimeExpired", 400, Clock),
            ("TooManyRequests", 429, Throttled),
            ("QpsLimitExceeded", 400, Throttled),
            ("InternalServerError", 500, Unavailable),
            ("SecurityTokenExpired", 403, Expired),
            ("SomethingNew", 403, Refused),
            ("SomethingNew", 418, Rejected),
            ("", 403, Unavailable),
            ("", 404, Unavailable),
            ("", 408, Unavailable),
            ("", 429, Throttled),
            ("", 502, Unavailable),
            ("", 200, Garbled),
        ] {
            assert_eq!(Queue::classify(code, status, true).kind, kind, "{code} {status}");
        }
    }

    #[test]
    fn a_queue_may_say_when_to_come_again_in_either_form() {
        let body = "<Error><Code>ServiceUnavailable</Code><Message>m</Message></Error>";
        for (header, seconds) in [("7", Some(7)), ("Wed, 25 Nov 2026 12:00:05 GMT", Some(5)), ("soon", None)]
        {
            let mut response = answer(503, body);
            response.headers_mut().insert("retry-after", header.parse().unwrap());
            let error = read(&response).unwrap_err();
            assert_eq!(error.retry_after(), seconds.map(Duration::from_secs), "{header}");
        }
    }

    #[test]
    fn a_gateways_page_is_named_and_does_not_come_from_the_queue() {
        let page = "<html><title>Sign in</title></html>";
        let mut response = answer(302, page);
        response.headers_mut().insert("location", "https://portal.test/login?x=1".parse().unwrap());
        let error = read(&response).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, None));
        let text = error.message();
        assert!(
            text.starts_with("HTTP 302 to https://portal.test/login?<secret> with an HTML page"),
            "{text}"
        );
        assert!(text.ends_with("titled \"Sign in\""), "{text}");
    }
}
