//! The wide form: a row a line, where the lines are wide enough for the widest row.

use comfy_table::{Cell, ContentArrangement, Table, presets};

use super::row::{Row, hint_below};
use super::{Look, colour_of, hint_lines};

/// The rows as a table; `None` if one of them does not fit into a line.
pub(super) fn render(rows: &[Row], look: Look) -> Option<String> {
    if rows.is_empty() {
        return Some(String::new());
    }
    let drawn = draw(rows, look);
    let lines: Vec<&str> = drawn.lines().collect();
    if lines.len() != rows.len() + 1 {
        return None;
    }
    let mut text = format!("{}\n", lines[0].trim_end());
    for (n, line) in lines[1..].iter().enumerate() {
        text.push_str(line.trim_end());
        text.push('\n');
        if let Some(hint) = hint_below(rows, n) {
            text.push_str(&hint_lines(hint, look.width));
        }
    }
    Some(text)
}

fn draw(rows: &[Row], look: Look) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if look.colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    if let Some(width) = look.width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.set_header(["MEDIA", "STATE", "TASK", "URL", "WHY"]);
    for row in rows {
        let word = |text: &str| {
            let cell = Cell::new(text);
            if look.colour { cell.fg(colour_of(row.rank)) } else { cell }
        };
        let [media, url, why] = [&row.media, &row.url, &row.why].map(Cell::new);
        table.add_row([media, word(row.state), word(&row.task), url, why]);
    }
    for (n, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if n == 4 { 0 } else { 2 }));
    }
    table.to_string()
}
