//! The journal: what runs know, kept over the death of the process. The only SQL of the crate.
//!
//! A run has a record (what was asked for, and with which settings) and a list of facts. Each fact is here before it is acted
//! upon or acknowledged; the facts of one answer stand or fall together. `resume` plays them back into a new ledger. Nothing
//! secret is written. Runs are kept in a file of this machine, or in a PostgreSQL database that many machines reach.

mod columns;
#[cfg(feature = "postgres")]
mod postgres;
mod run_lock;
mod sqlite;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

use crate::error::Result;
use crate::ids::RunId;
use crate::model::{Calls, Fact, Moment, Outcome};
#[cfg(feature = "postgres")]
use postgres::PostgresStore;
use sqlite::SqliteStore;

#[doc(hidden)]
pub use run_lock::RunLock;

pub use crate::model::{Order, RunRecord, RunSummary, StoredRun};

/// How long finished runs are kept unless told otherwise.
pub const KEEP: Duration = Duration::from_secs(90 * 24 * 3_600);

/// The last time that is written with a year of four digits.
const LAST_TIME: DateTime<Utc> = DateTime::from_timestamp(253_402_300_799, 0).unwrap();

/// Where runs are kept. Clones share one connection; several processes may share the place. Its methods want a tokio runtime with timers.
#[derive(Debug, Clone)]
pub struct Journal {
    store: Arc<Store>,
    writes: watch::Sender<u64>,
}

/// Both kinds of places have the methods that the journal's own call; each write of them is one transaction.
#[derive(Debug)]
enum Store {
    File(SqliteStore),
    #[cfg(feature = "postgres")]
    Database(PostgresStore),
}

/// Asks whichever of the two it is.
macro_rules! ask {
    ($journal:ident, $store:ident => $answer:expr) => {
        match &*$journal.store {
            Store::File($store) => $answer,
            #[cfg(feature = "postgres")]
            Store::Database($store) => $answer,
        }
    };
}

impl Journal {
    /// Opens or makes the journal file at `path`, with its folder.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), naming the path, if the folder can't be made or written, the disk is
    /// full, the file is no database or another program's, which stays as it is, or a newer version wrote it.
    ///
    /// Cancel safety, here and below: work that has begun goes on in the background.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self::on(Store::File(SqliteStore::open(path.into()).await?)))
    }

    /// Opens the journal file at `path` to look at what it holds: [`runs`](Self::runs) and [`load`](Self::load) work also
    /// where the file or its folder can't be written.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn open_to_read(path: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self::on(Store::File(SqliteStore::open_to_read(path.into()).await?)))
    }

    /// Connects to the journal in a PostgreSQL database (13 or newer) and makes its tables, `vod_refresh_…`, where they are missing.
    /// Needs the feature `postgres`.
    ///
    /// `url` is `postgres://USER@HOST/DB`, as libpq has it: `sslmode`, `sslrootcert`, `channel_binding`, several hosts with
    /// `target_session_attrs`, folders of Unix sockets, `connect_timeout` (5 s), `options`. A password comes from the URL, from
    /// `PGPASSWORD` or from `~/.pgpass`, and is shown nowhere.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), naming server, database and user, if it can't be reached or written, or holds
    /// tables of another program under these names, which stay as they are, or of a newer version.
    pub async fn connect(url: &str) -> Result<Self> {
        #[cfg(feature = "postgres")]
        return Ok(Self::on(Store::Database(PostgresStore::open(url).await?)));
        #[cfg(not(feature = "postgres"))]
        Err(without_postgres(url))
    }

    /// Connects to the journal in a PostgreSQL database to look at what it holds: [`runs`](Self::runs) and [`load`](Self::load) work
    /// also on a replica, and for a user who may only `SELECT`. Nothing is made; where no journal is, there are no runs.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_to_read(url: &str) -> Result<Self> {
        #[cfg(feature = "postgres")]
        return Ok(Self::on(Store::Database(PostgresStore::open_to_read(url).await?)));
        #[cfg(not(feature = "postgres"))]
        Err(without_postgres(url))
    }

    fn on(store: Store) -> Self {
        Self { store: Arc::new(store), writes: watch::Sender::new(0) }
    }

    /// Where it is, for people: a path, or a URL without its password.
    pub fn place(&self) -> &str {
        ask!(self, store => store.place())
    }

    /// Whether it was given as a URL with a password, which [`place`](Self::place) does not show.
    pub fn hides_password(&self) -> bool {
        ask!(self, store => store.hides_password())
    }

    /// The file, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match &*self.store {
            Store::File(store) => Some(store.path()),
            #[cfg(feature = "postgres")]
            Store::Database(_) => None,
        }
    }

    /// Counts transactions as they are committed; for tests that end a run after each.
    #[doc(hidden)]
    pub fn writes(&self) -> watch::Receiver<u64> {
        self.writes.subscribe()
    }

    /// Writes a new run down, before it does anything.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if it can't be written. Cancel safety: the run may be written or not.
    pub(crate) async fn begin(&self, record: &RunRecord) -> Result<()> {
        self.counted(ask!(self, store => store.begin(record).await))
    }

    /// Writes facts down, all or none; waits so long for others who write. After a failure, the next call for this run has to
    /// begin with the same facts: nobody knows whether they are written.
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
        self.counted(ask!(self, store => store.append(run, facts, wait).await))
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
        self.counted(ask!(self, store => store.finish(run, outcome, at, calls, wait).await))
    }

    /// A run with its facts; `None` for `run` means the newest unfinished one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if it can't be read.
    pub async fn load(&self, run: Option<RunId>) -> Result<Option<StoredRun>> {
        ask!(self, store => store.load(run.as_ref()).await)
    }

    /// All runs, newest first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if they can't be read.
    pub async fn runs(&self) -> Result<Vec<RunSummary>> {
        ask!(self, store => store.runs().await)
    }

    /// Drops runs that finished before `before`, and unfinished ones that began three days before that: the service
    /// has forgotten their tasks. Says how many.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if nothing can be written.
    pub async fn prune(&self, before: DateTime<Utc>) -> Result<usize> {
        // Times are compared as they are written, with four digits for the year.
        let before = before.min(LAST_TIME);
        // An unfinished one may be under way, or wait for its resume.
        let begun_before = before.checked_sub_signed(TimeDelta::days(3)).unwrap_or(before);
        self.counted(ask!(self, store => store.prune(before, begun_before).await))
    }

    /// Gives the room of dropped runs back to the disk, where that is worth the while.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the file can't be written, or another process writes to it.
    pub async fn compact(&self) -> Result<()> {
        self.counted(ask!(self, store => store.compact().await))
    }

    /// Changes a text that running processes share: `change` gets the one that is there, if any, and the time since 1970 by the
    /// clock of the place. What it gives back is written, with nobody in between; where others were quicker, it is asked again. A
    /// text that nobody changes expires after a minute. `now` is our own time, for a place without a clock.
    ///
    /// # Errors
    ///
    /// As [`prune`](Self::prune), also where others write all the time. Cancel safety: it may be written or not.
    #[doc(hidden)]
    pub async fn update_shared<T: Send + 'static>(
        &self,
        topic: &str,
        name: &str,
        now: DateTime<Utc>,
        change: impl FnMut(Option<&str>, Duration) -> (Option<String>, T) + Send + 'static,
    ) -> Result<T> {
        ask!(self, store => store.update_shared(topic, name, since_1970(now), change).await)
    }

    /// The texts that running processes share under names which begin so.
    ///
    /// # Errors
    ///
    /// As [`update_shared`](Self::update_shared).
    #[doc(hidden)]
    pub async fn shared(&self, topic: &str, prefix: &str, now: DateTime<Utc>) -> Result<Vec<String>> {
        ask!(self, store => store.shared(topic, prefix, since_1970(now)).await)
    }

    /// Takes the right to drive `run`, as a run itself does; `None` if another living process has it. It ends with the process.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the lock can't be taken.
    #[doc(hidden)]
    pub async fn lock(&self, run: &RunId) -> Result<Option<RunLock>> {
        ask!(self, store => Ok(store.lock(run).await?.map(RunLock::from)))
    }

    /// Checks that what is written is where others will look for it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the place is gone, or another has taken its name.
    pub(crate) async fn check_place(&self) -> Result<()> {
        match &*self.store {
            Store::File(store) => store.check_place().await,
            #[cfg(feature = "postgres")]
            Store::Database(store) => store.check_place(),
        }
    }

    fn counted<T>(&self, written: Result<T>) -> Result<T> {
        if written.is_ok() {
            self.writes.send_modify(|count| *count += 1);
        }
        written
    }
}

#[cfg(not(feature = "postgres"))]
fn without_postgres(_: &str) -> crate::Error {
    crate::Error::new(
        crate::ErrorKind::Config,
        "the journal in PostgreSQL can't be used: this program was built without the feature `postgres`; published binaries and \
         the container have it, and `cargo install vod-refresh --features postgres`",
    )
}

fn since_1970(time: DateTime<Utc>) -> Duration {
    (time - DateTime::UNIX_EPOCH).to_std().unwrap_or_default()
}

#[cfg(test)]
mod tests;
