//! What is done about a received message: `DeleteMessage` and `BatchDeleteMessage` take messages out of the queue for good,
//! `ChangeMessageVisibility` hides one for longer or gives it back sooner.

use std::time::Duration;

use http::Method;

use super::client::{QueueClient, usual_call};
use super::receive::{MAX_MESSAGES_PER_CALL, ReceiptHandle};
use super::service::{MESSAGE_NOT_EXIST, Operation, RECEIPT_HANDLE_ERROR, root_named};
use crate::client::Call;
use crate::error::{Error, ErrorKind, Result};
use crate::net::xml::{Element, escaped};

const BATCH_DELETE: &str = "BatchDeleteMessage";
/// A receipt handle is dead before long: trying for minutes makes no sense.
const PATIENCE: Duration = Duration::from_secs(20);
/// The shortest that the service documents: 0 may work and may not. Source: `ChangeMessageVisibility`.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(43_200);

/// What a delete found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deleted {
    /// The message is gone by this call.
    Now,
    /// The handle was no longer good: the message is gone already, or visible to others again.
    HandleExpired,
}

/// Whether a code says that a handle is no longer good. The vendor's pages do not agree on the code.
fn is_expired(code: &str) -> bool {
    [MESSAGE_NOT_EXIST, RECEIPT_HANDLE_ERROR].contains(&code)
}

fn handle_expired(error: &Error) -> bool {
    error.code().is_some_and(is_expired)
}

fn about_a_handle(action: &'static str, method: Method, target: String) -> Call<Operation> {
    let mut call = usual_call(action, method, target);
    call.settings.budget = call.settings.budget.at_most(PATIENCE);
    call
}

impl QueueClient {
    /// Deletes the message that was received with `handle`.
    pub async fn delete_message(&self, handle: &ReceiptHandle) -> Result<Deleted> {
        let target = format!("{}?ReceiptHandle={}", self.url().messages(), handle.in_query());
        let call = about_a_handle("DeleteMessage", Method::DELETE, target);
        match self.0.call(&call, |_| Ok(Deleted::Now)).await {
            Err(error) if handle_expired(&error) => Ok(Deleted::HandleExpired),
            deleted => deleted,
        }
    }

    /// Deletes the messages of up to 16 handles ([`ErrorKind::Usage`] for more); the answers stand in the order of the
    /// handles. [`ErrorKind::Rejected`] if a message could not be deleted for another reason than its handle.
    pub async fn batch_delete_message(&self, handles: &[ReceiptHandle]) -> Result<Vec<Deleted>> {
        if handles.len() > MAX_MESSAGES_PER_CALL {
            let message = format!("at most {MAX_MESSAGES_PER_CALL} messages can be deleted by one call");
            return Err(Error::new(ErrorKind::Usage, message).with_action(BATCH_DELETE));
        }
        if handles.is_empty() {
            return Ok(Vec::new());
        }
        let mut call = about_a_handle(BATCH_DELETE, Method::DELETE, self.url().messages());
        call.operation.body = body(handles);
        let deleted = self.0.call(&call, |answer| {
            let failures: Vec<&Element> = answer.body.iter().flat_map(|root| root.all("Error")).collect();
            read_failures(handles, &failures)
        });
        match deleted.await {
            // One answer for all: met where none of the handles is good any more.
            Err(error) if handle_expired(&error) => Ok(vec![Deleted::HandleExpired; handles.len()]),
            deleted => deleted,
        }
    }

    /// Hides the message of `handle` from now on for `duration` (whole seconds, 1 to 43,200). Returns the handle that counts
    /// afterwards; `None`: this one was no longer good, so the message is gone or visible already.
    pub async fn change_message_visibility(
        &self,
        handle: &ReceiptHandle,
        duration: Duration,
    ) -> Result<Option<ReceiptHandle>> {
        let seconds = duration.clamp(SHORTEST, LONGEST).as_secs();
        let query = format!("ReceiptHandle={}&VisibilityTimeout={seconds}", handle.in_query());
        let target = format!("{}?{query}", self.url().messages());
        let call = about_a_handle("ChangeMessageVisibility", Method::PUT, target);
        let changed = self.0.call(&call, |answer| {
            let root = root_named(answer, "ChangeVisibility")?;
            Ok(Some(root.field("ReceiptHandle").map_or_else(|| handle.clone(), ReceiptHandle::new)))
        });
        match changed.await {
            Err(error) if handle_expired(&error) => Ok(None),
            changed => changed,
        }
    }
}

fn body(handles: &[ReceiptHandle]) -> String {
    let items: String = handles
        .iter()
        .map(|handle| format!("<ReceiptHandle>{}</ReceiptHandle>", escaped(handle.as_str())))
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
         <ReceiptHandles xmlns=\"http://mns.aliyuncs.com/doc/v1/\">{items}</ReceiptHandles>"
    )
}

/// Handles that no failure names were deleted.
pub(crate) fn read_failures(handles: &[ReceiptHandle], failures: &[&Element]) -> Result<Vec<Deleted>> {
    let mut outcomes = vec![Deleted::Now; handles.len()];
    for failure in failures {
        let code = failure.field("ErrorCode").unwrap_or_default();
        if !is_expired(code) {
            // The service's own text is left out: it was not searched for secrets, and may repeat the request.
            let error = Error::new(ErrorKind::Rejected, "a message could not be deleted");
            let is_word = code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphabetic() || b == b'.');
            return Err(if is_word && !code.is_empty() { error.with_code(code) } else { error });
        }
        let handle = failure.field("ReceiptHandle");
        for (outcome, _) in outcomes.iter_mut().zip(handles).filter(|(_, h)| Some(h.as_str()) == handle) {
            *outcome = Deleted::HandleExpired;
        }
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::xml;

    fn handles() -> Vec<ReceiptHandle> {
        ["1-a+/==", "2-<&>"].map(ReceiptHandle::new).into()
    }

    #[test]
    fn the_body_is_like_the_vendors() {
        assert_eq!(
            body(&handles()),
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><ReceiptHandles xmlns=\"http://mns.aliyuncs.com/doc/v1/\">\
             <ReceiptHandle>1-a+/==</ReceiptHandle><ReceiptHandle>2-&lt;&amp;&gt;</ReceiptHandle></ReceiptHandles>"
        );
    }

    #[test]
    fn a_handle_that_failed_is_told_from_those_that_did_not() {
        let errors = |code: &str| {
            let text = format!(
                "<Errors><Error><ErrorCode>{code}</ErrorCode><ErrorMessage>m</ErrorMessage>\
                 <ReceiptHandle>1-a+/==</ReceiptHandle></Error></Errors>"
            );
            let root = xml::read(text.as_bytes()).unwrap();
            read_failures(&handles(), &root.all("Error").collect::<Vec<_>>())
        };
        assert_eq!(errors("ReceiptHandleError").unwrap(), [Deleted::HandleExpired, Deleted::Now]);
        assert_eq!(errors("MessageNotExist").unwrap(), [Deleted::HandleExpired, Deleted::Now]);
        let error = errors("InternalError").unwrap_err();
        assert_eq!(error.to_string(), "InternalError: a message could not be deleted");
        assert_eq!(errors("no word").unwrap_err().code(), None);
    }
}
