//! A page of a listing as runs share it: who is reading it, or what it showed. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::RunId;
use crate::vod::{TaskPage, TaskRow};

/// Who says nothing for so long is not reading the page any more.
const CLAIM: Duration = Duration::from_secs(3);
/// Nobody is waited for longer than this: it may live, and not reach the service.
const LONGEST_CLAIM: Duration = Duration::from_secs(10);
/// Longest text of a page that is read back.
const MAX_BYTES: usize = 1024 * 1024;

/// A page, as it stands in the journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Page {
    Claimed { by: RunId, key: String, since: Duration, until: Duration },
    Read(ReadPage),
}

/// A page that was read.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ReadPage {
    /// When it was asked for.
    at: Duration,
    /// Of the access key that it was read with.
    key: String,
    total: Option<u64>,
    /// Each row, with its object type.
    rows: Vec<(TaskRow, Option<Box<str>>)>,
}

/// What a run that wants a page gets.
#[derive(Debug)]
pub(super) enum Take {
    /// It was read recently enough.
    Read(ReadPage),
    /// Another run is reading it.
    Busy,
    /// It is this run's to read, from this time on.
    Claimed(Duration),
}

impl Page {
    /// Takes a page that was read since then, or claims it for `run`. What was done with one of the `refused` keys counts for
    /// nothing. Returns what is to be written as well.
    pub(super) fn take(
        text: Option<&str>,
        now: Duration,
        since: Duration,
        run: &RunId,
        key: &str,
        refused: &[String],
    ) -> (Option<String>, Take) {
        match Self::parsed(text) {
            Some(Self::Read(read)) if read.at >= since && read.at <= now && !refused.contains(&read.key) => {
                (None, Take::Read(read))
            }
            Some(Self::Claimed { by, key, since, until })
                if by != *run && now < until && now < since + LONGEST_CLAIM && !refused.contains(&key) =>
            {
                (None, Take::Busy)
            }
            _ => {
                let claim =
                    Self::Claimed { by: run.clone(), key: key.to_owned(), since: now, until: now + CLAIM };
                (serde_json::to_string(&claim).ok(), Take::Claimed(now))
            }
        }
    }

    /// What is to be written while `run` goes on reading, if it is still the one.
    pub(super) fn claimed_on(text: Option<&str>, now: Duration, run: &RunId) -> Option<String> {
        match Self::parsed(text)? {
            Self::Claimed { by, key, since, .. } if by == *run => {
                serde_json::to_string(&Self::Claimed { by, key, since, until: now + CLAIM }).ok()
            }
            _ => None,
        }
    }

    /// A page that was asked for at `at`.
    pub(super) fn read(page: &TaskPage, at: Duration, key: &str) -> Self {
        let rows = page.rows.iter().map(|row| (row.clone(), row.object_type.clone())).collect();
        Self::Read(ReadPage { at, key: key.to_owned(), total: page.total, rows })
    }

    /// What can't be read may be of another version: it counts for nothing.
    fn parsed(text: Option<&str>) -> Option<Self> {
        serde_json::from_str(text.filter(|text| text.len() <= MAX_BYTES)?).ok()
    }
}

impl ReadPage {
    /// The page as if it had been read now, and the key that it was read with.
    pub(super) fn into_page(self) -> (TaskPage, String) {
        let read = |(row, object_type): (TaskRow, _)| TaskRow {
            object_type,
            progress: row.progress.min(100),
            ..row
        };
        let rows = self.rows.into_iter().map(read);
        let rows: Vec<TaskRow> = rows.collect();
        let page = TaskPage { rows_on_page: rows.len(), rows, total: self.total, page_size: None };
        (page, self.key)
    }
}
