//! What the driver of a run holds, and the words in which its parts speak to each other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::call_log::CallLog;
use super::fleet::Fleet;
use super::fleet_pace::FleetPace;
use super::run_journal::RunJournal;
use crate::error::{Error, Result};
use crate::event::{Inbox, Subscription};
use crate::ids::{JobId, TaskId};
use crate::model::{Moment, RunRecord};
use crate::net::pace::SharedPace;
use crate::run::ledger::{Ledger, Slots, Work};
use crate::run::observer::Notice;
use crate::run::setup::Setup;
use crate::vod::{JobRow, ObjectTasks, Submission, TaskFilter, TaskPage, TaskRows, VodClient};

pub(super) struct Driver<'a> {
    pub(super) setup: &'a Setup,
    /// That of the setup, watched by this run.
    pub(super) client: VodClient,
    pub(super) record: RunRecord,
    pub(super) ledger: Ledger,
    pub(super) journal: RunJournal,
    /// What it shares with other runs of the account.
    pub(super) fleet: Option<Fleet>,
    pub(super) events: Option<Subscription>,
    pub(super) rejected_before: u64,
    pub(super) calls: JoinSet<Done>,
    pub(super) in_flight: Slots,
    /// Batches that wait until the journal knows that they are sent.
    pub(super) held_back: Vec<Work>,
    /// Ends the waits of calls in flight, not the calls.
    pub(super) soft_stop: CancellationToken,
    pub(super) call_log: Arc<CallLog>,
    pub(super) notices: UnboundedReceiver<Notice>,
    /// When this process began, and how old the run was then.
    pub(super) anchor: Instant,
    pub(super) age: Duration,
    pub(super) deadline: Moment,
    pub(super) fatal: Option<Error>,
    /// Ask about everything that is open once, then end.
    pub(super) once: bool,
    /// What a person should know from the beginning.
    pub(super) warning: Option<String>,
    /// The service has forgotten what this run submitted: it ends as it is.
    pub(super) is_forgotten: bool,
}

/// A call that came back.
pub(super) enum Done {
    Submitted(u32, Result<Submission>),
    UrlsSubmitted(u32, Result<ObjectTasks>),
    UrlsSearched(u32, Result<Vec<TaskId>>),
    JobQueried(JobId, Result<Vec<JobRow>>),
    TaskPolled(TaskId, Result<TaskRows>),
    /// With the key that another run has read the page with, where it may be of another account.
    TasksListed {
        page: u32,
        filter: Option<TaskFilter>,
        answer: Result<TaskPage>,
        other_key: Option<String>,
    },
    /// A sample of another run was polled instead.
    SampleSpared(TaskId),
}

/// How the loop ended.
pub(super) enum End {
    /// Every media has its verdict.
    Settled,
    /// Every batch is submitted, and nobody wants to wait.
    Submitted,
    /// Everything that is open was asked about once.
    Checked,
    /// The deadline passed.
    Deadline,
    /// Stopped from outside.
    Stopped,
    /// Something failed, and that was to be the end.
    FailedFast,
    /// Following up became impossible.
    Fatal(Error),
}

impl<'a> Driver<'a> {
    pub(super) fn new(
        setup: &'a Setup,
        record: RunRecord,
        ledger: Ledger,
        journal: RunJournal,
        age: Duration,
        fleet: Option<Fleet>,
    ) -> Self {
        let (call_log, notices) = CallLog::new();
        let soft_stop = CancellationToken::new();
        let pace = fleet.as_ref().map(|fleet| -> Arc<dyn SharedPace> {
            Arc::new(FleetPace::new(fleet.shared(), call_log.clone()))
        });
        Self {
            setup,
            client: setup.client.watched(soft_stop.clone(), call_log.clone()).with_task_pace(pace),
            record,
            ledger,
            journal,
            fleet,
            // Before the first submission, or an early event is lost.
            events: setup.inbox.as_ref().map(Inbox::subscribe),
            rejected_before: setup.inbox.as_ref().map_or(0, |inbox| inbox.rejected()),
            calls: JoinSet::new(),
            in_flight: Slots { submit: 0, query_job: 0, poll_task: 0 },
            held_back: Vec::new(),
            soft_stop,
            call_log,
            notices,
            anchor: Instant::now(),
            age,
            deadline: Moment::after(age) + setup.options.timeout,
            fatal: None,
            once: false,
            warning: None,
            is_forgotten: false,
        }
    }
}
