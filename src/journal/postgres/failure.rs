//! What went wrong with the database, in words that name it and say what to do next.

use std::error::Error as StdError;

use tokio_postgres::error::SqlState;

use super::address::{Address, Target};
use super::tls::HandshakeFailed;
use crate::error::{Error, ErrorKind};

/// An error that names the journal.
pub(super) fn unusable(address: &Address, why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("the journal {} can't be used: {why}", address.place))
}

/// What a server, or the way to it, answered.
pub(super) fn why(address: &Address, target: &Target, error: &tokio_postgres::Error) -> String {
    let Address { user, database, .. } = address;
    if let Some(answer) = error.as_db_error() {
        let said = answer.message();
        return match answer.code() {
            &SqlState::INVALID_CATALOG_NAME => {
                format!("there is no database `{database}` on {target}: make it with `createdb {database}`")
            }
            &SqlState::INVALID_PASSWORD => {
                format!("the password of user `{user}` is wrong for {target}: see PGPASSWORD or ~/.pgpass")
            }
            &SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                format!("{target} does not let user `{user}` in: {said}; see its pg_hba.conf")
            }
            &SqlState::INSUFFICIENT_PRIVILEGE => format!(
                "user `{user}` lacks a permission in database `{database}` on {target}: {said}; the owner of the database can grant it"
            ),
            &SqlState::READ_ONLY_SQL_TRANSACTION => read_only(address, target, false),
            &SqlState::DISK_FULL => format!("the disk of {target} is full"),
            &SqlState::LOCK_NOT_AVAILABLE => "another process holds its lock".to_owned(),
            &SqlState::QUERY_CANCELED => format!("{target} took too long: {said}"),
            code => format!("{target} answered: {said} ({})", code.code()),
        };
    }
    let cause = innermost(error);
    if cause == "password missing" {
        return format!(
            "{target} asks for a password of user `{user}`: give it in PGPASSWORD or ~/.pgpass{}",
            address.why_no_password()
        );
    }
    if is_handshake(error) {
        return format!(
            "TLS with {target} failed: {cause}; `sslrootcert=FILE` names the authority to trust, `sslmode` how much is checked"
        );
    }
    if cause == "server does not support TLS" {
        return format!("{target} does not speak TLS, and `sslmode` asks for it");
    }
    if cause == "server did not use channel binding" {
        return format!("{target} offers no channel binding, and `channel_binding=require` asks for it");
    }
    if error.is_closed() {
        return format!("{target} closed the connection");
    }
    format!("{target} can't be reached: {cause}")
}

/// Why nothing can be written there.
pub(super) fn read_only(address: &Address, target: &Target, is_replica: bool) -> String {
    let Address { user, database, .. } = address;
    match is_replica {
        true => format!(
            "{target} is a read-only replica: name the primary, or all servers with `target_session_attrs=read-write`"
        ),
        false => format!(
            "database `{database}` on {target} is read-only for user `{user}`: see its `default_transaction_read_only`"
        ),
    }
}

/// Why a session will not do that is another process of the server from one transaction to the next.
pub(super) fn pooled(what: impl std::fmt::Display) -> String {
    format!(
        "{what} is a pooler that lends a session for one transaction, and a run needs one of its own: name PostgreSQL itself, or have \
         the pooler keep sessions (in PgBouncer `pool_mode = session`)"
    )
}

/// Whether TLS was begun and failed.
pub(super) fn is_handshake(error: &tokio_postgres::Error) -> bool {
    error.source().is_some_and(|source| source.is::<HandshakeFailed>())
}

/// The text of the first cause: those above it only say that there is one.
fn innermost(error: &dyn StdError) -> String {
    let mut at = error;
    while let Some(next) = at.source() {
        at = next;
    }
    at.to_string()
}
