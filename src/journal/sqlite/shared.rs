//! The statements of what running processes share.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use crate::journal::SHARED_FOR;

/// Beside the tables of the runs, and no part of their form: versions that do not know it leave it alone. It is made by the
/// first process that shares anything.
const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS shared (
        topic TEXT NOT NULL,
        name TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (topic, name)
    ) STRICT;
";

/// Changes the text under a name, all at once.
pub(super) fn update<T>(
    connection: &mut Connection,
    topic: &str,
    name: &str,
    now: Duration,
    change: impl FnOnce(Option<&str>, Duration) -> (Option<String>, T),
) -> rusqlite::Result<T> {
    let (oldest, newest) = times(now);
    connection.prepare_cached(TABLE)?.execute([])?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let select = "SELECT value FROM shared WHERE topic = ? AND name = ? AND at_ms BETWEEN ? AND ?";
    let value: Option<String> = transaction
        .prepare_cached(select)?
        .query_row(params![topic, name, oldest, newest], |row| row.get(0))
        .optional()?;
    let (value, result) = change(value.as_deref(), now);
    if let Some(value) = value {
        let insert = "INSERT OR REPLACE INTO shared (topic, name, at_ms, value) VALUES (?, ?, ?, ?)";
        transaction.prepare_cached(insert)?.execute(params![topic, name, millis(now), value])?;
    }
    transaction.commit()?;
    Ok(result)
}

/// The texts whose names begin so. Drops those that have expired.
pub(super) fn select(
    connection: &mut Connection,
    topic: &str,
    prefix: &str,
    now: Duration,
) -> rusqlite::Result<Vec<String>> {
    let (oldest, newest) = times(now);
    connection.prepare_cached(TABLE)?.execute([])?;
    connection
        .prepare_cached("DELETE FROM shared WHERE at_ms NOT BETWEEN ? AND ?")?
        .execute([oldest, newest])?;
    let select =
        "SELECT value FROM shared WHERE topic = ? AND substr(name, 1, length(?2)) = ?2 ORDER BY name";
    let mut select = connection.prepare_cached(select)?;
    let rows = select.query_map([topic, prefix], |row| row.get(0))?;
    rows.collect()
}

/// The times between which texts count: a clock may have been set back.
fn times(now: Duration) -> (i64, i64) {
    (millis(now.saturating_sub(SHARED_FOR)), millis(now + SHARED_FOR))
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
