//! Draws the bars of the timeline.
//!
//! Positions are percentages of the run's time, so the picture fits every width while its text keeps its size; that is
//! why there is no `viewBox`. Dotted until submitted, thin until accepted, thick until ended; complete is filled,
//! failed a thick frame, unfinished dashed up to the end of the run: the forms tell them apart without colour.

use std::fmt::{self, Write};

use chrono::{DateTime, Utc};
use vod_refresh::run::Report;

use super::super::escape::escaped;
use super::timeline::Bar;
use super::{Count, length};

/// Up to here bars are tall enough for a label each.
const TALL: usize = 60;
/// Height of a low bar's row, in which a label just fits.
const LOW: usize = 11;
/// Height of the axis above the bars.
const AXIS: usize = 22;
/// Percent that is always drawn: nothing that happened is too short to be seen.
const LEAST: f64 = 0.4;

pub(super) fn draw(out: &mut String, report: &Report, bars: &[Bar]) -> fmt::Result {
    let row = if bars.len() <= TALL { 18 } else { LOW };
    let height = AXIS + bars.len() * row + 4;
    let span = seconds(report);
    key(out)?;
    writeln!(out, r#"<figure><div class="chart"><svg width="100%" height="{height}" aria-hidden="true">"#)?;
    bands(out, bars, row)?;
    labels(out, bars, row)?;
    let failed: usize = bars.iter().map(|bar| bar.failed).sum();
    let open: usize = bars.iter().map(|bar| bar.open).sum();
    writeln!(
        out,
        r#"</svg><svg width="100%" height="{height}" role="img" aria-labelledby="line-title" aria-describedby="line-desc"><title id="line-title">Tasks on the time of the run</title><desc id="line-desc">{} over {}; {failed} tasks failed, {open} unfinished. The tables below have the same figures.</desc>"#,
        Count(bars.len() as u64, "bar", "bars"),
        length(span)
    )?;
    bands(out, bars, row)?;
    axis(out, span, height)?;
    for (at, bar) in bars.iter().enumerate() {
        let percent = |time: DateTime<Utc>| {
            ((time - report.started_at).num_milliseconds() as f64 / (span as f64 * 10.0)).clamp(0.0, 100.0)
        };
        one(out, bar, percent, AXIS + at * row + 2, row - 4)?;
    }
    writeln!(out, "</svg></div></figure>")
}

/// What the axis covers: whole seconds, the last one begun included.
fn seconds(report: &Report) -> i64 {
    let millis = (report.finished_at - report.started_at).num_milliseconds().max(1);
    (millis - 1) / 1_000 + 1
}

fn one(
    out: &mut String,
    bar: &Bar,
    percent: impl Fn(DateTime<Utc>) -> f64,
    y: usize,
    height: usize,
) -> fmt::Result {
    let from = percent(bar.from);
    let middle = y + height / 2;
    write!(out, "<g><title>{}</title>", escaped(&bar.hint))?;
    let submitted = bar.submitted_at.map_or(from, &percent).min(from);
    write!(out, r#"<line class="wait" x1="0" x2="{submitted:.2}%" y1="{middle}" y2="{middle}"/>"#)?;
    if bar.submitted_at.is_some() {
        let (top, bottom) = (middle - height / 4, middle + height / 4);
        write!(
            out,
            r#"<line class="sent" x1="{submitted:.2}%" x2="{from:.2}%" y1="{middle}" y2="{middle}"/><line class="sent" x1="{submitted:.2}%" x2="{submitted:.2}%" y1="{top}" y2="{bottom}"/>"#
        )?;
    }
    let mut rect = |class: &str, x: f64, width: f64| {
        let (x, width) = (x.min(100.0 - LEAST), width.max(LEAST));
        write!(
            out,
            r#"<rect class="{class}" x="{x:.2}%" y="{y}" width="{width:.2}%" height="{height}" rx="2"/>"#
        )
    };
    let ended_at = bar.ended_at.map_or(from, |time| percent(time).max(from));
    let failed = (ended_at - from) * bar.failed as f64 / bar.ended.max(1) as f64;
    if bar.open > 0 && bar.ended == 0 {
        rect("bar-open", from, 100.0 - from)?;
    }
    if bar.ended > bar.failed {
        rect("bar-ok", from, ended_at - from - failed)?;
    }
    if bar.failed > 0 {
        rect("bar-bad", ended_at - failed, failed)?;
    }
    if bar.open > 0 && bar.ended > 0 {
        // A line: frames behind the bars of two hundred rows would drown them.
        write!(out, r#"<line class="bar-open" x1="{ended_at:.2}%" x2="100%" y1="{middle}" y2="{middle}"/>"#)?;
    }
    writeln!(out, "</g>")
}

/// Stripes that hold the tasks of a media together, where they have several.
fn bands(out: &mut String, bars: &[Bar], row: usize) -> fmt::Result {
    let mut from = 0;
    while from < bars.len() {
        let shaded = bars[from].shaded;
        let rows = bars[from..].iter().take_while(|bar| bar.shaded == shaded).count();
        if shaded {
            let (y, height) = (AXIS + from * row, rows * row);
            writeln!(out, r#"<rect class="band" x="0" y="{y}" width="100%" height="{height}"/>"#)?;
        }
        from += rows;
    }
    Ok(())
}

/// Low rows leave room for some labels only: those of failed rows come first, then unfinished ones.
fn labels(out: &mut String, bars: &[Bar], row: usize) -> fmt::Result {
    let mut taken: Vec<usize> = Vec::new();
    let rank = |bar: &Bar| match (bar.failed, bar.open) {
        (0, 0) => 2,
        (0, _) => 1,
        _ => 0,
    };
    for (wanted, class, sign) in [(0, "bad", "✗ "), (1, "open", "… "), (2, "", "")] {
        for (at, bar) in bars.iter().enumerate().filter(|(_, bar)| rank(bar) == wanted) {
            let y = AXIS + at * row + row / 2 + 4;
            if bar.label.is_empty() || taken.iter().any(|other| other.abs_diff(y) < LOW) {
                continue;
            }
            taken.push(y);
            writeln!(out, r#"<text class="{class}" x="4" y="{y}">{sign}{}</text>"#, escaped(&bar.label))?;
        }
    }
    Ok(())
}

fn axis(out: &mut String, span: i64, height: usize) -> fmt::Result {
    let step = step(span, 5);
    for tick in (0..=span / step).map(|n| n * step) {
        let x = tick as f64 * 100.0 / span as f64;
        let anchor = match x {
            _ if tick == 0 => "start",
            x if x > 92.0 => "end",
            _ => "middle",
        };
        writeln!(
            out,
            r#"<line class="grid" x1="{x:.2}%" x2="{x:.2}%" y1="{AXIS}" y2="{height}"/><text class="soft" x="{x:.2}%" y="13" text-anchor="{anchor}">{}</text>"#,
            length(tick)
        )?;
    }
    Ok(())
}

/// A round number of seconds that divides `span` into at most `parts` parts.
pub(super) fn step(span: i64, parts: i64) -> i64 {
    const DAY: i64 = 86_400;
    const ROUND: [i64; 19] =
        [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200];
    let least = (span.max(1) - 1) / parts + 1;
    ROUND.into_iter().find(|&step| step >= least).unwrap_or(((least - 1) / DAY + 1) * DAY)
}

fn key(out: &mut String) -> fmt::Result {
    writeln!(out, r#"<ul class="key">"#)?;
    for (form, words) in [
        (r#"<line class="wait" x1="0" x2="26" y1="6" y2="6"/>"#, "not submitted yet"),
        (
            r#"<line class="sent" x1="1" x2="26" y1="6" y2="6"/><line class="sent" x1="1" x2="1" y1="3" y2="9"/>"#,
            "submitted, waiting for acceptance",
        ),
        (r#"<rect class="bar-ok" x="1" y="1" width="24" height="10" rx="2"/>"#, "✓ accepted until complete"),
        (r#"<rect class="bar-bad" x="1" y="1" width="24" height="10" rx="2"/>"#, "✗ failed"),
        (r#"<rect class="bar-open" x="1" y="1" width="24" height="10" rx="2"/>"#, "… unfinished"),
    ] {
        writeln!(out, r#"<li><svg width="26" height="12" aria-hidden="true">{form}</svg>{words}</li>"#)?;
    }
    writeln!(out, "</ul>")
}
