//! `GetMediaRefreshJobs`: the media of a job whose URLs were handed to the CDN.

use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::emulator::request::{Problem, Received};
use crate::emulator::state::State;
use crate::emulator::store::{Job, MediaRow};

pub(super) fn get_media_refresh_jobs(state: &mut State, args: &Received) -> Result<Value, Problem> {
    let job_id = args.required("MediaRefreshJobId")?;
    let (only, now) = (args.given("MediaId"), state.now);
    let mut rows = Vec::new();
    if let Some(job) = state.store.jobs.get_mut(job_id) {
        let mut shown = Vec::new();
        for row in &mut job.media {
            let hidden_for = TimeDelta::from_std(row.script.lookup_empty_for).unwrap_or(TimeDelta::MAX);
            if row.handed > now || now - row.handed < hidden_for || only.is_some_and(|id| id != row.media) {
                continue;
            }
            if row.hidden_lookups > 0 {
                row.hidden_lookups -= 1;
                continue;
            }
            row.lookups.add(now);
            shown.push(row.media.clone());
        }
        let job = &*job;
        let shown = job.media.iter().filter(|row| shown.contains(&row.media));
        rows.extend(shown.flat_map(|row| rows_of(row, &head(job_id, job, row), now)));
    }
    Ok(json!({ "MediaRefreshJobs": rows }))
}

/// The fields of a row that do not depend on what came of the submission.
fn head(job_id: &str, job: &Job, row: &MediaRow) -> Value {
    // A blank for the `T`, and no zone: so the vendor's sample has it.
    let time = |time: DateTime<Utc>| time.format("%Y-%m-%d %H:%M:%S").to_string();
    let mut out = json!({
        "MediaRefreshJobId": job_id,
        "MediaId": row.media,
        "TaskType": job.task_type,
        "FilterPolicy": job.filter_policy,
        "GmtCreate": time(job.created),
        "GmtModified": time(row.handed),
    });
    if let Some(user_data) = &job.user_data {
        out["UserData"] = json!(user_data);
    }
    out
}

/// The rows that show one media, as its script says; `head` is what all of them have.
fn rows_of(row: &MediaRow, head: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let telling = &row.script.telling;
    let age = (now - row.handed).to_std().unwrap_or_default();
    if age < telling.lookup_pending_for {
        let mut out = head.clone();
        out["Status"] = json!(telling.pending_word);
        return vec![out];
    }
    let shown = row.lookups.shown(telling.lookup_grows, now).min(row.urls.len());
    let middle = if telling.lookup_split { shown.div_ceil(2) } else { shown };
    let second = (middle < shown).then_some(middle..shown);
    let rows = std::iter::once(0..middle).chain(second).map(|part| {
        let mut out = head.clone();
        outcome(row, part, &mut out);
        out
    });
    rows.collect()
}

/// Writes the fields that lookups and events have in common, with this part of the URLs and tasks.
pub(crate) fn outcome(row: &MediaRow, part: Range<usize>, out: &mut Value) {
    let telling = &row.script.telling;
    match &row.script.submit_fail {
        Some(fail) => {
            out["Status"] = json!("fail");
            out["ErrorCode"] = json!(fail.code);
            out["ErrorMessage"] = json!(fail.message);
        }
        None => {
            out["Status"] = json!("success");
            out["SuccessPlayUrls"] = telling.list_style.write(&row.urls[part.clone()], false);
            out["TaskIds"] = telling.list_style.write(&row.task_ids[part], telling.garbage_in_lists);
        }
    }
}
