//! Limits: how long and how often.

use std::time::Duration;

use clap::Args;
use vod_refresh::{LookupAfter, RunOptions};

use crate::duration;
use crate::exit::ExitCode;

#[derive(Debug, Args)]
#[command(next_help_heading = "Waiting")]
pub(crate) struct WaitingArgs {
    /// Look a job up whose events have not come by then; `never` makes no lookup at all, and events alone decide
    /// [default: 15s; at once without an event source]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_lookup_after)]
    pub(crate) lookup_after: Option<LookupAfter>,
    /// First wait between two looks at a task; grows to 15s, or 60s for preload [default: 2s; 10s for preload]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_above_zero)]
    pub(crate) poll_interval: Option<Duration>,
    /// How long to wait, for the whole run; remote work goes on after it [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_above_zero)]
    pub(crate) timeout: Option<Duration>,
    /// Exit with this when the time of --timeout is over
    #[arg(long, value_name = "N", default_value_t = ExitCode::DEFAULT_TIMEOUT)]
    pub(crate) timeout_exit_code: u8,
    /// Stop waiting at the first failure [default: finish the rest]
    #[arg(long)]
    fail_fast: bool,
}

impl WaitingArgs {
    /// What was given here as words, to repeat it on another command line; the timeout is for that one to choose.
    pub(crate) fn words(&self) -> Vec<String> {
        let lookup_after = self.lookup_after.and_then(|after| match after {
            LookupAfter::Never => Some("never".to_owned()),
            LookupAfter::After(wait) => Some(duration::format(wait)),
            _ => None,
        });
        let pairs =
            [("--lookup-after", lookup_after), ("--poll-interval", self.poll_interval.map(duration::format))];
        let given = pairs.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?]));
        given.flatten().chain(self.fail_fast.then(|| "--fail-fast".to_owned())).collect()
    }

    /// `options` with what was given here.
    pub(crate) fn over(&self, mut options: RunOptions) -> RunOptions {
        options.lookup_after = self.lookup_after.or(options.lookup_after);
        options.poll_interval = self.poll_interval.or(options.poll_interval);
        options.fail_fast |= self.fail_fast;
        options.timeout = self.timeout.unwrap_or(options.timeout);
        options
    }
}
