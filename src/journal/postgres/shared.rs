//! What running processes share, beside their runs.

use std::time::Duration;

use futures_util::future::{join, try_join};
use tokio::time::sleep;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};

use crate::journal::store::{Change, SHARED_FOR};

/// How often a text is tried for that others are changing, and after what pause. Nobody waits in the session: what follows on it
/// would wait as well.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(15);

/// The lock of a text, which lasts as long as it takes to change it, or as the session.
const KEY: &str = "hashtextextended('vod-refresh ' || $1 || ' ' || $2, 0)";

/// Changes the text under a name, with nobody in between. Says whether it was done: not where others were at it all the time, nor
/// where `change` was used up before a session broke.
pub(super) async fn update(
    client: &Client,
    topic: &str,
    name: &str,
    take_change: impl Fn() -> Option<Change>,
) -> Result<bool, Error> {
    let names: [(&(dyn ToSql + Sync), Type); 2] = [(&topic, Type::TEXT), (&name, Type::TEXT)];
    let try_lock = format!("SELECT pg_try_advisory_lock({KEY})");
    let unlock = format!("SELECT pg_advisory_unlock({KEY})");
    let select = format!(
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, (SELECT value FROM vod_refresh_shared
         WHERE topic = $1 AND name = $2 AND at > clock_timestamp() - interval '{} s')",
        SHARED_FOR.as_secs()
    );
    for _ in 0..TRIES {
        // One after the other on the way of the session, so what is read was written before the lock was had.
        let (lock, found) =
            try_join(client.query_typed_one(&try_lock, &names), client.query_typed_one(&select, &names))
                .await?;
        if !lock.get::<_, bool>(0) {
            sleep(PAUSE).await;
            continue;
        }
        let Some(change) = take_change() else {
            return client.query_typed(&unlock, &names).await.map(|_| false);
        };
        let now = Duration::from_millis(found.get::<_, i64>(0).unsigned_abs());
        let Some(value) = change(found.get(1), now) else {
            return client.query_typed(&unlock, &names).await.map(|_| true);
        };
        let upsert =
            "INSERT INTO vod_refresh_shared (topic, name, at, value) VALUES ($1, $2, clock_timestamp(), $3)
            ON CONFLICT (topic, name) DO UPDATE SET at = excluded.at, value = excluded.value";
        let values: [(&(dyn ToSql + Sync), Type); 3] =
            [(&topic, Type::TEXT), (&name, Type::TEXT), (&value, Type::TEXT)];
        let (written, unlocked) =
            join(client.query_typed(upsert, &values), client.query_typed(&unlock, &names)).await;
        return written.and(unlocked).map(|_| true);
    }
    Ok(false)
}

/// The texts of a topic whose names begin so. Drops those that have expired.
pub(super) async fn select(client: &Client, topic: &str, prefix: &str) -> Result<Vec<String>, Error> {
    let expired = format!("at <= clock_timestamp() - interval '{} s'", SHARED_FOR.as_secs());
    let delete = format!("DELETE FROM vod_refresh_shared WHERE {expired}");
    let select = format!(
        "SELECT value FROM vod_refresh_shared WHERE topic = $1 AND starts_with(name, $2) AND NOT {expired} ORDER BY name"
    );
    let names: [(&(dyn ToSql + Sync), Type); 2] = [(&topic, Type::TEXT), (&prefix, Type::TEXT)];
    let (_, rows) = try_join(client.query_typed(&delete, &[]), client.query_typed(&select, &names)).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
