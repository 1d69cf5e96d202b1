//! The report: a view of the ledger that scripts read. Within one [`SCHEMA`] number fields are added only;
//! `src/docs/report.schema.json` describes each.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, Serializer};

use crate::edge::EdgeAnswer;
use crate::error::{Error, ErrorKind};
use crate::event::Source;
use crate::ids::{JobId, MediaId, RequestId, RunId, TaskId};
use crate::net::clock::to_wire;
use crate::vod::{ObjectType, TaskStatus, TaskType};

/// Number of the report's form.
pub const SCHEMA: u32 = 1;

/// How a run ended; each has an exit code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// Every media found, every task Complete.
    Complete,
    /// Every batch submitted, and not waited for.
    Submitted,
    /// A fault of this tool.
    Internal,
    /// Configuration or credentials are missing or unreadable.
    Config,
    /// The service refused the credentials or the permission.
    Refused,
    /// The quota does not suffice.
    Quota,
    /// Everything failed.
    Failed,
    /// Some media or tasks failed, were not found or were forbidden.
    Partial,
    /// The deadline passed; remote work goes on.
    Timeout,
    /// Throttled or unreachable past the retry budget.
    Unavailable,
    /// Stopped from outside; remote work goes on.
    Interrupted,
    /// Not over: what a look at a stored run shows.
    Unfinished,
}

impl Outcome {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Submitted => "submitted",
            Self::Internal => "internal",
            Self::Config => "config",
            Self::Refused => "refused",
            Self::Quota => "quota",
            Self::Failed => "failed",
            Self::Partial => "partial",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Interrupted => "interrupted",
            Self::Unfinished => "unfinished",
        }
    }

    /// The outcome of a run that this kind of error ended before anything was submitted, or could be followed.
    pub fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Internal | ErrorKind::Usage => Self::Internal,
            ErrorKind::Config => Self::Config,
            ErrorKind::Refused | ErrorKind::Expired | ErrorKind::Clock => Self::Refused,
            ErrorKind::Quota => Self::Quota,
            ErrorKind::NotFound | ErrorKind::Rejected => Self::Failed,
            ErrorKind::Throttled | ErrorKind::Busy | ErrorKind::Unavailable | ErrorKind::Garbled => {
                Self::Unavailable
            }
        }
    }
}

/// Where a media stands at the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MediaState {
    /// Every task is Complete.
    Complete,
    /// It could not be handed to the CDN, or a task of it failed.
    Failed,
    /// The service does not know it.
    NotFound,
    /// The caller may not use it.
    Forbidden,
    /// It was certainly not sent, or not taken.
    NotSubmitted,
    /// Still under way; or nobody knows whether it was sent, and the code is [`OUTCOME_UNKNOWN`](super::code::OUTCOME_UNKNOWN).
    /// Of a run that can be resumed no code says so: its resume sends what was not sent, and finds out about the rest.
    Unfinished,
}

impl MediaState {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::NotSubmitted => "not_submitted",
            Self::Unfinished => "unfinished",
        }
    }

    /// The state as it is told with this error: who sends again what was not submitted must not find there what may have been.
    pub(crate) fn told_with(self, error: Option<&ReportedError>) -> Self {
        if error.is_some_and(ReportedError::is_of_unknown_outcome) { Self::Unfinished } else { self }
    }

    /// Whether it counts as failed.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Complete | Self::Unfinished)
    }
}

/// What happened, media by media and URL by URL. In JSON, times are in whole seconds: read back, a report has lost the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// This run.
    pub run_id: RunId,
    /// Purge or prefetch; `None` if jobs of others never told.
    pub task_type: Option<TaskType>,
    /// Whether media whose refresh ended complete were to be preloaded afterwards.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub then_preload: bool,
    /// The verdict.
    pub outcome: Outcome,
    /// Start of the run.
    #[serde(serialize_with = "wire_time")]
    pub started_at: DateTime<Utc>,
    /// End of the run; remote work may go on.
    #[serde(serialize_with = "wire_time")]
    pub finished_at: DateTime<Utc>,
    /// The caller's own text.
    pub extend: Option<String>,
    /// Sums over the media.
    pub summary: Summary,
    /// What ended the run early, if something did.
    pub error: Option<ReportedError>,
    /// What a person should know of the run as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Whether the journal can carry this run on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumable: bool,
    /// One entry a media, in the order given; none in a run of URLs.
    pub media: Vec<MediaReport>,
    /// One entry a URL, in the order given, in a run of URLs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<UrlReport>,
}

impl Report {
    /// The entries of whatever the run was of: its media, or its URLs as media without an id.
    pub fn entries(&self) -> Cow<'_, [MediaReport]> {
        match self.urls.as_slice() {
            [] => Cow::Borrowed(&self.media),
            urls => Cow::Owned(urls.iter().map(UrlReport::as_media).collect()),
        }
    }

    /// What [`entries`](Self::entries) are called: `media`, which is its own plural, or `URL`.
    pub fn noun(&self) -> &'static str {
        if self.urls.is_empty() { "media" } else { "URL" }
    }
}

/// Sums. Every media is in exactly one of complete, failed and unfinished; so is every task.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// Media in the run.
    pub media: u64,
    /// With every task Complete.
    pub media_complete: u64,
    /// Failed, not found, forbidden or not submitted.
    pub media_failed: u64,
    /// Still under way.
    pub media_unfinished: u64,
    /// Those of a run of URLs, which has no media.
    #[serde(flatten)]
    pub of_urls: Option<UrlSums>,
    /// URLs, which are the rows of tasks.
    pub tasks: u64,
    /// Complete.
    pub tasks_complete: u64,
    /// Failed.
    pub tasks_failed: u64,
    /// Still under way, or never shown.
    pub tasks_unfinished: u64,
    /// HTTP requests by action, retries included: those of the process that made this report. In that of a stored run,
    /// those of all processes that drove it, but for any that was killed before it could write them down.
    pub api_calls: BTreeMap<String, u64>,
    /// Requests that repeated a failed one.
    pub retries: u64,
    /// The same by action; actions without any are left out.
    #[serde(default)]
    pub retries_by_action: BTreeMap<String, u64>,
    /// Answers that asked us to slow down, by action; actions without any are left out.
    #[serde(default)]
    pub throttled: BTreeMap<String, u64>,
    /// Events that told of a media of this run, each media once.
    pub events_accepted: u64,
    /// Events refused for their signature or because they could not be read.
    pub events_rejected: u64,
    /// Events of this run that told nothing new.
    pub events_repeated: u64,
    /// Events of jobs that are not of this run.
    pub events_foreign: u64,
}

impl Summary {
    /// Entries in all, complete, failed and unfinished: media, or URLs in a run of URLs.
    pub fn entries(&self) -> [u64; 4] {
        match &self.of_urls {
            Some(UrlSums { urls, urls_complete, urls_failed, urls_unfinished }) => {
                [*urls, *urls_complete, *urls_failed, *urls_unfinished]
            }
            None => [self.media, self.media_complete, self.media_failed, self.media_unfinished],
        }
    }

    /// The sums that follow from the media of a report.
    pub(crate) fn of(media: &[MediaReport]) -> Self {
        let mut summary = Self { media: media.len() as u64, ..Self::default() };
        for entry in media {
            match entry.state {
                MediaState::Complete => summary.media_complete += 1,
                MediaState::Unfinished => summary.media_unfinished += 1,
                _ => summary.media_failed += 1,
            }
            for task in &entry.tasks {
                summary.tasks += 1;
                match &task.status {
                    Some(TaskStatus::Complete) => summary.tasks_complete += 1,
                    Some(TaskStatus::Failed) => summary.tasks_failed += 1,
                    _ => summary.tasks_unfinished += 1,
                }
            }
        }
        summary
    }

    /// The same of a run of URLs, which has no media.
    pub(crate) fn of_urls(urls: &[MediaReport]) -> Self {
        let mut sums = Self::of(urls);
        sums.of_urls = Some(UrlSums {
            urls: std::mem::take(&mut sums.media),
            urls_complete: std::mem::take(&mut sums.media_complete),
            urls_failed: std::mem::take(&mut sums.media_failed),
            urls_unfinished: std::mem::take(&mut sums.media_unfinished),
        });
        sums
    }
}

/// Sums of a run of URLs. Every URL is in exactly one of complete, failed and unfinished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UrlSums {
    /// URLs that were asked for.
    pub urls: u64,
    /// Whose every task is Complete.
    pub urls_complete: u64,
    /// Failed or not submitted.
    pub urls_failed: u64,
    /// Still under way.
    pub urls_unfinished: u64,
}

/// How often the service was called, by action.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Calls {
    pub(crate) api_calls: BTreeMap<String, u64>,
    pub(crate) retries: BTreeMap<String, u64>,
    pub(crate) throttled: BTreeMap<String, u64>,
}

impl Calls {
    /// Adds those of another process.
    pub(crate) fn add(&mut self, other: &Self) {
        let add = |sums: &mut BTreeMap<String, u64>, more: &BTreeMap<String, u64>| {
            for (action, count) in more {
                *sums.entry(action.clone()).or_default() += count;
            }
        };
        add(&mut self.api_calls, &other.api_calls);
        add(&mut self.retries, &other.retries);
        add(&mut self.throttled, &other.throttled);
    }

    pub(crate) fn fill(self, summary: &mut Summary) {
        summary.api_calls = self.api_calls;
        summary.retries = self.retries.values().sum();
        summary.retries_by_action = self.retries;
        summary.throttled = self.throttled;
    }
}

/// One media.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MediaReport {
    /// The media; `None` for a job of somebody else that showed none.
    pub media_id: Option<MediaId>,
    /// The URL for which [`Report::entries`] lets the entry stand; in no report.
    #[serde(skip)]
    pub url: Option<String>,
    /// The job it went out with.
    pub job_id: Option<JobId>,
    /// The job of its preload, in a run that preloads afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preload_job_id: Option<JobId>,
    /// Where it stands; where it is preloaded afterwards, complete only if both are.
    pub state: MediaState,
    /// How its tasks became known.
    pub confirmed_by: Option<Source>,
    /// When its job id came back, by the clock of this machine; `None` if it was not taken, or somebody else submitted it.
    #[serde(default, serialize_with = "wire_time_option")]
    pub submitted_at: Option<DateTime<Utc>>,
    /// When an event or a lookup first named its tasks, by the clock of this machine.
    ///
    /// An event counts although it is only a hint: from here on the tasks are looked at. `None` if none were named, or
    /// if the lookup took back what the event had said.
    #[serde(default, serialize_with = "wire_time_option")]
    pub accepted_at: Option<DateTime<Utc>>,
    /// Why it failed.
    pub error: Option<ReportedError>,
    /// Something worth knowing that is no error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Its URLs.
    pub tasks: Vec<TaskReport>,
}

/// One URL of a run of URLs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UrlReport {
    /// The URL as it was given.
    pub url: String,
    /// What it stands for; a file where it was prefetched.
    #[serde(rename = "type")]
    pub object_type: ObjectType,
    /// Where it stands: complete, failed, not submitted or unfinished.
    pub state: MediaState,
    /// When the service took it, by the clock of this machine.
    #[serde(default, serialize_with = "wire_time_option")]
    pub submitted_at: Option<DateTime<Utc>>,
    /// Why it failed.
    pub error: Option<ReportedError>,
    /// Its tasks. Where no row has shown it, those that it may belong to.
    pub tasks: Vec<TaskReport>,
}

impl UrlReport {
    /// The same as an entry of a media without an id, for what goes through both.
    pub(crate) fn as_media(&self) -> MediaReport {
        MediaReport {
            media_id: None,
            url: Some(self.url.clone()),
            job_id: None,
            preload_job_id: None,
            state: self.state,
            confirmed_by: None,
            submitted_at: self.submitted_at,
            accepted_at: self.submitted_at,
            error: self.error.clone(),
            note: None,
            tasks: self.tasks.clone(),
        }
    }
}

/// One URL of a media. A task id may stand at several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskReport {
    /// The task.
    pub task_id: TaskId,
    /// What it is for, in a run that preloads afterwards; else the report's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_type: Option<TaskType>,
    /// The URL; `None` until the service showed it.
    pub url: Option<String>,
    /// The service's own word; `None` until it said one. An empty word is written as none.
    #[serde(serialize_with = "word")]
    pub status: Option<TaskStatus>,
    /// 0 to 100.
    pub progress: u8,
    /// When the CDN took it, by the service's clock.
    #[serde(serialize_with = "wire_time_option")]
    pub created_at: Option<DateTime<Utc>>,
    /// When an event or a lookup first named it, by the clock of this machine.
    #[serde(default, serialize_with = "wire_time_option")]
    pub known_at: Option<DateTime<Utc>>,
    /// When it was last seen unfinished, by the clock of this machine: it ended between this and `ended_at`.
    ///
    /// Looks that show nothing new are not journaled, so for a stored run it may be an earlier look.
    #[serde(default, serialize_with = "wire_time_option")]
    pub unfinished_at: Option<DateTime<Utc>>,
    /// When it was first seen ended, by the clock of this machine: the service tells no time.
    #[serde(serialize_with = "wire_time_option")]
    pub ended_at: Option<DateTime<Utc>>,
    /// Why it failed.
    pub description: Option<String>,
    /// What nodes of the CDN answered, one entry for each that was asked; empty unless an [`EdgeCheck`](crate::EdgeCheck) was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edge: Vec<EdgeAnswer>,
}

fn word<S: serde::Serializer>(status: &Option<TaskStatus>, serializer: S) -> Result<S::Ok, S::Error> {
    status.as_ref().filter(|status| !status.as_str().is_empty()).serialize(serializer)
}

/// An error in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReportedError {
    /// The service's code, one of this crate's own [`codes`](super::code), or the name of the [`ErrorKind`].
    pub code: String,
    /// The text that goes with it.
    pub message: String,
    /// The id under which the service logged the request, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

impl ReportedError {
    /// Whether it says that nobody knows what became of a submission.
    pub fn is_of_unknown_outcome(&self) -> bool {
        self.code == super::code::OUTCOME_UNKNOWN
    }

    /// An error with one of this crate's own codes.
    pub(crate) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), request_id: None }
    }
}

impl From<&Error> for ReportedError {
    fn from(error: &Error) -> Self {
        let code = error.code().map_or_else(|| format!("{:?}", error.kind()), str::to_owned);
        let mut message = error.action().map_or_else(String::new, |action| format!("{action}: "));
        message.push_str(error.message());
        if !error.points().is_empty() {
            message.push_str(&format!(" ({})", error.points().join("; ")));
        }
        Self { code, message, request_id: error.request_id().cloned() }
    }
}

/// A time as the service writes it.
pub(crate) fn wire_time<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&to_wire(*time))
}

fn wire_time_option<S: Serializer>(time: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(to_wire).serialize(serializer)
}
