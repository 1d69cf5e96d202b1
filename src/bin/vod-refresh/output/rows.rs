//! What several writers read out of a report's rows.

use chrono::{DateTime, Utc};
use vod_refresh::run::{MediaReport, Report, ReportedError, TaskReport};
use vod_refresh::vod::TaskStatus;
use vod_refresh::{Outcome, TaskType};

/// `refresh`, `preload`, or `unknown` where jobs of others never told.
pub(super) fn task_type(report: &Report) -> &'static str {
    match report.task_type {
        Some(TaskType::Refresh) => "refresh",
        Some(TaskType::Preload) => "preload",
        None => "unknown",
    }
}

/// The media's id, or its job's where a job of somebody else showed no media.
pub(super) fn media_name(media: &MediaReport) -> &str {
    match (&media.media_id, &media.job_id) {
        (Some(id), _) => id.as_str(),
        (None, Some(job)) => job.as_str(),
        (None, None) => "(no media known)",
    }
}

/// Media that failed, in the order given.
pub(super) fn failed_media(report: &Report) -> impl Iterator<Item = &MediaReport> {
    report.media.iter().filter(|media| media.state.is_failure())
}

/// What ended the run, or kept all of its media from being submitted.
pub(crate) fn error_of_run(report: &Report) -> Option<&ReportedError> {
    let nothing_done = matches!(
        report.outcome,
        Outcome::Internal | Outcome::Config | Outcome::Refused | Outcome::Quota | Outcome::Unavailable
    );
    let of_media = || report.media.iter().find_map(|media| media.error.as_ref());
    report.error.as_ref().or_else(|| nothing_done.then(of_media).flatten())
}

/// The tasks of all media.
pub(super) fn tasks(report: &Report) -> impl Iterator<Item = &TaskReport> {
    report.media.iter().flat_map(|media| &media.tasks)
}

/// Whether nothing more will happen to it.
pub(super) fn has_ended(task: &TaskReport) -> bool {
    task.status.as_ref().is_some_and(TaskStatus::is_final)
}

/// Whether the CDN gave up on this URL.
pub(super) fn has_failed(task: &TaskReport) -> bool {
    task.status == Some(TaskStatus::Failed)
}

/// What the CDN says about the first URL of a media that failed.
pub(super) fn first_cause(media: &MediaReport) -> Option<&str> {
    media.tasks.iter().filter(|task| has_failed(task)).find_map(|task| task.description.as_deref())
}

/// When the last of a media's tasks was seen ended, if all have.
pub(super) fn ended_at(media: &MediaReport) -> Option<DateTime<Utc>> {
    let all = media.tasks.iter().all(has_ended);
    media.tasks.iter().filter_map(|task| task.ended_at).max().filter(|_| all)
}

/// Milliseconds from a media's submission to its acceptance.
pub(super) fn accepted_after(media: &MediaReport) -> Option<i64> {
    let (submitted, accepted) = media.submitted_at.zip(media.accepted_at)?;
    Some((accepted - submitted).num_milliseconds().max(0))
}

/// Milliseconds from a media's acceptance to the end of its last task.
pub(super) fn completed_after(media: &MediaReport) -> Option<i64> {
    let (accepted, ended) = media.accepted_at.zip(ended_at(media))?;
    Some((ended - accepted).num_milliseconds().max(0))
}

/// How long a task took, in seconds, if it has ended and both times are known.
///
/// Never negative: the CDN's clock tells the start, ours the end.
pub(super) fn task_seconds(task: &TaskReport) -> Option<i64> {
    let (created, ended) = task.created_at.zip(task.ended_at)?;
    has_ended(task).then(|| (ended - created).num_seconds().max(0))
}
