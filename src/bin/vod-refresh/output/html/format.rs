//! How the page writes times, durations, numbers and states, and how it divides an axis.

use std::fmt::Display;

use chrono::{DateTime, Utc};
use vod_refresh::run::ReportedError;

use super::super::markup::escape;
use super::super::report_view::{Rank, ReportView};
use crate::formatting::plural;

pub(super) fn time(time: DateTime<Utc>) -> String {
    let machine = time.format("%Y-%m-%dT%H:%M:%SZ");
    format!(r#"<time datetime="{machine}">{} UTC</time>"#, time.format("%Y-%m-%d %H:%M:%S"))
}

/// `45s`, `1m30s`, `2h`, `1h05m`.
pub(super) fn seconds(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes, rest) {
        (0, 0, rest) => format!("{rest}s"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, rest) => format!("{minutes}m{rest:02}s"),
        (hours, 0, 0) => format!("{hours}h"),
        (hours, minutes, 0) => format!("{hours}h{minutes:02}m"),
        (hours, minutes, rest) => format!("{hours}h{minutes:02}m{rest:02}s"),
    }
}

/// The same from milliseconds, with a decimal where that is worth something: `0.4s`, `9.8s`, `12s`.
pub(super) fn millis(millis: i64) -> String {
    match millis.max(0) {
        short @ 1..9_950 if short % 1_000 != 0 => format!("{:.1}s", (short as f64 / 1_000.0).max(0.1)),
        millis => seconds((millis + 500) / 1_000),
    }
}

/// The time from `start`, the start of the run, until `time`; a dash where that is not known.
pub(super) fn after(time: Option<DateTime<Utc>>, start: DateTime<Utc>) -> String {
    time.map_or_else(|| "–".to_owned(), |time| millis((time - start).num_milliseconds()))
}

/// `12,345`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number with its noun.
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{} {}", grouped(number), plural(number, noun))
}

/// A number of media, or of URLs in a run of them.
pub(super) fn entries(number: usize, view: &ReportView<'_>) -> String {
    counted(number as u64, view.report.noun())
}

/// A share in percent; what is there but rounds to nothing is not called nothing.
pub(super) fn share(part: u64, all: u64) -> String {
    match (part * 100 + all / 2).checked_div(all) {
        Some(0) | None if part > 0 => "under 1%".to_owned(),
        Some(percent) => format!("{percent}%"),
        None => "0%".to_owned(),
    }
}

/// The class that colours a state.
pub(super) fn class(rank: Rank) -> &'static str {
    match rank {
        Rank::Failed => "bad",
        Rank::Unfinished => "open",
        Rank::Complete => "ok",
    }
}

/// The text of a state behind its sign: colour never carries meaning alone.
pub(super) fn signed(rank: Rank, text: impl Display) -> String {
    format!(r#"<span aria-hidden="true">{}</span> {text}"#, sign(rank))
}

pub(super) fn sign(rank: Rank) -> char {
    match rank {
        Rank::Failed => '✗',
        Rank::Unfinished => '…',
        Rank::Complete => '✓',
    }
}

/// The request id of an error, if it has one.
pub(super) fn request_id(error: &ReportedError) -> String {
    let id = error.request_id.as_ref().map(|id| escape(id.as_str()));
    id.map(|id| format!(r#" (request id <span class="id">{id}</span>)"#)).unwrap_or_default()
}

/// A bar of a picture; `x` and `width` are percentages, so that the picture fits every width.
pub(super) fn rect(class: &str, (x, y): (f64, u64), (width, height): (f64, u64)) -> String {
    format!(r#"<rect class="{class}" x="{x:.2}%" y="{y}" width="{width:.2}%" height="{height}" rx="2"/>"#)
}

/// A text in a picture, at a percentage of its width.
pub(super) fn text(class: &str, (x, y): (f64, u64), anchor: &str, text: &str) -> String {
    format!(r#"<text class="{class}" x="{x:.2}%" y="{y}" text-anchor="{anchor}">{text}</text>"#)
}

/// Returns a round number of seconds that divides `span` into at most `parts` parts.
pub(super) fn axis_step(span: i64, parts: i64) -> i64 {
    const DAY: i64 = 86_400;
    const ROUND: [i64; 19] =
        [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200];
    let least = (span.max(1) - 1) / parts + 1;
    ROUND.into_iter().find(|&step| step >= least).unwrap_or(((least - 1) / DAY + 1) * DAY)
}
