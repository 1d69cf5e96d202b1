//! Runs of URLs. A batch of them is followed as one media whose URLs all work under the same tasks, and which is named for good
//! by the answer to its submission; the report tells of each URL apart.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::named::UrlKey;
use super::rows::{BatchState, Row};
use super::state::Ledger;
use super::work::Work;
use crate::error::ErrorKind;
use crate::ids::{JobId, MediaId, RequestId, TaskId};
use crate::model::{Fault, MediaState, Moment, ReportedError, TaskReport, UrlReport, code};
use crate::run::batch::{Batch, UrlBatch};
use crate::run::observer::Notice;
use crate::run::table::{BatchIndex, MediaIndex};
use crate::vod::{ObjectAction, ObjectType, TaskStatus};

/// Waits before the tasks are looked for of a batch whose answer got lost. Creation is asynchronous at the service.
const SEARCH_PAUSES: [Duration; 3] =
    [Duration::from_secs(3), Duration::from_secs(7), Duration::from_secs(20)];

/// The rows of a batch by their URLs.
struct UrlRows<'a> {
    by_url: HashMap<UrlKey, Vec<&'a Row>>,
    /// More tasks are not shown than URLs: any URL may have a row there.
    has_spare_task: bool,
}

impl Ledger {
    /// Plans batches of URLs, which stand in the ledger as one media each, with a number as its id.
    pub(super) fn plan_urls(&mut self, batches: Vec<UrlBatch>, at: Moment) {
        for urls in batches {
            let id = MediaId::new(format!("urls-{}", self.batches.len()));
            self.plan(Batch { media: id.into_iter().collect(), urls: Some(urls) }, at);
        }
    }

    /// Whether this is a run of URLs.
    pub(crate) fn is_of_urls(&self) -> bool {
        self.batches.first().is_some_and(|entry| entry.batch.urls.is_some())
    }

    /// The service took a batch, as these tasks: each of its URLs works under one of them, or under one that can't be read.
    pub(super) fn urls_submitted(
        &mut self,
        now: Moment,
        batch: u32,
        tasks: Vec<TaskId>,
        has_unread: bool,
        request_id: Option<RequestId>,
    ) {
        let Some(urls) = self.urls_of_batch(batch).map(|batch| batch.urls.clone()) else { return };
        let Ok(id) = JobId::new(format!("urls-{batch}")) else { return };
        let Some(batch) = self.close_batch(batch) else { return };
        let count = urls.len() as u64;
        self.notices.push(Notice::UrlsSubmitted { urls: count, tasks: tasks.clone(), request_id });
        let job = self.job_submitted(now, &id);
        for media in self.media_of(batch) {
            self.progress.submitted += self.media[media].weight();
            self.join(job, media);
            self.name(now, media, tasks.clone(), &urls);
            self.accepted(now, media);
            if !has_unread {
                self.settle(now, media);
            }
        }
    }

    /// Cuts a batch in two whose URLs the service refused: the others may still pass. `false` if that wins nothing.
    pub(super) fn cut_refused_urls(&mut self, now: Moment, batch: u32, fault: &Fault) -> bool {
        let Some((batch, entry)) = self.open_batch(batch).filter(|_| fault.kind == ErrorKind::Rejected)
        else {
            return false;
        };
        let code = fault.error.code.to_ascii_lowercase();
        let is_about_domain = code.starts_with("invaliddomain") || code == "illegaloperation";
        let Some(urls) = &mut entry.batch.urls else { return false };
        let Some(other) = urls.cut(is_about_domain) else { return false };
        let (first, count) = (entry.first_media, urls.urls.len() as u32);
        (entry.state, entry.sent_at) = (BatchState::Planned, None);
        let media = &mut self.media[first];
        self.progress.media -= u64::from(media.urls - count);
        media.urls = count;
        self.submit_queue.plan(batch, now);
        self.plan_urls(vec![other], now);
        true
    }

    /// The search for the tasks of a batch of URLs whose answer got lost, as long as there is one to come. There is none where
    /// a row that is found proves nothing.
    pub(super) fn search_for(&self, batch: BatchIndex) -> Option<Work> {
        let entry = &self.batches[batch];
        let sent_at = entry.sent_at?;
        entry.batch.urls.as_ref().filter(|urls| !urls.action.row_types().is_empty())?;
        (entry.searches < SEARCH_PAUSES.len()).then_some(Work::FindUrls { batch: batch.number(), sent_at })
    }

    /// No task of a batch was found. After the last search it is sent again.
    pub(super) fn urls_not_found(&mut self, now: Moment, batch: u32) {
        if let Some((batch, entry)) = self.open_batch(batch).filter(|(_, b)| b.state == BatchState::Unknown) {
            entry.searches += 1;
            let pause = SEARCH_PAUSES.get(entry.searches).copied().unwrap_or_default();
            self.submit_queue.plan(batch, now + pause);
        }
    }

    /// How many URLs of a batch have ended well, and how many have failed.
    pub(super) fn ended_urls(&self, media: MediaIndex) -> (u32, u32) {
        let entry = &self.media[media];
        if entry.refused.is_some() {
            return (0, entry.urls);
        }
        let rows = self.rows_by_url(media);
        let states = entry.named.urls.keys().map(|key| self.url_state(media, &rows, key).0);
        states.fold((0, 0), |(complete, failed), state| match state {
            MediaState::Unfinished => (complete, failed),
            MediaState::Complete => (complete + 1, failed),
            _ => (complete, failed + 1),
        })
    }

    fn rows_by_url(&self, media: MediaIndex) -> UrlRows<'_> {
        let mut by_url: HashMap<UrlKey, Vec<&Row>> = HashMap::new();
        let mut unshown = 0;
        let named = &self.media[media].named;
        for index in &named.tasks {
            let rows = if named.is_stale(*index) { &[][..] } else { &self.tasks[*index].rows };
            unshown += usize::from(rows.is_empty());
            rows.iter().for_each(|row| by_url.entry(row.key).or_default().push(row));
        }
        let missing = named.urls.keys().filter(|key| !by_url.contains_key(key)).count();
        UrlRows { has_spare_task: unshown > missing, by_url }
    }

    /// Tells how one URL of a batch stands: as its own rows say, else as the batch does.
    fn url_state(
        &self,
        media: MediaIndex,
        rows: &UrlRows<'_>,
        url: UrlKey,
    ) -> (MediaState, Option<ReportedError>) {
        let entry = &self.media[media];
        if let Some((state, error)) = entry.refused.as_deref() {
            return (*state, Some(error.clone()));
        }
        let own = rows.by_url.get(&url).map_or(&[][..], Vec::as_slice);
        if own.iter().any(|row| !row.status.is_final()) {
            // Has the batch ended all the same, then the service refuses to tell of the task.
            return (entry.state, entry.error.as_deref().cloned());
        }
        if let Some(row) = own.iter().find(|row| row.status == TaskStatus::Failed) {
            let why = row.description.as_deref().unwrap_or("the CDN gave no reason");
            let error = ReportedError::new(code::TASK_FAILED, format!("the task failed: {why}"));
            return (MediaState::Failed, Some(error));
        }
        match entry.state {
            _ if !own.is_empty() && !rows.has_spare_task => (MediaState::Complete, None),
            MediaState::Failed => self.state_without_row(media),
            state => (state, None),
        }
    }

    /// Tells how a URL stands that no row shows, once the batch has failed: as the rows that match none of its URLs say, if
    /// they have all ended alike.
    fn state_without_row(&self, media: MediaIndex) -> (MediaState, Option<ReportedError>) {
        let strays = self.evidence().strays(media);
        let is = |status| !strays.is_empty() && strays.iter().all(|(_, row)| row.status == status);
        if is(TaskStatus::Complete) {
            return (MediaState::Complete, None);
        }
        let error = self.media[media].error.as_deref();
        let error = error.filter(|error| error.code != code::TASK_FAILED || is(TaskStatus::Failed)).cloned();
        let why = "no task has shown it, although the others have ended";
        (MediaState::Failed, error.or_else(|| Some(ReportedError::new(code::URL_NOT_SHOWN, why))))
    }

    /// One entry a URL, in the order in which they were asked for.
    pub(crate) fn url_reports(&self, started_at: DateTime<Utc>) -> Vec<UrlReport> {
        let mut reports: Vec<(u32, UrlReport)> = Vec::new();
        for entry in self.batches.iter() {
            let (Some(batch), media) = (&entry.batch.urls, entry.first_media) else { continue };
            let named = &self.media[media].named;
            let submitted_at = self.media[media].job.and_then(|job| self.jobs[job].submitted_at);
            let submitted_at = submitted_at.map(|at| started_at + at.since_start());
            let rows = self.rows_by_url(media);
            let mut tasks: HashMap<UrlKey, Vec<TaskReport>> = HashMap::new();
            // Rows that match no URL stand for those that no row matches.
            let mut strays = Vec::new();
            for task in self.task_reports_of(media, started_at) {
                let Some(key) = task.url.as_deref().map(UrlKey::of) else { continue };
                match named.urls.place(key) {
                    Some(_) => tasks.entry(key).or_default().push(task),
                    None => strays.push(task),
                }
            }
            let object_type = match batch.action {
                ObjectAction::Refresh { object_type, .. } => object_type,
                ObjectAction::Preload { .. } => ObjectType::File,
            };
            for (url, place) in batch.urls.iter().zip(&batch.places) {
                let key = UrlKey::of(url);
                let (state, error) = self.url_state(media, &rows, key);
                let mut tasks = tasks.get(&key).cloned().unwrap_or_default();
                tasks.iter_mut().for_each(|task| task.url = Some(url.clone()));
                if tasks.is_empty() {
                    tasks.clone_from(&strays);
                }
                if tasks.is_empty() || rows.has_spare_task {
                    // It may work under one of those that were never shown.
                    let unshown = self.evidence().tasks_of(media).filter(|task| task.rows.is_empty());
                    tasks.extend(unshown.map(|task| self.unshown_task(task, started_at)));
                }
                let (url, state) = (url.clone(), state.told_with(error.as_ref()));
                reports.push((*place, UrlReport { url, object_type, state, submitted_at, error, tasks }));
            }
        }
        reports.sort_by_key(|(place, _)| *place);
        reports.into_iter().map(|(_, report)| report).collect()
    }
}
