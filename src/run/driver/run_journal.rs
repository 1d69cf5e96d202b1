//! The run's side of the journal: written before it is acted upon; done without when the disk fails in mid-run.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::sleep;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::RunId;
use crate::journal::{Journal, RunLock};
use crate::model::{Calls, Fact, Moment, Outcome, RunRecord, StoredRun};
use crate::run::ledger::Ledger;

/// How often a lock that is held is tried again, and after what pause: a second in all.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Where the facts of a run are kept, if anywhere.
pub(super) struct RunJournal {
    journal: Option<Journal>,
    /// The journal failed in mid-run.
    lost: bool,
    /// Held as long as the run is driven.
    lock: Option<RunLock>,
    notes: Vec<String>,
}

impl RunJournal {
    /// Writes a new run down. A journal that can't be used is found out here, before anything is submitted.
    pub(super) async fn begin(journal: Option<Journal>, record: &RunRecord) -> Result<Self> {
        let this = Self::resume(journal, &record.run).await?;
        if let Some(journal) = &this.journal {
            journal.begin(record.clone()).await?;
        }
        Ok(this)
    }

    /// Takes the right to drive a run that is written down already.
    pub(super) async fn resume(journal: Option<Journal>, run: &RunId) -> Result<Self> {
        let lock = match &journal {
            None => None,
            Some(journal) => Some(lock(journal, run).await?),
        };
        Ok(Self { journal, lost: false, lock, notes: Vec::new() })
    }

    /// Whether the run can be carried on from here.
    pub(super) fn can_resume(&self) -> bool {
        self.journal.is_some() && !self.lost
    }

    /// The run as it is written down by now; as given, where it is not.
    pub(super) async fn reload(&self, mut stored: StoredRun) -> Result<StoredRun> {
        let Some(journal) = &self.journal else { return Ok(stored) };
        if let Some(fresh) = journal.load(Some(stored.record.run.clone())).await? {
            stored.facts = fresh.facts;
            stored.outcome = fresh.outcome;
            stored.lost = fresh.lost;
        }
        Ok(stored)
    }

    /// Writes down what is news in `facts`. A text comes back once, when that has become impossible.
    pub(super) async fn write(
        &mut self,
        run: &RunId,
        at: Moment,
        ledger: &Ledger,
        facts: &[Fact],
    ) -> Option<String> {
        let journal = self.journal.as_ref().filter(|_| !self.lost)?;
        let news: Vec<Fact> = facts.iter().filter(|fact| ledger.is_news(fact)).cloned().collect();
        if news.is_empty() {
            return None;
        }
        let written = journal.append(run, at, news).await;
        self.or_go_without(written)
    }

    /// Writes down how the run ended, and what it took. One that is not over has no outcome yet: it can be carried on.
    pub(super) async fn finish(
        &mut self,
        run: &RunId,
        outcome: Outcome,
        is_over: bool,
        at: DateTime<Utc>,
        calls: Calls,
    ) -> Option<String> {
        let journal = self.journal.clone()?;
        if self.lost {
            // There may be room again for this one word.
            let _ = journal.finish(run, Some(outcome), at, calls).await;
            return None;
        }
        let written = journal.finish(run, is_over.then_some(outcome), at, calls).await;
        self.or_go_without(written.and_then(|()| still_there(&journal)))
    }

    fn or_go_without(&mut self, written: Result<()>) -> Option<String> {
        let error = written.err()?;
        self.lost = true;
        // Facts are missing, so nobody may carry it on: that would submit again what goes out from now on.
        if let Some(lock) = &mut self.lock {
            lock.mark_lost();
        }
        let note = format!("{}; the run goes on in memory and can't be resumed", error.message());
        self.notes.push(note.clone());
        Some(note)
    }

    /// Something that the report is to tell.
    pub(super) fn add_note(&mut self, note: String) {
        self.notes.push(note);
    }

    pub(super) fn into_notes(self) -> Vec<String> {
        self.notes
    }
}

/// A deleted file can be written to its end, and nobody will find it.
fn still_there(journal: &Journal) -> Result<()> {
    let path = journal.path();
    match path.try_exists() {
        Ok(false) => {
            let message = format!("the journal {} is not there any more", path.display());
            Err(Error::new(ErrorKind::Config, message))
        }
        _ => Ok(()),
    }
}

/// The lock of a run. A driver that was dropped or killed a moment ago may not have let go of it yet.
async fn lock(journal: &Journal, run: &RunId) -> Result<RunLock> {
    for _ in 0..LOCK_TRIES {
        if let Some(lock) = journal.lock(run).await? {
            return Ok(lock);
        }
        sleep(LOCK_PAUSE).await;
    }
    Err(Error::new(ErrorKind::Config, format!("run {run} is being driven by another process")))
}
