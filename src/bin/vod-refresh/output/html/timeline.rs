//! The run on its time axis: for each task when it was submitted, accepted, and seen ended.
//!
//! Above [`MAX_BARS`] tasks a bar stands for a media, above that for several in a row. What happened before the run
//! began or after it ended is not on the axis.

use std::fmt::{self, Write};

use chrono::{DateTime, Utc};
use vod_refresh::run::{MediaReport, Report, TaskReport};

use super::super::escape::shortened;
use super::super::rows;
use super::{Count, grouped, picture, span};

/// Most bars in the picture.
const MAX_BARS: usize = 200;

/// One task, one media or several media.
pub(super) struct Bar {
    /// What stands beside it; may be empty.
    pub(super) label: String,
    /// What a pointer that rests on it shows.
    pub(super) hint: String,
    /// When the first of its media was submitted; `None` where others did that.
    pub(super) submitted_at: Option<DateTime<Utc>>,
    /// When the first of its tasks became known.
    pub(super) from: DateTime<Utc>,
    /// When the last of those that ended did so.
    pub(super) ended_at: Option<DateTime<Utc>>,
    /// Tasks that ended, failed ones included.
    pub(super) ended: usize,
    pub(super) failed: usize,
    pub(super) open: usize,
    /// Whether it lies on a stripe, as every second media does.
    pub(super) shaded: bool,
}

pub(super) fn section(out: &mut String, report: &Report) -> fmt::Result {
    if rows::tasks(report).next().is_none() {
        return Ok(());
    }
    let (drawn, undrawn): (Vec<&MediaReport>, Vec<&MediaReport>) =
        report.media.iter().partition(|media| media.tasks.iter().any(|task| start(task).is_some()));
    let tasks = rows::tasks(report).filter(|task| start(task).is_some()).count();
    let (bars, grain) = bars(report, &drawn, tasks);
    writeln!(out, r#"<section id="timeline"><h2>Timeline</h2>"#)?;
    writeln!(
        out,
        "<p>{} of {} on the time of the run. {grain}</p>",
        Count(tasks as u64, "task", "tasks"),
        Count(drawn.len() as u64, "media", "media")
    )?;
    if !bars.is_empty() {
        picture::draw(out, report, &bars)?;
    }
    if !undrawn.is_empty() {
        let count = Count(undrawn.len() as u64, "media", "media");
        writeln!(out, "<p>Not drawn: {count} of which no task became known.</p>")?;
    }
    writeln!(out, "</section>")
}

/// Where a task's bar begins. Reports of older versions know only when the CDN took it.
fn start(task: &TaskReport) -> Option<DateTime<Utc>> {
    task.known_at.or(task.created_at).or(task.ended_at)
}

/// The bars, and what one of them is.
fn bars(report: &Report, drawn: &[&MediaReport], tasks: usize) -> (Vec<Bar>, String) {
    if tasks <= MAX_BARS {
        let mut bars = Vec::new();
        let mut shaded = false;
        for media in drawn {
            shaded = !shaded;
            let tasks: Vec<&TaskReport> = media.tasks.iter().filter(|task| start(task).is_some()).collect();
            // One label a media: where something is amiss, else at its first bar.
            let failed = tasks.iter().position(|task| rows::has_failed(task));
            let amiss = failed.or_else(|| tasks.iter().position(|task| !rows::has_ended(task)));
            for (at, task) in tasks.into_iter().enumerate() {
                let hint = shortened(task.url.as_deref().unwrap_or(task.task_id.as_str()), 120);
                let is_labelled = at == amiss.unwrap_or(0);
                let label = if is_labelled { short(rows::media_name(media)) } else { String::new() };
                bars.extend(Bar::of(report, [*media], [task], label, hint, shaded));
            }
        }
        return (bars, "Each bar is one task; the tasks of a media lie on one stripe.".to_owned());
    }
    let per_bar = drawn.len().div_ceil(MAX_BARS).max(1);
    let bars = drawn.chunks(per_bar).enumerate().filter_map(|(at, group)| {
        let (first, last) = (at * per_bar + 1, at * per_bar + group.len());
        let (label, hint) = match group {
            [media] => (short(rows::media_name(media)), rows::media_name(media).to_owned()),
            _ => {
                let range = format!("{}–{}", grouped(first as u64), grouped(last as u64));
                (range.clone(), format!("media {range} of those with tasks"))
            }
        };
        let tasks = group.iter().flat_map(|media| &media.tasks);
        Bar::of(report, group.iter().copied(), tasks, label, hint, false)
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
    fn of<'a>(
        report: &Report,
        media: impl IntoIterator<Item = &'a MediaReport>,
        tasks: impl IntoIterator<Item = &'a TaskReport>,
        label: String,
        mut hint: String,
        shaded: bool,
    ) -> Option<Self> {
        let tasks: Vec<&TaskReport> = tasks.into_iter().filter(|task| start(task).is_some()).collect();
        let from = tasks.iter().filter_map(|task| start(task)).min()?;
        let submitted_at = media.into_iter().filter_map(|media| media.submitted_at).min();
        let count = |is_meant: fn(&TaskReport) -> bool| tasks.iter().filter(|task| is_meant(task)).count();
        let (ended, failed) = (count(rows::has_ended), count(rows::has_failed));
        let open = tasks.len() - ended;
        let ended_at =
            tasks.iter().filter(|task| rows::has_ended(task)).filter_map(|task| task.ended_at).max();
        let after = |time: DateTime<Utc>| span((time - report.started_at).num_milliseconds());
        // Writing to a String never fails.
        if let Some(submitted_at) = submitted_at {
            let _ = write!(hint, "\nsubmitted after {}", after(submitted_at));
        }
        let _ = write!(hint, "\naccepted after {}", after(from));
        if let Some(ended_at) = ended_at {
            let _ = write!(hint, "\nended after {}", after(ended_at));
        }
        if failed > 0 {
            let _ = write!(hint, ", {failed} of {} failed", tasks.len());
        }
        if open > 0 {
            let _ = write!(hint, "\n{open} of {} unfinished", tasks.len());
        }
        Some(Self { label, hint, submitted_at, from, ended_at, ended, failed, open, shaded })
    }
}

/// Enough of a long id to find it in the tables.
fn short(name: &str) -> String {
    match name.chars().count() {
        0..=11 => name.to_owned(),
        n => name.chars().take(6).chain(['…']).chain(name.chars().skip(n - 4)).collect(),
    }
}
