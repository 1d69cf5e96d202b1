//! Files that a run writes at its end: checked before anything is submitted, written whole or not at all.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

#[cfg(unix)]
use tokio::time::Instant;
use vod_refresh::ids::RunId;
use vod_refresh::{Error, ErrorKind};

use crate::exit::{Failure, Result};
use crate::formatting::escape_control;
use crate::terminal_writer::{write_all, write_stdout};

/// Links that lead from one to the next; as many as Linux follows.
const MAX_LINKS: usize = 40;

/// Checks that `path` can be written at the end of the run: by the same steps, but for the last.
pub(crate) fn check(path: &Path) -> Result<()> {
    let failed = Error::new(ErrorKind::Config, format!("cannot write {}", shown(path)));
    let probe = || match Place::of(path)? {
        Place::File(target) => drafted(&target, |draft, _| fs::remove_file(draft)).or_else(|why| {
            // It will be written over.
            if can_be_in_place(&why) { File::options().write(true).open(target).map(drop) } else { Err(why) }
        }),
        Place::Stdout | Place::Stderr | Place::Special => Ok(()),
    };
    probe().map_err(|why| failed.with_source(why).into())
}

/// Writes `text`: into a file beside the target first, then in its place.
///
/// A pipe or a device is written to directly; it can't be replaced. So is a file whose folder takes no other.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let written = Place::of(path).and_then(|place| match place {
        Place::Stdout => write_stdout(text),
        Place::Stderr => write_all(&mut io::stderr(), text.as_bytes()),
        Place::Special => open_special(path).and_then(|mut file| write_all(&mut file, text.as_bytes())),
        Place::File(target) => replace(&target, text).or_else(|why| match why.kind() {
            // The folder that a link leads to has gone since the check: better the link than what was learned.
            io::ErrorKind::NotFound if target != path => replace(path, text),
            _ => Err(why),
        }),
    });
    match written {
        // A reader that went away is no error.
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|why| Failure::output(&shown(path), why)),
    }
}

/// A path for people.
pub(crate) fn shown(path: &Path) -> String {
    escape_control(&path.display().to_string())
}

/// A path that is the same for all spellings of one file, whether it is there or not.
pub(crate) fn same_for_all_spellings(path: &Path) -> PathBuf {
    let target = target(path).unwrap_or_else(|_| path.to_owned());
    match target.file_name() {
        Some(name) => fs::canonicalize(folder_of(&target)).map_or(target.clone(), |folder| folder.join(name)),
        None => target,
    }
}

/// What a path leads to.
enum Place {
    /// Streams of this process under the name of a file. Opened anew they would have a position of their own, and what is
    /// written there and what goes to stdout would overwrite each other.
    Stdout,
    Stderr,
    /// A device or a pipe.
    Special,
    /// A regular file, which may not be there yet. It is no link.
    File(PathBuf),
}

impl Place {
    fn of(path: &Path) -> io::Result<Self> {
        match path.to_str() {
            Some("/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1") => return Ok(Self::Stdout),
            Some("/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2") => return Ok(Self::Stderr),
            _ => {}
        }
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(found) if !found.is_file() => Ok(Self::Special),
            Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
            Ok(_) | Err(_) => target(path).map(Self::File),
        }
    }
}

/// What a link at `path` leads to, there or not, so that the link stays.
fn target(path: &Path) -> io::Result<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&target) {
            Ok(next) => target = folder_of(&target).join(next),
            // It is no link, or nothing is there.
            Err(_) => return Ok(target),
        }
    }
    Err(io::Error::other("its links lead in a circle"))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn replace(target: &Path, text: &str) -> io::Result<()> {
    let placed = drafted(target, |draft, file| {
        write_all(file, text.as_bytes())?;
        if let Ok(old) = fs::metadata(target) {
            file.set_permissions(old.permissions())?;
        }
        file.sync_all()?;
        fs::rename(draft, target)
    });
    match placed {
        Err(why) if can_be_in_place(&why) && target.is_file() => {
            let mut file = File::options().write(true).truncate(true).open(target)?;
            write_all(&mut file, text.as_bytes())?;
            file.sync_all()
        }
        placed => placed,
    }
}

/// Whether a file that can't be replaced may still be written over: in a folder of somebody else, or mounted by itself.
fn can_be_in_place(why: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, ResourceBusy};
    matches!(why.kind(), PermissionDenied | ResourceBusy | CrossesDevices)
}

/// Makes a file beside `target` and does `work` with it. The file goes away where that fails.
fn drafted(target: &Path, work: impl FnOnce(&Path, &mut File) -> io::Result<()>) -> io::Result<()> {
    if target.file_name().is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it names no file"));
    }
    // A name of its own: the target's may be as long as names can be.
    let draft = folder_of(target).join(format!(".vod-refresh-{}.tmp", RunId::fresh()));
    let mut file = File::options().write(true).create_new(true).open(&draft)?;
    let done = work(&draft, &mut file);
    if done.is_err() {
        let _ = fs::remove_file(&draft);
    }
    done
}

/// Opens a device, or a named pipe once somebody reads it.
fn open_special(path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    if std::os::unix::fs::FileTypeExt::is_fifo(&fs::metadata(path)?.file_type()) {
        /// What opening a pipe without a reader fails with.
        const ENXIO: i32 = 6;
        let until = Instant::now() + READER_WAIT;
        loop {
            match tokio::net::unix::pipe::OpenOptions::new().open_sender(path) {
                Ok(pipe) => return pipe.into_blocking_fd().map(File::from),
                Err(why) if why.raw_os_error() != Some(ENXIO) => return Err(why),
                Err(_) if Instant::now() < until => {
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
                Err(_) => return Err(io::Error::other("it is a pipe that nobody reads")),
            }
        }
    }
    File::options().write(true).open(path)
}

/// How long to wait for somebody who reads a named pipe.
#[cfg(unix)]
const READER_WAIT: std::time::Duration = std::time::Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        check(&path).unwrap();
        assert!(!path.exists());
        write(&path, "old").unwrap();
        write(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_named_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().join("no/such/folder.json"), folder.path().to_owned()] {
            let failure = check(&path).unwrap_err();
            assert_eq!(failure.exit_code().number(), 3);
            assert!(failure.lines()[0].contains(&path.display().to_string()));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_a_device_stays_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        check(Path::new("/dev/null")).unwrap();
        write(Path::new("/dev/null"), "gone").unwrap();
    }
}
