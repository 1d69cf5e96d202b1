//! The fault table: what the service's error codes mean for us.
//!
//! Statuses differ between the vendor's pages, so the code decides first and the status only where there is no code
//! that we know. Source: "Error codes" of the VOD API, the gateway's lists, and section 9 of their comparison.

use std::time::Duration;

use crate::client::Fault;
use crate::error::{ErrorKind, Fate};

/// Returns the meaning of an error answer. `code` is empty where the answer had none, and `is_read` says that the call
/// changes nothing.
pub(super) fn classify(code: &str, status: u16, is_read: bool) -> Fault {
    known(code).unwrap_or_else(|| Fault::of_unknown_code(code, status, is_read))
}

/// Whether the code speaks about the very task id that was asked for.
pub(crate) fn is_about_task(code: &str) -> bool {
    is_of_family(&code.to_ascii_lowercase(), "invalidtaskid")
}

/// Whether the code speaks about the call, whatever id it was for: the host does not serve it, or not in this form.
pub(crate) fn is_about_call(code: &str) -> bool {
    let lower = code.to_ascii_lowercase();
    ["invalidaction", "invalidapi", "invalidproduct", "invalidversion", "invalidprotocol", "missingparameter"]
        .into_iter()
        .any(|family| is_of_family(&lower, family))
        || ["unsupportedhttpmethod", "unsupportedoperation"].contains(&&*lower)
}

/// What the table says of a code; `None` for one that it does not have.
fn known(code: &str) -> Option<Fault> {
    use ErrorKind::{Clock, Expired, NotFound, Quota, Refused, Rejected, Throttled, Unavailable};
    let lower = code.to_ascii_lowercase();
    let family = |prefix| is_of_family(&lower, prefix);
    Some(match lower.as_str() {
        _ if lower.starts_with("throttling") || lower == "toomanyrequests" => Fault::of(Throttled),
        "serviceunavailable" => Fault { kind: Unavailable, fate: Fate::NotActed, wait: None },
        "servicebusy" => busy(10),
        "preloadqueuefull" => busy(60),
        _ if family("quotaperminuteexceeded") => busy(60),
        _ if family("quotaexceeded") => Fault::of(Quota),
        "invalidtimestamp.expired" => Fault::of(Clock),
        // A copy of this request got through: whether it was acted upon, nobody knows.
        "signaturenonceused" => Fault::of(Unavailable),
        "signaturedoesnotmatch" | "incompletesignature" | "invalidtimestamp.format" => Fault::of(Refused),
        "invalidsecuritytoken.expired" => Fault::of(Expired),
        _ if family("invalidaccesskeyid") || family("invalidsecuritytoken") => Fault::of(Refused),
        "missingsecuritytoken" | "nopermission" => Fault::of(Refused),
        _ if family("forbidden") || family("operationdenied") => Fault::of(Refused),
        // The host does not know the action: a wrong region or endpoint.
        "invalidaction.notfound" | "invalidapi.notfound" | "invalidproduct.notfound" | "invalidversion" => {
            Fault::of(Rejected)
        }
        // The domain is none of VOD's, of the account's, or out of service. Source: "RefreshVodObjectCaches" of the VOD API.
        _ if family("invaliddomain") || lower == "illegaloperation" => Fault::of(Rejected),
        _ if family("internalerror") || lower == "internal error" => Fault::of(Unavailable),
        "notfound" => Fault::of(NotFound),
        _ if lower.ends_with(".notfound") || lower.ends_with(".notexist") => Fault::of(NotFound),
        "invalidtime" | "unsupportedhttpmethod" | "unsupportedoperation" | "invalidprotocol.needssl" => {
            Fault::of(Rejected)
        }
        _ if lower.starts_with("invalidparameter") || lower.starts_with("missing") => Fault::of(Rejected),
        _ if REFUSED_PARAMETERS.into_iter().any(family) => Fault::of(Rejected),
        _ => return None,
    })
}

/// Families that name the parameter they refuse. Source: "DescribeVodRefreshTasks" of the VOD API, and its twins of the
/// CDN API.
const REFUSED_PARAMETERS: [&str; 7] = [
    "invalidtaskid",
    "invalidstarttime",
    "invalidendtime",
    "invalidstatus",
    "invalidobjecttype",
    "invalidobjectpath",
    "invalidextensivedomain",
];

fn is_of_family(lower: &str, prefix: &str) -> bool {
    lower.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn busy(seconds: u64) -> Fault {
    Fault { kind: ErrorKind::Busy, fate: Fate::NotActed, wait: Some(Duration::from_secs(seconds)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_about_the_call_is_not_one_about_an_id() {
        let about_call =
            ["InvalidAction.NotFound", "InvalidVersion", "UnsupportedHTTPMethod", "MissingParameter"];
        assert!(about_call.into_iter().all(is_about_call));
        assert!(
            !["InvalidTaskId.Malformed", "InvalidTime", "SomethingNew", ""].into_iter().any(is_about_call)
        );
    }

    #[test]
    fn codes_decide_before_statuses() {
        use ErrorKind::*;
        let table: &[(&str, u16, ErrorKind)] = &[
            ("Throttling", 503, Throttled),
            ("Throttling.User", 400, Throttled),
            ("Throttling.Api", 429, Throttled),
            ("TooManyRequests", 429, Throttled),
            ("ServiceUnAvailable", 503, Unavailable),
            ("InternalError", 500, Unavailable),
            ("Internal Error", 500, Unavailable),
            ("ServiceBusy", 403, Busy),
            ("PreloadQueueFull", 403, Busy),
            ("QuotaPerMinuteExceeded.Refresh", 400, Busy),
            ("QuotaExceeded.Preload", 400, Quota),
            ("InvalidTimeStamp.Expired", 400, Clock),
            ("SignatureNonceUsed", 400, Unavailable),
            ("SignatureDoesNotMatch", 400, Refused),
            ("InvalidAccessKeyId.NotFound", 404, Refused),
            ("InvalidAccessKeyId.Inactive", 400, Refused),
            ("InvalidSecurityToken.Expired", 400, Expired),
            ("InvalidSecurityToken.Malformed", 400, Refused),
            ("Forbidden.RAM", 403, Refused),
            ("OperationDenied.Suspended", 403, Refused),
            ("InvalidAction.NotFound", 404, Rejected),
            ("InvalidDomain.NotFound", 404, Rejected),
            ("InvalidDomain.Configure_failed", 500, Rejected),
            ("IllegalOperation", 403, Rejected),
            ("InvalidObjectPath.Malformed", 400, Rejected),
            ("InvalidParameter", 400, Rejected),
            ("MissingParameter.ObjectType", 400, Rejected),
            ("InvalidTaskId.Malformed", 400, Rejected),
            ("InvalidTaskId.NotFound", 404, NotFound),
            ("NotFound", 404, NotFound),
            ("UnsupportedHTTPMethod", 403, Rejected),
            ("SomethingNew", 503, Unavailable),
            ("SomethingNew", 302, Unavailable),
        ];
        for (code, status, kind) in table {
            for is_read in [true, false] {
                assert_eq!(classify(code, *status, is_read).kind, *kind, "{code} {status}");
            }
        }
    }

    #[test]
    fn an_answer_without_a_code_is_no_word_of_the_service() {
        for status in [302, 400, 401, 403, 404, 407, 414, 451, 499, 500, 502] {
            let fault = classify("", status, false);
            assert_eq!((fault.kind, fault.fate), (ErrorKind::Unavailable, Fate::Unknown), "{status}");
        }
        assert_eq!(classify("", 429, false).kind, ErrorKind::Throttled);
        assert_eq!(classify("", 200, false).kind, ErrorKind::Garbled);
    }

    #[test]
    fn an_unknown_code_refuses_a_submission_but_no_permission_to_read() {
        use ErrorKind::*;
        for (status, submission) in [(400, Rejected), (401, Refused), (403, Refused), (404, NotFound)] {
            assert_eq!(classify("SomethingNew", status, false).kind, submission, "{status}");
            assert_eq!(classify("SomethingNew", status, true).kind, Rejected, "{status}");
        }
    }

    #[test]
    fn documented_codes_are_told_from_unknown_ones_and_those_about_a_task_from_others() {
        for (code, documented, about_task) in [
            ("InvalidTaskId.Malformed", true, true),
            ("invalidtaskid", true, true),
            ("InvalidTaskId.NotFound", true, true),
            ("InvalidTaskIds", false, false),
            ("InvalidParameter.PageSize", true, false),
            ("MissingTimeParameter", true, false),
            ("InvalidStartTime.ValueNotSupported", true, false),
            ("Forbidden.RAM", true, false),
            ("Forbiddenish", false, false),
            ("SomethingNew", false, false),
            ("", false, false),
        ] {
            assert_eq!((known(code).is_some(), is_about_task(code)), (documented, about_task), "{code}");
        }
    }

    #[test]
    fn only_refusals_are_sure_not_to_have_acted() {
        for (code, status, fate) in [
            ("Throttling.User", 400, Fate::NotActed),
            ("ServiceUnavailable", 503, Fate::NotActed),
            ("InvalidParameter", 400, Fate::NotActed),
            ("InternalError", 500, Fate::Unknown),
            ("SignatureNonceUsed", 400, Fate::Unknown),
        ] {
            assert_eq!(classify(code, status, false).fate, fate, "{code}");
        }
    }
}
