//! The one loop of a run: hand out what is due, wait for what comes, write it down, apply it.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::calls::HISTORY;
use super::state::{Driver, End, Wake};
use crate::error::Result;
use crate::event::{Delivery, Mail, Subscription};
use crate::model::{Fact, Moment, Order, Report};
use crate::run::ledger::{Room, Work};
use crate::run::observer::Notice;

/// The last looks fall on the deadline; their answers may take so long.
const LAST_LOOK: Duration = Duration::from_secs(1);
/// Calls of each kind that may be in flight at once. The pace of the client is the real limit.
const ROOM: Room = Room { submit: 8, look_up: 8, look: 16 };

impl Driver<'_> {
    pub(super) async fn run(mut self) -> Result<Report> {
        let jobs = match &self.record.order {
            Order::Refresh(_) => 0,
            Order::Wait(request) => request.jobs.len(),
        };
        if !self.once {
            self.tell(&Notice::Started {
                run_id: self.record.run.clone(),
                task_type: self.ledger.task_type(),
                media: self.ledger.progress().media,
                batches: u64::from(self.ledger.open_batches()),
                jobs: jobs as u64,
            });
        }
        if self.age >= HISTORY {
            let message = format!(
                "this run began {} hours ago; the service keeps its history for {} days, so what ended before may not be found",
                self.age.as_secs() / 3_600,
                HISTORY.as_secs() / 86_400
            );
            self.tell(&Notice::Warning { message });
        }
        if let Some(message) = self.warning.take() {
            self.tell(&Notice::Warning { message });
        }
        let end = self.drive().await;
        let end = self.wind_down(end).await;
        Ok(self.report(end).await)
    }

    /// Runs until there is nothing left to do or nothing more can be done.
    async fn drive(&mut self) -> End {
        loop {
            self.hand_out().await;
            self.tell_all();
            if let Some(end) = self.ended() {
                return end;
            }
            let at = self.wake_at();
            let wake = tokio::select! {
                biased;
                () = self.stop.cancelled() => Wake::Stopped,
                Some(done) = self.calls.join_next() => Wake::Done(done),
                Some(mail) = next_mail(&mut self.events) => Wake::Mail(mail),
                Some(notice) = self.notices.recv() => Wake::Notice(notice),
                () = sleep_until(at) => Wake::Time,
            };
            if matches!(wake, Wake::Stopped) {
                return End::Stopped;
            }
            self.take_in(wake).await;
        }
    }

    /// Takes in what woke the loop and what else is there by now: what came together is written down together.
    pub(super) async fn take_in(&mut self, wake: Wake) {
        let (mut facts, mut mail, mut deliveries) = (Vec::new(), Vec::new(), Vec::new());
        match wake {
            Wake::Done(done) => self.done(done, &mut facts),
            Wake::Mail(first) => mail.push(first),
            Wake::Notice(notice) => self.tell(&notice),
            Wake::Stopped | Wake::Time => return,
        }
        while let Some(done) = self.calls.try_join_next() {
            self.done(done, &mut facts);
        }
        while let Some(next) = self.events.as_mut().and_then(|events| events.mail.try_recv().ok()) {
            mail.push(next);
        }
        for mail in mail {
            match mail {
                Mail::Event(delivery) => {
                    let mut event = delivery.event.clone();
                    // A service that repeats a request in its text may do so in an event as well.
                    event.row.iter_mut().for_each(|row| row.hide(|text| self.client.hidden(text)));
                    facts.push(Fact::Event(Box::new(event)));
                    deliveries.push(*delivery);
                }
                Mail::Warning(message) => self.tell(&Notice::Warning { message }),
            }
        }
        self.note(facts).await;
        for Delivery { event, recorded } in deliveries {
            // Asked after it was applied: only then is it known whose it is. The receiver may have stopped waiting; the
            // event counts all the same.
            let _ = recorded.send(self.ledger.claim(&event));
        }
    }

    /// Writes facts down, then applies them; and so those that follow from them.
    pub(super) async fn note(&mut self, mut facts: Vec<Fact>) {
        while !facts.is_empty() {
            let now = self.now();
            if let Some(lost) = self.journal.write(&self.record.run, now, &self.ledger, &facts).await {
                self.tell(&Notice::Warning { message: lost });
            }
            for fact in facts {
                self.ledger.apply(now, fact);
            }
            facts = self.ledger.take_notes();
        }
    }

    /// Takes all the work that is due and for which there is room.
    async fn hand_out(&mut self) {
        let now = self.now();
        if now >= self.deadline + LAST_LOOK || self.fatal.is_some() {
            return;
        }
        loop {
            let (mut facts, mut calls, mut room) = (Vec::new(), Vec::new(), self.room());
            while let Some(work) = self.ledger.due(now, room) {
                match work {
                    Work::Note(fact) => facts.push(fact),
                    Work::Submit { batch } => {
                        room.submit -= 1;
                        facts.push(Fact::Submitting { batch });
                        calls.push(work);
                    }
                    Work::LookUp { .. } => {
                        room.look_up -= 1;
                        calls.push(work);
                    }
                    Work::Look { .. } | Work::List { .. } => {
                        room.look -= 1;
                        calls.push(work);
                    }
                }
            }
            if facts.is_empty() && calls.is_empty() {
                return;
            }
            self.note(facts).await;
            for work in calls {
                self.begin(work);
            }
        }
    }

    fn ended(&mut self) -> Option<End> {
        let failed = self.ledger.progress().failed > 0;
        if self.ledger.is_settled() {
            return Some(End::Settled);
        }
        if let Some(error) = self.fatal.take() {
            return Some(End::Fatal(error));
        }
        let now = self.now();
        if self.once {
            let rested = self.calls.is_empty() && self.ledger.next_at(self.room()).is_none_or(|at| at > now);
            let asked = rested && !self.ledger.has_unasked();
            return (asked || now >= self.deadline + LAST_LOOK).then_some(End::Checked);
        }
        if self.options.fail_fast && failed {
            return Some(End::FailedFast);
        }
        if !self.options.wait && self.ledger.is_submitted() {
            return Some(End::Submitted);
        }
        let last_words = now < self.deadline + LAST_LOOK && !self.calls.is_empty();
        (now >= self.deadline && !last_words).then_some(End::Deadline)
    }

    /// When the loop must look again, though nothing happens before.
    fn wake_at(&mut self) -> Instant {
        let now = self.now();
        let over = if now < self.deadline { self.deadline } else { self.deadline + LAST_LOOK };
        let room = self.room();
        let due = self.ledger.next_at(room).filter(|_| now < self.deadline);
        self.anchor + due.map_or(over, |at| at.min(over)).since(Moment::after(self.age))
    }

    pub(super) fn tell_all(&mut self) {
        while let Ok(notice) = self.notices.try_recv() {
            self.tell(&notice);
        }
        for notice in self.ledger.take_notices() {
            self.tell(&notice);
        }
    }

    pub(super) fn tell(&self, notice: &Notice) {
        self.observer.notice(notice, &self.ledger.progress());
    }

    fn room(&self) -> Room {
        // From the deadline on, only last looks are worth starting; one that only asks submits nothing.
        let may_submit = !self.once && self.now() < self.deadline;
        let submit = if may_submit { ROOM.submit } else { self.in_flight.submit };
        Room {
            submit: submit - self.in_flight.submit,
            look_up: ROOM.look_up - self.in_flight.look_up,
            look: ROOM.look - self.in_flight.look,
        }
    }

    pub(super) fn now(&self) -> Moment {
        Moment::after(self.age + self.anchor.elapsed())
    }
}

/// The next event or warning; never, where there is no inbox.
async fn next_mail(events: &mut Option<Subscription>) -> Option<Mail> {
    match events {
        Some(subscription) => subscription.mail.recv().await,
        None => std::future::pending().await,
    }
}
