//! `GetMediaRefreshJobs`: what became of a job, one row for each media.
//!
//! Source: "GetMediaRefreshJobs" of the VOD API (2017-03-21). Listed as GET only.

use std::collections::HashSet;

use serde::{Deserialize, Deserializer, Serialize};

use super::actions::QUERY_JOB;
use super::client::{VodClient, or_if_not_found};
use super::lenient::{Fields, List};
use super::play_url;
use super::refresh_media_play_urls::TaskType;
use super::service::Body;
use crate::auth::rpc;
use crate::client::{Answer, quoted};
use crate::error::Result;
use crate::ids::{JobId, MediaId, TaskId};

/// Most bytes that are kept of a text of the service, such as an error's. Its own have some hundred; strangers send what they
/// like.
const MAX_TEXT_BYTES: usize = 1_024;

/// How the handing over to the CDN went, for one media. It says nothing of the CDN's own work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SubmissionStatus {
    /// The URLs were handed over; task ids exist.
    Success,
    /// They could not be.
    Fail,
    /// Not decided yet: no status, or one that is not known here.
    Pending(Option<String>),
}

impl SubmissionStatus {
    /// Reads the status in any case.
    fn read(word: Option<String>) -> Self {
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
    /// What of the tasks and URLs could not be read, quoted with at most 80 characters; then neither list is known to be
    /// whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
    /// The service's code, on failure.
    pub error_code: Option<String>,
    /// The service's text, on failure. Secrets of the call that brought it are masked.
    pub error_message: Option<String>,
}

/// The fields of a row, as they were written. An event has the same.
#[derive(Debug)]
pub(crate) struct RowFields {
    pub(crate) media: Option<String>,
    pub(crate) task_type: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) tasks: List,
    pub(crate) urls: List,
    pub(crate) error_code: Option<String>,
    pub(crate) error_message: Option<String>,
}

impl RowFields {
    /// Keeps at most so many task ids and URLs; the others are counted.
    pub(crate) fn of(fields: Fields<'_>, most: usize) -> Self {
        Self {
            media: fields.id("MediaId"),
            task_type: fields.text("TaskType"),
            status: fields.text("Status"),
            tasks: fields.list("TaskIds", most),
            urls: fields.urls("SuccessPlayUrls", most),
            error_code: fields.text("ErrorCode"),
            error_message: fields.text("ErrorMessage"),
        }
    }
}

impl JobRow {
    /// A row made by hand, as tests and benchmarks need them; `urls` are joined with commas.
    pub fn new(media: MediaId, status: SubmissionStatus, tasks: Vec<TaskId>, urls: &str) -> Self {
        let (task_type, unread, error_code, error_message) = (None, None, None, None);
        let urls = split(urls);
        Self { media, task_type, status, tasks, urls, unread, error_code, error_message }
    }

    /// Makes a row of its fields. `None` without a media id. Of longer lists than `most`, the rest is left out and counts as
    /// unread. `hidden` returns what to show instead of a text that holds a secret.
    pub(crate) fn read(
        fields: RowFields,
        most: usize,
        hidden: impl Fn(&str) -> Option<String>,
    ) -> Option<Self> {
        let RowFields { tasks: ids, mut urls, .. } = fields;
        let mut unread = ids.unread;
        let mut tasks: Vec<TaskId> = Vec::new();
        let mut seen = HashSet::new();
        let mut is_too_long = ids.named > ids.entries.len();
        for text in ids.entries {
            match TaskId::new(&text) {
                Ok(id) if seen.contains(&id) => {}
                Ok(_) if tasks.len() == most => {
                    is_too_long = true;
                    break;
                }
                Ok(id) => {
                    seen.insert(id.clone());
                    tasks.push(id);
                }
                Err(_) => unread.push(text),
            }
        }
        unread.extend(urls.unread);
        urls.entries.truncate(most);
        let (named, taken) = (urls.named, urls.entries.len());
        if named > taken {
            unread.insert(0, format!("{named} URLs, of which {taken} are taken"));
        }
        if is_too_long {
            unread.insert(0, format!("{} task ids, of which {} are taken", ids.named, tasks.len()));
        }
        let unread = (!unread.is_empty()).then(|| unread.join(" "));
        Some(Self {
            media: MediaId::new(fields.media?).ok()?,
            task_type: fields.task_type.and_then(|word| TaskType::read(&word)),
            status: SubmissionStatus::read(fields.status.map(cut)),
            tasks,
            urls: urls.entries,
            unread: unread.map(|text| quoted(&text, hidden)),
            error_code: fields.error_code.map(cut),
            error_message: fields.error_message.map(cut),
        })
    }

    /// About how many bytes of memory it holds.
    pub(crate) fn weight(&self) -> usize {
        // Besides its letters, a string has its length and place, and the allocator's share.
        const OF_A_TEXT: usize = 48;
        let word = match &self.status {
            SubmissionStatus::Pending(word) => word.as_ref(),
            SubmissionStatus::Success | SubmissionStatus::Fail => None,
        };
        let texts = [self.error_code.as_ref(), self.error_message.as_ref(), self.unread.as_ref(), word];
        let lengths = texts.into_iter().flatten().chain(&self.urls).map(String::len);
        let lengths = lengths.chain(self.tasks.iter().map(|id| id.as_str().len()));
        size_of::<Self>() + lengths.map(|bytes| bytes + OF_A_TEXT).sum::<usize>()
    }

    /// Merges another row of the same media: tasks and URLs together, and the status that promises least.
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

    /// Replaces each of the service's texts for which `hidden` returns what to show instead.
    pub(crate) fn hide(&mut self, hidden: impl Fn(&str) -> Option<String>) {
        let word = match &mut self.status {
            SubmissionStatus::Pending(word) => word.as_mut(),
            SubmissionStatus::Success | SubmissionStatus::Fail => None,
        };
        let texts = [&mut self.error_code, &mut self.error_message, &mut self.unread];
        for text in word.into_iter().chain(texts.into_iter().flatten()) {
            if let Some(shown) = hidden(text) {
                *text = shown;
            }
        }
    }
}

/// Cuts a text that is longer than [`MAX_TEXT_BYTES`]. Nothing is left of the word in which it is cut: half a secret would not
/// be recognised as one.
fn cut(mut text: String) -> String {
    const ENDING: &str = "…";
    if text.len() > MAX_TEXT_BYTES {
        let fits = |end: &usize| text.is_char_boundary(*end);
        text.truncate((0..=MAX_TEXT_BYTES - ENDING.len()).rev().find(fits).unwrap_or(0));
        text.truncate(text.trim_end_matches(|letter: char| letter.is_ascii_graphic()).len());
        text.push_str(ENDING);
        text.shrink_to_fit();
    }
    text
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
        Written::Joined(text) => split(&text),
        Written::List(urls) => urls,
    })
}

fn split(list: &str) -> Vec<String> {
    let mut urls = Vec::new();
    play_url::split(list, |url| urls.push(url.to_owned()));
    urls
}

impl VodClient {
    /// The rows of a job that exist by now; none for a job that is not visible (yet).
    ///
    /// A list that can't be read to its last row is an error ([`ErrorKind::Garbled`](crate::ErrorKind::Garbled)).
    pub async fn get_media_refresh_jobs(&self, job: &JobId) -> Result<Vec<JobRow>> {
        let params = rpc::params([("MediaRefreshJobId", job.as_str())]);
        let rows = self.call(&QUERY_JOB, params, |answer| decode(answer, job, |text| self.hidden(text)));
        or_if_not_found(rows.await, Vec::new)
    }
}

fn decode(
    answer: &Answer<Body>,
    job: &JobId,
    hidden: impl Fn(&str) -> Option<String>,
) -> Result<Vec<JobRow>> {
    let rows = Fields(&answer.body).rows("MediaRefreshJobs", "MediaId");
    let rows = rows.ok_or_else(|| answer.garbled("MediaRefreshJobs is no list of rows"))?;
    // A row of another job would be a fault of the service; it must not count for this one.
    let is_of_job = |fields: &Fields<'_>| fields.id("MediaRefreshJobId").is_none_or(|id| id == job.as_str());
    let rows = rows.into_iter().filter(is_of_job).map(|fields| {
        let row = JobRow::read(RowFields::of(fields, usize::MAX), usize::MAX, &hidden);
        row.ok_or_else(|| answer.garbled("a row of MediaRefreshJobs has no readable MediaId"))
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::error::ErrorKind;
    use crate::vod::service::answer_of;

    fn rows(jobs: Value) -> Result<Vec<JobRow>> {
        let answer = answer_of(json!({ "MediaRefreshJobs": jobs }));
        decode(&answer, &JobId::new("J").unwrap(), |text| text.contains("MARK").then(|| "<secret>".into()))
    }

    #[test]
    fn a_job_without_rows_is_told_from_rows_that_cannot_be_read() {
        for nothing in [json!(null), json!([]), json!({}), json!({"MediaRefreshJob": []})] {
            assert_eq!(rows(nothing.clone()).unwrap(), [], "{nothing}");
        }
        let (named, nameless) = (json!({"MediaId": "m"}), json!({"MediaId": "not an id"}));
        for one in [named.clone(), json!([named]), json!({"MediaRefreshJob": named})] {
            assert_eq!(rows(one.clone()).unwrap().len(), 1, "{one}");
        }
        for garbled in [json!("x"), json!(1), json!([{}]), json!([named, nameless]), json!({"Row": {}})] {
            assert_eq!(rows(garbled.clone()).unwrap_err().kind(), ErrorKind::Garbled, "{garbled}");
        }
        let of_another_job = json!([{"MediaRefreshJobId": "K", "MediaId": "not an id"}]);
        assert_eq!(rows(of_another_job).unwrap(), [], "a row of another job is no business of ours");
    }

    #[test]
    fn what_cannot_be_read_of_a_row_is_quoted_and_the_rest_is_kept() {
        let long = "1".repeat(257);
        let table = [
            (json!({"MediaId": "m", "TaskIds": "T1;T2\nT1"}), 2, 0, None),
            (json!({"MediaId": "m", "TaskIds": format!("T1,{long}")}), 1, 0, Some("111")),
            (
                json!({"MediaId": "m", "TaskIds": [7e22], "SuccessPlayUrls": "https://a/1 x"}),
                0,
                1,
                Some("7e+22"),
            ),
            (
                json!({"MediaId": "m", "TaskIds": "T\u{7}", "SuccessPlayUrls": ["none"]}),
                0,
                0,
                Some("T\\u{7} none"),
            ),
            (json!({"MediaId": "m", "TaskIds": ["T1", {"a": "MARK", "b": 1}]}), 1, 0, Some("<secret>")),
        ];
        for (row, tasks, urls, unread) in table {
            let read = rows(json!([row])).unwrap().remove(0);
            assert_eq!((read.tasks.len(), read.urls.len()), (tasks, urls), "{row}");
            match unread {
                Some(quoted) => assert!(read.unread.unwrap().starts_with(quoted), "{row}"),
                None => assert_eq!(read.unread, None, "{row}"),
            }
        }
    }

    #[test]
    fn a_text_is_kept_up_to_its_limit_and_cut_between_words_beyond_it() {
        let read = |text: &str| {
            rows(json!([{"MediaId": "m", "ErrorMessage": text}])).unwrap().remove(0).error_message.unwrap()
        };
        let longest = "é".repeat(MAX_TEXT_BYTES / 2);
        assert_eq!(read(&longest), longest);
        let cut = read(&format!("{longest}é"));
        assert!(cut.len() <= MAX_TEXT_BYTES && cut.ends_with("é…"), "{cut}");
        assert_eq!(read(&format!("no route to {}", "K".repeat(MAX_TEXT_BYTES))), "no route to …");
    }
}
