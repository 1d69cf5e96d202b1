//! What GitHub Actions shows of a run: a summary of the step, annotations, and outputs for later steps.
//!
//! Sources: "Workflow commands for GitHub Actions" and "Adding a job summary". All of it is extra: a file that can't be
//! written is a warning and changes no exit code.

pub(super) mod text;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use vod_refresh::Report;

use crate::exit::{ExitCode, Failure};
use crate::formatting::escape_control;
use crate::printer::Printer;
use crate::world::World;

const SUMMARY: &str = "GITHUB_STEP_SUMMARY";
const OUTPUT: &str = "GITHUB_OUTPUT";

/// GitHub Actions, where it listens.
pub(crate) struct GitHub<'a> {
    world: &'a World,
    printer: &'a Printer,
}

impl<'a> GitHub<'a> {
    /// `None` where this is no step of it.
    pub(crate) fn detect(world: &'a World, printer: &'a Printer) -> Option<Self> {
        let is_here = world.variable("GITHUB_ACTIONS").as_deref() == Some("true");
        is_here.then_some(Self { world, printer })
    }

    /// Tells of a run. `code` is the exit code, `lines` say how to carry on, `file` holds the JSON report.
    pub(crate) fn report_run(&self, report: &Report, code: ExitCode, lines: &[String], file: Option<&Path>) {
        // Later steps may have another working folder.
        let file = file.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        self.append(SUMMARY, &text::summary(report, lines));
        self.append(OUTPUT, &text::outputs(report, code, file.as_deref()));
        self.printer.to_runner(&text::annotations(report, code));
    }

    /// Tells that it ends with another code than it said. The last value of an output is the one that counts.
    pub(crate) fn correct_exit_code(&self, code: ExitCode) {
        self.append(OUTPUT, &text::exit_code(code));
    }

    /// Tells of a run that came to nothing: it could not begin, or has no report.
    pub(crate) fn report_failure(&self, failure: &Failure) {
        self.ended(failure.exit_code(), &failure.lines());
    }

    /// The same for a command line that can't be understood: `told` is what the parser says.
    pub(crate) fn report_usage_error(&self, told: &str) {
        let lines: Vec<String> =
            told.lines().take_while(|line| !line.trim().is_empty()).map(str::to_owned).collect();
        self.ended(ExitCode::Usage, &lines);
    }

    fn ended(&self, code: ExitCode, lines: &[String]) {
        self.append(SUMMARY, &text::summary_of_refused(code, lines));
        self.append(OUTPUT, &text::outputs_of_refused(code, lines));
        self.printer.to_runner(&text::annotation_of_refused(code, lines));
    }

    fn append(&self, variable: &str, text: &str) {
        let Some(path) = self.world.variable(variable) else { return };
        let file = OpenOptions::new().append(true).create(true).open(&path);
        if let Err(error) = file.and_then(|mut file| file.write_all(text.as_bytes())) {
            self.printer.warn(&format!("{variable}: can't write to {}: {error}", escape_control(&path)));
        }
    }
}
