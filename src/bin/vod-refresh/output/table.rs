//! Columns and wrapped lines for terminals and logs, measured in the columns that a text takes on a terminal.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::formatting::escape_control;

/// Lines are not made narrower than this.
const NARROWEST: usize = 12;
/// Blanks between two columns.
const GAP: usize = 2;

/// Returns the width of the terminal on stdout, if it is one that has a width.
pub(crate) fn terminal_width() -> Option<u16> {
    // A terminal that was never given a size has 0 columns.
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0).filter(|width| *width > 0)
}

/// Returns a table without colours or frames.
pub(crate) fn plain<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = rows.map(|row| row.map(|cell| escape_control(&cell))).collect();
    let rows = rows.iter().map(|row| row.each_ref().map(String::as_str));
    let rows: Vec<[&str; N]> = [head].into_iter().chain(rows).collect();
    let widths = widths(rows.iter().map(|row| &row[..]), N);
    rows.iter().map(|row| format!("{}\n", line(row, &widths, |_, text| text.to_owned()))).collect()
}

/// Returns how wide each column is.
pub(super) fn widths<'a>(rows: impl Iterator<Item = &'a [&'a str]>, columns: usize) -> Vec<usize> {
    let mut widths = vec![0; columns];
    for row in rows {
        widths.iter_mut().zip(row).for_each(|(width, text)| *width = text.width().max(*width));
    }
    widths
}

/// Returns how wide lines of such columns are.
pub(super) fn line_width(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * (widths.len() - 1)
}

/// Returns a row as a line; `paint` may colour a cell by its column.
pub(super) fn line(row: &[&str], widths: &[usize], paint: impl Fn(usize, &str) -> String) -> String {
    let mut line = String::new();
    for (column, text) in row.iter().enumerate() {
        line.push_str(&paint(column, text));
        line.extend(std::iter::repeat_n(' ', widths[column] - text.width() + GAP));
    }
    line.truncate(line.trim_end().len());
    line
}

/// Returns `text` in lines that are no wider than `width`, cut at blanks. A word that is wider is cut where it must be.
pub(super) fn wrap(text: &str, width: u16) -> Vec<String> {
    let width = usize::from(width).max(NARROWEST);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        if used > 0 && used + 1 + word.width() > width {
            lines.push(String::new());
            used = 0;
        } else if used > 0 {
            lines.last_mut().into_iter().for_each(|line| line.push(' '));
            used += 1;
        }
        for c in word.chars() {
            let columns = c.width().unwrap_or(0);
            if used + columns > width {
                lines.push(String::new());
                used = 0;
            }
            lines.last_mut().into_iter().for_each(|line| line.push(c));
            used += columns;
        }
    }
    lines
}
