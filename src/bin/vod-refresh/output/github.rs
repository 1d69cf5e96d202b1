//! What GitHub Actions shows of a run: a summary of the step, annotations, and outputs for later steps.
//!
//! Sources: "Workflow commands for GitHub Actions" and "Adding a job summary". All of it is extra: a file that can't be
//! written is a warning and changes no exit code.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;

use vod_refresh::Report;
use vod_refresh::run::MediaReport;

use super::escape::{escaped, shortened};
use super::{remedy, rows, table};
use crate::printer::Printer;
use crate::words::harmless;
use crate::world::World;

/// Rows of the table; a summary of more than 1 MiB is refused.
const MOST_ROWS: usize = 50;
/// GitHub shows ten errors a step.
const MOST_ANNOTATIONS: usize = 9;
/// Longest text in a cell.
const CELL: usize = 200;

/// Tells GitHub Actions, where it listens. `code` is the exit code, `lines` say how to carry on.
pub(crate) fn tell(report: &Report, code: u8, lines: &[String], world: &World, printer: &Printer) {
    if world.variable("GITHUB_ACTIONS").as_deref() != Some("true") {
        return;
    }
    for (variable, text) in
        [("GITHUB_STEP_SUMMARY", summary(report, lines)), ("GITHUB_OUTPUT", outputs(report, code))]
    {
        let Some(path) = world.variable(variable) else { continue };
        let file = OpenOptions::new().append(true).create(true).open(&path);
        if let Err(error) = file.and_then(|mut file| file.write_all(text.as_bytes())) {
            printer.warn(&format!("{variable}: can't write to {}: {error}", harmless(&path)));
        }
    }
    printer.raw_err(annotations(report).as_bytes());
}

/// Why a media failed, in one line.
fn reason(media: &MediaReport) -> String {
    let error = media.error.as_ref().map(|error| format!("{}: {}", error.code, error.message));
    shortened(&error.unwrap_or_else(|| rows::first_cause(media).unwrap_or_default().to_owned()), CELL)
}

/// Markdown: the sums, then a table of what failed.
fn summary(report: &Report, lines: &[String]) -> String {
    let mut out = format!("### {}\n\n", cell(&table::sums(report)));
    // Writing to a String never fails.
    let _ = writeln!(out, "Run <code>{}</code>", cell(report.run_id.as_str()));
    let failed = rows::failed_media(report).count();
    if failed > 0 {
        let _ = writeln!(out, "\n| media | state | why | what to do |\n| --- | --- | --- | --- |");
    }
    for media in rows::failed_media(report).take(MOST_ROWS) {
        let (name, state) = (rows::media_name(media), media.state.as_str());
        let advice = cell(remedy::for_media(media));
        let _ = writeln!(out, "| {} | {state} | {} | {advice} |", cell(name), cell(&reason(media)));
    }
    if failed > MOST_ROWS {
        let _ = writeln!(out, "\nand {} more", failed - MOST_ROWS);
    }
    if !lines.is_empty() {
        let lines: Vec<String> = lines.iter().map(|line| escaped(line).to_string()).collect();
        let _ = writeln!(out, "\n<pre>{}</pre>", lines.join("\n"));
    }
    out.push('\n');
    out
}

/// Text that is text in a Markdown table: nothing in it is markup, a link, a mention or the end of the cell.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in escaped(text).to_string().chars() {
        match c {
            '\n' | '\t' => out.push(' '),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '~' | '@' | ':' | '!' | '(' | ')' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// One error for each media that failed, and one for the rest.
fn annotations(report: &Report) -> String {
    let mut out = String::new();
    for media in rows::failed_media(report).take(MOST_ANNOTATIONS) {
        let title = format!("{} {}", rows::media_name(media), media.state.as_str());
        let text = format!("{} {}", reason(media), remedy::for_media(media));
        let _ = writeln!(out, "::error title={}::{}", property(&title), message(&text));
    }
    let more = rows::failed_media(report).count().saturating_sub(MOST_ANNOTATIONS);
    if more > 0 {
        let _ = writeln!(out, "::error title=vod-refresh::and {more} media more");
    } else if let Some(error) = &report.error {
        let text = message(&shortened(&format!("{}: {}", error.code, error.message), CELL));
        let _ = writeln!(out, "::error title=vod-refresh::{text}");
    }
    out
}

/// The text of a workflow command.
fn message(text: &str) -> String {
    harmless(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of one: it ends at a colon or a comma.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

/// `name=value` lines. No value can hold a line break: words, numbers and an id.
fn outputs(report: &Report, code: u8) -> String {
    let summary = &report.summary;
    format!(
        "outcome={}\nexit-code={code}\nrun-id={}\nmedia-complete={}\nmedia-failed={}\nmedia-unfinished={}\n",
        report.outcome.as_str(),
        harmless(report.run_id.as_str()),
        summary.media_complete,
        summary.media_failed,
        summary.media_unfinished
    )
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_good_run_is_a_line_without_a_table() {
        let text = summary(&sample::complete(3), &[]);
        assert!(text.starts_with("### ") && !text.contains("| media |"), "{text}");
        assert_eq!(annotations(&sample::complete(3)), "");
    }

    #[test]
    fn what_failed_comes_with_what_to_do_and_the_rest_as_a_number() {
        let text =
            summary(&sample::failing(120), &["to carry on:".to_owned(), "  vod-refresh resume".to_owned()]);
        assert_eq!(text.matches("| failed |").count(), MOST_ROWS);
        assert!(text.contains("and 70 more") && text.contains("vod-refresh resume"), "{text}");
        assert_eq!(annotations(&sample::failing(120)).lines().count(), MOST_ANNOTATIONS + 1);
    }

    #[test]
    fn nothing_in_a_text_is_markup_or_a_command() {
        let report = sample::hostile();
        let text = summary(&report, &[]);
        for bad in ["<script", "<b>", "@", "\u{1b}", "\u{202e}", "\u{0}"] {
            assert!(!text.contains(bad), "{bad:?} in {text}");
        }
        let table = text.lines().filter(|line| line.starts_with("| ")).collect::<Vec<_>>();
        assert!(table.iter().all(|line| line.matches('|').count() == 5), "{table:?}");
        for line in annotations(&report).lines() {
            assert!(line.starts_with("::error title=") && line.matches("::").count() >= 2, "{line}");
        }
        assert_eq!(outputs(&report, 7).lines().count(), 6);
    }

    #[test]
    fn a_command_ends_where_we_end_it() {
        assert_eq!(property("a:b,c%d\ne"), "a%3Ab%2Cc%25d\\ne");
    }
}
