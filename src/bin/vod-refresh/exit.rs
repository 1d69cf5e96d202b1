//! Exit codes, error texts and hints: what a script reads, and what a person reads.

use std::error::Error as StdError;

use vod_refresh::run::ReportedError;
use vod_refresh::{Error, ErrorKind, Outcome};

use crate::advice::{MEND_SOURCE, RAISE_FILE_LIMIT, hint};
use crate::formatting::escape_control;

/// A result of the command line.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// How the process ends: number and name are a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExitCode(u8, &'static str);

impl ExitCode {
    pub(crate) const COMPLETE: Self = Self(0, "complete");
    pub(crate) const INTERNAL: Self = Self(1, "internal");
    pub(crate) const USAGE: Self = Self(2, "usage");
    pub(crate) const CONFIG: Self = Self(3, "config");
    pub(crate) const REFUSED: Self = Self(4, "refused");
    pub(crate) const QUOTA: Self = Self(5, "quota");
    pub(crate) const FAILED: Self = Self(6, "failed");
    pub(crate) const PARTIAL: Self = Self(7, "partial");
    pub(crate) const UNAVAILABLE: Self = Self(9, "unavailable");
    /// By SIGINT.
    pub(crate) const INTERRUPTED: Self = Self(130, "interrupted");
    /// By SIGTERM.
    pub(crate) const TERMINATED: Self = Self(143, "interrupted");

    /// The number that the contract gives a timeout.
    pub(crate) const DEFAULT_TIMEOUT: u8 = 8;

    /// The deadline passed; the user may have chosen the number.
    pub(crate) const fn timeout(number: u8) -> Self {
        Self(number, "timeout")
    }

    pub(crate) fn number(self) -> u8 {
        self.0
    }

    pub(crate) fn name(self) -> &'static str {
        self.1
    }

    /// The end of a run; `timeout` is the number for its deadline, `signal` the end that a signal asks for.
    pub(crate) fn of_outcome(outcome: Outcome, timeout: u8, signal: Option<Self>) -> Self {
        match outcome {
            Outcome::Complete | Outcome::Submitted => Self::COMPLETE,
            Outcome::Config => Self::CONFIG,
            Outcome::Refused => Self::REFUSED,
            Outcome::Quota => Self::QUOTA,
            Outcome::Failed => Self::FAILED,
            Outcome::Partial => Self::PARTIAL,
            Outcome::Timeout => Self::timeout(timeout),
            Outcome::Unavailable => Self::UNAVAILABLE,
            Outcome::Interrupted => signal.unwrap_or(Self::INTERRUPTED),
            // `Outcome` may grow; one that is not known here is a fault of the tool.
            _ => Self::INTERNAL,
        }
    }

    /// The end of a command that came to no report.
    pub(crate) fn of_kind(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Usage => Self::USAGE,
            // None of these is a deadline or a signal.
            kind => Self::of_outcome(Outcome::of(kind), Self::DEFAULT_TIMEOUT, None),
        }
    }
}

/// Why a command came to no result: the exit code, and what to say.
#[derive(Debug)]
pub(crate) struct Failure {
    code: ExitCode,
    lines: Vec<String>,
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Usage, message).into()
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Config, message).into()
    }

    /// A signal came before there was a run.
    pub(crate) fn stopped(code: ExitCode, message: &str) -> Self {
        Self { code, lines: vec![format!("error: {message}")] }
    }

    /// A result could not be written. The hints are about the service, so none of them fits.
    pub(crate) fn output(what: &str, why: std::io::Error) -> Self {
        let error = Error::new(ErrorKind::Internal, format!("cannot write {what}")).with_source(why);
        Self { code: ExitCode::INTERNAL, lines: message_and_causes(&error) }
    }

    /// Joins all failures: the first decides the exit code, and the lines of each are kept.
    pub(crate) fn all(results: impl IntoIterator<Item = Result<(), Self>>) -> Result<(), Self> {
        let mut failures = results.into_iter().filter_map(Result::err);
        let Some(mut first) = failures.next() else { return Ok(()) };
        first.lines.extend(failures.flat_map(|failure| failure.lines));
        Err(first)
    }

    /// Adds lines below the message, each bad id for one.
    pub(crate) fn with_details(mut self, details: Vec<String>) -> Self {
        self.lines.splice(1..1, details.into_iter().map(|detail| format!("  {detail}")));
        self
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        self.code
    }

    /// The error for people: the message, its details, each cause once, a hint.
    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mut lines = message_and_causes(&error);
        let code = match ExitCode::of_kind(error.kind()) {
            ExitCode::INTERNAL if lacks_files(&lines) => ExitCode::CONFIG,
            code => code,
        };
        lines.extend(hint_line(error.kind(), error.code().unwrap_or_default(), &lines));
        Self { code, lines }
    }
}

fn message_and_causes(error: &Error) -> Vec<String> {
    let head = error.clone().with_points(Vec::new());
    let mut lines = vec![escape_control(&format!("error: {head}"))];
    lines.extend(error.points().iter().map(|point| escape_control(&format!("  {point}"))));
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = escape_control(&error.to_string());
        // Some causes repeat what stands above them.
        if !lines.iter().any(|line| line.contains(&text)) {
            lines.push(format!("  caused by: {text}"));
        }
        cause = error.source();
    }
    lines
}

/// What ended a run early, for people.
pub(crate) fn lines_of_reported(error: &ReportedError, outcome: Outcome) -> Vec<String> {
    let id = error.request_id.as_ref().map(|id| format!(" (request id {id})")).unwrap_or_default();
    let mut lines = vec![escape_control(&format!("error: {}: {}{id}", error.code, error.message))];
    let kind = match outcome {
        Outcome::Quota => ErrorKind::Quota,
        Outcome::Unavailable => ErrorKind::Unavailable,
        Outcome::Internal => ErrorKind::Internal,
        // The hint follows the error's code alone: nobody is at fault for a deadline or a signal.
        _ => ErrorKind::Rejected,
    };
    lines.extend(hint_line(kind, &error.code, &lines));
    lines
}

/// The hint below the `lines` of an error.
fn hint_line(kind: ErrorKind, code: &str, lines: &[String]) -> Option<String> {
    let is_of_source = || lines.iter().any(|line| line.contains("no new credential: "));
    let hint = match hint(kind, code) {
        _ if lacks_files(lines) => Some(RAISE_FILE_LIMIT),
        Some(_) if is_of_source() => Some(MEND_SOURCE),
        hint => hint,
    };
    hint.map(|hint| format!("  hint: {hint}"))
}

/// Whether the system gave this process no more files: EMFILE, or ENFILE for all processes together.
fn lacks_files(lines: &[String]) -> bool {
    lines.iter().any(|line| line.contains("(os error 24)") || line.contains("(os error 23)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_have_the_numbers_of_the_contract() {
        let number = |outcome| ExitCode::of_outcome(outcome, 8, None).number();
        for (outcome, code) in [
            (Outcome::Complete, 0),
            (Outcome::Submitted, 0),
            (Outcome::Internal, 1),
            (Outcome::Config, 3),
            (Outcome::Refused, 4),
            (Outcome::Quota, 5),
            (Outcome::Failed, 6),
            (Outcome::Partial, 7),
            (Outcome::Timeout, 8),
            (Outcome::Unavailable, 9),
            (Outcome::Interrupted, 130),
        ] {
            assert_eq!(number(outcome), code, "{outcome:?}");
        }
        assert_eq!(ExitCode::of_outcome(Outcome::Timeout, 0, None).number(), 0);
        let terminated = ExitCode::of_outcome(Outcome::Interrupted, 8, Some(ExitCode::TERMINATED));
        assert_eq!(terminated.number(), 143);
    }

    #[test]
    fn errors_have_the_numbers_of_the_contract() {
        for (kind, code) in [
            (ErrorKind::Internal, 1),
            (ErrorKind::Usage, 2),
            (ErrorKind::Config, 3),
            (ErrorKind::Refused, 4),
            (ErrorKind::Expired, 4),
            (ErrorKind::Clock, 4),
            (ErrorKind::Quota, 5),
            (ErrorKind::Rejected, 6),
            (ErrorKind::NotFound, 6),
            (ErrorKind::Throttled, 9),
            (ErrorKind::Busy, 9),
            (ErrorKind::Unavailable, 9),
            (ErrorKind::Garbled, 9),
        ] {
            assert_eq!(ExitCode::of_kind(kind).number(), code, "{kind:?}");
        }
    }

    #[test]
    fn an_error_is_told_with_each_cause_once_and_a_hint() {
        let cause = Error::new(ErrorKind::Unavailable, "connection\nrefused");
        let error = Error::new(ErrorKind::Unavailable, "no answer")
            .with_source(Error::new(ErrorKind::Unavailable, "no answer").with_source(cause));
        assert_eq!(
            Failure::from(error).lines(),
            [
                "error: no answer",
                r"  caused by: connection\nrefused",
                "  hint: check the network, proxy variables, `--endpoint` and `--ca-file`",
            ]
        );
    }

    #[test]
    fn no_text_for_people_ends_with_a_full_stop() {
        for line in Failure::usage("no media ids").with_details(vec!["a.txt:1: is empty".into()]).lines() {
            assert!(!line.ends_with('.'), "{line}");
        }
    }

    #[test]
    fn a_list_of_places_is_no_wall_of_text() {
        let error =
            Error::new(ErrorKind::Config, "none found").with_points(vec!["a (b; c)".into(), "d\n".into()]);
        assert_eq!(error.to_string(), "none found (a (b; c); d\n)");
        assert_eq!(Failure::from(error).lines(), ["error: none found", "  a (b; c)", "  d\\n"]);
        assert_eq!(Failure::usage("no (a; b)").lines()[0], "error: no (a; b)");
    }
    #[test]
    fn h46_a_process_that_may_open_no_more_files_is_not_at_fault() {
        for number in [23, 24] {
            let why = std::io::Error::from_raw_os_error(number);
            let failure: Failure = Error::new(ErrorKind::Internal, "no runtime").with_source(why).into();
            assert_eq!(failure.exit_code().number(), 3);
            assert!(failure.lines()[2].contains("`ulimit -n 256`"), "{:?}", failure.lines());
        }
    }

    #[test]
    fn a_deadline_is_no_fault_of_the_tool() {
        let error =
            serde_json::json!({"code": "Timeout", "message": "the deadline passed before it was sent"});
        let error: ReportedError = serde_json::from_value(error).unwrap();
        let lines = lines_of_reported(&error, Outcome::Timeout);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[1].contains("--timeout"), "{lines:?}");
    }
}
