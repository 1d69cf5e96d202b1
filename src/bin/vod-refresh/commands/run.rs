//! One run, from checked input to exit code: the way that `refresh`, `preload`, `wait`, `resume` and `status --check` share.
//!
//! The order matters. What can fail without the service fails before anything is submitted ([`Plan::client`]); then credentials
//! are asked for ([`Plan::check_credential`]), and the quota, if that was wanted; then the run is driven; then files are written,
//! and only then stdout, whose reader may have paused ([`Ending::conclude`]). Signals are listened for before anything that may
//! wait, the journal for one.

use std::time::Duration;

use vod_refresh::run::code::CREDENTIAL_TIMEOUT;
use vod_refresh::{Error, ErrorKind, LookupAfter, Outcome, Refresher, Report, VodClient};

use super::quota;
use super::task::Task;
use crate::advice::JOURNAL_TIMEOUT;
use crate::args::shared::{Form, OutputArgs, RunArgs};
use crate::duration;
use crate::environment::Environment;
use crate::exit::{self, ExitCode, Failure, Result};
use crate::journal_handle;
use crate::next_command::ResumeContext;
use crate::output::github::GitHub;
use crate::output::{self, report_view};
use crate::progress::RunDisplay;
use crate::setup::{self, EventSources};
use crate::signals::Signals;

/// The service forgets tasks after three days. Source: `DescribeVodRefreshTasks` of the VOD API.
const HISTORY: Duration = Duration::from_secs(3 * 24 * 3_600);

/// How it is to be done.
pub(crate) struct Plan<'a> {
    pub(crate) context: ResumeContext,
    /// Whether what the quota can't cover is not begun.
    pub(crate) check_quota: bool,
    pub(crate) args: &'a RunArgs,
    pub(crate) signals: Signals,
}

/// What goes before a run may always take so long.
const LEAST_TIME_BEFORE: Duration = Duration::from_secs(5);

/// What goes before a run and may wait for others.
#[derive(Clone, Copy)]
pub(crate) enum Before {
    Journal,
    Credential,
    Quota,
}

/// Does what goes before a run, in the time that the whole run has.
pub(crate) async fn within<T, E: From<Error>>(
    limit: Duration,
    before: Before,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let limit = limit.max(LEAST_TIME_BEFORE);
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let (what, code) = match before {
            Before::Journal => ("the journal did not open", Some(JOURNAL_TIMEOUT)),
            Before::Credential => ("its credentials did not come", Some(CREDENTIAL_TIMEOUT)),
            Before::Quota => ("the quota was not told", None),
        };
        let limit = duration::format(limit);
        let why = format!("the run could not begin within {limit}: {what}; nothing was submitted");
        let error = Error::new(ErrorKind::Unavailable, why);
        Err(code.map_or(error.clone(), |code| error.with_code(code)).into())
    })
}

/// Listens for the signals that end a run.
pub(crate) fn signals(environment: &Environment) -> Result<Signals> {
    Signals::listen(&environment.printer, "stopping; a second signal ends at once")
}

/// Performs `task`, writes and prints its report, and gives the exit code.
pub(crate) async fn run(task: Task, mut plan: Plan<'_>, environment: &Environment) -> Result<ExitCode> {
    let (output, printer) = (&plan.args.output, &environment.printer);
    let is_new = matches!(task, Task::Media(_) | Task::Jobs(_) | Task::Urls(_));
    let is_check = matches!(task, Task::Check(_));
    let ResumeContext { settings, options, .. } = &plan.context;
    // A check waits for no event.
    let hears_events = !is_check && settings.events.any();
    let client = plan.client(hears_events, environment)?;
    let signals = &plan.signals;
    let stop = signals.stop();
    let allowed = async {
        within(options.timeout, Before::Credential, plan.check_credential(&client, environment)).await?;
        Ok::<_, Failure>(match plan.check_quota {
            true => within(options.timeout, Before::Quota, quota::check(&client, &task, printer)).await.err(),
            false => None,
        })
    };
    let refusal = tokio::select! {
        biased;
        () = stop.cancelled() => Some(Error::new(ErrorKind::Unavailable, "a signal came before the run began")),
        refusal = allowed => refusal?,
    };
    let sources = match hears_events && refusal.is_none() {
        true => Some(EventSources::open(settings, &client, environment).await?),
        false => None,
    };
    let display = RunDisplay::new(printer, output.output == Form::Ndjson)?;
    // A check asks the service; nodes only where it is told so now.
    let asks_edge = !is_check || plan.args.edge.verify_edge;
    let edge = if asks_edge { setup::edge_check(settings, &client, environment)? } else { None };
    let mut refresher = plan.refresher(client, sources.as_ref(), &display);
    if let Some(edge) = edge {
        refresher = refresher.with_edge_check(edge);
    }
    let perform = async {
        match refusal {
            Some(why) => task.decline(&refresher, why).await,
            None => task.perform(&refresher).await,
        }
    };
    let result = tokio::select! {
        result = perform => result,
        () = display.show() => unreachable!("life is shown for ever"),
    };
    display.end_live_view();
    let report = match result {
        Ok(report) => report,
        Err(why) => {
            display.finish()?;
            // The client has its credentials, so a new run can lack nothing but its journal.
            let of_journal = is_new && plan.context.journal.is_some() && why.kind() == ErrorKind::Config;
            return Err(if of_journal { journal_handle::unusable(why) } else { why.into() });
        }
    };

    let code = match report.outcome {
        // A check has done its work when it shows the run, whatever the outcome.
        outcome if is_check && !is_about_the_asking(outcome) => ExitCode::COMPLETE,
        outcome => ExitCode::of_outcome(outcome, plan.args.waiting.timeout_exit_code, signals.received()),
    };
    if is_check {
        // Asking once has a time of its own, which says nothing of how long to wait.
        plan.context.options.timeout = plan.context.own_timeout;
    }
    let ending = Ending { report: &report, output, environment };
    let code = ending.conclude(code, &plan.context, &display, signals);
    // What is left to do, it does unless somebody wants the process gone: free the port, and then what holds up nothing now that
    // everything is said. A later run will do it as well.
    let tidied = async {
        if let Some(sources) = sources {
            sources.close().await;
        }
        if let Some(handle) = &plan.context.journal {
            let _ = handle.journal.compact().await;
        }
    };
    tokio::select! {
        () = tidied => {}
        () = stop.cancelled() => {}
    }
    Ok(code)
}

/// Whether an outcome is about the calls of a check, not about the media.
fn is_about_the_asking(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Internal | Outcome::Config | Outcome::Refused | Outcome::Unavailable | Outcome::Interrupted
    )
}

impl Plan<'_> {
    /// Everything that can fail before anybody is asked; the client.
    fn client(&self, hears_events: bool, environment: &Environment) -> Result<VodClient> {
        let ResumeContext { settings, options, journal, .. } = &self.context;
        if options.lookup_after == Some(LookupAfter::Never) && !hears_events {
            return Err(Failure::usage(
                "`--lookup-after never` without `--callback-listen` or `--queue`: nothing could tell which tasks there are",
            ));
        }
        output::check_files(&self.args.output, journal.as_ref().and_then(|handle| handle.journal.file()))?;
        setup::client_without_credentials(&settings.connection, environment)
    }

    /// Fails without credentials, and warns of what they and the service don't last for.
    async fn check_credential(&self, client: &VodClient, environment: &Environment) -> Result<()> {
        let options = &self.context.options;
        let credential = client.credential().await?;
        if options.timeout > HISTORY {
            environment
                .printer
                .warn("the service keeps its history for three days: a longer `--timeout` waits for nothing");
        }
        // A temporary credential that can't be renewed must outlive the run.
        if let Some(short) = credential.shortfall(client.service_time() + options.timeout) {
            environment.printer.warn(&format!(
                "the credential from {} ends {} before `--timeout` does and can't be renewed",
                credential.source,
                duration::format(Duration::from_secs(short.num_seconds().unsigned_abs()))
            ));
        }
        Ok(())
    }

    fn refresher(
        &self,
        client: VodClient,
        sources: Option<&EventSources>,
        display: &RunDisplay,
    ) -> Refresher {
        let ResumeContext { settings, options, journal, .. } = &self.context;
        let mut refresher = Refresher::new(client)
            .with_options(options.clone())
            .with_observer(display.clone())
            .with_stop(self.signals.stop());
        if let Some(sources) = sources {
            refresher = refresher.with_inbox(sources.inbox.clone());
        }
        if let Some(handle) = journal {
            refresher = refresher.with_journal(handle.journal.clone(), settings.to_journal());
        }
        refresher
    }
}

/// A run that has ended, and where its result goes.
struct Ending<'a> {
    report: &'a Report,
    output: &'a OutputArgs,
    environment: &'a Environment,
}

impl Ending<'_> {
    /// Writes files, stdout and stderr. Gives back `code`, or another one if a complete run's report can't be written.
    fn conclude(
        &self,
        code: ExitCode,
        context: &ResumeContext,
        display: &RunDisplay,
        signals: &Signals,
    ) -> ExitCode {
        let Self { report, output, environment } = self;
        let printer = &environment.printer;
        let next = context.next(report);
        let lines = context.closing_lines(report, next.as_ref());
        // Files first: a reader of stdout may have paused.
        let filed = output::write_files(report, next.as_ref(), output);
        let code = weighed(code, &filed);
        let github = GitHub::detect(environment);
        if let Some(github) = &github {
            let file = output.report.as_deref().filter(|_| filed.is_ok());
            github.report_run(report, code, &lines, file);
        }
        // After a signal, stderr says first how to carry on, for the same reason.
        let in_a_hurry = signals.received().is_some();
        if in_a_hurry {
            self.say_how_it_ended(&lines);
        }
        let printed = display.finish().and_then(|()| output::print(report, output.output, printer));
        if !in_a_hurry {
            self.say_how_it_ended(&lines);
        }
        let last = weighed(code, &printed);
        if let Some(github) = github.filter(|_| last != code) {
            github.correct_exit_code(last);
        }
        if let Err(failure) = Failure::all([filed, printed]) {
            printer.fail(failure.lines());
        }
        last
    }

    /// Writes the end of a run to stderr: its error, its sums, the next command.
    fn say_how_it_ended(&self, lines: &[String]) {
        let Self { report, environment: Environment { printer, .. }, .. } = self;
        if let Some(error) = report_view::error_of_run(report) {
            printer.fail(&exit::lines_of_reported(error, report.outcome));
        }
        if self.output.output != Form::Text {
            // On stdout a table would have said it.
            printer.say(&report_view::summary_line(report));
        }
        if matches!(report.outcome, Outcome::Submitted | Outcome::Unfinished) {
            lines.iter().for_each(|line| printer.say(line));
        } else {
            printer.fail(lines);
        }
    }
}

/// The exit code after writing: an output that failed counts only where the run was complete.
fn weighed(code: ExitCode, written: &Result<()>) -> ExitCode {
    match written {
        Err(failure) if code == ExitCode::COMPLETE => failure.exit_code(),
        _ => code,
    }
}
