//! The statements of what running processes share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};

use crate::journal::store::{Change, SHARED_FOR, SHARED_WAIT};

/// The time of the server in milliseconds since 1970: the clocks of its clients differ.
const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// Changes the text under a name, with nobody in between. `change` is taken once: where the answer was lost, nothing is done again.
pub(super) async fn update(
    client: &Client,
    topic: &str,
    name: &str,
    change: &Arc<Mutex<Option<Change>>>,
) -> Result<(), Error> {
    let done = changed(client, topic, name, change).await;
    if done.is_err() {
        client.batch_execute("ROLLBACK").await?;
    }
    done
}

async fn changed(
    client: &Client,
    topic: &str,
    name: &str,
    change: &Arc<Mutex<Option<Change>>>,
) -> Result<(), Error> {
    let begin = format!("BEGIN; SET LOCAL lock_timeout = {}", SHARED_WAIT.as_millis());
    // Of a text that is not there yet, no row could be locked.
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 0))";
    let select = format!(
        "SELECT {NOW}, (SELECT value FROM vod_refresh_shared WHERE topic = $1 AND name = $2 AND abs(at_ms - {NOW}) <= {})",
        SHARED_FOR.as_millis()
    );
    let text = [(&topic as &(dyn ToSql + Sync), Type::TEXT), (&name as &(dyn ToSql + Sync), Type::TEXT)];
    // All of them in one flight; the server takes them one after the other.
    let (begun, locked, found) = tokio::join!(
        client.batch_execute(&begin),
        client.query_typed(lock, &text),
        client.query_typed_one(&select, &text),
    );
    begun?;
    locked?;
    let found = found?;
    let (now, value): (i64, Option<&str>) = (found.get(0), found.get(1));
    let change = change.lock().unwrap_or_else(PoisonError::into_inner).take();
    let changed = change.and_then(|change| change(value, Duration::from_millis(now.unsigned_abs())));
    let Some(value) = changed else { return client.batch_execute("COMMIT").await };
    let insert = "INSERT INTO vod_refresh_shared (topic, name, at_ms, value) VALUES ($1, $2, $3, $4)
        ON CONFLICT (topic, name) DO UPDATE SET at_ms = excluded.at_ms, value = excluded.value";
    let [topic, name] = text;
    let row =
        [topic, name, (&now as &(dyn ToSql + Sync), Type::INT8), (&value as &(dyn ToSql + Sync), Type::TEXT)];
    let (inserted, committed) =
        tokio::join!(client.query_typed(insert, &row), client.batch_execute("COMMIT"));
    inserted?;
    committed
}

/// The texts whose names begin so. Drops those that have expired.
pub(super) async fn select(client: &Client, topic: &str, prefix: &str) -> Result<Vec<String>, Error> {
    let most = SHARED_FOR.as_millis();
    // Others may be dropping the same.
    let select = format!(
        "WITH dropped AS (DELETE FROM vod_refresh_shared WHERE (topic, name) IN
            (SELECT topic, name FROM vod_refresh_shared WHERE abs(at_ms - {NOW}) > {most} FOR UPDATE SKIP LOCKED))
        SELECT value FROM vod_refresh_shared
        WHERE topic = $1 AND starts_with(name, $2) AND abs(at_ms - {NOW}) <= {most} ORDER BY name"
    );
    let rows = client.query_typed(&select, &[(&topic, Type::TEXT), (&prefix, Type::TEXT)]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
