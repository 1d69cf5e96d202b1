//! Opening the file: folder, mode, settings, migrations.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use crate::error::{Error, ErrorKind, Result};

/// How long to wait for other processes that write. Their transactions take milliseconds, but SQLite's waiting is not fair.
const BUSY: Duration = Duration::from_secs(20);

/// Steps from an empty file to today's tables; `user_version` counts those that were done. Never change or remove one:
/// files of every version exist.
const MIGRATIONS: &[&str] = &[FIRST, ROWIDS, CALLS];

pub(super) const FIRST: &str = "
    CREATE TABLE run (
        id TEXT PRIMARY KEY NOT NULL,
        started_at TEXT NOT NULL,
        task_type TEXT,
        media INTEGER NOT NULL,
        outcome TEXT,
        finished_at TEXT,
        record TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE fact (
        run TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (run, number)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX run_by_start ON run (started_at);
";

/// Long texts leave the trees that are searched by key: without row ids, SQLite read a run's whole list of media again
/// for each fact that was written.
const ROWIDS: &str = "
    CREATE TABLE new_run (
        id TEXT PRIMARY KEY NOT NULL,
        started_at TEXT NOT NULL,
        task_type TEXT,
        media INTEGER NOT NULL,
        outcome TEXT,
        finished_at TEXT,
        record TEXT NOT NULL
    ) STRICT;
    CREATE TABLE new_fact (
        run TEXT NOT NULL REFERENCES new_run (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (run, number)
    ) STRICT;
    INSERT INTO new_run (id, started_at, task_type, media, outcome, finished_at, record)
        SELECT id, started_at, task_type, media, outcome, finished_at, record FROM run;
    INSERT INTO new_fact (run, number, at_ms, body) SELECT run, number, at_ms, body FROM fact ORDER BY run, number;
    DROP TABLE fact;
    DROP TABLE run;
    ALTER TABLE new_run RENAME TO run;
    ALTER TABLE new_fact RENAME TO fact;
    CREATE INDEX run_by_start ON run (started_at);
";

/// What a run took: call counts by action as JSON, added to at the end of each process that drove it.
const CALLS: &str = "ALTER TABLE run ADD COLUMN calls TEXT;";

pub(super) fn open(path: &Path) -> Result<Connection> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|e| unusable(path, "its folder can't be made").with_source(e))?;
    }
    create_private(path)?;
    let mut connection = Connection::open(path).map_err(|error| failed(path, &error))?;
    prepare(&mut connection).map_err(|error| failed(path, &error))?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// Makes the file with mode 0600 before SQLite would make it with the umask's.
fn create_private(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|e| unusable(path, "it can't be opened for writing").with_source(e))
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // Safe against the death of the process; a power cut may cost the last moments, which the service still knows.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let sql = |error: rusqlite::Error| failed(path, &error);
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sql)?;
    if usize::try_from(version).is_ok_and(|version| version == MIGRATIONS.len()) {
        return Ok(());
    }
    // An immediate transaction, so that two processes do not migrate at once.
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(sql)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sql)?;
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    if done > MIGRATIONS.len() {
        return Err(unusable(path, &format!("a newer version of this tool wrote it (form {version})")));
    }
    for step in &MIGRATIONS[done..] {
        transaction.execute_batch(step).map_err(sql)?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64).map_err(sql)?;
    transaction.commit().map_err(sql)
}

/// An error that names the file.
pub(super) fn failed(path: &Path, error: &rusqlite::Error) -> Error {
    let why = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => "it is no database".to_owned(),
        Some(ErrorCode::DiskFull) => "the disk is full".to_owned(),
        Some(ErrorCode::ReadOnly) => "it can't be written".to_owned(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("another process has held it for {} s", BUSY.as_secs())
        }
        Some(ErrorCode::SystemIoFailure) => "reading or writing it failed".to_owned(),
        Some(ErrorCode::CannotOpen) => "it can't be opened".to_owned(),
        _ => error.to_string(),
    };
    unusable(path, &why)
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("the journal {} can't be used: {why}", path.display()))
}
