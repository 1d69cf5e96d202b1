//! How a run ends: what stays open is written down, and the ledger becomes a report.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::start::replayed;
use super::{Driver, Wake};
use crate::error::{Error, ErrorKind};
use crate::journal::StoredRun;
use crate::run::ledger::{Fact, Fault, Ledger, sums};
use crate::run::observer::Notice;
use crate::run::report::{
    MediaReport, MediaState, Outcome, Report, ReportedError, SCHEMA, Summary, TaskReport,
};
use crate::vod::TaskStatus;

/// Calls in flight when a run is stopped get so long.
const LAST_WORDS: Duration = Duration::from_millis(1_500);
/// What is said of a run whose journal failed.
pub(super) const LOST: &str = "the journal failed in mid-run and does not know everything that was submitted";

/// How the loop ended.
pub(super) enum End {
    /// Every media has its verdict.
    Settled,
    /// Every batch is submitted, and nobody wants to wait.
    Submitted,
    /// Everything that is open was asked about once.
    Checked,
    /// The deadline passed.
    Deadline,
    /// Stopped from outside.
    Stopped,
    /// Something failed, and that was to be the end.
    FailedFast,
    /// Following up became impossible.
    Fatal(Error),
}

impl Driver<'_> {
    /// Stops submitting, lets calls in flight end, and writes down what stays open. Their answers may have settled what
    /// had no time left, or could be followed no more.
    pub(super) async fn wind_down(&mut self, end: End) -> End {
        self.soft_stop.cancel();
        // Looks and lookups can be asked again; a submission's answer can't.
        let patient =
            !matches!(end, End::Settled | End::Submitted | End::Checked) || self.in_flight.submit > 0;
        let until = Instant::now() + LAST_WORDS;
        while patient && !self.calls.is_empty() {
            match timeout_at(until, self.calls.join_next()).await {
                Ok(Some(done)) => self.take_in(Wake::Done(done)).await,
                Ok(None) | Err(_) => break,
            }
        }
        self.calls.shutdown().await;
        let end = match end {
            End::Deadline | End::Fatal(_) if self.ledger.is_settled() => End::Settled,
            end => end,
        };
        let fault = match &end {
            End::Deadline => {
                Fault::new(ErrorKind::Unavailable, "Timeout", "the deadline passed before it was sent")
            }
            End::Stopped => {
                Fault::new(ErrorKind::Unavailable, "Interrupted", "the run was stopped before it was sent")
            }
            End::FailedFast => {
                Fault::new(ErrorKind::Rejected, "FailFast", "another media failed before it was sent")
            }
            End::Fatal(error) => error.into(),
            End::Settled | End::Submitted | End::Checked => {
                self.tell_all();
                return end;
            }
        };
        // With a journal the run can be carried on: what was not sent still will be.
        if !self.diary.keeps() || matches!(end, End::FailedFast) {
            let lost = || {
                Fault::new(ErrorKind::Unavailable, "OutcomeUnknown", "the run ended before the answer came")
            };
            let unknown = |batch| Fact::OutcomeUnknown { batch, fault: lost() };
            let mut facts: Vec<Fact> = self.ledger.sending().into_iter().map(unknown).collect();
            facts.push(Fact::Halted { fault });
            self.note(facts).await;
        }
        self.tell_all();
        end
    }

    pub(super) async fn report(mut self, end: End) -> Report {
        let media = self.ledger.media_reports(self.record.started_at);
        let outcome = self.verdict(&media, &end);
        let finished_at = self.record.started_at + self.now().since_start();
        // A job of others may have media of which nothing is known yet, when all that are known have ended.
        let is_over = self.ledger.is_settled() || matches!(end, End::FailedFast);
        // Who ran out of time wants to know what took it.
        if matches!(end, End::Deadline | End::Stopped) {
            let is_not_whole = self.ledger.why_not_whole();
            for trouble in self.watch.troubles().into_iter().chain(is_not_whole) {
                self.tell(&Notice::Warning { message: trouble.clone() });
                self.diary.add_note(trouble);
            }
        }
        let calls = self.watch.counted();
        let written = self.diary.finish(&self.record.run, outcome, is_over, finished_at, calls.clone()).await;
        if let Some(lost) = written {
            self.tell(&Notice::Warning { message: lost });
        }
        self.tell(&Notice::Finished { outcome });
        let mut summary = sums(&media);
        calls.fill(&mut summary);
        count_events(&self.ledger, &mut summary);
        if let Some(events) = &self.events {
            summary.events_rejected = events.inbox.rejected() - self.rejected_before;
        }
        let error = match &end {
            End::Fatal(error) => Some(error.into()),
            _ => first_fault(&self.ledger, &media),
        };
        Report {
            schema: SCHEMA,
            run_id: self.record.run.clone(),
            task_type: self.ledger.task_type(),
            outcome,
            started_at: self.record.started_at,
            finished_at,
            extend: self.record.extend(),
            summary,
            error,
            resumable: self.diary.keeps() && !is_over,
            notes: self.diary.into_notes(),
            media,
        }
    }

    fn verdict(&self, media: &[MediaReport], end: &End) -> Outcome {
        let failed = media.iter().filter(|entry| entry.state.is_failure()).count();
        // A media with one failed URL is failed; but where any URL is done, not everything failed.
        let any_done = media.iter().any(|entry| has_done_url(&entry.tasks));
        let graded = match failed {
            0 => Outcome::Complete,
            n if n < media.len() || any_done => Outcome::Partial,
            _ => self.all_failed(media),
        };
        match end {
            End::Stopped => Outcome::Interrupted,
            End::Checked => Outcome::Unfinished,
            End::Deadline => Outcome::Timeout,
            End::Fatal(error) if failed < media.len() || media.is_empty() => lost_sight(media, error.kind()),
            End::Submitted if failed == 0 => Outcome::Submitted,
            End::Settled | End::Submitted | End::FailedFast | End::Fatal(_) => graded,
        }
    }

    /// Nothing was submitted at all: the reason decides. Else everything failed.
    fn all_failed(&self, media: &[MediaReport]) -> Outcome {
        let unsent = media.iter().all(|entry| entry.state == MediaState::NotSubmitted);
        let reason = self.ledger.submit_faults().next().filter(|_| unsent);
        reason.map_or(Outcome::Failed, |fault| Outcome::of(fault.kind))
    }
}

/// Whether all rows of any one URL are Complete. A URL may stand in several, which end differently.
fn has_done_url(tasks: &[TaskReport]) -> bool {
    let is_done = |task: &TaskReport| task.status == Some(TaskStatus::Complete);
    let undone: HashSet<_> = tasks.iter().filter(|task| !is_done(task)).map(|task| &task.url).collect();
    tasks.iter().any(|task| is_done(task) && !undone.contains(&task.url))
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

/// What a stored run looks like, without asking anybody.
pub(crate) fn view(stored: &StoredRun) -> Report {
    // Nothing is looked at, so nothing is left to chance.
    let ledger = replayed(stored, 0);
    let started_at = stored.record.started_at;
    let media = ledger.media_reports(started_at);
    let last = stored.facts.last().map_or(started_at, |(at, _)| started_at + at.since_start());
    let mut summary = sums(&media);
    stored.calls.clone().fill(&mut summary);
    count_events(&ledger, &mut summary);
    Report {
        schema: SCHEMA,
        run_id: stored.record.run.clone(),
        task_type: ledger.task_type(),
        outcome: stored.outcome.unwrap_or(Outcome::Unfinished),
        started_at,
        finished_at: last,
        extend: stored.record.extend(),
        summary,
        error: first_fault(&ledger, &media),
        notes: if stored.lost { vec![LOST.to_owned()] } else { Vec::new() },
        resumable: stored.outcome.is_none() && !stored.lost,
        media,
    }
}

fn count_events(ledger: &Ledger, summary: &mut Summary) {
    let counts = ledger.event_counts();
    summary.events_accepted = counts.accepted;
    summary.events_repeated = counts.repeated;
    summary.events_foreign = counts.foreign;
}

/// Where nothing was submitted at all, the first reason is that of the run.
fn first_fault(ledger: &Ledger, media: &[MediaReport]) -> Option<ReportedError> {
    let unsent = media.iter().all(|entry| entry.state == MediaState::NotSubmitted);
    ledger.submit_faults().next().filter(|_| unsent).map(|fault| fault.error.clone())
}
