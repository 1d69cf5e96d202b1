//! One run, from checked input to exit code. What can fail without the service fails before anything is submitted.

use std::collections::HashSet;
use std::time::Duration;

use vod_refresh::run::ReportedError;
use vod_refresh::{
    JobId, Outcome, RefreshRequest, Refresher, Report, Result as LibraryResult, RunOptions, VodClient,
};

use super::listener::{self, Ears};
use super::not_yet;
use crate::args::WaitArgs;
use crate::args::connection::ConnectionArgs;
use crate::args::events::EventArgs;
use crate::args::media::MediaArgs;
use crate::args::output::{Form, OutputArgs};
use crate::args::waiting::WaitingArgs;
use crate::exit::{self, ExitCode, Failure};
use crate::output;
use crate::printer::Printer;
use crate::progress::Watch;
use crate::signals::Signals;
use crate::world::{World, variable};
use crate::{files, resume};

/// The service forgets tasks after three days. Source: `DescribeVodRefreshTasks` of the VOD API.
const HISTORY: Duration = Duration::from_secs(3 * 24 * 3_600);

/// What is to be done.
pub(crate) enum Task {
    Media(RefreshRequest),
    Jobs(Vec<JobId>),
}

/// The options that all runs share.
#[derive(Clone, Copy)]
pub(crate) struct Options<'a> {
    events: &'a EventArgs,
    waiting: &'a WaitingArgs,
    connection: &'a ConnectionArgs,
    output: &'a OutputArgs,
}

impl<'a> From<&'a MediaArgs> for Options<'a> {
    fn from(args: &'a MediaArgs) -> Self {
        let MediaArgs { events, waiting, connection, output, .. } = args;
        Self { events, waiting, connection, output }
    }
}

impl<'a> From<&'a WaitArgs> for Options<'a> {
    fn from(args: &'a WaitArgs) -> Self {
        let WaitArgs { events, waiting, connection, output, .. } = args;
        Self { events, waiting, connection, output }
    }
}

/// Refuses options that stand in the contract and are built later.
pub(crate) fn refuse_unbuilt(events: &EventArgs, connection: &ConnectionArgs) -> Result<(), Failure> {
    let given = [(events.queue.is_some(), "--queue"), (connection.journal.is_some(), "--journal")];
    match given.into_iter().find(|(given, _)| *given) {
        Some((_, option)) => Err(not_yet(option)),
        None => Ok(()),
    }
}

/// Does `task`, shows it, writes the report, and says how it ended.
pub(crate) async fn run(
    task: Task,
    run_options: RunOptions,
    options: Options<'_>,
    world: &World,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    check(options)?;
    let client = options.connection.client(world).await?;
    for file in options.output.files() {
        files::check(file)?;
    }
    warn_ahead(options, world, printer);
    warn_of_short_life(&client, run_options.timeout, printer).await;
    let ears = listener::open(options.events, &client, world, printer).await?;
    let signals = Signals::listen(printer, "stopping; a second signal ends at once")?;
    let watch = Watch::new(printer, options.output.output == Form::Ndjson)?;
    let mut refresher = Refresher::new(client)
        .with_options(run_options)
        .with_observer(watch.clone())
        .with_stop(signals.stop());
    if let Some(ears) = &ears {
        refresher = refresher.with_inbox(ears.inbox());
    }
    let result = tokio::select! {
        result = perform(&refresher, &task) => result,
        () = watch.show_life() => unreachable!("life is shown for ever"),
    };
    watch.rest();
    let report = match result {
        Ok(report) => report,
        Err(why) => {
            watch.finish()?;
            return Err(why.into());
        }
    };
    // Files first: a reader of stdout may have paused.
    let filed = output::write_files(&report, options.output);
    let in_a_hurry = signals.received().is_some();
    if in_a_hurry {
        conclude(&report, options, printer);
    }
    let printed = watch.finish().and_then(|()| output::print(&report, options.output.output, printer));
    if !in_a_hurry {
        conclude(&report, options, printer);
    }
    if let Some(ears) = ears {
        close(ears, &signals).await;
    }
    let code = ExitCode::of_outcome(report.outcome, options.waiting.timeout_exit_code, signals.received());
    match filed.and(printed) {
        Ok(()) => Ok(code),
        Err(failure) => {
            printer.fail(&failure.lines());
            // What happened to the media says more than a full disk.
            Ok(if code == ExitCode::Complete { failure.exit_code() } else { code })
        }
    }
}

async fn perform(refresher: &Refresher, task: &Task) -> LibraryResult<Report> {
    match task {
        Task::Media(request) => refresher.refresh(request).await,
        Task::Jobs(jobs) => refresher.wait(jobs).await,
    }
}

/// What can't work together, beyond what the parser knows.
fn check(options: Options<'_>) -> Result<(), Failure> {
    if options.waiting.never_looks_up() && options.events.callback_listen.is_none() {
        return Err(Failure::usage(
            "`--lookup-after never` without `--callback-listen`: nothing could tell which tasks there are",
        ));
    }
    let mut seen = HashSet::new();
    match options.output.files().find(|path| !seen.insert(*path)) {
        Some(twice) => Err(Failure::usage(format!(
            "two reports go to the same file {}",
            crate::words::harmless(&twice.display().to_string())
        ))),
        None => Ok(()),
    }
}

fn warn_ahead(options: Options<'_>, world: &World, printer: &Printer) {
    if options.waiting.timeout.is_some_and(|timeout| timeout > HISTORY) {
        printer.warn("the service keeps its history for three days: a longer `--timeout` waits for nothing");
    }
    if world.variable(variable::JOURNAL).is_some() {
        printer.warn(&format!("{} is set, but the journal is not in this version yet", variable::JOURNAL));
    }
}

/// A temporary credential that can't be renewed must outlive the run.
async fn warn_of_short_life(client: &VodClient, timeout: Duration, printer: &Printer) {
    let Ok(credential) = client.credential().await else { return };
    if let Some(short) = credential.shortfall(client.service_time() + timeout) {
        printer.warn(&format!(
            "the credential from {} ends {} before `--timeout` does and can't be renewed",
            credential.source,
            crate::span::written(Duration::from_secs(short.num_seconds().unsigned_abs()))
        ));
    }
}

/// What stderr says at the end.
fn conclude(report: &Report, options: Options<'_>, printer: &Printer) {
    if let Some(error) = why_ended(report) {
        printer.fail(&exit::lines_of_reported(error, report.outcome));
    }
    if options.output.output != Form::Text {
        // On stdout a table would have said it.
        printer.say(&output::table::sums(report));
    }
    let lines = resume::lines(report, options.connection, options.waiting);
    if report.outcome == Outcome::Submitted {
        lines.iter().for_each(|line| printer.say(line));
    } else {
        printer.fail(&lines);
    }
}

/// What ended the run, or kept all of its media from being submitted.
fn why_ended(report: &Report) -> Option<&ReportedError> {
    let nothing_done = matches!(
        report.outcome,
        Outcome::Internal | Outcome::Config | Outcome::Refused | Outcome::Quota | Outcome::Unavailable
    );
    let of_media = || report.media.iter().find_map(|media| media.error.as_ref());
    report.error.as_ref().or_else(|| nothing_done.then(of_media).flatten())
}

/// Frees the port, unless somebody wants the process gone.
async fn close(ears: Ears, signals: &Signals) {
    let stop = signals.stop();
    tokio::select! {
        () = ears.close() => {}
        () = stop.cancelled() => {}
    }
}
