//! The tables: whose they are, and how they come to be. Their names begin with `vod_refresh_`, in the first schema of the search
//! path; a table of somebody else under such a name is left as it is.

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::address::{Address, Target};
use super::connect::Link;
use super::failure::{unusable, why};
use crate::error::Result;

/// Stands in every journal.
const MARK: &str = "vod-refresh journal";

/// Held while tables are made. Any number will do that nobody else uses.
const MIGRATION_LOCK: i64 = i64::from_be_bytes(*b"vodRmigr");

/// Steps from an empty database to today's tables; the version counts those that were done. Never change or remove one.
///
/// The names and contents of columns are those of the SQLite file. `epoch` counts who drove a run: a write of an older driver
/// finds another number, and does nothing. `driver` is who drives it; none, once it has let go. `lost` says that facts are
/// missing. What running processes share lives for a minute: it is not logged, as a crash of the server may cost it.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE vod_refresh_run (
        id text COLLATE \"C\" PRIMARY KEY,
        started_at text COLLATE \"C\" NOT NULL,
        task_type text,
        media bigint NOT NULL,
        outcome text,
        finished_at text COLLATE \"C\",
        record text NOT NULL,
        calls text,
        epoch bigint NOT NULL,
        driver text,
        driven_since timestamptz,
        lost boolean NOT NULL DEFAULT false
    );
    CREATE TABLE vod_refresh_fact (
        run text COLLATE \"C\" NOT NULL REFERENCES vod_refresh_run (id) ON DELETE CASCADE,
        number bigint NOT NULL,
        at_ms bigint NOT NULL,
        body text NOT NULL,
        PRIMARY KEY (run, number)
    );
    CREATE INDEX vod_refresh_run_by_start ON vod_refresh_run (started_at);
    CREATE UNLOGGED TABLE vod_refresh_shared (
        topic text COLLATE \"C\" NOT NULL,
        name text COLLATE \"C\" NOT NULL,
        at_ms bigint NOT NULL,
        value text NOT NULL,
        PRIMARY KEY (topic, name)
    );
"];

const META: &str = "
    CREATE TABLE vod_refresh_meta (mark text NOT NULL, version integer NOT NULL, identity text NOT NULL);
    INSERT INTO vod_refresh_meta VALUES ('vod-refresh journal', 0, gen_random_uuid()::text);
";

/// Looks whose tables are there, and changes nothing: the version and identity of the journal, or `None` where nothing is.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config) for tables of another program, or of a newer version.
pub(super) async fn look(
    client: &Client,
    address: &Address,
    target: &Target,
) -> Result<Option<(usize, String)>> {
    let failed = |error: tokio_postgres::Error| unusable(address, &why(address, target, &error));
    let database = &address.database;
    let select = "SELECT name, coalesce((SELECT string_agg(attname::text, ' ' ORDER BY attnum)
            FROM pg_attribute WHERE attrelid = to_regclass(name) AND attnum > 0 AND NOT attisdropped), '')
        FROM unnest(ARRAY['vod_refresh_meta', 'vod_refresh_run', 'vod_refresh_fact', 'vod_refresh_shared']) AS name
        WHERE to_regclass(name) IS NOT NULL";
    let tables = client.query_typed(select, &[]).await.map_err(failed)?;
    let Some(first) = tables.first() else { return Ok(None) };
    let is_meta = (first.get(0), first.get(1)) == ("vod_refresh_meta", "mark version identity");
    let select = "SELECT version::int, identity::text FROM vod_refresh_meta WHERE mark::text = $1 LIMIT 1";
    let found = match is_meta {
        true => client.query_typed_opt(select, &[(&MARK, Type::TEXT)]).await.map_err(failed)?,
        false => None,
    };
    let Some(row) = found else {
        let table: &str = first.get(0);
        return Err(unusable(
            address,
            &format!(
                "the table `{table}` in database `{database}` is another program's: use another database, or another schema \
                 with `?options=-csearch_path%3DSCHEMA`"
            ),
        ));
    };
    let version = usize::try_from(row.get::<_, i32>(0)).unwrap_or(usize::MAX);
    if version > MIGRATIONS.len() {
        let newer = format!(
            "a newer version of this tool wrote to database `{database}` (form {version}): use that one"
        );
        return Err(unusable(address, &newer));
    }
    Ok(Some((version, row.get(1))))
}

/// Makes the tables, or brings them up to today's form, unless they are there already. Says the journal's identity.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config): as [`look`], and where tables can't be made.
pub(super) async fn migrate(link: &mut Link, address: &Address) -> Result<String> {
    if let Some((version, identity)) = look(&link.client, address, &link.target).await?
        && version == MIGRATIONS.len()
    {
        return Ok(identity);
    }
    let target = link.target.clone();
    let failed = |error: tokio_postgres::Error| {
        let why = why(address, &target, &error);
        let (user, database) = (&address.user, &address.database);
        let grant = format!("`GRANT CREATE ON SCHEMA public TO {user}` in database `{database}` allows it");
        match error.code() {
            Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE) => {
                unusable(address, &format!("user `{user}` may not make tables in it: {why}; {grant}"))
            }
            _ => unusable(address, &why),
        }
    };
    let transaction = link.client.transaction().await.map_err(failed)?;
    let lock = "SELECT pg_advisory_xact_lock($1)";
    transaction.query_typed(lock, &[(&MIGRATION_LOCK, Type::INT8)]).await.map_err(failed)?;
    // Somebody else may have done it meanwhile.
    let found = look(transaction.client(), address, &target).await?;
    let version = found.as_ref().map_or(0, |(version, _)| *version);
    let meta = if found.is_none() { META } else { "" };
    let set = format!("UPDATE vod_refresh_meta SET version = {}", MIGRATIONS.len());
    let steps = [&[meta], &MIGRATIONS[version..], &[&set]].concat();
    transaction.batch_execute(&steps.join(";")).await.map_err(failed)?;
    let identity = look(transaction.client(), address, &target).await?.map(|(_, identity)| identity);
    transaction.commit().await.map_err(failed)?;
    Ok(identity.unwrap_or_default())
}
