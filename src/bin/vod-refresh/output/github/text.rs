//! The texts for GitHub Actions: what is in them comes from strangers, and is neither markup nor a command.

use std::fmt::Write as _;
use std::path::Path;

use vod_refresh::run::MediaReport;
use vod_refresh::{Outcome, Report};

use super::super::escape::{escaped, shortened};
use super::super::{remedy, rows, table};
use crate::exit::ExitCode;
use crate::formatting::escape_control;

/// Rows of the table; a summary of more than 1 MiB is refused.
const MOST_ROWS: usize = 50;
/// GitHub shows ten errors a step.
const MOST_ANNOTATIONS: usize = 9;
/// Longest text in a cell.
const CELL: usize = 200;
/// Lines shown of why a run came to nothing: a list of bad ids may be long.
const MOST_LINES: usize = 20;
/// Longest of those lines.
const LINE: usize = 500;

/// Why a media failed, in one line.
fn reason(media: &MediaReport) -> String {
    let error = media.error.as_ref().map(|error| format!("{}: {}", error.code, error.message));
    shortened(&error.unwrap_or_else(|| rows::first_cause(media).unwrap_or_default().to_owned()), CELL)
}

/// Markdown: the sums, then a table of what failed.
pub(in crate::output) fn summary(report: &Report, lines: &[String]) -> String {
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

/// Markdown for a run that came to nothing: why.
pub(in crate::output) fn summary_of_refused(code: ExitCode, lines: &[String]) -> String {
    let mut shown: Vec<String> =
        lines.iter().take(MOST_LINES).map(|line| escaped(&shortened(line, LINE)).to_string()).collect();
    if lines.len() > MOST_LINES {
        shown.push(format!("and {} lines more", lines.len() - MOST_LINES));
    }
    format!("### vod-refresh: {}\n\n<pre>{}</pre>\n\n", code.name(), shown.join("\n"))
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

/// One for the run, unless it went well, and one for each of the first media that failed.
pub(in crate::output) fn annotations(report: &Report, code: ExitCode) -> String {
    let mut out = String::new();
    if !matches!(report.outcome, Outcome::Complete | Outcome::Submitted | Outcome::Unfinished) {
        // A deadline may have been given the code of success; then it breaks no step.
        let level = if code.number() == 0 { "warning" } else { "error" };
        let title = format!("vod-refresh: {}", report.outcome.as_str());
        let _ = writeln!(out, "::{level} title={}::{}", property(&title), message(&gist(report)));
    }
    for media in rows::failed_media(report).take(MOST_ANNOTATIONS) {
        let title = format!("{} {}", rows::media_name(media), media.state.as_str());
        let (why, advice) = (message(&reason(media)), message(remedy::for_media(media)));
        // Two lines, since a reason ends in a full stop or does not.
        let _ = writeln!(out, "::error title={}::{why}%0A{advice}", property(&title));
    }
    out
}

pub(in crate::output) fn annotation_of_refused(code: ExitCode, lines: &[String]) -> String {
    let title = format!("vod-refresh: {}", code.name());
    let lines: Vec<String> = lines.iter().take(MOST_LINES).map(|line| message(line)).collect();
    format!("::error title={}::{}\n", property(&title), lines.join("%0A"))
}

/// The run in a line: what ended it, if something did, and the sums.
fn gist(report: &Report) -> String {
    let sums = table::sums(report);
    match &report.error {
        Some(error) => {
            format!("{}; {sums}", shortened(&format!("{}: {}", error.code, error.message), CELL))
        }
        None => sums,
    }
}

/// The text of a workflow command. The runner knows an older form of them too, which may stand anywhere.
fn message(text: &str) -> String {
    escape_control(text).replace("##[", "# #[").replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of one: it ends at a colon or a comma.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

/// `name=value` lines. No value can hold a line break.
pub(in crate::output) fn outputs(report: &Report, code: ExitCode, file: Option<&Path>) -> String {
    let summary = &report.summary;
    let mut out = format!(
        "outcome={}\n{}message={}\nrun-id={}\nmedia-complete={}\nmedia-failed={}\nmedia-unfinished={}\n",
        report.outcome.as_str(),
        exit_code(code),
        escape_control(&gist(report)),
        escape_control(report.run_id.as_str()),
        summary.media_complete,
        summary.media_failed,
        summary.media_unfinished
    );
    if let Some(file) = file {
        let _ = writeln!(out, "report={}", escape_control(&file.display().to_string()));
    }
    out
}

pub(in crate::output) fn exit_code(code: ExitCode) -> String {
    format!("exit-code={}\n", code.number())
}

pub(in crate::output) fn outputs_of_refused(code: ExitCode, lines: &[String]) -> String {
    let first = lines.first().map(String::as_str).unwrap_or_default();
    let message = escape_control(first.strip_prefix("error: ").unwrap_or(first));
    format!("outcome={}\n{}message={message}\n", code.name(), exit_code(code))
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::*;

    #[test]
    fn a_good_run_is_a_line_without_a_table() {
        let text = summary(&sample::complete(3), &[]);
        assert!(text.starts_with("### ") && !text.contains("| media |"), "{text}");
        assert_eq!(annotations(&sample::complete(3), ExitCode::Complete), "");
    }

    #[test]
    fn what_failed_comes_with_what_to_do_and_the_rest_as_a_number() {
        let text =
            summary(&sample::failing(120), &["to carry on:".to_owned(), "  vod-refresh resume".to_owned()]);
        assert_eq!(text.matches("| failed |").count(), MOST_ROWS);
        assert!(text.contains("and 70 more") && text.contains("vod-refresh resume"), "{text}");
        assert_eq!(
            annotations(&sample::failing(120), ExitCode::Failed).lines().count(),
            MOST_ANNOTATIONS + 1
        );
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
        for line in annotations(&report, ExitCode::Partial).lines() {
            assert!(line.starts_with("::error title=") && line.matches("::").count() >= 2, "{line}");
        }
        let file = Path::new("/tmp/a\nb=c.json");
        assert_eq!(outputs(&report, ExitCode::Partial, Some(file)).lines().count(), 8);
    }

    #[test]
    fn a_run_that_did_not_go_well_is_told_of_as_a_whole() {
        let report = sample::mixed(15);
        let told = annotations(&report, ExitCode::Timeout(8));
        assert!(told.starts_with("::error title=vod-refresh%3A timeout::refresh timeout: "), "{told}");
        // A deadline that is no failure breaks no step.
        assert!(annotations(&report, ExitCode::Timeout(0)).starts_with("::warning title=vod-refresh"));
        let told = annotations(&sample::refused(), ExitCode::Refused);
        assert!(
            told.starts_with("::error title=vod-refresh%3A refused::Forbidden.RAM: no permission; "),
            "{told}"
        );
    }

    #[test]
    fn a_run_that_came_to_nothing_says_why_in_every_place() {
        let lines = ["error: <b>no\nkey</b>", "::stop-commands::x", "  hint: set %1"].map(str::to_owned);
        let told = annotation_of_refused(ExitCode::Config, &lines);
        assert_eq!(
            told,
            "::error title=vod-refresh%3A config::error: <b>no\\nkey</b>%0A::stop-commands::x%0A  hint: set %251\n"
        );
        let outputs = outputs_of_refused(ExitCode::Config, &lines);
        assert_eq!(outputs, "outcome=config\nexit-code=3\nmessage=<b>no\\nkey</b>\n");
        let summary = summary_of_refused(ExitCode::Config, &vec![lines[0].clone(); 30]);
        assert!(summary.contains("and 10 lines more") && !summary.contains("<b>"), "{summary}");
    }

    #[test]
    fn a_command_ends_where_we_end_it() {
        assert_eq!(property("a:b,c%d\ne"), "a%3Ab%2Cc%25d\\ne");
    }
}
