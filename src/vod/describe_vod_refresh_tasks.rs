//! `DescribeVodRefreshTasks`: how far the CDN is with a task.
//!
//! Source: "DescribeVodRefreshTasks" of the VOD API (2017-03-21). Its service address is cn-shanghai only.

use std::collections::HashMap;
use std::iter;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::actions::QUERY_TASKS;
use super::client::{VodClient, or_if_not_found};
use super::lenient::Fields;
use super::service::Body;
use crate::auth::rpc;
use crate::client::Answer;
use crate::error::{Error, ErrorKind, Fate, Result};
use crate::ids::TaskId;
use crate::net::clock::to_wire;

/// Most rows on a page. Source: "DescribeVodRefreshTasks", parameter `PageSize`.
pub(crate) const MAX_PAGE_SIZE: u32 = 50;
/// A task has at most 2,000 URLs (merge rule of "RefreshVodObjectCaches"): so many pages where a page has only ten rows,
/// whatever was asked for. More pages are a service in a loop.
const MAX_PAGES: u32 = 200;

/// How far the CDN is with one URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum TaskStatus {
    /// Waiting.
    Pending,
    /// Running; also used for prefetches.
    Refreshing,
    /// Done. Final.
    Complete,
    /// Failed; see the row's description. Final.
    Failed,
    /// A status that is not known here. Not final.
    Other(Box<str>),
}

impl TaskStatus {
    /// Whether nothing more will happen.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Complete | Self::Failed)
    }

    /// The status as the service writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "Pending",
            Self::Refreshing => "Refreshing",
            Self::Complete => "Complete",
            Self::Failed => "Failed",
            Self::Other(word) => word,
        }
    }
}

impl From<String> for TaskStatus {
    fn from(word: String) -> Self {
        let known = [Self::Pending, Self::Refreshing, Self::Complete, Self::Failed];
        let word = word.trim();
        known
            .into_iter()
            .find(|k| k.as_str().eq_ignore_ascii_case(word))
            .unwrap_or_else(|| Self::Other(word.into()))
    }
}

impl From<TaskStatus> for String {
    fn from(status: TaskStatus) -> Self {
        status.as_str().to_owned()
    }
}

/// One URL of a task. One task id may have several rows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskRow {
    /// The task.
    pub task: TaskId,
    /// The URL, as the CDN spells it.
    pub object_path: String,
    /// Where it stands.
    pub status: TaskStatus,
    /// 0 to 100; for display, the status decides.
    pub progress: u8,
    /// When the CDN took it.
    pub created_at: Option<DateTime<Utc>>,
    /// Why it failed.
    pub description: Option<String>,
    /// What the task does to the URL, as the service writes it: `file`, `preload`, older services `path`. Not kept in the
    /// journal: it serves listings only.
    #[serde(skip)]
    pub object_type: Option<Box<str>>,
}

impl TaskRow {
    /// A row made by hand, as tests and benchmarks need them.
    pub fn new(task: TaskId, object_path: impl Into<String>, status: TaskStatus) -> Self {
        let object_path = object_path.into();
        Self {
            task,
            object_path,
            status,
            progress: 0,
            created_at: None,
            description: None,
            object_type: None,
        }
    }

    fn read(fields: Fields<'_>) -> Option<Self> {
        let text = |name| fields.text(name).unwrap_or_default();
        let task = TaskId::new(fields.id("TaskId")?).ok()?;
        Some(Self {
            progress: progress(&text("Process")),
            created_at: text("CreationTime").parse().ok(),
            description: fields.text("Description"),
            object_type: fields.text("ObjectType").map(|name| name.trim().into()),
            ..Self::new(task, text("ObjectPath"), text("Status").into())
        })
    }
}

/// `100%`, `99.37%` or a bare `10`.
fn progress(text: &str) -> u8 {
    let number: f64 = text.trim().trim_end_matches('%').trim().parse().unwrap_or(0.0);
    // `as` saturates and makes NaN 0.
    number.clamp(0.0, 100.0) as u8
}

/// What narrows a listing. The service takes no domain and no status without an object type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskFilter {
    /// As rows have it in [`TaskRow::object_type`].
    pub object_type: Box<str>,
    /// Only URLs of this domain.
    pub domain: Option<Box<str>>,
    /// Only tasks that stand so. The service knows no filter for [`TaskStatus::Pending`].
    pub status: Option<TaskStatus>,
}

impl TaskFilter {
    fn params(&self) -> impl Iterator<Item = (&'static str, String)> {
        let domain = self.domain.as_deref().map(|domain| ("DomainName", domain.to_owned()));
        let status = self.status.as_ref().map(|status| ("Status", status.as_str().to_owned()));
        [Some(("ObjectType", self.object_type.to_string())), domain, status].into_iter().flatten()
    }
}

/// One page of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskPage {
    /// The rows; asked about one task, all are of that task.
    pub rows: Vec<TaskRow>,
    /// Rows on the page, those of other tasks included.
    pub rows_on_page: usize,
    /// How many rows there are in all, if the service said so; it may be wrong.
    pub total: Option<u64>,
    /// How many rows a full page has, if the service said so: it need not be what was asked for.
    pub page_size: Option<u64>,
}

impl TaskPage {
    /// Whether there can't be more rows: the page is empty, or shorter than the service says that pages are. A total can make
    /// the reading go on, which costs a call, but never end it, which may cost rows.
    pub(crate) fn is_last(&self, rows_so_far: usize) -> bool {
        let rows = self.rows_on_page as u64;
        let is_short = self.page_size.is_some_and(|size| rows < size);
        rows == 0 || is_short && self.total.is_none_or(|total| total <= rows_so_far as u64)
    }

    /// The same of a listing, of which this is the page of that number (from 1) and those before it were full.
    pub(crate) fn ends_listing(&self, page: u32) -> bool {
        // The size is whatever the service says it is.
        let before = u64::from(page - 1).saturating_mul(self.page_size.unwrap_or_default());
        self.is_last(usize::try_from(before).unwrap_or(usize::MAX).saturating_add(self.rows_on_page))
    }
}

/// All rows of one task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskRows {
    /// As they were read, without those that equal another in all fields; a URL may stand in several.
    pub rows: Vec<TaskRow>,
    /// How many the service counts, if it said so: the most that any page named. It may be wrong.
    pub total: Option<u64>,
}

impl VodClient {
    /// One page (from 1) about one task, with 50 rows at most.
    ///
    /// Rows of other tasks are left out. A task that is not visible yet has no rows. A list that can't be read to its last row
    /// is an error ([`ErrorKind::Garbled`]).
    pub async fn describe_vod_refresh_tasks(&self, task: &TaskId, page: u32) -> Result<TaskPage> {
        let mut page = self.page_of(task, page).await?;
        let rows = page.rows.len();
        page.rows.retain(|row| row.task == *task);
        if page.rows.len() < rows {
            let others = rows - page.rows.len();
            warn!(task_id = %task, rows = others, "the answer has rows of other tasks; left out");
        }
        Ok(page)
    }

    /// The same with the rows of other tasks, should the service give any.
    async fn page_of(&self, task: &TaskId, page: u32) -> Result<TaskPage> {
        let of_task = iter::once(("TaskId", task.to_string()));
        let params = rpc::params(of_task.chain(numbers_of(page)));
        let page = self.call(&QUERY_TASKS, params, |answer| decode(answer, true)).await;
        let nothing = || TaskPage { rows: Vec::new(), rows_on_page: 0, total: Some(0), page_size: None };
        or_if_not_found(page, nothing)
    }

    /// One page of the account's tasks that were made in a time window, newest first, with 50 rows at most.
    ///
    /// `window` is in the service's time and lies within its last three days. What a `filter` leaves out may be there all
    /// the same: how the service applies it is documented in outline only. Rows without a readable task id are left out.
    pub(crate) async fn list_refresh_tasks(
        &self,
        window: (DateTime<Utc>, DateTime<Utc>),
        filter: Option<&TaskFilter>,
        page: u32,
    ) -> Result<TaskPage> {
        let window = [("StartTime", to_wire(window.0)), ("EndTime", to_wire(window.1))];
        let filter = filter.into_iter().flat_map(TaskFilter::params);
        let params = rpc::params(window.into_iter().chain(numbers_of(page)).chain(filter));
        self.call(&QUERY_TASKS, params, |answer| decode(answer, false)).await
    }

    /// The rows of one task, page by page, until `is_enough` says so of the rows so far.
    ///
    /// Without that, the reading ends with a page that is empty, that is shorter than the service says its pages are and
    /// brings the rows to their total, or that repeats the page before it. Totals may be absent or wrong, and pages may be
    /// shorter than was asked for: that costs calls, never rows. Rows may move between pages, so one may come twice in two
    /// states. A task of more than 200 pages is an error ([`ErrorKind::Garbled`]): nobody knows what rows are missing.
    pub async fn task_rows(
        &self,
        task: &TaskId,
        is_enough: impl Fn(&[TaskRow]) -> bool + Send,
    ) -> Result<TaskRows> {
        let mut all = TaskRows { rows: Vec::new(), total: None };
        // How often each row was read: twice on one page means two rows, again on a later page that rows have moved.
        let mut read: HashMap<TaskRow, usize> = HashMap::new();
        let mut before = Vec::new();
        for page in 1..=MAX_PAGES {
            let answer = self.page_of(task, page).await?;
            all.total = all.total.max(answer.total);
            let mut on_page: HashMap<&TaskRow, usize> = HashMap::new();
            for row in answer.rows.iter().filter(|row| row.task == *task) {
                let on_page = on_page.entry(row).or_default();
                *on_page += 1;
                let read = read.entry(row.clone()).or_default();
                if *on_page > *read {
                    *read = *on_page;
                    all.rows.push(row.clone());
                }
            }
            if answer.is_last(all.rows.len()) || answer.rows == before || is_enough(&all.rows) {
                return Ok(all);
            }
            before = answer.rows;
        }
        let message = format!("task {task} has more than {MAX_PAGES} pages");
        Err(Error::new(ErrorKind::Garbled, message).with_fate(Fate::Unknown).with_action(QUERY_TASKS.name))
    }
}

fn numbers_of(page: u32) -> [(&'static str, String); 2] {
    [("PageNumber", page.to_string()), ("PageSize", MAX_PAGE_SIZE.to_string())]
}

/// Reads a page. A row without a readable task id makes an answer about one task (`of_one_task`) garbled: it may be a row of
/// that task.
fn decode(answer: &Answer<Body>, of_one_task: bool) -> Result<TaskPage> {
    let fields = Fields(&answer.body);
    let rows = fields.rows("Tasks", "TaskId").ok_or_else(|| answer.garbled("Tasks is no list of rows"))?;
    let rows_on_page = rows.len();
    let read: Vec<TaskRow> = rows.into_iter().filter_map(TaskRow::read).collect();
    if of_one_task && read.len() < rows_on_page {
        return Err(answer.garbled("a row of Tasks has no readable TaskId"));
    }
    let (total, page_size) = (fields.number("TotalCount"), fields.number("PageSize"));
    Ok(TaskPage { rows: read, rows_on_page, total, page_size })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::vod::service::answer_of;

    fn page(body: Value, of_one_task: bool) -> Result<TaskPage> {
        decode(&answer_of(body), of_one_task)
    }

    #[test]
    fn no_rows_are_told_from_rows_that_cannot_be_read() {
        for tasks in [json!(null), json!({}), json!([]), json!({"Task": []}), json!({"Task": null})] {
            let read = page(json!({"Tasks": tasks, "PageSize": "50"}), true).unwrap();
            assert_eq!((read.rows_on_page, read.page_size), (0, Some(50)), "{tasks}");
        }
        let row = json!({"TaskId": "T", "Status": "Complete"});
        for tasks in [json!({"Task": [row]}), json!({ "Task": row }), json!([row]), row.clone()] {
            assert_eq!(page(json!({ "Tasks": tasks }), true).unwrap().rows.len(), 1, "{tasks}");
        }
        for tasks in [json!("x"), json!({"Task": "x"}), json!([row, 1]), json!({"Task": 0})] {
            for of_one_task in [true, false] {
                let error = page(json!({ "Tasks": tasks }), of_one_task).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Garbled, "{tasks}");
            }
        }
    }

    #[test]
    fn a_row_without_a_task_spoils_a_poll_and_no_listing() {
        for tasks in [json!({"Task": {}}), json!([{"TaskId": "T 1"}]), json!([{"ObjectPath": "u"}])] {
            assert_eq!(
                page(json!({ "Tasks": tasks }), true).unwrap_err().kind(),
                ErrorKind::Garbled,
                "{tasks}"
            );
            let listed = page(json!({ "Tasks": tasks }), false).unwrap();
            assert_eq!((listed.rows.len(), listed.rows_on_page), (0, 1), "{tasks}");
        }
    }

    #[test]
    fn a_total_keeps_the_reading_up_and_never_ends_it() {
        let page =
            |rows_on_page, page_size, total| TaskPage { rows: Vec::new(), rows_on_page, total, page_size };
        for (page, rows_so_far, is_last) in [
            (page(0, None, Some(99)), 0, true),
            (page(1, None, Some(1)), 1, false),
            (page(1, None, None), 1, false),
            (page(50, Some(50), Some(50)), 50, false),
            (page(20, Some(50), Some(120)), 20, false),
            (page(20, Some(50), Some(120)), 120, true),
            (page(20, Some(50), None), 20, true),
            (page(20, Some(50), Some(0)), 20, true),
            (page(20, Some(20), None), 20, false),
        ] {
            assert_eq!(page.is_last(rows_so_far), is_last, "{page:?}");
        }
    }

    #[test]
    fn a_listing_goes_on_whatever_size_its_pages_are_said_to_have() {
        for (page_size, page, ends) in [
            (Some(50), 2, false),
            (Some(50), 3, true),
            (None, 3, false),
            (Some(u64::MAX), 1, false),
            (Some(u64::MAX), 2, true),
            (Some(u64::MAX), u32::MAX, true),
        ] {
            let answer = TaskPage { rows: Vec::new(), rows_on_page: 20, total: Some(120), page_size };
            assert_eq!(answer.ends_listing(page), ends, "page {page} of {page_size:?} rows");
        }
    }

    #[test]
    fn progress_is_read_in_every_spelling() {
        for (text, percent) in
            [("100%", 100), ("99.37%", 99), ("10", 10), ("", 0), ("NaN", 0), ("-3%", 0), ("1e9", 100)]
        {
            assert_eq!(progress(text), percent, "{text}");
        }
    }

    #[test]
    fn only_two_words_are_final() {
        for (word, is_final) in
            [("Complete", true), ("failed", true), ("Refreshing", false), ("Archived", false), ("", false)]
        {
            assert_eq!(TaskStatus::from(word.to_owned()).is_final(), is_final, "{word}");
        }
        assert_eq!(TaskStatus::from("Archived".to_owned()).as_str(), "Archived");
    }
}
