//! Files beside the journal. The right to drive a run is a file lock, which dies with the process that holds it. A run
//! whose facts could not all be written is marked by the name of such a file: a full disk has room for a new name.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::RunId;

/// Held while a run is driven. Dropping it lets another process carry the run on.
#[derive(Debug)]
pub struct RunLock {
    file: File,
    path: PathBuf,
    lost: bool,
}

impl RunLock {
    pub(super) fn take(journal: &Path, run: &RunId) -> Result<Option<Self>> {
        let path = beside(journal, run, "lock");
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
                Ok(()) if is_still_at(&file, &path) => {
                    return Ok(Some(Self { file, path, lost: false }));
                }
                // Its last holder removed it in between: what is locked has no name any more.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }
}

impl RunLock {
    /// Marks the run as one that nobody may carry on, and keeps the right to drive it.
    pub(crate) fn mark_lost(&mut self) {
        let marked = self.path.with_extension("lost");
        // Where even this fails, nothing more can be done.
        if std::fs::rename(&self.path, &marked).is_ok() {
            self.lost = true;
        }
    }
}

/// Whether facts of `run` could not be written.
pub(super) fn is_lost(journal: &Path, run: &RunId) -> bool {
    beside(journal, run, "lost").exists()
}

/// Removes what killed processes left beside the journal before `before`.
pub(super) fn sweep(journal: &Path, before: SystemTime) {
    let folder = journal.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (Some(name), Ok(files)) = (journal.file_name(), std::fs::read_dir(folder)) else { return };
    let prefix = format!("{}.", name.to_string_lossy());
    for file in files.flatten() {
        let own = file.file_name().to_str().is_some_and(|name| {
            name.starts_with(&prefix) && (name.ends_with(".lock") || name.ends_with(".lost"))
        });
        let old = || file.metadata().and_then(|found| found.modified()).is_ok_and(|time| time < before);
        if own && old() {
            // Left over means harmless: the next start tries again.
            let _ = std::fs::remove_file(file.path());
        }
    }
}

fn beside(journal: &Path, run: &RunId, kind: &str) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    name.push(format!(".{run}.{kind}"));
    PathBuf::from(name)
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
        if !self.lost {
            let _ = std::fs::remove_file(&self.path);
        }
        let _ = self.file.unlock();
    }
}
