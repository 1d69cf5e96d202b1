//! Runs in a PostgreSQL database, where every machine reaches them.
//!
//! # Who drives a run
//!
//! A lock of the session (`pg_try_advisory_lock`) keeps others off as long as the driver's session lives: the server ends it when
//! the driver dies, or says nothing for 20 s, or its network swallows packets. Whoever takes the lock raises the `epoch` in the
//! run's row. Each write of a driver checks, under the row's lock, that its epoch is still the run's. So one that was stopped or cut
//! off, and comes back after others have taken over, writes nothing more; and as no batch is submitted before that is written, it
//! submits nothing more. Sessions must be the client's own: a pooler in transaction mode gives locks to strangers.
//!
//! # When the database is away
//!
//! Facts wait in memory and are written when it is back; each has its number from the driver, so that one whose answer was lost
//! is not written twice. Where the mark that facts are missing can't be set either, others might carry on from half of them, and
//! submit again what they know nothing of. Nobody can tell from the database whether a silent driver is dead or cut off, and a
//! run must be resumable after a death. So:
//!
//! - Batches are held back for 30 s, in which most databases restart or fail over, for as long as neither the facts nor the mark can be
//!   written. Nothing that others don't know of is sent meanwhile. What was sent before is followed up as always.
//! - After that the run goes on in memory, since it is to be done: it costs the journal, not the run. It warns not to resume it
//!   elsewhere. Only who does that all the same, while the driver is cut off from the database and not from the service, or after
//!   it ended like that, sends those batches twice.
//! - Whoever resumes a run that its driver did not let go of waits for 3 s first. A driver that lives tries each second to come
//!   back: after a restart of the server it has its run again before others get it.

mod address;
mod connect;
mod failure;
mod pgpass;
mod rows;
mod schema;
mod sessions;
mod shared;
mod tls;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use self::address::Address;
use self::failure::unusable;
use self::sessions::{Held, Sessions, Work, finished};
use super::columns::{self, RunRow};
use super::store::{Change, Hold, RunLock, Store};
use crate::error::{Error, Result};
use crate::ids::RunId;
use crate::model::{Calls, Fact, Moment, Outcome, RunRecord, RunSummary, StoredRun};
use crate::net::clock::to_wire;
use crate::net::transport::BoxFuture;

/// A driver that did not let go gets so long to come back.
const GRACE: Duration = Duration::from_secs(3);
/// A mark is given up after this.
const MARK_WAIT: Duration = Duration::from_millis(400);

/// The session of the runs, and one beside it: changes of what is shared take several statements, and must not hold up facts.
#[derive(Debug)]
pub(super) struct PostgresStore(Arc<Sessions>, Arc<Sessions>);

impl PostgresStore {
    /// Connects to the database at `url` and makes the tables where they are missing.
    pub(super) async fn open(url: &str) -> Result<Self> {
        Ok(Self::on(Sessions::open(Address::parse(url, &variable)?, true).await?))
    }

    /// Connects to look at what is there, also where nothing can be written.
    pub(super) async fn open_to_read(url: &str) -> Result<Self> {
        Ok(Self::on(Sessions::open(Address::parse(url, &variable)?, false).await?))
    }

    fn on(sessions: Arc<Sessions>) -> Self {
        let beside = sessions.beside();
        Self(sessions, beside)
    }

    fn unreadable(&self, error: &serde_json::Error) -> Error {
        unusable(&self.0.address, &format!("what stands there can't be read: {error}"))
    }

    /// What is known of a run that is driven from here.
    fn held<T>(&self, run: &RunId, look: impl FnOnce(&mut Held) -> T) -> Result<T> {
        let mut held = self.0.lock_held();
        let held = held
            .get_mut(run)
            .ok_or_else(|| unusable(&self.0.address, &format!("run {run} is not driven from here")))?;
        match &held.overtaken {
            Some(error) => Err(error.clone()),
            None => Ok(look(held)),
        }
    }

    fn facts(&self, run: &RunId, facts: &[(Moment, Fact)]) -> Result<(rows::Facts, usize)> {
        let (epoch, next, written) = self.held(run, |held| (held.epoch, held.next, held.written))?;
        let mut of = rows::Facts {
            run: run.to_string(),
            epoch,
            numbers: Vec::new(),
            at_ms: Vec::new(),
            bodies: Vec::new(),
        };
        for (number, fact) in (next..).zip(facts).skip(written) {
            let (at_ms, body) = columns::of_fact(fact).map_err(|error| self.unreadable(&error))?;
            of.numbers.push(number);
            of.at_ms.push(at_ms);
            of.bodies.push(body);
        }
        Ok((of, written))
    }

    async fn append(&self, run: &RunId, facts: Arc<Vec<(Moment, Fact)>>, wait: Duration) -> Result<()> {
        let until = Instant::now() + wait;
        let late = || unusable(&self.0.address, &format!("no answer within {} ms", wait.as_millis()));
        // The answer that did not come in time the last time may be there by now.
        if let Some((count, mut task)) = self.held(run, |held| held.pending.take())? {
            match timeout_at(until, &mut task).await {
                Err(_) => {
                    self.held(run, |held| held.pending = Some((count, task)))?;
                    return Err(late());
                }
                Ok(done) => {
                    if finished(done).is_ok() {
                        self.held(run, |held| held.written = count)?;
                    }
                }
            }
        }
        let (rows, written) = self.facts(run, &facts)?;
        if written < facts.len() {
            let (sessions, run_id, rows) = (self.0.clone(), run.clone(), Arc::new(rows));
            let insert: Work<bool> = Box::new(move |link| {
                let rows = rows.clone();
                Box::pin(async move { rows::insert_facts(&link.client, &rows).await })
            });
            let write = self.0.begin(insert);
            let mut task = tokio::spawn(async move {
                match finished(write.await)? {
                    true => Ok(()),
                    false => Err(sessions.overtaken(&run_id).await),
                }
            });
            self.held(run, |held| held.was_written = true)?;
            match timeout_at(until, &mut task).await {
                Ok(done) => finished(done)?,
                Err(_) => {
                    self.held(run, |held| held.pending = Some((facts.len(), task)))?;
                    return Err(late());
                }
            }
        }
        self.held(run, |held| {
            held.next += facts.len() as i64;
            held.written = 0;
        })
    }

    async fn finish(
        &self,
        run: &RunId,
        outcome: Option<Outcome>,
        at: DateTime<Utc>,
        mut calls: Calls,
        wait: Duration,
    ) -> Result<()> {
        let (epoch, before) = self.held(run, |held| (held.epoch, held.calls.clone()))?;
        calls.add(&before);
        let unwritable = |error| self.unreadable(&error);
        let (outcome, finished_at) = columns::of_outcome(outcome, at).map_err(unwritable)?;
        let calls = columns::of_calls(&calls).map_err(unwritable)?;
        let ending = Arc::new(rows::Ending { run: run.to_string(), epoch, outcome, finished_at, calls });
        let until = Instant::now() + wait;
        loop {
            let ending = ending.clone();
            let update: Work<bool> = Box::new(move |link| {
                let ending = ending.clone();
                Box::pin(async move { rows::set_outcome(&link.client, &ending).await })
            });
            let failure = match timeout_at(until, self.0.run(update)).await {
                Ok(Ok(true)) => return Ok(()),
                Ok(Ok(false)) => return Err(self.0.overtaken(run).await),
                Ok(Err(error)) => error,
                Err(_) => {
                    return Err(unusable(
                        &self.0.address,
                        &format!("no answer within {} ms", wait.as_millis()),
                    ));
                }
            };
            // It may come back in time.
            if self.0.check_place().is_err()
                || timeout_at(until, sleep(Duration::from_millis(200))).await.is_err()
            {
                return Err(failure);
            }
        }
    }

    async fn lock(&self, run: &RunId) -> Result<Option<RunLock>> {
        let key = self.0.key(run);
        // The lock of a session is given to it as often as it asks: within this process, this is what keeps others off.
        let Some(_taking) = Taking::begin(&self.0, run) else { return Ok(None) };
        let id = run.to_string();
        let was_let_go = self
            .0
            .run(Box::new(move |link| {
                let id = id.clone();
                Box::pin(async move { rows::was_let_go(&link.client, &id).await })
            }))
            .await?;
        let try_lock = || -> Work<bool> {
            Box::new(move |link| Box::pin(async move { rows::try_lock(&link.client, key).await }))
        };
        if !self.0.run(try_lock()).await? {
            // Servers before 14 do not end a silent session themselves. Who may not do it waits.
            let end: Work<()> =
                Box::new(move |link| Box::pin(async move { rows::end_silent(&link.client, key).await }));
            let _ = self.0.run(end).await;
            return Ok(None);
        }
        if !was_let_go {
            self.unlock(key).await?;
            sleep(GRACE).await;
            if !self.0.run(try_lock()).await? {
                return Ok(None);
            }
        }
        let id = run.to_string();
        let taken = self
            .0
            .run(Box::new(move |link| {
                let id = id.clone();
                Box::pin(async move { rows::take_over(&link.client, &id, &process()).await })
            }))
            .await?;
        let held = match taken {
            Some(taken) => {
                let calls =
                    columns::to_calls(taken.calls.as_deref()).map_err(|error| self.unreadable(&error))?;
                Held::new(taken.epoch, taken.facts, calls)
            }
            // It is written down next.
            None => Held::new(1, 0, Calls::default()),
        };
        let epoch = held.epoch;
        self.0.lock_held().insert(run.clone(), held);
        self.0.beat();
        Ok(Some(RunLock::new(SessionLock {
            sessions: self.0.clone(),
            run: run.clone(),
            epoch,
            marking: Mutex::default(),
        })))
    }

    async fn unlock(&self, key: i64) -> Result<()> {
        let unlock: Work<()> =
            Box::new(move |link| Box::pin(async move { rows::unlock(&link.client, key).await }));
        self.0.run(unlock).await
    }
}

impl Store for PostgresStore {
    fn place(&self) -> &str {
        &self.0.address.place
    }

    fn hides_password(&self) -> bool {
        self.0.address.hides_password
    }

    fn file(&self) -> Option<&Path> {
        None
    }

    fn check_place(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { self.0.check_place() })
    }

    fn begin<'a>(&'a self, record: &'a RunRecord) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let row = Arc::new(RunRow::of(record).map_err(|error| self.unreadable(&error))?);
            let insert: Work<()> = Box::new(move |link| {
                let row = row.clone();
                Box::pin(async move { rows::insert_run(&link.client, &row, &process()).await })
            });
            self.0.run(insert).await
        })
    }

    fn append<'a>(
        &'a self,
        run: &'a RunId,
        facts: Arc<Vec<(Moment, Fact)>>,
        wait: Duration,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.append(run, facts, wait))
    }

    fn finish<'a>(
        &'a self,
        run: &'a RunId,
        outcome: Option<Outcome>,
        at: DateTime<Utc>,
        calls: Calls,
        wait: Duration,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.finish(run, outcome, at, calls, wait))
    }

    fn load<'a>(&'a self, run: Option<&'a RunId>) -> BoxFuture<'a, Result<Option<StoredRun>>> {
        Box::pin(async move {
            if !self.0.has_tables() {
                return Ok(None);
            }
            let run = run.map(ToString::to_string);
            let select: Work<Option<tokio_postgres::Row>> = Box::new(move |link| {
                let run = run.clone();
                Box::pin(async move { rows::select_run(&link.client, run.as_deref()).await })
            });
            let Some(row) = self.0.run(select).await? else { return Ok(None) };
            let mut stored = columns::to_stored(row.get(0), row.get(1), row.get(2))
                .map_err(|error| self.unreadable(&error))?;
            stored.lost = row.get(3);
            let run = stored.record.run.to_string();
            let select: Work<Vec<tokio_postgres::Row>> = Box::new(move |link| {
                let run = run.clone();
                Box::pin(async move { rows::select_facts(&link.client, &run).await })
            });
            let facts = self.0.run(select).await?;
            let facts = facts.iter().map(|row| columns::to_fact(row.get(0), row.get(1)));
            stored.facts = facts.collect::<Result<_, _>>().map_err(|error| self.unreadable(&error))?;
            Ok(Some(stored))
        })
    }

    fn runs(&self) -> BoxFuture<'_, Result<Vec<RunSummary>>> {
        Box::pin(async move {
            if !self.0.has_tables() {
                return Ok(Vec::new());
            }
            let select: Work<Vec<tokio_postgres::Row>> =
                Box::new(|link| Box::pin(async move { rows::select_runs(&link.client).await }));
            let rows = self.0.run(select).await?;
            let runs = rows.iter().map(|row| {
                let (id, task_type, outcome, started_at) = (row.get(0), row.get(1), row.get(2), row.get(3));
                let of = columns::to_summary(id, task_type, outcome, started_at, row.get(4), row.get(6));
                of.map(|run| RunSummary { lost: row.get(5), ..run })
            });
            runs.collect::<Result<_, _>>().map_err(|error| self.unreadable(&error))
        })
    }

    fn prune(&self, before: DateTime<Utc>, begun_before: DateTime<Utc>) -> BoxFuture<'_, Result<usize>> {
        let times = Arc::new((to_wire(before), to_wire(begun_before)));
        let delete: Work<usize> = Box::new(move |link| {
            let times = times.clone();
            Box::pin(async move { rows::delete_finished(&link.client, &times.0, &times.1).await })
        });
        Box::pin(async move { self.0.run(delete).await })
    }

    /// The server does that itself.
    fn compact(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn update_shared<'a>(
        &'a self,
        topic: &'a str,
        name: &'a str,
        _: Duration,
        change: Change,
    ) -> BoxFuture<'a, Result<()>> {
        let of = Arc::new((topic.to_owned(), name.to_owned()));
        let (beside, change) = (self.1.clone(), Arc::new(Mutex::new(Some(change))));
        let update: Work<()> = Box::new(move |link| {
            let (beside, of, change) = (beside.clone(), of.clone(), change.clone());
            Box::pin(async move {
                let _turn = beside.turn.lock().await;
                shared::update(&link.client, &of.0, &of.1, &change).await
            })
        });
        Box::pin(async move { self.1.run(update).await })
    }

    fn shared<'a>(
        &'a self,
        topic: &'a str,
        prefix: &'a str,
        _: Duration,
    ) -> BoxFuture<'a, Result<Vec<String>>> {
        let of = Arc::new((topic.to_owned(), prefix.to_owned()));
        let select: Work<Vec<String>> = Box::new(move |link| {
            let of = of.clone();
            Box::pin(async move { shared::select(&link.client, &of.0, &of.1).await })
        });
        Box::pin(async move { self.0.run(select).await })
    }

    fn lock<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunLock>>> {
        Box::pin(self.lock(run))
    }
}

/// The right to drive a run, in the name of a session and an epoch.
#[derive(Debug)]
struct SessionLock {
    sessions: Arc<Sessions>,
    run: RunId,
    epoch: i64,
    /// A mark whose answer had not come in time, and what it was to say.
    marking: Mutex<Option<(bool, JoinHandle<Result<bool>>)>>,
}

/// Notes that a run is being locked in this process.
struct Taking<'a>(&'a Sessions, &'a RunId);

impl<'a> Taking<'a> {
    fn begin(sessions: &'a Sessions, run: &'a RunId) -> Option<Self> {
        let is_free = !sessions.lock_held().contains_key(run)
            && sessions.taking.lock().unwrap_or_else(PoisonError::into_inner).insert(run.clone());
        is_free.then_some(Self(sessions, run))
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        self.0.taking.lock().unwrap_or_else(PoisonError::into_inner).remove(self.1);
    }
}

impl SessionLock {
    async fn mark(&self, lost: bool) -> bool {
        let marking = || self.marking.lock().unwrap_or_else(PoisonError::into_inner);
        let before = marking().take();
        let mut task = match before {
            Some((was, task)) if was == lost => task,
            _ => {
                let (run, epoch) = (self.run.to_string(), self.epoch);
                self.sessions.begin(Box::new(move |link| {
                    let run = run.clone();
                    Box::pin(async move { rows::set_lost(&link.client, &run, epoch, lost).await })
                }))
            }
        };
        match timeout(MARK_WAIT, &mut task).await {
            Ok(marked) => matches!(finished(marked), Ok(true)),
            Err(_) => {
                *marking() = Some((lost, task));
                false
            }
        }
    }
}

impl Hold for SessionLock {
    fn mark_lost(&self) -> BoxFuture<'_, bool> {
        Box::pin(self.mark(true))
    }

    fn unmark_lost(&self) -> BoxFuture<'_, bool> {
        Box::pin(self.mark(false))
    }

    fn overtaken(&self) -> Option<Error> {
        self.sessions.lock_held().get(&self.run)?.overtaken.clone()
    }
}

impl Drop for SessionLock {
    fn drop(&mut self) {
        let held = self.sessions.lock_held().remove(&self.run);
        // Outside of a runtime the process is ending, and its session with it.
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let (run, epoch, key) = (self.run.to_string(), self.epoch, self.sessions.key(&self.run));
        // Of whoever wrote nothing, nothing can be missing.
        let lets_go = held.is_some_and(|held| !held.was_written);
        drop(self.sessions.begin(Box::new(move |link| {
            let run = run.clone();
            Box::pin(async move {
                if lets_go {
                    rows::let_go(&link.client, &run, epoch).await?;
                }
                rows::unlock(&link.client, key).await
            })
        })));
    }
}

/// Names this process to those who find that it drives a run.
fn process() -> String {
    std::process::id().to_string()
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}
