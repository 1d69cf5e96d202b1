//! The driver: the one loop of a run.
//!
//! It takes due work from the ledger, performs it, and turns each answer into a fact. It decides nothing about media
//! or tasks; it only knows how to call, how to stop and when to give up following. Calls run side by side as tasks of
//! their own; the client keeps their pace.

mod calls;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::batch::{Batch, check_extend};
use super::ledger::{Fact, Fault, Ledger, Moment, Room, Settings, Work};
use super::observer::{Notice, Observer};
use super::report::{MediaReport, MediaState, Outcome, Report, SCHEMA, TaskReport};
use super::request::LookupAfter;
use super::{RefreshRequest, Refresher, RunOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Delivery, Inbox, Subscription};
use crate::ids::{JobId, RunId};
use crate::vod::{TaskStatus, TaskType, VodClient};
use calls::Done;
use watch::Watch;

/// Wait for an event before a job is looked up, unless told otherwise.
const LOOKUP_AFTER: Duration = Duration::from_secs(15);
/// Calls in flight when a run is stopped get so long.
const LAST_WORDS: Duration = Duration::from_millis(1_500);
/// The last looks fall on the deadline; their answers may take so long.
const LAST_LOOK: Duration = Duration::from_secs(1);
/// Calls of each kind that may be in flight at once. The pace of the client is the real limit.
const ROOM: Room = Room { submit: 8, look_up: 8, look: 16 };

/// How the loop ended.
enum End {
    /// Every media has its verdict.
    Settled,
    /// Every batch is submitted, and nobody wants to wait.
    Submitted,
    /// The deadline passed.
    Deadline,
    /// Stopped from outside.
    Stopped,
    /// Something failed, and that was to be the end.
    FailedFast,
    /// Following up became impossible.
    Fatal(Error),
}

pub(super) async fn refresh(refresher: &Refresher, request: &RefreshRequest) -> Result<Report> {
    let run = RunId::fresh();
    if request.media.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "no media id to work on"));
    }
    request.filters.check()?;
    check_extend(request, &run)?;
    let batches = Batch::split(&request.media);
    let settings = settings(refresher, run.clone(), Some(request.task_type));
    let notice = Notice::Started {
        run_id: run,
        task_type: Some(request.task_type),
        media: request.media.len() as u64,
        batches: batches.len() as u64,
        jobs: 0,
    };
    let ledger = Ledger::for_batches(settings, batches);
    Driver::start(refresher, ledger, Some(request.clone()), notice).await
}

pub(super) async fn wait(refresher: &Refresher, jobs: &[JobId]) -> Result<Report> {
    let run = RunId::fresh();
    let settings = settings(refresher, run.clone(), None);
    let ledger = Ledger::for_jobs(settings, jobs.iter().cloned());
    let notice =
        Notice::Started { run_id: run, task_type: None, media: 0, batches: 0, jobs: jobs.len() as u64 };
    Driver::start(refresher, ledger, None, notice).await
}

fn settings(refresher: &Refresher, run: RunId, task_type: Option<TaskType>) -> Settings {
    let options = &refresher.options;
    let has_events = refresher.inbox.is_some();
    let default = LookupAfter::After(if has_events { LOOKUP_AFTER } else { Duration::ZERO });
    let mut settings = Settings::new(run, task_type);
    settings.has_events = has_events;
    settings.lookup = options.lookup_after.unwrap_or(default);
    settings.poll_first = options.poll_interval.unwrap_or(settings.poll_first);
    settings.deadline = Moment::after(options.timeout);
    settings.resubmit = options.resubmit;
    settings.outcome_wait = options.outcome_wait;
    settings.seed = getrandom::u64().unwrap_or_default();
    settings
}

struct Driver<'a> {
    options: &'a RunOptions,
    observer: &'a dyn Observer,
    stop: &'a CancellationToken,
    client: VodClient,
    request: Option<Arc<RefreshRequest>>,
    run: RunId,
    ledger: Ledger,
    events: Option<Subscription>,
    rejected_before: u64,
    calls: JoinSet<Done>,
    in_flight: Room,
    /// Ends the waits of calls in flight, not the calls.
    soft_stop: CancellationToken,
    watch: Arc<Watch>,
    notices: tokio::sync::mpsc::UnboundedReceiver<Notice>,
    started_at: DateTime<Utc>,
    anchor: Instant,
    deadline: Moment,
    fatal: Option<Error>,
}

impl<'a> Driver<'a> {
    async fn start(
        refresher: &'a Refresher,
        ledger: Ledger,
        request: Option<RefreshRequest>,
        started: Notice,
    ) -> Result<Report> {
        // Without a credential nothing can be done: say so before anything else.
        refresher.client.credential().await?;
        let (watch, notices) = Watch::new();
        let soft_stop = CancellationToken::new();
        let run = match &started {
            Notice::Started { run_id, .. } => run_id.clone(),
            _ => RunId::fresh(),
        };
        let mut driver = Self {
            options: &refresher.options,
            observer: &*refresher.observer,
            stop: &refresher.stop,
            client: refresher.client.watched(soft_stop.clone(), watch.clone()),
            request: request.map(Arc::new),
            run,
            ledger,
            // Before the first submission, or an early event is lost.
            events: refresher.inbox.as_ref().map(Inbox::subscribe),
            rejected_before: refresher.inbox.as_ref().map_or(0, |inbox| inbox.counts().rejected),
            calls: JoinSet::new(),
            in_flight: Room { submit: 0, look_up: 0, look: 0 },
            soft_stop,
            watch,
            notices,
            started_at: refresher.client.local_time(),
            anchor: Instant::now(),
            deadline: Moment::after(refresher.options.timeout),
            fatal: None,
        };
        driver.tell(&started);
        let end = driver.drive().await;
        driver.wind_down(&end).await;
        Ok(driver.report(end))
    }

    /// Runs until there is nothing left to do or nothing more can be done.
    async fn drive(&mut self) -> End {
        loop {
            self.hand_out();
            self.tell_all();
            if let Some(end) = self.ended() {
                return end;
            }
            let wake = self.wake_at();
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return End::Stopped,
                Some(done) = self.calls.join_next() => self.done(done),
                Some(delivery) = next_event(&mut self.events) => self.hear(delivery),
                Some(notice) = self.notices.recv() => self.tell(&notice),
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Takes all the work that is due and for which there is room.
    fn hand_out(&mut self) {
        let now = self.now();
        if now >= self.deadline + LAST_LOOK || self.fatal.is_some() {
            return;
        }
        while let Some(work) = self.ledger.due(now, self.room()) {
            match work {
                Work::Note(fact) => self.ledger.apply(now, fact),
                work => self.begin(work),
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
        if self.options.fail_fast && failed {
            return Some(End::FailedFast);
        }
        if !self.options.wait && self.ledger.is_submitted() {
            return Some(End::Submitted);
        }
        let now = self.now();
        let last_words = now < self.deadline + LAST_LOOK && !self.calls.is_empty();
        (now >= self.deadline && !last_words).then_some(End::Deadline)
    }

    /// When the loop must look again, though nothing happens before.
    fn wake_at(&mut self) -> Instant {
        let now = self.now();
        let over = if now < self.deadline { self.deadline } else { self.deadline + LAST_LOOK };
        let room = self.room();
        let due = self.ledger.next_at(room).filter(|_| now < self.deadline);
        self.anchor + due.map_or(over, |at| at.min(over)).since_start()
    }

    fn hear(&mut self, delivery: Delivery) {
        let now = self.now();
        self.ledger.apply(now, Fact::Event(Box::new(delivery.event)));
        // The receiver may have stopped waiting; the event counts all the same.
        let _ = delivery.recorded.send(());
    }

    /// Stops submitting, lets calls in flight end, and writes down what stays open.
    async fn wind_down(&mut self, end: &End) {
        self.soft_stop.cancel();
        // Looks and lookups can be asked again; a submission's answer can't.
        let patient = !matches!(end, End::Settled | End::Submitted) || self.in_flight.submit > 0;
        let until = Instant::now() + LAST_WORDS;
        while patient && !self.calls.is_empty() {
            match timeout_at(until, self.calls.join_next()).await {
                Ok(Some(done)) => self.done(done),
                Ok(None) | Err(_) => break,
            }
        }
        self.calls.shutdown().await;
        let fault = match end {
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
            End::Settled | End::Submitted => return self.tell_all(),
        };
        let now = self.now();
        for batch in self.ledger.sending() {
            let lost =
                Fault::new(ErrorKind::Unavailable, "OutcomeUnknown", "the run ended before the answer came");
            self.ledger.apply(now, Fact::OutcomeUnknown { batch, fault: lost });
        }
        self.ledger.apply(now, Fact::Halted { fault });
        self.tell_all();
    }

    fn report(self, end: End) -> Report {
        let media = self.ledger.media_reports(self.started_at);
        let outcome = self.verdict(&media, &end);
        self.tell(&Notice::Finished { outcome });
        let mut summary = super::ledger::sums(&media);
        self.watch.fill(&mut summary);
        let counts = self.ledger.event_counts();
        summary.events_accepted = counts.accepted;
        summary.events_repeated = counts.repeated;
        summary.events_foreign = counts.foreign;
        if let Some(events) = &self.events {
            summary.events_rejected = events.inbox.counts().rejected - self.rejected_before;
        }
        let error = match &end {
            End::Fatal(error) => Some(error.into()),
            _ => None,
        };
        Report {
            schema: SCHEMA,
            run_id: self.run.clone(),
            task_type: self.ledger.task_type(),
            outcome,
            started_at: self.started_at,
            finished_at: self.started_at + self.anchor.elapsed(),
            extend: self.request.as_ref().and_then(|request| request.extend.clone()),
            summary,
            error,
            media,
        }
    }

    fn verdict(&self, media: &[MediaReport], end: &End) -> Outcome {
        let failed = media.iter().filter(|entry| entry.state.is_failure()).count();
        // A media with one failed URL is failed; but where any URL is done, not everything failed.
        let done = |task: &TaskReport| task.status == Some(TaskStatus::Complete);
        let any_done = media.iter().flat_map(|entry| &entry.tasks).any(done);
        let graded = match failed {
            0 => Outcome::Complete,
            n if n < media.len() || any_done => Outcome::Partial,
            _ => self.all_failed(media),
        };
        match end {
            End::Stopped => Outcome::Interrupted,
            End::Deadline => Outcome::Timeout,
            End::Fatal(error) if failed < media.len() || media.is_empty() => Outcome::of(error.kind()),
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

    fn tell_all(&mut self) {
        while let Ok(notice) = self.notices.try_recv() {
            self.tell(&notice);
        }
        for notice in self.ledger.take_notices() {
            self.tell(&notice);
        }
    }

    fn tell(&self, notice: &Notice) {
        self.observer.notice(notice, &self.ledger.progress());
    }

    fn room(&self) -> Room {
        // From the deadline on, only last looks are worth starting.
        let submit = if self.now() < self.deadline { ROOM.submit } else { self.in_flight.submit };
        Room {
            submit: submit - self.in_flight.submit,
            look_up: ROOM.look_up - self.in_flight.look_up,
            look: ROOM.look - self.in_flight.look,
        }
    }

    fn now(&self) -> Moment {
        Moment::after(self.anchor.elapsed())
    }
}

/// The next event; never, where there is no inbox.
async fn next_event(events: &mut Option<Subscription>) -> Option<Delivery> {
    match events {
        Some(subscription) => subscription.events.recv().await,
        None => std::future::pending().await,
    }
}
