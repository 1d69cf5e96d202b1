//! Facts: all that a run knows, in the order in which it became known. The journal keeps them as JSON; its form on disk stays.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::event::MediaRefreshEvent;
use crate::ids::{JobId, MediaId, RequestId, TaskId};
use crate::vod::{JobRow, TaskRow};

use super::report::ReportedError;

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
    /// Lookups of this job fail for longer than a call is repeated, and events told of all its media.
    LookupFailed {
        /// The job.
        job: JobId,
        /// Why.
        fault: Fault,
    },
    /// No event has told of this job for the whole grace, and there are no lookups.
    GraceOver {
        /// The job.
        job: JobId,
    },
    /// Lookups have not shown some media of this job for the whole grace.
    Unshown {
        /// The job.
        job: JobId,
        /// Those that an event told of stand on that.
        heard: bool,
        /// Those that nothing told of have failed.
        unheard: bool,
    },
    /// Not everything that was named for a media was shown within the grace.
    NotShown {
        /// Its job.
        job: JobId,
        /// The media.
        media: MediaId,
    },
    /// A job of others has no more media than are known.
    JobClosed {
        /// The job.
        job: JobId,
    },
    /// The service answers a lookup of this job with a code that nobody knows.
    JobUnclear {
        /// The job.
        job: JobId,
        /// What it answered.
        fault: Fault,
    },
    /// A task was looked at.
    TaskSeen {
        /// The task.
        task: TaskId,
        /// Its rows so far.
        rows: Vec<TaskRow>,
        /// How many the service counts, if it said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total: Option<u64>,
    },
    /// The service answers a look at this task with a code that nobody knows.
    TaskUnclear {
        /// The task.
        task: TaskId,
        /// What it answered.
        fault: Fault,
    },
    /// A page of a listing was read. What it shows of our tasks becomes facts when the round is through: a URL may stand in
    /// it twice, on different pages.
    Listed {
        /// Which, from 1.
        page: u32,
        /// Rows on it, those of others included.
        rows: Vec<TaskRow>,
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
