//! The right to drive a run.

#[cfg(feature = "postgres")]
use super::postgres::SessionLock;
use super::sqlite::FileLock;
use crate::error::Error;

/// The right to drive a run. Dropping it lets another process carry the run on.
#[derive(Debug)]
pub struct RunLock(Hold);

#[derive(Debug)]
enum Hold {
    File(FileLock),
    #[cfg(feature = "postgres")]
    Session(SessionLock),
}

impl From<FileLock> for RunLock {
    fn from(lock: FileLock) -> Self {
        Self(Hold::File(lock))
    }
}

#[cfg(feature = "postgres")]
impl From<SessionLock> for RunLock {
    fn from(lock: SessionLock) -> Self {
        Self(Hold::Session(lock))
    }
}

impl RunLock {
    /// Marks the run as one that nobody may carry on, as facts of it are not in the journal, or not yet; or takes the mark back, as
    /// all of them are. Says whether whoever looks will see it so.
    pub(crate) async fn mark_lost(&self, is_lost: bool) -> bool {
        match &self.0 {
            Hold::File(lock) => lock.mark_lost(is_lost).await,
            #[cfg(feature = "postgres")]
            Hold::Session(lock) => lock.mark_lost(is_lost).await,
        }
    }

    /// Why the right has ended, if it has: another drives the run, and nothing may be written or submitted any more.
    pub(crate) fn overtaken(&self) -> Option<Error> {
        match &self.0 {
            Hold::File(_) => None,
            #[cfg(feature = "postgres")]
            Hold::Session(lock) => lock.overtaken(),
        }
    }
}
