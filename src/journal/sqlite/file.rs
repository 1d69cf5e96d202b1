//! Opening the file: folder, mode, whose it is, settings, migrations.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};

use crate::error::{Error, ErrorKind, Result};

/// How long to wait for other processes that write. Their transactions take milliseconds, but SQLite's waiting is not fair.
pub(in crate::journal) const BUSY: Duration = Duration::from_secs(20);

/// A disk that hangs, as that of a network whose server is gone, must not hold up a run: what it does not do within this time,
/// beside the wait for others who write, counts as not done yet.
pub(super) const DISK_WAIT: Duration = Duration::from_millis(500);

/// Usual length of the write-ahead log; of its pages, of 4 KiB, it is copied back after so many.
pub(in crate::journal) const LOG_BYTES: u32 = 4_000 * 4_096;

/// "vodR" in the header of a file says whose it is. Those of 0.1.0 have none, and are known by their tables.
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"vodR");

/// A database has one page at least. SQLite would take what is shorter for an empty one, and write over it.
const SMALLEST_PAGE: u64 = 512;

/// Steps from an empty file to today's tables; `user_version` counts those that were done. Never change or remove one:
/// files of every version exist.
const MIGRATIONS: &[&str] = &[FIRST, ROWIDS, CALLS];

pub(in crate::journal) const FIRST: &str = "
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

/// Opens the journal at `path` to write to it, and makes it where nothing is.
pub(super) fn open(path: &Path) -> Result<Connection> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|e| unusable(path, "its folder can't be made").with_source(e))?;
    }
    if !path.exists() {
        create_private(path)?;
    }
    if is_empty(path)? || is_ours(path)? {
        return prepared(path);
    }
    Err(unusable(path, "it is a database of another program"))
}

/// Opens the journal at `path` to look at it, also where nothing can be written.
pub(super) fn open_to_read(path: &Path) -> Result<Connection> {
    let error = match open(path) {
        Err(error) if error.kind() == ErrorKind::Config => error,
        opened => return opened,
    };
    if is_empty(path).unwrap_or(true) || !is_ours(path).unwrap_or(false) {
        return Err(error);
    }
    let connection = if has_log(path) { read_only(path) } else { peek(path) };
    let version = |connection: &Connection| number(connection, "user_version");
    match connection.and_then(|connection| Ok((version(&connection)?, connection))) {
        // Tables of an older form can't be carried over here.
        Ok((version, connection)) if usize::try_from(version) == Ok(MIGRATIONS.len()) => Ok(connection),
        _ => Err(error),
    }
}

/// Makes the file with mode 0600 before SQLite would make it with the umask's.
fn create_private(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|e| unusable(path, "it can't be made").with_source(e))
}

/// Whether there is nothing in the file yet. What can't be a database is an error.
fn is_empty(path: &Path) -> Result<bool> {
    let found = path.metadata().map_err(|e| unusable(path, "it can't be read").with_source(e))?;
    match found.len() {
        _ if found.is_dir() => Err(unusable(path, "it is a folder")),
        _ if !found.is_file() => Err(unusable(path, "it is no regular file")),
        0 => Ok(true),
        1..SMALLEST_PAGE => Err(unusable(path, "it is no database")),
        _ => Ok(false),
    }
}

/// Whether a journal of ours, or nothing, is in a database. Finding out leaves every byte of it as it is.
fn is_ours(path: &Path) -> Result<bool> {
    let seen = match peek(path).and_then(|database| header(&database)) {
        Err(error) if error.sqlite_error_code() != Some(ErrorCode::DatabaseCorrupt) => Err(error),
        Ok(seen) if seen.id != 0 || !seen.columns.is_empty() || !has_log(path) => Ok(seen),
        // All is in the log still, or on its way from there: whoever made it was killed early, or is at it now.
        _ => read_only(path).and_then(|database| header(&database)),
    };
    let Header { id, version, columns } = seen.map_err(|error| failed(path, &error))?;
    if id == i64::from(APPLICATION_ID) {
        return check_version(path, version).map(|()| true);
    }
    let is_old = columns.iter().filter(|column| *column != "run.calls").eq(&OLD_COLUMNS);
    Ok(id == 0 && (is_old || version == 0 && columns.is_empty()))
}

/// What tells whose a database is.
struct Header {
    id: i64,
    version: i64,
    /// The tables with their columns, in the order of their names.
    columns: Vec<String>,
}

fn header(database: &Connection) -> rusqlite::Result<Header> {
    // In one transaction: others may be making the tables right now.
    let database = &database.unchecked_transaction()?;
    let (id, version) = (number(database, "application_id")?, number(database, "user_version")?);
    let select = "SELECT t.name || '.' || c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
        WHERE t.type IN ('table', 'view') AND t.name NOT LIKE 'sqlite_%' ORDER BY 1";
    // Ours is known by its id.
    let columns = match i64::from(APPLICATION_ID) == id {
        true => Vec::new(),
        false => database.prepare(select)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?,
    };
    Ok(Header { id, version, columns })
}

/// The tables and columns of journals without an id, in the order of their names. Newer ones of them have `run.calls` as well.
const OLD_COLUMNS: [&str; 11] = [
    "fact.at_ms",
    "fact.body",
    "fact.number",
    "fact.run",
    "run.finished_at",
    "run.id",
    "run.media",
    "run.outcome",
    "run.record",
    "run.started_at",
    "run.task_type",
];

fn number(database: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    database.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))
}

/// Opens the file as one that never changes: no locks, nothing written, no files beside it. What is in its log is not
/// seen.
fn peek(path: &Path) -> rusqlite::Result<Connection> {
    let mut address = "file:".to_owned();
    for byte in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).as_os_str().as_encoded_bytes() {
        address += &format!("%{byte:02x}");
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(address + "?immutable=1", flags | OpenFlags::SQLITE_OPEN_URI)
}

/// Opens the file with its log, which stays: closing would else write it back.
fn read_only(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// Whether the write-ahead log of the file holds anything.
fn has_log(path: &Path) -> bool {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    Path::new(&name).metadata().is_ok_and(|found| found.len() > 0)
}

fn prepared(path: &Path) -> Result<Connection> {
    // Without addresses: a name may begin with `file:`.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = |error: rusqlite::Error| failed(path, &error);
    let mut connection = Connection::open_with_flags(path, flags).map_err(sql)?;
    if connection.is_readonly(MAIN_DB).map_err(sql)? {
        return Err(unusable(path, "it can't be written")
            .with_source(io::Error::from(io::ErrorKind::PermissionDenied)));
    }
    switch_to_log(&connection).map_err(sql)?;
    connection.busy_timeout(BUSY).map_err(sql)?;
    // Safe against the death of the process; a power cut may cost the last moments, which the service still knows.
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(sql)?;
    // Events are answered after a commit, and a commit that copies the log back waits for the disk: 16 MB at once, and seldom.
    connection.pragma_update(None, "wal_autocheckpoint", LOG_BYTES / 4_096).map_err(sql)?;
    // While somebody reads, the log can't be copied back and grows. Afterwards it is cut to this again.
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES).map_err(sql)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(sql)?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// Switches to a write-ahead log, where the file has none yet. Here SQLite itself does not always wait for others, so it never does.
fn switch_to_log(connection: &Connection) -> rusqlite::Result<()> {
    const PAUSE: Duration = Duration::from_millis(5);
    connection.busy_timeout(Duration::ZERO)?;
    let mut tries = BUSY.as_millis() / PAUSE.as_millis();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && tries > 0 => {
                tries -= 1;
                std::thread::sleep(PAUSE);
            }
            switched => return switched,
        }
    }
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let sql = |error: rusqlite::Error| failed(path, &error);
    let is_done = |connection: &Connection| -> rusqlite::Result<bool> {
        let version = number(connection, "user_version")?;
        let is_newest = usize::try_from(version).is_ok_and(|version| version == MIGRATIONS.len());
        Ok(is_newest && number(connection, "application_id")? == i64::from(APPLICATION_ID))
    };
    if is_done(connection).map_err(sql)? {
        return Ok(());
    }
    // An immediate transaction, so that two processes do not migrate at once.
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(sql)?;
    let version = number(&transaction, "user_version").map_err(sql)?;
    check_version(path, version)?;
    for step in &MIGRATIONS[usize::try_from(version).unwrap_or(0)..] {
        transaction.execute_batch(step).map_err(sql)?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64).map_err(sql)?;
    // The form stays as it is: 0.1.0 reads it as well.
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(sql)?;
    transaction.commit().map_err(sql)
}

fn check_version(path: &Path, version: i64) -> Result<()> {
    match usize::try_from(version).unwrap_or(usize::MAX) <= MIGRATIONS.len() {
        true => Ok(()),
        false => Err(unusable(path, &format!("a newer version of this tool wrote it (form {version})"))),
    }
}

/// Gives the room of deleted runs back to the disk, where that is a quarter of the file: so each byte that is kept is
/// copied seldom.
pub(super) fn compact(connection: &mut Connection) -> rusqlite::Result<()> {
    let (pages, free) = (number(connection, "page_count")?, number(connection, "freelist_count")?);
    if free < MOST_FREE_PAGES || free < pages / 4 {
        return Ok(());
    }
    connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")
}

/// So many free pages, of 4 KiB, are never worth the copying of the others.
const MOST_FREE_PAGES: i64 = 16;

/// An error that names the file.
pub(super) fn failed(path: &Path, error: &rusqlite::Error) -> Error {
    let why = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => "it is no database".to_owned(),
        Some(ErrorCode::DiskFull) => "the disk is full".to_owned(),
        Some(ErrorCode::ReadOnly) => "it can't be written".to_owned(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process holds its lock".to_owned()
        }
        Some(ErrorCode::SystemIoFailure) => "reading or writing it failed".to_owned(),
        Some(ErrorCode::CannotOpen) => "it or its log can't be opened".to_owned(),
        _ => error.to_string(),
    };
    let unusable = unusable(path, &why);
    // SQLite does not tell why; a file that can't be opened is not held open either.
    match std::fs::File::open(path).err().filter(|_| error.sqlite_error_code() == Some(ErrorCode::CannotOpen))
    {
        Some(why) => unusable.with_source(why),
        None => unusable,
    }
}

pub(super) fn unusable(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("the journal {} can't be used: {why}", path.display()))
}
