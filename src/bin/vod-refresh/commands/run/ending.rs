//! The end of a run: its report in every form that was asked for, what stderr says, and the exit code.

use vod_refresh::{Outcome, Report};

use crate::args::output::{Form, OutputArgs};
use crate::carry_on::{self, Way};
use crate::exit::{self, ExitCode, Failure};
use crate::output;
use crate::output::github::GitHub;
use crate::printer::Printer;
use crate::progress::RunDisplay;
use crate::signals::Signals;
use crate::world::World;

/// A run that has ended, and who is told of it.
pub(super) struct Ending<'a> {
    pub(super) report: &'a Report,
    /// What the outcome asks for.
    pub(super) code: ExitCode,
    pub(super) output: &'a OutputArgs,
    pub(super) world: &'a World,
    pub(super) printer: &'a Printer,
}

impl Ending<'_> {
    /// Tells everybody; how the process ends.
    pub(super) fn tell(&self, way: &Way<'_>, display: &RunDisplay, signals: &Signals) -> ExitCode {
        let Self { report, output: args, world, printer, .. } = self;
        let next = carry_on::next(report, way);
        let lines = carry_on::lines(report, next.as_ref(), way);
        // Files first: a reader of stdout may have paused.
        let filed = output::write_files(report, next.as_ref(), args);
        let code = weighed(self.code, &filed);
        let github = GitHub::detect(world, printer);
        if let Some(github) = &github {
            let file = args.report.as_deref().filter(|_| filed.is_ok());
            github.report_run(report, code, &lines, file);
        }
        // Whoever wants it gone hears first how to carry on, for the same reason.
        let in_a_hurry = signals.received().is_some();
        if in_a_hurry {
            self.conclude(&lines);
        }
        let printed = display.finish().and_then(|()| output::print(report, args.output, printer));
        if !in_a_hurry {
            self.conclude(&lines);
        }
        let last = weighed(code, &printed);
        if let Some(github) = github.filter(|_| last != code) {
            github.correct_exit_code(last);
        }
        if let Err(failure) = Failure::all([filed, printed]) {
            printer.fail(&failure.lines());
        }
        last
    }

    /// What stderr says at the end.
    fn conclude(&self, lines: &[String]) {
        let Self { report, printer, .. } = self;
        if let Some(error) = output::report_view::error_of_run(report) {
            printer.fail(&exit::lines_of_reported(error, report.outcome));
        }
        if self.output.output != Form::Text {
            // On stdout a table would have said it.
            printer.say(&output::report_view::summary_line(report));
        }
        if matches!(report.outcome, Outcome::Submitted | Outcome::Unfinished) {
            lines.iter().for_each(|line| printer.say(line));
        } else {
            printer.fail(lines);
        }
    }
}

/// What happened to the media says more than a full disk.
fn weighed(code: ExitCode, written: &Result<(), Failure>) -> ExitCode {
    match written {
        Err(failure) if code == ExitCode::Complete => failure.exit_code(),
        _ => code,
    }
}
