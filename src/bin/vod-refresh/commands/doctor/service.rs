//! What the service says: permissions first, by a harmless call each, and what the calls bring.

use std::future::Future;
use std::time::Duration;

use vod_refresh::vod::MessageCallback;
use vod_refresh::{Error, ErrorKind, JobId, TaskId, VodClient};

use super::finding::Finding;
use super::readings::{clock, left};
use crate::exit::ExitCode;

/// Ids that nobody has: asking about them shows the permission and touches nothing.
const NO_JOB: &str = "00000000000000000000000000000000";
const NO_TASK: &str = "1";
/// A doctor's patience with a call that fails; a run has more.
const PATIENCE: Duration = Duration::from_secs(5);
/// And with one that does not come back.
const SILENCE: Duration = Duration::from_secs(20);
/// What the calls brought.
pub(super) struct Seen {
    pub(super) findings: Vec<Finding>,
    /// The settings that were read; `None`: they could not be.
    pub(super) settings: Option<Option<MessageCallback>>,
}

pub(super) async fn check(client: &VodClient, app_id: Option<&str>) -> Seen {
    let client = &client.with_patience(PATIENCE);
    let job = async {
        let id = JobId::new(NO_JOB).map_err(|why| Error::new(ErrorKind::Internal, why.to_string()))?;
        client.get_media_refresh_jobs(&id).await
    };
    let first = patient(client.endpoint(), job).await;
    let mut findings = vec![clock(client.measured_skew(), first.as_ref().err())];
    // What is not about the one permission would meet every other call as well.
    if let Err(error) = &first
        && !is_denial(error)
        && !proves_permission(error)
    {
        if error.kind() != ErrorKind::Clock {
            findings.push(Finding::error("service", error));
        }
        findings.push(Finding::warn("permissions", "not tried, since the service takes no call of ours"));
        return Seen { findings, settings: None };
    }
    let task = async {
        let task = TaskId::new(NO_TASK).map_err(|why| Error::new(ErrorKind::Internal, why.to_string()))?;
        client.describe_vod_refresh_tasks(&task, 1).await
    };
    let (tasks, quota, settings) = tokio::join!(
        patient(client.task_endpoint(), task),
        patient(client.task_endpoint(), client.describe_vod_refresh_quota()),
        patient(client.endpoint(), client.get_message_callback(app_id)),
    );
    findings.push(
        Finding::warn(
            "vod:RefreshMediaPlayUrls",
            "not tried: this call can't be made without submitting something",
        )
        .remedy("if a run ends with `Forbidden`, grant it; `refresh --dry-run` shows the request"),
    );
    findings.push(permission("vod:GetMediaRefreshJobs", &first));
    findings.push(permission("vod:DescribeVodRefreshTasks", &tasks));
    // A run does without these two.
    findings.push(optional(permission("vod:DescribeVodRefreshQuota", &quota), quota.is_ok()));
    findings.push(optional(permission("vod:GetMessageCallback", &settings), settings.is_ok()));
    if let Ok(quota) = &quota {
        findings.push(left(quota));
    }
    Seen { findings, settings: settings.ok() }
}

/// The call, if it does not take too long.
async fn patient<T>(endpoint: &str, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = || {
        let text = format!("no good answer from {endpoint} within {} s", SILENCE.as_secs());
        Err(Error::new(ErrorKind::Unavailable, text))
    };
    tokio::time::timeout(SILENCE, call).await.unwrap_or_else(|_| late())
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
            Finding::fail(action, error.to_string(), ExitCode::Config)
                .remedy("check `--region`, `--endpoint` and `--task-endpoint`")
        }
        Err(error) => Finding::error(action, error),
    }
}

fn optional(finding: Finding, good: bool) -> Finding {
    if good { finding } else { finding.only_a_warning() }
}

/// A made-up id that is refused for what it is was looked at, so the call is allowed.
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

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

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
}
