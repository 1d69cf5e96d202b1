//! Output: the form of the result, and the files it goes to.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// A table
    Text,
    /// The report
    Json,
    /// One event a line, and the report last
    Ndjson,
}

impl Form {
    #[cfg(feature = "emulator")]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// What goes to stdout: a table, the report, or one event a line and the report last
    #[arg(long, short = 'o', value_enum, value_name = "FORM", default_value_t = Form::Text)]
    pub(crate) output: Form,
    /// Write the JSON report here too [default: off]
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Write a page to look at here [default: off]
    #[arg(long, value_name = "FILE")]
    pub(crate) report_html: Option<PathBuf>,
    /// Write the report as JUnit XML here [default: off]
    #[arg(long, value_name = "FILE")]
    pub(crate) report_junit: Option<PathBuf>,
    /// Write the sums for Prometheus here [default: off]
    #[arg(long, value_name = "FILE")]
    pub(crate) metrics_file: Option<PathBuf>,
}

impl OutputArgs {
    /// All files that will be written.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.report, &self.report_html, &self.report_junit, &self.metrics_file]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }
}
