//! What GitHub Actions shows of a run: a summary of the step, annotations, and outputs for later steps.
//!
//! Sources: "Workflow commands for GitHub Actions" and "Adding a job summary". All of it is extra: a file that can't be
//! written is a warning and changes no exit code. What is in the texts comes from outside, and is neither markup nor a
//! command.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use vod_refresh::{Outcome, Report};

use super::markup::{escape, escape_start};
use super::report_view::{MediaView, ReportView, summary_line};
use crate::environment::Environment;
use crate::exit::{ExitCode, Failure};
use crate::formatting::{escape_control, shorten};

/// Variables that name the files for these.
const SUMMARY: &str = "GITHUB_STEP_SUMMARY";
const OUTPUT: &str = "GITHUB_OUTPUT";

/// Rows of the table; a summary of more than 1 MiB is refused.
const MOST_ROWS: usize = 50;
/// GitHub shows ten errors a step.
const MOST_ANNOTATIONS: usize = 9;
/// Longest text in a cell, in characters.
const CELL: usize = 200;
/// Lines shown of why a run came to nothing: a list of bad ids may be long.
const MOST_LINES: usize = 20;
/// Longest of those lines, in characters.
const LINE: usize = 500;

/// The step of GitHub Actions in which this process runs.
pub(crate) struct GitHub<'a>(&'a Environment);

impl<'a> GitHub<'a> {
    /// Returns `None` outside GitHub Actions.
    pub(crate) fn detect(environment: &'a Environment) -> Option<Self> {
        let is_here = environment.variable("GITHUB_ACTIONS").as_deref() == Some("true");
        is_here.then_some(Self(environment))
    }

    /// Reports a run. `code` is the exit code, `lines` say how to carry on, `file` holds the JSON report.
    pub(crate) fn report_run(&self, report: &Report, code: ExitCode, lines: &[String], file: Option<&Path>) {
        let entries = report.entries();
        let view = ReportView::new(report, &entries);
        // Later steps may have another working folder.
        let file = file.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        self.append(SUMMARY, &summary(&view, lines));
        self.append(OUTPUT, &outputs(report, code, file.as_deref()));
        self.0.printer.write_workflow_commands(&annotations(&view, code));
    }

    /// Corrects the exit code that was reported. The last value of an output is the one that counts.
    pub(crate) fn correct_exit_code(&self, code: ExitCode) {
        self.append(OUTPUT, &exit_code(code));
    }

    /// Reports a run that came to nothing: it could not begin, or has no report.
    pub(crate) fn report_failure(&self, failure: &Failure) {
        self.report_lines(failure.exit_code(), failure.lines());
    }

    /// Reports a command line that can't be understood, by what the parser says.
    pub(crate) fn report_usage_error(&self, message: &str) {
        let lines = message.lines().take_while(|line| !line.trim().is_empty());
        self.report_lines(ExitCode::USAGE, &lines.map(str::to_owned).collect::<Vec<_>>());
    }

    fn report_lines(&self, code: ExitCode, lines: &[String]) {
        self.append(SUMMARY, &summary_of_failure(code, lines));
        self.append(OUTPUT, &outputs_of_failure(code, lines));
        self.0.printer.write_workflow_commands(&annotation_of_failure(code, lines));
    }

    /// Appends to the file that the variable names.
    fn append(&self, variable: &str, text: &str) {
        let Some(path) = self.0.variable(variable) else { return };
        let file = OpenOptions::new().append(true).create(true).open(&path);
        if let Err(error) = file.and_then(|mut file| file.write_all(text.as_bytes())) {
            self.0.printer.warn(&format!("{variable}: can't write to {}: {error}", escape_control(&path)));
        }
    }
}

/// Markdown: the sums, then a table of what failed.
fn summary(view: &ReportView<'_>, lines: &[String]) -> String {
    let run_id = cell(view.report.run_id.as_str());
    let mut out = format!("### {}\n\nRun <code>{run_id}</code>\n", cell(&summary_line(view.report)));
    let failed = view.failed().count();
    if failed > 0 {
        let noun = view.report.noun();
        out += &format!("\n| {noun} | state | why | what to do |\n| --- | --- | --- | --- |\n");
    }
    for media in view.failed().take(MOST_ROWS) {
        let (name, state) = (cell(media.name()), media.report.state.as_str());
        out += &format!("| {name} | {state} | {} | {} |\n", cell(&reason(media)), cell(media.advice()));
    }
    if failed > MOST_ROWS {
        out += &format!("\nand {} more\n", failed - MOST_ROWS);
    }
    if !lines.is_empty() {
        out += &format!("\n<pre>{}</pre>\n", escape(&lines.join("\n")));
    }
    out.push('\n');
    out
}

/// Markdown for a run that came to nothing: why.
fn summary_of_failure(code: ExitCode, lines: &[String]) -> String {
    let mut shown: Vec<String> = lines.iter().take(MOST_LINES).map(|line| escape_start(line, LINE)).collect();
    if lines.len() > MOST_LINES {
        shown.push(format!("and {} lines more", lines.len() - MOST_LINES));
    }
    format!("### vod-refresh: {}\n\n<pre>{}</pre>\n\n", code.name(), shown.join("\n"))
}

/// Text that is text in a Markdown table: nothing in it is markup, a link, a mention or the end of the cell.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in escape(text).chars() {
        match c {
            '\n' | '\t' => out.push(' '),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '~' | '@' | ':' | '!' | '(' | ')' => {
                out += &format!("&#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Why a media failed, in one line.
fn reason(media: &MediaView<'_>) -> String {
    let error = media.report.error.as_ref().map(|error| format!("{}: {}", error.code, error.message));
    shorten(error.as_deref().or(media.cause).unwrap_or_default(), CELL)
}

/// One annotation for the run, unless it went well, and one for each of the first media that failed.
fn annotations(view: &ReportView<'_>, code: ExitCode) -> String {
    let (report, mut out) = (view.report, String::new());
    if !matches!(report.outcome, Outcome::Complete | Outcome::Submitted | Outcome::Unfinished) {
        // A deadline may have been given the code of success; then it breaks no step.
        let level = if code.number() == 0 { "warning" } else { "error" };
        let title = format!("vod-refresh: {}", report.outcome.as_str());
        out += &annotation(level, &title, &message(&gist(report)));
    }
    for media in view.failed().take(MOST_ANNOTATIONS) {
        let title = format!("{} {}", media.name(), media.report.state.as_str());
        // Two lines, since a reason ends in a full stop or does not.
        let text = format!("{}%0A{}", message(&reason(media)), message(media.advice()));
        out += &annotation("error", &title, &text);
    }
    out
}

fn annotation_of_failure(code: ExitCode, lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().take(MOST_LINES).map(|line| message(line)).collect();
    annotation("error", &format!("vod-refresh: {}", code.name()), &lines.join("%0A"))
}

/// A workflow command; its text has gone through [`message`].
fn annotation(level: &str, title: &str, text: &str) -> String {
    format!("::{level} title={}::{text}\n", property(title))
}

/// The run in a line: what ended it, if something did, and the sums.
fn gist(report: &Report) -> String {
    let sums = summary_line(report);
    match &report.error {
        Some(error) => format!("{}; {sums}", shorten(&format!("{}: {}", error.code, error.message), CELL)),
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
fn outputs(report: &Report, code: ExitCode, file: Option<&Path>) -> String {
    let [_, complete, failed, unfinished] = report.summary.entries();
    let file = file.map(|file| format!("report={}\n", escape_control(&file.display().to_string())));
    format!(
        "outcome={}\n{}message={}\nrun-id={}\nmedia-complete={}\nmedia-failed={}\nmedia-unfinished={}\n{}",
        report.outcome.as_str(),
        exit_code(code),
        escape_control(&gist(report)),
        escape_control(report.run_id.as_str()),
        complete,
        failed,
        unfinished,
        file.unwrap_or_default()
    )
}

fn exit_code(code: ExitCode) -> String {
    format!("exit-code={}\n", code.number())
}

fn outputs_of_failure(code: ExitCode, lines: &[String]) -> String {
    let first = lines.first().map(String::as_str).unwrap_or_default();
    let message = escape_control(first.strip_prefix("error: ").unwrap_or(first));
    format!("outcome={}\n{}message={message}\n", code.name(), exit_code(code))
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    fn summary(report: &Report, lines: &[String]) -> String {
        super::summary(&ReportView::new(report, &report.entries()), lines)
    }

    fn annotations(report: &Report, code: ExitCode) -> String {
        super::annotations(&ReportView::new(report, &report.entries()), code)
    }

    #[test]
    fn a_good_run_is_a_line_without_a_table() {
        let text = summary(&sample::complete(3), &[]);
        assert!(text.starts_with("### ") && !text.contains("| media |"), "{text}");
        assert_eq!(annotations(&sample::complete(3), ExitCode::COMPLETE), "");
    }

    #[test]
    fn what_failed_comes_with_what_to_do_and_the_rest_as_a_number() {
        let text =
            summary(&sample::failing(120), &["to carry on:".to_owned(), "  vod-refresh resume".to_owned()]);
        assert_eq!(text.matches("| failed |").count(), MOST_ROWS);
        assert!(text.contains("and 70 more") && text.contains("vod-refresh resume"), "{text}");
        assert_eq!(
            annotations(&sample::failing(120), ExitCode::FAILED).lines().count(),
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
        for line in annotations(&report, ExitCode::PARTIAL).lines() {
            assert!(line.starts_with("::error title=") && line.matches("::").count() >= 2, "{line}");
        }
        let file = Path::new("/tmp/a\nb=c.json");
        assert_eq!(outputs(&report, ExitCode::PARTIAL, Some(file)).lines().count(), 8);
    }

    #[test]
    fn a_run_that_did_not_go_well_is_annotated_as_a_whole() {
        let report = sample::mixed(15);
        let text = annotations(&report, ExitCode::timeout(8));
        assert!(text.starts_with("::error title=vod-refresh%3A timeout::refresh timeout: "), "{text}");
        // A deadline that is no failure breaks no step.
        assert!(annotations(&report, ExitCode::timeout(0)).starts_with("::warning title=vod-refresh"));
        let text = annotations(&sample::refused(), ExitCode::REFUSED);
        assert!(
            text.starts_with("::error title=vod-refresh%3A refused::Forbidden.RAM: no permission; "),
            "{text}"
        );
    }

    #[test]
    fn a_run_that_came_to_nothing_says_why_in_every_place() {
        let lines = ["error: <b>no\nkey</b>", "::stop-commands::x", "  hint: set %1"].map(str::to_owned);
        let text = annotation_of_failure(ExitCode::CONFIG, &lines);
        assert_eq!(
            text,
            "::error title=vod-refresh%3A config::error: <b>no\\nkey</b>%0A::stop-commands::x%0A  hint: set %251\n"
        );
        let outputs = outputs_of_failure(ExitCode::CONFIG, &lines);
        assert_eq!(outputs, "outcome=config\nexit-code=3\nmessage=<b>no\\nkey</b>\n");
        let summary = summary_of_failure(ExitCode::CONFIG, &vec![lines[0].clone(); 30]);
        assert!(summary.contains("and 10 lines more") && !summary.contains("<b>"), "{summary}");
    }

    #[test]
    fn a_command_ends_where_we_end_it() {
        assert_eq!(property("a:b,c%d\ne"), "a%3Ab%2Cc%25d\\ne");
    }
}
