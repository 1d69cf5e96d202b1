//! What running processes share. Unlike facts it may be lost: the table is not logged.

use std::time::Duration;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

use crate::journal::store::SHARED_FOR;

pub(super) const TABLE: &str = "
    CREATE UNLOGGED TABLE vod_refresh_shared (
        topic text COLLATE \"C\" NOT NULL,
        name text COLLATE \"C\" NOT NULL,
        at_us bigint NOT NULL,
        value text NOT NULL,
        PRIMARY KEY (topic, name)
    );
";

/// The server's time in microseconds.
const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// A text, as it stands there.
pub(super) struct Shared {
    pub(super) now: Duration,
    /// When it was written, which no two writes of it share; `None` where there is none.
    pub(super) at_us: Option<i64>,
    /// The text, unless it has expired.
    pub(super) value: Option<String>,
}

pub(super) async fn select(client: &Client, topic: &str, name: &str) -> Result<Shared, Error> {
    let select = format!(
        "SELECT {NOW}, at_us, value FROM (SELECT 1) AS always
        LEFT JOIN vod_refresh_shared ON topic = $1 AND name = $2"
    );
    let row = client.query_typed_one(&select, &[(&topic, Type::TEXT), (&name, Type::TEXT)]).await?;
    let (now, at_us): (i64, Option<i64>) = (row.get(0), row.get(1));
    let is_fresh = at_us.is_some_and(|at| at.abs_diff(now) <= SHARED_FOR.as_micros() as u64);
    let value = row.get::<_, Option<String>>(2).filter(|_| is_fresh);
    Ok(Shared { now: Duration::from_micros(now.unsigned_abs()), at_us, value })
}

/// Puts a text where one was written at `before`, or none was. Says whether nobody was faster.
pub(super) async fn replace(
    client: &Client,
    topic: &str,
    name: &str,
    before: Option<i64>,
    value: &str,
) -> Result<bool, Error> {
    let insert = format!(
        "INSERT INTO vod_refresh_shared AS shared (topic, name, at_us, value)
        VALUES ($1, $2, greatest({NOW}, coalesce($3, 0) + 1), $4)
        ON CONFLICT (topic, name) DO UPDATE SET at_us = excluded.at_us, value = excluded.value
        WHERE shared.at_us = $3 RETURNING 1"
    );
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] =
        [(&topic, Type::TEXT), (&name, Type::TEXT), (&before, Type::INT8), (&value, Type::TEXT)];
    Ok(client.query_typed_opt(&insert, &parameters).await?.is_some())
}

/// The texts whose names begin so. Drops those that have expired.
pub(super) async fn select_all(client: &Client, topic: &str, prefix: &str) -> Result<Vec<String>, Error> {
    let oldest = SHARED_FOR.as_micros();
    let select = format!(
        "WITH dropped AS (DELETE FROM vod_refresh_shared WHERE (topic, name) IN
            (SELECT topic, name FROM vod_refresh_shared WHERE at_us < {NOW} - {oldest} FOR UPDATE SKIP LOCKED))
        SELECT value FROM vod_refresh_shared
        WHERE topic = $1 AND starts_with(name, $2) AND at_us >= {NOW} - {oldest} ORDER BY name"
    );
    let rows = client.query_typed(&select, &[(&topic, Type::TEXT), (&prefix, Type::TEXT)]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
