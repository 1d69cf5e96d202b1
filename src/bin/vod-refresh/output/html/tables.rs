//! The tables: calls, media, URLs. Long ones are folded and cut; a line tells how much is not listed.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use chrono::{DateTime, Utc};
use vod_refresh::run::{MediaReport, Report, Summary};

use super::super::escape::{escaped, shortened};
use super::super::rows;
use super::{Count, grouped, length, share, span, state};

/// Longer tables begin folded.
const UNFOLDED: usize = 50;
/// Most rows of a table.
const ROWS: usize = 2_000;
/// Bytes that a table may take.
const BYTES: usize = 430_000;

pub(super) fn calls(out: &mut String, report: &Report) -> fmt::Result {
    let Summary { api_calls, retries, retries_by_action, throttled, .. } = &report.summary;
    let all: u64 = api_calls.values().sum();
    writeln!(out, r#"<section id="calls"><h2>Calls</h2>"#)?;
    if all == 0 {
        return writeln!(out, "<p>None were counted. The journal of a run does not keep them.</p></section>");
    }
    writeln!(
        out,
        r#"<div class="scroll" role="region" aria-label="Table of calls" tabindex="0"><table class="small"><caption>{}: {}, {} throttled</caption>
<thead><tr><th scope="col">Action</th><th scope="col" class="number">Calls</th><th scope="col" class="number">Share</th><th scope="col" class="number">Retries</th><th scope="col" class="number">Throttled</th></tr></thead><tbody>"#,
        Count(all, "API call", "API calls"),
        Count(*retries, "retry", "retries"),
        grouped(throttled.values().sum()),
    )?;
    for (action, count) in api_calls {
        let of = |counts: &BTreeMap<String, u64>| counts.get(action).copied().unwrap_or_default();
        writeln!(
            out,
            r#"<tr><th scope="row">{}</th><td class="number">{}</td><td class="number">{}</td><td class="number">{}</td><td class="number">{}</td></tr>"#,
            escaped(&shortened(action, 80)),
            grouped(*count),
            share(*count, all),
            grouped(of(retries_by_action)),
            grouped(of(throttled)),
        )?;
    }
    writeln!(out, "</tbody></table></div></section>")
}

pub(super) fn media(out: &mut String, report: &Report) -> fmt::Result {
    if report.media.is_empty() {
        return Ok(());
    }
    writeln!(out, r#"<section id="media"><h2>Media</h2>"#)?;
    // In the order given; but where there are too many, all that failed take precedence.
    let failed = rows::failed_media(report).count();
    let mut others = ROWS.saturating_sub(failed);
    let chosen = report.media.iter().filter(|media| {
        media.state.is_failure() || {
            let room = others > 0;
            others = others.saturating_sub(1);
            room
        }
    });
    // A column that is empty throughout only makes the table wider.
    let has_notes = report.media.iter().any(|media| media.note.is_some());
    let note_column = if has_notes { r#"<th scope="col">Note</th>"# } else { "" };
    let columns = format!(
        r#"<th scope="col">Media</th><th scope="col">State</th><th scope="col" class="number">URLs complete</th><th scope="col" class="number">Submitted</th><th scope="col" class="number">Accepted</th><th scope="col" class="number">Ended</th><th scope="col">Known by</th><th scope="col">Job</th>{note_column}"#
    );
    let caption = match report.media.len() {
        0..=ROWS => "All media in the order given; times after the start of the run",
        _ => {
            "Media that failed and the first of the others, in the order given; times after the start of the run"
        }
    };
    table(out, caption, "media", &columns, report.media.len(), chosen, |out, media| {
        media_row(out, media, has_notes, report.started_at)
    })?;
    writeln!(out, "</section>")
}

fn media_row(out: &mut String, media: &MediaReport, has_notes: bool, start: DateTime<Utc>) -> fmt::Result {
    let (class, sign, word) = state(media.state);
    let complete = media.tasks.iter().filter(|task| rows::has_ended(task) && !rows::has_failed(task)).count();
    write!(
        out,
        r#"<tr><th scope="row" class="id">{}</th><td class="word {class}"><span aria-hidden="true">{sign}</span> {word}</td><td class="number">{complete} of {}</td><td class="number">{}</td><td class="number">{}</td><td class="number">{}</td><td>{}</td><td class="id">{}</td>"#,
        escaped(rows::media_name(media)),
        media.tasks.len(),
        after(media.submitted_at, start),
        after(media.accepted_at, start),
        after(rows::ended_at(media), start),
        media.confirmed_by.map_or("–", |source| source.as_str()),
        media.job_id.as_ref().map_or("–".into(), |job| escaped(job.as_str()).to_string()),
    )?;
    if has_notes {
        let note = shortened(media.note.as_deref().unwrap_or_default(), 200);
        write!(out, "<td>{}</td>", escaped(&note))?;
    }
    writeln!(out, "</tr>")
}

pub(super) fn urls(out: &mut String, report: &Report) -> fmt::Result {
    let all = rows::tasks(report).count();
    if all == 0 {
        return Ok(());
    }
    writeln!(out, r#"<section id="urls"><h2>URLs</h2>"#)?;
    let columns = r#"<th scope="col">URL</th><th scope="col">Status</th><th scope="col" class="number">Progress</th><th scope="col" class="number">Known</th><th scope="col" class="number">Ended</th><th scope="col" class="number">Took</th><th scope="col">Task</th>"#;
    let chosen = rows::tasks(report).take(ROWS);
    table(
        out,
        "URLs in the order of their media; known and ended after the start of the run, took by the CDN's clock",
        "URLs",
        columns,
        all,
        chosen,
        |out, task| {
            let (class, sign) = match (rows::has_ended(task), rows::has_failed(task)) {
                (_, true) => ("bad", "✗"),
                (true, _) => ("ok", "✓"),
                _ => ("open", "…"),
            };
            let status = task.status.as_ref().map_or("not seen yet", |status| status.as_str());
            writeln!(
                out,
                r#"<tr><td class="url">{}</td><td class="word {class}"><span aria-hidden="true">{sign}</span> {}</td><td class="number">{}%</td><td class="number">{}</td><td class="number">{}</td><td class="number">{}</td><td class="id">{}</td></tr>"#,
                escaped(&shortened(task.url.as_deref().unwrap_or("(not known)"), 300)),
                escaped(&shortened(status, 40)),
                task.progress,
                after(task.known_at, report.started_at),
                after(task.ended_at, report.started_at),
                rows::task_seconds(task).map_or_else(|| "–".to_owned(), length),
                escaped(task.task_id.as_str()),
            )
        },
    )?;
    writeln!(out, "</section>")
}

/// How long after the start of the run.
fn after(time: Option<DateTime<Utc>>, start: DateTime<Utc>) -> String {
    time.map_or_else(|| "–".to_owned(), |time| span((time - start).num_milliseconds()))
}

fn table<T>(
    out: &mut String,
    caption: &str,
    noun: &'static str,
    columns: &str,
    all: usize,
    chosen: impl Iterator<Item = T>,
    row: impl Fn(&mut String, T) -> fmt::Result,
) -> fmt::Result {
    let count = Count(all as u64, noun, noun);
    let open = if all <= UNFOLDED { " open" } else { "" };
    writeln!(
        out,
        r#"<details{open}><summary>{count}</summary><div class="scroll" role="region" aria-label="Table of {noun}" tabindex="0"><table><caption>{caption}</caption><thead><tr>{columns}</tr></thead><tbody>"#
    )?;
    let start = out.len();
    let mut listed = 0;
    for item in chosen {
        if listed == ROWS || out.len() - start > BYTES {
            break;
        }
        row(out, item)?;
        listed += 1;
    }
    writeln!(out, "</tbody></table></div>")?;
    if all > listed {
        writeln!(
            out,
            "<p>{} are listed; {} more are not. The JSON report has them all.</p>",
            grouped(listed as u64),
            grouped((all - listed) as u64)
        )?;
    }
    writeln!(out, "</details>")
}
