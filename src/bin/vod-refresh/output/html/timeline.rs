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
use super::format::{after, axis_step, class, counted, entries, grouped, rect, seconds, sign, text};
use crate::formatting::shorten;

/// Most bars in the picture.
const MAX_BARS: usize = 200;
/// Up to here bars are tall enough for a label each.
const TALL: usize = 60;
/// Height of a low bar's row, in which a label just fits.
const LOW: u64 = 11;
/// Height of the axis above the bars.
const AXIS: u64 = 22;
/// Percent that is always drawn: nothing that happened is too short to be seen.
const LEAST: f64 = 0.4;
/// The time axis of the run.
struct Axis {
    start: DateTime<Utc>,
    /// Whole seconds, the last one begun included.
    seconds: i64,
}

/// One task, one media or several media; positions are percentages of the axis.
struct Bar {
    /// What stands beside it; may be empty.
    label: String,
    /// What a pointer that rests on it shows.
    hint: String,
    /// Whether it lies on a stripe, as every second media does.
    shaded: bool,
    /// When the first of its media was submitted; `None` where others did that.
    submitted: Option<f64>,
    /// When the first of its tasks became known.
    from: f64,
    /// When the last of those that ended did so.
    to: f64,
    /// Tasks that completed, failed, and are unfinished.
    complete: usize,
    failed: usize,
    open: usize,
}

pub(super) fn section(view: &ReportView<'_>) -> String {
    if view.tasks().next().is_none() {
        return String::new();
    }
    let (start, end) = (view.report.started_at, view.report.finished_at);
    let axis = Axis { start, seconds: ((end - start).num_milliseconds().max(1) - 1) / 1_000 + 1 };
    let (drawn, undrawn): (Vec<&MediaView<'_>>, Vec<&MediaView<'_>>) =
        view.media.iter().partition(|media| media.tasks.iter().any(|task| known_at(task).is_some()));
    let tasks = view.tasks().filter(|task| known_at(task).is_some()).count();
    let (bars, grain) =
        if tasks <= MAX_BARS { bars_of_tasks(&drawn, &axis) } else { bars_of_media(&drawn, &axis) };
    let picture = if bars.is_empty() { String::new() } else { draw(&axis, &bars) };
    let missing = match undrawn.len() {
        0 => String::new(),
        n => format!("<p>Not drawn: {} of which no task became known.</p>\n", entries(n, view)),
    };
    let (tasks, entries) = (counted(tasks as u64, "task"), entries(drawn.len(), view));
    format!(
        "<h2>Timeline</h2>\n<p>{tasks} of {entries} on the time of the run. {grain}</p>\n{picture}{missing}"
    )
}

/// Where a task's bar begins. Reports of older versions know only when the CDN took it.
fn known_at(task: &TaskView<'_>) -> Option<DateTime<Utc>> {
    task.report.known_at.or(task.report.created_at).or(task.report.ended_at)
}

/// A bar for each task, and a sentence that says so.
fn bars_of_tasks(drawn: &[&MediaView<'_>], axis: &Axis) -> (Vec<Bar>, String) {
    let mut bars = Vec::new();
    for (n, media) in drawn.iter().enumerate() {
        let tasks: Vec<&TaskView<'_>> = media.tasks.iter().filter(|task| known_at(task).is_some()).collect();
        // One label a media: where something is amiss, else at its first bar.
        let first = |rank| tasks.iter().position(|task| task.rank == rank);
        let labelled = first(Rank::Failed).or_else(|| first(Rank::Unfinished)).unwrap_or(0);
        for (at, task) in tasks.into_iter().enumerate() {
            let hint = shorten(task.report.url.as_deref().unwrap_or(task.report.task_id.as_str()), 120);
            let label = if at == labelled { short_id(media.name()) } else { String::new() };
            let bar = Bar::new(axis, &[media], [task], label, hint);
            bars.extend(bar.map(|bar| Bar { shaded: n % 2 == 0, ..bar }));
        }
    }
    (bars, "Each bar is one task; the tasks of a media lie on one stripe.".to_owned())
}

/// A bar for each media, or for several in a row, and a sentence that says so.
fn bars_of_media(drawn: &[&MediaView<'_>], axis: &Axis) -> (Vec<Bar>, String) {
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
        Bar::new(axis, group, group.iter().flat_map(|media| &media.tasks), label, hint)
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

impl Axis {
    fn percent(&self, time: DateTime<Utc>) -> f64 {
        let millis = (time - self.start).num_milliseconds();
        (millis as f64 / (self.seconds as f64 * 10.0)).clamp(0.0, 100.0)
    }
}

impl Bar {
    /// Returns `None` if nothing is known of when its tasks began.
    fn new<'a>(
        axis: &Axis,
        media: &[&'a MediaView<'a>],
        tasks: impl IntoIterator<Item = &'a TaskView<'a>>,
        label: String,
        mut hint: String,
    ) -> Option<Self> {
        let tasks: Vec<&TaskView<'_>> = tasks.into_iter().filter(|task| known_at(task).is_some()).collect();
        let known_at = tasks.iter().filter_map(|task| known_at(task)).min()?;
        let submitted_at = media.iter().filter_map(|media| media.report.submitted_at).min();
        let ended = tasks.iter().filter(|task| task.has_ended());
        let ended_at = ended.filter_map(|task| task.report.ended_at).max();
        let moments = [("submitted", submitted_at), ("accepted", Some(known_at)), ("ended", ended_at)];
        for (what, time) in moments.into_iter().filter_map(|(what, time)| Some((what, time?))) {
            hint += &format!("\n{what} after {}", after(Some(time), axis.start));
        }
        let count = |rank| tasks.iter().filter(|task| task.rank == rank).count();
        let (complete, failed, open) = (count(Rank::Complete), count(Rank::Failed), count(Rank::Unfinished));
        if failed > 0 {
            hint += &format!(", {failed} of {} failed", tasks.len());
        }
        if open > 0 {
            hint += &format!("\n{open} of {} unfinished", tasks.len());
        }
        let from = axis.percent(known_at);
        let to = ended_at.map_or(from, |time| axis.percent(time).max(from));
        let submitted = submitted_at.map(|time| axis.percent(time).min(from));
        Some(Self { label, hint, shaded: false, submitted, from, to, complete, failed, open })
    }

    fn rank(&self) -> Rank {
        match (self.failed, self.open) {
            (0, 0) => Rank::Complete,
            (0, _) => Rank::Unfinished,
            _ => Rank::Failed,
        }
    }

    /// The bar in the row that begins at `y`.
    fn draw(&self, y: u64, height: u64) -> String {
        let &Self { submitted, from, to, complete, failed, open, .. } = self;
        let middle = y + height / 2;
        let line = |class: &str, x1: f64, x2: f64, rise: u64| {
            let (y1, y2) = (middle - rise, middle + rise);
            format!(r#"<line class="{class}" x1="{x1:.2}%" x2="{x2:.2}%" y1="{y1}" y2="{y2}"/>"#)
        };
        let rect = |class: &str, x: f64, width: f64| {
            rect(class, (x.min(100.0 - LEAST), y), (width.max(LEAST), height))
        };
        let mut out = line("wait", 0.0, submitted.unwrap_or(from), 0);
        if let Some(submitted) = submitted {
            out += &(line("sent", submitted, from, 0) + &line("sent", submitted, submitted, height / 4));
        }
        let failed_width = (to - from) * failed as f64 / (complete + failed).max(1) as f64;
        if complete + failed == 0 {
            out += &rect("bar-open", from, 100.0 - from);
        }
        if complete > 0 {
            out += &rect("bar-ok", from, to - from - failed_width);
        }
        if failed > 0 {
            out += &rect("bar-bad", to - failed_width, failed_width);
        }
        if open > 0 && complete + failed > 0 {
            // A line: frames behind the bars of two hundred rows would drown them.
            out += &line("bar-open", to, 100.0, 0);
        }
        format!("<g><title>{}</title>{out}</g>\n", escape(&self.hint))
    }
}

/// Enough of a long id to find it in the tables.
fn short_id(name: &str) -> String {
    match name.chars().count() {
        0..=11 => name.to_owned(),
        n => name.chars().take(6).chain(['…']).chain(name.chars().skip(n - 4)).collect(),
    }
}

fn draw(axis: &Axis, bars: &[Bar]) -> String {
    let row = if bars.len() <= TALL { 18 } else { LOW };
    let height = AXIS + bars.len() as u64 * row + 4;
    let drawn = bars.iter().zip(0..).map(|(bar, at)| bar.draw(AXIS + at * row + 2, row - 4));
    format!(
        include_str!("bars.html"),
        height = height,
        bands = bands(bars, row),
        labels = labels(bars, row),
        count = counted(bars.len() as u64, "bar"),
        time = seconds(axis.seconds),
        failed = bars.iter().map(|bar| bar.failed).sum::<usize>(),
        open = bars.iter().map(|bar| bar.open).sum::<usize>(),
        axis = ticks(axis.seconds, height),
        bars = drawn.collect::<String>(),
    )
}

/// Stripes that hold the tasks of a media together, where they have several.
fn bands(bars: &[Bar], row: u64) -> String {
    let (mut out, mut y) = (String::new(), AXIS);
    for band in bars.chunk_by(|one, next| one.shaded == next.shaded) {
        let height = band.len() as u64 * row;
        if band[0].shaded {
            out += &format!("<rect class=\"band\" x=\"0\" y=\"{y}\" width=\"100%\" height=\"{height}\"/>\n");
        }
        y += height;
    }
    out
}

/// Low rows leave room for some labels only: those of failed rows come first, then unfinished ones.
fn labels(bars: &[Bar], row: u64) -> String {
    let (mut out, mut taken) = (String::new(), Vec::new());
    for rank in [Rank::Failed, Rank::Unfinished, Rank::Complete] {
        for (at, bar) in bars.iter().enumerate().filter(|(_, bar)| bar.rank() == rank) {
            let y = AXIS + at as u64 * row + row / 2 + 4;
            if bar.label.is_empty() || taken.iter().any(|other: &u64| other.abs_diff(y) < LOW) {
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

fn ticks(span: i64, height: u64) -> String {
    let step = axis_step(span, 5);
    let tick = |n: i64| {
        let x = (n * step) as f64 * 100.0 / span as f64;
        let anchor = match n {
            0 => "start",
            _ if x > 92.0 => "end",
            _ => "middle",
        };
        let line = format!(r#"<line class="grid" x1="{x:.2}%" x2="{x:.2}%" y1="{AXIS}" y2="{height}"/>"#);
        line + &text("soft", (x, 13), anchor, &seconds(n * step))
    };
    (0..=span / step).map(tick).collect()
}
