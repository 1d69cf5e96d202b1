//! What the service itself answers about jobs and tasks, in the way in which this world behaves.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::behaviour::{Behaviour, ListNotation, Total};
use super::events::FORGED_TASK;
use super::server::{Answer, Params, Server, State};
use super::world::{Fate, Media, Row, Task, Word, World};

/// Looks at a task whose pages begin elsewhere each time.
const SHIFTS: u32 = 3;

/// The first `count` ids; each as often as it has URLs, where that is this world's way.
pub(super) fn ids<'a>(world: &'a World, tasks: &[usize], count: usize, repeats: bool) -> Vec<&'a str> {
    let named = tasks.iter().take(count).map(|task| &world.tasks[*task]);
    named.flat_map(|task| vec![task.id.as_str(); if repeats { task.rows.len().max(1) } else { 1 }]).collect()
}

/// The answer to `GetMediaRefreshJobs`.
pub(super) fn jobs(server: &Server, state: &mut State, params: &Params<'_>) -> Value {
    let behaviour = &server.world.behaviour;
    let job = params.get("MediaRefreshJobId").unwrap_or_default();
    let batch = job.strip_prefix("job-").and_then(|n| n.parse::<usize>().ok());
    let made = batch.and_then(|batch| state.made.get(batch).copied().flatten());
    let mut rows = Vec::new();
    if let (Some(batch), Some(made)) = (batch, made) {
        let since = server.now() - made;
        let asked = params.get("MediaId");
        for media in server.world.batch(batch).filter(|one| asked.is_none_or(|id| *id == one.id)) {
            rows.extend(job_rows(&server.world, media, since).into_iter().map(|mut row| {
                row.insert("MediaRefreshJobId".into(), json!(job));
                row.insert("MediaId".into(), json!(media.id));
                row.insert("TaskType".into(), json!("Refresh"));
                Value::Object(row)
            }));
        }
    }
    if state.rng.percent(20) {
        rows.reverse();
    }
    match (rows.len(), state.rng.below(3)) {
        (0, 0) => json!({ "RequestId": "r-2" }),
        (0, 1) => json!({ "RequestId": "r-2", "MediaRefreshJobs": null }),
        (1, _) if behaviour.lone => json!({ "RequestId": "r-2", "MediaRefreshJobs": rows.remove(0) }),
        _ => json!({ "RequestId": "r-2", "MediaRefreshJobs": rows }),
    }
}

fn job_rows(world: &World, media: &Media, since: Duration) -> Vec<Map<String, Value>> {
    let row = |fields: Value| fields.as_object().cloned().unwrap_or_default();
    let behaviour = &world.behaviour;
    if matches!(media.fate, Fate::Missing | Fate::Forbidden | Fate::Unseen) || since < media.shown {
        return Vec::new();
    }
    let Some(step) = media.steps.iter().rfind(|step| step.at <= since && media.fate != Fate::Pending) else {
        return vec![row(json!({ "Status": behaviour.pending }))];
    };
    match media.fate {
        Fate::Fails => {
            return vec![row(json!({ "Status": "fail", "ErrorCode": "InvalidDomain.NotFound" }))];
        }
        Fate::Empty => {
            return vec![row(json!({ "Status": "success", "TaskIds": "", "SuccessPlayUrls": null }))];
        }
        _ => {}
    }
    let ids = ids(world, &media.tasks, step.tasks, behaviour.repeats_ids);
    let urls: Vec<&str> = media.urls.iter().take(step.urls).map(|url| url.spelt.as_str()).collect();
    let one = |ids: &[&str], urls: &[&str]| {
        let mut fields = json!({ "Status": "success", "TaskIds": list_of_ids(behaviour, media, ids) });
        if !behaviour.is_unnamed {
            fields["SuccessPlayUrls"] = behaviour.urls.unambiguous_for(urls).write(urls);
        }
        row(fields)
    };
    if behaviour.two_rows && (ids.len() > 1 || urls.len() > 1) {
        let (at_id, at_url) = (ids.len().div_ceil(2), urls.len() / 2);
        return vec![one(&ids[..at_id], &urls[..at_url]), one(&ids[at_id..], &urls[at_url..])];
    }
    vec![one(&ids, &urls)]
}

fn list_of_ids(behaviour: &Behaviour, media: &Media, ids: &[&str]) -> Value {
    if media.fate != Fate::Unreadable {
        return behaviour.ids.write(ids);
    }
    let long = "9".repeat(300);
    match media.id.len() + media.tasks[0] + media.urls.len() {
        n if n % 4 == 0 => ListNotation::Commas.write(&[ids, &[&long]].concat()),
        n if n % 4 == 1 => json!([ids.join(","), { "inner": 1 }]),
        n if n % 4 == 2 => json!({ "One": ids, "Other": ["777"] }),
        _ => ListNotation::Commas.write(&[ids, &["7\u{7}7"]].concat()),
    }
}

/// The answer to `DescribeVodRefreshTasks`.
pub(super) fn tasks(server: &Server, state: &mut State, params: &Params<'_>) -> Answer {
    let world = &server.world;
    let behaviour = &world.behaviour;
    let Some(id) = params.get("TaskId").filter(|id| !id.is_empty()) else {
        let rows = listed(server, state, params);
        let own = behaviour.page.unwrap_or(50);
        return page(behaviour, params, &rows, own, 0, 0, state);
    };
    if id == FORGED_TASK {
        let row = Row {
            path: "https://else.example.test/x.mp4".into(),
            of: None,
            is_matched: false,
            shown: Some(Duration::ZERO),
            end: Some((Duration::ZERO, true)),
        };
        let row = written(FORGED_TASK, &row, Duration::ZERO, server.now());
        return page(behaviour, params, &[vec![row]], 50, 0, 0, state);
    }
    let Some(n) = world.tasks.iter().position(|task| task.id == *id) else {
        return page(behaviour, params, &[], 50, 0, 0, state);
    };
    let task = &world.tasks[n];
    match task.word {
        Word::Malformed => return Answer::error(400, "InvalidTaskId.Malformed"),
        Word::Unknown => return Answer::error(400, "SomethingElse"),
        Word::Rows | Word::NotFound => {}
    }
    let groups = visible(server, state, task);
    if groups.is_empty() && task.word == Word::NotFound {
        return Answer::error(404, "InvalidTaskId.NotFound");
    }
    state.looks[n] += 1;
    let shift = if behaviour.shifts && state.looks[n] <= SHIFTS { state.rng.below(4) as usize } else { 0 };
    // Without named URLs the total is all there is to know how many rows there will be.
    let to_come =
        if behaviour.is_unnamed { task.rows.len() - groups.iter().map(Vec::len).sum::<usize>() } else { 0 };
    page(behaviour, params, &groups, behaviour.page.unwrap_or(50), shift, to_come, state)
}

/// The rows of a task, those of one URL together: they are always shown on one page.
fn visible(server: &Server, state: &State, task: &Task) -> Vec<Vec<Value>> {
    let Some(made) = state.made[task.batch] else { return Vec::new() };
    let since = server.now() - made;
    let rows = task.rows.iter().filter(|row| row.shown.is_some_and(|shown| shown <= since));
    let (mut groups, mut last): (Vec<Vec<Value>>, _) = (Vec::new(), None);
    for row in rows {
        let text = written(&task.id, row, made + task.created.min(Duration::from_secs(1)), since);
        match groups.last_mut().filter(|_| row.of.is_some() && last == row.of) {
            Some(group) => group.push(text),
            None => groups.push(vec![text]),
        }
        last = row.of;
    }
    groups
}

fn written(id: &str, row: &Row, created: Duration, since: Duration) -> Value {
    let status = match row.end {
        Some((at, true)) if at <= since => "Complete",
        Some((at, false)) if at <= since => "Failed",
        _ if since.as_secs() < 3 => "Pending",
        _ => "Refreshing",
    };
    let is_over = row.end.is_some_and(|(at, _)| at <= since);
    let mut text = json!({
        "TaskId": id,
        "ObjectPath": row.path,
        "ObjectType": "file",
        "Status": status,
        "Process": if is_over { "100%" } else { "40%" },
        "CreationTime": Server::time_of_day(created),
    });
    if status == "Failed" {
        text["Description"] = json!("Origin Timeout");
    }
    text
}

/// The rows of all tasks in the window that was asked for, and those of others who go on making tasks.
fn listed(server: &Server, state: &State, params: &Params<'_>) -> Vec<Vec<Value>> {
    let behaviour = &server.world.behaviour;
    let mut groups: Vec<Vec<Value>> =
        server.world.tasks.iter().flat_map(|task| visible(server, state, task)).collect();
    for n in 0..behaviour.foreign_tasks {
        let created = Duration::from_millis(700 * n);
        if created <= server.now() {
            let time = Server::time_of_day(created);
            groups.push(vec![json!({
                "TaskId": format!("8{n:05}"), "ObjectPath": format!("https://others.example.test/{n}.mp4"),
                "ObjectType": "file", "Status": "Complete", "Process": "100%", "CreationTime": time,
            })]);
        }
    }
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let fits = |row: &Value| {
        let time = text(row, "CreationTime");
        params.get("StartTime").is_none_or(|start| start <= time.as_str())
            && params.get("EndTime").is_none_or(|end| time.as_str() <= end)
    };
    let heeded = |row: &Value| {
        let host = params.get("DomainName").map(|host| host.to_lowercase());
        params.get("ObjectType").is_none_or(|kind| *kind == text(row, "ObjectType"))
            && params.get("Status").is_none_or(|status| *status == text(row, "Status"))
            && host.is_none_or(|host| text(row, "ObjectPath").to_lowercase().contains(&host))
    };
    groups.retain(|group| group.iter().any(|row| fits(row) && (!behaviour.heeds_filters || heeded(row))));
    // Newest first.
    groups.sort_by_cached_key(|group| std::cmp::Reverse(text(&group[0], "CreationTime")));
    groups
}

/// One page of these rows, of at most `own`, beginning at the row `shift`; `to_come` more are counted, and not shown yet.
fn page(
    behaviour: &Behaviour,
    params: &Params<'_>,
    groups: &[Vec<Value>],
    own: usize,
    shift: usize,
    to_come: usize,
    state: &mut State,
) -> Answer {
    let number = |name: &str| params.get(name).and_then(|text| text.parse::<usize>().ok());
    let size = own.min(number("PageSize").unwrap_or(20)).clamp(1, 50);
    let at = number("PageNumber").unwrap_or(1).max(1);
    let mut groups = groups.to_vec();
    if !groups.is_empty() {
        let by = shift % groups.len();
        groups.rotate_left(by);
    }
    let total = groups.iter().map(Vec::len).sum::<usize>() + to_come;
    let mut rows: Vec<Value> = groups.into_iter().skip((at - 1) * size).take(size).flatten().collect();
    let mut body = json!({ "RequestId": "r-3", "PageNumber": at });
    if behaviour.names_page || size == number("PageSize").unwrap_or(20) {
        body["PageSize"] = json!(size);
    }
    match behaviour.total {
        Total::True => body["TotalCount"] = json!(total),
        Total::Missing => {}
        Total::Text => body["TotalCount"] = json!(total.to_string()),
        Total::Low => body["TotalCount"] = json!(total.saturating_sub(1).max(1)),
        Total::High => body["TotalCount"] = json!(total + 7),
        Total::Zero => body["TotalCount"] = json!(0),
    }
    match (rows.len(), state.rng.below(2)) {
        (0, 0) => {}
        (1, _) if behaviour.lone => body["Tasks"] = json!({ "Task": rows.remove(0) }),
        _ => body["Tasks"] = json!({ "Task": rows }),
    }
    let mut answer = Answer::ok(&body);
    if behaviour.bom {
        answer.body.splice(0..0, *b"\xef\xbb\xbf");
    }
    answer
}
