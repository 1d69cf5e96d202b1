//! The fault table: what the service's error codes mean for us.
//!
//! Statuses differ between the vendor's pages, so the code decides first and the status only where there is no code
//! that we know. Source: "Error codes" of the VOD API, the gateway's lists, and section 9 of their comparison.

use std::time::Duration;

use crate::error::{ErrorKind, Fate};

/// The meaning of one error answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    pub(crate) fate: Fate,
    /// The least wait that makes sense, where the code tells one.
    pub(crate) wait: Option<Duration>,
}

/// Looks an error answer up. `code` is empty where the answer had none.
pub(crate) fn classify(code: &str, status: u16) -> Fault {
    use ErrorKind::{
        Clock, Expired, Garbled, Internal, NotFound, Quota, Refused, Rejected, Throttled, Unavailable,
    };
    let lower = code.to_ascii_lowercase();
    let family = |prefix: &str| lower == prefix || lower.starts_with(&format!("{prefix}."));
    let known = match lower.as_str() {
        _ if lower.starts_with("throttling") || lower == "toomanyrequests" => Some(Throttled),
        "serviceunavailable" => return Fault { kind: Unavailable, fate: Fate::NotActed, wait: None },
        "servicebusy" => return busy(10),
        "preloadqueuefull" => return busy(60),
        _ if family("quotaperminuteexceeded") => return busy(60),
        _ if family("quotaexceeded") => Some(Quota),
        "invalidtimestamp.expired" => Some(Clock),
        // A copy of this request got through: whether it was acted upon, nobody knows.
        "signaturenonceused" => return Fault { kind: Unavailable, fate: Fate::Unknown, wait: None },
        "signaturedoesnotmatch" | "incompletesignature" | "invalidtimestamp.format" => Some(Refused),
        "invalidsecuritytoken.expired" => Some(Expired),
        _ if family("invalidaccesskeyid") || family("invalidsecuritytoken") => Some(Refused),
        "missingsecuritytoken" | "nopermission" => Some(Refused),
        _ if family("forbidden") || family("operationdenied") => Some(Refused),
        // The host does not know the action: a wrong region or endpoint.
        "invalidaction.notfound" | "invalidapi.notfound" | "invalidproduct.notfound" | "invalidversion" => {
            Some(Rejected)
        }
        _ if family("invaliddomain") => Some(Rejected),
        _ if family("internalerror") || lower == "internal error" => Some(Unavailable),
        _ if lower == "notfound" || lower.ends_with(".notfound") || lower.ends_with(".notexist") => {
            Some(NotFound)
        }
        _ => None,
    };
    let kind = known.unwrap_or(match status {
        429 => Throttled,
        500..=599 => Unavailable,
        401 | 403 => Refused,
        404 if !code.is_empty() => NotFound,
        400..=499 if !code.is_empty() => Rejected,
        // Nobody who speaks this protocol answers so: a proxy, or a wrong endpoint.
        300..=499 => Rejected,
        200..=299 => Garbled,
        _ => Internal,
    });
    let fate = match kind {
        Unavailable | Garbled | Internal => Fate::Unknown,
        _ => Fate::NotActed,
    };
    Fault { kind, fate, wait: None }
}

fn busy(seconds: u64) -> Fault {
    Fault { kind: ErrorKind::Busy, fate: Fate::NotActed, wait: Some(Duration::from_secs(seconds)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_decide_before_statuses() {
        use ErrorKind::*;
        let table: &[(&str, u16, ErrorKind)] = &[
            ("Throttling", 503, Throttled),
            ("Throttling.User", 400, Throttled),
            ("Throttling.Api", 429, Throttled),
            ("TooManyRequests", 429, Throttled),
            ("", 429, Throttled),
            ("ServiceUnAvailable", 503, Unavailable),
            ("InternalError", 500, Unavailable),
            ("Internal Error", 500, Unavailable),
            ("", 502, Unavailable),
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
            ("InvalidParameter", 400, Rejected),
            ("MissingParameter.ObjectType", 400, Rejected),
            ("InvalidTaskId.Malformed", 400, Rejected),
            ("InvalidTaskId.NotFound", 404, NotFound),
            ("NotFound", 404, NotFound),
            ("SomethingNew", 403, Refused),
            ("SomethingNew", 418, Rejected),
            ("", 404, Rejected),
            ("", 200, Garbled),
        ];
        for (code, status, kind) in table {
            assert_eq!(classify(code, *status).kind, *kind, "{code} {status}");
        }
    }

    #[test]
    fn only_refusals_are_sure_not_to_have_acted() {
        for (code, status, fate) in [
            ("Throttling.User", 400, Fate::NotActed),
            ("ServiceUnavailable", 503, Fate::NotActed),
            ("InvalidParameter", 400, Fate::NotActed),
            ("InternalError", 500, Fate::Unknown),
            ("", 502, Fate::Unknown),
            ("SignatureNonceUsed", 400, Fate::Unknown),
        ] {
            assert_eq!(classify(code, status).fate, fate, "{code}");
        }
    }
}
