//! The journal: where runs are kept, and how long.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::duration;

/// Which journal.
#[derive(Debug, Args)]
#[command(next_help_heading = "Journal")]
pub(crate) struct PlaceArgs {
    /// Where runs are kept [env: VOD_REFRESH_JOURNAL]
    /// [default: $XDG_STATE_HOME/vod-refresh/journal.db, else ~/.local/state/vod-refresh/journal.db]
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
}

/// The journal of a new run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Journal")]
pub(crate) struct JournalArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Keep no journal: a run that is cut short can then not be resumed [default: keep one]
    #[arg(long, conflicts_with = "journal")]
    pub(crate) no_journal: bool,
    /// Forget runs that ended so long ago [default: 90days]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_above_zero, conflicts_with = "no_journal")]
    pub(crate) keep: Option<Duration>,
}
