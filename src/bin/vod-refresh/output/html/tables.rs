//! The tables: calls, media, URLs. Long ones are folded and cut; a line tells how much is not listed.

use std::collections::BTreeMap;
use std::fmt::Display;

use chrono::{DateTime, Utc};
use vod_refresh::run::Summary;

use self::Column::{Number, Text};
use super::super::markup::{escape, escape_start};
use super::super::report_view::{MediaView, Rank, ReportView, TaskView};
use super::format::{after, class, counted, grouped, seconds, share, signed};

/// Longer tables begin folded.
const UNFOLDED: usize = 50;
/// Most rows of a table.
const ROWS: usize = 2_000;
/// Bytes that the rows of a table may take.
const BYTES: usize = 430_000;

/// The head of a column.
pub(super) enum Column {
    Text(&'static str),
    Number(&'static str),
}

pub(super) fn calls(summary: &Summary) -> String {
    let Summary { api_calls, retries, retries_by_action, throttled, .. } = summary;
    let all: u64 = api_calls.values().sum();
    if all == 0 {
        return "<h2>Calls</h2>\n<p>None were counted. The journal of a run does not keep them.</p>"
            .to_owned();
    }
    let caption = format!(
        "{}: {}, {} throttled",
        counted(all, "API call", "API calls"),
        counted(*retries, "retry", "retries"),
        grouped(throttled.values().sum())
    );
    let row = |(action, count): (&String, &u64)| {
        let of = |counts: &BTreeMap<String, u64>| counts.get(action).copied().unwrap_or_default();
        let name = format!(r#"<th scope="row">{}</th>"#, escape_start(action, 80));
        [
            name,
            number(grouped(*count)),
            number(share(*count, all)),
            number(grouped(of(retries_by_action))),
            number(grouped(of(throttled))),
        ]
    };
    let columns = [Text("Action"), Number("Calls"), Number("Share"), Number("Retries"), Number("Throttled")];
    let rows: String = api_calls.iter().map(|entry| tr(&row(entry))).collect();
    format!("<h2>Calls</h2>\n{}", table("calls", r#" class="small""#, &caption, &columns, &rows))
}

pub(super) fn media(view: &ReportView<'_>) -> String {
    let all = view.media.len();
    if all == 0 {
        return String::new();
    }
    // In the order given; but where there are too many, all that failed take precedence.
    let mut others = ROWS.saturating_sub(view.failed().count());
    let chosen = view.media.iter().filter(|media| {
        media.rank == Rank::Failed || {
            let has_room = others > 0;
            others = others.saturating_sub(1);
            has_room
        }
    });
    let caption = if all <= ROWS {
        "All media in the order given; times after the start of the run"
    } else {
        "Media that failed and the first of the others, in the order given; times after the start of the run"
    };
    let mut columns = vec![
        Text("Media"),
        Text("State"),
        Number("URLs complete"),
        Number("Submitted"),
        Number("Accepted"),
        Number("Ended"),
        Text("Known by"),
        Text("Job"),
    ];
    // A column that is empty throughout only makes the table wider.
    let has_notes = view.media.iter().any(|media| media.report.note.is_some());
    if has_notes {
        columns.push(Text("Note"));
    }
    let rows = chosen.map(|media| media_row(media, has_notes, view.report.started_at));
    format!("<h2>Media</h2>\n{}", long_table("media", caption, &columns, all, rows))
}

fn media_row(media: &MediaView<'_>, has_notes: bool, start: DateTime<Utc>) -> String {
    let complete = media.tasks.iter().filter(|task| task.rank == Rank::Complete).count();
    let job = media.report.job_id.as_ref().map_or("–".to_owned(), |job| escape(job.as_str()));
    let known_by = media.report.confirmed_by.map_or("–", |source| source.as_str());
    let mut cells = vec![
        format!(r#"<th scope="row" class="id">{}</th>"#, escape(media.name())),
        state(media.rank, &media.report.state.as_str().replace('_', " ")),
        number(format_args!("{complete} of {}", media.tasks.len())),
        number(after(media.report.submitted_at, start)),
        number(after(media.report.accepted_at, start)),
        number(after(media.ended_at, start)),
        format!("<td>{known_by}</td>"),
        format!(r#"<td class="id">{job}</td>"#),
    ];
    if has_notes {
        let note = escape_start(media.report.note.as_deref().unwrap_or_default(), 200);
        cells.push(format!("<td>{note}</td>"));
    }
    tr(&cells)
}

pub(super) fn urls(view: &ReportView<'_>) -> String {
    let all = view.tasks().count();
    if all == 0 {
        return String::new();
    }
    let caption = "URLs in the order of their media; known and ended after the start of the run, took by the CDN's clock";
    let columns = [
        Text("URL"),
        Text("Status"),
        Number("Progress"),
        Number("Known"),
        Number("Ended"),
        Number("Took"),
        Text("Task"),
    ];
    let rows = view.tasks().map(|task| url_row(task, view.report.started_at));
    format!("<h2>URLs</h2>\n{}", long_table("URLs", caption, &columns, all, rows))
}

fn url_row(task: &TaskView<'_>, start: DateTime<Utc>) -> String {
    let url = escape_start(task.report.url.as_deref().unwrap_or("(not known)"), 300);
    tr(&[
        format!(r#"<td class="url">{url}</td>"#),
        state(task.rank, &escape_start(task.status(), 40)),
        number(format_args!("{}%", task.report.progress)),
        number(after(task.report.known_at, start)),
        number(after(task.report.ended_at, start)),
        number(task.seconds().map_or_else(|| "–".to_owned(), seconds)),
        format!(r#"<td class="id">{}</td>"#, escape(task.report.task_id.as_str())),
    ])
}

/// A table that is cut where it is too long, and folded where it is long. `all` is the number of rows that there are.
fn long_table(
    noun: &str,
    caption: &str,
    columns: &[Column],
    all: usize,
    rows: impl Iterator<Item = String>,
) -> String {
    let (mut shown, mut listed) = (String::new(), 0);
    for row in rows.take(ROWS) {
        if shown.len() > BYTES {
            break;
        }
        shown.push_str(&row);
        listed += 1;
    }
    let rest = match (all - listed) as u64 {
        0 => String::new(),
        more => format!(
            "<p>{} are listed; {} more are not. The JSON report has them all.</p>\n",
            grouped(listed as u64),
            grouped(more)
        ),
    };
    let open = if all <= UNFOLDED { " open" } else { "" };
    let count = counted(all as u64, noun, noun);
    let table = table(noun, "", caption, columns, &shown);
    format!("<details{open}><summary>{count}</summary>{table}\n{rest}</details>\n")
}

/// A table that scrolls by itself where the page is narrow.
pub(super) fn table(noun: &str, class: &str, caption: &str, columns: &[Column], rows: &str) -> String {
    let head = columns.iter().map(|column| match column {
        Text(name) => format!(r#"<th scope="col">{name}</th>"#),
        Number(name) => format!(r#"<th scope="col" class="number">{name}</th>"#),
    });
    format!(
        "<div class=\"scroll\" role=\"region\" aria-label=\"Table of {noun}\" tabindex=\"0\"><table{class}>\
         <caption>{caption}</caption><thead><tr>{}</tr></thead><tbody>\n{rows}</tbody></table></div>",
        head.collect::<String>()
    )
}

pub(super) fn tr(cells: &[String]) -> String {
    format!("<tr>{}</tr>\n", cells.concat())
}

pub(super) fn number(number: impl Display) -> String {
    format!(r#"<td class="number">{number}</td>"#)
}

fn state(rank: Rank, word: &str) -> String {
    format!(r#"<td class="word {}">{}</td>"#, class(rank), signed(rank, word))
}
