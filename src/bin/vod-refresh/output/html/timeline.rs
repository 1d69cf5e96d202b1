//! The run on its time axis: for each task when it was submitted, accepted, and seen ended.
//!
//! Above [`MAX_BARS`] tasks a bar stands for a media, above that for several in a row. What happened before the run
//! began or after it ended is not on the axis.
//!
//! Positions are percentages of the run's time, so the picture fits every width while its text keeps its size; that is
//! why there is no `viewBox`. Dotted until submitted, thin until accepted, thick until ended; complete is filled,
//! failed a thick frame, unfinished dashed up to the end of the run: the forms tell them apart without colour.

use chrono::{DateTime, Utc};

use super::super::markup::escape;
use super::super::report_view::{MediaView, Rank, ReportView, TaskView};
use super::format::{axis_step, class, counted, grouped, media, millis, seconds, sign};
use crate::formatting::shorten;

/// Most bars in the picture.
const MAX_BARS: usize = 200;
/// Up to here bars are tall enough for a label each.
const TALL: usize = 60;
/// Height of a low bar's row, in which a label just fits.
const LOW: usize = 11;
/// Height of the axis above the bars.
const AXIS: usize = 22;
/// Percent that is always drawn: nothing that happened is too short to be seen.
const LEAST: f64 = 0.4;
const KEY: &str = r#"<ul class="key">
<li><svg width="26" height="12" aria-hidden="true"><line class="wait" x1="0" x2="26" y1="6" y2="6"/></svg>not submitted yet</li>
<li><svg width="26" height="12" aria-hidden="true"><line class="sent" x1="1" x2="26" y1="6" y2="6"/><line class="sent" x1="1" x2="1" y1="3" y2="9"/></svg>submitted, waiting for acceptance</li>
<li><svg width="26" height="12" aria-hidden="true"><rect class="bar-ok" x="1" y="1" width="24" height="10" rx="2"/></svg>✓ accepted until complete</li>
<li><svg width="26" height="12" aria-hidden="true"><rect class="bar-bad" x="1" y="1" width="24" height="10" rx="2"/></svg>✗ failed</li>
<li><svg width="26" height="12" aria-hidden="true"><rect class="bar-open" x="1" y="1" width="24" height="10" rx="2"/></svg>… unfinished</li>
</ul>
"#;

/// One task, one media or several media.
struct Bar {
    /// What stands beside it; may be empty.
    label: String,
    /// What a pointer that rests on it shows.
    hint: String,
    /// Whether it lies on a stripe, as every second media does.
    shaded: bool,
    /// When the first of its media was submitted; `None` where others did that.
    submitted_at: Option<DateTime<Utc>>,
    /// When the first of its tasks became known.
    from: DateTime<Utc>,
    /// When the last of those that ended did so.
    ended_at: Option<DateTime<Utc>>,
    tasks: usize,
    /// Tasks that ended, failed ones included.
    ended: usize,
    failed: usize,
}

pub(super) fn section(view: &ReportView<'_>) -> String {
    if view.tasks().next().is_none() {
        return String::new();
    }
    let (drawn, undrawn): (Vec<&MediaView<'_>>, Vec<&MediaView<'_>>) =
        view.media.iter().partition(|media| media.tasks.iter().any(|task| start(task).is_some()));
    let tasks = view.tasks().filter(|task| start(task).is_some()).count();
    let start = view.report.started_at;
    let (bars, grain) =
        if tasks <= MAX_BARS { bars_of_tasks(&drawn, start) } else { bars_of_media(&drawn, start) };
    let picture = if bars.is_empty() { String::new() } else { draw(view, &bars) };
    let missing = match undrawn.len() {
        0 => String::new(),
        n => format!("<p>Not drawn: {} of which no task became known.</p>\n", media(n)),
    };
    format!(
        "<h2>Timeline</h2>\n<p>{} of {} on the time of the run. {grain}</p>\n{picture}{missing}",
        counted(tasks as u64, "task", "tasks"),
        media(drawn.len())
    )
}

/// Where a task's bar begins. Reports of older versions know only when the CDN took it.
fn start(task: &TaskView<'_>) -> Option<DateTime<Utc>> {
    task.report.known_at.or(task.report.created_at).or(task.report.ended_at)
}

/// A bar for each task, and a sentence that says so.
fn bars_of_tasks(drawn: &[&MediaView<'_>], run_start: DateTime<Utc>) -> (Vec<Bar>, String) {
    let mut bars = Vec::new();
    for (n, media) in drawn.iter().enumerate() {
        let tasks: Vec<&TaskView<'_>> = media.tasks.iter().filter(|task| start(task).is_some()).collect();
        // One label a media: where something is amiss, else at its first bar.
        let first = |rank| tasks.iter().position(|task| task.rank == rank);
        let labelled = first(Rank::Failed).or_else(|| first(Rank::Unfinished)).unwrap_or(0);
        for (at, task) in tasks.into_iter().enumerate() {
            let hint = shorten(task.report.url.as_deref().unwrap_or(task.report.task_id.as_str()), 120);
            let label = if at == labelled { short_id(media.name()) } else { String::new() };
            let bar = Bar::new(run_start, &[media], [task], label, hint);
            bars.extend(bar.map(|bar| Bar { shaded: n % 2 == 0, ..bar }));
        }
    }
    (bars, "Each bar is one task; the tasks of a media lie on one stripe.".to_owned())
}

/// A bar for each media, or for several in a row, and a sentence that says so.
fn bars_of_media(drawn: &[&MediaView<'_>], run_start: DateTime<Utc>) -> (Vec<Bar>, String) {
    let per_bar = drawn.len().div_ceil(MAX_BARS).max(1);
    let bars = drawn.chunks(per_bar).enumerate().filter_map(|(at, group)| {
        let (label, hint) = match group {
            [media] => (short_id(media.name()), media.name().to_owned()),
            _ => {
                let (first, last) = (at * per_bar + 1, at * per_bar + group.len());
                let range = format!("{}–{}", grouped(first as u64), grouped(last as u64));
                (range.clone(), format!("media {range} of those with tasks"))
            }
        };
        Bar::new(run_start, group, group.iter().flat_map(|media| &media.tasks), label, hint)
    });
    let what = match per_bar {
        1 => "one media".to_owned(),
        n => format!("{n} media in the order given"),
    };
    let grain = format!(
        "There are too many to draw each: a bar is {what}, from the first task to the last; its framed end is the share \
         of tasks that failed."
    );
    (bars.collect(), grain)
}

impl Bar {
    /// `None` if nothing is known of when its tasks began.
    fn new<'a>(
        run_start: DateTime<Utc>,
        media: &[&'a MediaView<'a>],
        tasks: impl IntoIterator<Item = &'a TaskView<'a>>,
        label: String,
        mut hint: String,
    ) -> Option<Self> {
        let tasks: Vec<&TaskView<'_>> = tasks.into_iter().filter(|task| start(task).is_some()).collect();
        let from = tasks.iter().filter_map(|task| start(task)).min()?;
        let submitted_at = media.iter().filter_map(|media| media.report.submitted_at).min();
        let has_ended = tasks.iter().filter(|task| task.has_ended());
        let ended_at = has_ended.clone().filter_map(|task| task.report.ended_at).max();
        let ended = has_ended.count();
        let failed = tasks.iter().filter(|task| task.rank == Rank::Failed).count();
        let (all, open) = (tasks.len(), tasks.len() - ended);
        let moments = [("submitted", submitted_at), ("accepted", Some(from)), ("ended", ended_at)];
        for (what, time) in moments {
            if let Some(time) = time {
                hint += &format!("\n{what} after {}", millis((time - run_start).num_milliseconds()));
            }
        }
        if failed > 0 {
            hint += &format!(", {failed} of {all} failed");
        }
        if open > 0 {
            hint += &format!("\n{open} of {all} unfinished");
        }
        Some(Self { label, hint, shaded: false, submitted_at, from, ended_at, tasks: all, ended, failed })
    }

    fn open(&self) -> usize {
        self.tasks - self.ended
    }

    fn rank(&self) -> Rank {
        match (self.failed, self.open()) {
            (0, 0) => Rank::Complete,
            (0, _) => Rank::Unfinished,
            _ => Rank::Failed,
        }
    }

    /// The bar in the row that begins at `y`.
    fn draw(&self, percent: impl Fn(DateTime<Utc>) -> f64, y: usize, height: usize) -> String {
        let (from, middle) = (percent(self.from), y + height / 2);
        let line = |class: &str, x1: f64, x2: f64, y1: usize, y2: usize| {
            format!(r#"<line class="{class}" x1="{x1:.2}%" x2="{x2:.2}%" y1="{y1}" y2="{y2}"/>"#)
        };
        let submitted = self.submitted_at.map_or(from, &percent).min(from);
        let mut out = format!(
            r#"<g><title>{}</title><line class="wait" x1="0" x2="{submitted:.2}%" y1="{middle}" y2="{middle}"/>"#,
            escape(&self.hint)
        );
        if self.submitted_at.is_some() {
            out += &line("sent", submitted, from, middle, middle);
            out += &line("sent", submitted, submitted, middle - height / 4, middle + height / 4);
        }
        let rect = |class: &str, x: f64, width: f64| {
            let (x, width) = (x.min(100.0 - LEAST), width.max(LEAST));
            format!(
                r#"<rect class="{class}" x="{x:.2}%" y="{y}" width="{width:.2}%" height="{height}" rx="2"/>"#
            )
        };
        let ended_at = self.ended_at.map_or(from, |time| percent(time).max(from));
        let failed = (ended_at - from) * self.failed as f64 / self.ended.max(1) as f64;
        if self.ended == 0 {
            out += &rect("bar-open", from, 100.0 - from);
        }
        if self.ended > self.failed {
            out += &rect("bar-ok", from, ended_at - from - failed);
        }
        if self.failed > 0 {
            out += &rect("bar-bad", ended_at - failed, failed);
        }
        if self.open() > 0 && self.ended > 0 {
            // A line: frames behind the bars of two hundred rows would drown them.
            out += &format!(
                r#"<line class="bar-open" x1="{ended_at:.2}%" x2="100%" y1="{middle}" y2="{middle}"/>"#
            );
        }
        out + "</g>\n"
    }
}

/// Enough of a long id to find it in the tables.
fn short_id(name: &str) -> String {
    match name.chars().count() {
        0..=11 => name.to_owned(),
        n => name.chars().take(6).chain(['…']).chain(name.chars().skip(n - 4)).collect(),
    }
}

fn draw(view: &ReportView<'_>, bars: &[Bar]) -> String {
    let row = if bars.len() <= TALL { 18 } else { LOW };
    let height = AXIS + bars.len() * row + 4;
    // The axis covers whole seconds, the last one begun included.
    let (start, end) = (view.report.started_at, view.report.finished_at);
    let span = ((end - start).num_milliseconds().max(1) - 1) / 1_000 + 1;
    let percent = |time: DateTime<Utc>| {
        ((time - start).num_milliseconds() as f64 / (span as f64 * 10.0)).clamp(0.0, 100.0)
    };
    let drawn = bars.iter().enumerate().map(|(at, bar)| bar.draw(percent, AXIS + at * row + 2, row - 4));
    format!(
        r#"{KEY}<figure><div class="chart"><svg width="100%" height="{height}" aria-hidden="true">
{bands}{labels}</svg><svg width="100%" height="{height}" role="img" aria-labelledby="line-title" aria-describedby="line-desc"><title id="line-title">Tasks on the time of the run</title><desc id="line-desc">{bar_count} over {time}; {failed} tasks failed, {open} unfinished. The tables below have the same figures.</desc>
{bands}{axis}{drawn}</svg></div></figure>
"#,
        bands = bands(bars, row),
        labels = labels(bars, row),
        bar_count = counted(bars.len() as u64, "bar", "bars"),
        time = seconds(span),
        failed = bars.iter().map(|bar| bar.failed).sum::<usize>(),
        open = bars.iter().map(Bar::open).sum::<usize>(),
        axis = axis(span, height),
        drawn = drawn.collect::<String>(),
    )
}

/// Stripes that hold the tasks of a media together, where they have several.
fn bands(bars: &[Bar], row: usize) -> String {
    let (mut out, mut y) = (String::new(), AXIS);
    for band in bars.chunk_by(|one, next| one.shaded == next.shaded) {
        let height = band.len() * row;
        if band[0].shaded {
            out += &format!("<rect class=\"band\" x=\"0\" y=\"{y}\" width=\"100%\" height=\"{height}\"/>\n");
        }
        y += height;
    }
    out
}

/// Low rows leave room for some labels only: those of failed rows come first, then unfinished ones.
fn labels(bars: &[Bar], row: usize) -> String {
    let (mut out, mut taken) = (String::new(), Vec::new());
    for rank in [Rank::Failed, Rank::Unfinished, Rank::Complete] {
        for (at, bar) in bars.iter().enumerate().filter(|(_, bar)| bar.rank() == rank) {
            let y = AXIS + at * row + row / 2 + 4;
            if bar.label.is_empty() || taken.iter().any(|other: &usize| other.abs_diff(y) < LOW) {
                continue;
            }
            taken.push(y);
            let (class, sign) = match rank {
                Rank::Complete => ("", String::new()),
                rank => (class(rank), format!("{} ", sign(rank))),
            };
            out +=
                &format!("<text class=\"{class}\" x=\"4\" y=\"{y}\">{sign}{}</text>\n", escape(&bar.label));
        }
    }
    out
}

fn axis(span: i64, height: usize) -> String {
    let step = axis_step(span, 5);
    let tick = |n: i64| {
        let x = (n * step) as f64 * 100.0 / span as f64;
        let anchor = match n {
            0 => "start",
            _ if x > 92.0 => "end",
            _ => "middle",
        };
        format!(
            "<line class=\"grid\" x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"{AXIS}\" y2=\"{height}\"/>\
             <text class=\"soft\" x=\"{x:.2}%\" y=\"13\" text-anchor=\"{anchor}\">{}</text>\n",
            seconds(n * step)
        )
    };
    (0..=span / step).map(tick).collect()
}
