//! The ledger: what is known about a run. Pure: no I/O, no clock, no async.
//!
//! Facts go in through [`Ledger::apply`], due work comes out of [`Ledger::due`]. Everything a race can do (events
//! early, twice, late, forged, never; lookups empty, tasks not visible) is a sequence of facts, so every race is a
//! table test here. Applying a fact or taking work costs O(log n): nothing walks over all rows.
//!
//! A media goes *planned* → *submitted* (a job id came back) → *accepted* (an event or a lookup named its tasks) →
//! *complete* or *failed* (every task ended). An event is a hint: it starts the looks at its tasks at once, and one
//! lookup a job confirms what it said. Where they differ the lookup wins.

mod batches;
mod due;
mod events;
mod jobs;
mod listing;
mod media;
mod narrow;
mod pages;
mod reopen;
mod rounds;
mod rows;
mod stale;
mod stand_in;
mod strangers;
mod tasks;
mod view;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::RandomState;
use std::time::Duration;

use hashbrown::HashTable;

use super::batch::Batch;
use super::observer::{Notice, Progress};
pub(super) use view::sums;

pub use super::plan::Moment;
use super::plan::Polling;
use super::report::ReportedError;
use super::request::LookupAfter;
use crate::error::{Error, ErrorKind};
use crate::event::{Claim, MediaRefreshEvent};
use crate::ids::{JobId, MediaId, RequestId, RunId, TaskId};
use crate::vod::{JobRow, TaskFilter, TaskRow, TaskType};
use due::Queue;
use listing::Listing;
use rows::{BatchEntry, BatchState, JobEntry, MediaEntry, TaskEntry};
use serde::{Deserialize, Serialize};
use strangers::Strangers;

/// How long a task or a job may stay invisible before it counts as failed. Creation is asynchronous at the service.
pub(crate) const GRACE: Duration = Duration::from_secs(600);
/// How long lookups may stay empty before an event stands unconfirmed.
const CONFIRM_GRACE: Duration = Duration::from_secs(60);

/// What a ledger must know of its run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The run, whose mark comes back in events.
    pub run: RunId,
    /// Purge or prefetch; `None` when waiting for jobs of others.
    pub task_type: Option<TaskType>,
    /// Whether events can come in.
    pub has_events: bool,
    /// When jobs are looked up.
    pub lookup: LookupAfter,
    /// First wait between two looks.
    pub poll_first: Duration,
    /// Longest wait between two looks.
    pub poll_cap: Duration,
    /// The last look falls here.
    pub deadline: Moment,
    /// Whether a batch with an unknown outcome is sent again.
    pub resubmit: bool,
    /// How long an event may tell of a lost answer first.
    pub outcome_wait: Duration,
    /// Seed of the jitter.
    pub seed: u64,
}

impl Settings {
    /// Settings with the defaults of a run without events: lookups at once, an hour's deadline.
    pub fn new(run: RunId, task_type: Option<TaskType>) -> Self {
        let preload = task_type == Some(TaskType::Preload);
        let seconds =
            |refresh, preload_seconds| Duration::from_secs(if preload { preload_seconds } else { refresh });
        Self {
            run,
            task_type,
            has_events: false,
            lookup: LookupAfter::After(Duration::ZERO),
            poll_first: seconds(2, 10),
            poll_cap: seconds(15, 60),
            deadline: Moment::after(Duration::from_secs(3_600)),
            resubmit: true,
            outcome_wait: Duration::from_secs(60),
            seed: 0,
        }
    }
}

/// An error as a fact: what it means for exit codes, and what is reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Decides the exit code.
    pub kind: ErrorKind,
    /// What the report says.
    pub error: ReportedError,
}

impl Fault {
    /// A fault with one of our own codes.
    pub(crate) fn new(kind: ErrorKind, code: &str, message: impl Into<String>) -> Self {
        Self { kind, error: ReportedError::new(code, message) }
    }
}

impl From<&Error> for Fault {
    fn from(error: &Error) -> Self {
        Self { kind: error.kind(), error: error.into() }
    }
}

/// Something that is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fact {
    /// A batch is about to be sent: without an answer after it, its outcome is unknown.
    Submitting {
        /// Which, from 0.
        batch: u32,
    },
    /// A batch was called back before it left: it is still to be sent.
    Withdrawn {
        /// Which, from 0.
        batch: u32,
    },
    /// A batch was taken.
    Submitted {
        /// Which, from 0.
        batch: u32,
        /// Its job, unless every media was refused.
        job: Option<JobId>,
        /// Media that the service does not know.
        not_found: Vec<String>,
        /// Media that the caller may not use.
        forbidden: Vec<String>,
        /// The id of the request.
        request_id: Option<RequestId>,
    },
    /// A batch was certainly not taken, and is given up.
    NotSubmitted {
        /// Which, from 0.
        batch: u32,
        /// Why.
        fault: Fault,
    },
    /// The answer to a batch got lost.
    OutcomeUnknown {
        /// Which, from 0.
        batch: u32,
        /// What was seen instead.
        fault: Fault,
    },
    /// Nothing more is submitted; batches that were not sent are given up.
    Halted {
        /// Why.
        fault: Fault,
    },
    /// An event came.
    Event(Box<MediaRefreshEvent>),
    /// A job was looked up.
    LookedUp {
        /// The job.
        job: JobId,
        /// Its rows so far.
        rows: Vec<JobRow>,
    },
    /// Lookups are refused, for any job.
    LookupsRefused {
        /// Why.
        fault: Fault,
    },
    /// The service refuses to tell of this job.
    JobRefused {
        /// The job.
        job: JobId,
        /// Why.
        fault: Fault,
    },
    /// Neither an event nor a lookup has shown this job for the whole grace.
    GraceOver {
        /// The job.
        job: JobId,
    },
    /// A task was looked at.
    TaskSeen {
        /// The task.
        task: TaskId,
        /// Its rows so far.
        rows: Vec<TaskRow>,
        /// Whether these are all that the service counts.
        all: bool,
    },
    /// A page of a listing was read; what it showed of our tasks are facts of their own.
    Listed {
        /// Which, from 1.
        page: u32,
        /// Rows on it, those of others included.
        rows: u64,
        /// Rows of the whole listing, if the service said so.
        total: Option<u64>,
    },
    /// The service refuses to list tasks; where the listing was narrowed, so narrowed.
    ListingRefused,
    /// The service refuses to tell of this task.
    TaskRefused {
        /// The task.
        task: TaskId,
        /// Why.
        fault: Fault,
    },
}

/// Something to be done. Taken once; the fact that comes of it puts the next step on the list.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Work {
    /// Send this batch.
    Submit {
        /// Which, from 0.
        batch: u32,
    },
    /// Ask `GetMediaRefreshJobs`.
    LookUp {
        /// The job.
        job: JobId,
    },
    /// Ask `DescribeVodRefreshTasks`.
    Look {
        /// The task.
        task: TaskId,
    },
    /// List the tasks of the run's time window.
    List {
        /// Which page, from 1.
        page: u32,
        /// What narrows them down, if anything does.
        filter: Option<TaskFilter>,
    },
    /// Time alone made this a fact: apply it.
    Note(Fact),
}

/// How much work of each kind may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Submissions.
    pub submit: usize,
    /// Lookups of jobs.
    pub look_up: usize,
    /// Looks at tasks.
    pub look: usize,
}

/// What is known about a run.
#[derive(Debug)]
pub struct Ledger {
    settings: Settings,
    polling: Polling,
    media: Vec<MediaEntry>,
    batches: Vec<BatchEntry>,
    jobs: Vec<JobEntry>,
    tasks: Vec<TaskEntry>,
    job_index: HashMap<JobId, u32>,
    /// A media id can stand in two jobs of others, so the job is part of the key.
    media_index: HashMap<(u32, MediaId), u32>,
    /// Hash and row of each task. The ids stand in the rows; with the hash here, growing touches none of them.
    task_index: HashTable<(u32, u32)>,
    task_hash: RandomState,
    submit_queue: Queue,
    lookup_queue: Queue,
    look_queue: Queue,
    strangers: Strangers,
    listing: Listing,
    lookups_refused: bool,
    open_batches: u32,
    open_media: u32,
    /// Media whose tasks are not known for good: the service may list tasks of theirs that we do not know yet.
    undecided: u32,
    /// Jobs of others whose media may not all be known yet.
    open_jobs: u32,
    /// The run has not been away: a task is as old as the answer to its submission.
    is_fresh: bool,
    /// When the newest task became known.
    last_known: Moment,
    progress: Progress,
    events: EventCounts,
    notices: Vec<Notice>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EventCounts {
    pub(crate) accepted: u64,
    pub(crate) repeated: u64,
    pub(crate) foreign: u64,
}

impl Ledger {
    /// A ledger for batches that are to be submitted.
    pub fn for_batches(settings: Settings, batches: Vec<Batch>) -> Self {
        let mut ledger = Self::empty(settings);
        for batch in batches {
            ledger.plan(batch);
        }
        ledger.is_fresh = true;
        ledger
    }

    /// A ledger for jobs that somebody else submitted.
    pub fn for_jobs(settings: Settings, jobs: impl IntoIterator<Item = JobId>) -> Self {
        let mut ledger = Self::empty(settings);
        for job in jobs {
            ledger.follow(job);
        }
        ledger
    }

    fn empty(settings: Settings) -> Self {
        let polling = Polling {
            first: settings.poll_first,
            cap: settings.poll_cap.max(settings.poll_first),
            deadline: settings.deadline,
            seed: settings.seed,
        };
        Self {
            settings,
            polling,
            media: Vec::new(),
            batches: Vec::new(),
            jobs: Vec::new(),
            tasks: Vec::new(),
            job_index: HashMap::new(),
            media_index: HashMap::new(),
            task_index: HashTable::new(),
            task_hash: RandomState::new(),
            submit_queue: Queue::default(),
            lookup_queue: Queue::default(),
            look_queue: Queue::default(),
            strangers: Strangers::default(),
            listing: Listing::default(),
            lookups_refused: false,
            open_batches: 0,
            open_media: 0,
            undecided: 0,
            open_jobs: 0,
            is_fresh: false,
            last_known: Moment::START,
            progress: Progress::default(),
            events: EventCounts::default(),
            notices: Vec::new(),
        }
    }

    /// Takes a fact in. A fact that tells nothing new changes nothing.
    pub fn apply(&mut self, now: Moment, fact: Fact) {
        match fact {
            Fact::Submitting { batch } => self.submitting(batch),
            Fact::Withdrawn { batch } => self.withdrawn(now, batch),
            Fact::Submitted { batch, job, not_found, forbidden, request_id } => {
                self.submitted(now, batch, job, &not_found, &forbidden, request_id);
            }
            Fact::NotSubmitted { batch, fault } => self.not_submitted(batch, &fault),
            Fact::OutcomeUnknown { batch, fault } => self.outcome_unknown(now, batch, &fault),
            Fact::Halted { fault } => self.halted(&fault),
            Fact::Event(event) => self.event(now, *event),
            Fact::LookedUp { job, rows } => self.looked_up(now, &job, rows),
            Fact::LookupsRefused { fault } => self.lookups_are_refused(now, &fault),
            Fact::JobRefused { job, fault } => self.job_failed(&job, &fault.error),
            Fact::GraceOver { job } => self.grace_over(&job),
            Fact::TaskSeen { task, rows, all } => self.task_seen(now, &task, rows, all),
            Fact::Listed { page, rows, total } => self.listed(now, page, rows, total),
            Fact::ListingRefused => self.listing_refused(now),
            Fact::TaskRefused { task, fault } => self.task_failed(now, &task, fault.error),
        }
    }

    /// Takes one piece of work that is due, if there is room for its kind.
    pub fn due(&mut self, now: Moment, room: Room) -> Option<Work> {
        if room.submit > 0
            && let Some(work) = self.due_batch(now)
        {
            return Some(work);
        }
        if room.look_up > 0
            && let Some(work) = self.due_job(now)
        {
            return Some(work);
        }
        if room.look > 0 { self.due_task(now) } else { None }
    }

    /// When the next work will be due, of the kinds that there is room for.
    pub fn next_at(&mut self, room: Room) -> Option<Moment> {
        let batches = &self.batches;
        let jobs = &self.jobs;
        let tasks = &self.tasks;
        let submit =
            self.submit_queue.peek(|n, at| batches[n as usize].due == Some(at)).filter(|_| room.submit > 0);
        let look_up =
            self.lookup_queue.peek(|n, at| jobs[n as usize].due == Some(at)).filter(|_| room.look_up > 0);
        let look = self.look_queue.peek(|n, at| tasks[n as usize].due == Some(at)).filter(|_| room.look > 0);
        submit.into_iter().chain(look_up).chain(look).min()
    }

    /// Whose an event is that was [applied](Self::apply) just now.
    ///
    /// Ours: about one of our media, or with this run's mark, which nobody else writes. While a submit answer is out
    /// that may name its job, nobody can tell; the ledger then keeps a copy.
    pub fn claim(&self, event: &MediaRefreshEvent) -> Claim {
        let marked = event.correlation.as_ref().is_some_and(|mark| mark.run == self.settings.run);
        let ours = match (self.job_index.get(&event.job), &event.row) {
            (None, _) => marked,
            (Some(_), None) => true,
            (Some(job), Some(row)) => marked || self.media_index.contains_key(&(*job, row.media.clone())),
        };
        match ours {
            true => Claim::Ours,
            false if self.open_batches > 0 && !self.job_index.contains_key(&event.job) => Claim::Undecided,
            false => Claim::Foreign,
        }
    }

    /// Whether every media has its verdict.
    pub fn is_settled(&self) -> bool {
        self.open_media == 0 && self.open_jobs == 0 && self.open_batches == 0
    }

    /// Batches without an answer.
    pub(crate) fn open_batches(&self) -> u32 {
        self.open_batches
    }

    /// Whether every batch was answered or given up.
    pub fn is_submitted(&self) -> bool {
        self.open_batches == 0
    }

    /// Where the run stands.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// The media of a batch.
    pub fn batch(&self, batch: u32) -> &[MediaId] {
        self.batches.get(batch as usize).map_or(&[], |entry| &entry.batch.media)
    }

    /// Batches that were handed out and not answered.
    pub(super) fn sending(&self) -> Vec<u32> {
        let sending = |entry: &BatchEntry| entry.state == BatchState::Sending;
        (0..).zip(&self.batches).filter(|(_, entry)| sending(entry)).map(|(number, _)| number).collect()
    }

    /// Purge or prefetch; of jobs of others as their rows tell.
    pub(super) fn task_type(&self) -> Option<TaskType> {
        self.settings.task_type
    }

    /// What happened since the last call, for people.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    pub(crate) fn event_counts(&self) -> EventCounts {
        self.events
    }

    fn warn(&mut self, message: String) {
        self.notices.push(Notice::Warning { message });
    }
}
