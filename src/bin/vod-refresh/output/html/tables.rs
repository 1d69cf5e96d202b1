//! The tables: calls, media, URLs. Long ones are folded and cut; a line says how many rows are not listed.

use std::collections::BTreeMap;
use std::fmt::Display;

use chrono::{DateTime, Utc};
use vod_refresh::run::Summary;
use vod_refresh::{EdgeAnswer, EdgeVerdict};

use super::super::markup::{escape, escape_start};
use super::super::report_view::{MediaView, Rank, ReportView, TaskView, edge_line};
use super::format::{after, class, counted, grouped, seconds, share, signed, time};

/// Longer tables begin folded.
const UNFOLDED: usize = 50;
/// Most rows of a table.
const ROWS: usize = 2_000;
/// Bytes that the rows of a table may take.
const BYTES: usize = 430_000;

pub(super) fn calls(summary: &Summary) -> String {
    let all: u64 = summary.api_calls.values().sum();
    if all == 0 {
        return "<h2>Calls</h2>\n<p>None were counted: they are written down when a process that drives the run ends in order.</p>"
            .to_owned();
    }
    let row = |(action, count): (&String, &u64)| {
        let of = |counts: &BTreeMap<String, u64>| number(grouped(counts.get(action).copied().unwrap_or(0)));
        let (count, share) = (number(grouped(*count)), number(share(*count, all)));
        let (retries, throttled) = (of(&summary.retries_by_action), of(&summary.throttled));
        let action = escape_start(action, 80);
        format!("<tr><th scope=\"row\">{action}</th>{count}{share}{retries}{throttled}</tr>\n")
    };
    format!(
        include_str!("calls.html"),
        all = counted(all, "API call"),
        retries = counted(summary.retries, "retry"),
        throttled = grouped(summary.throttled.values().sum()),
        rows = summary.api_calls.iter().map(row).collect::<String>(),
    )
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
    // A column that is empty throughout only makes the table wider.
    let has_notes = view.media.iter().any(|media| media.report.note.is_some());
    let (rows, rest) = cut(all, chosen.map(|media| media_row(media, has_notes, view.report.started_at)));
    format!(
        include_str!("media.html"),
        open = open(all),
        count = counted(all as u64, view.report.noun()),
        caption = match (all <= ROWS, view.report.urls.is_empty()) {
            (true, true) => "All media",
            (true, false) => "All URLs",
            (false, true) => "Media that failed and the first of the others,",
            (false, false) => "URLs that failed and the first of the others,",
        },
        note = if has_notes { r#"<th scope="col">Note</th>"# } else { "" },
        rows = rows,
        rest = rest,
    )
}

fn media_row(media: &MediaView<'_>, has_notes: bool, start: DateTime<Utc>) -> String {
    let report = media.report;
    let complete = media.tasks.iter().filter(|task| task.rank == Rank::Complete).count();
    let note = escape_start(report.note.as_deref().unwrap_or_default(), 200);
    format!(
        "<tr><th scope=\"row\" class=\"id\">{}</th>{}{}{}{}{}<td>{}</td><td class=\"id\">{}</td>{}</tr>\n",
        escape(media.name()),
        state(media.rank, &media.state()),
        number(format_args!("{complete} of {}", media.tasks.len())),
        number(after(report.submitted_at, start)),
        number(after(report.accepted_at, start)),
        number(after(media.ended_at, start)),
        report.confirmed_by.map_or("–", |source| source.as_str()),
        report.job_id.as_ref().map_or("–".to_owned(), |job| escape(job.as_str())),
        if has_notes { format!("<td>{note}</td>") } else { String::new() }
    )
}

pub(super) fn urls(view: &ReportView<'_>) -> String {
    let all = view.tasks().count();
    if all == 0 {
        return String::new();
    }
    let (rows, rest) = cut(all, view.tasks().map(|task| url_row(task, view.report.started_at)));
    format!(
        include_str!("urls.html"),
        open = open(all),
        count = format_args!("{} URLs", grouped(all as u64)),
        rows = rows,
        rest = rest
    )
}

fn url_row(task: &TaskView<'_>, start: DateTime<Utc>) -> String {
    format!(
        "<tr><td class=\"url\">{}</td>{}{}{}{}{}<td class=\"id\">{}</td></tr>\n",
        escape_start(task.report.url.as_deref().unwrap_or("(not known)"), 300),
        state(task.rank, &escape_start(&task.status(), 40)),
        number(format_args!("{}%", task.report.progress)),
        number(after(task.report.known_at, start)),
        number(after(task.report.ended_at, start)),
        number(task.seconds().map_or_else(|| "–".to_owned(), seconds)),
        escape(task.report.task_id.as_str())
    )
}

pub(super) fn edge(view: &ReportView<'_>) -> String {
    let mut answers: Vec<_> =
        view.tasks().flat_map(|task| task.report.edge.iter().map(move |answer| (task, answer))).collect();
    let Some(sums) = edge_line(view) else { return String::new() };
    answers.sort_by_key(|(_, answer)| answer.verdict != EdgeVerdict::Stale);
    let (rows, rest) = cut(answers.len(), answers.iter().map(|(task, answer)| edge_row(task, answer)));
    format!(
        include_str!("edge.html"),
        sums = escape(&sums),
        open = open(answers.len()),
        count = counted(answers.len() as u64, "answer"),
        rows = rows,
        rest = rest
    )
}

fn edge_row(task: &TaskView<'_>, answer: &EdgeAnswer) -> String {
    let rank = match answer.verdict {
        EdgeVerdict::Stale => Rank::Failed,
        EdgeVerdict::Fresh | EdgeVerdict::Absent => Rank::Complete,
        _ => Rank::Unfinished,
    };
    format!(
        "<tr><td class=\"url\">{}</td><td class=\"id\">{}</td>{}<td>{}</td><td>{}</td></tr>\n",
        escape_start(task.report.url.as_deref().unwrap_or_default(), 300),
        escape_start(&answer.node, 200),
        state(rank, answer.verdict.as_str()),
        answer.saved_at.map_or_else(|| "–".to_owned(), time),
        escape_start(&answer.reason, 300),
    )
}

/// Returns the first of `all` rows, as many as the page may hold, and a line with the number of the others.
fn cut(all: usize, rows: impl Iterator<Item = String>) -> (String, String) {
    let (mut shown, mut listed) = (String::new(), 0);
    for row in rows.take(ROWS) {
        if shown.len() > BYTES {
            break;
        }
        shown.push_str(&row);
        listed += 1;
    }
    if all == listed {
        return (shown, String::new());
    }
    let (listed, more) = (grouped(listed as u64), grouped((all - listed) as u64));
    (shown, format!("<p>{listed} are listed; {more} more are not. The JSON report has them all.</p>\n"))
}

fn open(rows: usize) -> &'static str {
    if rows <= UNFOLDED { " open" } else { "" }
}

pub(super) fn number(number: impl Display) -> String {
    format!(r#"<td class="number">{number}</td>"#)
}

fn state(rank: Rank, word: &str) -> String {
    format!(r#"<td class="word {}">{}</td>"#, class(rank), signed(rank, word))
}
