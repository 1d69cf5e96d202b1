//! `refresh` and `preload`: which media, and which URLs of them.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use vod_refresh::vod::ResultType;
use vod_refresh::{Filters, RunOptions};

use super::journal::JournalArgs;
use super::run::RunArgs;
use crate::duration;

#[derive(Debug, Args)]
pub(crate) struct MediaArgs {
    /// Media, by their ids
    #[arg(value_name = "MEDIA_ID", required_unless_present = "from_file")]
    pub(crate) media: Vec<String>,
    #[command(flatten)]
    pub(crate) choice: ChoiceArgs,
    #[command(flatten)]
    pub(crate) submitting: SubmittingArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) journal: JournalArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Media")]
pub(crate) struct ChoiceArgs {
    /// More media ids, from a file or from stdin (`-`); may be given again. Lines, commas or blanks separate them, `#`
    /// starts a comment [default: none]
    #[arg(long, value_name = "FILE")]
    pub(crate) from_file: Vec<PathBuf>,
    /// Only these formats: mp4, m3u8, mp3, flv, webm, ts [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = item)]
    formats: Vec<String>,
    /// Only these definitions: FD, LD, SD, HD, OD, 2K, 4K, SQ, HQ, AUTO [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = item)]
    definitions: Vec<String>,
    /// Only these streams: video, audio [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = item)]
    stream_type: Vec<String>,
    /// Of each definition and format: the newest stream, or all of them [default: single]
    #[arg(long, value_enum, value_name = "WHICH", hide_possible_values = false)]
    result_type: Option<Streams>,
    /// Also the first N (1 to 20) TS segments of each m3u8 [default: off]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=20))]
    slice_count: Option<u8>,
    /// Your own text, given back in events and in the report [default: none]
    #[arg(long, value_name = "TEXT")]
    pub(crate) extend: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Streams {
    Single,
    Multiple,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Submission")]
pub(crate) struct SubmittingArgs {
    /// Stop once every batch is submitted [default: wait]
    #[arg(long, conflicts_with_all = ["fail_fast", "lookup_after", "poll_interval"])]
    pub(crate) no_wait: bool,
    #[command(flatten)]
    pub(crate) answers: LostAnswerArgs,
    /// Refuse with exit 5 before submitting when the day's quota can't cover the media [default: don't ask]
    #[arg(long)]
    pub(crate) check_quota: bool,
    /// Print the requests that would be sent, secrets and signed values masked; no call is made [default: run]
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What to do about a batch whose answer was lost.
#[derive(Debug, Args)]
#[command(next_help_heading = "Submission")]
pub(crate) struct LostAnswerArgs {
    /// Never send a batch again whose outcome is unknown [default: send it again]
    #[arg(long)]
    no_resubmit: bool,
    /// How long an event may tell of a lost answer before its batch is sent again [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    outcome_wait: Option<Duration>,
}

impl LostAnswerArgs {
    /// The options as words, to repeat them on another command line.
    pub(crate) fn words(&self) -> Vec<String> {
        let wait = self.outcome_wait.map(|wait| ["--outcome-wait".to_owned(), duration::format(wait)]);
        let never = self.no_resubmit.then(|| "--no-resubmit".to_owned());
        wait.into_iter().flatten().chain(never).collect()
    }

    /// `options` with what was given here.
    pub(crate) fn over(&self, mut options: RunOptions) -> RunOptions {
        options.resubmit &= !self.no_resubmit;
        options.outcome_wait = self.outcome_wait.unwrap_or(options.outcome_wait);
        options
    }
}

impl ChoiceArgs {
    /// Which URLs of the media.
    pub(crate) fn filters(&self) -> Filters {
        let mut filters = Filters::default();
        filters.formats.clone_from(&self.formats);
        filters.definitions.clone_from(&self.definitions);
        filters.stream_types.clone_from(&self.stream_type);
        filters.result_type = self.result_type.map(|streams| match streams {
            Streams::Single => ResultType::Single,
            Streams::Multiple => ResultType::Multiple,
        });
        filters.slice_count = self.slice_count;
        filters
    }
}

/// One word of a comma list.
fn item(text: &str) -> Result<String, String> {
    let text = text.trim();
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        Ok(text.to_owned())
    } else {
        Err("a list is words with commas between them, as `mp4,m3u8`".to_owned())
    }
}

/// A text that is not empty: an empty one is a variable that was not set.
pub(super) fn text() -> NonEmptyStringValueParser {
    NonEmptyStringValueParser::new()
}
