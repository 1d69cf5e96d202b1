//! `GetMediaRefreshJobs`: what became of a job, one row for each media.
//!
//! Source: "GetMediaRefreshJobs" of the VOD API (2017-03-21). Listed as GET only.

use std::collections::HashSet;

use http::Method;
use serde::{Deserialize, Deserializer, Serialize};

use super::client::{Service, VodClient};
use super::lenient::Fields;
use super::play_url;
use super::refresh_media_play_urls::TaskType;
use crate::auth::rpc::Params;
use crate::error::{ErrorKind, Result};
use crate::ids::{JobId, MediaId, TaskId};

pub(crate) const ACTION: &str = "GetMediaRefreshJobs";
/// Documented rate for an account. Source: the QPS limits of the VOD API.
pub(crate) const PER_SECOND: f64 = 50.0;

/// How the handing over to the CDN went, for one media. It says nothing of the CDN's own work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubmissionStatus {
    /// The URLs were handed over; task ids exist.
    Success,
    /// They could not be.
    Fail,
    /// Not decided yet: no status, or a word we do not know.
    Pending(Option<String>),
}

impl SubmissionStatus {
    /// Reads the service's word in any case.
    pub(crate) fn read(word: Option<String>) -> Self {
        match word {
            Some(word) if word.trim().eq_ignore_ascii_case("success") => Self::Success,
            Some(word) if word.trim().eq_ignore_ascii_case("fail") => Self::Fail,
            other => Self::Pending(other),
        }
    }
}

/// One media of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobRow {
    /// The media.
    pub media: MediaId,
    /// Purge or prefetch, if the word is known.
    pub task_type: Option<TaskType>,
    /// Of the handing over.
    pub status: SubmissionStatus,
    /// The tasks, each once, in the order given.
    pub tasks: Vec<TaskId>,
    /// The playback URLs, in the service's spelling and order.
    #[serde(deserialize_with = "urls")]
    pub urls: Vec<String>,
    /// What of the tasks and URLs could not be read, quoted; then neither list is known to be whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
    /// The service's code, on failure.
    pub error_code: Option<String>,
    /// The service's text, on failure. Secrets of the call that brought it are masked.
    pub error_message: Option<String>,
}

impl JobRow {
    /// A row made by hand, as tests and benchmarks need them; `urls` are joined with commas.
    pub fn new(media: MediaId, status: SubmissionStatus, tasks: Vec<TaskId>, urls: &str) -> Self {
        let urls = play_url::split(urls);
        Self { media, task_type: None, status, tasks, urls, unread: None, error_code: None, error_message: None }
    }

    /// Reads a row or an event: both have the same fields. `None` without a media id.
    pub(crate) fn read(fields: Fields<'_>) -> Option<Self> {
        let mut tasks: Vec<TaskId> = Vec::new();
        let mut seen = HashSet::new();
        for text in fields.list("TaskIds") {
            match TaskId::new(&text) {
                Ok(id) if seen.insert(id.clone()) => tasks.push(id),
                Ok(_) => {}
                Err(why) => tracing::debug!(task_id = text, %why, "left out a task id"),
            }
        }
        Some(Self {
            media: MediaId::new(fields.text("MediaId")?.trim()).ok()?,
            task_type: fields.text("TaskType").and_then(|word| TaskType::read(&word)),
            status: SubmissionStatus::read(fields.text("Status")),
            tasks,
            urls: play_url::split(&fields.joined("SuccessPlayUrls")),
            unread: None,
            error_code: fields.text("ErrorCode"),
            error_message: fields.text("ErrorMessage"),
        })
    }

    /// Takes in another row of the same media: tasks and URLs together, and the status that promises least.
    pub(crate) fn absorb(&mut self, other: Self) {
        let promise = |status: &SubmissionStatus| match status {
            SubmissionStatus::Fail => 0,
            SubmissionStatus::Pending(_) => 1,
            SubmissionStatus::Success => 2,
        };
        if promise(&other.status) < promise(&self.status) {
            self.status = other.status;
        }
        self.task_type = self.task_type.or(other.task_type);
        self.tasks.extend(other.tasks);
        self.urls.extend(other.urls);
        self.unread = self.unread.take().or(other.unread);
        self.error_code = self.error_code.take().or(other.error_code);
        self.error_message = self.error_message.take().or(other.error_message);
    }

    /// Replaces each of the service's texts for which `hidden` has something to show instead.
    pub(crate) fn hide(&mut self, hidden: impl Fn(&str) -> Option<String>) {
        let word = match &mut self.status {
            SubmissionStatus::Pending(word) => word.as_mut(),
            SubmissionStatus::Success | SubmissionStatus::Fail => None,
        };
        for text in word.into_iter().chain(&mut self.error_code).chain(&mut self.error_message) {
            if let Some(shown) = hidden(text) {
                *text = shown;
            }
        }
    }
}

/// Reads what a journal holds: version 0.1.0 wrote URLs joined with commas.
fn urls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Joined(String),
        List(Vec<String>),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::Joined(text) => play_url::split(&text),
        Written::List(urls) => urls,
    })
}

impl VodClient {
    /// The rows of a job that exist by now; none for a job that is not visible (yet).
    ///
    /// Repeated freely. Cancel safe. Source: "GetMediaRefreshJobs" of the VOD API (2017-03-21).
    ///
    /// # Errors
    ///
    /// What the call met; an answer without the list is [`ErrorKind::Garbled`].
    pub async fn get_media_refresh_jobs(&self, job: &JobId) -> Result<Vec<JobRow>> {
        let params = Params::from([("MediaRefreshJobId".to_owned(), job.to_string())]);
        let answer = match self.call(Service::Media, ACTION, Method::GET, params, true).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let list = answer.fields().and_then(|fields| fields.get("MediaRefreshJobs"));
        let rows = match list {
            None => return Ok(Vec::new()),
            Some(serde_json::Value::Array(rows)) => rows,
            // Siblings of this call wrap their lists in an object with one member.
            Some(serde_json::Value::Object(wrap)) => {
                match wrap.values().find_map(serde_json::Value::as_array) {
                    Some(rows) => rows,
                    None => return Ok(Vec::new()),
                }
            }
            Some(_) => return Err(answer.garbled("MediaRefreshJobs is no list").with_action(ACTION)),
        };
        // A row of another job would be a fault of the service; it must not count for ours.
        let ours =
            |fields: &Fields<'_>| fields.text("MediaRefreshJobId").is_none_or(|id| id.trim() == job.as_str());
        Ok(rows.iter().filter_map(Fields::of).filter(ours).filter_map(JobRow::read).collect())
    }
}
