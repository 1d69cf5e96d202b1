//! One error type for the whole crate.
//!
//! An error says what failed, for which action, under which request id, and how sure we are that the service did
//! nothing. Its [`ErrorKind`] decides three things, each in one place: whether trying again could help
//! ([`ErrorKind::is_retryable`]), the exit code and the hint (both in the command line). Texts hold no secret and no
//! signed URL; advice belongs to the command line.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::RequestId;

/// Shorthand used throughout the crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// A fault of this tool: report it.
    Internal,
    /// The input is wrong: correct it.
    Usage,
    /// Configuration or credentials are missing, unreadable or not trusted: set them up.
    Config,
    /// The service refused the credentials or the permission: check keys and RAM policy.
    Refused,
    /// A temporary credential ran out: get a new one.
    Expired,
    /// The clocks differ by more than the service allows: set the clock.
    Clock,
    /// The day's quota does not suffice: wait for the next day or raise it.
    Quota,
    /// The service says that the thing asked for does not exist (yet).
    NotFound,
    /// The service refuses this request for its content: change the request.
    Rejected,
    /// The service asks to slow down.
    Throttled,
    /// The service can't take this work for some minutes (a full queue, a domain being configured).
    Busy,
    /// Not reachable, no answer in time, or a server fault.
    Unavailable,
    /// An answer that makes no sense.
    Garbled,
}

impl ErrorKind {
    /// Whether the same call may well succeed a little later.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Throttled | Self::Busy | Self::Unavailable | Self::Garbled | Self::Clock)
    }
}

/// Whether the service may have acted on a request that ended in an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fate {
    /// It certainly did nothing: the request never left, or was refused.
    NotActed,
    /// Nobody knows: the answer was lost on the way.
    Unknown,
}

/// What failed. See the module's text for what an error promises. Clones share the cause.
#[derive(Debug, Clone)]
pub struct Error(Box<Details>);

#[derive(Debug, Clone)]
struct Details {
    kind: ErrorKind,
    fate: Fate,
    message: String,
    points: Vec<String>,
    action: Option<&'static str>,
    code: Option<String>,
    request_id: Option<RequestId>,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of this kind; the service did not act.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind,
            fate: Fate::NotActed,
            message: message.into(),
            points: Vec::new(),
            action: None,
            code: None,
            request_id: None,
            retry_after: None,
            source: None,
        }))
    }

    /// Replaces the kind, where the place it happened changes what can be done about it.
    #[must_use]
    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Replaces the message; everything else stays.
    #[must_use]
    pub(crate) fn with_message(mut self, message: String) -> Self {
        self.0.message = message;
        self
    }

    /// Adds to the message what we know beyond what the service said.
    #[must_use]
    pub(crate) fn with_message_suffix(mut self, suffix: &str) -> Self {
        self.0.message.push_str(suffix);
        self
    }

    /// Sets the points in which the message goes on: each place that was looked at, for one.
    #[must_use]
    pub fn with_points(mut self, points: Vec<String>) -> Self {
        self.0.points = points;
        self
    }

    /// Sets whether the service may have acted.
    #[must_use]
    pub fn with_fate(mut self, fate: Fate) -> Self {
        self.0.fate = fate;
        self
    }

    /// Names the API action that failed, as the vendor spells it.
    #[must_use]
    pub fn with_action(mut self, action: &'static str) -> Self {
        self.0.action = Some(action);
        self
    }

    /// Adds the service's error code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Adds the id under which the service logged the request.
    #[must_use]
    pub fn with_request_id(mut self, id: Option<RequestId>) -> Self {
        self.0.request_id = id;
        self
    }

    /// Adds the waiting time that the service asked for.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    /// Adds the cause. Its text must hold no secret.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the service may have acted on the request.
    pub fn fate(&self) -> Fate {
        self.0.fate
    }

    /// The points in which the message goes on. As one text they stand behind it in parentheses.
    pub fn points(&self) -> &[String] {
        &self.0.points
    }

    /// What happened, without points, action, code and request id.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The API action that failed, if it was a call.
    pub fn action(&self) -> Option<&'static str> {
        self.0.action
    }

    /// The service's error code, if it sent one.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The id under which the service logged the request.
    pub fn request_id(&self) -> Option<&RequestId> {
        self.0.request_id.as_ref()
    }

    /// How long the service asked to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = &self.0;
        if let Some(action) = details.action {
            write!(f, "{action}: ")?;
        }
        if let Some(code) = &details.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(&details.message)?;
        if !details.points.is_empty() {
            write!(f, " ({})", details.points.join("; "))?;
        }
        if let Some(id) = &details.request_id {
            write!(f, " (request id {id})")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|s| s as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_its_own_level_once() {
        let cause = Error::new(ErrorKind::Unavailable, "connection refused");
        let error = Error::new(ErrorKind::Throttled, "slow down")
            .with_action("GetMediaRefreshJobs")
            .with_code("Throttling.User")
            .with_request_id(RequestId::new("R-1").ok())
            .with_source(cause);
        assert_eq!(error.to_string(), "GetMediaRefreshJobs: Throttling.User: slow down (request id R-1)");
        assert_eq!(error.source().unwrap().to_string(), "connection refused");
    }
}
