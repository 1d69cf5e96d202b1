//! One run, from checked input to exit code. What can fail without the service fails before anything is submitted.

mod ending;

use std::time::Duration;

use vod_refresh::journal::StoredRun;
use vod_refresh::{
    LookupAfter, Outcome, RefreshRequest, Refresher, Report, Result as LibraryResult, RunOptions, VodClient,
    WaitRequest,
};

use self::ending::Ending;
use super::listener::{self, Ears};
use crate::args::output::{Form, OutputArgs};
use crate::args::run::RunArgs;
use crate::carry_on::{self, Way};
use crate::exit::{ExitCode, Failure};
use crate::kept::{self, Kept};
use crate::output;
use crate::printer::Printer;
use crate::progress::RunDisplay;
use crate::settings::Settings;
use crate::signals::Signals;
use crate::world::World;

/// The service forgets tasks after three days. Source: `DescribeVodRefreshTasks` of the VOD API.
const HISTORY: Duration = Duration::from_secs(3 * 24 * 3_600);

/// What is to be done.
pub(crate) enum Task {
    Media(RefreshRequest),
    Jobs(WaitRequest),
    /// Carry a stored run on.
    Stored(Box<StoredRun>),
    /// Ask about a stored run, once.
    Check(Box<StoredRun>),
}

impl Task {
    /// The run that the journal holds already.
    fn stored(&self) -> Option<&StoredRun> {
        match self {
            Self::Stored(stored) | Self::Check(stored) => Some(stored),
            Self::Media(_) | Self::Jobs(_) => None,
        }
    }

    /// What it waits for, where somebody else submitted it.
    fn awaited(&self) -> Option<&WaitRequest> {
        match self {
            Self::Jobs(request) => Some(request),
            Self::Media(_) => None,
            Self::Stored(stored) | Self::Check(stored) => carry_on::awaited(&stored.record.order),
        }
    }
}

/// How it is to be done.
pub(crate) struct Options<'a> {
    pub(crate) run: RunOptions,
    pub(crate) settings: Settings,
    pub(crate) kept: Option<Kept>,
    /// What a command that carries on must say again, since the journal does not know it.
    pub(crate) again: Vec<String>,
    pub(crate) timeout_exit_code: u8,
    pub(crate) output: &'a OutputArgs,
}

impl<'a> Options<'a> {
    /// What the command line says, for a run that need not be told anything again.
    pub(crate) fn new(args: &'a RunArgs, run: RunOptions, settings: Settings, kept: Option<Kept>) -> Self {
        let timeout_exit_code = args.waiting.timeout_exit_code;
        Self { run, settings, kept, again: Vec::new(), timeout_exit_code, output: &args.output }
    }
}

/// Does `task`, shows it, writes the report, and says how it ended.
pub(crate) async fn run(
    task: Task,
    options: Options<'_>,
    world: &World,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    check(&options, &task)?;
    output::check_files(options.output)?;
    let client = options.settings.connection.client(world).await?;
    if options.run.timeout > HISTORY {
        printer.warn("the service keeps its history for three days: a longer `--timeout` waits for nothing");
    }
    warn_of_short_life(&client, options.run.timeout, printer).await;
    let ears = match &task {
        // What it asks for is answered at once.
        Task::Check(_) => None,
        _ => listener::open(&options.settings, &client, world, printer).await?,
    };
    let signals = Signals::listen(printer, "stopping; a second signal ends at once")?;
    let display = RunDisplay::new(printer, options.output.output == Form::Ndjson)?;
    let refresher = options.refresher(client, &display, &signals, ears.as_ref());
    let is_check = matches!(task, Task::Check(_));
    let awaited = task.awaited().cloned();
    let own_timeout = task.stored().map_or(options.run.timeout, |stored| stored.record.options.timeout);
    // Asking once has a time of its own, which says nothing of how long to wait.
    let timeout = if is_check { own_timeout } else { options.run.timeout };
    let result = tokio::select! {
        result = perform(&refresher, task) => result,
        () = display.show() => unreachable!("life is shown for ever"),
    };
    display.end_live_view();
    let report = match result {
        Ok(report) => report,
        Err(why) => {
            display.finish()?;
            return Err(kept::explained(why));
        }
    };
    let code = match report.outcome {
        // It was to be shown, and it is.
        outcome if is_check && !is_about_us(outcome) => ExitCode::Complete,
        outcome => ExitCode::of_outcome(outcome, options.timeout_exit_code, signals.received()),
    };
    let ending = Ending { report: &report, code, output: options.output, world, printer };
    let code = ending.tell(&options.way(timeout, own_timeout, awaited.as_ref()), &display, &signals);
    if let Some(ears) = ears {
        close(ears, &signals).await;
    }
    Ok(code)
}

async fn perform(refresher: &Refresher, task: Task) -> LibraryResult<Report> {
    match task {
        Task::Media(request) => refresher.refresh(&request).await,
        Task::Jobs(request) => refresher.wait_for(&request).await,
        Task::Stored(stored) => refresher.resume(*stored).await,
        Task::Check(stored) => refresher.check(*stored).await,
    }
}

/// Whether an outcome tells of the asking, not of the media.
fn is_about_us(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Internal | Outcome::Config | Outcome::Refused | Outcome::Unavailable | Outcome::Interrupted
    )
}

/// What can't work together, beyond what the parser knows.
fn check(options: &Options<'_>, task: &Task) -> Result<(), Failure> {
    let no_events = !options.settings.events.any() || matches!(task, Task::Check(_));
    if options.run.lookup_after == Some(LookupAfter::Never) && no_events {
        return Err(Failure::usage(
            "`--lookup-after never` without `--callback-listen` or `--queue`: nothing could tell which tasks there are",
        ));
    }
    Ok(())
}

/// A temporary credential that can't be renewed must outlive the run.
async fn warn_of_short_life(client: &VodClient, timeout: Duration, printer: &Printer) {
    let Ok(credential) = client.credential().await else { return };
    if let Some(short) = credential.shortfall(client.service_time() + timeout) {
        printer.warn(&format!(
            "the credential from {} ends {} before `--timeout` does and can't be renewed",
            credential.source,
            crate::duration::format(Duration::from_secs(short.num_seconds().unsigned_abs()))
        ));
    }
}

impl Options<'_> {
    fn refresher(
        &self,
        client: VodClient,
        display: &RunDisplay,
        signals: &Signals,
        ears: Option<&Ears>,
    ) -> Refresher {
        let mut refresher = Refresher::new(client)
            .with_options(self.run.clone())
            .with_observer(display.clone())
            .with_stop(signals.stop());
        if let Some(ears) = ears {
            refresher = refresher.with_inbox(ears.inbox());
        }
        if let Some(kept) = &self.kept {
            refresher = refresher.with_journal(kept.journal.clone(), self.settings.to_json());
        }
        refresher
    }

    fn way<'a>(
        &'a self,
        timeout: Duration,
        own_timeout: Duration,
        awaited: Option<&'a WaitRequest>,
    ) -> Way<'a> {
        let way = Way::of(&self.settings.connection, &self.run, self.kept.as_ref());
        Way { timeout, own_timeout, awaited, again: &self.again, ..way }
    }
}

/// Frees the port, unless somebody wants the process gone.
async fn close(ears: Ears, signals: &Signals) {
    let stop = signals.stop();
    tokio::select! {
        () = ears.close() => {}
        () = stop.cancelled() => {}
    }
}
