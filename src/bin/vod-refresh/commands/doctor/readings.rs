//! Numbers that the service gave, judged: its clock, and what is left of the quota. Pure.

use chrono::TimeDelta;
use vod_refresh::vod::RefreshQuota;
use vod_refresh::{Error, ErrorKind};

use super::finding::Finding;
use crate::exit::ExitCode;
use crate::timezone;

/// Differences below this are the network's.
const SKEW_NOISE: TimeDelta = TimeDelta::seconds(30);
/// The service refuses requests that are further off. Source: "Common error codes", `InvalidTimeStamp.Expired`.
const SKEW_LIMIT: TimeDelta = TimeDelta::minutes(15);

/// Our clock by the service's; `error` is what the first call met.
pub(super) fn clock(skew: Option<TimeDelta>, error: Option<&Error>) -> Finding {
    const CHECK: &str = "clock";
    if let Some(error) = error.filter(|error| error.kind() == ErrorKind::Clock) {
        return Finding::error(CHECK, error);
    }
    let Some(skew) = skew else {
        return Finding::warn(CHECK, "not known: the service gave no answer with a date");
    };
    let seconds = skew.num_seconds();
    let side = if seconds > 0 { "behind" } else { "ahead of" };
    let text = format!("{} s {side} the service's", seconds.abs());
    if skew.abs() <= SKEW_NOISE {
        return Finding::ok(CHECK, "agrees with the service's");
    }
    let zone = timezone::hint(seconds).map(|hint| format!("; {hint}")).unwrap_or_default();
    let finding = if skew.abs() > SKEW_LIMIT {
        Finding::warn(CHECK, format!("{text}; requests signed by it are refused, and runs correct it{zone}"))
    } else {
        Finding::warn(CHECK, text)
    };
    finding.remedy("set this machine's clock, by NTP for one")
}

/// What is left today.
pub(super) fn left(quota: &RefreshQuota) -> Finding {
    const CHECK: &str = "quota";
    let number = |n: Option<u64>| n.map_or("?".to_owned(), |n| n.to_string());
    let text = format!(
        "left today: {} of {} URLs to refresh, {} of {} to preload",
        number(quota.url_remain),
        number(quota.url_quota),
        number(quota.preload_remain),
        number(quota.preload_quota)
    );
    if quota.url_remain == Some(0) || quota.preload_remain == Some(0) {
        return Finding::fail(CHECK, text, ExitCode::Quota)
            .remedy("the day's quota starts again at midnight, Beijing time; ask the vendor to raise it");
    }
    Finding::ok(CHECK, text)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    #[test]
    fn a_clock_is_off_when_the_service_would_notice() {
        for (seconds, status, word) in [
            (-2, Status::Ok, "agrees"),
            (90, Status::Warn, "90 s behind"),
            (-90, Status::Warn, "90 s ahead of"),
            (28_801, Status::Warn, "time zone"),
            (3_000, Status::Warn, "are refused"),
        ] {
            let finding = clock(Some(TimeDelta::seconds(seconds)), None);
            assert_eq!(finding.status, status, "{seconds}");
            assert!(format!("{finding:?}").contains(word), "{finding:?}");
        }
    }
}
