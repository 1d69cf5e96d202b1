//! The report as a view of the ledger.

use chrono::{DateTime, Utc};

use super::rows::{Row, TaskEntry};
use super::state::Ledger;
use crate::model::{MediaReport, MediaState, Moment, TaskReport};
use crate::vod::TaskStatus;

impl Ledger {
    /// One entry a media, in the order given; jobs of others that showed no media come last.
    pub(crate) fn media_reports(&self, started_at: DateTime<Utc>) -> Vec<MediaReport> {
        let silent = self.jobs.iter().filter(|job| job.media.is_empty() && (job.open || job.error.is_some()));
        let mut order: Vec<u32> = (0..self.media.len() as u32).collect();
        if self.batches.is_empty() && !self.knows_media {
            // Media of jobs were found as answers came; the order given is that of the jobs.
            order.sort_by_key(|media| self.media[*media as usize].job);
        }
        let shown = order.into_iter().map(|media| self.media_report(media, started_at));
        let silent = silent.map(|job| MediaReport {
            media_id: None,
            url: None,
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
        (!self.can_query_jobs()).then(|| format!("no event has told of it, and {}", self.why_no_lookups()))
    }

    fn media_report(&self, number: u32, started_at: DateTime<Utc>) -> MediaReport {
        let media = &self.media[number as usize];
        let job = media.job.map(|job| &self.jobs[job as usize]);
        let time = |moment: Moment| started_at + moment.since_start();
        let is_silent = job.is_some() && media.is_silent() && media.event_seen.is_none();
        MediaReport {
            media_id: Some(media.id.clone()),
            url: None,
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
            tasks: self.task_reports_of(number, started_at),
        }
    }

    /// The rows of all tasks that count for a media.
    pub(super) fn task_reports_of(&self, media: u32, started_at: DateTime<Utc>) -> Vec<TaskReport> {
        let counts = self.evidence().counting(media);
        let tasks = self.media[media as usize].named.tasks.iter().map(|task| &self.tasks[*task as usize]);
        tasks.flat_map(|task| self.task_reports(task, media, started_at, &counts)).collect()
    }

    /// The rows of a task that count for a media, in the spelling in which their URLs were named.
    fn task_reports(
        &self,
        task: &TaskEntry,
        media: u32,
        started_at: DateTime<Utc>,
        counts: impl Fn(&TaskEntry, &Row) -> bool,
    ) -> Vec<TaskReport> {
        let urls = &self.media[media as usize].named.urls;
        let time = |moment: Moment| started_at + moment.since_start();
        let error = task.error.as_ref().map(|error| format!("{}: {}", error.code, error.message));
        let rows: Vec<TaskReport> = task
            .rows
            .iter()
            .filter(|row| counts(task, row))
            .map(|row| TaskReport {
                task_id: task.id.clone(),
                url: Some(urls.place(row.key).map_or(&*row.url, |place| urls.spelling(place)).to_owned()),
                status: Some(row.status.clone()),
                progress: row.progress,
                created_at: row.created_at,
                known_at: Some(time(task.known_since)),
                unfinished_at: task.unfinished_at.map(time),
                ended_at: task.ended_at.filter(|_| row.status.is_final()).map(time),
                description: row.description.as_deref().map(str::to_owned).or_else(|| error.clone()),
                edge: Vec::new(),
            })
            .collect();
        if !rows.is_empty() {
            return rows;
        }
        // Never shown. Which URL it works for is known only where there is one of each.
        let only = self.media[media as usize].named.tasks.len() == 1 && urls.len() == 1;
        vec![TaskReport {
            url: only.then(|| urls.spelling(0).to_owned()),
            ..self.unshown_task(task, started_at)
        }]
    }

    /// A task that was never shown.
    pub(super) fn unshown_task(&self, task: &TaskEntry, started_at: DateTime<Utc>) -> TaskReport {
        let time = |moment: Moment| started_at + moment.since_start();
        let error = task.error.as_ref().map(|error| format!("{}: {}", error.code, error.message));
        TaskReport {
            task_id: task.id.clone(),
            url: None,
            status: error.as_ref().map(|_| TaskStatus::Failed),
            progress: 0,
            created_at: None,
            known_at: Some(time(task.known_since)),
            unfinished_at: task.unfinished_at.map(time),
            ended_at: error.as_ref().and(task.ended_at).map(time),
            description: error,
            edge: Vec::new(),
        }
    }
}
