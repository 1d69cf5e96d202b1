//! The session with the database, made again when it ends, and the runs that are driven through it.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;

use super::address::Address;
use super::connect::{Link, connect};
use super::failure::{read_only, unusable, why};
use super::{rows, schema};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::RunId;
use crate::model::{Calls, code};

/// An answer that takes longer never comes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(65);
/// A driver shows that it lives at this interval: the server ends a session that is silent for 20 s.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Work with a session. It may be done twice, where the answer of the first time was lost.
pub(super) type Work<T> =
    Box<dyn Fn(Arc<Link>) -> BoxFuture<'static, std::result::Result<T, tokio_postgres::Error>> + Send>;

#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) address: Address,
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
    /// Connects, and looks at or makes the tables.
    pub(super) async fn open(address: Address, is_to_write: bool) -> Result<Arc<Self>> {
        let name = format!("vod-refresh {}", &RunId::fresh().as_str()[24..]);
        let this = Arc::new(Self {
            address,
            name,
            link: tokio::sync::Mutex::new(None),
            identity: OnceLock::new(),
            gone: OnceLock::new(),
            held: Mutex::default(),
            taking: Mutex::default(),
            is_beating: AtomicBool::new(false),
        });
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

    /// Whether there is a journal at all.
    pub(super) fn has_tables(&self) -> bool {
        self.identity.get().is_some()
    }

    /// Fails where what is written here is lost: the database holds another journal than the one that was opened, or none.
    pub(super) fn check_place(&self) -> Result<()> {
        self.gone.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    async fn look(&self, link: &Link) -> Result<Option<String>> {
        let found = schema::look(&link.client).await;
        let found =
            found.map_err(|error| unusable(&self.address, &why(&self.address, &link.target, &error)))?;
        Ok(schema::identity(&self.address, found)?.map(|(_, identity)| identity))
    }

    /// Begins work with the session, which goes on where nobody waits for it. Where the session has ended, another one is made.
    pub(super) fn begin<T: Send + 'static>(self: &Arc<Self>, work: Work<T>) -> JoinHandle<Result<T>> {
        let this = self.clone();
        tokio::spawn(standing_still(async move {
            let mut is_second = false;
            loop {
                let link = this.link().await?;
                let error = match timeout(ANSWER_TIMEOUT, work(link.clone())).await {
                    Ok(Ok(done)) => return Ok(done),
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

    /// Does work with the session.
    pub(super) async fn run<T: Send + 'static>(self: &Arc<Self>, work: Work<T>) -> Result<T> {
        finished(self.begin(work).await)
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
            let _ = rows::end_session(&link.client, before.backend, &self.name).await;
        }
        for run in runs {
            self.take_lock_again(&link.client, &run).await;
        }
    }

    async fn take_lock_again(&self, client: &Client, run: &RunId) {
        if let Ok(true) = rows::try_lock(client, self.key(run)).await
            && let Some(held) = self.lock_held().get_mut(run)
        {
            held.is_locked = true;
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

    /// Looks who drives a run whose epoch is not this driver's any more, and remembers it.
    pub(super) async fn overtaken(self: &Arc<Self>, run: &RunId) -> Error {
        let id = run.to_string();
        let driver = self
            .run(Box::new(move |link| {
                let id = id.clone();
                Box::pin(async move { rows::driver_of(&link.client, &id).await })
            }))
            .await;
        let error = match driver {
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
                    let id = run.to_string();
                    let seen = this.run(Box::new(move |link| {
                        let id = id.clone();
                        Box::pin(async move { rows::driver_of(&link.client, &id).await })
                    }));
                    match seen.await {
                        Ok(Some((newer, _))) if newer > epoch => drop(this.overtaken(&run).await),
                        Ok(Some(_)) if !is_locked => {
                            let (again, run) = (this.clone(), run.clone());
                            let lock = this.run(Box::new(move |link| {
                                let (again, run) = (again.clone(), run.clone());
                                Box::pin(async move {
                                    again.take_lock_again(&link.client, &run).await;
                                    Ok(())
                                })
                            }));
                            let _ = lock.await;
                        }
                        // Nothing is written yet, or the database is away: whoever writes will find out.
                        Ok(_) | Err(_) => {}
                    }
                }
            }
        });
    }
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
