//! What to do about a failure, in one or two sentences. Every output that shows failures gives the same advice.

use vod_refresh::run::{MediaReport, MediaState, ReportedError};

use super::rows::first_cause;

const AGAIN: &str = "Send these media again.";

/// Advice about one media that failed.
pub(super) fn for_media(media: &MediaReport) -> &'static str {
    match media.state {
        MediaState::NotFound => "Check the id and the region: a media is visible in its own region only.",
        MediaState::Forbidden => {
            "Check that the media belongs to this account and that the RAM policy allows it."
        }
        _ => match &media.error {
            Some(error) if error.code == "TaskFailed" => {
                for_description(first_cause(media).unwrap_or_default())
            }
            Some(error) => for_error(error),
            None if media.state == MediaState::NotSubmitted => {
                "It was not sent. Run the command again for it."
            }
            None => for_description(first_cause(media).unwrap_or_default()),
        },
    }
}

/// Advice about an error: one of the service's codes, one of ours, or the name of an error kind.
pub(super) fn for_error(error: &ReportedError) -> &'static str {
    let code = error.code.to_ascii_lowercase();
    let family = |names: &[&str]| names.iter().any(|name| code.starts_with(name));
    match code.as_str() {
        "outcomeunknown" => {
            "The answer was lost, so these media may or may not have been sent. Sending them again does no harm, \
             but uses quota."
        }
        "noplayurls" => {
            "No playback URL fits. Check that the media are transcoded and published, and that formats, definitions \
             and stream type leave something over."
        }
        "tasknotfound" => "The CDN never showed these tasks. Send the media again.",
        "jobnotfound" => "No lookup showed this job. Check the job id, the region and the account.",
        "urlnotshown" => "The CDN never showed some of these URLs. Send the media again.",
        "urlnotmatched" => {
            "The service spells these URLs in a way that can't be matched: the rows are in the report. Send the media \
             again if one that failed is yours."
        }
        _ if family(&["throttl", "toomanyrequests"]) => {
            "Send these media again later, or with a lower --max-rps."
        }
        _ if family(&["preloadqueuefull", "servicebusy", "busy", "quotaperminute"]) => {
            "The service can't take more just now. Send these media again in some minutes."
        }
        _ if family(&["quota"]) => {
            "The day's quota is used up: `vod-refresh quota` shows it. Send these media again tomorrow, or have the \
             quota raised."
        }
        _ if family(&["invaliddomain"]) => {
            "Check the playback domain of these media: it must be online and belong to this account's VOD."
        }
        _ if family(&["invalidtimestamp", "clock"]) => "Set this machine's clock.",
        _ if family(&["invalidsecuritytoken.expired", "expired"]) => {
            "The temporary credential ran out. Get a new one, then `vod-refresh resume`."
        }
        _ if family(&[
            "invalidaccesskeyid",
            "invalidsecuritytoken",
            "missingsecuritytoken",
            "signature",
            "config",
        ]) =>
        {
            "Check the credentials: `vod-refresh doctor` shows which ones are used."
        }
        _ if family(&["forbidden", "nopermission", "operationdenied", "refused"]) => {
            "Check the RAM policy, and that VOD is open and paid for in this account."
        }
        _ if family(&["internal", "serviceunavailable", "unavailable", "garbled"]) => {
            "A fault at the service or on the way there. Send these media again later."
        }
        _ => "If it fails again, give the request id to the service's support.",
    }
}

/// Advice about what the CDN says of a failed task. Its texts come with and without blanks.
fn for_description(description: &str) -> &'static str {
    let text = description.replace(' ', "").to_ascii_lowercase();
    if text.starts_with("origin") {
        return "The CDN could not read the file from its origin. Check the origin of the domain, then send these \
                media again.";
    }
    AGAIN
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_code_has_advice_of_its_own() {
        let cases = [
            ("QuotaExceeded.Preload", "quota"),
            ("QuotaPerMinuteExceeded.Refresh", "minutes"),
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
            assert!(for_description(text).contains("origin"), "{text}");
        }
        assert_eq!(for_description("Internal Error"), AGAIN);
    }
}
