//! Runs in a SQLite file (WAL, `synchronous=NORMAL`, mode 0600) that several processes share and `sqlite3` opens. A database
//! of another program is never touched.

mod file;
mod lock;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::columns::{self, IS_OF_URLS, RunRow, SHARED_FOR};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::RunId;
use crate::model::{Calls, Fact, Moment, Outcome, RunRecord, RunSummary, StoredRun};
use crate::net::clock::to_wire;

#[cfg(test)]
pub(super) use self::file::{BUSY, FIRST, LOG_BYTES};
pub(super) use self::lock::FileLock;

/// What is shared waits so long for others who write.
const SHARED_WAIT: Duration = Duration::from_millis(200);
/// Beside the tables of the runs, and no part of their form: versions that do not know it leave it alone. It is made by the
/// first process that shares anything.
const SHARED: &str = "
    CREATE TABLE IF NOT EXISTS shared (
        topic TEXT NOT NULL,
        name TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (topic, name)
    ) STRICT;
";

/// A journal file.
#[derive(Debug)]
pub(super) struct SqliteStore {
    path: PathBuf,
    /// The same, as people read it.
    place: String,
    /// Work on a blocking thread takes it along, and keeps it for as long as the disk hangs.
    connection: Arc<tokio::sync::Mutex<Connection>>,
    /// What the disk did not write in time, by its run.
    late: Mutex<HashMap<RunId, Late>>,
    /// The file that was opened: another may take its place.
    identity: Option<(u64, u64)>,
}

/// Facts whose writer was told that the disk does not answer. They come again as the first ones of the next write.
#[derive(Debug, Default)]
struct Late {
    /// How many of them are in the file by now.
    written: usize,
    /// How many will be once this is over, if it ends well.
    writing: Option<(usize, JoinHandle<Result<()>>)>,
}

impl SqliteStore {
    /// Opens or makes the file, with its folder.
    pub(super) async fn open(path: PathBuf) -> Result<Self> {
        Self::opened(path, file::open).await
    }

    /// Opens the file to look at what it holds, also where nothing can be written.
    pub(super) async fn open_to_read(path: PathBuf) -> Result<Self> {
        Self::opened(path, file::open_to_read).await
    }

    async fn opened(path: PathBuf, open: fn(&Path) -> Result<Connection>) -> Result<Self> {
        let work = move || {
            let connection = Arc::new(tokio::sync::Mutex::new(open(&path)?));
            let identity = path.metadata().ok().and_then(|found| lock::identity(&found));
            let (place, late) = (path.display().to_string(), Mutex::default());
            Ok(Self { place, path, connection, late, identity })
        };
        ended(spawn_blocking(work).await)
    }

    /// Starts work on the database where it may wait. A paused test clock stands still meanwhile.
    async fn start<T: Send + 'static>(
        &self,
        wait: Duration,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<JoinHandle<Result<T>>> {
        let connection = self.connection.clone().lock_owned();
        let mut connection = timeout(wait, connection).await.map_err(|_| self.hangs())?;
        let (path, identity) = (self.path.clone(), self.identity);
        Ok(spawn_blocking(move || {
            let done = connection.busy_timeout(wait).and_then(|()| work(&mut connection));
            let done = done.map_err(|error| file::failed(&path, &error))?;
            check_place(&path, identity)?;
            Ok(done)
        }))
    }

    /// Does work on the database. It waits so long for others who use it.
    async fn perform<T: Send + 'static>(
        &self,
        wait: Duration,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let work = self.start(wait, work).await?;
        ended(timeout(wait + file::DISK_WAIT, work).await.map_err(|_| self.hangs())?)
    }

    fn late(&self) -> MutexGuard<'_, HashMap<RunId, Late>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hangs(&self) -> Error {
        file::unusable(&self.path, "its disk does not answer")
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn hides_password(&self) -> bool {
        false
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) async fn check_place(&self) -> Result<()> {
        let (path, identity) = (self.path.clone(), self.identity);
        // A disk that hangs may still have it.
        let work = spawn_blocking(move || check_place(&path, identity));
        timeout(file::DISK_WAIT, work).await.map_or(Ok(()), ended)
    }

    pub(super) async fn begin(&self, record: &RunRecord) -> Result<()> {
        let record = record.clone();
        let work = move |connection: &mut Connection| {
            let row = RunRow::of(&record).map_err(unwritable)?;
            let insert = "INSERT INTO run (id, started_at, task_type, media, record) VALUES (?, ?, ?, ?, ?)";
            connection
                .execute(insert, params![row.id, row.started_at, row.task_type, row.media, row.record])
                .map(drop)
        };
        self.perform(file::BUSY, work).await
    }

    pub(super) async fn append(
        &self,
        run: &RunId,
        facts: Arc<Vec<(Moment, Fact)>>,
        wait: Duration,
    ) -> Result<()> {
        let mut late = self.late().remove(run).unwrap_or_default();
        let done = self.append_after(&mut late, run, facts, wait).await;
        if done.is_err() {
            self.late().insert(run.clone(), late);
        }
        done
    }

    async fn append_after(
        &self,
        late: &mut Late,
        run: &RunId,
        facts: Arc<Vec<(Moment, Fact)>>,
        wait: Duration,
    ) -> Result<()> {
        if let Some((count, writing)) = &mut late.writing {
            let written = timeout(wait, writing).await.map_err(|_| self.hangs())?;
            late.written = ended(written).map_or(late.written, |()| *count);
            late.writing = None;
        }
        let (first, count, id) = (late.written.min(facts.len()), facts.len(), run.clone());
        let insert = move |connection: &mut Connection| match &facts[first..] {
            [] => Ok(()),
            facts => insert_facts(connection, &id, facts),
        };
        let mut writing = self.start(wait, insert).await?;
        let written = timeout(wait + file::DISK_WAIT, &mut writing).await;
        let written = written.map_err(|_| self.hangs());
        if written.is_err() {
            late.writing = Some((count, writing));
        }
        ended(written?)
    }

    pub(super) async fn finish(
        &self,
        run: &RunId,
        outcome: Option<Outcome>,
        at: DateTime<Utc>,
        mut calls: Calls,
        wait: Duration,
    ) -> Result<()> {
        let run = run.clone();
        let work = move |connection: &mut Connection| {
            let (outcome, at) = columns::of_outcome(outcome, at).map_err(unwritable)?;
            let transaction = immediate(connection)?;
            let select = "SELECT calls FROM run WHERE id = ?";
            let before: Option<Option<String>> =
                transaction.query_row(select, [run.as_str()], |row| row.get(0)).optional()?;
            calls.add(&columns::to_calls(before.flatten().as_deref()).map_err(unreadable)?);
            transaction.execute(
                "UPDATE run SET outcome = ?, finished_at = ?, calls = ? WHERE id = ?",
                params![outcome, at, columns::of_calls(&calls).map_err(unwritable)?, run.as_str()],
            )?;
            transaction.commit()
        };
        self.perform(wait, work).await
    }

    pub(super) async fn load(&self, run: Option<&RunId>) -> Result<Option<StoredRun>> {
        let (run, path) = (run.cloned(), self.path.clone());
        let work = move |connection: &mut Connection| {
            let select = "SELECT record, outcome, calls FROM run";
            let stored = |row: &Row<'_>| {
                columns::to_stored(text(row, 0)?, word(row, 1)?, word(row, 2)?).map_err(unreadable)
            };
            let found = match run {
                Some(run) => connection.query_row(&format!("{select} WHERE id = ?"), [run.as_str()], stored),
                None => {
                    let newest =
                        format!("{select} WHERE outcome IS NULL ORDER BY started_at DESC, id DESC LIMIT 1");
                    connection.query_row(&newest, [], stored)
                }
            };
            let Some(mut found) = found.optional()? else { return Ok(None) };
            let mut select =
                connection.prepare("SELECT at_ms, body FROM fact WHERE run = ? ORDER BY number")?;
            let facts = select.query_map([found.record.run.as_str()], |row| {
                columns::to_fact(row.get(0)?, text(row, 1)?).map_err(unreadable)
            })?;
            found.facts = facts.collect::<Result<_, _>>()?;
            found.lost = lock::is_lost(&path, &found.record.run);
            Ok(Some(found))
        };
        self.perform(file::BUSY, work).await
    }

    pub(super) async fn runs(&self) -> Result<Vec<RunSummary>> {
        let path = self.path.clone();
        let work = move |connection: &mut Connection| {
            let mut select = connection.prepare(&format!(
                "SELECT id, task_type, outcome, started_at, media, {IS_OF_URLS} FROM run
                ORDER BY started_at DESC, id DESC"
            ))?;
            let rows = select.query_map([], |row| {
                let (id, task_type, outcome, started_at) =
                    (text(row, 0)?, word(row, 1)?, word(row, 2)?, text(row, 3)?);
                let run = columns::to_summary(id, task_type, outcome, started_at, row.get(4)?, row.get(5)?);
                let run = run.map_err(unreadable)?;
                let lost = run.outcome.is_none() && lock::is_lost(&path, &run.run_id);
                Ok(RunSummary { lost, ..run })
            })?;
            rows.collect()
        };
        self.perform(file::BUSY, work).await
    }

    pub(super) async fn prune(&self, before: DateTime<Utc>, begun_before: DateTime<Utc>) -> Result<usize> {
        let path = self.path.clone();
        let work = move |connection: &mut Connection| {
            let delete =
                "DELETE FROM run WHERE finished_at < ?1 OR (finished_at IS NULL AND started_at < ?2)";
            let dropped = connection.execute(delete, [to_wire(before), to_wire(begun_before)])?;
            lock::sweep(&path, before.into());
            Ok(dropped)
        };
        self.perform(file::BUSY, work).await
    }

    /// Where it is worth the while and nobody drives a run, who would have to wait. It takes about a second for each 100 MB
    /// that are kept.
    pub(super) async fn compact(&self) -> Result<()> {
        let path = self.path.clone();
        let work = move |connection: &mut Connection| match lock::any_driven(&path) {
            true => Ok(()),
            false => file::compact(connection),
        };
        self.perform(Duration::ZERO, work).await
    }

    pub(super) async fn update_shared<T: Send + 'static>(
        &self,
        topic: &str,
        name: &str,
        now: Duration,
        mut change: impl FnMut(Option<&str>, Duration) -> (Option<String>, T) + Send + 'static,
    ) -> Result<T> {
        let (topic, name) = (topic.to_owned(), name.to_owned());
        let work = move |connection: &mut Connection| {
            let (oldest, newest) = shared_between(now);
            connection.prepare_cached(SHARED)?.execute([])?;
            let transaction = immediate(connection)?;
            let select = "SELECT value FROM shared WHERE topic = ? AND name = ? AND at_ms BETWEEN ? AND ?";
            let before: Option<String> = transaction
                .prepare_cached(select)?
                .query_row(params![topic, name, oldest, newest], |row| row.get(0))
                .optional()?;
            let (after, result) = change(before.as_deref(), now);
            if let Some(after) = after {
                let insert = "INSERT OR REPLACE INTO shared (topic, name, at_ms, value) VALUES (?, ?, ?, ?)";
                transaction.prepare_cached(insert)?.execute(params![topic, name, millis(now), after])?;
            }
            transaction.commit()?;
            Ok(result)
        };
        self.perform(SHARED_WAIT, work).await
    }

    pub(super) async fn shared(&self, topic: &str, prefix: &str, now: Duration) -> Result<Vec<String>> {
        let (topic, prefix) = (topic.to_owned(), prefix.to_owned());
        let work = move |connection: &mut Connection| {
            let (oldest, newest) = shared_between(now);
            connection.prepare_cached(SHARED)?.execute([])?;
            let delete = "DELETE FROM shared WHERE at_ms NOT BETWEEN ? AND ?";
            connection.prepare_cached(delete)?.execute([oldest, newest])?;
            let select =
                "SELECT value FROM shared WHERE topic = ? AND substr(name, 1, length(?2)) = ?2 ORDER BY name";
            let mut select = connection.prepare_cached(select)?;
            let rows = select.query_map([topic, prefix], |row| row.get(0))?;
            rows.collect()
        };
        self.perform(SHARED_WAIT, work).await
    }

    pub(super) async fn lock(&self, run: &RunId) -> Result<Option<FileLock>> {
        let (path, run) = (self.path.clone(), run.clone());
        ended(spawn_blocking(move || FileLock::take(&path, &run)).await)
    }
}

fn insert_facts(connection: &mut Connection, run: &RunId, facts: &[(Moment, Fact)]) -> rusqlite::Result<()> {
    let transaction = immediate(connection)?;
    let next = "SELECT coalesce(max(number), 0) + 1 FROM fact WHERE run = ?";
    let first: i64 = transaction.prepare_cached(next)?.query_row([run.as_str()], |row| row.get(0))?;
    let insert = "INSERT INTO fact (run, number, at_ms, body) VALUES (?, ?, ?, ?)";
    let mut insert = transaction.prepare_cached(insert)?;
    for (number, fact) in (first..).zip(facts) {
        let (at_ms, body) = columns::of_fact(fact).map_err(unwritable)?;
        insert.execute(params![run.as_str(), number, at_ms, body])?;
    }
    drop(insert);
    transaction.commit()
}

/// Immediate: a transaction that reads first and writes then fails at once when another process wrote in between.
fn immediate(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// The times between which shared texts count: a clock may have been set back.
fn shared_between(now: Duration) -> (i64, i64) {
    (millis(now.saturating_sub(SHARED_FOR)), millis(now + SHARED_FOR))
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a str> {
    Ok(row.get_ref(column)?.as_str()?)
}

fn word<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<Option<&'a str>> {
    Ok(row.get_ref(column)?.as_str_or_null()?)
}

fn unreadable(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
}

fn unwritable(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

/// What is written to a file that was deleted or replaced is lost.
fn check_place(path: &Path, identity: Option<(u64, u64)>) -> Result<()> {
    let place = path.display();
    let message = match path.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            format!("the journal {place} is not there any more")
        }
        Ok(found) if lock::identity(&found) != identity => {
            format!("another file has taken the place of the journal {place}")
        }
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::Config, message))
}

/// How work on a blocking thread ended.
fn ended<T>(result: std::result::Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    match result {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::new(ErrorKind::Internal, "the runtime ended while the journal was in use")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Fault;

    #[tokio::test]
    async fn facts_that_a_disk_writes_late_are_there_once_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("journal.db")).await.unwrap();
        let run = RunId::fresh();
        store.begin(&RunRecord::sample(run.clone())).await.unwrap();
        let fact = |n: usize| {
            let fault = Fault::new(ErrorKind::Config, "C", n.to_string());
            (Moment::START, Fact::Halted { fault })
        };
        let facts = |count: usize| Arc::new((0..count).map(fact).collect::<Vec<_>>());
        for is_written in [false, true] {
            let (answer, hang) = std::sync::mpsc::channel::<()>();
            let (id, late) = (run.clone(), facts(2));
            let insert = move |connection: &mut Connection| {
                hang.recv().unwrap();
                match is_written {
                    true => insert_facts(connection, &id, &late),
                    false => Err(rusqlite::Error::InvalidQuery),
                }
            };
            let writing = store.start(Duration::ZERO, insert).await.unwrap();
            store.late().insert(run.clone(), Late { written: 0, writing: Some((2, writing)) });
            for count in [2, 3] {
                let error = store.append(&run, facts(count), Duration::ZERO).await.unwrap_err();
                assert!(error.message().ends_with("its disk does not answer"), "{error}");
            }
            answer.send(()).unwrap();
            while !store.late()[&run].writing.as_ref().unwrap().1.is_finished() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // What is known of them outlives a write that fails at once.
            let holder = Connection::open(folder.path().join("journal.db")).unwrap();
            holder.execute_batch("BEGIN IMMEDIATE").unwrap();
            store.append(&run, facts(3), Duration::from_millis(50)).await.unwrap_err();
            drop(holder);
            store.append(&run, facts(3), Duration::from_secs(30)).await.unwrap();
        }
        let found = store.load(Some(&run)).await.unwrap().unwrap();
        let numbers =
            |facts: &[(Moment, Fact)]| facts.iter().map(|(_, fact)| format!("{fact:?}")).collect::<Vec<_>>();
        assert_eq!(numbers(&found.facts), numbers(&[&facts(3)[..], &facts(3)[..]].concat()));
    }
}
