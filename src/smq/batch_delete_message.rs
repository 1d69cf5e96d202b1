//! `BatchDeleteMessage`: takes up to 16 messages out of the queue for good.

use http::Method;

use super::client::Call;
use super::delete_message::{handle_expired, is_expired};
use super::{Deleted, MAX_MESSAGES_PER_CALL, QueueClient, ReceiptHandle};
use crate::error::{Error, ErrorKind, Result};
use crate::net::xml::{Element, escaped};

const ACTION: &str = "BatchDeleteMessage";

impl QueueClient {
    /// Deletes the messages of up to 16 handles; the answers stand in the order of the handles.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for more than 16 handles, [`ErrorKind::Refused`] without the permission
    /// `mns:BatchDeleteMessage`, which is another than that of `DeleteMessage`; [`ErrorKind::Rejected`] if a message
    /// could not be deleted for another reason than its handle.
    ///
    /// Cancel safety: dropped while on the wire, it may have been done.
    pub async fn batch_delete_message(&self, handles: &[ReceiptHandle]) -> Result<Vec<Deleted>> {
        if handles.len() > MAX_MESSAGES_PER_CALL {
            let message = format!("at most {MAX_MESSAGES_PER_CALL} messages can be deleted by one call");
            return Err(Error::new(ErrorKind::Usage, message).with_action(ACTION));
        }
        if handles.is_empty() {
            return Ok(Vec::new());
        }
        let call = Call {
            body: body(handles),
            ..Call::about_a_handle(ACTION, Method::DELETE, self.url().messages())
        };
        let answer = match self.call(&call).await {
            Ok(answer) => answer,
            // One answer for all: met where none of the handles is good any more.
            Err(error) if handle_expired(&error) => return Ok(vec![Deleted::HandleExpired; handles.len()]),
            Err(error) => return Err(error),
        };
        let failures: Vec<&Element> = answer.root.iter().flat_map(|root| root.all("Error")).collect();
        read_failures(handles, &failures)
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
            // The service's own text is left out: nobody has looked for secrets in it, and it may repeat the request.
            let error = Error::new(ErrorKind::Rejected, "a message could not be deleted").with_action(ACTION);
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
        let said = "BatchDeleteMessage: InternalError: a message could not be deleted";
        assert_eq!(error.to_string(), said);
        assert_eq!(errors("no word").unwrap_err().code(), None);
    }
}
