//! A page to look at: the report of one run in one file, for people.
//!
//! The file needs nothing else: style and pictures stand in it, and its own policy forbids scripts and every address.
//! All text from outside goes through [`escape`]. However large the run, the page stays small: lists and pictures are
//! cut or summed up, and say so. Colour never carries meaning alone, pictures have a text, tables a caption.
//!
//! The markup stands in `html/*.html`, which the compiler reads as format strings. Each section has a module of its own,
//! which gives nothing where there is nothing to show.

mod format;
mod histogram;
mod phases;
mod problems;
mod tables;
mod timeline;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use vod_refresh::run::Outcome;

use self::format::{class, counted, grouped, millis, request_id, signed, time};
use super::markup::{escape, escape_start};
use super::report_view::{Rank, ReportView};
use crate::advice;
use crate::next_command::NextCommand;

/// Colours of text have a contrast of 4.5 or more on both backgrounds. Print shows what is unfolded, so a page with long
/// tables does not fill a hundred sheets unasked.
const STYLE: &str = concat!("\n", include_str!("html/page.css"));
/// A longer command, in bytes, is none to copy from a page: it names hundreds of jobs.
const LONGEST_COMMAND: usize = 2_000;

/// Returns the whole page; `next` carries the run on.
pub(crate) fn render(view: &ReportView<'_>, next: Option<&NextCommand>) -> String {
    let (report, s) = (view.report, &view.report.summary);
    let sections = [
        ("failed", "What failed", problems::failed(view)),
        ("unfinished", "Under way", problems::unfinished(view)),
        ("timeline", "Timeline", timeline::section(view)),
        ("time-spent", "Where the time went", phases::section(view)),
        ("durations", "Durations", histogram::section(view)),
        ("calls", "Calls", tables::calls(&report.summary)),
        ("media", "Media", tables::media(view)),
        ("urls", "URLs", tables::urls(view)),
        ("edge", "At the edge", tables::edge(view)),
    ];
    let shown = || sections.iter().filter(|(_, _, section)| !section.is_empty());
    let rank = rank(report.outcome);
    let (calls, calls_more) = match s.api_calls.values().sum() {
        0 => ("–".to_owned(), "<li>not counted</li>".to_owned()),
        calls => {
            let (retries, throttled) = (counted(s.retries, "retry"), s.throttled.values().sum());
            (grouped(calls), format!("<li>{retries}</li><li>{} throttled</li>", grouped(throttled)))
        }
    };
    let [all, sums @ ..] = s.entries();
    format!(
        include_str!("html/page.html"),
        // Named by its digest, the sheet is the only style that the page accepts.
        style_digest = STANDARD.encode(Sha256::digest(STYLE)),
        style = STYLE,
        title = title(view),
        verdict_class = class(rank),
        verdict = signed(rank, verdict(report.outcome)),
        error = error(view),
        next = next.map(command).unwrap_or_default(),
        run_id = escape(report.run_id.as_str()),
        started = time(report.started_at),
        ended_label = if report.outcome == Outcome::Unfinished { "Last known of" } else { "Ended" },
        ended = time(report.finished_at),
        took = millis((report.finished_at - report.started_at).num_milliseconds()),
        extend = extend(report.extend.as_deref()),
        media_sum = sum(if report.urls.is_empty() { "Media" } else { "URLs" }, all, sums),
        tasks_sum = sum("URLs (tasks)", s.tasks, [s.tasks_complete, s.tasks_failed, s.tasks_unfinished]),
        calls = calls,
        calls_more = calls_more,
        events = grouped(s.events_accepted + s.events_rejected + s.events_repeated + s.events_foreign),
        events_accepted = grouped(s.events_accepted),
        events_rejected = grouped(s.events_rejected),
        events_repeated = grouped(s.events_repeated),
        events_foreign = grouped(s.events_foreign),
        links = shown()
            .map(|(id, name, _)| format!("<li><a href=\"#{id}\">{name}</a></li>\n"))
            .collect::<String>(),
        sections = shown()
            .map(|(id, _, section)| format!("<section id=\"{id}\">{section}</section>\n"))
            .collect::<String>(),
        version = env!("CARGO_PKG_VERSION"),
    )
}

fn title(view: &ReportView<'_>) -> String {
    let what = match view.task_type() {
        _ if view.report.then_preload => "Refresh and preload of",
        "refresh" => "Refresh of",
        "preload" => "Preload of",
        _ => "Run with",
    };
    let [all, ..] = view.report.summary.entries();
    format!("{what} {}: {}", counted(all, view.report.noun()), view.report.outcome.as_str())
}

/// The rank in whose colour the page says how the run ended.
fn rank(outcome: Outcome) -> Rank {
    match outcome {
        Outcome::Complete => Rank::Complete,
        Outcome::Submitted | Outcome::Timeout | Outcome::Interrupted | Outcome::Unfinished => {
            Rank::Unfinished
        }
        _ => Rank::Failed,
    }
}

fn verdict(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Complete => "Complete: every media was found and every task has ended well.",
        Outcome::Submitted => "Submitted: everything was sent, and nobody waited for the end.",
        Outcome::Config => "Not run: configuration or credentials are missing or unreadable.",
        Outcome::Refused => "Refused: the service refused the credentials or the permission.",
        Outcome::Quota => "Not run: the quota does not suffice.",
        Outcome::Failed => "Failed: nothing came through.",
        Outcome::Partial => "Partial: some of it failed.",
        Outcome::Timeout => "Timeout: the deadline passed first. Work at the service goes on.",
        Outcome::Unavailable => "Unavailable: the service was throttled or could not be reached.",
        Outcome::Interrupted => "Interrupted: the run was stopped from outside. Work at the service goes on.",
        Outcome::Unfinished => "Unfinished: the run is still going on, or was broken off.",
        _ => "Internal: the tool met a fault of its own.",
    }
}

/// What ended the run, with advice.
fn error(view: &ReportView<'_>) -> String {
    let Some(error) = &view.report.error else { return String::new() };
    format!(
        "<div class=\"note\"><p><strong>{}</strong>: {}{}</p><p>{}</p></div>\n",
        escape(&error.code),
        escape_start(&error.message, 2_000),
        request_id(error),
        escape(advice::for_error(error))
    )
}

/// The command that carries the run on.
fn command(next: &NextCommand) -> String {
    if next.command.len() > LONGEST_COMMAND {
        return String::new();
    }
    let aim = next.aim.replacen('t', "T", 1);
    format!("<p class=\"next\">{aim} <code>{}</code></p>\n", escape(&next.command))
}

fn extend(extend: Option<&str>) -> String {
    let Some(extend) = extend else { return String::new() };
    format!("<div><dt>Passed through</dt><dd>{}</dd></div>\n", escape_start(extend, 1_000))
}

/// A sum of what can fail, a thin bar of what became of it, and the same in words: complete, failed, unfinished.
fn sum(name: &str, all: u64, [complete, failed, open]: [u64; 3]) -> String {
    let (mut x, mut bar, mut words) = (0.0, String::new(), String::new());
    for (rank, word, count) in [
        (Rank::Complete, "complete", complete),
        (Rank::Failed, "failed", failed),
        (Rank::Unfinished, "unfinished", open),
    ] {
        let width = count as f64 * 100.0 / all.max(1) as f64;
        if count > 0 {
            let fill = class(rank);
            bar +=
                &format!("<rect class=\"fill-{fill}\" x=\"{x:.2}%\" width=\"{width:.2}%\" height=\"8\"/>\n");
        }
        x += width;
        // A red zero would draw the eye to nothing.
        let class = if count == 0 { "soft" } else { class(rank) };
        let text = signed(rank, format!("{} {word}", grouped(count)));
        words += &format!("<li class=\"{class}\">{text}</li>\n");
    }
    format!(
        "<li>{name} <b>{}</b>\n<svg class=\"shares\" width=\"100%\" height=\"8\" aria-hidden=\"true\">\n{bar}</svg>\n\
         <ul>\n{words}</ul></li>\n",
        grouped(all)
    )
}

#[cfg(test)]
mod tests;
