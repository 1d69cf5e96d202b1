//! The report of a run, and its outcome.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::state::End;
use super::stored::{LOST, replayed};
use crate::edge::EdgeVerdict;
use crate::error::ErrorKind;
use crate::model::{
    Calls, MediaReport, MediaState, Outcome, Report, ReportedError, RunRecord, SCHEMA, StoredRun, Summary,
    TaskReport, UrlReport,
};
use crate::run::ledger::Ledger;
use crate::vod::TaskStatus;

impl StoredRun {
    /// What is known of the run, as a report. Nobody is asked.
    pub fn report(&self) -> Report {
        // Nothing is polled, so nothing is left to chance.
        let ledger = replayed(self, 0);
        let started_at = self.record.started_at;
        let finished_at = self.facts.last().map_or(started_at, |(at, _)| started_at + at.since_start());
        let outcome = self.outcome.unwrap_or(Outcome::Unfinished);
        let entries = Entries::of(&ledger, started_at);
        let mut report = report(&self.record, &ledger, entries, outcome, finished_at, self.calls.clone());
        report.resumable = self.outcome.is_none() && !self.lost;
        report.notes.extend(self.lost.then(|| LOST.to_owned()));
        report
    }
}

/// What a report tells of: media, or URLs.
pub(super) struct Entries {
    /// The media; in a run of URLs, each URL as one.
    pub(super) media: Vec<MediaReport>,
    pub(super) urls: Option<Vec<UrlReport>>,
}

impl Entries {
    pub(super) fn of(ledger: &Ledger, started_at: DateTime<Utc>) -> Self {
        if !ledger.is_of_urls() {
            let mut media = ledger.media_reports(started_at);
            media.iter_mut().for_each(|entry| ledger.tell_of_edge(entry));
            return Self { media, urls: None };
        }
        let mut urls = ledger.url_reports(started_at);
        urls.iter_mut().for_each(|entry| ledger.tell_of_edge_of_url(entry));
        Self { media: urls.iter().map(UrlReport::as_media).collect(), urls: Some(urls) }
    }
}

/// The report on these entries, which can't be resumed; its one note is what nodes of the CDN were not asked for.
pub(super) fn report(
    record: &RunRecord,
    ledger: &Ledger,
    entries: Entries,
    outcome: Outcome,
    finished_at: DateTime<Utc>,
    calls: Calls,
) -> Report {
    let Entries { media, urls } = entries;
    let mut summary = if urls.is_some() { Summary::of_urls(&media) } else { Summary::of(&media) };
    calls.fill(&mut summary);
    let events = ledger.event_counts();
    summary.events_accepted = events.accepted;
    summary.events_repeated = events.repeated;
    summary.events_foreign = events.foreign;
    // Where nothing was submitted at all, the first reason is that of the run.
    let fault = ledger.submit_faults().next().filter(|_| is_unsent(&media));
    Report {
        schema: SCHEMA,
        run_id: record.run.clone(),
        task_type: ledger.task_type(),
        then_preload: record.then_preload(),
        outcome,
        started_at: record.started_at,
        finished_at,
        extend: record.extend(),
        summary,
        error: fault.map(|fault| fault.error.clone()),
        resumable: false,
        notes: Vec::from_iter(ledger.edge_note()),
        media: if urls.is_some() { Vec::new() } else { media },
        urls: urls.unwrap_or_default(),
    }
}

/// The outcome of a run that ended so.
pub(super) fn outcome(ledger: &Ledger, media: &[MediaReport], end: &End) -> Outcome {
    let is_unknown =
        |entry: &MediaReport| entry.error.as_ref().is_some_and(ReportedError::is_of_unknown_outcome);
    // What may not have been sent is no success, whatever its state is called.
    let failed = media.iter().filter(|entry| entry.state.is_failure() || is_unknown(entry)).count();
    match end {
        End::Stopped => Outcome::Interrupted,
        End::Checked => Outcome::Unfinished,
        End::Deadline => Outcome::Timeout,
        End::Submitted if failed == 0 => Outcome::Submitted,
        End::Fatal(error) if failed < media.len() || media.is_empty() => lost_sight(media, error.kind()),
        End::Settled | End::Submitted | End::FailedFast | End::Fatal(_) => {
            // A media with one failed URL is failed; but where any URL is done, not everything failed.
            let any_done = || media.iter().any(|entry| has_done_url(&entry.tasks));
            match failed {
                0 => Outcome::Complete,
                n if n < media.len() || any_done() => Outcome::Partial,
                // Nothing was submitted at all: the reason decides. Else everything failed.
                _ => {
                    let reason = ledger.submit_faults().next().filter(|_| is_unsent(media));
                    reason.map_or(Outcome::Failed, |fault| Outcome::of(fault.kind))
                }
            }
        }
    }
}

fn is_unsent(media: &[MediaReport]) -> bool {
    // Where its preload was not submitted, its refresh was.
    let is_unsent = |entry: &MediaReport| {
        entry.state == MediaState::NotSubmitted
            || entry.error.as_ref().is_some_and(ReportedError::is_of_unknown_outcome)
    };
    media.iter().all(|entry| is_unsent(entry) && entry.job_id.is_none())
}

/// Whether all rows of any one URL are Complete, and no node of the CDN serves an old copy. A URL may stand in several rows,
/// which end differently.
fn has_done_url(tasks: &[TaskReport]) -> bool {
    let is_stale = |task: &TaskReport| task.edge.iter().any(|answer| answer.verdict == EdgeVerdict::Stale);
    let is_done = |task: &TaskReport| task.status == Some(TaskStatus::Complete) && !is_stale(task);
    let key = |task: &TaskReport| (task.url.clone(), task.task_type);
    let undone: HashSet<_> = tasks.iter().filter(|task| !is_done(task)).map(key).collect();
    tasks.iter().any(|task| is_done(task) && !undone.contains(&key(task)))
}

/// Following up became impossible. Outcomes which say that nothing was submitted, or that everything failed, are kept
/// for runs of which that is true: scripts submit again where they read them.
fn lost_sight(media: &[MediaReport], kind: ErrorKind) -> Outcome {
    // Jobs that are waited for were submitted by others.
    let submitted = media.iter().any(|entry| entry.submitted_at.is_some() || entry.job_id.is_some());
    match Outcome::of(kind) {
        Outcome::Config | Outcome::Quota | Outcome::Failed if submitted => Outcome::Unavailable,
        outcome => outcome,
    }
}
