//! What failed and what is still under way: first on the page, grouped by reason, so that advice is given once.

use std::collections::HashMap;
use std::fmt::{self, Write};

use vod_refresh::run::{MediaReport, MediaState, Report, TaskReport};

use super::super::escape::{escaped, shortened};
use super::super::{remedy, rows};
use super::{Count, grouped, state};

/// Media of a group that are shown at once; the others are folded.
const OPEN: usize = 20;
/// URLs that are shown of one media.
const URLS: usize = 10;
/// Longest text of an error.
const TEXT: usize = 300;
/// Bytes that a section may take. The page has to open fast, whatever failed.
const BYTES: usize = 400_000;

pub(super) fn failed(out: &mut String, report: &Report) -> fmt::Result {
    let media: Vec<&MediaReport> = rows::failed_media(report).collect();
    if media.is_empty() {
        return Ok(());
    }
    writeln!(out, r#"<section id="failed"><h2>What failed ({})</h2>"#, grouped(media.len() as u64))?;
    let start = out.len();
    let mut listed = 0;
    for group in by_reason(&media) {
        if out.len() - start > BYTES {
            break;
        }
        let (class, sign, word) = state(group[0].state);
        let reason = shortened(&reason(group[0]), TEXT);
        writeln!(
            out,
            r#"<div class="reason"><h3><span class="{class}"><span aria-hidden="true">{sign}</span> {word}</span>{} {} ({})</h3>"#,
            if reason.is_empty() { "" } else { ":" },
            escaped(&reason),
            Count(group.len() as u64, "media", "media")
        )?;
        // The same text under every media is noise.
        let shared = text(group[0]).filter(|first| group.iter().all(|media| text(media) == Some(first)));
        if let Some(text) = shared {
            writeln!(out, "<p>{}</p>", escaped(&shortened(text, TEXT)))?;
        }
        let advice = escaped(remedy::for_media(group[0]));
        writeln!(out, r#"<p class="advice"><strong>What to do:</strong> {advice}</p>"#)?;
        listed += list(out, &group, start, |out, media| {
            if shared.is_none()
                && let Some(text) = text(media)
            {
                write!(out, ": {}", escaped(&shortened(text, TEXT)))?;
            }
            if let Some(id) = media.error.as_ref().and_then(|error| error.request_id.as_ref()) {
                write!(out, r#" (request id <span class="id">{}</span>)"#, escaped(id.as_str()))?;
            }
            urls(out, media, rows::has_failed)
        })?;
        writeln!(out, "</div>")?;
    }
    left_out(out, media.len() - listed)?;
    writeln!(out, "</section>")
}

pub(super) fn unfinished(out: &mut String, report: &Report) -> fmt::Result {
    let media: Vec<&MediaReport> =
        report.media.iter().filter(|media| media.state == MediaState::Unfinished).collect();
    if media.is_empty() {
        return Ok(());
    }
    writeln!(out, r#"<section id="unfinished"><h2>Still under way ({})</h2>"#, grouped(media.len() as u64))?;
    let start = out.len();
    let listed = list(out, &media, start, |out, media| urls(out, media, |task| !rows::has_ended(task)))?;
    left_out(out, media.len() - listed)?;
    writeln!(out, "</section>")
}

/// Groups in the order in which their reasons appear.
fn by_reason<'a>(media: &[&'a MediaReport]) -> Vec<Vec<&'a MediaReport>> {
    let mut places: HashMap<(MediaState, String), usize> = HashMap::new();
    let mut groups: Vec<Vec<&MediaReport>> = Vec::new();
    for media in media {
        let place = *places.entry((media.state, reason(media))).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Vec::new());
        }
        groups[place].push(media);
    }
    groups
}

fn reason(media: &MediaReport) -> String {
    let code = media.error.as_ref().map(|error| error.code.as_str());
    match (code, rows::first_cause(media)) {
        (Some(code), Some(cause)) => format!("{code}, {cause}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => String::new(),
    }
}

fn text(media: &MediaReport) -> Option<&str> {
    media.error.as_ref().map(|error| error.message.as_str())
}

/// Lists media, each with what `rest` adds, until the section is full. Gives how many it listed.
fn list(
    out: &mut String,
    media: &[&MediaReport],
    start: usize,
    rest: impl Fn(&mut String, &MediaReport) -> fmt::Result,
) -> Result<usize, fmt::Error> {
    let mut listed = 0;
    writeln!(out, r#"<ul class="rows">"#)?;
    for (at, media_row) in media.iter().enumerate() {
        if out.len() - start > BYTES {
            break;
        }
        if at == OPEN {
            let more = Count((media.len() - OPEN) as u64, "more", "more");
            writeln!(out, r#"</ul><details><summary>{more}</summary><ul class="rows">"#)?;
        }
        write!(out, r#"<li><span class="id">{}</span>"#, escaped(rows::media_name(media_row)))?;
        rest(out, media_row)?;
        writeln!(out, "</li>")?;
        listed += 1;
    }
    writeln!(out, "</ul>{}", if listed > OPEN { "</details>" } else { "" })?;
    Ok(listed)
}

fn urls(out: &mut String, media: &MediaReport, is_meant: impl Fn(&TaskReport) -> bool) -> fmt::Result {
    let meant: Vec<&TaskReport> = media.tasks.iter().filter(|task| is_meant(task)).collect();
    if meant.is_empty() {
        return Ok(());
    }
    write!(out, "<ul>")?;
    for task in meant.iter().take(URLS) {
        let url = shortened(task.url.as_deref().unwrap_or("(URL not known)"), TEXT);
        let status = task.status.as_ref().map_or("not seen yet", |status| status.as_str());
        write!(
            out,
            r#"<li><code>{}</code>: {}, {}%"#,
            escaped(&url),
            escaped(&shortened(status, 40)),
            task.progress
        )?;
        if let Some(description) = &task.description {
            write!(out, ", {}", escaped(&shortened(description, TEXT)))?;
        }
        write!(out, r#", task <span class="id">{}</span></li>"#, escaped(task.task_id.as_str()))?;
    }
    if meant.len() > URLS {
        write!(out, "<li>{} more</li>", meant.len() - URLS)?;
    }
    write!(out, "</ul>")
}

fn left_out(out: &mut String, count: usize) -> fmt::Result {
    if count == 0 {
        return Ok(());
    }
    writeln!(out, "<p>{} more are not listed here; the JSON report has them all.</p>", grouped(count as u64))
}
