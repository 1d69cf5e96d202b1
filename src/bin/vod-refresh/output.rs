//! The forms of a report.

mod escape;
pub(crate) mod github;
pub(crate) mod html;
pub(crate) mod json;
pub(crate) mod junit;
pub(crate) mod metrics;
mod remedy;
pub(crate) mod rows;
pub(crate) mod table;

#[cfg(test)]
mod sample;

use std::collections::HashSet;
use std::path::PathBuf;

use vod_refresh::Report;

use crate::args::output::{Form, OutputArgs};
use crate::carry_on::Next;
use crate::exit::Failure;
use crate::files;
use crate::formatting::escape_control;
use crate::printer::Printer;

/// Checks that every file that was asked for can be written, each report to one of its own.
pub(crate) fn check_files(args: &OutputArgs) -> Result<(), Failure> {
    let mut seen = HashSet::new();
    if let Some(twice) = args.files().find(|path| !seen.insert(*path)) {
        let path = escape_control(&twice.display().to_string());
        return Err(Failure::usage(format!("two reports go to the same file {path}")));
    }
    Failure::all(args.files().map(files::check))
}

/// Writes every file that was asked for; `next` carries the run on. All are tried, and each that can't be written is told.
pub(crate) fn write_files(report: &Report, next: Option<&Next>, args: &OutputArgs) -> Result<(), Failure> {
    let write = |path: &Option<PathBuf>, render: &dyn Fn(&Report) -> String| match path {
        Some(path) => files::write(path, &render(report)),
        None => Ok(()),
    };
    Failure::all([
        write(&args.report, &json::document),
        write(&args.report_html, &|report| html::render(report, next)),
        write(&args.report_junit, &junit::render),
        write(&args.metrics_file, &metrics::render),
    ])
}

/// Writes the report to stdout.
pub(crate) fn print(report: &Report, form: Form, printer: &Printer) -> Result<(), Failure> {
    let text = match form {
        Form::Text => {
            let look = table::Look { width: table::terminal_width(), colour: printer.colours_stdout() };
            table::render(report, look)
        }
        Form::Json => json::document(report),
        Form::Ndjson => json::line(report),
    };
    printer.out(&text)
}
