//! What a run tells on the way. Progress bars and NDJSON hang here; nothing depends on it.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::event::Source;
use crate::ids::{JobId, MediaId, RequestId, RunId, TaskId};
use crate::model::{MediaState, Outcome, ReportedError, wire_time};
use crate::vod::{TaskStatus, TaskType};

/// Receives what happens. Called from the run's own task: return quickly.
pub trait Observer: Send + Sync {
    /// Something happened; `progress` is where the run stands after it.
    fn notice(&self, notice: &Notice, progress: &Progress);
}

/// Nobody watching.
pub(crate) struct Silent;

impl Observer for Silent {
    fn notice(&self, _: &Notice, _: &Progress) {}
}

/// Counts of a run. Cheap to read at any time. In a run of URLs, those of media count URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// Media known so far.
    pub media: u64,
    /// Media whose submission was answered.
    pub submitted: u64,
    /// Media whose tasks are known.
    pub accepted: u64,
    /// Media that ended well; where they are preloaded afterwards, in both.
    pub complete: u64,
    /// Media that failed.
    pub failed: u64,
    /// Those of them whose tasks never became known: not found, not submitted, not taken by the CDN.
    pub failed_unaccepted: u64,
    /// Tasks known so far.
    pub tasks: u64,
    /// Tasks that ended, well or not.
    pub tasks_ended: u64,
    /// Milliseconds from a submission to the end of nearly all of its tasks, as this run has learned: their mean and twice
    /// their deviation. `None` until three tasks have ended.
    pub task_time_ms: Option<u64>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Notice {
    /// The run begins.
    Started {
        /// This run.
        run_id: RunId,
        /// Purge or prefetch; none when waiting for jobs of others.
        task_type: Option<TaskType>,
        /// Media to be submitted.
        media: u64,
        /// Calls that this takes.
        batches: u64,
        /// Jobs to wait for.
        jobs: u64,
        /// URLs to be submitted, in a run of URLs; then no media are.
        #[serde(skip_serializing_if = "is_zero")]
        urls: u64,
    },
    /// The refresh is through: these media ended complete, and are preloaded now.
    PreloadBegun {
        /// Media to be preloaded.
        media: u64,
        /// Calls that this takes.
        batches: u64,
    },
    /// The service took a batch.
    Submitted {
        /// Its job; none if every media was refused.
        job_id: Option<JobId>,
        /// Media in the batch.
        media: u64,
        /// Of these, unknown to the service.
        not_found: u64,
        /// Of these, not ours to use.
        forbidden: u64,
        /// The id of the request.
        request_id: Option<RequestId>,
    },
    /// The service took a batch of URLs.
    UrlsSubmitted {
        /// URLs in the batch.
        urls: u64,
        /// The tasks of all of them together.
        tasks: Vec<TaskId>,
        /// The id of the request.
        request_id: Option<RequestId>,
    },
    /// A batch was not taken.
    NotSubmitted {
        /// Media in the batch.
        media: u64,
        /// Which ones; none in a run of URLs.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        media_ids: Vec<MediaId>,
        /// Why.
        error: ReportedError,
    },
    /// The answer to a submission got lost: nobody knows whether it was acted upon.
    OutcomeUnknown {
        /// Media in the batch.
        media: u64,
        /// What was seen instead of an answer.
        error: ReportedError,
        /// Seconds for which an event may tell before the batch is sent again; 0 without an event source.
        waiting_s: u64,
    },
    /// A batch with an unknown outcome is sent again: the service may do the work twice.
    Resubmitting {
        /// Media in the batch.
        media: u64,
        /// Purge or prefetch.
        task_type: TaskType,
    },
    /// An event told of a lost submit answer: the batch was taken after all.
    OutcomeLearned {
        /// Its job.
        job_id: JobId,
        /// Media in the batch.
        media: u64,
    },
    /// An event about one of our media came, the first of its kind.
    EventReceived {
        /// The job.
        job_id: JobId,
        /// The media.
        media_id: MediaId,
        /// How it came.
        source: Source,
    },
    /// No event came in time; the job is queried instead.
    NoEvent {
        /// The job.
        job_id: JobId,
        /// Media of it without an event.
        media: u64,
    },
    /// The tasks of a media are known.
    Accepted {
        /// The media.
        media_id: MediaId,
        /// Its job.
        job_id: JobId,
        /// How many tasks.
        tasks: u64,
        /// How they became known.
        confirmed_by: Source,
    },
    /// A task ended.
    TaskEnded {
        /// The task.
        task_id: TaskId,
        /// The media whose URLs it works on; none in a run of URLs.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        media_ids: Vec<MediaId>,
        /// Its URL, or the first of them.
        url: Option<String>,
        /// `Complete` or `Failed`.
        status: TaskStatus,
        /// Why it failed.
        description: Option<String>,
    },
    /// A media has its verdict; where it is preloaded afterwards, on both.
    MediaEnded {
        /// The media.
        media_id: MediaId,
        /// Its job.
        job_id: Option<JobId>,
        /// The verdict.
        state: MediaState,
        /// Why it failed.
        error: Option<ReportedError>,
    },
    /// Everything has its verdict, and nodes of the CDN are asked for what is complete.
    CheckingEdge {
        /// URLs that are asked for.
        urls: u64,
        /// URLs of which these are a sample.
        of: u64,
    },
    /// A node of the CDN serves a copy of what is complete that is older than the submission: it is failed by that.
    StaleAtEdge {
        /// The media; none in a run of URLs.
        #[serde(skip_serializing_if = "Option::is_none")]
        media_id: Option<MediaId>,
        /// The URL.
        url: String,
        /// The node.
        node: String,
        /// What shows the age of the copy.
        reason: String,
    },
    /// Nodes of the CDN were asked: how many of their answers gave each verdict.
    EdgeChecked {
        /// Newer than the submission.
        fresh: u64,
        /// Older than the submission.
        stale: u64,
        /// A miss.
        absent: u64,
        /// Not certain.
        unknown: u64,
        /// Why the first of those is not certain.
        why_unknown: Option<String>,
    },
    /// A call failed and will be repeated.
    Retrying {
        /// The action.
        action: &'static str,
        /// Which attempt failed, from 1.
        attempt: u32,
        /// Milliseconds until the next.
        wait_ms: u64,
        /// What went wrong.
        error: ReportedError,
    },
    /// The machine's clock is off; signatures use the service's time.
    ClockCorrected {
        /// This machine's time.
        #[serde(serialize_with = "wire_time")]
        ours: DateTime<Utc>,
        /// The service's time.
        #[serde(serialize_with = "wire_time")]
        theirs: DateTime<Utc>,
        /// Seconds that ours is behind (negative: ahead).
        behind_s: i64,
    },
    /// Something that a person should know and that changes nothing.
    Warning {
        /// In words.
        message: String,
    },
    /// The run is over.
    Finished {
        /// The verdict.
        outcome: Outcome,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
