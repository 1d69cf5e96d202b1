//! `GetMediaRefreshJobs`: the media of a job whose URLs were handed to the CDN.

use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::answer::Problem;
use super::state::{Done, State};
use super::store::{Job, MediaRow};
use super::telling;
use crate::auth::rpc::Params;

pub(super) fn get_media_refresh_jobs(
    state: &mut State,
    params: &Params,
    now: DateTime<Utc>,
) -> Result<Done, Problem> {
    let given = |name: &str| params.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let job_id = given("MediaRefreshJobId").ok_or_else(|| Problem::missing("MediaRefreshJobId"))?;
    let only = given("MediaId");
    let mut rows = Vec::new();
    if let Some(job) = state.store.jobs.get_mut(job_id) {
        let mut shown = Vec::new();
        for row in &mut job.media {
            let span = TimeDelta::from_std(row.script.lookup_empty_for).unwrap_or(TimeDelta::MAX);
            if row.handed > now || now - row.handed < span || only.is_some_and(|id| id != row.media) {
                continue;
            }
            if row.hidden_looks > 0 {
                row.hidden_looks -= 1;
                continue;
            }
            row.looks.again(now);
            shown.push(row.media.clone());
        }
        let job = &*job;
        let shown = job.media.iter().filter(|row| shown.contains(&row.media));
        rows.extend(shown.flat_map(|row| telling::job_rows(row, &head(job_id, job, row), now)));
    }
    Ok(Done::of(json!({ "MediaRefreshJobs": rows })))
}

/// What a row says whatever came of the submission.
fn head(job_id: &str, job: &Job, row: &MediaRow) -> Value {
    let mut out = json!({
        "MediaRefreshJobId": job_id,
        "MediaId": row.media,
        "TaskType": job.task_type,
        "FilterPolicy": job.filter_policy,
        "GmtCreate": gmt(job.created),
        "GmtModified": gmt(row.handed),
    });
    if let Some(user_data) = &job.user_data {
        out["UserData"] = json!(user_data);
    }
    out
}

/// The fields that lookup and event have in common, with this part of the URLs and tasks.
pub(super) fn outcome(row: &MediaRow, part: Range<usize>, out: &mut Value) {
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

/// A blank for the `T`, and no zone: so the vendor's sample has it.
fn gmt(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S").to_string()
}
