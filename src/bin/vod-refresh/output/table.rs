//! Tables and wrapped lines for terminals and logs.

use comfy_table::{ContentArrangement, Table, presets};

use crate::formatting::escape_control;

/// Lines are not made narrower than this.
const NARROWEST: u16 = 12;

/// Returns the width of the terminal on stdout, if it is one that has a width.
pub(crate) fn terminal_width() -> Option<u16> {
    // A terminal that was never given a size has 0 columns.
    Table::new().width().filter(|&width| width > 0)
}

/// Returns a table without colours or frames.
pub(crate) fn plain<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = bare();
    table.set_header(head).add_rows(rows.map(|row| row.map(|cell| escape_control(&cell))));
    set_gap(&mut table, 2);
    table.to_string().lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Returns `text` in lines that are no wider than `width`, cut at blanks.
pub(super) fn wrap(text: &str, width: u16) -> Vec<String> {
    let mut table = bare();
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.max(NARROWEST));
    table.add_row([text]);
    set_gap(&mut table, 0);
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Returns an empty table without colours or frames.
pub(super) fn bare() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).force_no_tty();
    table
}

/// Puts `gap` blanks behind each column.
pub(super) fn set_gap(table: &mut Table, gap: u16) {
    for column in table.column_iter_mut() {
        column.set_padding((0, gap));
    }
}
