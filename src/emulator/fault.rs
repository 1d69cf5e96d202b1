//! What can go wrong.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;

/// What goes wrong. In a scenario file a name such as `"reset_before"`, or one with its details:
/// `{"throttle": {"status": 503}}`, where every detail may be left out (`{"throttle": {}}`).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Fault {
    /// Asked to slow down; nothing is done.
    Throttle {
        /// The error code; default `Throttling.User`.
        #[serde(default = "throttling")]
        code: String,
        /// HTTP status; default 400.
        #[serde(default = "status_400")]
        status: u16,
        /// Milliseconds in the header `x-acs-retry-after`.
        #[serde(default)]
        retry_after_ms: Option<u64>,
        /// Seconds in the header `Retry-After`.
        #[serde(default)]
        retry_after_s: Option<u64>,
    },
    /// Any other error in the vendor's envelope; nothing is done.
    Error {
        /// HTTP status; default 500.
        #[serde(default = "status_500")]
        status: u16,
        /// The error code; default `InternalError`.
        #[serde(default = "internal")]
        code: String,
        /// The message.
        #[serde(default = "internal_message")]
        message: String,
    },
    /// The same as XML, whatever was asked for; nothing is done.
    XmlError {
        /// HTTP status; default 500.
        #[serde(default = "status_500")]
        status: u16,
        /// The error code; default `InternalError`.
        #[serde(default = "internal")]
        code: String,
        /// The message.
        #[serde(default = "internal_message")]
        message: String,
    },
    /// A status and no body; nothing is done.
    Empty {
        /// HTTP status; default 503.
        #[serde(default = "status_503")]
        status: u16,
    },
    /// A proxy's error page; nothing is done.
    Html {
        /// HTTP status; default 502.
        #[serde(default = "status_502")]
        status: u16,
    },
    /// Sent on to another address, as by a portal that wants a login; nothing is done.
    Redirect {
        /// HTTP status; default 302.
        #[serde(default = "status_302")]
        status: u16,
        /// Where to; default `http://portal.example.test/login`.
        #[serde(default = "portal")]
        location: String,
    },
    /// The connection is cut; nothing is done.
    ResetBefore,
    /// The work is done, the connection is cut before the answer.
    ResetAfter,
    /// No answer ever comes.
    Stall {
        /// Whether the work is done; default false.
        #[serde(default)]
        done: bool,
    },
    /// The work is done, the answer (status 200) is not JSON.
    Garbage,
    /// The work is done, the answer (status 200) is `{}`.
    EmptyObject,
    /// The work is done, the list in the answer has another shape; answers without a list stay as they are.
    WrongShape {
        /// Which shape; default `text`.
        #[serde(default)]
        shape: Shape,
    },
    /// The work is done, a byte order mark stands before the answer.
    Bom,
    /// The work is done, the answer breaks off in the middle.
    HalfBody,
    /// The work is done, the answer takes longer.
    Delay {
        /// How much longer.
        #[serde(with = "duration")]
        by: Duration,
    },
    /// The work is done; the keys of the answer begin with small letters.
    LowerCaseKeys,
    /// Rows of other tasks, `Failed`, stand among those asked for.
    WrongTaskRows,
    /// `TotalCount` is a text.
    TotalAsString,
    /// `TotalCount` is left out.
    NoTotal,
}

/// What stands where a list belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Shape {
    /// A text.
    #[default]
    Text,
    /// The row itself, if there is exactly one.
    LoneRow,
    /// An object without fields.
    Object,
    /// A list whose rows have no fields.
    EmptyRows,
}

fn throttling() -> String {
    "Throttling.User".into()
}
fn internal() -> String {
    "InternalError".into()
}
fn internal_message() -> String {
    "The request processing has failed due to some unknown error.".into()
}
fn portal() -> String {
    "http://portal.example.test/login".into()
}
fn status_302() -> u16 {
    302
}
fn status_400() -> u16 {
    400
}
fn status_500() -> u16 {
    500
}
fn status_502() -> u16 {
    502
}
fn status_503() -> u16 {
    503
}

impl Fault {
    /// Throttling as the gateway words it today: 400 `Throttling.User`.
    pub fn throttle() -> Self {
        Self::Throttle { code: throttling(), status: 400, retry_after_ms: None, retry_after_s: None }
    }

    /// An error with this status and code.
    pub fn error(status: u16, code: impl Into<String>) -> Self {
        Self::Error { status, code: code.into(), message: internal_message() }
    }

    /// A redirection to a portal.
    pub fn redirect() -> Self {
        Self::Redirect { status: status_302(), location: portal() }
    }

    /// Its name in scenario files and in the log of calls.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Throttle { .. } => "throttle",
            Self::Error { .. } => "error",
            Self::XmlError { .. } => "xml_error",
            Self::Empty { .. } => "empty",
            Self::Html { .. } => "html",
            Self::Redirect { .. } => "redirect",
            Self::ResetBefore => "reset_before",
            Self::ResetAfter => "reset_after",
            Self::Stall { .. } => "stall",
            Self::Garbage => "garbage",
            Self::EmptyObject => "empty_object",
            Self::WrongShape { .. } => "wrong_shape",
            Self::Bom => "bom",
            Self::HalfBody => "half_body",
            Self::Delay { .. } => "delay",
            Self::LowerCaseKeys => "lower_case_keys",
            Self::WrongTaskRows => "wrong_task_rows",
            Self::TotalAsString => "total_as_string",
            Self::NoTotal => "no_total",
        }
    }

    /// The HTTP status that the script sets, if it sets one.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Throttle { status, .. }
            | Self::Error { status, .. }
            | Self::XmlError { status, .. }
            | Self::Empty { status }
            | Self::Html { status }
            | Self::Redirect { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the cloud does what it was asked for.
    pub(super) fn does_the_work(&self) -> bool {
        match self {
            Self::Throttle { .. }
            | Self::Error { .. }
            | Self::XmlError { .. }
            | Self::Empty { .. }
            | Self::Html { .. }
            | Self::Redirect { .. }
            | Self::ResetBefore => false,
            Self::Stall { done } => *done,
            _ => true,
        }
    }
}
