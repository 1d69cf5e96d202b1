//! What stands in the columns of either store: records and facts as JSON, kinds and outcomes as bare words, times as the
//! service writes them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Result;

use crate::model::{Calls, Fact, Moment, Order, Outcome, RunRecord, RunSummary, StoredRun};
use crate::net::clock::to_wire;

/// How long a text is shared that nobody changes.
pub(super) const SHARED_FOR: Duration = Duration::from_secs(60);

/// A run as it is written down first.
pub(super) struct RunRow {
    pub(super) id: String,
    pub(super) started_at: String,
    pub(super) task_type: Option<String>,
    /// Media, or URLs in a run of them.
    pub(super) media: i64,
    pub(super) record: String,
}

/// Whether a run is one of URLs, in SQL: which kind of order it has stands at the beginning of its record.
pub(super) const IS_OF_URLS: &str = r#"substr(record, 1, 200) LIKE '%"order":{"urls":%'"#;

impl RunRow {
    pub(super) fn of(record: &RunRecord) -> Result<Self> {
        let (task_type, media) = match &record.order {
            Order::Refresh(request) => (Some(word(&request.task_type)?), request.media.len()),
            Order::Wait(request) => (None, request.media.len()),
            Order::Urls(request) => (Some(word(&request.task_type)?), request.urls.len()),
        };
        Ok(Self {
            id: record.run.to_string(),
            started_at: to_wire(record.started_at),
            task_type,
            media: media as i64,
            record: serde_json::to_string(record)?,
        })
    }
}

/// A fact: the milliseconds since its run began, and the JSON.
pub(super) fn of_fact((at, fact): &(Moment, Fact)) -> Result<(i64, String)> {
    Ok((at.since_start().as_millis() as i64, serde_json::to_string(fact)?))
}

pub(super) fn to_fact(at_ms: i64, body: &str) -> Result<(Moment, Fact)> {
    Ok((Moment::after(Duration::from_millis(at_ms.unsigned_abs())), serde_json::from_str(body)?))
}

/// How a run ended, and when. One that can be carried on has not finished.
pub(super) fn of_outcome(
    outcome: Option<Outcome>,
    at: DateTime<Utc>,
) -> Result<(Option<String>, Option<String>)> {
    Ok((outcome.map(|outcome| word(&outcome)).transpose()?, outcome.map(|_| to_wire(at))))
}

pub(super) fn of_calls(calls: &Calls) -> Result<String> {
    serde_json::to_string(calls)
}

/// None where no process has come to its end yet.
pub(super) fn to_calls(text: Option<&str>) -> Result<Calls> {
    text.map_or_else(|| Ok(Calls::default()), serde_json::from_str)
}

/// A run without its facts.
pub(super) fn to_stored(record: &str, outcome: Option<&str>, calls: Option<&str>) -> Result<StoredRun> {
    Ok(StoredRun {
        record: serde_json::from_str(record)?,
        facts: Vec::new(),
        outcome: outcome.map(unquoted).transpose()?,
        calls: to_calls(calls)?,
        lost: false,
    })
}

pub(super) fn to_summary(
    id: &str,
    task_type: Option<&str>,
    outcome: Option<&str>,
    started_at: &str,
    count: i64,
    is_of_urls: bool,
) -> Result<RunSummary> {
    let count = count.unsigned_abs();
    Ok(RunSummary {
        run_id: unquoted(id)?,
        task_type: task_type.map(unquoted).transpose()?,
        outcome: outcome.map(unquoted).transpose()?,
        started_at: unquoted(started_at)?,
        media: if is_of_urls { 0 } else { count },
        urls: is_of_urls.then_some(count),
        lost: false,
    })
}

/// The bare word of a unit variant.
fn word(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string(value)?.trim_matches('"').to_owned())
}

/// What a bare word stands for.
pub(super) fn unquoted<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_value(text.into())
}
