//! The statements.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};

use crate::ids::RunId;
use crate::journal::columns::{self, RunRow};
use crate::model::{Calls, Fact, Moment, Outcome, RunRecord, RunSummary, StoredRun};
use crate::net::clock::to_wire;

pub(super) fn insert_run(connection: &mut Connection, record: &RunRecord) -> rusqlite::Result<()> {
    let row = RunRow::of(record).map_err(unwritable)?;
    connection.execute(
        "INSERT INTO run (id, started_at, task_type, media, record) VALUES (?, ?, ?, ?, ?)",
        params![row.id, row.started_at, row.task_type, row.media, row.record],
    )?;
    Ok(())
}

pub(super) fn insert_facts(
    connection: &mut Connection,
    run: &RunId,
    facts: &[(Moment, Fact)],
) -> rusqlite::Result<()> {
    // Immediate: one that reads first and writes then fails at once when another process wrote in between.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let next = "SELECT coalesce(max(number), 0) + 1 FROM fact WHERE run = ?";
        let first: i64 = transaction.prepare_cached(next)?.query_row([run.as_str()], |row| row.get(0))?;
        let mut insert =
            transaction.prepare_cached("INSERT INTO fact (run, number, at_ms, body) VALUES (?, ?, ?, ?)")?;
        for (number, fact) in (first..).zip(facts) {
            let (at_ms, body) = columns::of_fact(fact).map_err(unwritable)?;
            insert.execute(params![run.as_str(), number, at_ms, body])?;
        }
    }
    transaction.commit()
}

pub(super) fn set_outcome(
    connection: &mut Connection,
    run: &RunId,
    outcome: Option<Outcome>,
    at: DateTime<Utc>,
    mut calls: Calls,
) -> rusqlite::Result<()> {
    let (outcome, at) = columns::of_outcome(outcome, at).map_err(unwritable)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let before = transaction.query_row("SELECT calls FROM run WHERE id = ?", [run.as_str()], |row| {
        row.get::<_, Option<String>>(0)
    });
    calls.add(&columns::to_calls(before.optional()?.flatten().as_deref()).map_err(|why| unreadable(0, why))?);
    transaction.execute(
        "UPDATE run SET outcome = ?, finished_at = ?, calls = ? WHERE id = ?",
        params![outcome, at, columns::of_calls(&calls).map_err(unwritable)?, run.as_str()],
    )?;
    transaction.commit()
}

pub(super) fn select_run(
    connection: &mut Connection,
    run: Option<&RunId>,
) -> rusqlite::Result<Option<StoredRun>> {
    let found = match run {
        Some(run) => connection.query_row(
            "SELECT record, outcome, calls FROM run WHERE id = ?",
            [run.as_str()],
            stored,
        ),
        None => connection.query_row(
            "SELECT record, outcome, calls FROM run WHERE outcome IS NULL ORDER BY started_at DESC, id DESC LIMIT 1",
            [],
            stored,
        ),
    };
    let Some(mut found) = found.optional()? else { return Ok(None) };
    let mut select = connection.prepare("SELECT at_ms, body FROM fact WHERE run = ? ORDER BY number")?;
    let facts = select.query_map([found.record.run.as_str()], |row| {
        columns::to_fact(row.get(0)?, text(row, 1)?).map_err(|why| unreadable(1, why))
    })?;
    found.facts = facts.collect::<Result<_, _>>()?;
    Ok(Some(found))
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredRun> {
    columns::to_stored(text(row, 0)?, word(row, 1)?, word(row, 2)?).map_err(|why| unreadable(0, why))
}

pub(super) fn select_runs(connection: &mut Connection) -> rusqlite::Result<Vec<RunSummary>> {
    let is_of_urls = columns::IS_OF_URLS;
    let mut select = connection.prepare(&format!(
        "SELECT id, task_type, outcome, started_at, media, {is_of_urls} FROM run ORDER BY started_at DESC, id DESC",
    ))?;
    let rows = select.query_map([], |row| {
        let (id, task_type, outcome, started_at) =
            (text(row, 0)?, word(row, 1)?, word(row, 2)?, text(row, 3)?);
        columns::to_summary(id, task_type, outcome, started_at, row.get(4)?, row.get(5)?)
            .map_err(|why| unreadable(0, why))
    })?;
    rows.collect()
}

pub(super) fn delete_finished(
    connection: &mut Connection,
    before: DateTime<Utc>,
    begun_before: DateTime<Utc>,
) -> rusqlite::Result<usize> {
    connection.execute(
        "DELETE FROM run WHERE finished_at < ?1 OR (finished_at IS NULL AND started_at < ?2)",
        [to_wire(before), to_wire(begun_before)],
    )
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a str> {
    Ok(row.get_ref(column)?.as_str()?)
}

fn word<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<Option<&'a str>> {
    Ok(row.get_ref(column)?.as_str_or_null()?)
}

fn unreadable(column: usize, error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

fn unwritable(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}
