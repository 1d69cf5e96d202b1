//! The forms of a report.

pub(crate) mod github;
mod html;
pub(crate) mod json;
mod junit;
mod markup;
mod metrics;
pub(crate) mod report_view;
pub(crate) mod table;
mod text;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use vod_refresh::Report;

use self::report_view::ReportView;
use crate::args::shared::{Form, OutputArgs};
use crate::exit::Failure;
use crate::files;
use crate::next_command::NextCommand;
use crate::printer::Printer;

/// Checks that every file that was asked for can be written, each report to one of its own, and none to that of the journal.
pub(crate) fn check_files(args: &OutputArgs, journal: Option<&Path>) -> Result<(), Failure> {
    let journal = journal.map(files::same_for_all_spellings);
    let mut seen = HashSet::new();
    for path in args.files() {
        let same = files::same_for_all_spellings(path);
        if journal.as_ref() == Some(&same) {
            let path = files::shown(path);
            return Err(Failure::usage(format!("{path} is the journal: no report can go there")));
        }
        if !seen.insert(same) {
            let path = files::shown(path);
            return Err(Failure::usage(format!("two reports go to the same file {path}")));
        }
    }
    Failure::all(args.files().map(files::check))
}

/// Writes every file that was asked for; `next` carries the run on. All are tried; the failure names each that could not be written.
pub(crate) fn write_files(
    report: &Report,
    next: Option<&NextCommand>,
    args: &OutputArgs,
) -> Result<(), Failure> {
    let entries = report.entries();
    let view = ReportView::new(report, &entries);
    let write = |path: &Option<PathBuf>, render: &dyn Fn(&ReportView<'_>) -> String| match path {
        Some(path) => files::write(path, &render(&view)),
        None => Ok(()),
    };
    Failure::all([
        write(&args.report, &|_| json::document(report)),
        write(&args.report_html, &|view| html::render(view, next)),
        write(&args.report_junit, &junit::render),
        write(&args.metrics_file, &metrics::render),
    ])
}

/// Writes the report to stdout.
pub(crate) fn print(report: &Report, form: Form, printer: &Printer) -> Result<(), Failure> {
    let text = match form {
        Form::Text => {
            let style = text::Style { width: table::terminal_width(), colour: printer.colours_stdout() };
            text::render(&ReportView::new(report, &report.entries()), style)
        }
        Form::Json => json::document(report),
        Form::Ndjson => json::line(report),
    };
    printer.out(&text)
}
