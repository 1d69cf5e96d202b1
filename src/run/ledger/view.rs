//! The report as a view of the ledger.

use chrono::{DateTime, Utc};

use super::rows::{MediaEntry, Row, TaskEntry};
use super::state::Ledger;
use crate::model::{MediaReport, MediaState, Moment, TaskReport};
use crate::vod::{TaskStatus, TaskType};

impl Ledger {
    /// One entry a media, in the order given; jobs of others that showed no media come last.
    pub(crate) fn media_reports(&self, started_at: DateTime<Utc>) -> Vec<MediaReport> {
        let silent = self.jobs.iter().filter(|job| job.media.is_empty() && (job.open || job.error.is_some()));
        // What is preloaded afterwards stands with its refresh.
        let is_refresh = |media: &u32| self.media[*media as usize].refresh.is_none();
        let mut order: Vec<u32> = (0..self.media.len() as u32).filter(is_refresh).collect();
        if self.batches.is_empty() && !self.knows_media {
            // Media of jobs were found as answers came; the order given is that of the jobs.
            order.sort_by_key(|media| self.media[*media as usize].job);
        }
        let shown = order.into_iter().map(|media| self.media_report(media, started_at));
        let silent = silent.map(|job| MediaReport {
            media_id: None,
            url: None,
            job_id: Some(job.id.clone()),
            preload_job_id: None,
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
        let job_of = |media: &MediaEntry| media.job.map(|job| &self.jobs[job as usize]);
        let job = job_of(media);
        let preload = media.preload.map(|preload| &self.media[preload as usize]);
        let time = |moment: Moment| started_at + moment.since_start();
        let note_of = |media: &MediaEntry| {
            let is_silent = media.job.is_some() && media.is_silent() && media.event_seen.is_none();
            let note = media.note.as_deref().map(str::to_owned);
            note.or_else(|| self.why_silent().filter(|_| is_silent))
        };
        let decisive = self.decisive(number).map(|entry| &self.media[entry as usize]);
        let error = decisive.and_then(MediaEntry::stage_error);
        MediaReport {
            media_id: Some(media.id.clone()),
            url: None,
            job_id: job.map(|job| job.id.clone()),
            preload_job_id: preload.and_then(job_of).map(|job| job.id.clone()),
            state: self.joint_state(number).told_with(error.as_ref()),
            confirmed_by: media.confirmed_by,
            submitted_at: job.and_then(|job| job.submitted_at).map(time),
            accepted_at: media.named_at.map(time),
            error,
            note: match decisive {
                None => Some("it is refreshed, and its preload has not begun".to_owned()),
                Some(decisive) => note_of(decisive).or_else(|| note_of(media)),
            },
            tasks: self.task_reports_of_stages(number, started_at),
        }
    }

    /// The tasks of a media, and of its preload if there is one; both say then what they are for.
    fn task_reports_of_stages(&self, number: u32, started_at: DateTime<Utc>) -> Vec<TaskReport> {
        let stages =
            [(Some(number), TaskType::Refresh), (self.media[number as usize].preload, TaskType::Preload)];
        let reports = stages.into_iter().filter_map(|(media, task_type)| {
            let task_type = self.settings.preload_polls.map(|_| task_type);
            let tasks = self.task_reports_of(media?, started_at).into_iter();
            Some(tasks.map(move |task| TaskReport { task_type, ..task }))
        });
        reports.flatten().collect()
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
                task_type: None,
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
