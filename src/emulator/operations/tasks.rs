//! `DescribeVodRefreshTasks`: the rows of a task id, or a listing of the account's tasks.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::emulator::auth_check::parse_time;
use crate::emulator::request::{Problem, Received};
use crate::emulator::scenario::{Filtering, Pages, SizeNamed, Total};
use crate::emulator::state::State;
use crate::emulator::store::{HISTORY, Listing, TaskRow};
use crate::net::clock::to_wire;

const DEFAULT_PAGE: usize = 20;
const MAX_PAGE: usize = 50;

pub(super) fn describe_vod_refresh_tasks(state: &mut State, args: &Received) -> Result<Value, Problem> {
    let now = state.now;
    let mut listing = read_listing(args, now)?;
    // An empty TaskId gives the account's tasks, as the service is feared to do.
    let task_id = args.given("TaskId");
    if task_id.is_none() {
        filter(state.scenario.task_filters, &mut listing)?;
    }
    let page_number = args.number("PageNumber", 1..=1_000_000)?.unwrap_or(1);
    let asked_size = args.number("PageSize", 1..=MAX_PAGE)?.unwrap_or(DEFAULT_PAGE);
    let pages = &state.scenario.pages;
    let page_size = pages.size.map_or(asked_size, |most| asked_size.min(most.get()));
    let skip = (page_number - 1) * page_size;
    let queries = state.store.count_query(task_id);
    let shift = |rows: &mut Vec<&TaskRow>| {
        if !rows.is_empty() {
            let places = pages.shift.wrapping_mul(queries) % rows.len();
            rows.rotate_left(places);
        }
    };
    let (total, page) = match task_id {
        Some(id) if !id.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            return Err(Problem::new(400, "InvalidTaskId.Malformed", "Specified TaskId is malformed."));
        }
        Some(id) => {
            let mut rows = state.store.rows_of(id, page_number == 1, now);
            rows.retain(|row| listing.fits(row, now));
            shift(&mut rows);
            (rows.len(), rows.into_iter().skip(skip).take(page_size).collect())
        }
        None if pages.shift > 0 => {
            let (total, mut rows) = state.store.list(&listing, 0, usize::MAX, now);
            shift(&mut rows);
            (total, rows.into_iter().skip(skip).take(page_size).collect())
        }
        None => state.store.list(&listing, skip, page_size, now),
    };
    let rows: Vec<Value> = page.into_iter().map(|row| render(row, now)).collect();
    let mut body = json!({ "PageNumber": page_number, "Tasks": {"Task": rows} });
    name_sizes(pages, &mut body, total, page_size, asked_size);
    Ok(body)
}

fn read_listing(args: &Received, now: DateTime<Utc>) -> Result<Listing<'_>, Problem> {
    let problem = |code: &str, message: &str| Problem::new(400, code, message);
    let (from, to) = (args.given("StartTime"), args.given("EndTime"));
    match (from, to) {
        (Some(_), None) => return Err(Problem::missing("EndTime")),
        (None, Some(_)) => return Err(Problem::missing("StartTime")),
        _ => {}
    }
    let time = |text: Option<&str>, code: &str| match text.map(parse_time) {
        Some(None) => Err(problem(code, "Specified time is not well formatted, write yyyy-MM-ddTHH:mm:ssZ.")),
        time => Ok(time.flatten()),
    };
    let (from, to) = (time(from, "InvalidStartTime.Malformed")?, time(to, "InvalidEndTime.Malformed")?);
    if from.is_some() && to <= from {
        return Err(problem("InvalidEndTime.Mismatch", "Specified EndTime does not come after StartTime."));
    }
    if from.is_some_and(|from| now - from > HISTORY) {
        return Err(problem("InvalidTime", "Only the tasks of the last 3 days can be queried."));
    }
    let object_type = args.given("ObjectType");
    if object_type.is_some_and(|kind| !["file", "directory", "preload"].contains(&kind)) {
        return Err(object_type_refused());
    }
    let (domain, status) = (args.given("DomainName"), args.given("Status"));
    if (domain.is_some() || status.is_some()) && object_type.is_none() {
        let message = "ObjectType is mandatory with DomainName or Status.";
        return Err(problem("MissingParameter.ObjectType", message));
    }
    if status.is_some_and(|word| !["Complete", "Refreshing", "Failed"].contains(&word)) {
        return Err(problem("InvalidStatus.ValueNotSupported", "Specified Status is not supported."));
    }
    Ok(Listing { url: args.given("ObjectPath"), object_type, domain, status, from, to, hides_half: false })
}

fn object_type_refused() -> Problem {
    Problem::new(400, "InvalidObjectType.ValueNotSupported", "Specified ObjectType is not supported.")
}

/// Changes the filters of a listing as the scenario says.
fn filter(filtering: Filtering, listing: &mut Listing<'_>) -> Result<(), Problem> {
    if listing.object_type.is_none() {
        return Ok(());
    }
    match filtering {
        Filtering::Works => {}
        Filtering::Refused => return Err(object_type_refused()),
        Filtering::ShowsNothing => listing.url = Some("no row has this URL"),
        Filtering::KnowsNoDomain => listing.domain = listing.domain.map(|_| "no row has this domain"),
        Filtering::HidesHalf => listing.hides_half = true,
        Filtering::Ignored => (listing.object_type, listing.domain, listing.status) = (None, None, None),
    }
    Ok(())
}

fn render(row: &TaskRow, now: DateTime<Utc>) -> Value {
    let progress = row.progress(now);
    let mut out = json!({
        "TaskId": &*row.id,
        "ObjectPath": row.url,
        "ObjectType": row.object_type,
        "Status": progress.status,
        "Process": progress.process,
        "CreationTime": to_wire(row.created),
    });
    if let Some(why) = progress.description {
        out["Description"] = json!(why);
    }
    out
}

/// Adds the number of rows and the size of the page, as the scenario wants them named.
fn name_sizes(pages: &Pages, body: &mut Value, total: usize, size: usize, asked_size: usize) {
    match pages.total {
        Total::Right => body["TotalCount"] = json!(total),
        Total::None => {}
        Total::TooLow => body["TotalCount"] = json!(total / 2),
        Total::TooHigh => body["TotalCount"] = json!(total + 50),
        Total::Zero => body["TotalCount"] = json!(0),
        Total::Text => body["TotalCount"] = json!(total.to_string()),
    }
    match pages.size_named {
        SizeNamed::Right => body["PageSize"] = json!(size),
        SizeNamed::Asked => body["PageSize"] = json!(asked_size),
        SizeNamed::None => {}
    }
}
