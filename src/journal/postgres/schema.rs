//! The tables: whose they are, and how they come to be. Their names begin with `vod_refresh_`, in the first schema of the search
//! path; a table of somebody else under such a name is left as it is.

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::address::Address;
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
/// missing.
const MIGRATIONS: &[&str] = &[
    "
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
",
    super::shared::TABLE,
];

const META: &str = "
    CREATE TABLE vod_refresh_meta (mark text NOT NULL, version integer NOT NULL, identity text NOT NULL);
    INSERT INTO vod_refresh_meta VALUES ('vod-refresh journal', 0, gen_random_uuid()::text);
";

/// What is in a database.
pub(super) enum Found {
    Nothing,
    /// A journal with tables of this version.
    Journal {
        version: usize,
        identity: String,
    },
    /// A table of another program under a name of ours.
    Foreign {
        table: String,
    },
}

/// Looks whose tables are there. Changes nothing.
pub(super) async fn look(client: &Client) -> Result<Found, tokio_postgres::Error> {
    let select = "SELECT name, to_regclass(name) IS NOT NULL, coalesce((SELECT string_agg(attname::text, ' ' ORDER BY attnum)
            FROM pg_attribute WHERE attrelid = to_regclass(name) AND attnum > 0 AND NOT attisdropped), '')
        FROM unnest(ARRAY['vod_refresh_meta', 'vod_refresh_run', 'vod_refresh_fact', 'vod_refresh_shared']) AS name";
    let rows = client.query_typed(select, &[]).await?;
    let found = |row: &&tokio_postgres::Row| row.get::<_, bool>(1);
    let is_meta =
        rows.first().is_some_and(|row| found(&row) && row.get::<_, &str>(2) == "mark version identity");
    if !is_meta {
        let first = rows.iter().find(found);
        return Ok(first.map_or(Found::Nothing, |row| Found::Foreign { table: row.get(0) }));
    }
    let select = "SELECT mark::text, version::int, identity::text FROM vod_refresh_meta LIMIT 1";
    match client.query_typed_opt(select, &[]).await? {
        Some(row) if row.get::<_, &str>(0) == MARK => {
            let version = usize::try_from(row.get::<_, i32>(1)).unwrap_or(usize::MAX);
            Ok(Found::Journal { version, identity: row.get(2) })
        }
        _ => Ok(Found::Foreign { table: "vod_refresh_meta".to_owned() }),
    }
}

/// The identity of the journal in a database; none where nothing is.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config) for tables of another program, or of a newer version.
pub(super) fn identity(address: &Address, found: Found) -> Result<Option<(usize, String)>> {
    let database = &address.database;
    match found {
        Found::Nothing => Ok(None),
        Found::Journal { version, .. } if version > MIGRATIONS.len() => Err(unusable(
            address,
            &format!(
                "a newer version of this tool wrote to database `{database}` (form {version}): use that one"
            ),
        )),
        Found::Journal { version, identity } => Ok(Some((version, identity))),
        Found::Foreign { table } => Err(unusable(
            address,
            &format!(
                "the table `{table}` in database `{database}` is another program's: use another database, or another schema \
                 with `?options=-csearch_path%3DSCHEMA`"
            ),
        )),
    }
}

/// Makes the tables, or brings them up to today's form, unless they are there already. Says the journal's identity.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config): as [`identity`], and where tables can't be made.
pub(super) async fn migrate(link: &mut Link, address: &Address) -> Result<String> {
    let found =
        look(&link.client).await.map_err(|error| unusable(address, &why(address, &link.target, &error)))?;
    if let Some((version, identity)) = identity(address, found)?
        && version == MIGRATIONS.len()
    {
        return Ok(identity);
    }
    let target = link.target.clone();
    let failed = |error: &tokio_postgres::Error| {
        let why = why(address, &target, error);
        let (user, database) = (&address.user, &address.database);
        let grant = format!("`GRANT CREATE ON SCHEMA public TO {user}` in database `{database}` allows it");
        match error.code() {
            Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE) => {
                unusable(address, &format!("user `{user}` may not make tables in it: {why}; {grant}"))
            }
            _ => unusable(address, &why),
        }
    };
    let transaction = link.client.transaction().await.map_err(|error| failed(&error))?;
    let lock = "SELECT pg_advisory_xact_lock($1)";
    transaction.query_typed(lock, &[(&MIGRATION_LOCK, Type::INT8)]).await.map_err(|error| failed(&error))?;
    // Somebody else may have done it meanwhile.
    let found = look(transaction.client()).await.map_err(|error| failed(&error))?;
    let version = match identity(address, found)? {
        Some((version, _)) => version,
        None => {
            transaction.batch_execute(META).await.map_err(|error| failed(&error))?;
            0
        }
    };
    for step in &MIGRATIONS[version..] {
        transaction.batch_execute(step).await.map_err(|error| failed(&error))?;
    }
    let set = format!("UPDATE vod_refresh_meta SET version = {} RETURNING identity", MIGRATIONS.len());
    let row = transaction.query_typed_one(&set, &[]).await.map_err(|error| failed(&error))?;
    let identity = row.get(0);
    transaction.commit().await.map_err(|error| failed(&error))?;
    Ok(identity)
}
