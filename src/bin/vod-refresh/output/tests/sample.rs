//! Reports for the tests of the writers. They are read from JSON, as a script would read them.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use vod_refresh::run::Report;

fn at(seconds: i64) -> String {
    let start = DateTime::<Utc>::UNIX_EPOCH + Duration::seconds(1_795_569_550);
    (start + Duration::seconds(seconds)).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Every media complete.
pub(in crate::output) fn complete(media: usize) -> Report {
    build("complete", (0..media).map(|n| one(n, "complete")).collect())
}

/// Of each 15 media one is not found, two failed at the CDN and one is under way.
pub(in crate::output) fn mixed(media: usize) -> Report {
    let state = |n: usize| match n % 15 {
        3 => "not_found",
        7 | 11 => "failed",
        13 => "unfinished",
        _ => "complete",
    };
    build("timeout", (0..media).map(|n| one(n, state(n))).collect())
}

/// Every media failed for a reason of its own, with long texts.
pub(in crate::output) fn failing(media: usize) -> Report {
    let rows = (0..media).map(|n| {
        let mut row = one(n, "failed");
        row["error"] = json!({"code": format!("Code{n}"), "message": "why? ".repeat(80)});
        row
    });
    build("failed", rows.collect())
}

/// Markup, control characters and quotes wherever text from outside can stand.
pub(in crate::output) fn hostile() -> Report {
    let evil = "</title></style></script>]]><script>alert(1)</script>\"'&\u{0}\u{1b}[31m\u{202e}\n{x=\"";
    let row = json!({
        "media_id": "<b>\"x'&", "job_id": "</td><i>", "state": "failed", "note": evil,
        "error": {"code": evil, "message": evil, "request_id": "<R>"},
        "tasks": [{"task_id": "<t>", "url": evil, "status": evil, "progress": 3, "created_at": at(1), "description": evil},
                  {"task_id": "<u>", "url": evil, "status": "Failed", "progress": 3, "description": evil}],
    });
    let mut value = value("partial", vec![row]);
    value["extend"] = json!(evil);
    value["run_id"] = json!("<run>\"\\");
    value["error"] = json!({"code": evil, "message": evil});
    value["summary"]["api_calls"] = json!({ evil: 1 });
    serde_json::from_value(value).expect("a sample is a report")
}

/// A run that ended before anything was known.
pub(in crate::output) fn refused() -> Report {
    let mut value = value("refused", vec![]);
    value["error"] = json!({"code": "Forbidden.RAM", "message": "no permission", "request_id": "R-1"});
    value["task_type"] = Value::Null;
    value["finished_at"] = json!(at(1));
    value["summary"] = json!({"media": 0, "media_complete": 0, "media_failed": 0, "media_unfinished": 0, "tasks": 0,
        "tasks_complete": 0, "tasks_failed": 0, "tasks_unfinished": 0, "api_calls": {"RefreshMediaPlayUrls": 1},
        "retries": 0, "events_accepted": 0, "events_rejected": 0, "events_repeated": 0, "events_foreign": 0});
    serde_json::from_value(value).expect("a sample is a report")
}

fn build(outcome: &str, rows: Vec<Value>) -> Report {
    serde_json::from_value(value(outcome, rows)).expect("a sample is a report")
}

fn one(n: usize, state: &str) -> Value {
    let id = format!("{:08x}4957b658067095869a{n:06x}", n.wrapping_mul(0x9e37_79b9) & 0xffff_ffff);
    if state == "not_found" {
        return json!({"media_id": id, "state": state,
                      "error": {"code": "NonExistMediaId", "message": "the service does not know this media"}, "tasks": []});
    }
    let batch = (n / 20) as i64;
    let tasks: Vec<Value> = (0..2 + n % 2)
        .map(|t| {
            let created = 4 + batch + t as i64 % 2;
            // Most take about a minute, a few much longer.
            let took = 20 + ((n * 37 + t * 61) % 50) as i64 + if n.is_multiple_of(17) { 150 } else { 0 };
            let (status, progress, ended) = match (state, t) {
                ("failed", 0) => ("Failed", 40, Some(at(created + took))),
                ("unfinished", 0) => ("Refreshing", 70, None),
                _ => ("Complete", 100, Some(at(created + took))),
            };
            json!({"task_id": format!("146{n:07}{t}"), "status": status, "progress": progress,
                   "url": format!("https://vod.example.com/{id}/{}-{t}.m3u8", ["sd", "hd", "ld"][t % 3]),
                   "created_at": at(created), "known_at": at(created + 1), "ended_at": ended,
                   "unfinished_at": at(created + took - 2),
                   "description": (status == "Failed").then_some("Origin Timeout")})
        })
        .collect();
    let error =
        (state == "failed").then(|| json!({"code": "TaskFailed", "message": "1 of the media's URLs failed"}));
    json!({"media_id": id, "job_id": format!("c5ae61bf{batch:04}"), "state": state, "error": error,
           "submitted_at": at(1 + batch), "accepted_at": at(5 + batch),
           "confirmed_by": if n.is_multiple_of(2) { "callback" } else { "lookup" }, "tasks": tasks})
}

fn value(outcome: &str, rows: Vec<Value>) -> Value {
    let states = |wanted: &[&str]| rows.iter().filter(|r| wanted.iter().any(|w| r["state"] == *w)).count();
    let tasks: Vec<&Value> = rows.iter().flat_map(|r| r["tasks"].as_array().into_iter().flatten()).collect();
    let status = |wanted: &str| tasks.iter().filter(|t| t["status"] == wanted).count();
    let calls = rows.len().div_ceil(20);
    json!({
        "schema": 1, "run_id": "0197f3c2-7a10-7cc3-98c4-dc0c0c07398f", "task_type": "refresh", "outcome": outcome,
        "resumable": outcome == "timeout",
        "started_at": at(0), "finished_at": at(240 + rows.len() as i64 / 20),
        "summary": {
            "media": rows.len(), "media_complete": states(&["complete"]),
            "media_failed": states(&["failed", "not_found"]), "media_unfinished": states(&["unfinished"]),
            "tasks": tasks.len(), "tasks_complete": status("Complete"), "tasks_failed": status("Failed"),
            "tasks_unfinished": tasks.len() - status("Complete") - status("Failed"),
            "api_calls": {"RefreshMediaPlayUrls": calls, "GetMediaRefreshJobs": calls,
                          "DescribeVodRefreshTasks": 2 * tasks.len()},
            "retries": 3, "retries_by_action": {"GetMediaRefreshJobs": 1, "DescribeVodRefreshTasks": 2},
            "throttled": {"DescribeVodRefreshTasks": 2}, "events_accepted": rows.len() / 2, "events_rejected": 1, "events_repeated": 2,
            "events_foreign": 0,
        },
        "media": rows,
    })
}
