//! The run's side of the journal: written before it is acted upon; done without when the disk fails in mid-run.

use chrono::{DateTime, Utc};

use crate::error::{Error, ErrorKind, Result};
use crate::ids::RunId;
use crate::journal::{Journal, RunLock, RunRecord};
use crate::run::ledger::{Fact, Ledger, Moment};
use crate::run::{Outcome, Refresher};

/// Where the facts of a run are kept, if anywhere.
pub(super) struct Diary {
    journal: Option<Journal>,
    /// Held as long as the run is driven.
    _lock: Option<RunLock>,
    notes: Vec<String>,
}

impl Diary {
    /// Writes a new run down. A journal that can't be used is found out here, before anything is submitted.
    pub(super) async fn begin(refresher: &Refresher, record: &RunRecord) -> Result<Self> {
        let diary = Self::resume(refresher, &record.run).await?;
        if let Some(journal) = &diary.journal {
            journal.begin(record.clone()).await?;
        }
        Ok(diary)
    }

    /// Takes the right to drive a run that is written down already.
    pub(super) async fn resume(refresher: &Refresher, run: &RunId) -> Result<Self> {
        let journal = refresher.journal.clone();
        let lock = match &journal {
            None => None,
            Some(journal) => Some(journal.lock(run).await?.ok_or_else(|| {
                Error::new(ErrorKind::Config, format!("run {run} is being driven by another process"))
            })?),
        };
        Ok(Self { journal, _lock: lock, notes: Vec::new() })
    }

    /// Whether the run can be carried on from here.
    pub(super) fn keeps(&self) -> bool {
        self.journal.is_some()
    }

    /// Writes down what is news in `facts`. A text comes back once, when that has become impossible.
    pub(super) async fn write(
        &mut self,
        run: &RunId,
        at: Moment,
        ledger: &Ledger,
        facts: &[Fact],
    ) -> Option<String> {
        let journal = self.journal.as_ref()?;
        let news: Vec<Fact> = facts.iter().filter(|fact| ledger.is_news(fact)).cloned().collect();
        if news.is_empty() {
            return None;
        }
        let written = journal.append(run, at, news).await;
        self.or_go_without(written)
    }

    /// Writes down how the run ended; `None` if it can be carried on.
    pub(super) async fn finish(
        &mut self,
        run: &RunId,
        outcome: Option<Outcome>,
        at: DateTime<Utc>,
    ) -> Option<String> {
        let written = self.journal.as_ref()?.finish(run, outcome, at).await;
        self.or_go_without(written)
    }

    fn or_go_without(&mut self, written: Result<()>) -> Option<String> {
        let error = written.err()?;
        self.journal = None;
        let note = format!("{}; the run goes on in memory and can't be resumed", error.message());
        self.notes.push(note.clone());
        Some(note)
    }

    pub(super) fn into_notes(self) -> Vec<String> {
        self.notes
    }
}
