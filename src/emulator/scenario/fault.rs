//! What goes wrong, and for which requests: faults and the rules that pick them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::duration;
use crate::auth::rpc::Params;

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
        #[serde(default = "status::<400>")]
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
        #[serde(default = "status::<500>")]
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
        #[serde(default = "status::<500>")]
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
        #[serde(default = "status::<503>")]
        status: u16,
    },
    /// A proxy's error page; nothing is done.
    Html {
        /// HTTP status; default 502.
        #[serde(default = "status::<502>")]
        status: u16,
    },
    /// Sent on to another address, as by a portal that wants a login; nothing is done.
    Redirect {
        /// HTTP status; default 302.
        #[serde(default = "status::<302>")]
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
fn status<const STATUS: u16>() -> u16 {
    STATUS
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
        Self::Redirect { status: 302, location: portal() }
    }

    /// Its name in scenario files and in the log of calls.
    pub fn name(&self) -> String {
        match serde_json::to_value(self) {
            Ok(Value::String(name)) => name,
            Ok(Value::Object(fields)) => fields.keys().next().cloned().unwrap_or_default(),
            _ => String::new(),
        }
    }

    /// The HTTP status that the script sets, if it sets one.
    pub(crate) fn status(&self) -> Option<u16> {
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

    /// Whether the cloud does what it was asked for. An answer with a status of its own stands in its place.
    pub(crate) fn does_the_work(&self) -> bool {
        self.status().is_none() && !matches!(self, Self::ResetBefore | Self::Stall { done: false })
    }
}

/// One fault, and the requests that it is for. In a scenario file:
/// `{"action": "DescribeVodRefreshTasks", "task": "T1", "skip": 1, "times": 2, "fault": {"html": {"status": 502}}}`.
///
/// Only requests with a right signature count. Rules are tried in order; the first that fires wins, and a request
/// that a rule lets pass (`skip`) is shown to the next one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The action that it is for; `*`, the default, is any.
    #[serde(default = "any")]
    pub action: String,
    /// Only requests for this `TaskId`; empty: only those that name none, as listings do.
    #[serde(default)]
    pub task: Option<String>,
    /// Only requests that name this media, alone or among others.
    #[serde(default)]
    pub media: Option<String>,
    /// Only requests for this `MediaRefreshJobId`.
    #[serde(default)]
    pub job: Option<String>,
    /// So many matching requests pass first; default 0.
    #[serde(default)]
    pub skip: u32,
    /// How often it fires; default 1; 0 means for ever.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens.
    pub fault: Fault,
}

fn any() -> String {
    "*".into()
}

fn once() -> u32 {
    1
}

impl FaultRule {
    /// A fault for the next call of `action` (`*`: of any action), once.
    pub fn on(action: impl Into<String>, fault: Fault) -> Self {
        Self { action: action.into(), task: None, media: None, job: None, skip: 0, times: 1, fault }
    }

    /// Lets so many matching requests pass first.
    #[must_use]
    pub fn skip(mut self, count: u32) -> Self {
        self.skip = count;
        self
    }

    /// Sets how often it fires; 0 means for ever.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.times = count;
        self
    }

    /// Whether the rule is about this request.
    pub(crate) fn matches(&self, action: &str, params: &Params) -> bool {
        let given = |name: &str| params.get(name).map_or("", String::as_str);
        let is = |wanted: &Option<String>, name| wanted.as_ref().is_none_or(|id| given(name) == id);
        let names = |id: &String| {
            let media = ["MediaId", "MediaIds"].into_iter().flat_map(|name| given(name).split(','));
            media.map(str::trim).any(|media| media == id)
        };
        (self.action == "*" || self.action == action)
            && is(&self.task, "TaskId")
            && is(&self.job, "MediaRefreshJobId")
            && self.media.as_ref().is_none_or(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn filters_pick_one_task_media_or_job() {
        let any = || FaultRule::on("*", Fault::Garbage);
        let task = |id: &str| FaultRule { task: Some(id.into()), ..any() };
        let media = |id: &str| FaultRule { media: Some(id.into()), ..any() };
        let job = |id: &str| FaultRule { job: Some(id.into()), ..any() };
        let table = [
            (task("T1"), ("TaskId", "T1"), true),
            (task("T1"), ("TaskId", "T2"), false),
            (task(""), ("PageNumber", "1"), true),
            (task(""), ("TaskId", "T1"), false),
            (media("m2"), ("MediaIds", "m1, m2"), true),
            (media("m"), ("MediaIds", "m1,m2"), false),
            (job("J"), ("MediaRefreshJobId", "J"), true),
            (job("J"), ("TaskId", "J"), false),
            (FaultRule::on("B", Fault::Garbage), ("TaskId", "T1"), false),
        ];
        for (rule, pair, expected) in table {
            assert_eq!(rule.matches("A", &params(&[pair])), expected, "{rule:?} {pair:?}");
        }
    }
}
