//! The driver: the one loop of a run.
//!
//! It takes due work from the ledger, performs it, and turns each answer into a fact. It decides nothing about media
//! or tasks; it only knows how to call, how to stop and when to give up following. Calls run side by side as tasks of
//! their own; the client keeps their pace.

mod calls;
mod diary;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::batch::{self, Batch};
use super::ledger::{Fact, Fault, Ledger, Moment, Room, Settings, Work};
use super::observer::{Notice, Observer};
use super::report::{MediaReport, MediaState, Outcome, Report, ReportedError, SCHEMA, Summary, TaskReport};
use super::request::LookupAfter;
use super::{RefreshRequest, Refresher, RunOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Delivery, Inbox, Mail, Subscription};
use crate::ids::{JobId, RunId};
use crate::journal::{Order, RunRecord, StoredRun};
use crate::vod::{TaskStatus, VodClient};
use calls::Done;
use diary::Diary;
use watch::Watch;

/// Wait for an event before a job is looked up, unless told otherwise.
const LOOKUP_AFTER: Duration = Duration::from_secs(15);
/// Calls in flight when a run is stopped get so long.
const LAST_WORDS: Duration = Duration::from_millis(1_500);
/// The last looks fall on the deadline; their answers may take so long.
const LAST_LOOK: Duration = Duration::from_secs(1);
/// Calls of each kind that may be in flight at once. The pace of the client is the real limit.
const ROOM: Room = Room { submit: 8, look_up: 8, look: 16 };

/// The service forgets tasks after so long. Source: "DescribeVodRefreshTasks", `StartTime`.
const HISTORY: Duration = Duration::from_secs(3 * 86_400);

/// What is said of a run whose journal failed.
const LOST: &str = "the journal failed in mid-run and does not know everything that was submitted";

/// How the loop ended.
enum End {
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

pub(super) async fn refresh(refresher: &Refresher, request: &RefreshRequest) -> Result<Report> {
    let run = RunId::fresh();
    batch::check(request, &run)?;
    begin(refresher, run, Order::Refresh(request.clone())).await
}

pub(super) async fn wait(refresher: &Refresher, jobs: &[JobId]) -> Result<Report> {
    begin(refresher, RunId::fresh(), Order::Wait(jobs.to_vec())).await
}

async fn begin(refresher: &Refresher, run: RunId, order: Order) -> Result<Report> {
    // Without a credential nothing can be done: say so before anything else.
    refresher.client.credential().await?;
    let record = record(refresher, run, order);
    let diary = Diary::begin(refresher, &record).await?;
    let ledger = ledger_of(&record, Moment::after(refresher.options.timeout));
    Driver::new(refresher, record, ledger, diary, Duration::ZERO).run().await
}

pub(super) async fn resume(refresher: &Refresher, stored: StoredRun, once: bool) -> Result<Report> {
    refresher.client.credential().await?;
    still_open(&stored)?;
    let diary = Diary::resume(refresher, &stored.record.run).await?;
    // Whoever drove it until now may have written more since it was loaded, or ended it.
    let mut stored = diary.reload(stored).await?;
    still_open(&stored)?;
    stored.record.options = refresher.options.clone();
    stored.record.has_events = refresher.inbox.is_some();
    let mut ledger = replayed(&stored);
    drop(ledger.take_notices());
    let last = stored.facts.last().map_or(Duration::ZERO, |(at, _)| at.since_start());
    // The machine's clock may have been set back meanwhile; facts never are.
    let age =
        (refresher.client.local_time() - stored.record.started_at).to_std().unwrap_or_default().max(last);
    ledger.reopen(Moment::after(age), Moment::after(age + refresher.options.timeout));
    let mut driver = Driver::new(refresher, stored.record, ledger, diary, age);
    driver.once = once;
    driver.run().await
}

fn still_open(stored: &StoredRun) -> Result<()> {
    match stored.outcome {
        None if stored.lost => Err(Error::new(
            ErrorKind::Usage,
            format!("run {} can't be carried on: {LOST}", stored.record.run),
        )),
        None => Ok(()),
        Some(outcome) => {
            let run = &stored.record.run;
            Err(Error::new(ErrorKind::Usage, format!("run {run} has ended: {}", outcome.as_str())))
        }
    }
}

/// What a stored run looks like, without asking anybody.
pub(crate) fn view(stored: &StoredRun) -> Report {
    let ledger = replayed(stored);
    let started_at = stored.record.started_at;
    let media = ledger.media_reports(started_at);
    let last = stored.facts.last().map_or(started_at, |(at, _)| started_at + at.since_start());
    let mut summary = super::ledger::sums(&media);
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

fn record(refresher: &Refresher, run: RunId, order: Order) -> RunRecord {
    RunRecord {
        run,
        started_at: refresher.client.local_time(),
        order,
        options: refresher.options.clone(),
        has_events: refresher.inbox.is_some(),
        settings: refresher.settings.clone(),
    }
}

fn replayed(stored: &StoredRun) -> Ledger {
    let mut ledger = ledger_of(&stored.record, Moment::after(stored.record.options.timeout));
    for (at, fact) in &stored.facts {
        ledger.apply(*at, fact.clone());
    }
    ledger
}

fn ledger_of(record: &RunRecord, deadline: Moment) -> Ledger {
    let options = &record.options;
    let task_type = match &record.order {
        Order::Refresh(request) => Some(request.task_type),
        Order::Wait(_) => None,
    };
    let default = LookupAfter::After(if record.has_events { LOOKUP_AFTER } else { Duration::ZERO });
    let mut settings = Settings::new(record.run.clone(), task_type);
    settings.has_events = record.has_events;
    settings.lookup = options.lookup_after.unwrap_or(default);
    settings.poll_first = options.poll_interval.unwrap_or(settings.poll_first);
    settings.deadline = deadline;
    settings.resubmit = options.resubmit;
    settings.outcome_wait = options.outcome_wait;
    settings.seed = getrandom::u64().unwrap_or_default();
    match &record.order {
        Order::Refresh(request) => Ledger::for_batches(settings, Batch::split(&request.media)),
        Order::Wait(jobs) => Ledger::for_jobs(settings, jobs.iter().cloned()),
    }
}

struct Driver<'a> {
    options: &'a RunOptions,
    observer: &'a dyn Observer,
    stop: &'a CancellationToken,
    client: VodClient,
    record: RunRecord,
    ledger: Ledger,
    diary: Diary,
    events: Option<Subscription>,
    rejected_before: u64,
    calls: JoinSet<Done>,
    in_flight: Room,
    /// Ends the waits of calls in flight, not the calls.
    soft_stop: CancellationToken,
    watch: Arc<Watch>,
    notices: UnboundedReceiver<Notice>,
    /// When this process began, and how old the run was then.
    anchor: Instant,
    age: Duration,
    deadline: Moment,
    fatal: Option<Error>,
    /// Ask about everything that is open once, then end.
    once: bool,
}

/// Why the loop woke up.
enum Wake {
    Stopped,
    Done(Result<Done, JoinError>),
    Mail(Mail),
    Notice(Notice),
    Time,
}

impl<'a> Driver<'a> {
    fn new(refresher: &'a Refresher, record: RunRecord, ledger: Ledger, diary: Diary, age: Duration) -> Self {
        let (watch, notices) = Watch::new();
        let soft_stop = CancellationToken::new();
        Self {
            options: &refresher.options,
            observer: &*refresher.observer,
            stop: &refresher.stop,
            client: refresher.client.watched(soft_stop.clone(), watch.clone()),
            record,
            ledger,
            diary,
            // Before the first submission, or an early event is lost.
            events: refresher.inbox.as_ref().map(Inbox::subscribe),
            rejected_before: refresher.inbox.as_ref().map_or(0, |inbox| inbox.counts().rejected),
            calls: JoinSet::new(),
            in_flight: Room { submit: 0, look_up: 0, look: 0 },
            soft_stop,
            watch,
            notices,
            anchor: Instant::now(),
            age,
            deadline: Moment::after(age + refresher.options.timeout),
            fatal: None,
            once: false,
        }
    }

    async fn run(mut self) -> Result<Report> {
        let jobs = match &self.record.order {
            Order::Refresh(_) => 0,
            Order::Wait(jobs) => jobs.len(),
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
        let end = self.drive().await;
        self.wind_down(&end).await;
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
    async fn take_in(&mut self, wake: Wake) {
        let (mut facts, mut deliveries, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
        let mut open = |facts: &mut Vec<Fact>, mail: Mail| match mail {
            Mail::Event(delivery) => {
                facts.push(Fact::Event(Box::new(delivery.event.clone())));
                deliveries.push(delivery);
            }
            Mail::Warning(message) => warnings.push(message),
        };
        match wake {
            Wake::Done(done) => self.done(done, &mut facts),
            Wake::Mail(mail) => open(&mut facts, mail),
            Wake::Notice(notice) => self.tell(&notice),
            Wake::Stopped | Wake::Time => return,
        }
        while let Some(done) = self.calls.try_join_next() {
            self.done(done, &mut facts);
        }
        while let Some(mail) = self.events.as_mut().and_then(|events| events.mail.try_recv().ok()) {
            open(&mut facts, mail);
        }
        for message in warnings {
            self.tell(&Notice::Warning { message });
        }
        self.note(facts).await;
        for Delivery { event, recorded } in deliveries {
            // Asked after it was applied: only then is it known whose it is. The receiver may have stopped waiting; the
            // event counts all the same.
            let _ = recorded.send(self.ledger.claim(&event));
        }
    }

    /// Writes facts down, then applies them.
    async fn note(&mut self, facts: Vec<Fact>) {
        let now = self.now();
        if let Some(lost) = self.diary.write(&self.record.run, now, &self.ledger, &facts).await {
            self.tell(&Notice::Warning { message: lost });
        }
        for fact in facts {
            self.ledger.apply(now, fact);
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

    /// Stops submitting, lets calls in flight end, and writes down what stays open.
    async fn wind_down(&mut self, end: &End) {
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
            End::Settled | End::Submitted | End::Checked => return self.tell_all(),
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
    }

    async fn report(mut self, end: End) -> Report {
        let media = self.ledger.media_reports(self.record.started_at);
        let outcome = self.verdict(&media, &end);
        let finished_at = self.record.started_at + self.now().since_start();
        let is_over = !media.iter().any(|entry| entry.state == MediaState::Unfinished)
            || matches!(end, End::FailedFast);
        if let Some(lost) = self.diary.finish(&self.record.run, outcome, is_over, finished_at).await {
            self.tell(&Notice::Warning { message: lost });
        }
        self.tell(&Notice::Finished { outcome });
        let mut summary = super::ledger::sums(&media);
        self.watch.fill(&mut summary);
        count_events(&self.ledger, &mut summary);
        if let Some(events) = &self.events {
            summary.events_rejected = events.inbox.counts().rejected - self.rejected_before;
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
        let done = |task: &TaskReport| task.status == Some(TaskStatus::Complete);
        let any_done = media.iter().flat_map(|entry| &entry.tasks).any(done);
        let graded = match failed {
            0 => Outcome::Complete,
            n if n < media.len() || any_done => Outcome::Partial,
            _ => self.all_failed(media),
        };
        match end {
            End::Stopped => Outcome::Interrupted,
            End::Checked => Outcome::Unfinished,
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
        // From the deadline on, only last looks are worth starting; one that only asks submits nothing.
        let may_submit = !self.once && self.now() < self.deadline;
        let submit = if may_submit { ROOM.submit } else { self.in_flight.submit };
        Room {
            submit: submit - self.in_flight.submit,
            look_up: ROOM.look_up - self.in_flight.look_up,
            look: ROOM.look - self.in_flight.look,
        }
    }

    fn now(&self) -> Moment {
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
