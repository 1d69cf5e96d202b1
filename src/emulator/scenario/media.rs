//! How one media behaves: on submission, in lookups, as tasks, in its event, and how all of them show it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;
use super::spelling::{ListStyle, RowSpelling};

/// How one media behaves. The default is a media in good health.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaScript {
    /// It does not exist: listed in `NonExistMediaIds`.
    pub missing: bool,
    /// The caller may not use it: listed in `ForbiddenMediaIds`.
    pub forbidden: bool,
    /// Handing its URLs to the CDN fails: status `fail` in lookups and in the event.
    pub submit_fail: Option<SubmitFail>,
    /// Its playback URLs; empty: they are made up.
    pub urls: Vec<String>,
    /// How many URLs are made up, instead of the scenario's `urls_per_media`.
    pub url_count: Option<usize>,
    /// Status `success`, with no URLs and no task ids.
    pub no_urls: bool,
    /// Its task ids, in the order of the URLs; those that are not given are made up.
    pub task_ids: Vec<String>,
    /// How long its tasks take, instead of the scenario's `task_duration`.
    #[serde(with = "duration::option")]
    pub task_duration: Option<Duration>,
    /// How long its tasks are `Pending`, instead of the scenario's `pending_for`.
    #[serde(with = "duration::option")]
    pub pending_for: Option<Duration>,
    /// Which of its tasks end as `Failed`: `true`, the first so many, or a list of places from 0.
    pub failed_tasks: Which,
    /// Only tasks of this type fail or stay `Refreshing`, `Refresh` or `Preload`; default: of both.
    pub failing_type: Option<String>,
    /// What failed tasks say as `Description`; default `Internal Error`.
    pub failed_description: Option<String>,
    /// Which of its tasks stay `Refreshing` for ever, written as in `failed_tasks`.
    pub never_complete: Which,
    /// All its URLs share one task id, which then has several rows; with more than 50 URLs, several pages.
    pub merged_tasks: bool,
    /// So many rows of other people's URLs stand under each of its task ids.
    pub foreign_rows: usize,
    /// Status word of those rows; default `Complete`.
    pub foreign_status: Option<String>,
    /// So long after the CDN got the URLs, `DescribeVodRefreshTasks` does not show its tasks.
    #[serde(with = "duration")]
    pub invisible_for: Duration,
    /// So many queries for one of its task ids find nothing.
    pub invisible_looks: u32,
    /// So long after the CDN got the URLs, `GetMediaRefreshJobs` does not show it.
    #[serde(with = "duration")]
    pub lookup_empty_for: Duration,
    /// So many lookups of its job do not show it, once the URLs are with the CDN.
    pub lookup_empty_looks: u32,
    /// How lookups, rows and events show it.
    pub telling: Telling,
    /// What becomes of its event.
    pub event: EventScript,
}

/// Why the CDN did not take the URLs of a media.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmitFail {
    /// `ErrorCode`, as `InvalidDomain.NotFound` or `PreloadQueueFull`.
    pub code: String,
    /// `ErrorMessage`.
    #[serde(default)]
    pub message: String,
}

/// Some of a media's tasks, counted in the order of its URLs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Which {
    /// All of them, or none.
    All(bool),
    /// The first so many.
    First(usize),
    /// Those at these places, from 0.
    At(Vec<usize>),
}

impl Default for Which {
    fn default() -> Self {
        Self::All(false)
    }
}

impl Which {
    /// Whether the task at this place, from 0, is meant.
    pub fn holds(&self, place: usize) -> bool {
        match self {
            Self::All(all) => *all,
            Self::First(count) => place < *count,
            Self::At(places) => places.contains(&place),
        }
    }
}

/// What becomes of a media's event. The default: sent once, rightly signed, after the scenario's `event_delay`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventScript {
    /// It is never sent.
    pub lost: bool,
    /// Wait after the URLs are with the CDN, instead of the scenario's `event_delay`.
    #[serde(with = "duration::option")]
    pub delay: Option<Duration>,
    /// It is sent twice.
    pub double: bool,
    /// It is sent at once, and the submit answer is held back for so long.
    #[serde(with = "duration::option")]
    pub early: Option<Duration>,
    /// A rightly signed event with these task ids goes ahead of it. These tasks then exist and are `Complete`.
    pub forged_first: Vec<String>,
    /// An event without signature headers that says `fail` goes ahead of it. Over HTTP only: who can't sign can't write to
    /// the queue either.
    pub unsigned_fail_first: bool,
    /// An event with these task ids follows it, with the very headers of the one before: they prove no body. These tasks
    /// then exist and are `Complete`. Over HTTP only, since the queue has no such headers.
    pub replayed_with: Vec<String>,
    /// It names only the first of its URLs and tasks.
    pub partial: bool,
    /// It comes without the signature headers.
    pub unsigned: bool,
    /// Its signature is wrong.
    pub bad_signature: bool,
    /// It was signed ten minutes ago.
    pub stale_timestamp: bool,
    /// Another status word than `success` or `fail`.
    pub status: Option<String>,
    /// `Extend` is an object, not a text holding JSON.
    pub extend_as_object: bool,
}

impl MediaScript {
    /// A media that does not exist.
    pub fn missing() -> Self {
        Self { missing: true, ..Self::default() }
    }

    /// A media that the caller may not use.
    pub fn forbidden() -> Self {
        Self { forbidden: true, ..Self::default() }
    }

    /// A media whose URLs the CDN does not take.
    pub fn failing(code: impl Into<String>, message: impl Into<String>) -> Self {
        let fail = SubmitFail { code: code.into(), message: message.into() };
        Self { submit_fail: Some(fail), ..Self::default() }
    }

    /// Changes any field: `MediaScript::default().with(|m| m.url_count = Some(3))`.
    #[must_use]
    pub fn with<T>(mut self, change: impl FnOnce(&mut Self) -> T) -> Self {
        change(&mut self);
        self
    }

    /// The `Description` of its failed tasks.
    pub(crate) fn failure(&self) -> &str {
        self.failed_description.as_deref().unwrap_or("Internal Error")
    }
}

/// How rows, lookups and events show one media. The default is honest.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telling {
    /// How rows spell its URLs.
    pub row_spelling: RowSpelling,
    /// Its rows under one task id come to light one after another.
    pub rows_one_by_one: OneByOne,
    /// Which of its tasks have a second row, written as in `failed_tasks`.
    pub double_rows: Which,
    /// How second rows end; none: as the first.
    pub second_ends: Option<SecondEnd>,
    /// The status word of its rows before their end.
    pub status_word: Option<String>,
    /// How lookups and events write its lists.
    pub list_style: ListStyle,
    /// An object stands among its task ids.
    pub garbage_in_lists: bool,
    /// Lookups name its URLs and tasks one after another.
    pub lookup_grows: OneByOne,
    /// A lookup shows it in two rows.
    pub lookup_split: bool,
    /// So long after the CDN got the URLs, lookups show it with `pending_word` and no lists.
    #[serde(with = "duration")]
    pub lookup_pending_for: Duration,
    /// Its status word in lookups for so long; none: null.
    pub pending_word: Option<String>,
}

/// Whether entries come to light one after another, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneByOne {
    /// `true`: one more with each look; `false`: all at once.
    Looks(bool),
    /// One more each time that so long has passed since the first look.
    Every(#[serde(with = "duration")] Duration),
}

impl Default for OneByOne {
    fn default() -> Self {
        Self::Looks(false)
    }
}

/// How the second row of a URL ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondEnd {
    /// `Complete`.
    Complete,
    /// `Failed`.
    Failed,
    /// It stays as it is before its end.
    Never,
}
