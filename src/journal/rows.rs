//! The statements.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};
use serde::de::DeserializeOwned;

use crate::ids::RunId;
use crate::model::{Calls, Fact, Moment, Order, Outcome, RunRecord, RunSummary, StoredRun};
use crate::net::clock::to_wire;

pub(super) fn insert_run(connection: &mut Connection, record: &RunRecord) -> rusqlite::Result<()> {
    let (task_type, media) = match &record.order {
        Order::Refresh(request) => (Some(word(&request.task_type)?), request.media.len()),
        Order::Wait(request) => (None, request.media.len()),
        Order::Urls(request) => (Some(word(&request.task_type)?), request.urls.len()),
    };
    connection.execute(
        "INSERT INTO run (id, started_at, task_type, media, record) VALUES (?, ?, ?, ?, ?)",
        params![record.run.as_str(), to_wire(record.started_at), task_type, media as i64, json(record)?],
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
        for (number, (at, fact)) in (first..).zip(facts) {
            let at_ms = at.since_start().as_millis() as i64;
            insert.execute(params![run.as_str(), number, at_ms, json(fact)?])?;
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
    // A run that can be carried on has not finished.
    let at = outcome.map(|_| to_wire(at));
    let outcome = outcome.map(|outcome| word(&outcome)).transpose()?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let select = "SELECT calls FROM run WHERE id = ?";
    if let Some(before) = transaction.query_row(select, [run.as_str()], |row| counted(row, 0)).optional()? {
        calls.add(&before);
    }
    transaction.execute(
        "UPDATE run SET outcome = ?, finished_at = ?, calls = ? WHERE id = ?",
        params![outcome, at, json(&calls)?, run.as_str()],
    )?;
    transaction.commit()
}

pub(super) fn select_run(
    connection: &mut Connection,
    run: Option<&RunId>,
) -> rusqlite::Result<Option<StoredRun>> {
    let found = match run {
        Some(run) => {
            connection.query_row("SELECT record, outcome, calls FROM run WHERE id = ?", [run.as_str()], record).optional()?
        }
        None => connection
            .query_row(
                "SELECT record, outcome, calls FROM run WHERE outcome IS NULL ORDER BY started_at DESC, id DESC LIMIT 1",
                [],
                record,
            )
            .optional()?,
    };
    let Some((record, outcome, calls)) = found else { return Ok(None) };
    let mut select = connection.prepare("SELECT at_ms, body FROM fact WHERE run = ? ORDER BY number")?;
    let facts = select.query_map([record.run.as_str()], |row| {
        let at = std::time::Duration::from_millis(row.get::<_, i64>(0)?.unsigned_abs());
        Ok((Moment::after(at), parsed(row, 1)?))
    })?;
    Ok(Some(StoredRun { facts: facts.collect::<Result<_, _>>()?, record, outcome, calls, lost: false }))
}

fn record(row: &Row<'_>) -> rusqlite::Result<(RunRecord, Option<Outcome>, Calls)> {
    Ok((parsed(row, 0)?, outcome(row, 1)?, counted(row, 2)?))
}

/// None where no process has come to its end yet.
fn counted(row: &Row<'_>, column: usize) -> rusqlite::Result<Calls> {
    let is_there = row.get::<_, Option<String>>(column)?.is_some();
    if is_there { parsed(row, column) } else { Ok(Calls::default()) }
}

pub(super) fn select_runs(connection: &mut Connection) -> rusqlite::Result<Vec<RunSummary>> {
    let mut select = connection.prepare(
        "SELECT id, task_type, outcome, started_at, media FROM run ORDER BY started_at DESC, id DESC",
    )?;
    let rows = select.query_map([], |row| {
        Ok(RunSummary {
            run_id: quoted(row, 0)?,
            task_type: row.get::<_, Option<String>>(1)?.map(|_| quoted(row, 1)).transpose()?,
            outcome: outcome(row, 2)?,
            started_at: quoted(row, 3)?,
            media: row.get::<_, i64>(4)?.unsigned_abs(),
            lost: false,
        })
    })?;
    rows.collect()
}

pub(super) fn delete_finished(connection: &mut Connection, before: DateTime<Utc>) -> rusqlite::Result<usize> {
    // An unfinished one may be under way, or wait for its resume.
    let begun_before = before.checked_sub_signed(TimeDelta::days(3)).unwrap_or(before);
    connection.execute(
        "DELETE FROM run WHERE finished_at < ?1 OR (finished_at IS NULL AND started_at < ?2)",
        [to_wire(before), to_wire(begun_before)],
    )
}

fn outcome(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Outcome>> {
    row.get::<_, Option<String>>(column)?.map(|_| quoted(row, column)).transpose()
}

/// A column that holds JSON.
fn parsed<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|error| unreadable(column, error))
}

/// A column that holds a bare word.
fn quoted<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?.to_owned();
    serde_json::from_value(text.into()).map_err(|error| unreadable(column, error))
}

fn unreadable(column: usize, error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// The bare word of a unit variant.
fn word(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    Ok(json(value)?.trim_matches('"').to_owned())
}
