//! Runs in a PostgreSQL database, where every machine reaches them.
//!
//! # Who drives a run
//!
//! A lock of the session (`pg_try_advisory_lock`) keeps others off as long as the driver's session lives: the server ends it when
//! the driver dies, or says nothing for 20 s, or its network swallows packets. Whoever takes the lock raises the `epoch` in the
//! run's row. Each write of a driver checks, under the row's lock, that its epoch is still the run's. So one that was stopped or cut
//! off, and comes back after others have taken over, writes nothing more; and as no batch is submitted before that is written, it
//! submits nothing more. Sessions must be the client's own: a pooler in transaction mode gives locks to strangers, and is refused where it shows.
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
mod lock;
mod pgpass;
mod query;
mod schema;
mod sessions;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use self::address::Address;
use self::failure::unusable;
pub(super) use self::lock::SessionLock;
use self::query::Query;
use self::sessions::{Sessions, finished};
use super::columns::{self, IS_OF_URLS, RunRow, SHARED_FOR};
use crate::error::{Error, Result};
use crate::ids::RunId;
use crate::model::{Calls, Fact, Moment, Outcome, RunRecord, RunSummary, StoredRun};
use crate::net::clock::to_wire;

/// The time of the server in milliseconds since 1970: the clocks of its clients differ.
const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
/// Who wants to change what is shared, and finds so often that others were quicker, lets it be.
const MOST_TRIES: u32 = 50;

/// The session of the runs, and one beside it for what is shared: it must not hold up facts.
#[derive(Debug)]
pub(super) struct PostgresStore(Arc<Sessions>, Arc<Sessions>);

impl PostgresStore {
    /// Connects to the database at `url` and makes the tables where they are missing.
    pub(super) async fn open(url: &str) -> Result<Self> {
        let store = Self::on(Sessions::open(Address::parse(url, &variable)?, true).await?);
        store.0.check_apart(&store.1).await?;
        Ok(store)
    }

    /// Connects to look at what is there, also where nothing can be written.
    pub(super) async fn open_to_read(url: &str) -> Result<Self> {
        Ok(Self::on(Sessions::open(Address::parse(url, &variable)?, false).await?))
    }

    fn on(sessions: Arc<Sessions>) -> Self {
        let beside = sessions.beside();
        Self(sessions, beside)
    }

    pub(super) fn place(&self) -> &str {
        &self.0.address.place
    }

    pub(super) fn hides_password(&self) -> bool {
        self.0.address.hides_password
    }

    pub(super) fn check_place(&self) -> Result<()> {
        self.0.check_place()
    }

    fn unreadable(&self, error: &serde_json::Error) -> Error {
        unusable(&self.0.address, &format!("what stands there can't be read: {error}"))
    }

    fn late(&self, wait: Duration) -> Error {
        unusable(&self.0.address, &format!("no answer within {} ms", wait.as_millis()))
    }

    /// Writes a new run down, driven from here.
    pub(super) async fn begin(&self, record: &RunRecord) -> Result<()> {
        let row = RunRow::of(record).map_err(|error| self.unreadable(&error))?;
        let insert = format!(
            "INSERT INTO vod_refresh_run (id, started_at, task_type, media, record, epoch, driver, driven_since)
             VALUES ($1, $3, $4, $5, $6, 1, {}, now()) ON CONFLICT (id) DO NOTHING",
            lock::DRIVER
        );
        let insert = Query::new(insert).with(row.id).with_text(std::process::id());
        let insert = insert.with(row.started_at).with(row.task_type).with(row.media).with(row.record);
        self.0.run(insert).await.map(drop)
    }

    /// Writes facts of the driver with this epoch; those that are there already stay. No row comes back where it drives the run
    /// no more.
    ///
    /// The row's lock makes a driver that takes over wait until this is done, or this one see the newer epoch.
    fn insert_facts(&self, run: &RunId, epoch: i64, first: i64, facts: &[(Moment, Fact)]) -> Result<Query> {
        let facts: Vec<(i64, String)> = facts
            .iter()
            .map(columns::of_fact)
            .collect::<Result<_, _>>()
            .map_err(|error| self.unreadable(&error))?;
        let numbers: Vec<i64> = (first..).take(facts.len()).collect();
        let (at_ms, bodies): (Vec<i64>, Vec<String>) = facts.into_iter().unzip();
        let insert = Query::new(
            "WITH held AS (SELECT id FROM vod_refresh_run WHERE id = $1 AND epoch = $2 FOR NO KEY UPDATE),
            put AS (INSERT INTO vod_refresh_fact (run, number, at_ms, body)
                SELECT held.id, fact.* FROM held, unnest($3, $4, $5) AS fact (number, at_ms, body)
                ON CONFLICT (run, number) DO NOTHING)
            SELECT 1 FROM held",
        );
        Ok(insert.with_text(run).with(epoch).with(numbers).with(at_ms).with(bodies))
    }

    pub(super) async fn append(
        &self,
        run: &RunId,
        facts: Arc<Vec<(Moment, Fact)>>,
        wait: Duration,
    ) -> Result<()> {
        let until = Instant::now() + wait;
        // The answer that did not come in time the last time may be there by now.
        if let Some((count, task)) = self.0.held(run, |held| held.pending.take())? {
            let _ = self.written(run, count, task, until).await;
            if self.0.held(run, |held| held.pending.is_some())? {
                return Err(self.late(wait));
            }
        }
        let (epoch, next, written) = self.0.held(run, |held| (held.epoch, held.next, held.written))?;
        if written < facts.len() {
            let insert = self.insert_facts(run, epoch, next + written as i64, &facts[written..])?;
            let (sessions, run_id, write) = (self.0.clone(), run.clone(), self.0.begin(insert));
            let task = tokio::spawn(async move {
                match finished(write.await)?.is_empty() {
                    true => Err(sessions.overtaken(&run_id).await),
                    false => Ok(()),
                }
            });
            self.0.held(run, |held| held.was_written = true)?;
            if !self.written(run, facts.len(), task, until).await? {
                return Err(self.late(wait));
            }
        }
        self.0.held(run, |held| {
            held.next += facts.len() as i64;
            held.written = 0;
        })
    }

    /// Waits for the answer to a write, after which so many facts are there. Says whether it came in time; if not, it is kept.
    async fn written(
        &self,
        run: &RunId,
        count: usize,
        mut task: JoinHandle<Result<()>>,
        until: Instant,
    ) -> Result<bool> {
        let done = timeout_at(until, &mut task).await;
        if let Ok(done) = done {
            finished(done)?;
            self.0.held(run, |held| held.written = count)?;
            return Ok(true);
        }
        self.0.held(run, |held| held.pending = Some((count, task)))?;
        Ok(false)
    }

    /// Writes down how a run ended; its driver lets go of it.
    pub(super) async fn finish(
        &self,
        run: &RunId,
        outcome: Option<Outcome>,
        at: DateTime<Utc>,
        mut calls: Calls,
        wait: Duration,
    ) -> Result<()> {
        let (epoch, before) = self.0.held(run, |held| (held.epoch, held.calls.clone()))?;
        calls.add(&before);
        let unwritable = |error| self.unreadable(&error);
        let (outcome, finished_at) = columns::of_outcome(outcome, at).map_err(unwritable)?;
        let calls = columns::of_calls(&calls).map_err(unwritable)?;
        let until = Instant::now() + wait;
        loop {
            let update = Query::new(
                "UPDATE vod_refresh_run SET outcome = $3, finished_at = $4, calls = $5, driver = NULL
                WHERE id = $1 AND epoch = $2 RETURNING 1",
            );
            let update = update.with_text(run).with(epoch).with(outcome.clone());
            let update = update.with(finished_at.clone()).with(calls.clone());
            let failure = match timeout_at(until, self.0.run(update)).await {
                Ok(Ok(rows)) if rows.is_empty() => return Err(self.0.overtaken(run).await),
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => error,
                Err(_) => return Err(self.late(wait)),
            };
            // It may come back in time.
            let pause = timeout_at(until, sleep(Duration::from_millis(200)));
            if self.0.check_place().is_err() || pause.await.is_err() {
                return Err(failure);
            }
        }
    }

    pub(super) async fn load(&self, run: Option<&RunId>) -> Result<Option<StoredRun>> {
        if !self.0.has_tables() {
            return Ok(None);
        }
        let select = "SELECT record, outcome, calls, lost FROM vod_refresh_run";
        let select = match run {
            Some(run) => Query::new(format!("{select} WHERE id = $1")).with_text(run),
            None => Query::new(format!(
                "{select} WHERE outcome IS NULL ORDER BY started_at DESC, id DESC LIMIT 1"
            )),
        };
        let found = self.0.run(select).await?;
        let Some(row) = found.first() else { return Ok(None) };
        let mut stored = columns::to_stored(row.get(0), row.get(1), row.get(2))
            .map_err(|error| self.unreadable(&error))?;
        stored.lost = row.get(3);
        let select = Query::new("SELECT at_ms, body FROM vod_refresh_fact WHERE run = $1 ORDER BY number");
        let facts = self.0.run(select.with_text(&stored.record.run)).await?;
        let facts = facts.iter().map(|row| columns::to_fact(row.get(0), row.get(1)));
        stored.facts = facts.collect::<Result<_, _>>().map_err(|error| self.unreadable(&error))?;
        Ok(Some(stored))
    }

    pub(super) async fn runs(&self) -> Result<Vec<RunSummary>> {
        if !self.0.has_tables() {
            return Ok(Vec::new());
        }
        let select = Query::new(format!(
            "SELECT id, task_type, outcome, started_at, media, lost AND outcome IS NULL, {IS_OF_URLS} FROM vod_refresh_run
            ORDER BY started_at DESC, id DESC"
        ));
        let rows = self.0.run(select).await?;
        let runs = rows.iter().map(|row| {
            let (id, task_type, outcome, started_at) = (row.get(0), row.get(1), row.get(2), row.get(3));
            let of = columns::to_summary(id, task_type, outcome, started_at, row.get(4), row.get(6));
            of.map(|run| RunSummary { lost: row.get(5), ..run })
        });
        runs.collect::<Result<_, _>>().map_err(|error| self.unreadable(&error))
    }

    pub(super) async fn prune(&self, before: DateTime<Utc>, begun_before: DateTime<Utc>) -> Result<usize> {
        let delete = Query::new(
            "DELETE FROM vod_refresh_run
            WHERE finished_at < $1 OR (finished_at IS NULL AND started_at < $2) RETURNING 1",
        );
        let dropped = self.0.run(delete.with(to_wire(before)).with(to_wire(begun_before))).await?;
        Ok(dropped.len())
    }

    /// The server does that itself.
    #[allow(clippy::unused_async, reason = "the other place waits here")]
    pub(super) async fn compact(&self) -> Result<()> {
        Ok(())
    }

    /// Where another has changed the text in between, nothing is written, and `change` gets the new one.
    pub(super) async fn update_shared<T>(
        &self,
        topic: &str,
        name: &str,
        _: Duration,
        mut change: impl FnMut(Option<&str>, Duration) -> (Option<String>, T),
    ) -> Result<T> {
        let most = SHARED_FOR.as_millis();
        for _ in 0..MOST_TRIES {
            let select = Query::new(format!(
                "SELECT {NOW}, (SELECT value FROM vod_refresh_shared
                    WHERE topic = $1 AND name = $2 AND abs(at_ms - {NOW}) <= {most})"
            ));
            let found = self.1.run(select.with_text(topic).with_text(name)).await?;
            let (now, before): (i64, Option<String>) = (found[0].get(0), found[0].get(1));
            let (after, result) = change(before.as_deref(), Duration::from_millis(now.unsigned_abs()));
            let Some(after) = after else { return Ok(result) };
            let insert = Query::new(format!(
                "INSERT INTO vod_refresh_shared AS shared (topic, name, at_ms, value) VALUES ($1, $2, $3, $4)
                ON CONFLICT (topic, name) DO UPDATE SET at_ms = excluded.at_ms, value = excluded.value
                    WHERE shared.value = $5 OR abs(shared.at_ms - {NOW}) > {most} RETURNING 1"
            ));
            let insert = insert.with_text(topic).with_text(name).with(now).with(after).with(before);
            if !self.1.run(insert).await?.is_empty() {
                return Ok(result);
            }
        }
        Err(unusable(&self.1.address, "others change all the time what is shared"))
    }

    pub(super) async fn shared(&self, topic: &str, prefix: &str, _: Duration) -> Result<Vec<String>> {
        let most = SHARED_FOR.as_millis();
        // Others may be dropping the same.
        let select = Query::new(format!(
            "WITH dropped AS (DELETE FROM vod_refresh_shared WHERE (topic, name) IN
                (SELECT topic, name FROM vod_refresh_shared WHERE abs(at_ms - {NOW}) > {most} FOR UPDATE SKIP LOCKED))
            SELECT value FROM vod_refresh_shared
            WHERE topic = $1 AND starts_with(name, $2) AND abs(at_ms - {NOW}) <= {most} ORDER BY name"
        ));
        let rows = self.0.run(select.with_text(topic).with_text(prefix)).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    pub(super) async fn lock(&self, run: &RunId) -> Result<Option<SessionLock>> {
        SessionLock::take(&self.0, run).await
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}
