//! What the signed call must know of a service.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::Response;

use crate::auth::Credential;
pub(crate) use crate::auth::request::Signed;
use crate::auth::rpc::Params;
use crate::error::{ErrorKind, Fate, Result};
use crate::ids::RequestId;
use crate::net::pace::Pacer;
use crate::net::xml::Element;

/// The body of a good answer and the request id in it, or an error.
pub(crate) type Parsed<B> = std::result::Result<(B, Option<RequestId>), Envelope>;

/// One of the two services.
pub(crate) trait Api: Send + Sync {
    /// An operation with its parameters, before it is signed.
    type Operation: Send + Sync;
    /// The body of a good answer.
    type Body: Send + Sync;

    /// The header in which the service names the request.
    const REQUEST_ID_HEADER: &'static str;
    /// What else a refused signature may mean where the service does not say what it signed.
    const SIGNATURE_HINT: &'static str = "";

    /// Signs one attempt; `now` is the service's time.
    fn sign(&self, call: &Self::Operation, credential: &Credential, now: DateTime<Utc>) -> Result<Signed>;

    /// The parameters of `operation`, if it has any that may be secret.
    fn params(_operation: &Self::Operation) -> Option<&Params> {
        None
    }

    /// Reads a good answer, and the request id if its body holds one; anything else is an error. Texts for people that are
    /// not ids must come without `secrets`.
    fn parse(response: &Response<Bytes>, secrets: &[&str]) -> Parsed<Self::Body>;

    /// What an error answer means. `code` is empty where the answer had none.
    fn classify(code: &str, status: u16, is_read: bool) -> Fault;

    /// Spaces the calls of an action; `None` if the service has no limit that matters.
    fn pacer(&self, _action: &str) -> Option<&Pacer> {
        None
    }
}

/// An error as a service writes it, whether in JSON or in XML.
#[derive(Debug, Default)]
pub(crate) struct Envelope {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) request_id: String,
    /// The permission that is missing, where the service names it.
    pub(crate) denied: String,
}

impl Envelope {
    /// Reads an XML error; `None` if it is none. The page of a proxy may have an element `code` as well.
    pub(crate) fn of_xml(root: &Element) -> Option<Self> {
        let name = root.name.to_ascii_lowercase();
        if !["error", "response"].iter().any(|word| name.ends_with(word)) {
            return None;
        }
        let text = |name| first_text(root, name).unwrap_or_default().to_owned();
        let envelope = Self {
            code: text("code"),
            message: text("message"),
            request_id: text("requestid"),
            denied: String::new(),
        };
        (!envelope.code.is_empty()).then_some(envelope)
    }
}

/// The text of the first element of this name at any depth, whatever the case of its letters.
fn first_text<'a>(element: &'a Element, name: &str) -> Option<&'a str> {
    element.children.iter().find_map(|child| {
        let text = Some(child.text.trim()).filter(|text| !text.is_empty());
        text.filter(|_| child.name.eq_ignore_ascii_case(name)).or_else(|| first_text(child, name))
    })
}

/// The meaning of one error answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    pub(crate) fate: Fate,
    /// The least wait that makes sense, where the code implies one.
    pub(crate) wait: Option<Duration>,
}

impl Fault {
    pub(crate) fn of(kind: ErrorKind) -> Self {
        let fate = match kind {
            ErrorKind::Unavailable | ErrorKind::Garbled => Fate::Unknown,
            _ => Fate::NotActed,
        };
        Self { kind, fate, wait: None }
    }

    /// The meaning of an answer whose `code` is in no table. `is_read` says that the call changes nothing.
    ///
    /// An answer without a code does not come from the service, whatever its status: a proxy, a portal or a gateway gave it.
    pub(crate) fn of_unknown_code(code: &str, status: u16, is_read: bool) -> Self {
        use ErrorKind::{Garbled, NotFound, Refused, Rejected, Throttled, Unavailable};
        Self::of(match status {
            429 => Throttled,
            200..=299 => Garbled,
            _ if code.is_empty() => Unavailable,
            // An unknown code refuses no permission for sure, and one read that it spoils must not end a run.
            400..=499 if is_read => Rejected,
            401 | 403 => Refused,
            404 => NotFound,
            400..=499 => Rejected,
            _ => Unavailable,
        })
    }
}
