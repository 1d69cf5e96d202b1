//! Files that a run writes at its end: checked before anything is submitted, written whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use vod_refresh::{Error, ErrorKind};

use crate::exit::{Failure, Result};
use crate::formatting::escape_control;

/// Checks that `path` can be written at the end of the run.
pub(crate) fn check(path: &Path) -> Result<()> {
    let failed = Error::new(ErrorKind::Config, format!("cannot write {}", shown(path)));
    probe(path).map_err(|why| failed.with_source(why).into())
}

/// Writes `text`: into a file beside the target first, then in its place.
///
/// A pipe or a device is written to directly; it can't be replaced.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    write_io(path, text).map_err(|why| Failure::output(&shown(path), why))
}

/// A path for people.
pub(crate) fn shown(path: &Path) -> String {
    escape_control(&path.display().to_string())
}

fn probe(path: &Path) -> io::Result<()> {
    if own_stream(path).is_some() || is_special(path)? {
        return Ok(());
    }
    let (draft, file) = draft(&target(path))?;
    drop(file);
    fs::remove_file(draft)
}

fn write_io(path: &Path, text: &str) -> io::Result<()> {
    let mut special: Option<Box<dyn io::Write>> = own_stream(path);
    if special.is_none() && is_special(path)? {
        special = Some(Box::new(File::options().write(true).open(path)?));
    }
    if let Some(mut special) = special {
        return match special.write_all(text.as_bytes()).and_then(|()| special.flush()) {
            // A reader that went away is no error.
            Err(why) if why.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        };
    }
    let target = target(path);
    let (draft, mut file) = draft(&target)?;
    let placed = (|| {
        file.write_all(text.as_bytes())?;
        if let Ok(old) = fs::metadata(&target) {
            file.set_permissions(old.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&draft, &target)
    })();
    if placed.is_err() {
        let _ = fs::remove_file(&draft);
    }
    placed
}

/// A stream of this process under the name of a file. Opened anew it would have a position of its own, and what is
/// written there and what goes to stdout would overwrite each other.
fn own_stream(path: &Path) -> Option<Box<dyn io::Write>> {
    match path.to_str()? {
        "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" => Some(Box::new(io::stdout())),
        "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2" => Some(Box::new(io::stderr())),
        _ => None,
    }
}

/// Whether something stands at `path` that is no regular file.
fn is_special(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(io::Error::from(io::ErrorKind::IsADirectory)),
        Ok(found) => Ok(!found.is_file()),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(why) => Err(why),
    }
}

/// What a link at `path` leads to, so that the link stays.
fn target(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn draft(target: &Path) -> io::Result<(PathBuf, File)> {
    let Some(name) = target.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it names no file"));
    };
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut draft_name = std::ffi::OsString::from(".");
    draft_name.push(name);
    draft_name.push(format!(".{}.tmp", std::process::id()));
    let draft = folder.join(draft_name);
    let _ = fs::remove_file(&draft);
    let file = File::options().write(true).create_new(true).open(&draft)?;
    Ok((draft, file))
}

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
