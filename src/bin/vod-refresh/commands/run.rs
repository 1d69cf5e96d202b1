//! One run, from checked input to exit code. What can fail without the service fails before anything is submitted.

use std::time::Duration;

use vod_refresh::journal::StoredRun;
use vod_refresh::{
    JobId, LookupAfter, Outcome, RefreshRequest, Refresher, Report, Result as LibraryResult, RunOptions,
    VodClient,
};

use super::listener::{self, Ears};
use crate::args::output::{Form, OutputArgs};
use crate::carry_on::{self, Way};
use crate::exit::{self, ExitCode, Failure};
use crate::kept::{self, Kept};
use crate::output;
use crate::output::github::GitHub;
use crate::printer::Printer;
use crate::progress::Watch;
use crate::settings::Settings;
use crate::signals::Signals;
use crate::world::World;

/// The service forgets tasks after three days. Source: `DescribeVodRefreshTasks` of the VOD API.
const HISTORY: Duration = Duration::from_secs(3 * 24 * 3_600);

/// What is to be done.
pub(crate) enum Task {
    Media(RefreshRequest),
    Jobs(Vec<JobId>),
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
    let watch = Watch::new(printer, options.output.output == Form::Ndjson)?;
    let mut refresher = Refresher::new(client)
        .with_options(options.run.clone())
        .with_observer(watch.clone())
        .with_stop(signals.stop());
    if let Some(ears) = &ears {
        refresher = refresher.with_inbox(ears.inbox());
    }
    if let Some(kept) = &options.kept {
        refresher = refresher.with_journal(kept.journal.clone(), options.settings.to_json());
    }
    let is_check = matches!(task, Task::Check(_));
    let own_timeout = task.stored().map_or(options.run.timeout, |stored| stored.record.options.timeout);
    // Asking once has a time of its own, which says nothing of how long to wait.
    let timeout = if is_check { own_timeout } else { options.run.timeout };
    let result = tokio::select! {
        result = perform(&refresher, task) => result,
        () = watch.show_life() => unreachable!("life is shown for ever"),
    };
    watch.rest();
    let report = match result {
        Ok(report) => report,
        Err(why) => {
            watch.finish()?;
            return Err(kept::explained(why));
        }
    };
    let code = match report.outcome {
        // It was to be shown, and it is.
        outcome if is_check && !is_about_us(outcome) => ExitCode::Complete,
        outcome => ExitCode::of_outcome(outcome, options.timeout_exit_code, signals.received()),
    };
    // Files first: a reader of stdout may have paused.
    let filed = output::write_files(&report, options.output);
    let lines = carry_on::lines(&report, &options.way(timeout, own_timeout));
    let code = weighed(code, &filed);
    let github = GitHub::here(world, printer);
    if let Some(github) = &github {
        let file = options.output.report.as_deref().filter(|_| filed.is_ok());
        github.tell(&report, code, &lines, file);
    }
    let in_a_hurry = signals.received().is_some();
    if in_a_hurry {
        conclude(&report, &lines, options.output.output, printer);
    }
    let printed = watch.finish().and_then(|()| output::print(&report, options.output.output, printer));
    if !in_a_hurry {
        conclude(&report, &lines, options.output.output, printer);
    }
    if let Some(ears) = ears {
        close(ears, &signals).await;
    }
    let last = weighed(code, &printed);
    if let Some(github) = github.filter(|_| last != code) {
        github.correct(last);
    }
    if let Some(failure) = Failure::all([filed, printed].into_iter().filter_map(Result::err)) {
        printer.fail(&failure.lines());
    }
    Ok(last)
}

/// What happened to the media says more than a full disk.
fn weighed(code: ExitCode, written: &Result<(), Failure>) -> ExitCode {
    match written {
        Err(failure) if code == ExitCode::Complete => failure.exit_code(),
        _ => code,
    }
}

async fn perform(refresher: &Refresher, task: Task) -> LibraryResult<Report> {
    match task {
        Task::Media(request) => refresher.refresh(&request).await,
        Task::Jobs(jobs) => refresher.wait(&jobs).await,
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
            crate::span::written(Duration::from_secs(short.num_seconds().unsigned_abs()))
        ));
    }
}

/// What stderr says at the end.
fn conclude(report: &Report, lines: &[String], form: Form, printer: &Printer) {
    if let Some(error) = output::rows::why_ended(report) {
        printer.fail(&exit::lines_of_reported(error, report.outcome));
    }
    if form != Form::Text {
        // On stdout a table would have said it.
        printer.say(&output::table::sums(report));
    }
    if matches!(report.outcome, Outcome::Submitted | Outcome::Unfinished) {
        lines.iter().for_each(|line| printer.say(line));
    } else {
        printer.fail(lines);
    }
}

impl Options<'_> {
    fn way(&self, timeout: Duration, own_timeout: Duration) -> Way<'_> {
        Way {
            connection: &self.settings.connection,
            timeout,
            own_timeout,
            poll_interval: self.run.poll_interval,
            no_lookups: self.run.lookup_after == Some(LookupAfter::Never),
            kept: self.kept.as_ref(),
            again: &self.again,
        }
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
