//! Files beside the journal. The right to drive a run is a file lock, which dies with the process that holds it. A run
//! whose facts could not all be written is marked by the name of such a file: a full disk has room for a new name.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::file::DISK_WAIT;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::RunId;

/// Held while a run is driven.
#[derive(Debug)]
pub(in crate::journal) struct FileLock {
    file: File,
    path: PathBuf,
}

impl FileLock {
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
                    return Ok(Some(Self { file, path }));
                }
                // Its last holder removed it in between: what is locked has no name any more.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }

    /// Marks the run as one whose facts are not all written, or takes the mark back. Says whether whoever looks sees it so: the disk
    /// may refuse it, or not answer in time.
    pub(in crate::journal) async fn mark_lost(&self, is_lost: bool) -> bool {
        let (lock, mark) = (self.path.clone(), self.path.with_extension("lost"));
        let work = spawn_blocking(move || {
            let marked = match is_lost {
                // A second name takes no room on a full disk. It fails where the mark is there, and where a file can have but one name.
                true => fs::hard_link(lock, &mark).or_else(|_| File::create(mark).map(drop)),
                false => fs::remove_file(mark),
            };
            match marked {
                // The mark is gone, or its whole folder is: then nobody finds the run.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                marked => marked,
            }
        });
        matches!(timeout(DISK_WAIT, work).await, Ok(Ok(Ok(()))))
    }
}

/// Whether facts of `run` could not be written.
pub(super) fn is_lost(journal: &Path, run: &RunId) -> bool {
    beside(journal, run, "lost").exists()
}

/// Whether some run of this journal is being driven.
pub(super) fn any_driven(journal: &Path) -> bool {
    files_beside(journal, &[".lock"]).any(|path| {
        File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    })
}

/// Removes what killed processes left beside the journal before `before`.
pub(super) fn sweep(journal: &Path, before: SystemTime) {
    for path in files_beside(journal, &[".lock", ".lost"]) {
        if path.metadata().and_then(|found| found.modified()).is_ok_and(|time| time < before) {
            // Left over means harmless: the next start tries again.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The files of runs beside the journal whose names end so.
fn files_beside(journal: &Path, endings: &'static [&str]) -> impl Iterator<Item = PathBuf> {
    let folder = journal.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let prefix = format!("{}.", journal.file_name().unwrap_or_default().to_string_lossy());
    let is_own = move |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(&prefix) && endings.iter().any(|ending| name.ends_with(ending))
    };
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path()).filter(is_own)
}

fn beside(journal: &Path, run: &RunId, kind: &str) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    name.push(format!(".{run}.{kind}"));
    PathBuf::from(name)
}

fn is_still_at(file: &File, path: &Path) -> bool {
    let ours = file.metadata().ok().and_then(|found| identity(&found));
    ours == path.metadata().ok().and_then(|found| identity(&found)) && (cfg!(not(unix)) || ours.is_some())
}

/// What tells a file from another that takes its place.
#[cfg(unix)]
pub(super) fn identity(found: &std::fs::Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    Some((found.dev(), found.ino()))
}

/// A file that is open keeps its name there.
#[cfg(not(unix))]
pub(super) fn identity(_: &std::fs::Metadata) -> Option<(u64, u64)> {
    None
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Removed while it is held: whoever opened it before finds out that it has no name any more.
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mark_is_said_to_be_set_or_gone_only_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, run) = (folder.path().join("journal.db"), RunId::fresh());
        let lock = FileLock::take(&journal, &run).unwrap().unwrap();
        let mark = beside(&journal, &run, "lost");
        assert!(lock.mark_lost(false).await, "there is none to take back");
        for is_lost in [true, true, false, false] {
            assert!(lock.mark_lost(is_lost).await);
            assert_eq!(super::is_lost(&journal, &run), is_lost);
        }
        // A folder in its place can't be removed as a file is, nor made one: as where nothing can be written any more.
        fs::create_dir(&mark).unwrap();
        assert!(!lock.mark_lost(false).await);
        assert!(!lock.mark_lost(true).await);
        drop(folder);
        assert!(lock.mark_lost(true).await, "where the journal is gone as well, nobody finds the run");
    }
}
