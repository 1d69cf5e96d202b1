//! The journal: what runs know, kept over the death of the process. The only SQL of the crate.
//!
//! One SQLite file (WAL, `synchronous=NORMAL`, mode 0600) that several processes share and `sqlite3` opens. A run has a
//! record (what was asked for, and with which settings) and a list of facts. Each fact is here before it is acted upon
//! or acknowledged; the facts of one answer stand or fall together. `resume` plays them back into a new ledger. Nothing
//! secret is written. A database of another program is never touched.

mod file;
mod lock;
mod rows;
mod shared;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::Connection;
use tokio::sync::watch;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::RunId;
use crate::model::{Calls, Fact, Moment, Outcome};

#[doc(hidden)]
pub use lock::RunLock;

pub use crate::model::{Order, RunRecord, RunSummary, StoredRun};

/// How long finished runs are kept unless told otherwise.
pub const KEEP: Duration = Duration::from_secs(90 * 24 * 3_600);

/// What is shared waits so long for others who write.
const SHARED_WAIT: Duration = Duration::from_millis(200);

/// A journal file. Clones share one connection; several processes may share the file.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    // A plain mutex: SQLite calls are made on blocking threads only.
    connection: Mutex<Connection>,
    /// The file that was opened: another may take its place.
    identity: Option<(u64, u64)>,
    writes: watch::Sender<u64>,
}

impl Journal {
    /// Opens or makes the journal at `path`, with its folder.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the path, if the folder can't be made or written, the disk is full, the file is no
    /// database or another program's, which stays as it is, or a newer version wrote it.
    ///
    /// Cancel safety, here and below: file work that has begun goes on in the background.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::opened(path.into(), file::open).await
    }

    /// Opens the journal at `path` to look at what it holds: [`runs`](Self::runs) and [`load`](Self::load) work also
    /// where the file or its folder can't be written.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn open_to_read(path: impl Into<PathBuf>) -> Result<Self> {
        Self::opened(path.into(), file::open_to_read).await
    }

    async fn opened(path: PathBuf, open: fn(&Path) -> Result<Connection>) -> Result<Self> {
        blocking(move || {
            let connection = Mutex::new(open(&path)?);
            let identity = path.metadata().ok().and_then(|found| lock::identity(&found));
            let writes = watch::Sender::new(0);
            Ok(Self(Arc::new(Shared { path, connection, identity, writes })))
        })
        .await
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Counts transactions as they are committed; for tests that end a run after each.
    #[doc(hidden)]
    pub fn writes(&self) -> watch::Receiver<u64> {
        self.0.writes.subscribe()
    }

    /// Writes a new run down, before it does anything.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the file can't be written. Cancel safety: the run may be written or not.
    pub(crate) async fn begin(&self, record: RunRecord) -> Result<()> {
        self.write(file::BUSY, move |connection| rows::insert_run(connection, &record)).await
    }

    /// Writes facts down, all or none; waits so long for others who write.
    ///
    /// # Errors
    ///
    /// As [`begin`](Self::begin). Cancel safety: the facts may be written or not.
    pub(crate) async fn append(
        &self,
        run: &RunId,
        facts: Arc<Vec<(Moment, Fact)>>,
        wait: Duration,
    ) -> Result<()> {
        let run = run.clone();
        self.write(wait, move |connection| rows::insert_facts(connection, &run, &facts)).await
    }

    /// Writes down how a run ended, and adds the calls it took; waits so long for others who write. One that can be
    /// carried on has no outcome yet.
    ///
    /// # Errors
    ///
    /// As [`begin`](Self::begin).
    pub(crate) async fn finish(
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

    /// A run with its facts; `None` for `run` means the newest unfinished one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the file can't be read.
    pub async fn load(&self, run: Option<RunId>) -> Result<Option<StoredRun>> {
        let mut found = self.read(move |connection| rows::select_run(connection, run.as_ref())).await?;
        if let Some(stored) = &mut found {
            stored.lost = lock::is_lost(self.path(), &stored.record.run);
        }
        Ok(found)
    }

    /// All runs, newest first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the file can't be read.
    pub async fn runs(&self) -> Result<Vec<RunSummary>> {
        let mut runs = self.read(rows::select_runs).await?;
        for run in runs.iter_mut().filter(|run| run.outcome.is_none()) {
            run.lost = lock::is_lost(self.path(), &run.run_id);
        }
        Ok(runs)
    }

    /// Drops runs that finished before `before`, and unfinished ones that began three days before that: the service
    /// has forgotten their tasks. Says how many.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the file can't be written.
    pub async fn prune(&self, before: DateTime<Utc>) -> Result<usize> {
        let path = self.0.path.clone();
        self.write(file::BUSY, move |connection| {
            let dropped = rows::delete_finished(connection, before)?;
            lock::sweep(&path, before.into());
            Ok(dropped)
        })
        .await
    }

    /// Gives the room of dropped runs back to the disk, where it is worth the while and nobody drives a run, who would have
    /// to wait. It takes about a second for each 100 MB that are kept.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the file can't be written, or another process writes to it.
    pub async fn compact(&self) -> Result<()> {
        let path = self.0.path.clone();
        self.write(Duration::ZERO, move |connection| match lock::any_driven(&path) {
            true => Ok(()),
            false => file::compact(connection),
        })
        .await
    }

    /// Takes the right to drive `run`, as a run itself does; `None` if another living process has it. It ends with the process.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the lock file can't be made.
    #[doc(hidden)]
    pub async fn lock(&self, run: &RunId) -> Result<Option<RunLock>> {
        let (path, run) = (self.0.path.clone(), run.clone());
        blocking(move || RunLock::take(&path, &run)).await
    }

    /// Changes what running processes tell each other under a name: `change` gets what is there and the time, which is `now`
    /// here. What it gives back is written, with nobody in between. Texts that nobody changes expire after a minute.
    ///
    /// # Errors
    ///
    /// As [`begin`](Self::begin), and where others write for long. Cancel safety: it may be written or not.
    pub(crate) async fn update_shared<T: Send + 'static>(
        &self,
        topic: &str,
        name: &str,
        now: DateTime<Utc>,
        change: impl FnOnce(Option<&str>, Duration) -> (Option<String>, T) + Send + 'static,
    ) -> Result<T> {
        let (topic, name, now) = (topic.to_owned(), name.to_owned(), since_1970(now));
        let result = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&result);
        let change = Box::new(move |value: Option<&str>, now| {
            let (value, result) = change(value, now);
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            value
        });
        self.read(move |connection| {
            connection.busy_timeout(SHARED_WAIT)?;
            shared::update(connection, &topic, &name, now, change)
        })
        .await?;
        let result = result.lock().unwrap_or_else(PoisonError::into_inner).take();
        result.ok_or_else(|| Error::new(ErrorKind::Internal, "the journal did not ask for the change"))
    }

    /// What running processes tell each other under names that begin so.
    ///
    /// # Errors
    ///
    /// As [`update_shared`](Self::update_shared).
    pub(crate) async fn shared(&self, topic: &str, prefix: &str, now: DateTime<Utc>) -> Result<Vec<String>> {
        let (topic, prefix, now) = (topic.to_owned(), prefix.to_owned(), since_1970(now));
        self.read(move |connection| {
            connection.busy_timeout(SHARED_WAIT)?;
            shared::select(connection, &topic, &prefix, now)
        })
        .await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let shared = self.0.clone();
        blocking(move || {
            let mut connection = shared.connection.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut connection).map_err(|error| file::failed(&shared.path, &error))
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
        self.0.writes.send_modify(|count| *count += 1);
        Ok(written)
    }

    /// Checks that the file is still where it was opened: what is written to one that was deleted or replaced is lost.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if it is not.
    pub(crate) fn check_place(&self) -> Result<()> {
        let path = self.path();
        let message = match path.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                format!("the journal {} is not there any more", path.display())
            }
            Ok(found) if lock::identity(&found) != self.0.identity => {
                format!("another file has taken the place of the journal {}", path.display())
            }
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::Config, message))
    }
}

fn since_1970(time: DateTime<Utc>) -> Duration {
    (time - DateTime::UNIX_EPOCH).to_std().unwrap_or_default()
}

/// Runs file work where it may wait. A paused test clock stands still meanwhile.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::new(ErrorKind::Internal, "the runtime ended while the journal was in use")),
    }
}

#[cfg(test)]
mod tests;
