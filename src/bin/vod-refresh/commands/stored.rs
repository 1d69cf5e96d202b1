//! `resume`, `status` and `runs`: runs that the journal holds.

use std::time::Duration;

use serde::Serialize;
use vod_refresh::ids::{RunId, is_masked_address};
use vod_refresh::journal::{RunSummary, StoredRun};
use vod_refresh::net::clock::to_wire;
use vod_refresh::{LookupAfter, RunOptions, TaskType};

use super::run::{self, Plan};
use super::task::Task;
use crate::args::runs::{ResumeArgs, RunsArgs, StatusArgs};
use crate::args::shared::{Form, JournalFileArgs};
use crate::duration;
use crate::environment::Environment;
use crate::exit::{ExitCode, Failure, Result};
use crate::files::shown;
use crate::formatting::count;
use crate::journal_handle::{Access, JournalHandle};
use crate::next_command::ResumeContext;
use crate::output::{self, json, table};
use crate::settings::{Settings, arguments};
use crate::signals::Signals;

/// Most runs that are listed where the one asked for does not exist.
const MOST_NAMED: usize = 10;

/// A check that is given no time has at least this one.
const CHECK_TIMEOUT: Duration = Duration::from_secs(60);

/// `resume`: a run goes on where it was.
pub(crate) async fn resume(args: &ResumeArgs, environment: &Environment) -> Result<ExitCode> {
    let can_go_on = |run: &RunSummary| run.outcome.is_none() && !run.lost;
    let signals = run::signals(environment)?;
    let finding = find(&args.journal, args.run_id.as_deref(), Access::Write, can_go_on, environment);
    let (handle, run) = unless_stopped(&signals, finding).await?;
    let id = &run.record.run;
    if let Some(outcome) = run.outcome {
        return Err(Failure::usage(format!("run {id} has ended: {}", outcome.as_str()))
            .with_details(vec![format!("`vod-refresh status {id}` shows it")]));
    }
    let settings = Settings::stored_or_given(&run.record.settings, &args.run);
    let url = settings.events.callback_url.as_deref().filter(|url| is_masked_address(url));
    if let Some(url) = url.filter(|_| settings.events.callback_listen.is_some()) {
        return Err(Failure::config(format!(
            "the journal keeps neither password nor query of the run's callback URL {url}: give `--callback-url` again"
        )));
    }
    let mut context = ResumeContext::of_stored(&run, handle, settings);
    context.options = args.lost_answers.over(args.run.waiting.over(context.options));
    // Whoever resumes wants to see the end, also of a run that was only to submit.
    context.options.wait = true;
    context.repeated = repeated(args);
    if !is_free(&context, id).await? {
        return Err(driven_elsewhere(&context, id, can_go_on).await);
    }
    let limit = duration::format(context.options.timeout);
    environment.printer.say(&format!("carrying on run {id}, for {limit} at most"));
    let plan = Plan { context, check_quota: false, args: &args.run, signals };
    run::run(Task::Resume(Box::new(run)), plan, environment).await
}

/// Whether no other process drives the run. One that was killed a moment ago may still hold it: a second is given.
async fn is_free(context: &ResumeContext, run: &RunId) -> Result<bool> {
    let Some(handle) = &context.journal else { return Ok(true) };
    for _ in 0..20 {
        if handle.journal.lock(run).await?.is_some() {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(false)
}

/// The failure for a run that another process drives, with what can be done instead.
async fn driven_elsewhere(
    context: &ResumeContext,
    id: &RunId,
    can_go_on: impl Fn(&RunSummary) -> bool,
) -> Failure {
    let runs = match &context.journal {
        Some(handle) => handle.journal.runs().await.unwrap_or_default(),
        None => Vec::new(),
    };
    let older = runs.iter().skip_while(|run| run.run_id != *id).skip(1).find(|run| can_go_on(run));
    let mut details =
        vec![format!("wait until that has ended; `vod-refresh status {id}` shows how far it is")];
    details.extend(
        older.map(|run| format!("an older run is open as well: `vod-refresh resume {}`", run.run_id)),
    );
    Failure::config(format!("run {id} is being driven by another process")).with_details(details)
}

/// The options that this `resume` was given, for the next one, which chooses its own timeout.
fn repeated(args: &ResumeArgs) -> Vec<String> {
    let waiting = &args.run.waiting;
    let lookup_after = waiting.lookup_after.and_then(|after| match after {
        LookupAfter::Never => Some("never".to_owned()),
        LookupAfter::After(wait) => Some(duration::format(wait)),
        _ => None,
    });
    let mut repeated = arguments(&args.run.connection);
    repeated.extend(arguments(&args.run.events));
    repeated.extend(args.run.edge.arguments());
    for (name, value) in [
        ("--lookup-after", lookup_after),
        ("--poll-interval", waiting.poll_interval.map(duration::format)),
        ("--outcome-wait", args.lost_answers.outcome_wait.map(duration::format)),
    ] {
        repeated.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
    }
    let flags = [("--fail-fast", waiting.fail_fast), ("--no-resubmit", args.lost_answers.no_resubmit)];
    repeated.extend(flags.into_iter().filter(|(_, given)| *given).map(|(name, _)| name.to_owned()));
    repeated
}

/// `status`: what is known of a run, without waiting.
pub(crate) async fn status(args: &StatusArgs, environment: &Environment) -> Result<ExitCode> {
    let access = if args.check { Access::Write } else { Access::Read };
    let signals = run::signals(environment)?;
    let finding = find(&args.journal, args.run_id.as_deref(), access, |_| true, environment);
    let (handle, run) = unless_stopped(&signals, finding).await?;
    let settings = Settings::stored_or_given(&run.record.settings, &args.run);
    let is_free = match args.check && run.outcome.is_none() {
        true => handle.journal.lock(&run.record.run).await?.is_some(),
        false => false,
    };
    let mut context = ResumeContext::of_stored(&run, handle, settings);
    let (output, printer) = (&args.run.output, &environment.printer);
    if is_free {
        context.options = for_one_question(args.run.waiting.over(context.options));
        if args.run.waiting.timeout.is_none() {
            // The run may have had less time than it takes to find that the service does not answer.
            context.options.timeout = context.options.timeout.max(CHECK_TIMEOUT);
        }
        context.repeated = [arguments(&args.run.connection), context.settings.edge.not_kept()].concat();
        let plan = Plan { context, check_quota: false, args: &args.run, signals };
        return run::run(Task::Check(Box::new(run)), plan, environment).await;
    }
    if args.check && run.outcome.is_none() {
        printer.say("another process is driving this run: what it wrote down is as fresh as can be");
    }
    output::check_files(output, context.journal.as_ref().and_then(|handle| handle.journal.file()))?;
    let report = run.report();
    let next = context.next(&report);
    let filed = output::write_files(&report, next.as_ref(), output);
    let printed = output::print(&report, output.output, printer);
    report.notes.iter().for_each(|note| printer.warn(note));
    context.closing_lines(&report, next.as_ref()).iter().for_each(|line| printer.say(line));
    Failure::all([filed, printed]).map(|()| ExitCode::COMPLETE)
}

/// What is `found`, or the end that a signal asks for before: then there is no run yet to report on.
async fn unless_stopped<T>(signals: &Signals, found: impl Future<Output = Result<T>>) -> Result<T> {
    let stop = signals.stop();
    tokio::select! {
        biased;
        () = stop.cancelled() => {
            let code = signals.received().unwrap_or(ExitCode::INTERRUPTED);
            Err(Failure::stopped(code, "a signal came while the journal was opened; nothing was begun"))
        }
        found = found => found,
    }
}

/// The run's options, for asking once about everything.
fn for_one_question(mut options: RunOptions) -> RunOptions {
    options.fail_fast = false;
    options.wait = true;
    // The run may have waited for events alone; a check listens for none, so it needs lookups.
    options.lookup_after = options.lookup_after.filter(|after| *after != LookupAfter::Never);
    options
}

/// `runs`: the runs in the journal, newest first.
pub(crate) async fn list(args: &RunsArgs, environment: &Environment) -> Result<ExitCode> {
    let (runs, path) = match JournalHandle::existing(&args.journal, Access::Read, environment).await? {
        Ok(handle) => (handle.journal.runs().await?, handle.journal.place().to_owned().into()),
        Err(path) => (Vec::new(), path),
    };
    if runs.is_empty() {
        environment.printer.say(&format!("no runs in the journal {}", shown(&path)));
    }
    let rows = runs.iter().map(Row::from);
    environment.printer.out(&match args.output {
        Form::Text if runs.is_empty() => String::new(),
        Form::Text => table::plain(["RUN", "TASK", "OUTCOME", "STARTED", "MEDIA"], rows.map(Row::columns)),
        Form::Json => json::document(&rows.collect::<Vec<_>>()),
        Form::Ndjson => rows.map(|row| json::line(&row)).collect(),
    })?;
    Ok(ExitCode::COMPLETE)
}

/// A run in the list, as scripts read it.
#[derive(Serialize)]
struct Row<'a> {
    run_id: &'a RunId,
    task_type: Option<TaskType>,
    outcome: &'static str,
    started_at: String,
    media: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    urls: Option<u64>,
}

impl<'a> From<&'a RunSummary> for Row<'a> {
    fn from(run: &'a RunSummary) -> Self {
        let outcome = run.outcome.map_or("unfinished", |outcome| outcome.as_str());
        let started_at = to_wire(run.started_at);
        let RunSummary { run_id, task_type, media, urls, .. } = run;
        Self { run_id, task_type: *task_type, outcome, started_at, media: *media, urls: *urls }
    }
}

impl Row<'_> {
    /// The same for people.
    fn columns(self) -> [String; 5] {
        let task = self.task_type.map_or_else(|| "wait".to_owned(), |task| task.as_str().to_lowercase());
        let of = self.urls.map_or_else(|| self.media.to_string(), |urls| count(urls, "URL"));
        [self.run_id.to_string(), task, self.outcome.to_owned(), self.started_at, of]
    }
}

/// Finds the run `id`, else the newest one that will do, and opens the journal that holds it.
async fn find(
    args: &JournalFileArgs,
    id: Option<&str>,
    access: Access,
    will_do: impl Fn(&RunSummary) -> bool,
    environment: &Environment,
) -> Result<(JournalHandle, StoredRun)> {
    let id = id.map(RunId::new).transpose().map_err(|why| Failure::usage(format!("no run id: {why}")))?;
    let handle = JournalHandle::existing(args, access, environment)
        .await?
        .map_err(|path| Failure::usage(format!("there is no journal at {}", shown(&path))))?;
    let runs = handle.journal.runs().await?;
    let newest = || runs.iter().find(|run| will_do(run)).map(|run| run.run_id.clone());
    let found = match id.clone().or_else(newest) {
        Some(id) => handle.journal.load(Some(id)).await?,
        None => None,
    };
    match found {
        Some(stored) => Ok((handle, stored)),
        None => Err(absent(id, &runs, &handle)),
    }
}

/// The failure for a run that the journal does not hold, with the runs that it does hold.
fn absent(id: Option<RunId>, runs: &[RunSummary], handle: &JournalHandle) -> Failure {
    let path = shown(handle.journal.place().as_ref());
    let message = match id {
        Some(id) => format!("there is no run {id} in the journal {path}"),
        None if runs.is_empty() => format!("there is no run in the journal {path}"),
        None => format!("there is no run to carry on in the journal {path}"),
    };
    let mut details: Vec<String> = runs.iter().take(MOST_NAMED).map(line).collect();
    if runs.len() > MOST_NAMED {
        details.push(format!("and {} older ones: `vod-refresh runs` lists them", runs.len() - MOST_NAMED));
    }
    Failure::usage(message).with_details(details)
}

/// A run as one line for people.
fn line(run: &RunSummary) -> String {
    let [id, task, outcome, started, _] = Row::from(run).columns();
    let of = run.urls.map_or_else(|| count(run.media, "media"), |urls| count(urls, "URL"));
    let lost = if run.lost { ", not to be carried on: the journal failed in mid-run" } else { "" };
    format!("{id}  {task}, {outcome}, begun {started}, {of}{lost}")
}
