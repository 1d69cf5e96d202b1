//! `DescribeVodRefreshTasks`: how far the CDN is with a task.
//!
//! Source: "DescribeVodRefreshTasks" of the VOD API (2017-03-21). Its service address is cn-shanghai only.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use http::Method;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::client::{Service, VodClient};
use super::lenient::Fields;
use crate::auth::rpc::Params;
use crate::error::{ErrorKind, Result};
use crate::ids::TaskId;
use crate::net::clock::to_wire;

pub(crate) const ACTION: &str = "DescribeVodRefreshTasks";
/// Not published; the CDN's own twin of this call allows 5 a second. Source: "DescribeRefreshTasks" of the CDN API.
pub(crate) const PER_SECOND: f64 = 5.0;
/// Most rows on a page. Source: "DescribeVodRefreshTasks", parameter `PageSize`.
pub(crate) const MAX_PAGE_SIZE: u32 = 50;
/// An id has at most 2,000 URLs (merge rule of "RefreshVodObjectCaches"), so 40 pages; more is a service in a loop.
const MAX_PAGES: u32 = 60;

/// The CDN's word on one row.
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
    /// A word we do not know. Not final.
    Other(Box<str>),
}

impl TaskStatus {
    /// Whether nothing more will happen.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Complete | Self::Failed)
    }

    /// The service's own word.
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The service's word for what the task does to the URL: `file`, `preload`, older services `path`. Not kept in the
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
        Some(Self {
            task: TaskId::new(fields.text("TaskId")?.trim()).ok()?,
            object_path: fields.text("ObjectPath").unwrap_or_default(),
            status: fields.text("Status").unwrap_or_default().into(),
            progress: progress(&fields.text("Process").unwrap_or_default()),
            created_at: fields.text("CreationTime").and_then(|t| t.parse().ok()),
            description: fields.text("Description"),
            object_type: fields.text("ObjectType").map(|word| word.trim().into()),
        })
    }
}

/// `100%`, `99.37%` or a bare `10`.
fn progress(text: &str) -> u8 {
    let number: f64 = text.trim().trim_end_matches('%').trim().parse().unwrap_or(0.0);
    // `as` saturates and makes NaN 0.
    number.clamp(0.0, 100.0) as u8
}

/// What to ask for. A task id can't be empty, so unrelated tasks of the account never come back for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskQuery {
    /// The task.
    pub task: TaskId,
    /// From 1.
    pub page: u32,
}

/// What narrows a listing. The service takes no domain and no status without an object type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFilter {
    /// As rows have it in [`TaskRow::object_type`].
    pub object_type: Box<str>,
    /// Only URLs of this domain.
    pub domain: Option<Box<str>>,
    /// Only tasks that stand so. The service knows no filter for [`TaskStatus::Pending`].
    pub status: Option<TaskStatus>,
}

impl TaskFilter {
    fn params(&self) -> impl Iterator<Item = (String, String)> {
        let domain = self.domain.as_deref().map(|domain| ("DomainName", domain));
        let status = self.status.as_ref().map(|status| ("Status", status.as_str()));
        [Some(("ObjectType", &*self.object_type)), domain, status]
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
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
}

/// All rows of one task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskRows {
    /// As they were read; a URL may stand in several.
    pub rows: Vec<TaskRow>,
    /// How many the service counts, if it said so; it may be wrong.
    pub total: Option<u64>,
}

impl VodClient {
    /// One page about one task, with 50 rows at most.
    ///
    /// Rows of other tasks are left out. A task that is not visible yet has no rows. Repeated freely; cancel safe.
    ///
    /// # Errors
    ///
    /// What the call met; an answer without a readable list is [`ErrorKind::Garbled`].
    pub async fn describe_vod_refresh_tasks(&self, query: &TaskQuery) -> Result<TaskPage> {
        let params = Params::from([
            ("TaskId".to_owned(), query.task.to_string()),
            ("PageNumber".to_owned(), query.page.to_string()),
            ("PageSize".to_owned(), MAX_PAGE_SIZE.to_string()),
        ]);
        let page = match self.task_page(params).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(TaskPage { rows: Vec::new(), rows_on_page: 0, total: Some(0) });
            }
            other => other?,
        };
        let (ours, others): (Vec<_>, Vec<_>) = page.rows.into_iter().partition(|row| row.task == query.task);
        if !others.is_empty() {
            warn!(task_id = %query.task, rows = others.len(), "the answer has rows of other tasks; left out");
        }
        Ok(TaskPage { rows: ours, ..page })
    }

    /// One page of the account's tasks that were made in a time window, newest first, with 50 rows at most.
    ///
    /// `window` is in the service's time and lies within its last three days. What a `filter` leaves out may be there all
    /// the same: how the service applies it is documented in outline only. Repeated freely; cancel safe.
    ///
    /// # Errors
    ///
    /// As [`describe_vod_refresh_tasks`](Self::describe_vod_refresh_tasks).
    pub async fn list_refresh_tasks(
        &self,
        window: (DateTime<Utc>, DateTime<Utc>),
        filter: Option<&TaskFilter>,
        page: u32,
    ) -> Result<TaskPage> {
        let mut params = Params::from([
            ("StartTime".to_owned(), to_wire(window.0)),
            ("EndTime".to_owned(), to_wire(window.1)),
            ("PageNumber".to_owned(), page.to_string()),
            ("PageSize".to_owned(), MAX_PAGE_SIZE.to_string()),
        ]);
        params.extend(filter.into_iter().flat_map(TaskFilter::params));
        self.task_page(params).await
    }

    async fn task_page(&self, params: Params) -> Result<TaskPage> {
        let answer = self.call(Service::Tasks, ACTION, Method::POST, params, true).await?;
        let fields = answer.fields();
        let tasks = fields.and_then(|f| f.get("Tasks"));
        let list = match tasks.and_then(Fields::of) {
            Some(tasks) => tasks.get("Task"),
            None => tasks,
        };
        let rows = match list {
            None => &[][..],
            Some(serde_json::Value::Array(rows)) => rows.as_slice(),
            Some(_) => return Err(answer.garbled("Tasks.Task is no list").with_action(ACTION)),
        };
        let total = fields.and_then(|f| f.number("TotalCount"));
        let read = rows.iter().filter_map(Fields::of).filter_map(TaskRow::read).collect();
        Ok(TaskPage { rows: read, rows_on_page: rows.len(), total })
    }

    /// All rows of one task, page by page.
    ///
    /// Each URL once, with its newest answer. Pages end when the total is reached, when a page is not full, or when one
    /// brings nothing new: totals may be absent or wrong, and rows may move between pages. Cancel safe.
    ///
    /// # Errors
    ///
    /// As [`describe_vod_refresh_tasks`](Self::describe_vod_refresh_tasks).
    pub async fn task_rows(&self, task: &TaskId) -> Result<TaskRows> {
        let mut rows: Vec<TaskRow> = Vec::new();
        let mut seen = HashSet::new();
        let mut total = None;
        for page in 1..=MAX_PAGES {
            let answer = self.describe_vod_refresh_tasks(&TaskQuery { task: task.clone(), page }).await?;
            let before = rows.len();
            total = answer.total;
            rows.extend(answer.rows.into_iter().filter(|row| seen.insert(row.object_path.clone())));
            let done = match total {
                Some(total) if total > 0 => rows.len() as u64 >= total,
                _ => answer.rows_on_page < MAX_PAGE_SIZE as usize,
            };
            if done || rows.len() == before {
                break;
            }
        }
        Ok(TaskRows { rows, total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
