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
        loop {
            let file = options.open(&path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) if is_still_at(&file, &path) => return Ok(Some(Self { file, path })),
                // Its last holder removed it in between: what is locked has no name any more.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }
}

#[cfg(unix)]
fn is_still_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let id = |found: std::fs::Metadata| (found.dev(), found.ino());
    let (ours, there) = (file.metadata().map(id), std::fs::metadata(path).map(id));
    ours.is_ok_and(|ours| there.is_ok_and(|there| ours == there))
}

/// A file that is open keeps its name there.
#[cfg(not(unix))]
fn is_still_at(_: &File, _: &Path) -> bool {
    true
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Removed while it is held: whoever opened it before finds out that it has no name any more.
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}
