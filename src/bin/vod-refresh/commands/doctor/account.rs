//! Who we are, and what the service says to that: its clock, permissions by a harmless call each, the quota.

use std::future::Future;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use vod_refresh::auth::preview::masked_key_id;
use vod_refresh::net::clock::{Clock as _, SystemClock, to_wire};
use vod_refresh::vod::{MessageCallback, RefreshQuota};
use vod_refresh::{Credential, Error, ErrorKind, JobId, RunOptions, TaskId, VodClient};

use super::finding::Finding;
use crate::exit::ExitCode;
use crate::timezone;

/// Ids that nobody has: asking about them shows the permission and touches nothing.
const NO_JOB: &str = "00000000000000000000000000000000";
const NO_TASK: &str = "1";
/// How long a failing call is retried; a run retries longer.
const RETRY_LIMIT: Duration = Duration::from_secs(5);
/// How long to wait for an answer.
const CALL_LIMIT: Duration = Duration::from_secs(20);
/// Differences of clocks below this are the network's.
const SKEW_NOISE: TimeDelta = TimeDelta::seconds(30);
/// The service refuses requests that are further off. Source: "Common error codes", `InvalidTimeStamp.Expired`.
const SKEW_LIMIT: TimeDelta = TimeDelta::minutes(15);

/// The finding about credentials, and whether there is anybody to ask the service as.
pub(super) async fn credentials(client: &VodClient) -> (Finding, bool) {
    let now = SystemClock.now();
    match client.credential().await {
        Ok(credential) => (judge(&credential, now), credential.expires.is_none_or(|end| end > now)),
        Err(error) => (no_credentials(&error), false),
    }
}

/// Where nothing was found, the error lists every source and the hint of a run fits; what is broken is named and must
/// be mended, since no other source is asked then.
fn no_credentials(error: &Error) -> Finding {
    let finding = Finding::error("credentials", error);
    if error.kind() == ErrorKind::Config && error.code() != Some("NoCredentials") {
        return finding.remedy(
            "mend what is named there, or name a profile that works with `--profile`; `-v` shows each source that was asked",
        );
    }
    finding
}

fn judge(credential: &Credential, now: DateTime<Utc>) -> Finding {
    let key = format!("key {} of the {}", masked_key_id(&credential.key_id), credential.source);
    let usual_run = RunOptions::default().timeout;
    match (credential.expires, &credential.token) {
        (None, None) => Finding::ok("credentials", format!("{key}, for good")),
        (None, Some(_)) => Finding::ok("credentials", format!("{key}, temporary; when it ends is not known")),
        (Some(end), _) if end <= now => {
            Finding::fail("credentials", format!("{key} ended at {}", to_wire(end)), ExitCode::REFUSED)
                .remedy("get a new temporary credential")
        }
        (Some(end), _) => {
            let left = end - now;
            let text = format!("{key}, temporary: {} min left, until {}", left.num_minutes(), to_wire(end));
            if left >= TimeDelta::from_std(usual_run).unwrap_or_default() {
                return Finding::ok("credentials", text);
            }
            Finding::warn("credentials", text)
                .remedy("a run may wait for an hour: renew it first, or lower `--timeout`")
        }
    }
}

/// Asks the service and adds what it says to `findings`; the event settings, if they could be read.
pub(super) async fn service(
    client: &VodClient,
    app_id: Option<&str>,
    findings: &mut Vec<Finding>,
) -> Result<Option<MessageCallback>, Error> {
    let client = &client.with_patience(RETRY_LIMIT);
    let no_job = JobId::new(NO_JOB).map_err(|why| Error::new(ErrorKind::Internal, why.to_string()))?;
    let no_task = TaskId::new(NO_TASK).map_err(|why| Error::new(ErrorKind::Internal, why.to_string()))?;
    let job = in_time(client.endpoint(), client.get_media_refresh_jobs(&no_job)).await;
    findings.push(clock(client.measured_skew(), job.as_ref().err()));
    let job = match job {
        // What is not about the one permission would meet every other call as well.
        Err(error) if !is_denial(&error) && !proves_permission(&error) => {
            if error.kind() != ErrorKind::Clock {
                findings.push(Finding::error("service", &error));
            }
            let text = "not tried, since the service takes no call of ours";
            findings.push(Finding::warn("permissions", text));
            return Err(error);
        }
        job => job,
    };
    let (task, quota, settings) = tokio::join!(
        in_time(client.task_endpoint(), client.describe_vod_refresh_tasks(&no_task, 1)),
        in_time(client.task_endpoint(), client.describe_vod_refresh_quota()),
        in_time(client.endpoint(), client.get_message_callback(app_id)),
    );
    findings.push(
        Finding::warn(
            "vod:RefreshMediaPlayUrls",
            "not tried: this call can't be made without submitting something",
        )
        .remedy("if a run ends with `Forbidden`, grant it; `refresh --dry-run` shows the request"),
    );
    findings.push(permission("vod:GetMediaRefreshJobs", &job));
    findings.push(permission("vod:DescribeVodRefreshTasks", &task));
    // A run does without these two.
    findings.push(permission("vod:DescribeVodRefreshQuota", &quota).at_most_a_warning(quota.is_ok()));
    findings.push(permission("vod:GetMessageCallback", &settings).at_most_a_warning(settings.is_ok()));
    findings.extend(quota.as_ref().ok().map(left));
    settings
}

/// The call, if it does not take too long.
async fn in_time<T>(endpoint: &str, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(CALL_LIMIT, call).await.unwrap_or_else(|_| {
        let text = format!("no good answer from {endpoint} within {} s", CALL_LIMIT.as_secs());
        Err(Error::new(ErrorKind::Unavailable, text))
    })
}

/// Whether the call may be made, by its outcome.
fn permission<T>(action: &'static str, outcome: &Result<T, Error>) -> Finding {
    match outcome {
        Ok(_) => Finding::ok(action, "allowed"),
        Err(error) if proves_permission(error) => Finding::ok(action, "allowed"),
        Err(error) if is_denial(error) => {
            Finding::error(action, error).remedy(format!("grant `{action}` to this user or role in RAM"))
        }
        // The endpoint is a wrong one.
        Err(error) if error.kind() == ErrorKind::Rejected => {
            Finding::fail(action, error.to_string(), ExitCode::CONFIG)
                .remedy("check `--region`, `--endpoint` and `--task-endpoint`")
        }
        Err(error) => Finding::error(action, error),
    }
}

/// Whether the service refused the made-up id itself: then it has accepted the call.
fn proves_permission(error: &Error) -> bool {
    let code = error.code().unwrap_or_default().to_ascii_lowercase();
    let of_the_host = ["invalidaction", "invalidapi", "invalidproduct", "invalidversion"];
    matches!(error.kind(), ErrorKind::Rejected | ErrorKind::NotFound)
        && !code.is_empty()
        && !of_the_host.iter().any(|prefix| code.starts_with(prefix))
}

/// One permission is missing, while the credential itself is good.
fn is_denial(error: &Error) -> bool {
    let code = error.code().unwrap_or_default().to_ascii_lowercase();
    error.kind() == ErrorKind::Refused && (code.starts_with("forbidden") || code == "nopermission")
}

/// Our clock by the service's; `error` is what the first call met.
fn clock(skew: Option<TimeDelta>, error: Option<&Error>) -> Finding {
    if let Some(error) = error.filter(|error| error.kind() == ErrorKind::Clock) {
        return Finding::error("clock", error);
    }
    let Some(skew) = skew else {
        return Finding::warn("clock", "not known: the service gave no answer with a date");
    };
    let seconds = skew.num_seconds();
    let side = if seconds > 0 { "behind" } else { "ahead of" };
    let mut text = format!("{} s {side} the service's", seconds.abs());
    if skew.abs() <= SKEW_NOISE {
        return Finding::ok("clock", "agrees with the service's");
    }
    let zone = timezone::hint(seconds).map(|hint| format!("; {hint}")).unwrap_or_default();
    if skew.abs() > SKEW_LIMIT {
        text.push_str(&format!("; requests signed by it are refused, and runs correct it{zone}"));
    }
    Finding::warn("clock", text).remedy("set this machine's clock, by NTP for one")
}

/// What is left today.
fn left(quota: &RefreshQuota) -> Finding {
    let number = |n: Option<u64>| n.map_or("?".to_owned(), |n| n.to_string());
    let text = format!(
        "left today: {} of {} URLs to refresh, {} of {} to preload",
        number(quota.url_remain),
        number(quota.url_quota),
        number(quota.preload_remain),
        number(quota.preload_quota)
    );
    if quota.url_remain == Some(0) || quota.preload_remain == Some(0) {
        return Finding::fail("quota", text, ExitCode::QUOTA)
            .remedy("the day's quota starts again at midnight, Beijing time; ask the vendor to raise it");
    }
    Finding::ok("quota", text)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    #[test]
    fn a_credential_that_ends_within_a_run_is_warned_of() {
        let now = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
        let ends = |minutes| {
            let mut credential = Credential::new("LTAI5tABCDEFGHIJ", "SECRETMARK");
            credential.expires = Some(now + TimeDelta::minutes(minutes));
            judge(&credential, now)
        };
        for (minutes, status) in [(-1, Status::Fail), (0, Status::Fail), (43, Status::Warn), (90, Status::Ok)]
        {
            assert_eq!(ends(minutes).status, status, "{minutes}");
        }
        let text = format!("{:?}", ends(43));
        assert!(
            text.contains("LTAI***GHIJ") && text.contains("43 min") && !text.contains("SECRETMARK"),
            "{text}"
        );
    }

    #[test]
    fn refusals_of_the_content_prove_the_permission_and_wrong_hosts_do_not() {
        let outcome = |kind, code: &str| Err::<(), _>(Error::new(kind, "m").with_code(code));
        for (kind, code, status) in [
            (ErrorKind::Rejected, "InvalidTaskId.Malformed", Status::Ok),
            (ErrorKind::Rejected, "InvalidAction.NotFound", Status::Fail),
            (ErrorKind::Refused, "Forbidden.RAM", Status::Fail),
            (ErrorKind::Unavailable, "", Status::Fail),
        ] {
            assert_eq!(permission("vod:X", &outcome(kind, code)).status, status, "{code}");
        }
    }

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
