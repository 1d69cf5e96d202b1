//! Runs that preload what they have refreshed. Each preload is an entry of its own beside that of its refresh, with its own job,
//! tasks and verdict; the two verdicts on a media make one, and counters count it once.

use std::collections::HashSet;

use super::rows::MediaEntry;
use super::state::Ledger;
use crate::ids::MediaId;
use crate::model::{Fact, MediaState, Moment, ReportedError};
use crate::run::batch::Batch;
use crate::run::observer::Notice;
use crate::run::table::{BatchIndex, JobIndex, MediaIndex};
use crate::vod::TaskType;

impl Ledger {
    /// The fact with which the preload begins, once the refresh is through and where any media ended complete. It names the
    /// media, so that a run that is played back has the same batches, whatever it makes of the verdicts.
    ///
    /// A media that is complete only after the preload of others began gets its own preload after theirs.
    pub(crate) fn preload_to_begin(&self) -> Option<Fact> {
        self.settings.preload_polls.filter(|_| self.is_stage_settled())?;
        let is_next = |media: &&MediaEntry| media.state == MediaState::Complete && media.is_only_refreshed();
        let media: Vec<MediaId> = self.media.iter().filter(is_next).map(|media| media.id.clone()).collect();
        (!media.is_empty()).then_some(Fact::PreloadBegun { media })
    }

    /// Plans the preload of media.
    pub(super) fn preload_begun(&mut self, now: Moment, media: Vec<MediaId>) {
        let Some((first, cap)) = self.settings.preload_polls else { return };
        let named: HashSet<MediaId> = media.into_iter().collect();
        let is_next = |media: &MediaEntry| media.is_only_refreshed() && named.contains(&media.id);
        let refreshed: Vec<MediaIndex> =
            self.media.indices().filter(|media| is_next(&self.media[*media])).collect();
        let ids: Vec<MediaId> = refreshed.iter().map(|media| self.media[*media].id.clone()).collect();
        let batches = Batch::split(&ids);
        self.planner.begin_stage(first, cap);
        self.notices.push(Notice::PreloadBegun { media: ids.len() as u64, batches: batches.len() as u64 });
        let preloads = self.media.next().and_next(refreshed.len());
        batches.into_iter().for_each(|batch| self.plan(batch, now));
        for (preload, refresh) in preloads.zip(refreshed) {
            self.media[refresh].preload = Some(preload);
            self.media[preload].refresh = Some(refresh);
            // It was counted with its refresh.
            self.progress.media -= 1;
            self.recount(preload);
        }
    }

    /// Whether a job is the one that refreshed this media. Its tasks say nothing of a preload.
    pub(super) fn has_refreshed(&self, job: JobIndex, media: &MediaId) -> bool {
        self.media_by_id.contains_key(&(job, media.clone()))
    }

    /// What a batch is for; `None` for no batch, and where jobs of others are waited for.
    pub(crate) fn task_type_of(&self, batch: u32) -> Option<TaskType> {
        let entry = self.batches.get(BatchIndex::new(batch));
        let is_preload = entry.is_some_and(|entry| self.media[entry.first_media].refresh.is_some());
        if is_preload { Some(TaskType::Preload) } else { self.settings.task_type }
    }

    /// What is under way: the preload once it has begun.
    pub(crate) fn task_type_now(&self) -> Option<TaskType> {
        self.task_type_of((self.batches.len() as u32).saturating_sub(1))
    }

    /// The entry whose verdict is that on the whole media, given either of its entries: that of the refresh unless it is complete,
    /// then that of the preload. `None` as long as the preload has not begun.
    pub(super) fn decisive(&self, media: MediaIndex) -> Option<MediaIndex> {
        let refresh = self.media[media].refresh.unwrap_or(media);
        let entry = &self.media[refresh];
        match self.settings.preload_polls {
            Some(_) if entry.state == MediaState::Complete => entry.preload,
            _ => Some(refresh),
        }
    }

    /// The verdict on the whole media, given either of its entries.
    pub(super) fn joint_state(&self, media: MediaIndex) -> MediaState {
        self.decisive(media).map_or(MediaState::Unfinished, |media| self.media[media].state)
    }
}

impl MediaEntry {
    fn is_only_refreshed(&self) -> bool {
        self.refresh.is_none() && self.preload.is_none()
    }

    /// Why it failed, with the stage where there are two.
    pub(super) fn stage_error(&self) -> Option<ReportedError> {
        let mut error = self.error.as_deref().cloned()?;
        if self.refresh.is_some() {
            error.message = format!("preload: {}", error.message);
        }
        Some(error)
    }
}
