//! One line of the doctor's.

use serde::Serialize;
use vod_refresh::Error;

use crate::advice::hint;
use crate::exit::ExitCode;
use crate::formatting::escape_control;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Ok,
    Warn,
    Fail,
}

/// What one check found.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    pub(super) status: Status,
    message: String,
    remedy: Option<String>,
    /// How the process ends on its account.
    #[serde(skip)]
    code: ExitCode,
}

impl Finding {
    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self::of(check, Status::Ok, message.into(), ExitCode::COMPLETE)
    }

    pub(super) fn warn(check: &'static str, message: impl Into<String>) -> Self {
        Self::of(check, Status::Warn, message.into(), ExitCode::COMPLETE)
    }

    pub(super) fn fail(check: &'static str, message: impl Into<String>, code: ExitCode) -> Self {
        Self::of(check, Status::Fail, message.into(), code)
    }

    /// A call or a source that failed, with the advice that its error has.
    pub(super) fn error(check: &'static str, error: &Error) -> Self {
        let hint = hint(error.kind(), error.code().unwrap_or_default());
        let finding = Self::fail(check, error.to_string(), ExitCode::of_kind(error.kind()));
        Self { remedy: hint.map(str::to_owned), ..finding }
    }

    /// What to do about it.
    #[must_use]
    pub(super) fn remedy(mut self, advice: impl Into<String>) -> Self {
        self.remedy = Some(advice.into());
        self
    }

    /// The same, but no reason to fail; as it is where all is `good`.
    #[must_use]
    pub(super) fn at_most_a_warning(mut self, good: bool) -> Self {
        if !good {
            (self.status, self.code) = (Status::Warn, ExitCode::COMPLETE);
        }
        self
    }

    fn of(check: &'static str, status: Status, message: String, code: ExitCode) -> Self {
        Self { check, status, message: escape_control(&message), remedy: None, code }
    }
}

/// A line each; a remedy stands below its finding.
pub(super) fn render(findings: &[Finding], colour: bool) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
    let mut text = String::new();
    for Finding { check, status, message, remedy, .. } in findings {
        let (word, number) = match status {
            Status::Ok => ("ok", "32"),
            Status::Warn => ("warn", "33"),
            Status::Fail => ("fail", "31"),
        };
        let word = format!("{word:<4}");
        let word = if colour { format!("\u{1b}[1;{number}m{word}\u{1b}[0m") } else { word };
        text.push_str(&format!("{word}  {check:<width$}  {message}\n"));
        if let Some(remedy) = remedy {
            text.push_str(&format!("      {:width$}  remedy: {remedy}\n", ""));
        }
    }
    text
}

/// The exit code: that of the first failure, since checks stand in the order of their roots.
pub(super) fn exit_code(findings: &[Finding]) -> ExitCode {
    let failed = findings.iter().find(|finding| finding.status == Status::Fail);
    failed.map_or(ExitCode::COMPLETE, |finding| finding.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_gives_the_code_and_warnings_give_none() {
        let warn = || Finding::warn("a", "x").remedy("do");
        assert_eq!(exit_code(&[warn()]), ExitCode::COMPLETE);
        let fail = |code| Finding::fail("b", "y", code);
        assert_eq!(exit_code(&[warn(), fail(ExitCode::REFUSED), fail(ExitCode::QUOTA)]), ExitCode::REFUSED);
    }

    #[test]
    fn a_finding_is_a_line_with_its_remedy_below() {
        let findings = [Finding::ok("clock", "good"), Finding::warn("quota", "low\u{1b}").remedy("wait")];
        assert_eq!(
            render(&findings, false),
            "ok    clock  good\nwarn  quota  low\\u{1b}\n             remedy: wait\n"
        );
        assert_eq!(
            serde_json::to_string(&findings[1]).unwrap(),
            r#"{"check":"quota","status":"warn","message":"low\\u{1b}","remedy":"wait"}"#
        );
    }
}
