//! Runs in a SQLite file (WAL, `synchronous=NORMAL`, mode 0600) that several processes share and `sqlite3` opens. A database
//! of another program is never touched.

mod file;
mod lock;
mod rows;
mod shared;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::Connection;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::store::{Change, RunLock, SHARED_WAIT, Store};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::RunId;
use crate::model::{Calls, Fact, Moment, Outcome, RunRecord, RunSummary, StoredRun};
use crate::net::transport::BoxFuture;

#[cfg(test)]
pub(super) use self::file::{BUSY, FIRST};

/// A disk that hangs, as that of a network whose server is gone, must not hold up a run: what it does not do within this time,
/// beside the wait for others who write, counts as not done yet.
const DISK_WAIT: Duration = Duration::from_millis(500);

/// A journal file.
#[derive(Debug)]
pub(super) struct SqliteStore {
    path: PathBuf,
    /// The same, as people read it.
    place: String,
    /// Work on a blocking thread takes it along, and keeps it for as long as the disk hangs.
    connection: Arc<tokio::sync::Mutex<Connection>>,
    /// Facts that the disk did not write in time, by their run: nobody knows yet whether they will be there.
    hanging: Mutex<HashMap<RunId, Hanging>>,
    /// The file that was opened: another may take its place.
    identity: Option<(u64, u64)>,
}

/// Facts that are being written for too long, and how many they are.
#[derive(Debug)]
struct Hanging {
    writing: JoinHandle<Result<()>>,
    count: usize,
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
            let (place, hanging) = (path.display().to_string(), Mutex::default());
            Ok(Self { place, path, connection, hanging, identity })
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
        ended(timeout(wait + DISK_WAIT, work).await.map_err(|_| self.hangs())?)
    }

    fn hanging(&self) -> MutexGuard<'_, HashMap<RunId, Hanging>> {
        self.hanging.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hangs(&self) -> Error {
        file::unusable(&self.path, "its disk does not answer")
    }
}

impl Store for SqliteStore {
    fn place(&self) -> &str {
        &self.place
    }

    fn file(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn check_place(&self) -> BoxFuture<'_, Result<()>> {
        let (path, identity) = (self.path.clone(), self.identity);
        let work = timeout(DISK_WAIT, spawn_blocking(move || check_place(&path, identity)));
        // A disk that hangs may still have it.
        Box::pin(async { work.await.map_or(Ok(()), ended) })
    }

    fn begin<'a>(&'a self, record: &'a RunRecord) -> BoxFuture<'a, Result<()>> {
        let record = record.clone();
        Box::pin(self.perform(file::BUSY, move |connection| rows::insert_run(connection, &record)))
    }

    fn append<'a>(
        &'a self,
        run: &'a RunId,
        facts: Arc<Vec<(Moment, Fact)>>,
        wait: Duration,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut first = 0;
            let hanging = self.hanging().remove(run);
            if let Some(mut hanging) = hanging {
                let Ok(written) = timeout(wait, &mut hanging.writing).await else {
                    self.hanging().insert(run.clone(), hanging);
                    return Err(self.hangs());
                };
                // They come again as the first ones of these.
                first = ended(written).map_or(0, |()| hanging.count);
            }
            let (count, id) = (facts.len(), run.clone());
            let insert = move |connection: &mut Connection| match &facts[first.min(count)..] {
                [] => Ok(()),
                facts => rows::insert_facts(connection, &id, facts),
            };
            let mut writing = self.start(wait, insert).await?;
            match timeout(wait + DISK_WAIT, &mut writing).await {
                Ok(written) => ended(written),
                Err(_) => {
                    self.hanging().insert(run.clone(), Hanging { writing, count });
                    Err(self.hangs())
                }
            }
        })
    }

    fn finish<'a>(
        &'a self,
        run: &'a RunId,
        outcome: Option<Outcome>,
        at: DateTime<Utc>,
        calls: Calls,
        wait: Duration,
    ) -> BoxFuture<'a, Result<()>> {
        let run = run.clone();
        let work = move |connection: &mut Connection| rows::set_outcome(connection, &run, outcome, at, calls);
        Box::pin(self.perform(wait, work))
    }

    fn load<'a>(&'a self, run: Option<&'a RunId>) -> BoxFuture<'a, Result<Option<StoredRun>>> {
        let run = run.cloned();
        Box::pin(async move {
            let mut found = self
                .perform(file::BUSY, move |connection| rows::select_run(connection, run.as_ref()))
                .await?;
            if let Some(stored) = &mut found {
                stored.lost = lock::is_lost(&self.path, &stored.record.run);
            }
            Ok(found)
        })
    }

    fn runs(&self) -> BoxFuture<'_, Result<Vec<RunSummary>>> {
        Box::pin(async move {
            let mut runs = self.perform(file::BUSY, rows::select_runs).await?;
            for run in runs.iter_mut().filter(|run| run.outcome.is_none()) {
                run.lost = lock::is_lost(&self.path, &run.run_id);
            }
            Ok(runs)
        })
    }

    fn prune(&self, before: DateTime<Utc>, begun_before: DateTime<Utc>) -> BoxFuture<'_, Result<usize>> {
        let path = self.path.clone();
        Box::pin(self.perform(file::BUSY, move |connection| {
            let dropped = rows::delete_finished(connection, before, begun_before)?;
            lock::sweep(&path, before.into());
            Ok(dropped)
        }))
    }

    /// Where it is worth the while and nobody drives a run, who would have to wait. It takes about a second for each 100 MB
    /// that are kept.
    fn compact(&self) -> BoxFuture<'_, Result<()>> {
        let path = self.path.clone();
        Box::pin(self.perform(Duration::ZERO, move |connection| match lock::any_driven(&path) {
            true => Ok(()),
            false => file::compact(connection),
        }))
    }

    fn update_shared<'a>(
        &'a self,
        topic: &'a str,
        name: &'a str,
        now: Duration,
        change: Change,
    ) -> BoxFuture<'a, Result<()>> {
        let (topic, name) = (topic.to_owned(), name.to_owned());
        Box::pin(
            self.perform(SHARED_WAIT, move |connection| {
                shared::update(connection, &topic, &name, now, change)
            }),
        )
    }

    fn shared<'a>(
        &'a self,
        topic: &'a str,
        prefix: &'a str,
        now: Duration,
    ) -> BoxFuture<'a, Result<Vec<String>>> {
        let (topic, prefix) = (topic.to_owned(), prefix.to_owned());
        Box::pin(
            self.perform(SHARED_WAIT, move |connection| shared::select(connection, &topic, &prefix, now)),
        )
    }

    fn lock<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunLock>>> {
        let (path, run) = (self.path.clone(), run.clone());
        let work = spawn_blocking(move || Ok(lock::FileLock::take(&path, &run)?.map(RunLock::new)));
        Box::pin(async { ended(work.await) })
    }
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
    use crate::model::{Fault, Order, RefreshRequest, RunOptions};
    use crate::vod::TaskType;

    #[tokio::test]
    async fn facts_that_a_disk_writes_late_are_there_once_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("journal.db")).await.unwrap();
        let run = RunId::fresh();
        let record = RunRecord {
            run: run.clone(),
            started_at: DateTime::from_timestamp(1_750_000_000, 0).unwrap(),
            order: Order::Refresh(RefreshRequest::new(TaskType::Refresh, [])),
            options: RunOptions::default(),
            has_events: false,
            key: None,
            settings: serde_json::Value::Null,
        };
        store.begin(&record).await.unwrap();
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
                    true => rows::insert_facts(connection, &id, &late),
                    false => Err(rusqlite::Error::InvalidQuery),
                }
            };
            let writing = store.start(Duration::ZERO, insert).await.unwrap();
            store.hanging().insert(run.clone(), Hanging { writing, count: 2 });
            for count in [2, 3] {
                let error = store.append(&run, facts(count), Duration::ZERO).await.unwrap_err();
                assert!(error.message().ends_with("its disk does not answer"), "{error}");
            }
            answer.send(()).unwrap();
            store.append(&run, facts(3), Duration::from_secs(30)).await.unwrap();
        }
        let found = store.load(Some(&run)).await.unwrap().unwrap();
        let numbers =
            |facts: &[(Moment, Fact)]| facts.iter().map(|(_, fact)| format!("{fact:?}")).collect::<Vec<_>>();
        assert_eq!(numbers(&found.facts), numbers(&[&facts(3)[..], &facts(3)[..]].concat()));
    }
}
