//! The right to drive a run, in the name of a session and an epoch.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::failure::unusable;
use super::query::Query;
use super::sessions::{Answer, Held, Sessions, finished, took, try_lock};
use crate::error::{Error, Result};
use crate::ids::RunId;
use crate::journal::columns;
use crate::model::Calls;

/// A driver that did not let go gets so long to come back.
const GRACE: Duration = Duration::from_secs(3);
/// A mark is given up after this.
const MARK_WAIT: Duration = Duration::from_millis(400);

/// Who drives a run: the process `$2`, and the address from which the server sees it.
pub(super) const DRIVER: &str =
    "'process ' || $2 || ' on ' || coalesce(host(inet_client_addr()), 'the database''s machine')";

/// The right to drive a run. Dropping it lets another process carry the run on.
#[derive(Debug)]
pub(in crate::journal) struct SessionLock {
    sessions: Arc<Sessions>,
    run: RunId,
    epoch: i64,
    /// A mark whose answer had not come in time, and what it was to say.
    marking: Mutex<Option<(bool, Answer)>>,
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
    /// Makes this process the driver of a run; `None` if another is it.
    pub(super) async fn take(sessions: &Arc<Sessions>, run: &RunId) -> Result<Option<Self>> {
        let key = sessions.key(run);
        // The lock of a session is given to it as often as it asks: within this process, this is what keeps others off.
        let Some(_taking) = Taking::begin(sessions, run) else { return Ok(None) };
        let select = Query::new("SELECT driver IS NULL FROM vod_refresh_run WHERE id = $1");
        let was_let_go = sessions.run(select.with_text(run)).await?.first().is_none_or(|row| row.get(0));
        if !took(&sessions.run(try_lock(key)).await?) {
            // Servers before 14 do not end a silent session themselves. Who may not do it waits.
            let _ = sessions.run(end_silent(key)).await;
            return Ok(None);
        }
        if !was_let_go {
            sessions.run(unlock(key)).await?;
            sleep(GRACE).await;
            if !took(&sessions.run(try_lock(key)).await?) {
                return Ok(None);
            }
        }
        // What the driver before writes from now on is void.
        let take_over = Query::new(format!(
            "UPDATE vod_refresh_run SET epoch = epoch + 1, driver = {DRIVER}, driven_since = now()
             WHERE id = $1 RETURNING epoch, calls"
        ));
        let taken = sessions.run(take_over.with_text(run).with_text(std::process::id())).await?;
        let held = match taken.first() {
            Some(row) => {
                // Only now: what the other one was writing is there, or will never be.
                let select = "SELECT coalesce(max(number), 0) FROM vod_refresh_fact WHERE run = $1";
                let last = sessions.run(Query::new(select).with_text(run)).await?[0].get(0);
                let calls = columns::to_calls(row.get(1)).map_err(|error| {
                    unusable(&sessions.address, &format!("what stands there can't be read: {error}"))
                })?;
                Held::new(row.get(0), last, calls)
            }
            // It is written down next.
            None => Held::new(1, 0, Calls::default()),
        };
        let epoch = held.epoch;
        sessions.lock_held().insert(run.clone(), held);
        sessions.beat();
        Ok(Some(Self { sessions: sessions.clone(), run: run.clone(), epoch, marking: Mutex::default() }))
    }

    /// Marks the run as one whose facts are not all there, or takes the mark back. Says whether whoever looks sees it so.
    pub(in crate::journal) async fn mark_lost(&self, is_lost: bool) -> bool {
        let marking = || self.marking.lock().unwrap_or_else(PoisonError::into_inner);
        let before = marking().take();
        let mut task = match before {
            Some((was, task)) if was == is_lost => task,
            _ => {
                let update = "UPDATE vod_refresh_run SET lost = $3 WHERE id = $1 AND epoch = $2 RETURNING 1";
                self.sessions.begin(Query::new(update).with_text(&self.run).with(self.epoch).with(is_lost))
            }
        };
        match timeout(MARK_WAIT, &mut task).await {
            Ok(marked) => finished(marked).is_ok_and(|rows| !rows.is_empty()),
            Err(_) => {
                *marking() = Some((is_lost, task));
                false
            }
        }
    }

    /// Why the right has ended, if it has.
    pub(in crate::journal) fn overtaken(&self) -> Option<Error> {
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
        // Of whoever wrote nothing, nothing can be missing.
        let let_go = held.filter(|held| !held.was_written).map(|_| {
            let update = "UPDATE vod_refresh_run SET driver = NULL WHERE id = $1 AND epoch = $2";
            Query::new(update).with_text(&self.run).with(self.epoch)
        });
        let (sessions, unlock) = (self.sessions.clone(), unlock(self.sessions.key(&self.run)));
        tokio::spawn(async move {
            for query in let_go.into_iter().chain([unlock]) {
                let _ = sessions.run(query).await;
            }
        });
    }
}

fn unlock(key: i64) -> Query {
    Query::new("SELECT pg_advisory_unlock($1)").with(key)
}

/// Ends the session of a driver that has the lock and says nothing: others beat each five seconds.
fn end_silent(key: i64) -> Query {
    let end = "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND objsubid = 1 AND (classid::bigint << 32 | objid::bigint) = $1
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND application_name LIKE 'vod-refresh %' AND state = 'idle' AND state_change < now() - interval '20 seconds'";
    Query::new(end).with(key)
}
