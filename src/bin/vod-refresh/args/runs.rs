//! Options of the commands that begin, carry on or show runs.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use vod_refresh::vod::{Area, ObjectType, ResultType};
use vod_refresh::{Filters, RunOptions};

use super::shared::{Form, JournalArgs, JournalFileArgs, RunArgs};
use super::values::{list_item, one_of};
use crate::duration;

const TYPES: &[(&str, ObjectType)] = &[
    ("file", ObjectType::File),
    ("directory", ObjectType::Directory),
    ("regex", ObjectType::Regex),
    ("ignore-params", ObjectType::IgnoreParams),
];
const AREAS: &[(&str, Area)] = &[("domestic", Area::Domestic), ("overseas", Area::Overseas)];
const STREAMS: &[(&str, ResultType)] = &[("single", ResultType::Single), ("multiple", ResultType::Multiple)];

/// `refresh`.
#[derive(Debug, Args)]
pub(crate) struct RefreshArgs {
    #[command(flatten)]
    pub(crate) media: MediaArgs,
    /// Preload afterwards, in the same run and report, the media that ended complete [default: refresh only]
    #[arg(long, conflicts_with = "no_wait", help_heading = "Submission")]
    pub(crate) then_preload: bool,
}

/// `refresh` and `preload`.
#[derive(Debug, Args)]
pub(crate) struct MediaArgs {
    /// Media, by their ids
    #[arg(value_name = "MEDIA_ID", required_unless_present = "from_file")]
    pub(crate) media: Vec<String>,
    #[command(flatten)]
    pub(crate) choice: ChoiceArgs,
    #[command(flatten)]
    pub(crate) submission: SubmissionArgs,
    #[command(flatten)]
    pub(crate) lost_answers: LostAnswerArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) journal: JournalArgs,
}

/// `refresh-urls`.
#[derive(Debug, Args)]
pub(crate) struct RefreshUrlsArgs {
    /// What each URL stands for [default: a URL that ends in `/` is a directory, any other a file]
    #[arg(long = "type", value_name = "TYPE", value_parser = one_of(TYPES), help_heading = "URLs")]
    pub(crate) object_type: Option<ObjectType>,
    /// Of directories: drop everything, and not only what has changed at the origin [default: what has changed]
    #[arg(long, help_heading = "URLs")]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) common: UrlRunArgs,
}

/// `preload-urls`.
#[derive(Debug, Args)]
pub(crate) struct PreloadUrlsArgs {
    /// Prefetch to this area [default: that of the domain]
    #[arg(long, value_name = "AREA", value_parser = one_of(AREAS), help_heading = "URLs")]
    pub(crate) area: Option<Area>,
    /// Prefetch into the nodes of the second level [default: the edge]
    #[arg(long, help_heading = "URLs")]
    pub(crate) l2: bool,
    #[command(flatten)]
    pub(crate) common: UrlRunArgs,
}

/// What `refresh-urls` and `preload-urls` share. No event tells of URLs: the options about events are named nowhere, and refused
/// with a reason.
#[derive(Debug, Args)]
#[command(mut_args(|arg| match arg.get_help_heading() {
    Some("Events") => arg.hide(true),
    _ => arg,
}))]
pub(crate) struct UrlRunArgs {
    #[command(flatten)]
    pub(crate) urls: UrlArgs,
    #[command(flatten)]
    pub(crate) submission: SubmissionArgs,
    /// Never send a batch again whose outcome is unknown, although no listing shows its tasks [default: send it again]
    #[arg(long, help_heading = "Submission")]
    pub(crate) no_resubmit: bool,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) journal: JournalArgs,
}

/// URLs, and files of them.
#[derive(Debug, Args)]
#[command(next_help_heading = "URLs")]
pub(crate) struct UrlArgs {
    /// URLs, with their domain
    #[arg(value_name = "URL", required_unless_present = "from_file")]
    pub(crate) urls: Vec<String>,
    /// More URLs, from a file or from stdin (`-`), a line each; may be given again. A line that begins with `#` is a
    /// comment [default: none]
    #[arg(long, value_name = "FILE")]
    pub(crate) from_file: Vec<PathBuf>,
}

/// More media, and which URLs of them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Media")]
pub(crate) struct ChoiceArgs {
    /// More media ids, from a file or from stdin (`-`); may be given again. Lines, commas or blanks separate them, `#`
    /// starts a comment [default: none]
    #[arg(long, value_name = "FILE")]
    pub(crate) from_file: Vec<PathBuf>,
    /// Only these formats: mp4, m3u8, mp3, flv, webm, ts [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = list_item)]
    formats: Vec<String>,
    /// Only these definitions: FD, LD, SD, HD, OD, 2K, 4K, SQ, HQ, AUTO [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = list_item)]
    definitions: Vec<String>,
    /// Only these streams: video, audio [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = list_item)]
    stream_type: Vec<String>,
    /// Of each definition and format: the newest stream, or all of them [default: single]
    #[arg(long, value_name = "WHICH", value_parser = one_of(STREAMS))]
    result_type: Option<ResultType>,
    /// Also the first N (1 to 20) TS segments of each m3u8 [default: off]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=20))]
    slice_count: Option<u8>,
    /// Your own text, given back in events and in the report [default: none]
    #[arg(long, value_name = "TEXT")]
    pub(crate) extend: Option<String>,
}

impl ChoiceArgs {
    /// Which URLs of the media.
    pub(crate) fn filters(&self) -> Filters {
        let mut filters = Filters::default();
        filters.formats.clone_from(&self.formats);
        filters.definitions.clone_from(&self.definitions);
        filters.stream_types.clone_from(&self.stream_type);
        filters.result_type = self.result_type;
        filters.slice_count = self.slice_count;
        filters
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Submission")]
pub(crate) struct SubmissionArgs {
    /// Stop once every batch is submitted [default: wait]
    #[arg(long, conflicts_with = "verify_edge")]
    pub(crate) no_wait: bool,
    /// Refuse with exit 5 before submitting when the day's quota can't cover the media or URLs [default: don't ask]
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
    pub(crate) no_resubmit: bool,
    /// After a lost answer, how long to wait for an event before the batch is sent again [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub(crate) outcome_wait: Option<Duration>,
}

impl LostAnswerArgs {
    /// `options` with what was given here.
    pub(crate) fn over(&self, mut options: RunOptions) -> RunOptions {
        options.resubmit &= !self.no_resubmit;
        options.outcome_wait = self.outcome_wait.unwrap_or(options.outcome_wait);
        options
    }
}

/// `wait`: jobs by their ids.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Jobs, by their `MediaRefreshJobId`
    #[arg(value_name = "JOB_ID", required = true)]
    pub(crate) jobs: Vec<String>,
    #[command(flatten)]
    pub(crate) expected: ExpectedMediaArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) journal: JournalArgs,
}

/// What is known of the media of jobs that somebody else submitted.
#[derive(Debug, Args)]
#[command(next_help_heading = "Media")]
pub(crate) struct ExpectedMediaArgs {
    /// A media of the jobs; may be given again, or with commas. Once all of them are shown, the jobs are taken as whole.
    /// Without it a job is taken as whole when its rows have not changed for 10 s [default: unknown]
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub(crate) media: Vec<String>,
    /// More of them, from a file or from stdin (`-`); may be given again. Lines, commas or blanks separate them, `#`
    /// starts a comment [default: none]
    #[arg(long, value_name = "FILE")]
    pub(crate) media_file: Vec<PathBuf>,
    /// How many media the jobs have together; the jobs are taken as whole once that many are shown [default: as many as
    /// are named]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) expect: Option<u32>,
}

/// `resume`: a run, and the options that differ this time.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The run [default: the newest unfinished one]
    #[arg(id = "run", value_name = "RUN_ID")]
    pub(crate) run_id: Option<String>,
    #[command(flatten)]
    pub(crate) lost_answers: LostAnswerArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) journal: JournalFileArgs,
}

/// `status`: a run, and whether to ask about it.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The run [default: the newest one]
    #[arg(id = "run", value_name = "RUN_ID")]
    pub(crate) run_id: Option<String>,
    /// Ask the service once about everything that is open; nothing is submitted [default: the journal only]
    #[arg(long)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) journal: JournalFileArgs,
}

/// `runs`: which journal, and the form of the list.
#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// What goes to stdout: a table (text), an array (json), or an object a line (ndjson)
    #[arg(long, short = 'o', value_enum, value_name = "FORM", default_value_t = Form::Text, hide_possible_values = true)]
    pub(crate) output: Form,
    #[command(flatten)]
    pub(crate) journal: JournalFileArgs,
}
