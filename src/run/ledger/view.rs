//! The report as a view of the ledger.

use chrono::{DateTime, Utc};

use super::rows::{JobEntry, MediaEntry, TaskEntry};
use super::state::Ledger;
use crate::model::{MediaReport, MediaState, Moment, TaskReport};
use crate::run::table::MediaIndex;
use crate::vod::{TaskStatus, TaskType};

impl Ledger {
    /// One entry a media, in the order given; jobs of others that showed no media come last.
    pub(crate) fn media_reports(&self, started_at: DateTime<Utc>) -> Vec<MediaReport> {
        // What is preloaded afterwards stands with its refresh.
        let mut order: Vec<MediaIndex> =
            self.media.indices().filter(|media| self.media[*media].refresh.is_none()).collect();
        if self.batches.is_empty() && self.expect.is_none() {
            // Media of jobs were found as answers came; the order given is that of the jobs.
            order.sort_by_key(|media| self.media[*media].job);
        }
        let shown = order.into_iter().map(|media| self.media_report(media, started_at));
        let is_silent = |job: &&JobEntry| job.media.is_empty() && (job.is_open() || job.error.is_some());
        let silent = self.jobs.iter().filter(is_silent).map(|job| MediaReport {
            media_id: None,
            url: None,
            job_id: Some(job.id.clone()),
            preload_job_id: None,
            state: if job.error.is_some() { MediaState::Failed } else { MediaState::Unfinished },
            confirmed_by: None,
            submitted_at: None,
            accepted_at: None,
            error: job.error.as_deref().cloned(),
            note: self.why_silent().filter(|_| job.is_open()),
            tasks: Vec::new(),
        });
        shown.chain(silent).collect()
    }

    /// Why nothing is known of what no event told of, where that is by choice or for want of a permission.
    fn why_silent(&self) -> Option<String> {
        (!self.can_query_jobs()).then(|| format!("no event has told of it, and {}", self.why_no_lookups()))
    }

    fn media_report(&self, index: MediaIndex, started_at: DateTime<Utc>) -> MediaReport {
        let media = &self.media[index];
        let job_of = |media: &MediaEntry| media.job.map(|job| &self.jobs[job]);
        let job = job_of(media);
        let preload = media.preload.map(|preload| &self.media[preload]);
        let time = |moment: Moment| started_at + moment.since_start();
        let note_of = |media: &MediaEntry| {
            let is_silent = media.job.is_some() && media.is_silent() && media.event_seen.is_none();
            let note = media.note.as_deref().map(str::to_owned);
            note.or_else(|| self.why_silent().filter(|_| is_silent))
        };
        let decisive = self.decisive(index).map(|entry| &self.media[entry]);
        let error = decisive.and_then(MediaEntry::stage_error);
        let stages = [(Some(index), TaskType::Refresh), (media.preload, TaskType::Preload)];
        let tasks_of = |(stage, task_type): (Option<MediaIndex>, TaskType)| {
            // Where there are two stages, each task says of which it is.
            let task_type = self.settings.preload_polls.map(|_| task_type);
            let tasks = stage.map_or_else(Vec::new, |media| self.task_reports_of(media, started_at));
            tasks.into_iter().map(move |task| TaskReport { task_type, ..task })
        };
        MediaReport {
            media_id: Some(media.id.clone()),
            url: None,
            job_id: job.map(|job| job.id.clone()),
            preload_job_id: preload.and_then(job_of).map(|job| job.id.clone()),
            state: self.joint_state(index).told_with(error.as_ref()),
            confirmed_by: media.confirmed_by,
            submitted_at: job.and_then(|job| job.submitted_at).map(time),
            accepted_at: media.named_at.map(time),
            error,
            note: match decisive {
                None => Some("it is refreshed, and its preload has not begun".to_owned()),
                Some(decisive) => note_of(decisive).or_else(|| note_of(media)),
            },
            tasks: stages.into_iter().flat_map(tasks_of).collect(),
        }
    }

    /// The rows of all tasks that count for a media, in the spelling in which their URLs were named.
    pub(super) fn task_reports_of(&self, media: MediaIndex, started_at: DateTime<Utc>) -> Vec<TaskReport> {
        let (named, counts) = (&self.media[media].named, self.evidence().counting(media));
        let time = |moment: Moment| started_at + moment.since_start();
        let mut reports = Vec::new();
        for task in self.evidence().tasks_of(media) {
            let whole = self.unshown_task(task, started_at);
            let rows = task.rows.iter().filter(|row| counts(task, row)).map(|row| {
                let place = named.urls.place(row.key);
                TaskReport {
                    url: Some(place.map_or(&*row.url, |place| named.urls.spelling(place)).to_owned()),
                    status: Some(row.status.clone()),
                    progress: row.progress,
                    created_at: row.created_at,
                    ended_at: task.ended_at.filter(|_| row.status.is_final()).map(time),
                    description: row.description.as_deref().map(str::to_owned).or(whole.description.clone()),
                    ..whole.clone()
                }
            });
            let before = reports.len();
            reports.extend(rows);
            if reports.len() == before {
                // Never shown. Which URL it works for is known only where there is one of each.
                let only = named.tasks.len() == 1 && named.urls.len() == 1;
                let url = only.then(|| named.urls.spelling(0).to_owned());
                reports.push(TaskReport { url, ..whole });
            }
        }
        reports
    }

    /// A task that was never shown.
    pub(super) fn unshown_task(&self, task: &TaskEntry, started_at: DateTime<Utc>) -> TaskReport {
        let time = |moment: Moment| started_at + moment.since_start();
        let error = task.error.as_ref().map(|error| format!("{}: {}", error.code, error.message));
        TaskReport {
            task_id: task.id.clone(),
            task_type: None,
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
