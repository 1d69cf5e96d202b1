//! From the body of a response of the queue to an XML element or an error.

use bytes::Bytes;
use http::Response;

use crate::client::{Answer, Envelope};
use crate::error::Result;
use crate::net::xml::{self, Element};

/// The root of a good answer's body; `None` where there was no body.
pub(crate) type Body = Option<Element>;

/// Returns the root of an answer, which must have this name.
pub(super) fn root_named<'a>(answer: &'a Answer<Body>, name: &str) -> Result<&'a Element> {
    let found = answer.body.as_ref().filter(|root| root.name == name);
    found.ok_or_else(|| answer.garbled(format!("the answer is no {name}")))
}

/// Reads a body. A batch delete that partly failed is a 404 whose root is `Errors`: that is an answer, not an error.
pub(super) fn parse(response: &Response<Bytes>) -> Result<Body, Envelope> {
    let root = xml::read(response.body());
    let is_list_of_errors = root.as_ref().is_some_and(|root| root.name == "Errors");
    let is_readable = root.is_some() || response.body().is_empty();
    if (is_list_of_errors || response.status().is_success()) && is_readable {
        return Ok(root);
    }
    Err(root.as_ref().and_then(Envelope::of_xml).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Credential;
    use crate::client::{self, Sent};
    use crate::error::ErrorKind;
    use crate::smq::client::Queue;

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
}
