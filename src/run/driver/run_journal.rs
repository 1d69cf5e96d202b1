//! The run's side of the journal: written before it is acted upon. Where that fails in mid-run, for others hold the file
//! or the disk is full, the run goes on: what it learns is kept in memory and written later.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::RunId;
use crate::journal::{Journal, RunLock};
use crate::model::{Calls, Fact, Moment, Outcome, RunRecord, StoredRun, code};
use crate::run::ledger::Ledger;

/// How often a lock that is held is tried again, and after what pause: a second in all.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// A write waits so long for other processes: events are to be answered within a second.
const WRITE_WAIT: Duration = Duration::from_millis(500);
/// What could not be written is tried again at this interval, and each try waits so long.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
const RETRY_WAIT: Duration = Duration::from_millis(50);
/// The end of a run waits so long for what is still to be written; not at all once it is told to stop.
const LAST_WAIT: Duration = Duration::from_secs(10);
/// Where the mark that facts are missing can't be set either, nothing is submitted for so long: others who carry the run on would
/// submit it again. Most databases are back by then. After that the run goes on all the same.
const HOLD_BACK: Duration = Duration::from_secs(30);
/// Most bytes of facts that wait, as they stand in the journal. Beyond that the journal is given up.
const MAX_KEPT: usize = 32 * 1024 * 1024;

/// Where the facts of a run are kept, if anywhere.
pub(super) struct RunJournal {
    journal: Option<Journal>,
    run: RunId,
    /// The journal failed in mid-run, for good.
    lost: bool,
    /// Whether whoever looks sees that facts are missing, and whether that may be so.
    is_marked: bool,
    may_be_marked: bool,
    kept: Kept,
    /// Held as long as the run is driven.
    lock: Option<RunLock>,
    notes: Vec<String>,
}

/// Facts that could not be written yet, oldest first.
#[derive(Default)]
struct Kept {
    facts: Arc<Vec<(Moment, Fact)>>,
    bytes: usize,
    /// When to try again, as long as there are any, why the last try failed, and whether somebody was told.
    try_at: Option<Instant>,
    error: Option<Error>,
    is_told: bool,
    /// Until when batches are held back, as long as there is no mark.
    hold_until: Option<Instant>,
}

impl RunJournal {
    /// Writes a new run down. A journal that can't be used is found out here, before anything is submitted.
    pub(super) async fn begin(journal: Option<Journal>, record: &RunRecord) -> Result<Self> {
        let this = Self::resume(journal, &record.run).await?;
        if let Some(journal) = &this.journal {
            journal.begin(record).await?;
        }
        Ok(this)
    }

    /// Takes the right to drive a run that is written down already.
    pub(super) async fn resume(journal: Option<Journal>, run: &RunId) -> Result<Self> {
        let lock = match &journal {
            None => None,
            Some(journal) => Some(lock(journal, run).await?),
        };
        let (run, kept, notes) = (run.clone(), Kept::default(), Vec::new());
        Ok(Self { journal, run, lost: false, is_marked: false, may_be_marked: false, kept, lock, notes })
    }

    /// Why this process drives the run no more, if others do: nothing may be written or submitted from here.
    pub(super) fn overtaken(&self) -> Option<Error> {
        self.lock.as_ref()?.overtaken()
    }

    /// Whether to submit nothing now: whoever carried the run on would not know of it.
    pub(super) fn holds_back(&self) -> bool {
        !self.lost && !self.is_marked && self.kept.hold_until.is_some_and(|until| Instant::now() < until)
    }

    /// Whether the run can be carried on from here.
    pub(super) fn can_resume(&self) -> bool {
        self.journal.is_some() && !self.lost
    }

    /// The run as it is written down by now; as given, where it is not.
    pub(super) async fn reload(&self, stored: StoredRun) -> Result<StoredRun> {
        let Some(journal) = &self.journal else { return Ok(stored) };
        let fresh = journal.load(Some(stored.record.run.clone())).await?;
        Ok(match fresh {
            Some(fresh) => StoredRun { record: stored.record, ..fresh },
            None => stored,
        })
    }

    /// Writes down what is news in `facts`. A text comes back when that begins to fail, has become impossible, or works
    /// again.
    pub(super) async fn write(&mut self, at: Moment, ledger: &Ledger, facts: &[Fact]) -> Option<String> {
        self.journal.as_ref().filter(|_| !self.lost && self.overtaken().is_none())?;
        let news: Vec<_> =
            facts.iter().filter(|fact| ledger.is_news(fact)).map(|fact| (at, fact.clone())).collect();
        if news.is_empty() {
            return None;
        }
        if self.kept.try_at.is_none() {
            self.kept.facts = Arc::new(news);
            return self.append(WRITE_WAIT).await;
        }
        self.keep(news).await.or(self.retry().await)
    }

    /// When [`retry`](Self::retry) has something to do.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.kept.try_at
    }

    /// Tries again to write what could not be written, if it is time. A text comes back as from [`write`](Self::write).
    pub(super) async fn retry(&mut self) -> Option<String> {
        self.kept.try_at.filter(|at| *at <= Instant::now())?;
        self.append(RETRY_WAIT).await
    }

    /// Writes the facts that wait, and keeps them where that fails.
    async fn append(&mut self, wait: Duration) -> Option<String> {
        let (journal, facts) = (self.journal.clone()?, Arc::clone(&self.kept.facts));
        let count = facts.len();
        let error = match journal.append(&self.run, facts, wait).await {
            Ok(()) => {
                let kept = std::mem::take(&mut self.kept);
                self.unmark().await;
                let place = journal.place();
                let said = format!(
                    "the journal {place} can be written again: {count} facts had to wait, none is lost"
                );
                return kept.is_told.then_some(said);
            }
            Err(error) => error,
        };
        if self.overtaken().is_some() {
            self.kept = Kept::default();
            return None;
        }
        if journal.check_place().await.is_err() {
            return Some(self.give_up(&error).await);
        }
        let now = Instant::now();
        let is_first = self.kept.try_at.replace(now + RETRY_INTERVAL).is_none();
        let hold_until = *self.kept.hold_until.get_or_insert(now + HOLD_BACK);
        // Whoever dies now leaves half of the facts behind: to carry on from there would submit again what went out.
        if let Some(lock) = self.lock.as_ref().filter(|_| !self.is_marked) {
            self.may_be_marked = true;
            self.is_marked = lock.mark_lost(true).await;
        }
        if is_first {
            self.kept.error = Some(error);
            let first = std::mem::take(&mut self.kept.facts);
            return self.keep(Arc::unwrap_or_clone(first)).await;
        }
        let why = error.message().to_owned();
        self.kept.error = Some(error);
        // What lasts no longer than a try is not worth a word.
        if !std::mem::replace(&mut self.kept.is_told, true) {
            return Some(format!("{why}; what the run learns is kept in memory and written later"));
        }
        let just_over = now >= hold_until && now < hold_until + RETRY_INTERVAL + wait;
        (just_over && !self.is_marked)
            .then(|| format!("{why}; the run submits without it from now on: {}", self.warning()))
    }

    /// Takes back the mark that facts are missing: they are there. Where that fails, the next write tries again.
    async fn unmark(&mut self) {
        if let Some(lock) = self.lock.as_ref().filter(|_| self.may_be_marked && !self.lost) {
            let is_gone = lock.mark_lost(false).await;
            (self.is_marked, self.may_be_marked) = (self.is_marked && !is_gone, !is_gone);
        }
    }

    /// What to heed where the mark could not be set.
    fn warning(&self) -> String {
        format!(
            "do not resume run {} elsewhere, it would submit again what the journal does not know of",
            self.run
        )
    }

    /// Keeps facts for later. A text comes back if they are too many.
    async fn keep(&mut self, facts: Vec<(Moment, Fact)>) -> Option<String> {
        let bytes = |fact: &Fact| serde_json::to_vec(fact).map_or(0, |text| text.len());
        self.kept.bytes += facts.iter().map(|(_, fact)| bytes(fact)).sum::<usize>();
        if self.kept.bytes > MAX_KEPT {
            let error = self.kept.error.take()?;
            return Some(self.give_up(&error).await);
        }
        Arc::make_mut(&mut self.kept.facts).extend(facts);
        None
    }

    /// Waits a bounded time until all facts are written. Afterwards it is certain whether the run can be carried on from
    /// here. A text comes back as from [`write`](Self::write).
    pub(super) async fn catch_up(&mut self, stop: &CancellationToken) -> Option<String> {
        if self.kept.try_at.is_none() {
            self.unmark().await;
            return None;
        }
        // One word at the end is enough.
        let (until, was_told) = (Instant::now() + LAST_WAIT, std::mem::replace(&mut self.kept.is_told, true));
        loop {
            let said = self.append(RETRY_WAIT).await;
            if self.kept.try_at.is_none() {
                self.unmark().await;
                return said.filter(|_| was_told || self.lost);
            }
            if stop.is_cancelled() || Instant::now() >= until {
                let error = self.kept.error.take()?;
                return Some(self.give_up(&error).await);
            }
            let _ = timeout(LOCK_PAUSE, stop.cancelled()).await;
        }
    }

    /// Writes down how the run ended, and what it took. One that is not over has no outcome yet: it can be carried on.
    /// Waits as [`catch_up`](Self::catch_up) does.
    pub(super) async fn finish(
        &mut self,
        outcome: Outcome,
        is_over: bool,
        at: DateTime<Utc>,
        calls: Calls,
        stop: &CancellationToken,
    ) -> Option<String> {
        let said = self.catch_up(stop).await;
        let journal = self.journal.clone()?;
        if self.overtaken().is_some() {
            return said;
        }
        if self.lost {
            // There may be room again for this one word.
            let _ = journal.finish(&self.run, Some(outcome), at, calls, RETRY_WAIT).await;
            return said;
        }
        let wait = if stop.is_cancelled() { WRITE_WAIT } else { LAST_WAIT };
        match journal.finish(&self.run, is_over.then_some(outcome), at, calls, wait).await {
            Ok(()) => said,
            Err(error) => Some(self.give_up(&error).await),
        }
    }

    /// Facts are missing, so nobody may carry the run on: that would submit again what goes out from now on.
    async fn give_up(&mut self, error: &Error) -> String {
        self.lost = true;
        self.kept = Kept::default();
        let mut note = format!("{}; the run goes on in memory and can't be resumed", error.message());
        if let Some(lock) = &self.lock
            && !lock.mark_lost(true).await
        {
            note += &format!(": {}", self.warning());
        }
        self.notes.push(note.clone());
        note
    }

    /// Something that the report is to tell.
    pub(super) fn add_note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Lets go of the run. Gives what the report is to tell.
    pub(super) async fn close(self) -> Vec<String> {
        if let Some(lock) = self.lock {
            // A lock is a file: its disk may hang.
            let _ = timeout(WRITE_WAIT, tokio::task::spawn_blocking(|| drop(lock))).await;
        }
        self.notes
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
    let message = format!("run {run} is being driven by another process, or another task of this one");
    Err(Error::new(ErrorKind::Config, message).with_code(code::OVERTAKEN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Fault;

    /// A fact that has so many bytes in the journal.
    fn fact(bytes: usize) -> (Moment, Fact) {
        let of = |text: String| Fact::Halted { fault: Fault::new(ErrorKind::Config, "C", text) };
        let bare = serde_json::to_vec(&of(String::new())).unwrap().len();
        (Moment::START, of("x".repeat(bytes - bare)))
    }

    #[tokio::test]
    async fn h15_facts_wait_up_to_a_limit_and_one_byte_more_gives_the_journal_up() {
        for (more, is_lost) in [(0, false), (1, true)] {
            let folder = tempfile::tempdir().unwrap();
            let journal = Journal::open(folder.path().join("journal.db")).await.unwrap();
            let record = RunRecord::sample(RunId::fresh());
            let mut kept = RunJournal::begin(Some(journal.clone()), &record).await.unwrap();
            let holder = rusqlite::Connection::open(journal.place()).unwrap();
            holder.execute_batch("BEGIN IMMEDIATE").unwrap();
            kept.kept.facts = Arc::new(vec![fact(1_000)]);
            assert_eq!(kept.append(Duration::ZERO).await, None, "a try is not worth a word");
            assert!(journal.load(None).await.unwrap().unwrap().lost, "nobody may carry it on meanwhile");
            let said = kept.keep(vec![fact(MAX_KEPT - 1_000 + more)]).await;
            assert_eq!((said.is_some(), kept.lost, kept.can_resume()), (is_lost, is_lost, !is_lost));
            drop(holder);
            let said = kept.append(Duration::from_secs(30)).await;
            assert_eq!(said, None, "nobody was told that it failed");
            let stored = journal.load(None).await.unwrap().unwrap();
            assert_eq!((stored.lost, stored.facts.len()), (is_lost, if is_lost { 0 } else { 2 }));
        }
    }
}
