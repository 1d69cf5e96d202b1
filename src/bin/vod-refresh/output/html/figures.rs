//! Two small pictures: where the time of the run went, and how long tasks took.

use std::fmt::{self, Write};

use vod_refresh::run::Report;

use super::super::rows;
use super::picture::step;
use super::{grouped, length, share};

/// Parts of the run: until the first task, while tasks ran, after the last one.
pub(super) fn time_spent(out: &mut String, report: &Report) -> fmt::Result {
    if rows::tasks(report).next().is_none() {
        return Ok(());
    }
    let (start, end) = (report.started_at, report.finished_at);
    let within =
        |time: chrono::DateTime<chrono::Utc>| (time.clamp(start, end.max(start)) - start).num_seconds();
    let all = within(end);
    let first = rows::tasks(report).filter_map(|task| task.created_at).min().map_or(all, within);
    let last = match rows::tasks(report).all(rows::has_ended) {
        true => rows::tasks(report).filter_map(|task| task.ended_at).max().map_or(all, within).max(first),
        false => all,
    };
    let parts = [
        ("bar-soft", "until the CDN took the first task", first),
        ("bar-calm", "while tasks ran", last - first),
        ("bar-rest", "after the last task", all - last),
    ];
    writeln!(out, r#"<section id="time-spent"><h2>Where the time went</h2>"#)?;
    writeln!(
        out,
        r#"<figure class="short"><svg width="100%" height="26" role="img" aria-labelledby="spent-title"><title id="spent-title">Parts of the {} that the run took; the list below has the figures</title>"#,
        length(all)
    )?;
    let mut x = 0.0;
    for (class, _, seconds) in parts {
        let width = seconds as f64 * 100.0 / all.max(1) as f64;
        if seconds > 0 {
            writeln!(out, r#"<rect class="{class}" x="{x:.2}%" y="2" width="{width:.2}%" height="22"/>"#)?;
        }
        x += width;
    }
    writeln!(out, r#"</svg><ul class="key">"#)?;
    for (class, words, seconds) in parts {
        let share = share(seconds as u64, all as u64);
        writeln!(
            out,
            r#"<li><svg width="14" height="12" aria-hidden="true"><rect class="{class}" x="1" y="1" width="12" height="10"/></svg><strong>{}</strong> ({share}) {words}</li>"#,
            length(seconds)
        )?;
    }
    writeln!(out, "</ul></figure></section>")
}

/// Histogram of the durations of tasks that ended.
pub(super) fn durations(out: &mut String, report: &Report) -> fmt::Result {
    const HEIGHT: u64 = 150;
    let mut took: Vec<i64> = rows::tasks(report).filter_map(rows::task_seconds).collect();
    took.sort_unstable();
    let (Some(&longest), Some(&median)) = (took.last(), took.get(took.len().saturating_sub(1) / 2)) else {
        return Ok(());
    };
    let late = took[(took.len() * 9).div_ceil(10) - 1];
    // One more second, so that the longest lies inside the last column.
    let step = step(longest + 1, 10);
    let mut columns = vec![0_u64; (longest / step + 1) as usize];
    for seconds in &took {
        columns[(seconds / step) as usize] += 1;
    }
    let highest = columns.iter().copied().max().unwrap_or(1).max(1);
    writeln!(out, r#"<section id="durations"><h2>How long tasks took</h2>"#)?;
    let words = match took.len() {
        1 => format!("1 task ended, after {}.", length(longest)),
        count => format!(
            "{} tasks ended. Half took {} or less, nine of ten {} or less, the longest {}.",
            grouped(count as u64),
            length(median),
            length(late),
            length(longest)
        ),
    };
    writeln!(out, "<p>{words}</p>")?;
    writeln!(
        out,
        r#"<figure class="short"><svg width="100%" height="{}" role="img" aria-labelledby="took-title took-desc"><title id="took-title">Histogram of task durations</title><desc id="took-desc">{words} Columns of {}:{}</desc>"#,
        HEIGHT + 36,
        length(step),
        columns.iter().fold(String::new(), |text, count| format!("{text} {count}"))
    )?;
    let width = 100.0 / columns.len() as f64;
    for (at, count) in columns.iter().enumerate() {
        let x = at as f64 * width;
        let height = count * HEIGHT / highest;
        let top = 16 + HEIGHT - height;
        if *count > 0 {
            writeln!(
                out,
                r#"<rect class="bar-calm" x="{:.2}%" y="{top}" width="{:.2}%" height="{}"/><text x="{:.2}%" y="{}" text-anchor="middle">{}</text>"#,
                x + width * 0.04,
                width * 0.92,
                height.max(1),
                x + width / 2.0,
                top - 4,
                grouped(*count)
            )?;
        }
    }
    // The last edge has no label: on a narrow screen it would run into its neighbour.
    for edge in 0..columns.len() {
        let anchor = if edge == 0 { "start" } else { "middle" };
        writeln!(
            out,
            r#"<text class="soft" x="{:.2}%" y="{}" text-anchor="{anchor}">{}</text>"#,
            edge as f64 * width,
            HEIGHT + 32,
            length(edge as i64 * step)
        )?;
    }
    writeln!(
        out,
        r#"<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/></svg></figure></section>"#,
        HEIGHT + 16
    )
}
