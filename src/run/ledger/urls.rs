//! Runs of URLs. A batch of them is followed as one media whose URLs all work under the same tasks, and which is named for good
//! by the answer to its submission; the report tells of each URL apart.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::named::UrlKey;
use super::rows::{BatchState, MediaEntry, Row};
use super::state::Ledger;
use super::work::Work;
use crate::error::ErrorKind;
use crate::ids::{JobId, MediaId, RequestId, TaskId};
use crate::model::{Fault, MediaState, Moment, ReportedError, TaskReport, UrlReport, code};
use crate::run::batch::{Batch, UrlBatch};
use crate::run::observer::Notice;
use crate::vod::{ObjectAction, ObjectType, TaskStatus};

/// Waits before the tasks are looked for of a batch whose answer got lost. Creation is asynchronous at the service.
const SEARCH_PAUSES: [Duration; 3] =
    [Duration::from_secs(3), Duration::from_secs(7), Duration::from_secs(20)];

/// How one URL stands.
struct UrlState {
    state: MediaState,
    error: Option<ReportedError>,
}

impl Batch {
    /// A batch of URLs, which stand in the ledger as one media of this number.
    fn of_urls(urls: UrlBatch, number: usize) -> Self {
        // A number is an id.
        Self { media: MediaId::new(format!("urls-{number}")).into_iter().collect(), urls: Some(urls) }
    }
}

impl Ledger {
    /// Plans batches of URLs.
    pub(crate) fn plan_urls(&mut self, batches: Vec<UrlBatch>, at: Moment) {
        for urls in batches {
            let batch = Batch::of_urls(urls, self.batches.len());
            self.plan(batch, at);
        }
    }

    /// Whether this is a run of URLs.
    pub(crate) fn is_of_urls(&self) -> bool {
        self.batches.first().is_some_and(|entry| entry.batch.urls.is_some())
    }

    /// The service took a batch, as these tasks: each of its URLs works under one of them.
    pub(super) fn urls_submitted(
        &mut self,
        now: Moment,
        number: u32,
        tasks: Vec<TaskId>,
        request_id: Option<RequestId>,
    ) {
        let Some(urls) = self.urls_of_batch(number).map(|batch| batch.urls.clone()) else { return };
        if !self.close_batch(number) {
            return;
        }
        let Ok(id) = JobId::new(format!("urls-{number}")) else { return };
        self.notices.push(Notice::UrlsSubmitted {
            urls: urls.len() as u64,
            tasks: tasks.clone(),
            request_id,
        });
        let job = self.job_number(now, id);
        self.jobs[job as usize].submitted_at.get_or_insert(now);
        for media in self.media_of(number) {
            self.progress.submitted += self.media[media as usize].weight();
            self.join(job, media);
            self.name(now, media, tasks.clone(), &urls);
            self.accepted(now, media);
            self.settle(now, media);
        }
    }

    /// Cuts a batch in two whose URLs the service refused: the others may still pass. `false` if that wins nothing.
    pub(super) fn cut_refused_urls(&mut self, now: Moment, number: u32, fault: &Fault) -> bool {
        let Some(entry) = self.batches.get_mut(number as usize) else { return false };
        let Some(urls) = entry.batch.urls.as_mut().filter(|_| entry.state != BatchState::Done) else {
            return false;
        };
        if fault.kind != ErrorKind::Rejected {
            return false;
        }
        let code = fault.error.code.to_ascii_lowercase();
        let is_about_domain = code.starts_with("invaliddomain") || code == "illegaloperation";
        let Some(other) = urls.cut(is_about_domain) else { return false };
        let (first, count) = (entry.first_media, urls.urls.len() as u32);
        (entry.state, entry.sent_at) = (BatchState::Planned, None);
        let media = &mut self.media[first as usize];
        self.progress.media -= u64::from(media.urls - count);
        media.urls = count;
        self.plan_batch(number, now);
        self.plan_urls(vec![other], now);
        true
    }

    /// The search for the tasks of a batch of URLs whose answer got lost, as long as there is one to come.
    pub(super) fn search_for(&mut self, number: u32) -> Option<Work> {
        let entry = &self.batches[number as usize];
        let sent_at = entry.sent_at.filter(|_| entry.batch.urls.is_some())?;
        ((entry.searches as usize) < SEARCH_PAUSES.len()).then_some(Work::FindUrls { batch: number, sent_at })
    }

    pub(super) fn plan_search(&mut self, now: Moment, number: u32) {
        let pause = SEARCH_PAUSES.get(self.batches[number as usize].searches as usize).copied();
        self.plan_batch(number, now + pause.unwrap_or_default());
    }

    /// No task of a batch was found. After the last search it is sent again.
    pub(super) fn urls_not_found(&mut self, now: Moment, number: u32) {
        if let Some(entry) = self.batches.get_mut(number as usize).filter(|b| b.state == BatchState::Unknown)
        {
            entry.searches += 1;
            self.plan_search(now, number);
        }
    }

    /// Counts how many URLs of a batch have ended, after its verdict was given.
    pub(super) fn count_urls(&mut self, media: u32) {
        let entry = &self.media[media as usize];
        if entry.urls == 0 {
            return;
        }
        let (mut complete, mut failed) = (0, 0);
        let rows = self.rows_by_url(entry);
        let has_spare_task = self.has_spare_task(entry, &rows);
        for key in entry.named.urls.keys() {
            let rows = rows.get(&key).map_or(&[][..], Vec::as_slice);
            match self.url_state(media, rows, has_spare_task).state {
                MediaState::Unfinished => {}
                MediaState::Complete => complete += 1,
                _ => failed += 1,
            }
        }
        if entry.refused.is_some() {
            failed = entry.urls;
        }
        let is_unaccepted = !entry.accepted;
        let was = std::mem::replace(&mut self.media[media as usize].urls_counted, (complete, failed));
        let recount = |sum: &mut u64, was: u32, is: u32| *sum = *sum + u64::from(is) - u64::from(was);
        recount(&mut self.progress.complete, was.0, complete);
        recount(&mut self.progress.failed, was.1, failed);
        if is_unaccepted {
            recount(&mut self.progress.failed_unaccepted, was.1, failed);
        }
    }

    /// Whether more tasks of a batch are not shown than URLs: any of its URLs may have a row there.
    fn has_spare_task(&self, entry: &MediaEntry, rows: &HashMap<UrlKey, Vec<&Row>>) -> bool {
        let tasks = entry.named.tasks.iter().map(|task| &self.tasks[*task as usize]);
        let unshown = tasks.filter(|task| task.rows.is_empty()).count();
        unshown > 0 && unshown > entry.named.urls.keys().filter(|key| !rows.contains_key(key)).count()
    }

    /// Tells how one URL of a batch stands: as its own rows say, else as the batch does.
    fn url_state(&self, media: u32, rows: &[&Row], has_spare_task: bool) -> UrlState {
        let entry = &self.media[media as usize];
        let plain = |state| UrlState { state, error: None };
        if let Some((state, error)) = entry.refused.as_deref() {
            return UrlState { state: *state, error: Some(error.clone()) };
        }
        if rows.iter().any(|row| !row.status.is_final()) {
            return plain(MediaState::Unfinished);
        }
        if let Some(row) = rows.iter().find(|row| row.status == TaskStatus::Failed) {
            let why = row.description.as_deref().unwrap_or("the CDN gave no reason");
            let error = ReportedError::new(code::TASK_FAILED, format!("the task failed: {why}"));
            return UrlState { state: MediaState::Failed, error: Some(error) };
        }
        match entry.state {
            _ if !rows.is_empty() && !has_spare_task => plain(MediaState::Complete),
            MediaState::Failed => self.state_without_row(media),
            state => plain(state),
        }
    }

    /// Tells how a URL stands that no row shows, once the batch has failed: as the rows that match none of its URLs say, if
    /// they have all ended alike.
    fn state_without_row(&self, media: u32) -> UrlState {
        let entry = &self.media[media as usize];
        let strays: Vec<&Row> = self.evidence().strays(media).into_iter().map(|(_, row)| row).collect();
        let is = |status| !strays.is_empty() && strays.iter().all(|row| row.status == status);
        if is(TaskStatus::Complete) {
            return UrlState { state: MediaState::Complete, error: None };
        }
        let error =
            entry.error.as_deref().filter(|error| error.code != code::TASK_FAILED || is(TaskStatus::Failed));
        let error = error.cloned().unwrap_or_else(|| {
            ReportedError::new(code::URL_NOT_SHOWN, "no task has shown it, although the others have ended")
        });
        UrlState { state: MediaState::Failed, error: Some(error) }
    }

    fn rows_by_url<'a>(&'a self, entry: &MediaEntry) -> HashMap<UrlKey, Vec<&'a Row>> {
        let mut rows: HashMap<UrlKey, Vec<&Row>> = HashMap::new();
        for row in entry.named.tasks.iter().flat_map(|task| &self.tasks[*task as usize].rows) {
            rows.entry(row.key).or_default().push(row);
        }
        rows
    }

    /// One entry a URL, in the order in which they were asked for.
    pub(crate) fn url_reports(&self, started_at: DateTime<Utc>) -> Vec<UrlReport> {
        let mut reports: Vec<(u32, UrlReport)> = Vec::new();
        for entry in &self.batches {
            let Some(batch) = &entry.batch.urls else { continue };
            let media = &self.media[entry.first_media as usize];
            let job = media.job.map(|job| &self.jobs[job as usize]);
            let submitted_at = job.and_then(|job| job.submitted_at).map(|at| started_at + at.since_start());
            let rows = self.rows_by_url(media);
            let has_spare_task = self.has_spare_task(media, &rows);
            let mut tasks: HashMap<UrlKey, Vec<TaskReport>> = HashMap::new();
            // Rows that match no URL stand for those that no row matches.
            let mut strays = Vec::new();
            for task in self.task_reports_of(entry.first_media, started_at) {
                let key = UrlKey::of(task.url.as_deref().unwrap_or_default());
                match media.named.urls.place(key) {
                    Some(_) => tasks.entry(key).or_default().push(task),
                    None if task.url.is_some() => strays.push(task),
                    None => {}
                }
            }
            let object_type = match batch.action {
                ObjectAction::Refresh { object_type, .. } => object_type,
                ObjectAction::Preload { .. } => ObjectType::File,
            };
            for (url, place) in batch.urls.iter().zip(&batch.places) {
                let key = UrlKey::of(url);
                let rows = rows.get(&key).map_or(&[][..], Vec::as_slice);
                let UrlState { state, error } = self.url_state(entry.first_media, rows, has_spare_task);
                let mut own = tasks.get(&key).cloned().unwrap_or_default();
                own.iter_mut().for_each(|task| task.url = Some(url.clone()));
                if own.is_empty() {
                    own.clone_from(&strays);
                }
                if own.is_empty() || has_spare_task {
                    // It may work under one of those that were never shown.
                    let unshown = media.named.tasks.iter().map(|task| &self.tasks[*task as usize]);
                    let unshown = unshown.filter(|task| task.rows.is_empty());
                    own.extend(unshown.map(|task| self.unshown_task(task, started_at)));
                }
                let (url, state) = (url.clone(), state.told_with(error.as_ref()));
                reports
                    .push((*place, UrlReport { url, object_type, state, submitted_at, error, tasks: own }));
            }
        }
        reports.sort_by_key(|(place, _)| *place);
        reports.into_iter().map(|(_, report)| report).collect()
    }
}
