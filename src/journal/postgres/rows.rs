//! The statements. Each is one round trip and one transaction, and may be sent again where its answer was lost.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};

use crate::journal::columns::{IS_OF_URLS, RunRow};

type Result<T> = std::result::Result<T, Error>;

/// Who drives a run: the process, and the address from which the server sees it.
const DRIVER: &str =
    "'process ' || $2 || ' on ' || coalesce(host(inet_client_addr()), 'the database''s machine')";

/// What whoever takes a run over learns of it.
pub(super) struct Taken {
    pub(super) epoch: i64,
    pub(super) calls: Option<String>,
    /// Facts that are there.
    pub(super) facts: i64,
}

/// How many facts, whose, and in which state the run's row is.
pub(super) struct Facts {
    pub(super) run: String,
    pub(super) epoch: i64,
    pub(super) numbers: Vec<i64>,
    pub(super) at_ms: Vec<i64>,
    pub(super) bodies: Vec<String>,
}

/// The end of a run, or of its driver's work.
pub(super) struct Ending {
    pub(super) run: String,
    pub(super) epoch: i64,
    pub(super) outcome: Option<String>,
    pub(super) finished_at: Option<String>,
    pub(super) calls: String,
}

/// Writes a new run down, driven by the process `process`.
pub(super) async fn insert_run(client: &Client, row: &RunRow, process: &str) -> Result<()> {
    let insert = format!(
        "INSERT INTO vod_refresh_run (id, started_at, task_type, media, record, epoch, driver, driven_since)
         VALUES ($1, $3, $4, $5, $6, 1, {DRIVER}, now()) ON CONFLICT (id) DO NOTHING"
    );
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 6] = [
        (&row.id, Type::TEXT),
        (&process, Type::TEXT),
        (&row.started_at, Type::TEXT),
        (&row.task_type, Type::TEXT),
        (&row.media, Type::INT8),
        (&row.record, Type::TEXT),
    ];
    client.query_typed(&insert, &parameters).await.map(drop)
}

/// Writes facts of the driver with this epoch; those that are there already stay. Says whether it drives the run still.
///
/// The row's lock makes a driver that takes over wait until this is done, or this one see the newer epoch.
pub(super) async fn insert_facts(client: &Client, facts: &Facts) -> Result<bool> {
    let insert =
        "WITH held AS (SELECT id FROM vod_refresh_run WHERE id = $1 AND epoch = $2 FOR NO KEY UPDATE),
        put AS (INSERT INTO vod_refresh_fact (run, number, at_ms, body)
            SELECT held.id, fact.* FROM held, unnest($3, $4, $5) AS fact (number, at_ms, body)
            ON CONFLICT (run, number) DO NOTHING)
        SELECT count(*) > 0 FROM held";
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 5] = [
        (&facts.run, Type::TEXT),
        (&facts.epoch, Type::INT8),
        (&facts.numbers, Type::INT8_ARRAY),
        (&facts.at_ms, Type::INT8_ARRAY),
        (&facts.bodies, Type::TEXT_ARRAY),
    ];
    Ok(client.query_typed_one(insert, &parameters).await?.get(0))
}

/// Writes down how a run ended; its driver lets go of it. Says whether it was the driver still.
pub(super) async fn set_outcome(client: &Client, ending: &Ending) -> Result<bool> {
    let update = "UPDATE vod_refresh_run SET outcome = $3, finished_at = $4, calls = $5, driver = NULL
        WHERE id = $1 AND epoch = $2 RETURNING 1";
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 5] = [
        (&ending.run, Type::TEXT),
        (&ending.epoch, Type::INT8),
        (&ending.outcome, Type::TEXT),
        (&ending.finished_at, Type::TEXT),
        (&ending.calls, Type::TEXT),
    ];
    Ok(client.query_typed_opt(update, &parameters).await?.is_some())
}

/// Marks a run whose facts are not all there, or takes the mark back. Says whether this was the driver still.
pub(super) async fn set_lost(client: &Client, run: &str, epoch: i64, lost: bool) -> Result<bool> {
    let update = "UPDATE vod_refresh_run SET lost = $3 WHERE id = $1 AND epoch = $2 RETURNING 1";
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&run, Type::TEXT), (&epoch, Type::INT8), (&lost, Type::BOOL)];
    Ok(client.query_typed_opt(update, &parameters).await?.is_some())
}

/// Takes the lock of a run that ends with this session. Says whether nobody else has it.
pub(super) async fn try_lock(client: &Client, key: i64) -> Result<bool> {
    let lock = "SELECT pg_try_advisory_lock($1)";
    Ok(client.query_typed_one(lock, &[(&key, Type::INT8)]).await?.get(0))
}

/// Gives the lock back.
pub(super) async fn unlock(client: &Client, key: i64) -> Result<()> {
    client.query_typed("SELECT pg_advisory_unlock($1)", &[(&key, Type::INT8)]).await.map(drop)
}

/// Ends a session of this store that the server may not know to be dead: it holds locks.
pub(super) async fn end_session(client: &Client, backend: i32, name: &str) -> Result<()> {
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE pid = $1 AND application_name = $2 AND pid <> pg_backend_pid()";
    client.query_typed(end, &[(&backend, Type::INT4), (&name, Type::TEXT)]).await.map(drop)
}

/// Ends the session of a driver that has the lock and says nothing: others beat each five seconds.
pub(super) async fn end_silent(client: &Client, key: i64) -> Result<()> {
    let end = "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND objsubid = 1 AND (classid::bigint << 32 | objid::bigint) = $1
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND application_name LIKE 'vod-refresh %' AND state = 'idle' AND state_change < now() - interval '20 seconds'";
    client.query_typed(end, &[(&key, Type::INT8)]).await.map(drop)
}

/// Whether the last driver of a run let go of it; true for one that is not there.
pub(super) async fn was_let_go(client: &Client, run: &str) -> Result<bool> {
    let select = "SELECT driver IS NULL FROM vod_refresh_run WHERE id = $1";
    Ok(client.query_typed_opt(select, &[(&run, Type::TEXT)]).await?.is_none_or(|row| row.get(0)))
}

/// Makes the process `process` the driver of a run, if the run is there. What the driver before it writes from now on is void.
pub(super) async fn take_over(client: &Client, run: &str, process: &str) -> Result<Option<Taken>> {
    let update = format!(
        "UPDATE vod_refresh_run SET epoch = epoch + 1, driver = {DRIVER}, driven_since = now()
         WHERE id = $1 RETURNING epoch, calls"
    );
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&run, Type::TEXT), (&process, Type::TEXT)];
    let Some(row) = client.query_typed_opt(&update, &parameters).await? else { return Ok(None) };
    // Only now: what the other one was writing is there, or will never be.
    let select = "SELECT coalesce(max(number), 0) FROM vod_refresh_fact WHERE run = $1";
    let facts = client.query_typed_one(select, &[(&run, Type::TEXT)]).await?.get(0);
    Ok(Some(Taken { epoch: row.get(0), calls: row.get(1), facts }))
}

/// Lets go of a run to which nothing was written.
pub(super) async fn let_go(client: &Client, run: &str, epoch: i64) -> Result<()> {
    let update = "UPDATE vod_refresh_run SET driver = NULL WHERE id = $1 AND epoch = $2";
    client.query_typed(update, &[(&run, Type::TEXT), (&epoch, Type::INT8)]).await.map(drop)
}

/// The epoch of a run, and who drives it since when, for a sentence; `None` if the run is not there.
pub(super) async fn driver_of(client: &Client, run: &str) -> Result<Option<(i64, String)>> {
    let select = "SELECT epoch, to_char(driven_since AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
            || coalesce(' (' || driver || ')', '')
        FROM vod_refresh_run WHERE id = $1";
    let row = client.query_typed_opt(select, &[(&run, Type::TEXT)]).await?;
    Ok(row.map(|row| (row.get(0), row.get::<_, Option<String>>(1).unwrap_or_default())))
}

const RUN: &str = "SELECT record, outcome, calls, lost FROM vod_refresh_run";

/// A run's row; `None` for `run` means the newest unfinished one.
pub(super) async fn select_run(client: &Client, run: Option<&str>) -> Result<Option<Row>> {
    match run {
        Some(run) => client.query_typed_opt(&format!("{RUN} WHERE id = $1"), &[(&run, Type::TEXT)]).await,
        None => {
            let newest = format!("{RUN} WHERE outcome IS NULL ORDER BY started_at DESC, id DESC LIMIT 1");
            client.query_typed_opt(&newest, &[]).await
        }
    }
}

pub(super) async fn select_facts(client: &Client, run: &str) -> Result<Vec<Row>> {
    let select = "SELECT at_ms, body FROM vod_refresh_fact WHERE run = $1 ORDER BY number";
    client.query_typed(select, &[(&run, Type::TEXT)]).await
}

pub(super) async fn select_runs(client: &Client) -> Result<Vec<Row>> {
    let is_of_urls = IS_OF_URLS;
    let select = format!(
        "SELECT id, task_type, outcome, started_at, media, lost AND outcome IS NULL, {is_of_urls} FROM vod_refresh_run
        ORDER BY started_at DESC, id DESC"
    );
    client.query_typed(&select, &[]).await
}

pub(super) async fn delete_finished(client: &Client, before: &str, begun_before: &str) -> Result<usize> {
    let delete = "DELETE FROM vod_refresh_run
        WHERE finished_at < $1 OR (finished_at IS NULL AND started_at < $2) RETURNING 1";
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&before, Type::TEXT), (&begun_before, Type::TEXT)];
    Ok(client.query_typed(delete, &parameters).await?.len())
}
