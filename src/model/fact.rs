//! Facts: all that a run knows, in the order in which it became known. The journal keeps them as JSON; its form on disk stays.

use serde::{Deserialize, Serialize};

use crate::edge::EdgeAnswer;
use crate::error::{Error, ErrorKind};
use crate::event::MediaRefreshEvent;
use crate::ids::{JobId, MediaId, RequestId, TaskId};
use crate::vod::{JobRow, TaskRow};

use super::code;
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

    /// Instead of an answer, the run ended.
    pub(crate) fn run_ended() -> Self {
        Self::new(ErrorKind::Unavailable, code::OUTCOME_UNKNOWN, "the run ended before the answer came")
    }
}

impl From<&Error> for Fault {
    fn from(error: &Error) -> Self {
        Self { kind: error.kind(), error: error.into() }
    }
}

/// Something that is known. Batches are numbered from 0.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fact {
    /// A batch is about to be sent: without an answer after it, its outcome is unknown.
    Submitting { batch: u32 },
    /// A batch was called back before it left: it is still to be sent.
    Withdrawn { batch: u32 },
    /// A batch was taken.
    Submitted {
        batch: u32,
        /// Its job, unless every media was refused.
        job: Option<JobId>,
        /// Media that the service does not know.
        not_found: Vec<String>,
        /// Media that the caller may not use.
        forbidden: Vec<String>,
        request_id: Option<RequestId>,
    },
    /// A batch of URLs was taken, as these tasks.
    UrlsSubmitted {
        batch: u32,
        tasks: Vec<TaskId>,
        /// Something among them that can't be read as a task id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unread: Option<String>,
        request_id: Option<RequestId>,
    },
    /// No task of a batch of URLs was found, whose answer got lost.
    UrlsNotFound { batch: u32 },
    /// A batch was certainly not taken, and is given up.
    NotSubmitted { batch: u32, fault: Fault },
    /// The answer to a batch got lost.
    OutcomeUnknown { batch: u32, fault: Fault },
    /// Nothing more is submitted; batches that were not sent are given up.
    Halted { fault: Fault },
    /// The refresh is through, and the preload of these media begins. Batches go on counting.
    PreloadBegun { media: Vec<MediaId> },
    /// An event came.
    Event(Box<MediaRefreshEvent>),
    /// A job was queried: its rows so far.
    #[serde(rename = "looked_up")]
    JobQueried { job: JobId, rows: Vec<JobRow> },
    /// Queries of jobs are refused, for any job.
    LookupsRefused { fault: Fault },
    /// They were refused, and a resumed run asks again.
    LookupsRetried,
    /// The service refuses to tell of this job.
    JobRefused { job: JobId, fault: Fault },
    /// Queries of this job fail for longer than a call is repeated, and events told of all its media.
    LookupFailed { job: JobId, fault: Fault },
    /// No event has told of this job for the whole grace, and there are no queries.
    GraceOver { job: JobId },
    /// Queries have not shown some media of this job for the whole grace.
    Unshown {
        job: JobId,
        /// Those that an event told of are as it said.
        #[serde(rename = "heard")]
        with_event: bool,
        /// Those that nothing told of have failed.
        #[serde(rename = "unheard")]
        without_event: bool,
    },
    /// Not everything that was named for a media was shown within the grace.
    NotShown { job: JobId, media: MediaId },
    /// A job of others has no more media than are known.
    JobClosed { job: JobId },
    /// The service answers a query of this job with a code that nobody knows.
    JobUnclear { job: JobId, fault: Fault },
    /// A task was polled.
    TaskSeen {
        task: TaskId,
        /// Its rows so far.
        rows: Vec<TaskRow>,
        /// How many the service counts, if it said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total: Option<u64>,
    },
    /// The service answers a poll of this task with a code that nobody knows.
    TaskUnclear { task: TaskId, fault: Fault },
    /// A page of a listing, from 1, was read. What it shows of our tasks becomes facts when the round is through: a URL may
    /// stand in it twice, on different pages.
    Listed {
        page: u32,
        /// Rows on it, those of others included.
        rows: Vec<TaskRow>,
        /// Rows of the whole listing, if the service said so.
        total: Option<u64>,
        /// Whether no page follows it.
        is_last: bool,
    },
    /// The service refuses to list tasks; where the listing was narrowed, so narrowed.
    ListingRefused,
    /// The service refuses to tell of this task.
    TaskRefused { task: TaskId, fault: Fault },
    /// Nodes of the CDN are to be asked once all media have ended: the run is not over before that.
    EdgeWanted,
    /// Nodes of the CDN were asked for a URL, as it was named, that this task shows or stands for.
    EdgeChecked { task: TaskId, url: String, answers: Vec<EdgeAnswer> },
    /// Nodes of the CDN have been asked.
    EdgeDone {
        /// What they were not asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_on_disk_stays() {
        let job = || JobId::new("J").unwrap();
        for (fact, text) in [
            (Fact::JobQueried { job: job(), rows: vec![] }, r#"{"fact":"looked_up","job":"J","rows":[]}"#),
            (
                Fact::Unshown { job: job(), with_event: true, without_event: false },
                r#"{"fact":"unshown","job":"J","heard":true,"unheard":false}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&fact).unwrap(), text);
            assert_eq!(serde_json::from_str::<Fact>(text).unwrap(), fact);
        }
    }
}
