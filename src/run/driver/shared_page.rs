//! A page of a listing as runs share it: who is reading it, or what it showed. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::RunId;
use crate::vod::{TaskPage, TaskRow};

/// A run that has not renewed its claim for three seconds has stopped reading the page.
const CLAIM: Duration = Duration::from_secs(3);
/// No claim is waited for longer than this: its run may live and not reach the service.
const LONGEST_CLAIM: Duration = Duration::from_secs(10);

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
    /// How many rows it had, also such as can't be read, and how many pages may have.
    #[serde(default)]
    rows_on_page: usize,
    #[serde(default)]
    page_size: Option<u64>,
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
                if by != *run
                    && now < until
                    && now.checked_sub(since).is_some_and(|age| age < LONGEST_CLAIM)
                    && !refused.contains(&key) =>
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
        let TaskPage { rows_on_page, total, page_size, .. } = *page;
        Self::Read(ReadPage { at, key: key.to_owned(), total, rows_on_page, page_size, rows })
    }

    /// What can't be read may be of another version: it counts for nothing.
    fn parsed(text: Option<&str>) -> Option<Self> {
        serde_json::from_str(text?).ok()
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
        let rows: Vec<TaskRow> = self.rows.into_iter().map(read).collect();
        let rows_on_page = self.rows_on_page.max(rows.len());
        (TaskPage { rows, rows_on_page, total: self.total, page_size: self.page_size }, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TaskId;
    use crate::vod::TaskStatus;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// What runs of one account get, one after the other: who asks at which second for a page that is not older than which.
    struct Board {
        text: Option<String>,
        runs: [RunId; 2],
    }

    impl Board {
        fn new() -> Self {
            Self { text: None, runs: [RunId::fresh(), RunId::fresh()] }
        }

        fn take_refusing(&mut self, run: usize, now: u64, since: u64, refused: &[String]) -> Take {
            let text = self.text.as_deref();
            let (text, take) = Page::take(text, at(now), at(since), &self.runs[run], "key", refused);
            self.text = text.or(self.text.take());
            take
        }

        fn take(&mut self, run: usize, now: u64, since: u64) -> String {
            match self.take_refusing(run, now, since, &[]) {
                Take::Read(page) => format!("{} rows", page.rows.len()),
                Take::Busy => "busy".to_owned(),
                Take::Claimed(_) => "claimed".to_owned(),
            }
        }

        fn post(&mut self, asked_at: u64, key: &str) {
            let mut row = TaskRow::new(TaskId::new("T").unwrap(), "https://a.test/1", TaskStatus::Complete);
            (row.progress, row.object_type) = (100, Some("file".into()));
            let page = TaskPage { rows: vec![row], rows_on_page: 1, total: Some(1), page_size: Some(50) };
            self.text = serde_json::to_string(&Page::read(&page, at(asked_at), key)).ok();
        }
    }

    #[test]
    fn one_reads_and_the_other_gets_what_is_not_too_old() {
        let mut board = Board::new();
        assert_eq!(board.take(0, 100, 95), "claimed");
        assert_eq!(board.take(1, 101, 95), "busy");
        board.post(100, "key");
        assert_eq!(board.take(1, 102, 100), "1 rows");
        assert_eq!(board.take(0, 102, 95), "1 rows");
        assert_eq!(board.take(1, 103, 101), "claimed", "it is too old");
        let Take::Read(page) = ({
            board.post(104, "key");
            board.take_refusing(1, 105, 101, &[])
        }) else {
            panic!("it was read")
        };
        let (page, key) = page.into_page();
        assert_eq!((page.rows[0].object_type.as_deref(), page.total, &*key), (Some("file"), Some(1), "key"));
    }

    #[test]
    fn a_claim_ends_with_its_holders_silence_and_in_ten_seconds_whatever_it_says() {
        let mut board = Board::new();
        board.take(0, 100, 95);
        assert_eq!(board.take(1, 102, 95), "busy");
        assert_eq!(board.take(1, 103, 95), "claimed", "it has said nothing for three seconds");
        for second in 104..113 {
            let text = Page::claimed_on(board.text.as_deref(), at(second), &board.runs[1]);
            board.text = text.or(board.text.take());
            assert_eq!(board.take(0, second, 95), "busy");
        }
        assert_eq!(board.take(0, 113, 95), "claimed", "it reads for too long");
        assert_eq!(Page::claimed_on(board.text.as_deref(), at(113), &board.runs[1]), None);
    }

    #[test]
    fn what_makes_no_sense_or_was_done_with_a_refused_key_counts_for_nothing() {
        let claim = r#"{"claimed":{"by":"x","key":"","since":{"secs":18446744073709551615,"nanos":0},"until":{"secs":18446744073709551615,"nanos":0}}}"#;
        for text in ["", "{", "null", "{\"read\":{}}", "{\"later\":1}", claim] {
            let mut board = Board { text: Some(text.to_owned()), ..Board::new() };
            assert_eq!(board.take(0, 100, 95), "claimed", "{text}");
        }
        let mut board = Board::new();
        board.post(999, "key");
        assert_eq!(board.take(0, 100, 95), "claimed", "it comes from the future");
        board.post(100, "other");
        let refused = ["other".to_owned()];
        assert!(matches!(board.take_refusing(0, 101, 95, &refused), Take::Claimed(_)));
        board.post(100, "other");
        assert_eq!(board.take(0, 101, 95), "1 rows");
    }
}
