//! How the cloud tells of a media: in other spellings and shapes, little by little, late, twice.
//!
//! This page belongs to that of the [scenario](super::scenario). Its first table is the field `telling` of a media, so of
//! `default_media` as well; the second is the field `pages` of the cloud. None of it changes how the tasks of a media end;
//! only second rows have ends of their own. A field that is left out is honest.
//!
//! ```json
//! {
//!   "pages": {"size": 20, "size_named": "asked", "total": "too_low", "shift": 2},
//!   "default_media": {"telling": {"row_spelling": "encoded", "list_style": "array"}},
//!   "media": {
//!     "slow":  {"url_count": 5, "merged_tasks": true, "telling": {"rows_one_by_one": "3s", "lookup_grows": true}},
//!     "twice": {"telling": {"double_rows": [1], "second_ends": "failed"}},
//!     "stuck": {"telling": {"lookup_pending_for": "20m", "pending_word": "processing"}}
//!   }
//! }
//! ```
//!
//! # One media
//!
//! | field | default | meaning |
//! |---|---|---|
//! | `row_spelling` | `same` | how `ObjectPath` is spelt where `SuccessPlayUrls` has the URL itself, see below |
//! | `rows_one_by_one` | false | its rows under one task id come to light one after another: `true`: one more with each look at the id (a query for its first page), or one more each time that this duration has passed since the first look. `TotalCount` counts those that are shown; listings show what was shown before. Media that share an id take turns in the order of their rows |
//! | `double_rows` | none | the tasks that have a second row with the same URL: `true`, a number (the first so many), or a list of places from 0 |
//! | `second_ends` | as the first | how the second row ends: `complete`, `failed`, `never` |
//! | `status_word` | none | what its rows have as `Status` before their end, for `Pending` and `Refreshing` |
//! | `list_style` | `comma` | how `TaskIds` and `SuccessPlayUrls` are written in lookups and events, see below |
//! | `garbage_in_lists` | false | an object, `{"id":7}`, stands among its task ids, after the first |
//! | `lookup_grows` | false | lookups name its first URL and task at first and one more at a time, with `Status` `success` all along; written as in `rows_one_by_one` |
//! | `lookup_split` | false | a lookup shows it in two rows, each with half of its URLs and tasks; not if it has only one |
//! | `lookup_pending_for` | `0s` | so long after the CDN got the URLs, lookups show it without lists and with another `Status`; `87600h` is for ever. Events do not care |
//! | `pending_word` | null | that `Status` |
//!
//! | spelling | of `https://cdn.test/ü/1.mp4` |
//! |---|---|
//! | `same` | as it is |
//! | `http` | `http://cdn.test/ü/1.mp4`; of a URL with `http`, one with `https` |
//! | `no_scheme` | `cdn.test/ü/1.mp4` |
//! | `upper_host` | `https://CDN.TEST/ü/1.mp4` |
//! | `port` | `https://cdn.test:443/ü/1.mp4` |
//! | `encoded` | `https://cdn.test/%C3%BC/1%2Emp4`: every byte of the path but letters, digits, `/` and `%` |
//! | `fragment` | `https://cdn.test/ü/1.mp4#t=0` |
//! | `other` | `https://cdn.test/origin/ü/1.mp4`: no rule tells that it is the same |
//!
//! | list | of `1` and `2` |
//! |---|---|
//! | `comma`, `semicolon`, `blank`, `lines` | a text: `1,2`, `1;2`, `1 2`, or a line for each |
//! | `array` | `["1", "2"]` |
//! | `json_text` | a text that holds this array |
//! | `object` | `{"Entry": ["1", "2"]}` |
//!
//! # Pages of `DescribeVodRefreshTasks`
//!
//! They are the same for all task ids and for listings.
//!
//! | field | default | meaning |
//! |---|---|---|
//! | `size` | as asked | a page has at most so many rows, whatever was asked |
//! | `size_named` | `right` | what the answer has as `PageSize`: the `right` one, the one that was `asked`, or `none` |
//! | `total` | `right` | what it has as `TotalCount`: `right`, `none`, `too_low` (half of it), `too_high` (50 more), `zero`, `text` |
//! | `shift` | 0 | so many rows move from the front of a task's rows to their end with each query: who reads page after page sees as many twice and misses as many, and sees these when it reads them all again |

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::duration;
use super::lookup;
use super::media::{MediaScript, Which};
use super::spelling::{ListStyle, RowSpelling};
use super::store::{End, MediaRow, TaskRow};

/// How the cloud tells of one media. The default is honest.
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

/// Whether things are told one after another, and how fast.
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

/// How often something was looked at, and since when.
#[derive(Debug, Default)]
pub(super) struct Looks {
    count: usize,
    first: Option<DateTime<Utc>>,
}

impl Looks {
    pub(super) fn again(&mut self, now: DateTime<Utc>) {
        self.count += 1;
        self.first.get_or_insert(now);
    }
}

impl OneByOne {
    /// How many entries are told by now.
    pub(super) fn told(self, looks: &Looks, now: DateTime<Utc>) -> usize {
        match self {
            Self::Looks(false) => usize::MAX,
            Self::Looks(true) => looks.count.max(1),
            Self::Every(span) => {
                let passed = looks.first.map_or(0, |first| (now - first).num_milliseconds().max(0));
                let more =
                    passed.unsigned_abs().checked_div(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
                more.and_then(|more| usize::try_from(more).ok())
                    .map_or(usize::MAX, |more| more.saturating_add(1))
            }
        }
    }
}

/// The rows by which the CDN tells of one task, out of the honest one.
pub(super) fn task_rows(
    script: &MediaScript,
    place: usize,
    honest: TaskRow,
) -> impl Iterator<Item = TaskRow> {
    let telling = &script.telling;
    let first = TaskRow { url: telling.row_spelling.of(&honest.url), ..honest };
    let second = telling.double_rows.holds(place).then(|| {
        let mut second = first.clone();
        match telling.second_ends {
            None => {}
            Some(SecondEnd::Complete) => second.course.end = End::Complete,
            Some(SecondEnd::Failed) => second.course.end = End::Failed(script.failure().to_owned()),
            Some(SecondEnd::Never) => second.course.end = End::Never,
        }
        second
    });
    std::iter::once(first).chain(second)
}

/// The rows by which a lookup tells of one media; `head` is what all of them have.
pub(super) fn job_rows(row: &MediaRow, head: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let telling = &row.script.telling;
    let age = (now - row.handed).to_std().unwrap_or_default();
    if age < telling.lookup_pending_for {
        let mut out = head.clone();
        out["Status"] = json!(telling.pending_word);
        return vec![out];
    }
    let told = telling.lookup_grows.told(&row.looks, now).min(row.urls.len());
    let middle = if telling.lookup_split { told.div_ceil(2) } else { told };
    let second = (middle < told).then_some(middle..told);
    let rows = std::iter::once(0..middle).chain(second).map(|part| {
        let mut out = head.clone();
        lookup::outcome(row, part, &mut out);
        out
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::Scenario;
    use crate::emulator::scenario::tests::example_of;

    #[test]
    fn the_example_of_this_page_is_read() {
        let scenario = example_of(include_str!("telling.rs"));
        let slow = &scenario.media["slow"].telling;
        assert_eq!(slow.rows_one_by_one, OneByOne::Every(Duration::from_secs(3)));
        assert_eq!(slow.lookup_grows, OneByOne::Looks(true));
        let written = serde_json::to_string(&scenario).unwrap();
        assert_eq!(serde_json::to_string(&Scenario::from_json(&written).unwrap()).unwrap(), written);
    }

    #[test]
    fn entries_come_to_light_by_looks_or_by_time() {
        let start = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
        let mut looks = Looks::default();
        let every = |ms| OneByOne::Every(Duration::from_millis(ms));
        assert_eq!((OneByOne::Looks(true).told(&looks, start), every(5).told(&looks, start)), (1, 1));
        looks.again(start);
        looks.again(start);
        let later = start + Duration::from_millis(11);
        assert_eq!(OneByOne::Looks(true).told(&looks, later), 2);
        assert_eq!(every(5).told(&looks, later), 3);
        assert_eq!(every(0).told(&looks, later), usize::MAX);
        assert_eq!(OneByOne::default().told(&looks, later), usize::MAX);
    }
}
