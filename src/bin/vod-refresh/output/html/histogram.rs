//! How long tasks took, from the CDN's taking them to their being seen ended.

use std::fmt::{self, Write};

use vod_refresh::run::Report;

use super::super::rows;
use super::picture::step;
use super::{grouped, length};

/// Height of the highest column.
const HEIGHT: u64 = 150;
/// Room above the columns, for the count of the highest.
const TOP: u64 = 16;

pub(super) fn section(out: &mut String, report: &Report) -> fmt::Result {
    let mut took: Vec<i64> = rows::tasks(report).filter_map(rows::task_seconds).collect();
    took.sort_unstable();
    let (Some(&shortest), Some(&longest), Some(&median)) =
        (took.first(), took.last(), took.get(took.len().saturating_sub(1) / 2))
    else {
        return Ok(());
    };
    let late = took[(took.len() * 9).div_ceil(10) - 1];
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
    writeln!(out, r#"<section id="durations"><h2>How long tasks took</h2><p>{words}</p>"#)?;
    draw(out, &Columns::of(&took, shortest, longest), &words)?;
    writeln!(out, "</section>")
}

struct Columns {
    /// Seconds at the left edge.
    from: i64,
    /// Seconds that a column is wide.
    step: i64,
    counts: Vec<u64>,
}

impl Columns {
    fn of(took: &[i64], shortest: i64, longest: i64) -> Self {
        // Where all took long, an axis from zero would be empty for the most part.
        let floor = if shortest * 2 > longest { shortest } else { 0 };
        // One more second, so that the longest lies inside the last column.
        let step = step(longest + 1 - floor, 12);
        let from = floor / step * step;
        let mut counts = vec![0; ((longest - from) / step + 1) as usize];
        for seconds in took {
            counts[((seconds - from) / step) as usize] += 1;
        }
        Self { from, step, counts }
    }
}

fn draw(out: &mut String, columns: &Columns, words: &str) -> fmt::Result {
    let Columns { from, step, counts } = columns;
    let highest = counts.iter().copied().max().unwrap_or(1).max(1);
    writeln!(
        out,
        r#"<figure class="short"><svg width="100%" height="{}" role="img" aria-labelledby="took-title took-desc"><title id="took-title">Histogram of task durations</title><desc id="took-desc">{words} Columns of {} from {} on:{}</desc>"#,
        HEIGHT + TOP + 20,
        length(*step),
        length(*from),
        counts.iter().fold(String::new(), |text, count| format!("{text} {count}"))
    )?;
    // A single column across the page would look like a fault.
    let width = 100.0 / counts.len().max(6) as f64;
    for (at, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let x = at as f64 * width;
        let height = (count * HEIGHT / highest).max(1);
        let y = TOP + HEIGHT - height;
        writeln!(
            out,
            r#"<g><title>{} to {}: {count}</title><rect class="bar-calm" x="{:.2}%" y="{y}" width="{:.2}%" height="{height}" rx="2"/><text x="{:.2}%" y="{}" text-anchor="middle">{}</text></g>"#,
            length(from + at as i64 * step),
            length(from + (at as i64 + 1) * step),
            x + width * 0.04,
            width * 0.92,
            x + width / 2.0,
            y - 4,
            grouped(*count)
        )?;
    }
    // The last edge has no label: on a narrow screen it would run into its neighbour.
    for edge in 0..counts.len() {
        let anchor = if edge == 0 { "start" } else { "middle" };
        writeln!(
            out,
            r#"<text class="soft" x="{:.2}%" y="{}" text-anchor="{anchor}">{}</text>"#,
            edge as f64 * width,
            HEIGHT + TOP + 16,
            length(from + edge as i64 * step)
        )?;
    }
    writeln!(out, r#"<line class="axis" x1="0" x2="100%" y1="{0}" y2="{0}"/></svg></figure>"#, HEIGHT + TOP)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(took: &[i64]) -> (i64, i64, Vec<u64>) {
        let Columns { from, step, counts } = Columns::of(took, took[0], took[took.len() - 1]);
        (from, step, counts)
    }

    #[test]
    fn every_task_is_in_one_column_and_the_axis_begins_where_it_is_of_use() {
        assert_eq!(columns(&[0]), (0, 1, vec![1]));
        assert_eq!(columns(&[1, 2, 2, 9]), (0, 1, vec![0, 1, 2, 0, 0, 0, 0, 0, 0, 1]));
        assert_eq!(columns(&[16, 19, 19]), (16, 1, vec![1, 0, 0, 2]));
        assert_eq!(columns(&[100, 130, 159]), (100, 5, vec![1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]));
    }
}
