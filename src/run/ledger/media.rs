//! Media: which tasks and URLs were named for them, by whom, and what that comes to.

use std::collections::HashSet;

use super::named::{Certainty, UrlKey};
use super::rows::{MediaEntry, UnknownWords};
use super::state::Ledger;
use crate::event::Source;
use crate::ids::{JobId, MediaId, TaskId};
use crate::model::{Fact, MediaState, Moment, ReportedError, code};
use crate::run::observer::Notice;
use crate::vod::{JobRow, SubmissionStatus, host};

/// Said of a media as long as it is so.
const NO_TASK_YET: &str = "the service names its playback URLs, and no task of them yet";

impl Ledger {
    /// Puts a media into a job.
    pub(super) fn join(&mut self, job: u32, media: u32) {
        let entry = &mut self.media[media as usize];
        entry.job = Some(job);
        self.media_index.insert((job, entry.id.clone()), media);
        let job = &mut self.jobs[job as usize];
        job.media.push(media);
        job.without_event += 1;
        job.unconfirmed += 1;
        job.unended += u32::from(self.media[media as usize].state == MediaState::Unfinished);
    }

    /// The media of a job; one that a job of others turned out to have is new. `None` for one that was not asked for.
    pub(super) fn media_of_job(&mut self, job: u32, id: &MediaId) -> Option<u32> {
        if let Some(&media) = self.media_index.get(&(job, id.clone())) {
            return Some(media);
        }
        if !self.jobs[job as usize].open {
            return None;
        }
        let media = match self.unplaced.remove(id) {
            Some(media) => media,
            None => self.add_media(id.clone(), 0),
        };
        self.progress.submitted += 1;
        self.join(job, media);
        Some(media)
    }

    /// Adds a media, or what stands for so many URLs.
    pub(super) fn add_media(&mut self, id: MediaId, urls: u32) -> u32 {
        let entry = MediaEntry { urls, ..MediaEntry::new(id) };
        self.progress.media += entry.weight();
        self.media.push(entry);
        self.open_media += 1;
        self.unconfirmed += 1;
        self.media.len() as u32 - 1
    }

    /// Takes in what a lookup says of a media; says whether it names more than before.
    pub(super) fn media_queried(&mut self, now: Moment, media: u32, row: JobRow) -> bool {
        // Of jobs of others, nobody told us before.
        self.settings.task_type = self.settings.task_type.or(row.task_type);
        if self.media[media as usize].refused.is_some() {
            return false;
        }
        self.warn_of_odd_row(media, &row);
        if row.status == SubmissionStatus::Fail {
            self.refused_by_lookup(now, media, &row);
            return true;
        }
        let is_success = row.status == SubmissionStatus::Success && row.unread.is_none();
        let has_tasks = !row.tasks.is_empty() || !self.media[media as usize].named.tasks.is_empty();
        // URLs have tasks: these are yet to be named.
        let is_final = is_success && (has_tasks || row.urls.is_empty());
        let note = &mut self.media[media as usize].note;
        if is_success && !is_final {
            *note = Some(NO_TASK_YET.into());
        } else if is_final {
            note.take_if(|note| **note == *NO_TASK_YET);
        }
        let was = self.media[media as usize].named.certainty;
        let mut agreeing = None;
        if !self.media[media as usize].named.by_lookup && (is_final || !row.tasks.is_empty()) {
            agreeing = self.compare_with_event(media, &row);
            self.media[media as usize].named.by_lookup = true;
        }
        let grown = self.name(now, media, row.tasks, &row.urls) || is_final && was < Certainty::Named;
        let (settle, deadline) = (self.settings.settle, self.settings.deadline);
        let entry = &mut self.media[media as usize];
        if grown {
            entry.named.since = Some(now);
            entry.named.has_lapsed = false;
        }
        let has_stayed = was == Certainty::Settled && !grown
            || entry.named.since.is_some_and(|since| now >= (since + settle).min(deadline));
        entry.named.certainty = match (is_final, has_stayed) {
            (false, _) => Certainty::Pending,
            (true, false) => Certainty::Named,
            (true, true) => Certainty::Settled,
        };
        if is_final {
            if let Some(code) = row.error_code {
                let note = format!("the service reports success together with the code {code}");
                entry.note = Some(note.into());
            }
            entry.confirmed_by = match agreeing {
                Some(source) => Some(source),
                None if grown => Some(Source::Lookup),
                None => entry.confirmed_by.or(Some(Source::Lookup)),
            };
            self.accepted(now, media);
        }
        if grown || self.media[media as usize].named.certainty != was {
            self.naming_changed(now, media);
            self.recount_unconfirmed(media);
        }
        grown
    }

    /// Names more tasks and URLs of a media; says whether there were any.
    pub(super) fn name(&mut self, now: Moment, media: u32, tasks: Vec<TaskId>, urls: &[String]) -> bool {
        let mut grown = self.media[media as usize].named.urls.add(urls);
        if grown {
            urls.iter().for_each(|url| self.planner.filters().learn_domain(host(url)));
        }
        for task in tasks {
            grown |= self.attach(now, media, task);
        }
        grown
    }

    /// Warns once of a status word that nobody knows, and of a list that can't be read.
    pub(super) fn warn_of_odd_row(&mut self, media: u32, row: &JobRow) {
        let entry = &self.media[media as usize];
        let job = entry.job.map_or_else(String::new, |job| self.jobs[job as usize].id.to_string());
        if let SubmissionStatus::Pending(Some(word)) = &row.status
            && self.unknown_words.is_new("job", word)
        {
            let shown = UnknownWords::shown(word);
            self.warn(format!(
                "job {job} shows media {} with {shown}: waiting for `success` or `fail`",
                row.media
            ));
        }
        let Some(unread) = &row.unread else { return };
        let why = format!("job {job} names something that can't be read: {unread}");
        if self.media[media as usize].note.as_deref() != Some(&why) {
            self.warn(format!("media {}: {why}; it can't be told complete as long as this is so", row.media));
            self.media[media as usize].note = Some(why.into());
        }
    }

    /// Tasks that only an event named count no more once a lookup names some. Returns where the event came from if it had
    /// said the same.
    fn compare_with_event(&mut self, media: u32, row: &JobRow) -> Option<Source> {
        let entry = &self.media[media as usize];
        let event_seen = entry.event_seen.as_deref()?;
        let named: HashSet<&TaskId> = row.tasks.iter().collect();
        let known: Vec<&TaskId> =
            entry.named.tasks.iter().map(|task| &self.tasks[*task as usize].id).collect();
        if event_seen.success && self.is_just_what_is_named(media, row) {
            return Some(event_seen.source);
        }
        let list = |ids: &[&TaskId]| match ids.len() {
            0 => "no task".to_owned(),
            1..=5 => ids.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(","),
            many => format!("{many} tasks"),
        };
        let message = format!(
            "events and lookup differ about media {}: events name {}, the lookup names {}; the lookup counts",
            entry.id,
            list(&known),
            list(&row.tasks.iter().collect::<Vec<_>>())
        );
        self.warn_of_difference(message);
        self.media[media as usize].named.urls = Default::default();
        self.detach(media, |id| !named.contains(id));
        None
    }

    /// Whether a row names the tasks and URLs that are known of a media, no more and no fewer.
    pub(super) fn is_just_what_is_named(&self, media: u32, row: &JobRow) -> bool {
        let named = &self.media[media as usize].named;
        let tasks: HashSet<&TaskId> = row.tasks.iter().collect();
        let urls: HashSet<UrlKey> = row.urls.iter().map(|url| UrlKey::of(url)).collect();
        tasks.len() == named.tasks.len()
            && named.tasks.iter().all(|task| tasks.contains(&self.tasks[*task as usize].id))
            && urls.len() == named.urls.len()
            && named.urls.keys().all(|key| urls.contains(&key))
    }

    /// The service says that it could not hand a media to the CDN.
    fn refused_by_lookup(&mut self, now: Moment, media: u32, row: &JobRow) {
        let entry = &self.media[media as usize];
        let event_seen = entry.event_seen.as_deref();
        let differs = event_seen.is_some_and(|event_seen| event_seen.success);
        let source = event_seen.filter(|_| !differs).map_or(Source::Lookup, |event_seen| event_seen.source);
        if differs {
            let id = &entry.id;
            self.warn_of_difference(format!("an event says that media {id} was handed to the CDN, the lookup says that it was not; the lookup counts"));
        }
        if !self.media[media as usize].named.by_lookup {
            self.detach(media, |_| true);
            self.media[media as usize].named_at = None;
        }
        self.media[media as usize].confirmed_by = Some(source);
        self.refuse(now, media, MediaState::Failed, failure_of(row));
    }

    /// Takes what an event said of a media for the truth, since no lookup will say better.
    pub(super) fn trust_event(&mut self, now: Moment, media: u32, why: &str) {
        let entry = &mut self.media[media as usize];
        let Some(event_seen) = entry.event_seen.as_deref().filter(|event_seen| event_seen.is_conclusive())
        else {
            return;
        };
        entry.confirmed_by = Some(event_seen.source);
        entry.note = Some(why.into());
        if !event_seen.success {
            let error = event_seen
                .failure
                .clone()
                .unwrap_or_else(|| ReportedError::new(code::SUBMISSION_FAILED, why));
            return self.refuse(now, media, MediaState::Failed, error);
        }
        self.accepted(now, media);
        self.settle(now, media);
    }

    /// Nothing more will be named for a media.
    pub(super) fn settle(&mut self, now: Moment, media: u32) {
        self.media[media as usize].named.certainty = Certainty::Settled;
        self.naming_changed(now, media);
        self.recount_unconfirmed(media);
    }

    /// The service's own word ends a media.
    pub(super) fn refuse(&mut self, now: Moment, media: u32, state: MediaState, error: ReportedError) {
        self.media[media as usize].refused = Some(Box::new((state, error)));
        self.naming_changed(now, media);
        self.recount_unconfirmed(media);
    }

    /// The tasks of a media are known.
    pub(super) fn accepted(&mut self, now: Moment, media: u32) {
        let entry = &mut self.media[media as usize];
        if !entry.named.tasks.is_empty() {
            entry.named_at.get_or_insert(now);
        }
        if std::mem::replace(&mut entry.accepted, true) {
            return;
        }
        self.progress.accepted += entry.weight();
        if let (Some(job), Some(confirmed_by)) = (entry.job, entry.confirmed_by) {
            let tasks = entry.named.tasks.len() as u64;
            let job_id = self.jobs[job as usize].id.clone();
            self.notices.push(Notice::Accepted { media_id: entry.id.clone(), job_id, tasks, confirmed_by });
        }
    }

    /// Counts a media as confirmed or not, after its naming changed.
    fn recount_unconfirmed(&mut self, media: u32) {
        let entry = &mut self.media[media as usize];
        let is_confirmed = entry.is_confirmed();
        if std::mem::replace(&mut entry.was_confirmed, is_confirmed) == is_confirmed {
            return;
        }
        let count = |unconfirmed: &mut u32| {
            *unconfirmed = if is_confirmed { *unconfirmed - 1 } else { *unconfirmed + 1 }
        };
        count(&mut self.unconfirmed);
        if let Some(job) = entry.job {
            count(&mut self.jobs[job as usize].unconfirmed);
        }
    }

    /// That not everything of a media was shown for the whole grace is to be noted.
    pub(super) fn note_lapse(&mut self, media: u32) {
        let entry = &self.media[media as usize];
        let Some(job) = entry.job.filter(|_| !self.settings.may_be_foreign) else { return };
        let note = Fact::NotShown { job: self.jobs[job as usize].id.clone(), media: entry.id.clone() };
        if !self.follow_ups.contains(&note) {
            self.follow_ups.push(note);
        }
    }

    /// What was named for a media and not shown will not be waited for any more.
    pub(super) fn not_shown(&mut self, now: Moment, job: &JobId, media: &MediaId) {
        let Some(job) = self.job_index.get(job) else { return };
        let Some(&media) = self.media_index.get(&(*job, media.clone())) else { return };
        self.media[media as usize].named.has_lapsed = true;
        self.naming_changed(now, media);
    }

    /// Puts the verdict on a media into effect: counters follow it, also back. Of one that is preloaded afterwards, the verdicts
    /// on both stages make one.
    pub(super) fn set_state(
        &mut self,
        now: Moment,
        media: u32,
        state: MediaState,
        error: Option<ReportedError>,
    ) {
        let before = self.joint_state(media);
        let entry = &mut self.media[media as usize];
        if entry.state == state && entry.error.as_deref() == error.as_ref() {
            return;
        }
        let was = std::mem::replace(&mut entry.state, state);
        entry.error = error.map(Box::new);
        if let Some(job) = entry.job {
            let unended = &mut self.jobs[job as usize].unended;
            *unended -= u32::from(was == MediaState::Unfinished);
            *unended += u32::from(state == MediaState::Unfinished);
            if *unended == 0 {
                self.look_up_at_the_end(now, job);
            }
        }
        let entry = &self.media[media as usize];
        self.open_media -= u32::from(was == MediaState::Unfinished);
        self.open_media += u32::from(state == MediaState::Unfinished);
        if entry.urls > 0 {
            // Its URLs are counted one by one.
            return;
        }
        let (was, state) = (before, self.joint_state(media));
        let stage = self.decisive(media);
        if was == state && stage != Some(media) {
            return;
        }
        let entry = &self.media[stage.unwrap_or(media) as usize];
        let last = self.media[entry.refresh.unwrap_or(media) as usize].preload.unwrap_or(media);
        let unaccepted = u64::from(!self.media[last as usize].accepted);
        match was {
            MediaState::Unfinished => {}
            MediaState::Complete => self.progress.complete -= 1,
            _ => {
                self.progress.failed -= 1;
                self.progress.failed_unaccepted -= unaccepted;
            }
        }
        match state {
            MediaState::Unfinished => {}
            MediaState::Complete => self.progress.complete += 1,
            _ => {
                self.progress.failed += 1;
                self.progress.failed_unaccepted += unaccepted;
            }
        }
        let media_id = entry.id.clone();
        if state == MediaState::Unfinished {
            self.warn(format!("more was named for media {media_id} after it had ended: following it again"));
        } else {
            let job_id = entry.job.map(|job| self.jobs[job as usize].id.clone());
            let error = entry.stage_error();
            let state = state.told_with(error.as_ref());
            self.notices.push(Notice::MediaEnded { media_id, job_id, state, error });
        }
    }
}

pub(super) fn failure_of(row: &JobRow) -> ReportedError {
    ReportedError::new(
        row.error_code.clone().unwrap_or_else(|| code::SUBMISSION_FAILED.into()),
        row.error_message.clone().unwrap_or_else(|| "the service could not hand the URLs to the CDN".into()),
    )
}
