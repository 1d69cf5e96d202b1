//! Media: what a lookup says of them, what stands without one, and the verdict.

use std::collections::HashSet;

use super::rows::domains;
use super::{Ledger, Moment};
use crate::event::Source;
use crate::ids::TaskId;
use crate::run::observer::Notice;
use crate::run::report::{MediaState, ReportedError};
use crate::vod::{JobRow, SubmissionStatus};

impl Ledger {
    /// What a lookup says of a media; it settles the question, unless it is not decided yet.
    pub(super) fn confirmed(&mut self, now: Moment, media: u32, row: JobRow) {
        // Of jobs of others, nobody told us before.
        self.settings.task_type = self.settings.task_type.or(row.task_type);
        let entry = &mut self.media[media as usize];
        if entry.decided || entry.ended() {
            return;
        }
        match &row.status {
            SubmissionStatus::Pending(word) => {
                if let Some(word) = word {
                    tracing::debug!(media_id = %entry.id, status = word, "a status of a job row that is not final");
                }
            }
            SubmissionStatus::Fail => {
                let heard = entry.heard.as_ref();
                let differs = heard.is_some_and(|heard| heard.success);
                let source = heard.map_or(Source::Lookup, |heard| heard.source);
                self.detach_all(media);
                self.media[media as usize].named_at = None;
                self.media[media as usize].confirmed_by = Some(if differs { Source::Lookup } else { source });
                if differs {
                    let id = self.media[media as usize].id.clone();
                    self.warn(format!("an event says that media {id} was handed to the CDN, the lookup says that it was not; the lookup counts"));
                }
                self.decide(media);
                self.end_media(media, MediaState::Failed, Some(failure_of(&row)));
            }
            SubmissionStatus::Success => self.accept_from_lookup(now, media, row),
        }
    }

    pub(super) fn accept_from_lookup(&mut self, now: Moment, media: u32, row: JobRow) {
        let before: Vec<u32> = self.media[media as usize].tasks.clone();
        let known: Vec<TaskId> = before.iter().map(|task| self.tasks[*task as usize].id.clone()).collect();
        let named: HashSet<&TaskId> = row.tasks.iter().collect();
        let same = known.len() == named.len() && known.iter().all(|id| named.contains(id));
        let heard = self.media[media as usize].heard.as_ref().map(|heard| (heard.source, heard.success));
        if let Some((_, success)) = heard
            && !(same && success)
        {
            let id = &self.media[media as usize].id;
            let list = |ids: &[TaskId]| match ids.len() {
                0 => "no task".to_owned(),
                1..=5 => ids.iter().map(TaskId::as_str).collect::<Vec<_>>().join(","),
                many => format!("{many} tasks"),
            };
            let message = format!(
                "events and lookup differ about media {id}: events name {}, the lookup names {}; the lookup counts",
                list(&known),
                list(&row.tasks)
            );
            self.warn(message);
        }
        for (task, id) in before.into_iter().zip(&known) {
            if !named.contains(id) {
                self.detach(media, task);
            }
        }
        let entry = &mut self.media[media as usize];
        entry.confirmed_by = Some(match heard {
            Some((source, true)) if same => source,
            _ => Source::Lookup,
        });
        entry.one_url_a_task = one_url_a_task(&row);
        domains(&row.urls.join(",")).for_each(|domain| self.listing.narrowing.learn_domain(domain));
        entry.urls = row.urls.join(",").into();
        if let Some(code) = row.error_code {
            let note = format!("the service reports success together with the code {code}");
            entry.note = Some(note.into());
        }
        let tasks = row.tasks;
        entry.named_at = entry.named_at.or(Some(now)).filter(|_| !tasks.is_empty());
        for task in tasks {
            self.attach(now, media, task);
        }
        self.recount(media);
        self.accepted(media);
    }

    /// Takes the events of a media for the truth, since no lookup will say better.
    pub(super) fn stand_on_event(&mut self, media: u32, why: &str) {
        let entry = &mut self.media[media as usize];
        let Some(heard) = entry.heard.as_ref().filter(|heard| heard.tells()) else { return };
        entry.confirmed_by = Some(heard.source);
        entry.note = Some(why.into());
        if heard.success {
            return self.accepted(media);
        }
        let error = heard.failure.clone();
        self.decide(media);
        self.end_media(media, MediaState::Failed, error);
    }

    /// The tasks of a media are settled.
    pub(super) fn accepted(&mut self, media: u32) {
        self.decide(media);
        let entry = &mut self.media[media as usize];
        entry.accepted = true;
        self.progress.accepted += 1;
        if let (Some(job), Some(confirmed_by)) = (entry.job, entry.confirmed_by) {
            let tasks = entry.tasks.len() as u64;
            let job_id = self.jobs[job as usize].id.clone();
            self.notices.push(Notice::Accepted { media_id: entry.id.clone(), job_id, tasks, confirmed_by });
        }
        if self.media[media as usize].tasks.is_empty() {
            let error = ReportedError::new(
                "NoPlayUrls",
                "the service found no playback URL that fits; nothing was done",
            );
            return self.end_media(media, MediaState::Failed, Some(error));
        }
        self.end_if_tasks_ended(media);
    }

    pub(super) fn decide(&mut self, media: u32) {
        let entry = &mut self.media[media as usize];
        if std::mem::replace(&mut entry.decided, true) {
            return;
        }
        self.undecided -= 1;
        if let Some(job) = entry.job {
            self.jobs[job as usize].undecided -= 1;
        }
    }

    /// Gives a media its verdict.
    pub(super) fn end_media(&mut self, media: u32, state: MediaState, error: Option<ReportedError>) {
        let entry = &mut self.media[media as usize];
        if entry.ended() {
            return;
        }
        self.decide(media);
        let entry = &mut self.media[media as usize];
        entry.state = state;
        entry.error = error.clone().map(Box::new);
        self.open_media -= 1;
        match state {
            MediaState::Complete => self.progress.complete += 1,
            _ => {
                self.progress.failed += 1;
                self.progress.failed_unaccepted += u64::from(!entry.accepted);
            }
        }
        let (media_id, job) = (entry.id.clone(), entry.job);
        let job_id = job.map(|job| self.jobs[job as usize].id.clone());
        self.notices.push(Notice::MediaEnded { media_id, job_id, state, error });
        let Some(job) = job else { return };
        self.jobs[job as usize].unended -= 1;
        let entry = &self.jobs[job as usize];
        if entry.open && entry.unended == 0 && !entry.looking {
            // The last look at a job of others: are these all of its media?
            if self.can_look_up() {
                self.plan_lookup(job, Moment::START);
            } else {
                self.close_job(job);
            }
        }
    }
}

pub(super) fn failure_of(row: &JobRow) -> ReportedError {
    ReportedError::new(
        row.error_code.clone().unwrap_or_else(|| "SubmissionFailed".into()),
        row.error_message.clone().unwrap_or_else(|| "the service could not hand the URLs to the CDN".into()),
    )
}

/// Merged task ids are fewer than the URLs. Without URLs nobody knows.
pub(super) fn one_url_a_task(row: &JobRow) -> bool {
    let urls = row.urls.len();
    urls > 0 && row.tasks.len() >= urls
}
