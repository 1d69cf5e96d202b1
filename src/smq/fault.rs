//! What the queue's error codes mean for us. The code decides first: an empty queue and a missing one are both a 404.
//!
//! Source: "Error responses" of Simple Message Queue, in both editions.

use crate::client::Fault;
use crate::error::ErrorKind;

/// Nothing to receive; or the message of a handle is gone.
pub(crate) const MESSAGE_NOT_EXIST: &str = "MessageNotExist";
/// A handle that is no longer valid, or never was.
pub(crate) const RECEIPT_HANDLE_ERROR: &str = "ReceiptHandleError";

/// Returns the meaning of an error answer. `code` is empty where the answer had none.
pub(super) fn classify(code: &str, status: u16) -> Fault {
    use ErrorKind::{Clock, Config, Expired, NotFound, Refused, Throttled, Unavailable};
    let lower = code.to_ascii_lowercase();
    Fault::of(match lower.as_str() {
        "messagenotexist" | "receipthandleerror" => NotFound,
        "queuenotexist" | "invalidqueuename" | "queuenamelengtherror" | "invalidrequesturl" => Config,
        "toomanyrequests" | "qpslimitexceeded" => Throttled,
        "timeexpired" => Clock,
        "internalerror" | "internalservererror" | "serviceunavailable" => Unavailable,
        "signaturedoesnotmatch" | "invalidaccesskeyid" => Refused,
        _ if lower.starts_with("accessdenied") => Refused,
        // Not in the list of codes; the names are those of the vendor's other products.
        _ if lower.contains("securitytoken") && lower.contains("expired") => Expired,
        _ if lower.contains("securitytoken") => Refused,
        // An unknown code with a 403 may refuse a permission: batches are then deleted one by one.
        _ => return Fault::of_unknown_code(code, status, false),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_decide_before_statuses() {
        use ErrorKind::*;
        for (code, status, kind) in [
            ("MessageNotExist", 404, NotFound),
            ("QueueNotExist", 404, Config),
            ("ReceiptHandleError", 400, NotFound),
            ("InvalidArgument", 400, Rejected),
            ("InvalidDegist", 400, Rejected),
            ("InvalidQueueName", 400, Config),
            ("SignatureDoesNotMatch", 403, Refused),
            ("AccessDenied", 403, Refused),
            ("AccessDeniedByRamPolicy", 400, Refused),
            ("TimeExpired", 408, Clock),
            ("TimeExpired", 400, Clock),
            ("TooManyRequests", 429, Throttled),
            ("QpsLimitExceeded", 400, Throttled),
            ("InternalServerError", 500, Unavailable),
            ("SecurityTokenExpired", 403, Expired),
            ("SomethingNew", 403, Refused),
            ("SomethingNew", 418, Rejected),
            ("", 403, Unavailable),
            ("", 404, Unavailable),
            ("", 408, Unavailable),
            ("", 429, Throttled),
            ("", 502, Unavailable),
            ("", 200, Garbled),
        ] {
            assert_eq!(classify(code, status).kind, kind, "{code} {status}");
        }
    }
}
