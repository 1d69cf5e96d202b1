//! The narrow form: a media a block, its URLs below it. Columns cut to bits could be neither read nor copied.

use comfy_table::Color;

use super::row::{Rank, Row, hint_below};
use super::{Look, NARROWEST, colour_of, hint_lines, wrapped};

/// The rows below the media they belong to. A URL has a line of its own and stays whole, however long it is.
pub(super) fn render(rows: &[Row], look: Look) -> String {
    let width = look.width.unwrap_or(u16::MAX).max(NARROWEST);
    let mut text = String::new();
    let mut above: Option<&Row> = None;
    for (n, row) in rows.iter().enumerate() {
        let same_rank = above.is_none_or(|above| above.rank == row.rank);
        if !same_rank && !text.ends_with("\n\n") {
            text.push('\n');
        }
        if !above.is_some_and(|above| same_rank && above.media == row.media && above.state == row.state) {
            text.push_str(&format!("{}  {}\n", row.media, painted(row.state, row.rank, look)));
        }
        above = Some(row);
        if !row.url.is_empty() {
            text.push_str(&format!("  {}\n", row.url));
        }
        text.push_str(&said(row, look, width));
        if let Some(hint) = hint_below(rows, n) {
            text.push_str(&hint_lines(hint, Some(width)));
            if n + 1 < rows.len() {
                text.push('\n');
            }
        }
    }
    text
}

/// The status of the task and the reason, where they say more than the line of the media.
fn said(row: &Row, look: Look, width: u16) -> String {
    let task = Some(row.task.as_str()).filter(|task| !task.eq_ignore_ascii_case(row.state)).unwrap_or("");
    let between = if task.is_empty() || row.why.is_empty() { "" } else { ": " };
    let indent = if row.url.is_empty() { 2 } else { 4 };
    let lines = wrapped(&format!("{task}{between}{}", row.why), width.saturating_sub(indent));
    let mut text = String::new();
    for line in lines.iter().filter(|line| !line.is_empty()) {
        let line = match line.strip_prefix(task).filter(|_| text.is_empty() && !task.is_empty()) {
            Some(rest) => format!("{}{rest}", painted(task, row.rank, look)),
            None => line.clone(),
        };
        text.push_str(&format!("{:1$}{line}\n", "", usize::from(indent)));
    }
    text
}

fn painted(word: &str, rank: Rank, look: Look) -> String {
    let code = match colour_of(rank) {
        _ if !look.colour || word.is_empty() => return word.to_owned(),
        Color::Red => 31,
        Color::Yellow => 33,
        _ => 32,
    };
    format!("\u{1b}[{code}m{word}\u{1b}[0m")
}
