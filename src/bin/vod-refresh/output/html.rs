//! A page to look at: the report of one run in one file, for people.
//!
//! The file needs nothing else: style and pictures stand in it, and its own policy forbids scripts and every address.
//! All text from outside goes through [`escaped`]. However large the run, the page stays small: lists and pictures are
//! cut or summed up, and say so. Colour never carries meaning alone, pictures have a text, tables a caption.

mod failures;
mod figures;
mod histogram;
mod phases;
mod picture;
mod style;
mod tables;
mod timeline;

use std::fmt::{self, Display, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use vod_refresh::run::{MediaState, Outcome, Report};

use self::figures::{Count, grouped, length, share, span, time};
use super::escape::{escaped, shortened};
use super::{remedy, rows};
use crate::next_command::NextCommand;

/// A longer command, in bytes, is none to copy from a page: it names hundreds of jobs.
const LONGEST_COMMAND: usize = 2_000;

/// The whole page; `next` carries the run on.
pub(crate) fn render(report: &Report, next: Option<&NextCommand>) -> String {
    let mut out = String::new();
    // Writing to a String never fails.
    let _ = page(&mut out, report, next);
    out
}

fn page(out: &mut String, report: &Report, next: Option<&NextCommand>) -> fmt::Result {
    head(out, report)?;
    header(out, report, next)?;
    contents(out, report)?;
    writeln!(out, r#"<main id="main">"#)?;
    failures::failed(out, report)?;
    failures::unfinished(out, report)?;
    timeline::section(out, report)?;
    phases::section(out, report)?;
    histogram::section(out, report)?;
    tables::calls(out, report)?;
    tables::media(out, report)?;
    tables::urls(out, report)?;
    writeln!(out, "</main>")?;
    let version = env!("CARGO_PKG_VERSION");
    writeln!(out, "<footer>Written by vod-refresh {version}. All times are UTC.</footer>\n</body>\n</html>")
}

fn head(out: &mut String, report: &Report) -> fmt::Result {
    // Named by its digest, the sheet is the only style that the page accepts.
    let digest = STANDARD.encode(Sha256::digest(style::SHEET));
    writeln!(
        out,
        r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>{} · vod-refresh</title>
<style>{}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>"##,
        title(report),
        style::SHEET
    )
}

fn title(report: &Report) -> String {
    let media = Count(report.summary.media, "media", "media");
    match rows::task_type(report) {
        "refresh" => format!("Refresh of {media}: {}", report.outcome.as_str()),
        "preload" => format!("Preload of {media}: {}", report.outcome.as_str()),
        _ => format!("Run with {media}: {}", report.outcome.as_str()),
    }
}

fn header(out: &mut String, report: &Report, next: Option<&NextCommand>) -> fmt::Result {
    let (class, sign) = match report.outcome {
        Outcome::Complete => ("ok", "✓"),
        Outcome::Submitted | Outcome::Timeout | Outcome::Interrupted | Outcome::Unfinished => ("open", "…"),
        _ => ("bad", "✗"),
    };
    let sentence = verdict(report.outcome);
    writeln!(
        out,
        r#"<header>
<div class="hero {class}"><h1>{}</h1>
<p class="verdict {class}"><span aria-hidden="true">{sign}</span> {sentence}</p></div>"#,
        title(report)
    )?;
    if let Some(error) = &report.error {
        write!(
            out,
            r#"<div class="note"><p><strong>{}</strong>: {}"#,
            escaped(&error.code),
            escaped(&shortened(&error.message, 2_000))
        )?;
        if let Some(id) = &error.request_id {
            write!(out, r#" (request id <span class="id">{}</span>)"#, escaped(id.as_str()))?;
        }
        writeln!(out, "</p><p>{}</p></div>", escaped(remedy::for_error(error)))?;
    }
    if let Some(NextCommand { aim, command, .. }) = next.filter(|next| next.command.len() <= LONGEST_COMMAND)
    {
        let aim = aim.replacen('t', "T", 1);
        writeln!(out, r#"<p class="next">{aim} <code>{}</code></p>"#, escaped(command))?;
    }
    writeln!(out, r#"<dl class="facts">"#)?;
    fact(out, "Run", format_args!(r#"<span class="id">{}</span>"#, escaped(report.run_id.as_str())))?;
    fact(out, "Started", time(report.started_at))?;
    let took = span((report.finished_at - report.started_at).num_milliseconds());
    let last = if report.outcome == Outcome::Unfinished { "Last known of" } else { "Ended" };
    fact(out, last, format_args!("{}, after {took}", time(report.finished_at)))?;
    if let Some(extend) = &report.extend {
        fact(out, "Passed through", escaped(&shortened(extend, 1_000)))?;
    }
    writeln!(out, "</dl>")?;
    sums(out, report)?;
    writeln!(out, "</header>")
}

fn verdict(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Complete => "Complete: every media was found and every task has ended well.",
        Outcome::Submitted => "Submitted: everything was sent, and nobody waited for the end.",
        Outcome::Config => "Not run: configuration or credentials are missing or unreadable.",
        Outcome::Refused => "Refused: the service refused the credentials or the permission.",
        Outcome::Quota => "Not run: the quota does not suffice.",
        Outcome::Failed => "Failed: no media came through.",
        Outcome::Partial => "Partial: some media or tasks failed.",
        Outcome::Timeout => "Timeout: the deadline passed first. Work at the service goes on.",
        Outcome::Unavailable => "Unavailable: the service was throttled or could not be reached.",
        Outcome::Interrupted => "Interrupted: the run was stopped from outside. Work at the service goes on.",
        Outcome::Unfinished => "Unfinished: the run is still going on, or was broken off.",
        _ => "Internal: the tool met a fault of its own.",
    }
}

fn fact(out: &mut String, name: &str, value: impl Display) -> fmt::Result {
    writeln!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>")
}

fn sums(out: &mut String, report: &Report) -> fmt::Result {
    let s = &report.summary;
    writeln!(out, r#"<ul class="sums">"#)?;
    for (name, all, complete, failed, open) in [
        ("Media", s.media, s.media_complete, s.media_failed, s.media_unfinished),
        ("URLs (tasks)", s.tasks, s.tasks_complete, s.tasks_failed, s.tasks_unfinished),
    ] {
        writeln!(out, "<li>{name} <b>{}</b>", grouped(all))?;
        shares(out, all, [("fill-ok", complete), ("fill-bad", failed), ("fill-open", open)])?;
        writeln!(out, "<ul>")?;
        for (class, sign, word, count) in [
            ("ok", "✓", "complete", complete),
            ("bad", "✗", "failed", failed),
            ("open", "…", "unfinished", open),
        ] {
            // A red zero would draw the eye to nothing.
            let class = if count == 0 { "soft" } else { class };
            let count = grouped(count);
            writeln!(
                out,
                r#"<li class="{class}"><span aria-hidden="true">{sign}</span> {count} {word}</li>"#
            )?;
        }
        writeln!(out, "</ul></li>")?;
    }
    let calls: u64 = s.api_calls.values().sum();
    if calls == 0 {
        writeln!(out, r#"<li>API calls <b>–</b><ul class="soft"><li>not counted</li></ul></li>"#)?;
    } else {
        writeln!(
            out,
            r#"<li>API calls <b>{}</b><ul class="soft"><li>{}</li><li>{} throttled</li></ul></li>"#,
            grouped(calls),
            Count(s.retries, "retry", "retries"),
            grouped(s.throttled.values().sum())
        )?;
    }
    let events = s.events_accepted + s.events_rejected + s.events_repeated + s.events_foreign;
    writeln!(
        out,
        r#"<li>Events <b>{}</b><ul class="soft"><li>{} accepted</li><li>{} rejected</li><li>{} repeated, {} of others</li></ul></li>
</ul>"#,
        grouped(events),
        grouped(s.events_accepted),
        grouped(s.events_rejected),
        grouped(s.events_repeated),
        grouped(s.events_foreign)
    )
}

/// A thin bar of what became of them; the words below it say the same.
fn shares(out: &mut String, all: u64, parts: [(&str, u64); 3]) -> fmt::Result {
    writeln!(out, r#"<svg class="shares" width="100%" height="8" aria-hidden="true">"#)?;
    let mut x = 0.0;
    for (class, count) in parts.into_iter().filter(|(_, count)| *count > 0) {
        let width = count as f64 * 100.0 / all.max(1) as f64;
        writeln!(out, r#"<rect class="{class}" x="{x:.2}%" width="{width:.2}%" height="8"/>"#)?;
        x += width;
    }
    writeln!(out, "</svg>")
}

fn contents(out: &mut String, report: &Report) -> fmt::Result {
    let has_tasks = rows::tasks(report).next().is_some();
    let sections = [
        ("failed", "What failed", rows::failed_media(report).next().is_some()),
        ("unfinished", "Under way", report.media.iter().any(|media| media.state == MediaState::Unfinished)),
        ("timeline", "Timeline", has_tasks),
        ("time-spent", "Where the time went", phases::any(report)),
        ("durations", "Durations", rows::tasks(report).any(|task| rows::task_seconds(task).is_some())),
        ("calls", "Calls", true),
        ("media", "Media", !report.media.is_empty()),
        ("urls", "URLs", has_tasks),
    ];
    writeln!(out, r#"<nav aria-label="Sections"><ul>"#)?;
    for (id, name, _) in sections.iter().filter(|(_, _, is_there)| *is_there) {
        writeln!(out, r##"<li><a href="#{id}">{name}</a></li>"##)?;
    }
    writeln!(out, "</ul></nav>")
}

/// Class, sign and words of a state.
fn state(state: MediaState) -> (&'static str, &'static str, &'static str) {
    match state {
        MediaState::Complete => ("ok", "✓", "complete"),
        MediaState::NotFound => ("bad", "✗", "not found"),
        MediaState::Forbidden => ("bad", "✗", "forbidden"),
        MediaState::NotSubmitted => ("bad", "✗", "not submitted"),
        MediaState::Unfinished => ("open", "…", "unfinished"),
        _ => ("bad", "✗", "failed"),
    }
}

#[cfg(test)]
mod tests;
