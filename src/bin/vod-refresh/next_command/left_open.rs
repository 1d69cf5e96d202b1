//! What a run left open: media by media, and the jobs in which they are. A run that preloads what it has refreshed has a job of
//! each media for either stage.

use std::collections::HashSet;

use vod_refresh::Report;
use vod_refresh::run::{MediaReport, MediaState, ReportedError, TaskReport};
use vod_refresh::vod::{TaskStatus, TaskType};

/// Whether the tasks of a media are still unknown.
pub(super) fn has_unknown_tasks(media: &MediaReport) -> bool {
    // Of the stage that is open.
    let is_of_stage =
        |task: &TaskReport| media.preload_job_id.is_none() || task.task_type == Some(TaskType::Preload);
    media.state == MediaState::Unfinished && media.job_id.is_some() && !media.tasks.iter().any(is_of_stage)
}

/// The jobs with media that are unfinished, each once.
pub(super) fn unfinished_jobs(report: &Report) -> Vec<&str> {
    let mut seen = HashSet::new();
    let unfinished = report.media.iter().filter(|media| media.state == MediaState::Unfinished);
    let jobs = unfinished.filter_map(open_job);
    jobs.filter(|job| seen.insert(*job)).collect()
}

/// The job of a media's stage that is open, or was last; `None` also between its refresh and its preload.
fn open_job(media: &MediaReport) -> Option<&str> {
    let is_refreshed =
        |task: &TaskReport| task.task_type.is_some() && task.status == Some(TaskStatus::Complete);
    let is_between = !media.tasks.is_empty() && media.tasks.iter().all(is_refreshed);
    let job = media.preload_job_id.as_ref().or(media.job_id.as_ref().filter(|_| !is_between));
    job.map(|job| job.as_str())
}

/// Whether its refresh was submitted, and its preload certainly was not.
pub(super) fn is_unpreloaded(report: &Report, media: &MediaReport) -> bool {
    let open = [MediaState::Unfinished, MediaState::NotSubmitted];
    report.then_preload
        && !is_unknown(media)
        && open.contains(&media.state)
        && media.job_id.is_some()
        && media.preload_job_id.is_none()
}

/// Whether its submission was answered by nothing that tells.
pub(super) fn is_unknown(media: &MediaReport) -> bool {
    media.error.as_ref().is_some_and(ReportedError::is_of_unknown_outcome)
}

/// The media that this run submitted in these jobs, those left out that were refused: no job will show them.
pub(super) fn media_of<'a>(report: &'a Report, jobs: &[&str]) -> Vec<&'a str> {
    let jobs: HashSet<&str> = jobs.iter().copied().collect();
    let is_wanted = |media: &&MediaReport| {
        let refused = [MediaState::NotFound, MediaState::Forbidden, MediaState::NotSubmitted];
        !refused.contains(&media.state)
            && [&media.job_id, &media.preload_job_id]
                .into_iter()
                .flatten()
                .any(|job| jobs.contains(job.as_str()))
    };
    let media = report.media.iter().filter(is_wanted);
    media.filter_map(|media| media.media_id.as_ref().map(|id| id.as_str())).collect()
}
