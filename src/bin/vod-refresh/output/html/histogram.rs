//! How long tasks took, from the CDN's taking them to their being seen ended.

use super::super::report_view::{ReportView, TaskView};
use super::format::{axis_step, grouped, rect, seconds, text};

/// Height of the highest column.
const HEIGHT: u64 = 150;
/// Room above the columns, for the count of the highest.
const TOP: u64 = 16;

pub(super) fn section(view: &ReportView<'_>) -> String {
    let mut took: Vec<i64> = view.tasks().filter_map(TaskView::seconds).collect();
    took.sort_unstable();
    let (Some(&shortest), Some(&longest)) = (took.first(), took.last()) else { return String::new() };
    let (median, late) = (took[(took.len() - 1) / 2], took[(took.len() * 9).div_ceil(10) - 1]);
    let words = match took.len() {
        1 => format!("1 task ended, after {}.", seconds(longest)),
        count => format!(
            "{} tasks ended. Half took {} or less, nine of ten {} or less, the longest {}.",
            grouped(count as u64),
            seconds(median),
            seconds(late),
            seconds(longest)
        ),
    };
    draw(&Columns::new(&took, shortest, longest), &words)
}

struct Columns {
    /// Seconds at the left edge.
    from: i64,
    /// Seconds that a column is wide.
    step: i64,
    counts: Vec<u64>,
}

impl Columns {
    fn new(took: &[i64], shortest: i64, longest: i64) -> Self {
        // Where all took long, an axis from zero would be empty for the most part.
        let floor = if shortest * 2 > longest { shortest } else { 0 };
        // One more second, so that the longest lies inside the last column.
        let step = axis_step(longest + 1 - floor, 12);
        let from = floor / step * step;
        let mut counts = vec![0; ((longest - from) / step + 1) as usize];
        for seconds in took {
            counts[((seconds - from) / step) as usize] += 1;
        }
        Self { from, step, counts }
    }
}

fn draw(Columns { from, step, counts }: &Columns, words: &str) -> String {
    let highest = counts.iter().copied().max().unwrap_or(1).max(1);
    // A single column across the page would look like a fault.
    let width = 100.0 / counts.len().max(6) as f64;
    let (mut columns, mut edges, mut numbers) = (String::new(), String::new(), String::new());
    for (at, count) in counts.iter().enumerate() {
        let (x, left) = (at as f64 * width, from + at as i64 * step);
        numbers += &format!(" {count}");
        // The right edge of the last column has no label: on a narrow screen it would run into its neighbour.
        let anchor = if at == 0 { "start" } else { "middle" };
        edges += &text("soft", (x, HEIGHT + TOP + 16), anchor, &seconds(left));
        if *count == 0 {
            continue;
        }
        let height = (count * HEIGHT / highest).max(1);
        let y = TOP + HEIGHT - height;
        columns += &format!(
            "<g><title>{} to {}: {count}</title>{}{}</g>\n",
            seconds(left),
            seconds(left + step),
            rect("bar-calm", (x + width * 0.04, y), (width * 0.92, height)),
            text("", (x + width / 2.0, y - 4), "middle", &grouped(*count))
        );
    }
    format!(
        include_str!("durations.html"),
        words = words,
        height = HEIGHT + TOP + 20,
        step = seconds(*step),
        from = seconds(*from),
        counts = numbers,
        columns = columns,
        edges = edges,
        base = HEIGHT + TOP,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(took: &[i64]) -> (i64, i64, Vec<u64>) {
        let Columns { from, step, counts } = Columns::new(took, took[0], took[took.len() - 1]);
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
