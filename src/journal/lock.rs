//! The right to drive a run: a file lock, which dies with the process that holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::ids::RunId;

/// Held while a run is driven. Dropping it lets another process carry the run on.
#[derive(Debug)]
pub struct RunLock {
    file: File,
    path: PathBuf,
}

impl RunLock {
    pub(super) fn take(journal: &Path, run: &RunId) -> Result<Option<Self>> {
        let mut name = journal.as_os_str().to_owned();
        name.push(format!(".{run}.lock"));
        let path = PathBuf::from(name);
        let failed = |e: std::io::Error| {
            Error::new(ErrorKind::Config, format!("the lock {} can't be taken", path.display()))
                .with_source(e)
        };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file, path })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Removed while it is held. Whoever opened it before holds a file without a name: at worst two processes
        // drive one run for its last moments, which harms nothing, since facts are idempotent.
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}
