//! `DescribeVodRefreshTasks`: the rows of a task id, or a listing of the account's tasks.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::answer::Problem;
use super::signature::parse_time;
use super::state::{Done, State};
use super::store::{HISTORY, Listing, TaskRow};
use crate::auth::rpc::Params;
use crate::net::clock::to_wire;

const DEFAULT_PAGE: usize = 20;
const MAX_PAGE: usize = 50;

pub(super) fn describe_vod_refresh_tasks(
    state: &mut State,
    params: &Params,
    now: DateTime<Utc>,
) -> Result<Done, Problem> {
    // An empty filter is no filter: an empty TaskId gives the account's tasks, as the service is feared to do.
    let given = |name: &str| params.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let mut listing = read_listing(&given, now)?;
    if given("TaskId").is_none() {
        state.scenario.task_filters.apply(&mut listing)?;
    }
    let number = |name: &str, default: usize, max: usize| match given(name) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .ok()
            .filter(|n| (1..=max).contains(n))
            .ok_or_else(|| Problem::invalid_parameter(name, &format!("it is no number from 1 to {max}"))),
    };
    let page_number = number("PageNumber", 1, 1_000_000)?;
    let asked_size = number("PageSize", DEFAULT_PAGE, MAX_PAGE)?;
    let pages = &state.scenario.pages;
    let page_size = pages.size(asked_size);
    let skip = (page_number - 1) * page_size;
    let queries = state.store.count_query(given("TaskId"));
    let (total, page) = match given("TaskId") {
        Some(id) if !id.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            return Err(Problem::new(400, "InvalidTaskId.Malformed", "Specified TaskId is malformed."));
        }
        Some(id) => {
            let mut rows = state.store.rows_of(id, page_number == 1, now);
            rows.retain(|row| listing.fits(row, now));
            pages.turn(&mut rows, queries);
            (rows.len(), rows.into_iter().skip(skip).take(page_size).collect())
        }
        None if pages.shift > 0 => {
            let (total, mut rows) = state.store.list(&listing, 0, usize::MAX, now);
            pages.turn(&mut rows, queries);
            (total, rows.into_iter().skip(skip).take(page_size).collect())
        }
        None => state.store.list(&listing, skip, page_size, now),
    };
    let rows: Vec<Value> = page.into_iter().map(|row| render(row, now)).collect();
    let mut body = json!({
        "PageNumber": page_number,
        "PageSize": page_size,
        "TotalCount": total,
        "Tasks": {"Task": rows},
    });
    pages.tell(&mut body, asked_size);
    Ok(Done::of(body))
}

fn read_listing<'a>(
    given: &impl Fn(&str) -> Option<&'a str>,
    now: DateTime<Utc>,
) -> Result<Listing<'a>, Problem> {
    let problem = |code: &str, message: &str| Problem::new(400, code, message);
    let (from, to) = match (given("StartTime"), given("EndTime")) {
        (None, None) => (None, None),
        (Some(from), Some(to)) => (Some(from), Some(to)),
        (Some(_), None) => return Err(Problem::missing("EndTime")),
        (None, Some(_)) => return Err(Problem::missing("StartTime")),
    };
    let time = |text: Option<&str>, code: &str| match text.map(parse_time) {
        Some(None) => Err(problem(code, "Specified time is not well formatted, write yyyy-MM-ddTHH:mm:ssZ.")),
        Some(time) => Ok(time),
        None => Ok(None),
    };
    let (from, to) = (time(from, "InvalidStartTime.Malformed")?, time(to, "InvalidEndTime.Malformed")?);
    if let (Some(from), Some(to)) = (from, to) {
        if to <= from {
            return Err(problem(
                "InvalidEndTime.Mismatch",
                "Specified EndTime does not come after StartTime.",
            ));
        }
        if now - from > HISTORY {
            return Err(problem("InvalidTime", "Only the tasks of the last 3 days can be queried."));
        }
    }
    let object_type = given("ObjectType");
    if object_type.is_some_and(|kind| !["file", "directory", "preload"].contains(&kind)) {
        return Err(problem("InvalidObjectType.ValueNotSupported", "Specified ObjectType is not supported."));
    }
    let (domain, status) = (given("DomainName"), given("Status"));
    if (domain.is_some() || status.is_some()) && object_type.is_none() {
        return Err(problem(
            "MissingParameter.ObjectType",
            "ObjectType is mandatory with DomainName or Status.",
        ));
    }
    if status.is_some_and(|word| !["Complete", "Refreshing", "Failed"].contains(&word)) {
        return Err(problem("InvalidStatus.ValueNotSupported", "Specified Status is not supported."));
    }
    Ok(Listing { url: given("ObjectPath"), object_type, domain, status, from, to, hides_half: false })
}

fn render(row: &TaskRow, now: DateTime<Utc>) -> Value {
    let shown = row.at(now);
    let mut out = json!({
        "TaskId": &*row.id,
        "ObjectPath": row.url,
        "ObjectType": row.object_type,
        "Status": shown.status,
        "Process": shown.process,
        "CreationTime": to_wire(row.created),
    });
    if let Some(why) = shown.description {
        out["Description"] = json!(why);
    }
    out
}
