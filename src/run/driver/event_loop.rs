//! The one loop of a run: hand out what is due, wait for what comes, write it down, apply it.

use std::collections::HashSet;
use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::{Instant, sleep_until};

use super::calls::HISTORY;
use super::fleet::Fleet;
use super::state::{Done, Driver, End};
use crate::error::{ErrorKind, Result};
use crate::event::{InboxMessage, SourceEnd, Subscription};
use crate::model::{Fact, LookupAfter, MediaReport, MediaState, Moment, Order, Report};
use crate::run::ledger::{Slots, Work};
use crate::run::observer::Notice;
use crate::vod::TaskType;

/// The last polls fall on the deadline; their answers may take so long.
pub(super) const LAST_POLL_TIMEOUT: Duration = Duration::from_secs(1);
/// Calls of each kind that may be in flight at once. The pace of the client is the real limit.
const SLOTS: Slots = Slots { submit: 8, query_job: 8, poll_task: 16 };

impl Driver<'_> {
    pub(super) async fn run(mut self) -> Result<Report> {
        let jobs = match &self.record.order {
            Order::Refresh(_) | Order::Urls(_) => 0,
            Order::Wait(request) => request.jobs.len(),
        };
        if !self.once {
            let count = self.ledger.progress().media;
            let (media, urls) = if self.ledger.is_of_urls() { (0, count) } else { (count, 0) };
            self.notify(&Notice::Started {
                run_id: self.record.run.clone(),
                task_type: self.ledger.task_type_now(),
                media,
                urls,
                batches: self.ledger.open_batches(),
                jobs: jobs as u64,
            });
        }
        if self.age >= HISTORY && !self.is_forgotten {
            self.warn(format!(
                "this run began {} hours ago; the service keeps its history for {} days, so what ended before may not be found",
                self.age.as_secs() / 3_600,
                HISTORY.as_secs() / 86_400
            ));
        }
        let warning = self.warning.take();
        self.warn(warning);
        if self.setup.edge.is_some() && !self.ledger.wants_edge() {
            // Written down first: however this process ends, the run is not over before nodes were asked.
            self.write_and_apply(vec![Fact::EdgeWanted]).await;
        }
        let end = self.drive().await;
        let end = self.wind_down(end).await;
        let end = self.check_edge(end).await;
        Ok(self.report(end).await)
    }

    /// Runs until there is nothing left to do or nothing more can be done.
    async fn drive(&mut self) -> End {
        if self.setup.stop.is_cancelled() {
            return End::Stopped;
        }
        loop {
            let said = self.journal.retry().await;
            self.warn(said);
            self.hand_out().await;
            self.notify_all();
            if let Some(end) = self.ended() {
                return end;
            }
            let at = self.wake_at();
            tokio::select! {
                biased;
                () = self.setup.stop.cancelled() => return End::Stopped,
                Some(done) = self.calls.join_next() => self.take_in(Some(done), None).await,
                Some(message) = next_message(&mut self.events) => self.take_in(None, Some(message)).await,
                Some(notice) = self.notices.recv() => self.notify(&notice),
                () = sleep_until(at) => {}
            }
        }
    }

    /// Takes in what woke the loop and what else is there by now: what came together is written down together.
    pub(super) async fn take_in(
        &mut self,
        done: Option<Result<Done, JoinError>>,
        message: Option<InboxMessage>,
    ) {
        let (mut facts, mut messages, mut deliveries) = (Vec::new(), Vec::from_iter(message), Vec::new());
        if let Some(done) = done {
            self.done(done, &mut facts);
        }
        while let Some(done) = self.calls.try_join_next() {
            self.done(done, &mut facts);
        }
        while let Some(next) = self.events.as_mut().and_then(|events| events.messages.try_recv().ok()) {
            messages.push(next);
        }
        let mut told_of = HashSet::new();
        for message in messages {
            match message {
                InboxMessage::Event { mut event, share, recorded } => {
                    // A service that repeats a request in its text may do so in an event as well.
                    event.row.iter_mut().for_each(|row| row.hide(|text| self.client.hidden(text)));
                    let about = (event.job.clone(), event.row.as_ref().map(|row| row.media.clone()));
                    if told_of.contains(&about) {
                        // Only after the first event about a media is it known whether the second one is news.
                        self.write_and_apply(std::mem::take(&mut facts)).await;
                        told_of.clear();
                    }
                    told_of.insert(about.clone());
                    deliveries.push((about, event.correlation.clone(), share, recorded));
                    facts.push(Fact::Event(event));
                }
                InboxMessage::Warning(message) => self.warn(message),
                InboxMessage::SourceEnded(end) => self.source_ended(end),
            }
        }
        self.write_and_apply(facts).await;
        for ((job, media), mark, _share, recorded) in deliveries {
            // Asked after it was applied: only then is it known whose it is. The receiver may have stopped waiting; the
            // event counts all the same.
            let _ = recorded.send(self.ledger.claim(job, media, mark.as_ref()));
        }
    }

    /// A source of events is lost. Where no other is left and no lookup is made, nothing can tell any more which tasks there are.
    fn source_ended(&mut self, SourceEnd { name, why, is_last }: SourceEnd) {
        let asks_nobody = self.setup.options.lookup_after == Some(LookupAfter::Never);
        if !(is_last && asks_nobody && self.needs_events()) {
            return self.warn(format!(
                "queue {name} is read no more, and the run goes on without its events: {why}"
            ));
        }
        let kind = match why.kind() {
            // Of the queue, not of any media.
            ErrorKind::Rejected | ErrorKind::NotFound => ErrorKind::Config,
            kind => kind,
        };
        let message =
            format!("queue {name} is read no more, and nothing else tells of the media: {}", why.message());
        self.fatal.get_or_insert(why.with_kind(kind).with_message(message));
    }

    /// Whether tasks are missing that only events can name.
    fn needs_events(&self) -> bool {
        let media = self.ledger.media_reports(self.record.started_at);
        let is_first_stage =
            self.record.then_preload() && self.ledger.task_type_now() == Some(TaskType::Refresh);
        let lacks_tasks = |media: &MediaReport| {
            media.state == MediaState::Unfinished && (media.tasks.is_empty() || is_first_stage)
        };
        media.is_empty() || media.iter().any(lacks_tasks)
    }

    /// Writes facts down, then applies them; and so those that follow from them.
    pub(super) async fn write_and_apply(&mut self, mut facts: Vec<Fact>) {
        while !facts.is_empty() {
            let now = self.now();
            let said = self.journal.write(now, &self.ledger, &facts).await;
            self.warn(said);
            if let Some(error) = self.journal.overtaken() {
                self.fatal.get_or_insert(error);
            }
            for fact in facts {
                self.ledger.apply(now, fact);
            }
            facts = self.ledger.take_follow_ups();
        }
    }

    /// Takes all the work that is due and for which there is room.
    async fn hand_out(&mut self) {
        let now = self.now();
        if let Some(error) = self.journal.overtaken() {
            self.fatal.get_or_insert(error);
        }
        if now >= self.deadline + LAST_POLL_TIMEOUT || self.fatal.is_some() {
            return;
        }
        if !self.journal.holds_back() && now < self.deadline {
            for work in std::mem::take(&mut self.held_back) {
                self.begin(work);
            }
        }
        let has_failed_fast = self.setup.options.fail_fast && self.ledger.progress().failed > 0;
        if self.slots().submit > 0
            && !has_failed_fast
            && let Some(fact) = self.ledger.preload_to_begin()
        {
            self.write_and_apply(vec![fact]).await;
        }
        self.look_at_others().await;
        loop {
            let (mut facts, mut calls, mut slots) = (Vec::new(), Vec::new(), self.slots());
            while let Some(work) = self.ledger.due(now, slots) {
                match work {
                    Work::Apply(fact) => {
                        facts.push(fact);
                        continue;
                    }
                    Work::Submit { batch } => {
                        slots.submit -= 1;
                        facts.push(Fact::Submitting { batch });
                    }
                    Work::FindUrls { .. } => slots.submit -= 1,
                    Work::QueryJob { .. } => slots.query_job -= 1,
                    Work::PollTask { .. } | Work::ListTasks { .. } => slots.poll_task -= 1,
                }
                calls.push(work);
            }
            if facts.is_empty() && calls.is_empty() {
                return;
            }
            self.write_and_apply(facts).await;
            if self.fatal.is_some() {
                return;
            }
            for work in calls {
                match work {
                    Work::Submit { .. } if self.journal.holds_back() => self.held_back.push(work),
                    work => self.begin(work),
                }
            }
        }
    }

    fn ended(&mut self) -> Option<End> {
        let failed = self.ledger.progress().failed > 0;
        if self.now() >= self.deadline {
            self.ledger.end_all_closing();
        }
        if self.ledger.is_settled() {
            return Some(End::Settled);
        }
        if let Some(error) = self.fatal.take() {
            return Some(End::Fatal(error));
        }
        let now = self.now();
        if self.once {
            let rested = self.calls.is_empty() && self.ledger.next_at(self.slots()).is_none_or(|at| at > now);
            let asked = rested && !self.ledger.has_unasked();
            return (asked || now >= self.deadline + LAST_POLL_TIMEOUT).then_some(End::Checked);
        }
        if self.setup.options.fail_fast && failed {
            return Some(End::FailedFast);
        }
        if !self.setup.options.wait && self.ledger.open_batches() == 0 {
            return Some(End::Submitted);
        }
        let last_words = now < self.deadline + LAST_POLL_TIMEOUT && !self.calls.is_empty();
        (now >= self.deadline && !last_words).then_some(End::Deadline)
    }

    /// When the loop must look again, though nothing happens before.
    fn wake_at(&mut self) -> Instant {
        let now = self.now();
        let over = if now < self.deadline { self.deadline } else { self.deadline + LAST_POLL_TIMEOUT };
        let slots = self.slots();
        let due = self.ledger.next_at(slots).filter(|_| now < self.deadline);
        let at = self.anchor + due.map_or(over, |at| at.min(over)).since(Moment::after(self.age));
        let waits_for_others = self.ledger.waits_for_others(now);
        let look = self.fleet.as_ref().filter(|_| waits_for_others).and_then(Fleet::next_look);
        self.journal.retry_at().into_iter().chain(look).fold(at, Instant::min)
    }

    pub(super) fn notify_all(&mut self) {
        while let Ok(notice) = self.notices.try_recv() {
            self.notify(&notice);
        }
        for notice in self.ledger.take_notices() {
            self.notify(&notice);
        }
    }

    pub(super) fn notify(&self, notice: &Notice) {
        self.setup.observer.notice(notice, &self.ledger.progress());
    }

    /// Tells what a person should know, if there is anything.
    pub(super) fn warn(&self, message: impl Into<Option<String>>) {
        if let Some(message) = message.into() {
            self.notify(&Notice::Warning { message });
        }
    }

    /// The same, and the report is to tell it as well.
    pub(super) fn warn_and_note(&mut self, message: String) {
        self.warn(message.clone());
        self.journal.add_note(message);
    }

    fn slots(&self) -> Slots {
        // From the deadline on, only last polls are worth starting; one that only asks submits nothing.
        let may_submit = !self.once && self.now() < self.deadline && !self.journal.holds_back();
        let submit = if may_submit { SLOTS.submit } else { self.in_flight.submit };
        // Runs that share a pace wait in one line: what stands in it may be known before its turn comes.
        let poll_task = (SLOTS.poll_task / (1 + self.ledger.other_runs() as usize)).max(2);
        Slots {
            submit: submit - self.in_flight.submit,
            query_job: SLOTS.query_job - self.in_flight.query_job,
            poll_task: poll_task.saturating_sub(self.in_flight.poll_task),
        }
    }

    pub(super) fn now(&self) -> Moment {
        Moment::after(self.age + self.anchor.elapsed())
    }
}

/// The next event or warning; never, where there is no inbox.
async fn next_message(events: &mut Option<Subscription>) -> Option<InboxMessage> {
    match events {
        Some(subscription) => subscription.messages.recv().await,
        None => std::future::pending().await,
    }
}
