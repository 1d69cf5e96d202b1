//! `ChangeMessageVisibility`: hides a received message for longer, or gives it back sooner.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::Method;

use super::client::Call;
use super::delete_message::handle_expired;
use super::{QueueClient, ReceiptHandle};
use crate::error::Result;

const ACTION: &str = "ChangeMessageVisibility";
/// The shortest that the service documents: 0 may work and may not. Source: `ChangeMessageVisibility`.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(43_200);

/// A message that is hidden for another while.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hidden {
    /// The handle that counts from now on.
    pub handle: ReceiptHandle,
    /// When others will see it again, if the service said so.
    pub next_visible: Option<DateTime<Utc>>,
}

impl QueueClient {
    /// Hides the message of `handle` from now on for `span` (whole seconds, 1 to 43,200). `None`: the handle was no
    /// longer good, so the message is gone or visible already.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`](crate::ErrorKind::Refused) without the permission `mns:ChangeMessageVisibility`.
    ///
    /// Cancel safety: dropped while on the wire, it may have been done.
    pub async fn change_message_visibility(
        &self,
        handle: &ReceiptHandle,
        span: Duration,
    ) -> Result<Option<Hidden>> {
        let seconds = span.clamp(SHORTEST, LONGEST).as_secs();
        let query = format!("ReceiptHandle={}&VisibilityTimeout={seconds}", handle.in_query());
        let target = format!("{}?{query}", self.url().messages());
        let answer = match self.call(&Call::about_a_handle(ACTION, Method::PUT, target)).await {
            Ok(answer) => answer,
            Err(error) if handle_expired(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let root = answer.expect("ChangeVisibility").map_err(|error| error.with_action(ACTION))?;
        let handle = root.field("ReceiptHandle").map_or_else(|| handle.clone(), ReceiptHandle::new);
        let next_visible = root.number("NextVisibleTime").and_then(DateTime::from_timestamp_millis);
        Ok(Some(Hidden { handle, next_visible }))
    }
}
