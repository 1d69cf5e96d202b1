//! What every form of a report shows, read out of it once: a row for each media, and below it a row for each task.
//!
//! The text table, GitHub's summary, JUnit, the metrics and the page all draw from here, so they can't disagree on what
//! failed, why, and what to do about it.

use chrono::{DateTime, Utc};
use vod_refresh::run::{MediaReport, MediaState, Report, ReportedError, Summary, TaskReport};
use vod_refresh::vod::TaskStatus;
use vod_refresh::{EdgeVerdict, Outcome, TaskType};

use crate::advice;
use crate::formatting::{count, escape_control};

/// How a media or a task ended. The order is that in which people want to see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Failed,
    Unfinished,
    Complete,
}

/// A report with its rows.
pub(crate) struct ReportView<'a> {
    pub(super) report: &'a Report,
    pub(super) media: Vec<MediaView<'a>>,
}

/// One media.
pub(super) struct MediaView<'a> {
    pub(super) report: &'a MediaReport,
    pub(super) rank: Rank,
    pub(super) tasks: Vec<TaskView<'a>>,
    /// What the CDN says about the first URL that failed.
    pub(super) cause: Option<&'a str>,
    /// When the last task was seen ended, if all have.
    pub(super) ended_at: Option<DateTime<Utc>>,
}

/// One URL of a media.
pub(super) struct TaskView<'a> {
    pub(super) report: &'a TaskReport,
    pub(super) rank: Rank,
}

impl<'a> ReportView<'a> {
    /// Shows `entries`, which are those of the report.
    pub(crate) fn new(report: &'a Report, entries: &'a [MediaReport]) -> Self {
        Self { report, media: entries.iter().map(MediaView::new).collect() }
    }

    /// Returns `refresh`, `preload`, or `unknown` where the run waits for jobs that showed no task type.
    pub(super) fn task_type(&self) -> &'static str {
        match self.report.task_type {
            Some(TaskType::Refresh) => "refresh",
            Some(TaskType::Preload) => "preload",
            None => "unknown",
        }
    }

    /// The media that failed, or of which nobody knows whether they were submitted, in the order given.
    pub(super) fn failed(&self) -> impl Iterator<Item = &MediaView<'a>> {
        self.media.iter().filter(|media| media.rank == Rank::Failed)
    }

    /// The tasks of all media.
    pub(super) fn tasks(&self) -> impl Iterator<Item = &TaskView<'a>> {
        self.media.iter().flat_map(|media| &media.tasks)
    }
}

impl<'a> MediaView<'a> {
    pub(super) fn new(report: &'a MediaReport) -> Self {
        let is_unknown = report.error.as_ref().is_some_and(ReportedError::is_of_unknown_outcome);
        let rank = match report.state {
            // It is nothing that ends by itself: somebody has to look.
            _ if is_unknown => Rank::Failed,
            MediaState::Complete => Rank::Complete,
            MediaState::Unfinished => Rank::Unfinished,
            _ => Rank::Failed,
        };
        let tasks: Vec<TaskView<'a>> = report.tasks.iter().map(TaskView::new).collect();
        let cause = tasks
            .iter()
            .filter(|task| task.rank == Rank::Failed)
            .find_map(|task| task.report.description.as_deref());
        let all_ended = tasks.iter().all(TaskView::has_ended);
        let ended_at = report.tasks.iter().filter_map(|task| task.ended_at).max().filter(|_| all_ended);
        Self { report, rank, tasks, cause, ended_at }
    }

    /// Returns the media's id, the URL in a run of URLs, or the job id where a foreign job showed no media.
    pub(super) fn name(&self) -> &'a str {
        match (&self.report.media_id, &self.report.url, &self.report.job_id) {
            (Some(id), ..) => id.as_str(),
            (None, Some(url), _) => url,
            (None, None, Some(job)) => job.as_str(),
            (None, None, None) => "(no media known)",
        }
    }

    /// Returns its state as words.
    pub(super) fn state(&self) -> String {
        self.report.state.as_str().replace('_', " ")
    }

    /// The tasks for which it stands where it does: those that failed, or those that are unfinished.
    pub(super) fn decisive_tasks(&self) -> impl Iterator<Item = &TaskView<'a>> {
        self.tasks.iter().filter(|task| task.rank == self.rank)
    }

    /// Returns what to do about its failure.
    pub(super) fn advice(&self) -> &'static str {
        advice::for_entry(self.report.state, self.report.error.as_ref(), self.cause.unwrap_or_default())
    }

    /// Milliseconds from its submission to its acceptance.
    pub(super) fn accepted_after(&self) -> Option<i64> {
        millis_between(self.report.submitted_at, self.report.accepted_at)
    }

    /// Milliseconds from its acceptance to the end of its last task.
    pub(super) fn completed_after(&self) -> Option<i64> {
        millis_between(self.report.accepted_at, self.ended_at)
    }
}

impl<'a> TaskView<'a> {
    fn new(report: &'a TaskReport) -> Self {
        let rank = match report.status {
            Some(TaskStatus::Complete) => Rank::Complete,
            Some(TaskStatus::Failed) => Rank::Failed,
            _ => Rank::Unfinished,
        };
        Self { report, rank }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.rank != Rank::Unfinished
    }

    /// Returns what the CDN says of it, where that is a reason: beside a URL that is done, its words mean nothing.
    pub(super) fn reason(&self) -> Option<&'a str> {
        self.report.description.as_deref().filter(|_| self.rank != Rank::Complete)
    }

    /// Returns the service's word for its state.
    pub(super) fn status(&self) -> String {
        self.stage() + self.report.status.as_ref().map_or("not seen yet", TaskStatus::as_str)
    }

    /// Returns what it is for, as `preload: `, where the run did both; else nothing.
    pub(super) fn stage(&self) -> String {
        let task_type = self.report.task_type.as_ref();
        task_type.map(|kind| format!("{}: ", kind.as_str().to_lowercase())).unwrap_or_default()
    }

    /// Returns how long it took, in seconds, if it has ended and both times are known.
    ///
    /// Never negative: the CDN's clock tells the start, ours the end.
    pub(super) fn seconds(&self) -> Option<i64> {
        let (created, ended) = self.report.created_at.zip(self.report.ended_at)?;
        self.has_ended().then(|| (ended - created).num_seconds().max(0))
    }
}

fn millis_between(from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Option<i64> {
    from.zip(to).map(|(from, to)| (to - from).num_milliseconds().max(0))
}

/// Returns the error that ended the run, or kept all of its media from being submitted.
pub(crate) fn error_of_run(report: &Report) -> Option<&ReportedError> {
    let nothing_done = matches!(
        report.outcome,
        Outcome::Internal | Outcome::Config | Outcome::Refused | Outcome::Quota | Outcome::Unavailable
    );
    let of_media = || {
        let errors = report.media.iter().map(|media| &media.error);
        errors.chain(report.urls.iter().map(|url| &url.error)).find_map(Option::as_ref)
    };
    report.error.as_ref().or_else(|| nothing_done.then(of_media).flatten())
}

/// Returns what nodes of the CDN said, in one line, if they were asked.
pub(crate) fn edge_line(view: &ReportView<'_>) -> Option<String> {
    let answers = || view.tasks().flat_map(|task| &task.report.edge);
    let count_of = |verdict| (answers().filter(|answer| answer.verdict == verdict).count() as u64, verdict);
    let all =
        [EdgeVerdict::Fresh, EdgeVerdict::Stale, EdgeVerdict::Absent, EdgeVerdict::Unknown].map(count_of);
    let said: Vec<String> =
        all.iter().filter(|(n, _)| *n > 0).map(|(n, verdict)| format!("{n} {}", verdict.as_str())).collect();
    let why = answers().find(|answer| answer.verdict == EdgeVerdict::Unknown);
    let why = why.map(|answer| format!("; first unknown: {}", escape_control(&answer.reason)));
    (!said.is_empty())
        .then(|| format!("edge: {}; one node is one node{}", said.join(", "), why.unwrap_or_default()))
}

/// Returns the whole run in one line.
pub(crate) fn summary_line(report: &Report) -> String {
    let [all, complete, failed, unfinished] = report.summary.entries();
    let Summary { tasks, tasks_complete, tasks_failed, tasks_unfinished, .. } = report.summary;
    let Summary { events_accepted, events_rejected, .. } = report.summary;
    let some = |n: u64, word: &str| if n > 0 { format!(", {n} {word}") } else { String::new() };
    let mut what = report.task_type.map_or("wait".to_owned(), |kind| kind.as_str().to_lowercase());
    if report.then_preload {
        what += " and preload";
    }
    let open = if report.outcome == Outcome::Submitted { "not waited for" } else { "unfinished" };
    let of = count(all, report.noun());
    let mut line = format!("{what} {}: {complete} of {of} complete", report.outcome.as_str());
    line += &some(failed, "failed");
    line += &some(unfinished, open);
    if tasks > 0 {
        line += &format!("; {tasks_complete} of {} complete", count(tasks, "task"));
        line += &some(tasks_failed, "failed");
        line += &some(tasks_unfinished, "unfinished");
    }
    line += &format!("; {}s", (report.finished_at - report.started_at).num_seconds().max(0));
    // A run that was killed before it could write them down has no calls.
    let calls: u64 = report.summary.api_calls.values().sum();
    for (n, noun, rest) in
        [(calls, "call", ""), (events_accepted, "event", ""), (events_rejected, "event", " refused")]
    {
        if n > 0 {
            line += &format!(", {}{rest}", count(n, noun));
        }
    }
    line
}
