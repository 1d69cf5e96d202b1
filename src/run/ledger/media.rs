//! Media: which tasks and URLs were named for them, by whom, and what that comes to.

use std::collections::HashSet;

use super::named::{Certainty, UrlKey};
use super::rows::{MediaEntry, UnknownWords};
use super::state::Ledger;
use crate::event::Source;
use crate::ids::{JobId, MediaId, TaskId};
use crate::model::{Fact, MediaState, Moment, ReportedError, code};
use crate::run::observer::Notice;
use crate::run::table::{JobIndex, MediaIndex};
use crate::vod::{JobRow, SubmissionStatus, host};

/// Said of a media as long as it is so.
const NO_TASK_YET: &str = "the service names its playback URLs, and no task of them yet";
/// Said of a media about which nobody else can tell.
const DISPUTED: &str = "events contradict each other; it stays undecided unless a lookup tells";

impl Ledger {
    /// Puts a media into a job.
    pub(super) fn join(&mut self, job: JobIndex, media: MediaIndex) {
        let entry = &mut self.media[media];
        entry.job = Some(job);
        self.media_by_id.insert((job, entry.id.clone()), media);
        self.jobs[job].media.push(media);
    }

    /// The media of a job.
    pub(super) fn in_job(&self, job: JobIndex) -> impl Iterator<Item = &MediaEntry> + Clone {
        self.jobs[job].media.iter().map(|media| &self.media[*media])
    }

    /// The media of a job; one that a job of others turned out to have is new. `None` for one that was not asked for.
    pub(super) fn media_of_job(&mut self, job: JobIndex, id: &MediaId) -> Option<MediaIndex> {
        if let Some(&media) = self.media_by_id.get(&(job, id.clone())) {
            return Some(media);
        }
        if !self.jobs[job].is_open() {
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
    pub(super) fn add_media(&mut self, id: MediaId, urls: u32) -> MediaIndex {
        let entry = MediaEntry { urls, ..MediaEntry::new(id) };
        self.progress.media += entry.weight();
        let media = self.media.push(entry);
        self.recount(media);
        media
    }

    /// Takes in what a lookup says of a media; says whether it names more than before.
    pub(super) fn media_queried(&mut self, now: Moment, media: MediaIndex, row: JobRow) -> bool {
        // Of jobs of others, nobody told us before.
        self.settings.task_type = self.settings.task_type.or(row.task_type);
        let entry = &mut self.media[media];
        let trusted_over = entry.event_seen.as_deref_mut().and_then(|seen| seen.trusted_over.take());
        if entry.refused.is_some() {
            // The service's own word stands. What only an event told gives way to the lookup.
            let Some(before) = trusted_over else { return false };
            (entry.named.certainty, entry.refused, entry.note) = (before, None, None);
        }
        self.warn_of_odd_row(media, &row);
        if row.status == SubmissionStatus::Fail {
            self.refused_by_lookup(now, media, &row);
            return true;
        }
        let entry = &mut self.media[media];
        let was = entry.named.certainty;
        let is_success = row.status == SubmissionStatus::Success && row.unread.is_none();
        let named = &mut entry.named;
        named.urls_by_lookup |= !row.urls.is_empty();
        // It was wrong to say that there are no tasks.
        named.by_lookup &= !(named.urls_by_lookup && named.tasks.is_empty());
        // Those of an event say nothing about the URLs of a lookup.
        let has_tasks = !row.tasks.is_empty() || named.by_lookup && !named.tasks.is_empty();
        // URLs have tasks: these are yet to be named.
        let is_final = is_success && (has_tasks || !named.urls_by_lookup);
        if is_final {
            entry.note.take_if(|note| **note == *NO_TASK_YET);
        } else if is_success {
            entry.note = Some(NO_TASK_YET.into());
        }
        let mut agreeing = None;
        if !entry.named.by_lookup && (is_final || !row.tasks.is_empty()) {
            entry.named.by_lookup = true;
            agreeing = self.compare_with_event(media, &row);
        }
        let grown = self.name(now, media, row.tasks, &row.urls) || is_final && was < Certainty::Named;
        let settle = self.settings.settle;
        let entry = &mut self.media[media];
        if grown {
            entry.named.since = Some(now);
            entry.named.has_lapsed = false;
        }
        let has_stayed = was == Certainty::Settled && !grown
            || entry.named.since.is_some_and(|since| now >= since + settle);
        entry.named.certainty = match (is_final, has_stayed) {
            (false, _) => Certainty::Pending,
            (true, false) => Certainty::Named,
            (true, true) => Certainty::Settled,
        };
        if is_final {
            if let Some(code) = row.error_code {
                entry.note =
                    Some(format!("the service reports success together with the code {code}").into());
            }
            let before = entry.confirmed_by.filter(|_| !grown);
            entry.confirmed_by = agreeing.or(before).or(Some(Source::Lookup));
            self.accepted(now, media);
        }
        if grown || self.media[media].named.certainty != was {
            self.naming_changed(now, media);
        }
        grown
    }

    /// Names more tasks and URLs of a media; says whether there were any.
    pub(super) fn name(
        &mut self,
        now: Moment,
        media: MediaIndex,
        tasks: Vec<TaskId>,
        urls: &[String],
    ) -> bool {
        let mut grown = self.media[media].named.urls.add(urls);
        if grown {
            urls.iter().for_each(|url| self.planner.filters().learn_domain(host(url)));
        }
        for task in tasks {
            grown |= self.attach(now, media, task);
        }
        grown
    }

    /// Warns once of a status word that nobody knows, and of a list that can't be read.
    fn warn_of_odd_row(&mut self, media: MediaIndex, row: &JobRow) {
        let (job, id) = (self.job_of(media), &row.media);
        if let SubmissionStatus::Pending(Some(word)) = &row.status
            && self.unknown_words.is_new("job", word)
        {
            let shown = UnknownWords::shown(word);
            self.warn(format!("job {job} shows media {id} with {shown}: waiting for `success` or `fail`"));
        }
        let Some(unread) = &row.unread else { return };
        let why = format!("job {job} names something that can't be read: {unread}");
        if self.media[media].note.as_deref() != Some(&why) {
            self.warn(format!("media {id}: {why}; it can't be told complete as long as this is so"));
            self.media[media].note = Some(why.into());
        }
    }

    /// The id of the job of a media, for people.
    pub(super) fn job_of(&self, media: MediaIndex) -> String {
        self.media[media].job.map_or_else(String::new, |job| self.jobs[job].id.to_string())
    }

    /// Tasks that only an event named count no more once a lookup names some. Returns where the event came from if it had
    /// said the same.
    fn compare_with_event(&mut self, media: MediaIndex, row: &JobRow) -> Option<Source> {
        let entry = &self.media[media];
        let event_seen = entry.event_seen.as_deref()?;
        let named: HashSet<&TaskId> = row.tasks.iter().collect();
        let known: Vec<&TaskId> = entry.named.tasks.iter().map(|task| &self.tasks[*task].id).collect();
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
        self.media[media].named.urls = Default::default();
        self.detach(media, |id| !named.contains(id));
        None
    }

    /// Whether a row names the tasks and URLs that are known of a media, no more and no fewer.
    pub(super) fn is_just_what_is_named(&self, media: MediaIndex, row: &JobRow) -> bool {
        let named = &self.media[media].named;
        let tasks: HashSet<&TaskId> = row.tasks.iter().collect();
        let urls: HashSet<UrlKey> = row.urls.iter().map(|url| UrlKey::of(url)).collect();
        tasks.len() == named.tasks.len()
            && named.tasks.iter().all(|task| tasks.contains(&self.tasks[*task].id))
            && urls.len() == named.urls.len()
            && named.urls.keys().all(|key| urls.contains(&key))
    }

    /// The service says that it could not hand a media to the CDN.
    fn refused_by_lookup(&mut self, now: Moment, media: MediaIndex, row: &JobRow) {
        let entry = &self.media[media];
        let event_seen = entry.event_seen.as_deref();
        let differs = event_seen.is_some_and(|event_seen| event_seen.success);
        let source = event_seen.filter(|_| !differs).map_or(Source::Lookup, |event_seen| event_seen.source);
        if differs {
            let id = &entry.id;
            self.warn_of_difference(format!("an event says that media {id} was handed to the CDN, the lookup says that it was not; the lookup counts"));
        }
        if !self.media[media].named.by_lookup {
            self.detach(media, |_| true);
            self.media[media].named_at = None;
        }
        self.media[media].confirmed_by = Some(source);
        self.refuse(now, media, MediaState::Failed, failure_of(row));
    }

    /// Takes what an event said of a media for the truth, since no lookup will say better.
    pub(super) fn trust_event(&mut self, now: Moment, media: MediaIndex, why: &str) {
        let entry = &mut self.media[media];
        let Some(event) = entry.event_seen.as_deref_mut() else { return };
        if event.is_disputed && entry.note.as_deref() != Some(DISPUTED) {
            entry.note = Some(DISPUTED.into());
            let (job, id) = (self.job_of(media), &self.media[media].id);
            return self.warn(format!("media {id} of job {job}: {DISPUTED}"));
        }
        if !event.is_conclusive() {
            return;
        }
        event.trusted_over.get_or_insert(entry.named.certainty);
        entry.confirmed_by = Some(event.source);
        entry.note = Some(why.into());
        match event.failure.clone().filter(|_| !event.success) {
            Some(error) => self.refuse(now, media, MediaState::Failed, error),
            None => {
                self.accepted(now, media);
                self.settle(now, media);
            }
        }
    }

    /// Nothing more will be named for a media.
    pub(super) fn settle(&mut self, now: Moment, media: MediaIndex) {
        self.media[media].named.certainty = Certainty::Settled;
        self.naming_changed(now, media);
    }

    /// The service's own word ends a media.
    pub(super) fn refuse(&mut self, now: Moment, media: MediaIndex, state: MediaState, error: ReportedError) {
        self.media[media].refused = Some(Box::new((state, error)));
        self.naming_changed(now, media);
    }

    /// The tasks of a media are known.
    pub(super) fn accepted(&mut self, now: Moment, media: MediaIndex) {
        let entry = &mut self.media[media];
        if !entry.named.tasks.is_empty() {
            entry.named_at.get_or_insert(now);
        }
        if std::mem::replace(&mut entry.accepted, true) {
            return;
        }
        self.progress.accepted += entry.weight();
        if let (Some(job), Some(confirmed_by)) = (entry.job, entry.confirmed_by) {
            let tasks = entry.named.tasks.len() as u64;
            let job_id = self.jobs[job].id.clone();
            self.notices.push(Notice::Accepted { media_id: entry.id.clone(), job_id, tasks, confirmed_by });
        }
    }

    /// That not everything of a media was shown for the whole grace is to be noted.
    pub(super) fn note_lapse(&mut self, media: MediaIndex) {
        let entry = &self.media[media];
        let Some(job) = entry.job.filter(|_| !self.settings.may_be_foreign) else { return };
        let note = Fact::NotShown { job: self.jobs[job].id.clone(), media: entry.id.clone() };
        if !self.follow_ups.contains(&note) {
            self.follow_ups.push(note);
        }
    }

    /// What was named for a media and not shown will not be waited for any more.
    pub(super) fn not_shown(&mut self, now: Moment, job: &JobId, media: &MediaId) {
        let Some(job) = self.jobs_by_id.get(job) else { return };
        let Some(&media) = self.media_by_id.get(&(*job, media.clone())) else { return };
        self.media[media].named.has_lapsed = true;
        self.naming_changed(now, media);
    }

    /// Tells what follows from the verdict on a media, which has changed. Of one that is preloaded afterwards, the verdicts on
    /// both stages make one, which was `before`.
    pub(super) fn state_changed(&mut self, now: Moment, media: MediaIndex, before: MediaState) {
        let entry = &self.media[media];
        if let Some(job) = entry.job
            && self.in_job(job).all(MediaEntry::ended)
        {
            self.look_up_at_the_end(now, job);
        }
        let (state, stage) = (self.joint_state(media), self.decisive(media));
        if self.media[media].urls > 0 || state == before && stage != Some(media) {
            return;
        }
        let entry = &self.media[stage.unwrap_or(media)];
        let media_id = entry.id.clone();
        if state == MediaState::Unfinished {
            self.warn(format!("more was named for media {media_id} after it had ended: following it again"));
        } else {
            let job_id = entry.job.map(|job| self.jobs[job].id.clone());
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
