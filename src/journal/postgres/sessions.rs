//! The session with the database, made again when it ends, and the runs that are driven through it.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::Row;

use super::address::Address;
use super::connect::{Link, connect};
use super::failure::{pooled, read_only, unusable, why};
use super::query::Query;
use super::schema;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::RunId;
use crate::model::{Calls, code};

/// An answer that takes longer never comes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(65);
/// A driver shows that it lives at this interval: the server ends a session that is silent for 20 s.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// The rows that are on their way.
pub(super) type Answer = JoinHandle<Result<Vec<Row>>>;

#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) address: Arc<Address>,
    /// How sessions of this store show in `pg_stat_activity`.
    name: String,
    link: tokio::sync::Mutex<Option<Arc<Link>>>,
    /// Which journal was opened: another may take its place. Unset where there was none.
    identity: OnceLock<String>,
    gone: OnceLock<Error>,
    held: Mutex<HashMap<RunId, Held>>,
    /// Runs whose lock is on its way.
    pub(super) taking: Mutex<HashSet<RunId>>,
    is_beating: AtomicBool,
}

/// A run that is driven through this store.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) epoch: i64,
    /// The number of the next fact.
    pub(super) next: i64,
    /// So many of the facts that the run offers now are there already.
    pub(super) written: usize,
    /// A write whose answer had not come in time, with the count of facts that are there once it has.
    pub(super) pending: Option<(usize, JoinHandle<Result<()>>)>,
    /// What it took before.
    pub(super) calls: Calls,
    /// Whether this session has the run's lock.
    is_locked: bool,
    pub(super) was_written: bool,
    pub(super) overtaken: Option<Error>,
}

impl Held {
    pub(super) fn new(epoch: i64, facts: i64, calls: Calls) -> Self {
        Self {
            epoch,
            next: facts + 1,
            written: 0,
            pending: None,
            calls,
            is_locked: true,
            was_written: false,
            overtaken: None,
        }
    }
}

impl Sessions {
    fn new(address: Arc<Address>) -> Arc<Self> {
        Arc::new(Self {
            address,
            name: format!("vod-refresh {}", &RunId::fresh().as_str()[24..]),
            link: tokio::sync::Mutex::new(None),
            identity: OnceLock::new(),
            gone: OnceLock::new(),
            held: Mutex::default(),
            taking: Mutex::default(),
            is_beating: AtomicBool::new(false),
        })
    }

    /// Another session with the same journal, which connects when it is needed.
    pub(super) fn beside(&self) -> Arc<Self> {
        let this = Self::new(self.address.clone());
        if let Some(identity) = self.identity.get() {
            let _ = this.identity.set(identity.clone());
        }
        this
    }

    /// Connects, and looks at or makes the tables.
    pub(super) async fn open(address: Address, is_to_write: bool) -> Result<Arc<Self>> {
        let this = Self::new(Arc::new(address));
        let opened = this.clone();
        standing_still(async move {
            let mut link = connect(&opened.address, &opened.name).await?;
            let identity = match is_to_write {
                true if link.is_read_only => {
                    let why = read_only(&opened.address, &link.target, link.is_replica);
                    return Err(unusable(&opened.address, &why));
                }
                true => Some(schema::migrate(&mut link, &opened.address).await?),
                false => opened.look(&link).await?,
            };
            if let Some(identity) = identity {
                let _ = opened.identity.set(identity);
            }
            *opened.link.lock().await = Some(Arc::new(link));
            Ok(())
        })
        .await?;
        Ok(this)
    }

    /// Fails where this session and the other one are one and the same process of the server: a pooler lends it for a transaction
    /// at a time. Where the other one can't be made, there is nothing to compare.
    pub(super) async fn check_apart(self: &Arc<Self>, other: &Arc<Self>) -> Result<()> {
        let backend = "SELECT pg_backend_pid() || ' ' || pg_postmaster_start_time()";
        let Ok(others) = other.run(Query::new(backend)).await else { return Ok(()) };
        let ours = self.run(Query::new(backend)).await?;
        match ours[0].get::<_, String>(0) == others[0].get::<_, String>(0) {
            true => Err(unusable(&self.address, &pooled("what answers there"))),
            false => Ok(()),
        }
    }

    /// Whether there is a journal at all.
    pub(super) fn has_tables(&self) -> bool {
        self.identity.get().is_some()
    }

    /// Fails where what is written here is lost: the database holds another journal than the one that was opened, or none.
    pub(super) fn check_place(&self) -> Result<()> {
        self.gone.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    async fn look(&self, link: &Link) -> Result<Option<String>> {
        let found = schema::look(&link.client, &self.address, &link.target).await?;
        Ok(found.map(|(_, identity)| identity))
    }

    /// Begins to ask, which goes on where nobody waits for it. Where the session has ended, another one is made.
    pub(super) fn begin(self: &Arc<Self>, query: Query) -> Answer {
        let this = self.clone();
        tokio::spawn(standing_still(async move {
            let mut is_second = false;
            loop {
                let link = this.link().await?;
                let error = match timeout(ANSWER_TIMEOUT, query.ask(&link.client)).await {
                    Ok(Ok(rows)) => return Ok(rows),
                    Ok(Err(error)) => error,
                    Err(_) => {
                        link.has_ended.store(true, Ordering::SeqCst);
                        let seconds = ANSWER_TIMEOUT.as_secs();
                        return Err(unusable(&this.address, &format!("no answer within {seconds} s")));
                    }
                };
                // "57P": an operator or a limit has ended the session.
                let has_ended = link.client.is_closed()
                    || error.code().is_some_and(|code| code.code().starts_with("57P"));
                if has_ended {
                    link.has_ended.store(true, Ordering::SeqCst);
                }
                if !has_ended || std::mem::replace(&mut is_second, true) {
                    return Err(unusable(&this.address, &why(&this.address, &link.target, &error)));
                }
            }
        }))
    }

    pub(super) async fn run(self: &Arc<Self>, query: Query) -> Result<Vec<Row>> {
        finished(self.begin(query).await)
    }

    /// The session; a new one, where the last has ended.
    async fn link(&self) -> Result<Arc<Link>> {
        let mut place = self.link.lock().await;
        if let Some(link) = place.as_ref().filter(|link| link.is_alive()) {
            return Ok(link.clone());
        }
        let link = connect(&self.address, &self.name).await?;
        let identity = self.look(&link).await?;
        if let Some(opened) = self.identity.get().filter(|opened| identity.as_ref() != Some(opened)) {
            let what = if identity.is_some() {
                "another journal has taken its place"
            } else {
                "its tables are gone"
            };
            tracing::debug!(opened, "the journal in the database is another one");
            let error = unusable(&self.address, what);
            return Err(self.gone.get_or_init(|| error).clone());
        }
        let link = Arc::new(link);
        let before = place.replace(link.clone());
        self.take_locks_again(&link, before.as_deref()).await;
        Ok(link)
    }

    /// After a break the locks of driven runs are taken again. Whether the run is still this driver's, its epoch decides.
    async fn take_locks_again(&self, link: &Link, before: Option<&Link>) {
        let runs: Vec<RunId> = self
            .lock_held()
            .iter_mut()
            .map(|(run, held)| {
                held.is_locked = false;
                run.clone()
            })
            .collect();
        if runs.is_empty() {
            return;
        }
        if let Some(before) = before {
            // The server may not know that it is dead, and it holds the locks.
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE pid = $1 AND application_name = $2 AND pid <> pg_backend_pid()";
            let _ = Query::new(end).with(before.backend).with_text(&self.name).ask(&link.client).await;
        }
        for run in runs {
            let locked = try_lock(self.key(&run)).ask(&link.client).await;
            self.note_lock(&run, locked.is_ok_and(|rows| took(&rows)));
        }
    }

    fn note_lock(&self, run: &RunId, is_locked: bool) {
        if let Some(held) = self.lock_held().get_mut(run) {
            held.is_locked |= is_locked;
        }
    }

    /// The number of a run's lock in the database.
    pub(super) fn key(&self, run: &RunId) -> i64 {
        let identity = self.identity.get().map(String::as_str).unwrap_or_default();
        let hash = Sha256::digest(format!("{identity} {run}"));
        hash.first_chunk().map_or(0, |first| i64::from_be_bytes(*first))
    }

    pub(super) fn lock_held(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a run that is driven from here.
    pub(super) fn held<T>(&self, run: &RunId, look: impl FnOnce(&mut Held) -> T) -> Result<T> {
        let mut held = self.lock_held();
        let held = held
            .get_mut(run)
            .ok_or_else(|| unusable(&self.address, &format!("run {run} is not driven from here")))?;
        match &held.overtaken {
            Some(error) => Err(error.clone()),
            None => Ok(look(held)),
        }
    }

    /// The epoch of a run, and who drives it since when, for a sentence; `None` if the run is not there.
    async fn driver_of(self: &Arc<Self>, run: &RunId) -> Result<Option<(i64, String)>> {
        let select = "SELECT epoch, coalesce(to_char(driven_since AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
                || coalesce(' (' || driver || ')', ''), '')
            FROM vod_refresh_run WHERE id = $1";
        let found = self.run(Query::new(select).with_text(run)).await?;
        Ok(found.first().map(|row| (row.get(0), row.get(1))))
    }

    /// Looks who drives a run whose epoch is not this driver's any more, and remembers it.
    pub(super) async fn overtaken(self: &Arc<Self>, run: &RunId) -> Error {
        let error = match self.driver_of(run).await {
            Err(error) => return error,
            Ok(None) => {
                let error = unusable(&self.address, &format!("run {run} is not there any more"));
                return self.gone.get_or_init(|| error).clone();
            }
            Ok(Some((_, since))) => Error::new(
                ErrorKind::Unavailable,
                format!(
                    "run {run} is being driven by another process since {since}; nothing more was written or submitted from here"
                ),
            )
            .with_code(code::OVERTAKEN),
        };
        if let Some(held) = self.lock_held().get_mut(run) {
            held.overtaken.get_or_insert(error.clone());
        }
        error
    }

    /// Shows the server as long as runs are driven that their driver lives, and finds out whether others drive them now.
    pub(super) fn beat(self: &Arc<Self>) {
        if self.is_beating.swap(true, Ordering::SeqCst) {
            return;
        }
        let this = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                sleep(HEARTBEAT).await;
                let Some(this) = this.upgrade() else { return };
                let driven: Vec<_> = this
                    .lock_held()
                    .iter()
                    .map(|(run, held)| (run.clone(), held.epoch, held.is_locked))
                    .collect();
                if driven.is_empty() {
                    return this.is_beating.store(false, Ordering::SeqCst);
                }
                for (run, epoch, is_locked) in driven {
                    match this.driver_of(&run).await {
                        Ok(Some((newer, _))) if newer > epoch => drop(this.overtaken(&run).await),
                        Ok(Some(_)) if !is_locked => {
                            let locked = this.run(try_lock(this.key(&run))).await;
                            this.note_lock(&run, locked.is_ok_and(|rows| took(&rows)));
                        }
                        // Nothing is written yet, or the database is away: whoever writes will find out.
                        Ok(_) | Err(_) => {}
                    }
                }
            }
        });
    }
}

/// Takes the lock of a run that ends with the session, if nobody else has it.
pub(super) fn try_lock(key: i64) -> Query {
    Query::new("SELECT pg_try_advisory_lock($1)").with(key)
}

/// Whether it was taken.
pub(super) fn took(rows: &[Row]) -> bool {
    rows.first().is_some_and(|row| row.get(0))
}

/// What a task brought.
pub(super) fn finished<T>(done: std::result::Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    match done {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::new(ErrorKind::Internal, "the runtime ended while the journal was in use")),
    }
}

/// Waits for the database while a paused test clock stands still, as it does for file work: it would run on while nothing but a
/// socket is waited for.
async fn standing_still<T>(work: impl Future<Output = T>) -> T {
    let (done, wait) = std::sync::mpsc::channel::<()>();
    drop(tokio::task::spawn_blocking(move || wait.recv()));
    let result = work.await;
    drop(done);
    result
}
