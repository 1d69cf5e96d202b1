//! Runs in a SQLite file (WAL, `synchronous=NORMAL`, mode 0600) that several processes share and `sqlite3` opens. A database
//! of another program is never touched.

mod file;
mod lock;
mod rows;
mod shared;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::Connection;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::RunId;
use crate::model::{Calls, Fact, Moment, Outcome, RunRecord, RunSummary, StoredRun};

#[cfg(test)]
pub(super) use self::file::{BUSY, FIRST, LOG_BYTES};
pub(super) use self::lock::FileLock;

/// What is shared waits so long for others who write.
const SHARED_WAIT: Duration = Duration::from_millis(200);

/// A journal file.
#[derive(Debug)]
pub(super) struct SqliteStore {
    path: PathBuf,
    /// The same, as people read it.
    place: String,
    // A plain mutex: SQLite calls are made on blocking threads only.
    connection: Arc<Mutex<Connection>>,
    /// The file that was opened: another may take its place.
    identity: Option<(u64, u64)>,
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
        blocking(move || {
            let connection = Arc::new(Mutex::new(open(&path)?));
            let identity = path.metadata().ok().and_then(|found| lock::identity(&found));
            Ok(Self { place: path.display().to_string(), path, connection, identity })
        })
        .await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (connection, path) = (self.connection.clone(), self.path.clone());
        blocking(move || {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut connection).map_err(|error| file::failed(&path, &error))
        })
        .await
    }

    async fn write<T: Send + 'static>(
        &self,
        wait: Duration,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let work = move |connection: &mut Connection| {
            connection.busy_timeout(wait)?;
            work(connection)
        };
        let written = self.read(work).await?;
        self.check_place()?;
        Ok(written)
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

    /// What is written to a file that was deleted or replaced is lost.
    pub(super) fn check_place(&self) -> Result<()> {
        let message = match self.path.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                format!("the journal {} is not there any more", self.place)
            }
            Ok(found) if lock::identity(&found) != self.identity => {
                format!("another file has taken the place of the journal {}", self.place)
            }
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::Config, message))
    }

    pub(super) async fn begin(&self, record: &RunRecord) -> Result<()> {
        let record = record.clone();
        self.write(file::BUSY, move |connection| rows::insert_run(connection, &record)).await
    }

    pub(super) async fn append(
        &self,
        run: &RunId,
        facts: Arc<Vec<(Moment, Fact)>>,
        wait: Duration,
    ) -> Result<()> {
        let run = run.clone();
        self.write(wait, move |connection| rows::insert_facts(connection, &run, &facts)).await
    }

    pub(super) async fn finish(
        &self,
        run: &RunId,
        outcome: Option<Outcome>,
        at: DateTime<Utc>,
        calls: Calls,
        wait: Duration,
    ) -> Result<()> {
        let run = run.clone();
        self.write(wait, move |connection| rows::set_outcome(connection, &run, outcome, at, calls)).await
    }

    pub(super) async fn load(&self, run: Option<&RunId>) -> Result<Option<StoredRun>> {
        let run = run.cloned();
        let mut found = self.read(move |connection| rows::select_run(connection, run.as_ref())).await?;
        if let Some(stored) = &mut found {
            stored.lost = lock::is_lost(&self.path, &stored.record.run);
        }
        Ok(found)
    }

    pub(super) async fn runs(&self) -> Result<Vec<RunSummary>> {
        let mut runs = self.read(rows::select_runs).await?;
        for run in runs.iter_mut().filter(|run| run.outcome.is_none()) {
            run.lost = lock::is_lost(&self.path, &run.run_id);
        }
        Ok(runs)
    }

    pub(super) async fn prune(&self, before: DateTime<Utc>, begun_before: DateTime<Utc>) -> Result<usize> {
        let path = self.path.clone();
        self.write(file::BUSY, move |connection| {
            let dropped = rows::delete_finished(connection, before, begun_before)?;
            lock::sweep(&path, before.into());
            Ok(dropped)
        })
        .await
    }

    /// Where it is worth the while and nobody drives a run, who would have to wait. It takes about a second for each 100 MB
    /// that are kept.
    pub(super) async fn compact(&self) -> Result<()> {
        let path = self.path.clone();
        let work = move |connection: &mut Connection| match lock::any_driven(&path) {
            true => Ok(()),
            false => file::compact(connection),
        };
        self.write(Duration::ZERO, work).await
    }

    pub(super) async fn update_shared<T: Send + 'static>(
        &self,
        topic: &str,
        name: &str,
        now: Duration,
        change: impl FnOnce(Option<&str>, Duration) -> (Option<String>, T) + Send + 'static,
    ) -> Result<T> {
        let (topic, name) = (topic.to_owned(), name.to_owned());
        self.write(SHARED_WAIT, move |connection| shared::update(connection, &topic, &name, now, change))
            .await
    }

    pub(super) async fn shared(&self, topic: &str, prefix: &str, now: Duration) -> Result<Vec<String>> {
        let (topic, prefix) = (topic.to_owned(), prefix.to_owned());
        self.write(SHARED_WAIT, move |connection| shared::select(connection, &topic, &prefix, now)).await
    }

    pub(super) async fn lock(&self, run: &RunId) -> Result<Option<FileLock>> {
        let (path, run) = (self.path.clone(), run.clone());
        blocking(move || FileLock::take(&path, &run)).await
    }
}

/// Runs file work where it may wait. A paused test clock stands still meanwhile.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::new(ErrorKind::Internal, "the runtime ended while the journal was in use")),
    }
}
