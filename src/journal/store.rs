//! What a place for runs can do. The journal's handle is written against this alone.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::error::{Error, Result};
use crate::ids::RunId;
use crate::model::{Calls, Fact, Moment, Outcome, RunRecord, RunSummary, StoredRun};
use crate::net::transport::BoxFuture;

/// How long a text is shared that nobody changes.
pub(super) const SHARED_FOR: Duration = Duration::from_secs(60);
/// What is shared waits so long for others who write.
pub(super) const SHARED_WAIT: Duration = Duration::from_millis(200);

/// Makes a new text of the one that is there, and of the time since 1970 by the clock of the place; `None` leaves it.
pub(super) type Change = Box<dyn FnOnce(Option<&str>, Duration) -> Option<String> + Send>;

/// A place where runs are kept. Each write is one transaction; what a caller no longer waits for may be written or not.
pub(super) trait Store: Debug + Send + Sync {
    /// Where it is, for people, and for the option that leads there again. Holds no secret.
    fn place(&self) -> &str;

    /// Whether it was given with a password, which the place does not show.
    fn hides_password(&self) -> bool {
        false
    }

    /// The file, where it is one.
    fn file(&self) -> Option<&Path>;

    /// Fails where what is written here is lost for good: the place is gone, or another has taken its name.
    fn check_place(&self) -> BoxFuture<'_, Result<()>>;

    /// Writes a new run down.
    fn begin<'a>(&'a self, record: &'a RunRecord) -> BoxFuture<'a, Result<()>>;

    /// Writes facts down, all or none; waits so long. After a failure the next call for this run begins with the same facts.
    fn append<'a>(
        &'a self,
        run: &'a RunId,
        facts: Arc<Vec<(Moment, Fact)>>,
        wait: Duration,
    ) -> BoxFuture<'a, Result<()>>;

    /// Writes down how a run ended, if it did, and adds the calls it took; waits so long.
    fn finish<'a>(
        &'a self,
        run: &'a RunId,
        outcome: Option<Outcome>,
        at: DateTime<Utc>,
        calls: Calls,
        wait: Duration,
    ) -> BoxFuture<'a, Result<()>>;

    /// A run with its facts; `None` for `run` means the newest unfinished one.
    fn load<'a>(&'a self, run: Option<&'a RunId>) -> BoxFuture<'a, Result<Option<StoredRun>>>;

    /// All runs, newest first.
    fn runs(&self) -> BoxFuture<'_, Result<Vec<RunSummary>>>;

    /// Drops runs that finished before `before`, and unfinished ones that began before `begun_before`. Says how many.
    fn prune(&self, before: DateTime<Utc>, begun_before: DateTime<Utc>) -> BoxFuture<'_, Result<usize>>;

    /// Gives the room of dropped runs back, where that is for us to do.
    fn compact(&self) -> BoxFuture<'_, Result<()>>;

    /// Changes a text that running processes share, with nobody in between. One that is older than [`SHARED_FOR`] is none. `now` is
    /// our own time since 1970, for a place without a clock.
    fn update_shared<'a>(
        &'a self,
        topic: &'a str,
        name: &'a str,
        now: Duration,
        change: Change,
    ) -> BoxFuture<'a, Result<()>>;

    /// The shared texts of a topic whose names begin so. Those of any topic that are too old are dropped.
    fn shared<'a>(
        &'a self,
        topic: &'a str,
        prefix: &'a str,
        now: Duration,
    ) -> BoxFuture<'a, Result<Vec<String>>>;

    /// Takes the right to drive a run; `None` if another has it.
    fn lock<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunLock>>>;
}

/// The right to drive a run. Dropping it lets another process carry the run on.
#[derive(Debug)]
pub struct RunLock(Box<dyn Hold>);

/// What the holder of that right can do beside dropping it.
pub(super) trait Hold: Debug + Send + Sync {
    /// Marks the run as one that nobody may carry on. Says whether the mark is there.
    fn mark_lost(&self) -> BoxFuture<'_, bool>;

    /// Takes the mark back. Says whether it is gone.
    fn unmark_lost(&self) -> BoxFuture<'_, bool>;

    /// Why the right has ended, if it has: another drives the run, and nothing may be written or submitted any more.
    fn overtaken(&self) -> Option<Error> {
        None
    }
}

impl RunLock {
    pub(super) fn new(hold: impl Hold + 'static) -> Self {
        Self(Box::new(hold))
    }

    /// Marks the run as one that nobody may carry on, as facts of it are not in the journal, or not yet. Says whether whoever
    /// looks will see the mark.
    pub(crate) async fn mark_lost(&self) -> bool {
        self.0.mark_lost().await
    }

    /// Takes the mark back: all facts are in the journal now. Says whether it is gone.
    pub(crate) async fn unmark_lost(&self) -> bool {
        self.0.unmark_lost().await
    }

    /// Why the right has ended, if it has: another drives the run.
    pub(crate) fn overtaken(&self) -> Option<Error> {
        self.0.overtaken()
    }
}
