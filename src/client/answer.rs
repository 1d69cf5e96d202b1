//! From an HTTP response to an answer or an error.
//!
//! A response without an error code of the service does not come from the service, and the error says what it is instead.
//! Whatever it is, the request id and the wait that the server asks for are kept, and nothing secret is.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, Response};

use super::api::{Api, Envelope};
use super::text::{describe_foreign, header};
use crate::auth::{Credential, redact};
use crate::error::{Error, ErrorKind, Fate, Result};
use crate::ids::RequestId;
use crate::net::clock::date_of;

/// What must be known of a request to read its response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent<'a> {
    /// Whether the call changes nothing, however often it is made.
    pub(crate) is_read: bool,
    /// What must not show: a response may repeat the request.
    pub(crate) secrets: &'a [&'a str],
    pub(crate) credential: &'a Credential,
    pub(crate) string_to_sign: &'a str,
    /// When the response came, by the service's clock.
    pub(crate) now: DateTime<Utc>,
}

/// A good answer.
#[derive(Debug)]
pub(crate) struct Answer<B> {
    pub(crate) body: B,
    pub(crate) request_id: Option<RequestId>,
}

impl<B> Answer<B> {
    /// An error about this answer: it can be read but makes no sense.
    pub(crate) fn garbled(&self, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Garbled, message)
            .with_fate(Fate::Unknown)
            .with_request_id(self.request_id.clone())
    }
}

/// Reads one response. What it repeats of the secrets is hidden, also in the request id, which every error names.
pub(crate) fn read<A: Api>(response: &Response<Bytes>, sent: Sent<'_>) -> Result<Answer<A::Body>> {
    let header_id = header(response.headers(), A::REQUEST_ID_HEADER).and_then(|id| RequestId::new(id).ok());
    match A::parse(response, sent.secrets) {
        Ok((body, id)) => {
            Ok(Answer { body, request_id: redact::harmless_id(id.or(header_id), sent.secrets) })
        }
        Err(envelope) => {
            Err(redact::masked(error_of::<A>(response, envelope, header_id, sent), sent.secrets))
        }
    }
}

fn error_of<A: Api>(
    response: &Response<Bytes>,
    mut envelope: Envelope,
    header_id: Option<RequestId>,
    sent: Sent<'_>,
) -> Error {
    // The service's codes are words; gateways repeat the status as a number.
    if !envelope.code.starts_with(|first: char| first.is_ascii_alphabetic()) {
        envelope.code.clear();
    }
    let Envelope { code, message, request_id, denied } = envelope;
    let status = response.status().as_u16();
    let fault = A::classify(&code, status, sent.is_read);
    let (shown, servers_text) = redact::split_at_string_to_sign(&message);
    let mut text = match (code.is_empty(), message.is_empty()) {
        (true, _) => describe_foreign(response, &message, sent.secrets),
        (false, true) => format!("HTTP {status} without a message"),
        (false, false) => shown.to_owned(),
    };
    if !denied.is_empty() && !code.is_empty() {
        text = format!("{text} (missing permission: {denied})");
    }
    if code == "SignatureDoesNotMatch" {
        text.push_str(&explain_signature::<A>(servers_text, sent));
    }
    let wait = requested_wait(response.headers(), sent.now).max(fault.wait);
    let error = Error::new(fault.kind, text)
        .with_fate(fault.fate)
        .with_request_id(RequestId::new(&request_id).ok().or(header_id))
        .with_retry_after(wait);
    if code.is_empty() { error } else { error.with_code(code) }
}

/// Tells a wrong secret from a request that was changed on the way.
fn explain_signature<A: Api>(servers_text: Option<&str>, sent: Sent<'_>) -> String {
    let Sent { credential, string_to_sign, .. } = sent;
    if credential.secret_has_blanks_around() {
        return "; the secret has a blank or line break at its start or end".into();
    }
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    match servers_text {
        None => A::SIGNATURE_HINT.into(),
        Some(servers) if squeezed(servers) == squeezed(string_to_sign) => {
            let key_id = &credential.key_id;
            format!("; the service signs the same text, so the secret does not belong to key id {key_id}")
        }
        Some(_) => {
            "; the service signs another text than we do: something changed the request on the way".into()
        }
    }
}

/// The wait that a server asks for: `x-acs-retry-after` in milliseconds, or the standard `Retry-After` in seconds or as a date,
/// which is measured against the response's own `Date`, or `now` if it has none.
fn requested_wait(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let number = |name| header(headers, name).and_then(|text| text.trim().parse::<u64>().ok());
    let until = || DateTime::parse_from_rfc2822(header(headers, "retry-after")?.trim()).ok();
    number("x-acs-retry-after")
        .map(Duration::from_millis)
        .or_else(|| number("retry-after").map(Duration::from_secs))
        .or_else(|| (until()?.to_utc() - date_of(headers).unwrap_or(now)).to_std().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h30_a_time_to_wait_may_be_a_date() {
        let now = "2026-11-25T01:19:10Z".parse().unwrap();
        for (headers, expected) in [
            (&[("retry-after", "7")][..], Some(7_000)),
            (&[("x-acs-retry-after", "1500"), ("retry-after", "7")], Some(1_500)),
            (&[("retry-after", "Wed, 25 Nov 2026 01:19:40 GMT")], Some(30_000)),
            // The server's own clock counts where it tells it.
            (
                &[
                    ("date", "Wed, 25 Nov 2026 00:00:00 GMT"),
                    ("retry-after", "Wed, 25 Nov 2026 00:00:05 GMT"),
                ],
                Some(5_000),
            ),
            (&[("retry-after", "Wed, 25 Nov 2026 01:00:00 GMT")], None),
            (&[("retry-after", "soon")], None),
            (&[], None),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            let wait = requested_wait(&map, now);
            assert_eq!(wait, expected.map(Duration::from_millis), "{headers:?}");
        }
    }
}
