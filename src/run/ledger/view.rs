//! The report as a view of the ledger.

use chrono::{DateTime, Utc};

use super::rows::{MediaEntry, TaskEntry};
use super::{Ledger, Moment};
use crate::run::report::{MediaReport, MediaState, Summary, TaskReport};
use crate::vod::TaskStatus;

impl Ledger {
    /// One entry a media, in the order given; jobs of others that showed no media come last.
    pub(crate) fn media_reports(&self, started_at: DateTime<Utc>) -> Vec<MediaReport> {
        let silent = self.jobs.iter().filter(|job| job.media.is_empty() && (job.open || job.error.is_some()));
        let mut order: Vec<&MediaEntry> = self.media.iter().collect();
        if self.batches.is_empty() {
            // Media of jobs were found as answers came; the order given is that of the jobs.
            order.sort_by_key(|media| media.job);
        }
        let shown = order.into_iter().map(|media| self.media_report(media, started_at));
        let silent = silent.map(|job| MediaReport {
            media_id: None,
            job_id: Some(job.id.clone()),
            state: if job.error.is_some() { MediaState::Failed } else { MediaState::Unfinished },
            confirmed_by: None,
            submitted_at: None,
            accepted_at: None,
            error: job.error.as_deref().cloned(),
            note: job.open.then(|| self.why_silent()).flatten(),
            tasks: Vec::new(),
        });
        shown.chain(silent).collect()
    }

    /// Why nothing is known of what no event told of, where that is by choice or for want of a permission.
    fn why_silent(&self) -> Option<String> {
        (!self.can_look_up()).then(|| format!("no event has told of it, and {}", self.why_no_lookups()))
    }

    fn media_report(&self, media: &MediaEntry, started_at: DateTime<Utc>) -> MediaReport {
        let tasks = media.tasks.iter().map(|task| &self.tasks[*task as usize]);
        let job = media.job.map(|job| &self.jobs[job as usize]);
        let time = |moment: Moment| started_at + moment.since_start();
        let is_silent = job.is_some() && !media.is_told();
        MediaReport {
            media_id: Some(media.id.clone()),
            job_id: job.map(|job| job.id.clone()),
            state: media.state,
            confirmed_by: media.confirmed_by,
            submitted_at: job.and_then(|job| job.submitted_at).map(time),
            accepted_at: media.named_at.map(time),
            error: media.error.as_deref().cloned(),
            note: media
                .note
                .as_deref()
                .map(str::to_owned)
                .or_else(|| self.why_silent().filter(|_| is_silent)),
            tasks: tasks.flat_map(|task| task_reports(task, media, started_at)).collect(),
        }
    }
}

fn task_reports(task: &TaskEntry, media: &MediaEntry, started_at: DateTime<Utc>) -> Vec<TaskReport> {
    let time = |moment: Moment| started_at + moment.since_start();
    let error = task.error.as_ref().map(|error| format!("{}: {}", error.code, error.message));
    let rows: Vec<TaskReport> = task
        .rows_for(&media.urls)
        .map(|row| TaskReport {
            task_id: task.id.clone(),
            url: Some(row.url.to_string()),
            status: Some(row.status.clone()),
            progress: row.progress,
            created_at: row.created_at,
            known_at: Some(time(task.known_since)),
            unfinished_at: task.unfinished_at.map(time),
            ended_at: task.ended_at.filter(|_| row.status.is_final()).map(time),
            description: row.description.as_deref().map(str::to_owned).or_else(|| error.clone()),
        })
        .collect();
    if !rows.is_empty() {
        return rows;
    }
    // Never shown. Which URL it works for is known only where there is one of each.
    let only = media.tasks.len() == 1 && !media.urls.is_empty() && !media.urls.contains(',');
    vec![TaskReport {
        task_id: task.id.clone(),
        url: only.then(|| media.urls.to_string()),
        status: error.as_ref().map(|_| TaskStatus::Failed),
        progress: 0,
        created_at: None,
        known_at: Some(time(task.known_since)),
        unfinished_at: task.unfinished_at.map(time),
        ended_at: task.ended_at.map(time),
        description: error,
    }]
}

/// The sums of a report that follow from its media.
pub(crate) fn sums(media: &[MediaReport]) -> Summary {
    let mut summary = Summary { media: media.len() as u64, ..Summary::default() };
    for entry in media {
        match entry.state {
            MediaState::Complete => summary.media_complete += 1,
            MediaState::Unfinished => summary.media_unfinished += 1,
            _ => summary.media_failed += 1,
        }
        for task in &entry.tasks {
            summary.tasks += 1;
            match &task.status {
                Some(TaskStatus::Complete) => summary.tasks_complete += 1,
                Some(TaskStatus::Failed) => summary.tasks_failed += 1,
                _ => summary.tasks_unfinished += 1,
            }
        }
    }
    summary
}
