//! What a person can do about an error. All hints stand here.

use vod_refresh::ErrorKind;

/// The advice that goes with an error: by code where it tells more, else by kind.
pub(crate) fn hint(kind: ErrorKind, code: &str) -> Option<&'static str> {
    let family =
        |prefix: &str| code.len() >= prefix.len() && code[..prefix.len()].eq_ignore_ascii_case(prefix);
    if !code.is_ascii() {
        return None;
    }
    if family("NoCredentials") {
        return Some("set the two `ALIBABA_CLOUD_ACCESS_KEY_…` variables, or run `aliyun configure`");
    }
    if family("SignatureDoesNotMatch") || family("IncompleteSignature") {
        return Some(
            "check that `ALIBABA_CLOUD_ACCESS_KEY_SECRET` belongs to the key id and was copied whole",
        );
    }
    if family("InvalidAccessKeyId") {
        return Some(
            "the key id is unknown or disabled: check `ALIBABA_CLOUD_ACCESS_KEY_ID` in the RAM console",
        );
    }
    if family("InvalidSecurityToken") || kind == ErrorKind::Expired || family("Expired") {
        return Some("get a new STS token and set all three `ALIBABA_CLOUD_…` variables again");
    }
    if family("MissingSecurityToken") {
        return Some("a temporary key needs its token in `ALIBABA_CLOUD_SECURITY_TOKEN`");
    }
    if family("InvalidTimeStamp") || kind == ErrorKind::Clock || family("Clock") {
        return Some("set this machine's clock: requests are good for 15 minutes");
    }
    if family("Forbidden") || family("NoPermission") {
        return Some(
            "grant the RAM user `vod:RefreshMediaPlayUrls`, `vod:GetMediaRefreshJobs` and `vod:DescribeVodRefreshTasks`",
        );
    }
    if family("InvalidAction") || family("InvalidApi") || family("InvalidVersion") {
        return Some("this endpoint does not know VOD's actions: check `--region` and `--endpoint`");
    }
    if family("InvalidDomain") {
        return Some("add the CDN domain to VOD in the same region, or check `--region`");
    }
    if code == "Timeout" {
        return Some("`--timeout` gives it longer; if calls were failing, a warning above says why");
    }
    match kind {
        ErrorKind::Internal => Some("this is a fault of vod-refresh: please report it"),
        ErrorKind::Quota => {
            Some("the quota is counted by the day: try again tomorrow, or ask the vendor to raise it")
        }
        ErrorKind::Throttled => Some("lower `--max-rps`, or run fewer at the same time"),
        ErrorKind::Busy => Some("the CDN's queue is full: try again in some minutes"),
        ErrorKind::Unavailable => Some("check the network, proxy variables, `--endpoint` and `--ca-file`"),
        ErrorKind::Garbled => {
            Some("something that is not VOD answered: check `--endpoint` and proxy variables")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_follow_the_code_before_the_kind() {
        let hint = |code| hint(ErrorKind::Refused, code).unwrap_or_default();
        assert!(hint("SignatureDoesNotMatch").contains("SECRET"));
        assert!(hint("InvalidAccessKeyId.NotFound").contains("KEY_ID"));
        assert!(hint("Forbidden.RAM").contains("vod:RefreshMediaPlayUrls"));
        assert_eq!(hint("é"), "");
    }
}
