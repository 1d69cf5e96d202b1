//! How a run ends: calls in flight get a last chance, what stays open is written down, and the ledger becomes a report.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::report::{Entries, outcome, report};
use super::state::{Driver, End};
use crate::error::{Error, ErrorKind};
use crate::model::{Fact, Fault, Report, code};
use crate::run::ledger::Work;
use crate::run::observer::Notice;

/// Calls in flight when a run is stopped get so long.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(1_500);

impl Driver<'_> {
    /// Stops submitting, lets calls in flight end, and writes down what stays open. Their answers may have settled what
    /// had no time left, or could be followed no more.
    pub(super) async fn wind_down(&mut self, end: End) -> End {
        self.soft_stop.cancel();
        // Tasks and jobs can be queried again; a submission's answer can't.
        let is_patient = cut_short(&end).is_some() || self.in_flight.submit > 0;
        let until = Instant::now() + DRAIN_TIMEOUT;
        while is_patient && !self.calls.is_empty() {
            match timeout_at(until, self.calls.join_next()).await {
                Ok(Some(done)) => self.take_in(Some(done), None).await,
                Ok(None) | Err(_) => break,
            }
        }
        self.calls.shutdown().await;
        let unsent = std::mem::take(&mut self.held_back).into_iter().filter_map(|work| match work {
            Work::Submit { batch } => Some(Fact::Withdrawn { batch }),
            _ => None,
        });
        self.write_and_apply(unsent.collect()).await;
        if let Some(fleet) = self.fleet.as_mut().filter(|_| !self.setup.stop.is_cancelled()) {
            fleet.leave(self.ledger.estimate()).await;
        }
        let end = match end {
            End::Deadline | End::Fatal(_) if self.ledger.is_settled() => End::Settled,
            // No work goes on for which time could be up: what kept it from being submitted counts.
            End::Deadline if self.ledger.nothing_was_submitted() => {
                End::Fatal(self.call_log.first_trouble().unwrap_or_else(|| {
                    let message = "the deadline passed before anything was sent";
                    Error::new(ErrorKind::Unavailable, message).with_code(code::TIMEOUT)
                }))
            }
            end => end,
        };
        let unanswered = self.ledger.sending().len();
        if unanswered > 0 {
            let endpoint = self.setup.client.endpoint();
            self.warn_and_note(format!(
                "{endpoint} had not answered {unanswered} of the submissions when the run ended: they may have been taken"
            ));
        }
        let said = self.journal.catch_up(&self.setup.stop).await;
        self.warn(said);
        // With a journal the run can be carried on: what was not sent still will be.
        let can_go_on = self.journal.can_resume() && !self.is_forgotten && !matches!(end, End::FailedFast);
        if let Some(fault) = cut_short(&end).filter(|_| !can_go_on) {
            let mut facts = self.ledger.cut_off();
            facts.push(Fact::Halted { fault });
            self.write_and_apply(facts).await;
        }
        self.notify_all();
        end
    }

    pub(super) async fn report(mut self, end: End) -> Report {
        let entries = Entries::of(&self.ledger, self.record.started_at);
        let outcome = outcome(&self.ledger, &entries.media, &end);
        let finished_at = self.record.started_at + self.now().since_start();
        // A job of others may have media of which nothing is known yet, when all that are known have ended.
        let is_settled = self.ledger.is_settled() && !self.ledger.is_edge_due();
        let is_over = is_settled || self.is_forgotten || matches!(end, End::FailedFast);
        // Who ran out of time wants to know what took it.
        if matches!(end, End::Deadline | End::Stopped) {
            let is_not_whole = self.ledger.why_not_whole();
            for trouble in self.call_log.troubles().into_iter().chain(is_not_whole) {
                self.warn_and_note(trouble);
            }
        }
        // Where that is no error, as all is settled, it is told all the same.
        if let Some(error) = self.journal.overtaken().filter(|_| !matches!(end, End::Fatal(_))) {
            self.warn_and_note(error.message().to_owned());
        }
        let calls = self.call_log.counted();
        let said = self.journal.finish(outcome, is_over, finished_at, calls.clone(), &self.setup.stop).await;
        self.warn(said);
        self.notify(&Notice::Finished { outcome });
        let mut report = report(&self.record, &self.ledger, entries, outcome, finished_at, calls);
        if let Some(events) = &self.events {
            report.summary.events_rejected = events.inbox.rejected() - self.rejected_before;
        }
        if let End::Fatal(error) = &end {
            report.error = Some(error.into());
        }
        report.resumable = self.journal.can_resume() && !is_over;
        report.notes.extend(self.journal.close().await);
        report
    }
}

/// Why media that were not sent will not be, of an end that cuts a run short.
fn cut_short(end: &End) -> Option<Fault> {
    let (kind, code, message) = match end {
        End::Settled | End::Submitted | End::Checked => return None,
        End::Fatal(error) => return Some(error.into()),
        End::Deadline => (ErrorKind::Unavailable, code::TIMEOUT, "the deadline passed before it was sent"),
        End::Stopped => (ErrorKind::Unavailable, code::INTERRUPTED, "the run was stopped before it was sent"),
        End::FailedFast => (ErrorKind::Rejected, code::FAIL_FAST, "another media failed before it was sent"),
    };
    Some(Fault::new(kind, code, message))
}
