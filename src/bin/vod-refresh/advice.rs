//! What a person can do about an error. All advice stands here, in two forms: a short hint below an error on stderr, where
//! one command has just failed, and sentences in reports, which are read later and speak of media.

use vod_refresh::ErrorKind;
use vod_refresh::run::code::TASK_FAILED;
use vod_refresh::run::{MediaState, ReportedError};

const NO_HINT: &str = "";
const STALE: &str = "A node still serves the old file although the CDN calls it done. Look again in some minutes; if it stays so, send \
     it again, or ask the vendor's support.";
const SEND_AGAIN: &str = "Send them again.";
/// Where a report knows nothing better.
const ASK_SUPPORT: &str = "If it fails again, give the request id to the service's support.";
const CHECK_CREDENTIALS: &str = "Check the credentials: `vod-refresh doctor` shows which ones are used.";
const CHECK_POLICY: &str = "Check the RAM policy, and that VOD is open and paid for in this account.";
const CHECK_DOMAIN: &str = "Check the domain: it must be online and belong to this account's VOD.";
const TAKES_NO_MORE: &str = "The service can't take more just now. Send them again in some minutes.";
const SEND_LATER: &str = "A fault at the service or on the way there. Send them again later.";
const CHECK_SECRET: &str =
    "check that `ALIBABA_CLOUD_ACCESS_KEY_SECRET` belongs to the key id and was copied whole";
const RENEW_TOKEN: &str = "get a new STS token and set all three `ALIBABA_CLOUD_…` variables again";
const TOKEN_EXPIRED: &str = "The temporary credential ran out. Get a new one, then `vod-refresh resume`.";
const SET_CLOCK: &str = "set this machine's clock: requests are good for 15 minutes";

/// Where the system lets this process open no more files or sockets.
pub(crate) const RAISE_FILE_LIMIT: &str = "raise the limit of open files, as with `ulimit -n 256`";

/// Where the source of the credentials had no new one.
pub(crate) const MEND_SOURCE: &str =
    "the source of the credentials failed: `vod-refresh doctor` shows which one it is and what it says";

/// The code of a journal that took longer to open than the run may. The library's own is that of credentials.
pub(crate) const JOURNAL_TIMEOUT: &str = "JournalTimeout";

/// How a code begins, in lower case; the hint; the advice in reports. A code is one of the service's, one of ours, or the
/// name of an error kind. The first row that fits counts.
///
/// Source: "Service error codes" of VOD, and the error codes of `RefreshVodObjectCaches` and `PreloadVodObjectCaches`.
const BY_CODE: &[(&[&str], &str, &str)] = &[
    (
        &["outcomeunknown"],
        "nobody knows whether it was submitted: to submit it again does no harm, but uses quota",
        "The answer was lost, so they may or may not have been sent. Sending them again does no harm, but uses quota.",
    ),
    (
        &["noplayurls"],
        NO_HINT,
        "No playback URL fits. Check that the media are transcoded and published, and that formats, definitions \
         and stream type leave something over.",
    ),
    (
        &["forgotten"],
        "look at the URLs themselves, or send them again",
        "The service has forgotten them. Send them again.",
    ),
    (&["staleatedge"], NO_HINT, STALE),
    (&["tasknotfound"], NO_HINT, "The CDN never showed these tasks. Send them again."),
    (&["jobnotfound"], NO_HINT, "No lookup showed this job. Check the job id, the region and the account."),
    (&["urlnotshown"], NO_HINT, "The CDN never showed some of these URLs. Send them again."),
    (
        &["urlnotmatched"],
        NO_HINT,
        "The service spells these URLs in a way that can't be matched: the rows are in the report. Send them again \
         if one that failed is yours.",
    ),
    (
        &["throttl", "toomanyrequests"],
        "lower `--max-rps`, or run fewer at the same time",
        "Send them again later, or with a lower --max-rps.",
    ),
    (&["preloadqueuefull"], "the CDN's queue is full: try again in some minutes", TAKES_NO_MORE),
    (&["servicebusy"], "the domain is being configured: try again in some minutes", TAKES_NO_MORE),
    (&["busy"], "the service can't take more just now: try again in some minutes", TAKES_NO_MORE),
    (
        &["quotaperminute"],
        "the account's quota per minute is used up: try again in a minute or more, with fewer at a time",
        "The account's quota per minute was used up. Send them again after a minute or more, fewer at a time.",
    ),
    (
        &["quota"],
        "the quota is counted by the day: try again tomorrow, or ask the vendor to raise it",
        "The day's quota is used up: `vod-refresh quota` shows it. Send them again tomorrow, or have the \
         quota raised.",
    ),
    (&["invaliddomain.offline"], "the domain is offline: enable it in the VOD console", CHECK_DOMAIN),
    (&["invaliddomain"], "add the CDN domain to VOD in the same region, or check `--region`", CHECK_DOMAIN),
    (
        &["illegaloperation"],
        "the service takes the domain for an invalid one: check its spelling, and that it is one of this account's VOD",
        CHECK_DOMAIN,
    ),
    (&["invalidobject"], "correct the URL", "Correct the URL, then send it again."),
    (&["invalidtimestamp", "clock"], SET_CLOCK, "Set this machine's clock."),
    (&["invalidsecuritytoken.expired", "expired"], RENEW_TOKEN, TOKEN_EXPIRED),
    (&["invalidsecuritytoken"], RENEW_TOKEN, CHECK_CREDENTIALS),
    (
        &["missingsecuritytoken"],
        "a temporary key needs its token in `ALIBABA_CLOUD_SECURITY_TOKEN`",
        CHECK_CREDENTIALS,
    ),
    (
        &["invalidaccesskeyid"],
        "the key id is unknown or disabled: check `ALIBABA_CLOUD_ACCESS_KEY_ID` in the RAM console",
        CHECK_CREDENTIALS,
    ),
    (&["signaturedoesnotmatch"], CHECK_SECRET, CHECK_CREDENTIALS),
    (&["incompletesignature"], CHECK_SECRET, ASK_SUPPORT),
    (&["signature", "config"], NO_HINT, CHECK_CREDENTIALS),
    (
        &[
            "queuenotexist",
            "invalidqueuename",
            "queuenamelength",
            "invalidrequesturl",
            "invalidargument",
            "invalidquerystring",
        ],
        "check `--queue`: account, region and name; `vod-refresh doctor --queue URL` asks it",
        ASK_SUPPORT,
    ),
    (
        &["accessdenied"],
        "grant the RAM user `mns:BatchReceiveMessage`, `mns:ChangeMessageVisibility` and `mns:DeleteMessage` for the queue",
        CHECK_POLICY,
    ),
    (
        &["journaltimeout"],
        "look at the disk or the database of the journal; `--journal FILE` keeps it elsewhere, `--no-journal` keeps none",
        ASK_SUPPORT,
    ),
    (
        &["credentialtimeout"],
        "the source of the credentials gives no answer: `vod-refresh doctor` shows which one is asked",
        CHECK_CREDENTIALS,
    ),
    (
        &["nocredentials"],
        "set the two `ALIBABA_CLOUD_ACCESS_KEY_…` variables, or run `aliyun configure`",
        ASK_SUPPORT,
    ),
    (
        &["forbidden.riskcontrol"],
        "the vendor's risk control blocks this account: ask the vendor's support",
        "The vendor's risk control blocks this account. Ask the vendor's support.",
    ),
    (
        &["forbidden", "nopermission"],
        "grant the RAM user `vod:RefreshMediaPlayUrls`, `vod:GetMediaRefreshJobs` and `vod:DescribeVodRefreshTasks`; for URLs \
         `vod:RefreshVodObjectCaches` or `vod:PreloadVodObjectCaches` and the last of these",
        CHECK_POLICY,
    ),
    (
        &["operationdenied.suspended"],
        "VOD is suspended, since a payment of this account is overdue: pay it, then try again",
        "VOD is suspended, since a payment of this account is overdue. Pay it, then send them again.",
    ),
    (
        &["operationdenied"],
        "VOD is not activated in this account: activate it in the console, or use a key of the account that has it",
        "VOD is not activated in this account. Activate it in the console, or use a key of the account that has it.",
    ),
    (&["refused"], NO_HINT, CHECK_POLICY),
    (&["invalidprotocol"], "give `--endpoint` as an `https://` URL", ASK_SUPPORT),
    (
        &["invalidaction", "invalidapi", "invalidproduct", "invalidversion"],
        "this endpoint does not know VOD's actions: check `--region` and `--endpoint`",
        ASK_SUPPORT,
    ),
    (&["internal", "serviceunavailable", "unavailable", "garbled"], NO_HINT, SEND_LATER),
];

/// Returns the hint and the advice for a code.
fn by_code(code: &str) -> (&'static str, &'static str) {
    let code = code.to_ascii_lowercase();
    let row = BY_CODE.iter().find(|(begins, ..)| begins.iter().any(|begin| code.starts_with(begin)));
    row.map_or((NO_HINT, ASK_SUPPORT), |(_, hint, advice)| (hint, advice))
}

/// Returns the hint that goes with an error: by code where that tells more, else by kind.
pub(crate) fn hint(kind: ErrorKind, code: &str) -> Option<&'static str> {
    if code == "Timeout" {
        return Some("`--timeout` gives it longer; if calls were failing, a warning above says why");
    }
    match (by_code(code).0, kind) {
        (NO_HINT, ErrorKind::Internal) => Some("this is a fault of vod-refresh: please report it"),
        (NO_HINT, ErrorKind::Unavailable) => {
            Some("check the network, proxy variables, `--endpoint` and `--ca-file`")
        }
        (NO_HINT, ErrorKind::Garbled) => {
            Some("something that is not VOD answered: check `--endpoint` and proxy variables")
        }
        (NO_HINT, kind) => Some(by_code(&format!("{kind:?}")).0).filter(|hint| *hint != NO_HINT),
        (hint, _) => Some(hint),
    }
}

/// Returns the advice in reports about an error.
pub(crate) fn for_error(error: &ReportedError) -> &'static str {
    by_code(&error.code).1
}

/// Returns the advice in reports about a media or URL that failed; `cause` is what the CDN says about its first failed URL.
pub(crate) fn for_entry(state: MediaState, error: Option<&ReportedError>, cause: &str) -> &'static str {
    match (state, error) {
        (MediaState::NotFound, _) => {
            "Check the id and the region: a media is visible in its own region only."
        }
        (MediaState::Forbidden, _) => {
            "Check that the media belongs to this account and that the RAM policy allows it."
        }
        (_, Some(error)) if error.code != TASK_FAILED => for_error(error),
        (MediaState::NotSubmitted, None) => "It was not sent. Run the command again for it.",
        _ => for_cause(cause),
    }
}

/// Returns the advice about what the CDN says of a failed task. Its texts come with and without blanks.
fn for_cause(cause: &str) -> &'static str {
    if cause.replace(' ', "").to_ascii_lowercase().starts_with("origin") {
        return "The CDN could not read the file from its origin. Check the origin of the domain, then send them \
                again.";
    }
    SEND_AGAIN
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hints_follow_the_code_before_the_kind() {
        let hint = |code| hint(ErrorKind::Refused, code).unwrap_or_default();
        assert!(hint("SignatureDoesNotMatch").contains("SECRET"));
        assert!(hint("InvalidAccessKeyId.NotFound").contains("KEY_ID"));
        assert!(hint("Forbidden.RAM").contains("vod:RefreshMediaPlayUrls"));
        assert_eq!(hint("é"), "");
    }

    #[test]
    fn a_hint_is_about_what_the_code_means_and_not_about_its_neighbour() {
        for (kind, code, part) in [
            (ErrorKind::Busy, "QuotaPerMinuteExceeded.Refresh", "quota per minute"),
            (ErrorKind::Busy, "PreloadQueueFull", "queue is full"),
            (ErrorKind::Busy, "ServiceBusy", "being configured"),
            (ErrorKind::Quota, "QuotaExceeded.Refresh", "by the day"),
            (ErrorKind::Refused, "OperationDenied", "not activated"),
            (ErrorKind::Refused, "OperationDenied.Suspended", "overdue"),
            (ErrorKind::Refused, "Forbidden.RiskControl", "risk control"),
            (ErrorKind::Rejected, "IllegalOperation", "spelling"),
            (ErrorKind::Rejected, "InvalidDomain.NotFound", "add the CDN domain"),
            (ErrorKind::Rejected, "InvalidDomain.Offline", "offline"),
            (ErrorKind::Rejected, "InvalidProduct.NotFound", "--endpoint"),
            (ErrorKind::Unavailable, "ServiceUnAvailable", "network"),
            (ErrorKind::Unavailable, "OutcomeUnknown", "submit it again"),
            (ErrorKind::Refused, "Forbidden.RAM", "vod:RefreshVodObjectCaches"),
            (ErrorKind::Config, "QueueNotExist", "--queue"),
        ] {
            let hint = hint(kind, code).unwrap_or_default();
            assert!(hint.contains(part), "{code}: {hint}");
        }
    }

    #[test]
    fn every_kind_of_code_has_advice_of_its_own() {
        let cases = [
            ("QuotaExceeded.Preload", "quota"),
            ("QuotaPerMinuteExceeded.Refresh", "after a minute"),
            ("OperationDenied", "not activated"),
            ("OperationDenied.Suspended", "overdue"),
            ("Throttling.User", "--max-rps"),
            ("Unavailable", "later"),
            ("Forbidden.RAM", "RAM policy"),
            ("SomethingNew", "request id"),
        ];
        for (code, part) in cases {
            let error = serde_json::from_value(json!({"code": code, "message": ""})).unwrap();
            assert!(for_error(&error).contains(part), "{code}: {}", for_error(&error));
        }
    }

    #[test]
    fn a_failed_origin_is_told_from_a_failed_cdn_in_every_spelling() {
        for text in ["Origin Timeout", "OriginReturnStatusCode 5XX", "Origin Return StatusCode 5XX"] {
            assert!(for_cause(text).contains("origin"), "{text}");
        }
        assert_eq!(for_cause("Internal Error"), SEND_AGAIN);
    }
}
