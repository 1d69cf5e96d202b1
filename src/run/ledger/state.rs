//! What the ledger knows, and its two ends: facts in, work out.

use std::collections::HashMap;

use super::named::UrlKey;
use super::pending_events::PendingEvents;
use super::rows::{BatchEntry, BatchState, JobEntry, MediaEntry, UnknownWords};
use super::settings::Settings;
use super::task_table::{Evidence, PlannedTasks, TaskTable};
use super::work::{Slots, Work};
use crate::edge::EdgeAnswer;
use crate::event::{Claim, Correlation};
use crate::ids::{JobId, MediaId, TaskId};
use crate::model::{Fact, Moment, WaitRequest};
use crate::run::batch::{Batch, UrlBatch};
use crate::run::observer::{Notice, Progress};
use crate::run::polling::{Counts, Intervals, Others, Planner, Poll, Queue};
use crate::run::table::{BatchIndex, Index, JobIndex, MediaIndex, OfBatch, OfJob, OfMedia, Table};
use crate::vod::TaskType;

/// What is known about a run.
#[derive(Debug)]
pub struct Ledger {
    pub(super) settings: Settings,
    pub(super) planner: Planner,
    pub(super) batches: Table<OfBatch, BatchEntry>,
    pub(super) jobs: Table<OfJob, JobEntry>,
    pub(super) media: Table<OfMedia, MediaEntry>,
    pub(super) tasks: TaskTable,
    pub(super) jobs_by_id: HashMap<JobId, JobIndex>,
    /// A media id can stand in two jobs of others, so the job is part of the key.
    pub(super) media_by_id: HashMap<(JobIndex, MediaId), MediaIndex>,
    /// When batches are sent, and jobs looked up.
    pub(super) submit_queue: Queue<OfBatch>,
    pub(super) lookup_queue: Queue<OfJob>,
    pub(super) pending_events: PendingEvents,
    pub(super) lookups_refused: bool,
    pub(super) open_batches: u64,
    pub(super) open_media: u64,
    /// Media whose tasks are not known for good: the service may list tasks of theirs that we do not know yet.
    pub(super) unconfirmed: u64,
    /// Jobs of others whose media may not all be known yet, and jobs that are looked up a last time.
    pub(super) open_jobs: u64,
    /// How many media the jobs of others have at least, where the caller said how many or which.
    pub(super) expect: Option<usize>,
    /// Media that one of several jobs must have, until a lookup shows which.
    pub(super) unplaced: HashMap<MediaId, MediaIndex>,
    /// Facts that time or a whole round of listings brought about, to be written down and applied.
    pub(super) follow_ups: Vec<Fact>,
    /// Ids about which the service answers with codes that nobody knows: since when, and how often in a row.
    pub(super) unclear: HashMap<String, (Moment, u32)>,
    pub(super) unknown_words: UnknownWords,
    /// The run has not been away: a task is as old as the answer to its submission.
    pub(super) is_fresh: bool,
    /// Other runs whose tasks stand in the same listings.
    pub(super) others: Others,
    pub(super) edge: Edge,
    pub(super) progress: Progress,
    pub(super) events: EventCounts,
    pub(super) notices: Vec<Notice>,
}

/// Events so far, and what was warned of about them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EventCounts {
    pub(crate) accepted: u64,
    pub(crate) repeated: u64,
    pub(crate) foreign: u64,
    /// What was taken of events of unknown senders.
    pub(super) bytes_of_strangers: usize,
    /// Events that lookups did not bear out.
    pub(super) differing: u64,
    pub(super) has_warned_of_status: bool,
    pub(super) has_warned_of_unread: bool,
}

/// What nodes of the CDN said, and whether they are asked.
#[derive(Debug, Default)]
pub(super) struct Edge {
    /// What they answered for a URL of a task.
    pub(super) answers: HashMap<(TaskId, UrlKey), Vec<EdgeAnswer>>,
    /// Whether they are still to be asked; `None` where nobody wants that.
    pub(super) is_due: Option<bool>,
    /// What they were not asked for.
    pub(super) note: Option<String>,
}

impl Ledger {
    /// A ledger for batches that are to be submitted.
    pub fn for_batches(settings: Settings, batches: Vec<Batch>) -> Self {
        let mut ledger = Self::empty(settings);
        batches.into_iter().for_each(|batch| ledger.plan(batch, Moment::START));
        ledger
    }

    /// A ledger for URLs that are to be submitted.
    pub(crate) fn for_urls(settings: Settings, batches: Vec<UrlBatch>) -> Self {
        let mut ledger = Self::empty(settings);
        ledger.plan_urls(batches, Moment::START);
        ledger
    }

    /// A ledger for jobs that somebody else submitted.
    pub fn for_jobs(settings: Settings, request: &WaitRequest) -> Self {
        let mut ledger = Self { is_fresh: false, ..Self::empty(settings) };
        request.jobs.iter().for_each(|job| ledger.follow(job));
        let expect = request.expect.map(|expect| expect as usize);
        ledger.expect = expect.or((!request.media.is_empty()).then_some(0));
        for id in &request.media {
            let media = ledger.add_media(id.clone(), 0);
            ledger.unplaced.insert(id.clone(), media);
            if request.jobs.len() == 1 {
                ledger.media_of_job(Index::new(0), id);
            }
        }
        ledger
    }

    fn empty(settings: Settings) -> Self {
        let intervals = Intervals {
            first: settings.poll_first,
            cap: settings.poll_cap.max(settings.poll_first),
            deadline: settings.deadline,
            seed: settings.seed,
        };
        Self {
            settings,
            planner: Planner::new(intervals),
            batches: Table::default(),
            jobs: Table::default(),
            media: Table::default(),
            tasks: TaskTable::default(),
            jobs_by_id: HashMap::new(),
            media_by_id: HashMap::new(),
            submit_queue: Queue::new(),
            lookup_queue: Queue::new(),
            pending_events: PendingEvents::default(),
            lookups_refused: false,
            open_batches: 0,
            open_media: 0,
            unconfirmed: 0,
            open_jobs: 0,
            expect: None,
            unplaced: HashMap::new(),
            follow_ups: Vec::new(),
            unclear: HashMap::new(),
            unknown_words: UnknownWords::default(),
            is_fresh: true,
            others: Others::default(),
            edge: Edge::default(),
            progress: Progress::default(),
            events: EventCounts::default(),
            notices: Vec::new(),
        }
    }

    /// Takes a fact in. A fact that tells nothing new changes nothing. What follows from it is in
    /// [`take_follow_ups`](Self::take_follow_ups).
    pub fn apply(&mut self, now: Moment, fact: Fact) {
        match fact {
            Fact::Submitting { batch } => self.submitting(now, batch),
            Fact::Withdrawn { batch } => self.withdrawn(now, batch),
            Fact::Submitted { batch, job, not_found, forbidden, request_id } => {
                self.submitted(now, batch, job, &not_found, &forbidden, request_id);
            }
            Fact::UrlsSubmitted { batch, tasks, unread, request_id } => {
                self.urls_submitted(now, batch, tasks, unread.is_some(), request_id);
            }
            Fact::UrlsNotFound { batch } => self.urls_not_found(now, batch),
            Fact::NotSubmitted { batch, fault } => self.not_submitted(now, batch, &fault),
            Fact::OutcomeUnknown { batch, fault } => self.outcome_unknown(now, batch, &fault),
            Fact::Halted { fault } => self.halted(now, &fault),
            Fact::PreloadBegun { media } => self.preload_begun(now, media),
            Fact::Event(event) => self.event(now, *event),
            Fact::JobQueried { job, rows } => self.job_queried(now, &job, rows),
            Fact::LookupsRefused { fault } => self.lookups_are_refused(now, &fault),
            Fact::LookupsRetried => self.lookups_refused = false,
            Fact::JobRefused { job, fault } => self.job_failed(now, &job, &fault.error),
            Fact::JobUnclear { job, fault } => self.job_unclear(now, &job, fault),
            Fact::JobClosed { job } => self.job_closed(&job),
            Fact::LookupFailed { job, fault } => self.lookup_failed(now, &job, &fault.error),
            Fact::GraceOver { job } => self.grace_over(&job),
            Fact::Unshown { job, with_event, without_event } => {
                self.unshown(now, &job, with_event, without_event)
            }
            Fact::NotShown { job, media } => self.not_shown(now, &job, &media),
            Fact::TaskSeen { task, rows, total } => self.task_seen(now, &task, rows, total),
            Fact::TaskUnclear { task, fault } => self.task_unclear(now, &task, fault),
            Fact::Listed { page, rows, total, is_last } => {
                let (planner, tasks) = self.planner(now);
                let facts = planner.listed(&tasks, page, rows, total, is_last);
                self.follow_ups.extend(facts);
            }
            Fact::ListingRefused => {
                let (planner, tasks) = self.planner(now);
                planner.refused(&tasks);
            }
            Fact::TaskRefused { task, fault } => self.task_refused(now, &task, fault),
            Fact::EdgeChecked { task, url, answers } => {
                self.edge.answers.insert((task, UrlKey::of(&url)), answers);
            }
            Fact::EdgeWanted => {
                self.edge.is_due.get_or_insert(true);
            }
            Fact::EdgeDone { note } => (self.edge.is_due, self.edge.note) = (Some(false), note),
        }
    }

    /// Takes one piece of work that is due, if there is room for its kind.
    pub fn due(&mut self, now: Moment, slots: Slots) -> Option<Work> {
        if slots.submit > 0
            && let Some(batch) = self.submit_queue.pop(now)
        {
            return Some(self.take_batch(batch));
        }
        if slots.query_job > 0
            && let Some(job) = self.lookup_queue.pop(now)
        {
            return Some(self.take_job(now, job));
        }
        if slots.poll_task == 0 {
            return None;
        }
        let (planner, tasks) = self.planner(now);
        Some(match planner.due(&tasks)? {
            Poll::Task(task) => {
                let entry = &mut self.tasks[task];
                entry.in_flight = entry.in_flight.saturating_add(1);
                Work::PollTask { task: entry.id.clone() }
            }
            Poll::Page(page, filter) => Work::ListTasks { page, filter },
        })
    }

    /// When the next work will be due, of the kinds that there is room for.
    pub fn next_at(&mut self, slots: Slots) -> Option<Moment> {
        let submit = self.submit_queue.next_at().filter(|_| slots.submit > 0);
        let look_up = self.lookup_queue.next_at().filter(|_| slots.query_job > 0);
        let poll = self.planner.next_at().filter(|_| slots.poll_task > 0);
        [submit, look_up, poll].into_iter().flatten().min()
    }

    /// Whose an event is that was [applied](Self::apply) just now.
    ///
    /// Ours: about one of our media, or with this run's mark, which nobody else writes. While a submit answer is out
    /// that may name its job, nobody can tell; the ledger then keeps a copy.
    pub fn claim(&self, job: JobId, media: Option<MediaId>, mark: Option<&Correlation>) -> Claim {
        let marked = mark.is_some_and(|mark| mark.run == self.settings.run);
        let known = self.jobs_by_id.get(&job);
        let ours = match (known, media) {
            (None, _) => marked,
            (Some(_), None) => true,
            (Some(job), Some(media)) => marked || self.media_by_id.contains_key(&(*job, media)),
        };
        match ours {
            true => Claim::Ours,
            false if self.open_batches > 0 && known.is_none() => Claim::Undecided,
            false => Claim::Foreign,
        }
    }

    /// Whether every media has its verdict, and no preload is still to begin.
    pub fn is_settled(&self) -> bool {
        self.is_stage_settled() && self.preload_to_begin().is_none()
    }

    /// Whether all that was begun has its verdict.
    pub(super) fn is_stage_settled(&self) -> bool {
        self.open_media + self.open_jobs + self.open_batches == 0
    }

    /// Batches without an answer.
    pub(crate) fn open_batches(&self) -> u64 {
        self.open_batches
    }

    /// Where the run stands.
    pub fn progress(&self) -> Progress {
        let longest = self.planner.longest_usual();
        let task_time_ms = longest.map(|late| u64::try_from(late.as_millis()).unwrap_or(u64::MAX));
        Progress { task_time_ms, ..self.progress }
    }

    /// The media of a batch.
    pub fn batch(&self, batch: u32) -> &[MediaId] {
        self.batches.get(BatchIndex::new(batch)).map_or(&[], |entry| &entry.batch.media)
    }

    /// The URLs of a batch.
    pub(crate) fn urls_of_batch(&self, batch: u32) -> Option<&UrlBatch> {
        self.batches.get(BatchIndex::new(batch))?.batch.urls.as_ref()
    }

    /// Batches that were handed out and not answered.
    pub(crate) fn sending(&self) -> Vec<u32> {
        let sending =
            self.batches.indices().filter(|batch| self.batches[*batch].state == BatchState::Sending);
        sending.map(BatchIndex::number).collect()
    }

    /// Purge or prefetch; of jobs of others as their rows tell.
    pub(crate) fn task_type(&self) -> Option<TaskType> {
        self.settings.task_type
    }

    /// Facts that follow from those that were applied, and from time: they are to be written down and applied at once.
    pub fn take_follow_ups(&mut self) -> Vec<Fact> {
        std::mem::take(&mut self.follow_ups)
    }

    /// What happened since the last call, for people.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    pub(crate) fn event_counts(&self) -> EventCounts {
        self.events
    }

    pub(super) fn warn(&mut self, message: String) {
        self.notices.push(Notice::Warning { message });
    }

    pub(super) fn evidence(&self) -> Evidence<'_> {
        let poll_cap = self.planner.intervals.cap;
        Evidence { jobs: &self.jobs, media: &self.media, tasks: &self.tasks, poll_cap }
    }

    /// The planner, and the tasks as it sees them.
    pub(super) fn planner(&mut self, now: Moment) -> (&mut Planner, PlannedTasks<'_>) {
        let Progress { tasks, tasks_ended, .. } = self.progress;
        let counts = Counts {
            known: tasks,
            open: tasks - tasks_ended,
            others: self.others,
            are_all_known: self.unconfirmed == 0,
            is_fresh: self.is_fresh,
        };
        let poll_cap = self.planner.intervals.cap;
        let evidence = Evidence { jobs: &self.jobs, media: &self.media, tasks: &self.tasks, poll_cap };
        (&mut self.planner, PlannedTasks { evidence, now, counts, is_own: !self.batches.is_empty() })
    }

    /// When the newest task of this run became known; `None` as long as more may come.
    pub(crate) fn complete_since(&self) -> Option<Moment> {
        let is_complete = self.open_batches == 0 && self.unconfirmed == 0;
        is_complete.then(|| self.tasks.last().map_or(Moment::START, |task| task.known_since))
    }
}
