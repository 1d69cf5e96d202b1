//! `DeleteMessage`: takes one message out of the queue for good.

use http::Method;

use super::client::Call;
use super::fault::{MESSAGE_NOT_EXIST, RECEIPT_HANDLE_ERROR};
use super::{QueueClient, ReceiptHandle};
use crate::error::{Error, Result};

const ACTION: &str = "DeleteMessage";

/// What a delete found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deleted {
    /// The message is gone by this call.
    Now,
    /// The handle was no longer good: the message is gone already, or visible to others again.
    HandleExpired,
}

/// Whether an error says that a handle is no longer good. The vendor's pages do not agree on the code.
pub(super) fn is_expired(code: &str) -> bool {
    [MESSAGE_NOT_EXIST, RECEIPT_HANDLE_ERROR].contains(&code)
}

pub(super) fn handle_expired(error: &Error) -> bool {
    error.code().is_some_and(is_expired)
}

impl QueueClient {
    /// Deletes the message that was received with `handle`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`](crate::ErrorKind::Refused) without the permission `mns:DeleteMessage`.
    ///
    /// Cancel safety: dropped while on the wire, it may have been done.
    pub async fn delete_message(&self, handle: &ReceiptHandle) -> Result<Deleted> {
        let target = format!("{}?ReceiptHandle={}", self.url().messages(), handle.in_query());
        match self.call(&Call::about_a_handle(ACTION, Method::DELETE, target)).await {
            Ok(_) => Ok(Deleted::Now),
            Err(error) if handle_expired(&error) => Ok(Deleted::HandleExpired),
            Err(error) => Err(error),
        }
    }
}
