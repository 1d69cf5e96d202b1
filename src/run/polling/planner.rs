//! The planner: which call comes next.
//!
//! A task has a time at which it is due. Then it is polled alone, or a *round* begins that lists the time window of the run,
//! 50 rows a page, and the task waits for it as all that come up meanwhile. A round costs as many calls as there are pages;
//! polling costs as many as there are tasks. Where other people's tasks make many pages, rounds are narrowed to tasks like
//! ours; where few tasks are open among many, to those that run (`listings.rs`). Where single calls are cheaper all the same,
//! listings are given up.
//!
//! That a listing does not show a task proves nothing about it: it is polled alone. A listing may also be behind, so a task
//! that it shows as running for longer than tasks here take is polled alone now and then.
//!
//! Before any task of a run has ended, a few samples are polled and the others wait (`samples.rs`).

use std::time::Duration;

use super::estimate::DurationEstimate;
use super::filters::{ListFilters, View};
use super::intervals::Intervals;
use super::listings::Listings;
use super::queue::Queue;
use super::rounds::{End, Round};
use super::samples::{Waiting, is_sample, place_of_sample, time_between_samples};
use super::tasks::{TaskView, Tasks, polled};
use crate::model::{Fact, Moment};
use crate::run::table::{OfTask, Table, TaskIndex};
use crate::vod::{TaskFilter, TaskRow};

/// Of so many polls of a task that is overdue, one is of it alone.
const CHECK_EVERY: u32 = 16;

/// The next call.
#[derive(Debug, PartialEq)]
pub(crate) enum Poll {
    /// Query this task.
    Task(TaskIndex),
    /// List a page, from 1, of what the filter leaves.
    Page(u32, Option<TaskFilter>),
}

/// How one task is polled.
#[derive(Debug, Clone, Copy, Default)]
struct TaskPolls {
    /// The last round that showed it.
    listed_in: u32,
    /// The next poll is of it alone, whatever a listing might cost.
    alone: bool,
    /// It is being polled because a round of running tasks did not show it.
    is_missed: bool,
}

/// Decides how the tasks of a run are polled.
#[derive(Debug)]
pub(crate) struct Planner {
    pub(crate) intervals: Intervals,
    /// How long tasks take, as far as it is known.
    pub(crate) estimate: DurationEstimate,
    queue: Queue<OfTask>,
    tasks: Table<OfTask, TaskPolls>,
    /// The first task of the stage that is on.
    first_task: TaskIndex,
    round: Option<Round>,
    /// The next round begins here at the earliest: tasks that come up together are listed together.
    next_round: Option<Moment>,
    /// Tasks that came up while the round is on.
    held: Vec<TaskIndex>,
    listings: Listings,
    waiting: Waiting,
}

impl Planner {
    pub(crate) fn new(intervals: Intervals) -> Self {
        Self {
            intervals,
            estimate: DurationEstimate::default(),
            queue: Queue::new(),
            tasks: Table::default(),
            first_task: TaskIndex::new(0),
            round: None,
            next_round: None,
            held: Vec::new(),
            listings: Listings::new(),
            waiting: Waiting::default(),
        }
    }

    pub(crate) fn filters(&mut self) -> &mut ListFilters {
        &mut self.listings.filters
    }

    /// Another run knows how long tasks of the kind take that is on. What this run knows itself goes before.
    pub(crate) fn others_know(&mut self, tasks: &dyn Tasks, estimate: DurationEstimate) {
        if self.awaits_first_end(tasks) && estimate.weight() > 0 {
            self.estimate = estimate;
            self.release(tasks);
        }
    }

    /// Whether tasks wait for what another run may learn first.
    pub(crate) fn waits_for_others(&self, tasks: &dyn Tasks) -> bool {
        tasks.counts().others.runs > 0 && self.awaits_first_end(tasks) && !self.waiting.is_empty()
    }

    /// For a task that is polled as a sample: a sample of another run tells as much, if it was polled so recently.
    pub(crate) fn spares_sample(&self, tasks: &dyn Tasks, task: TaskIndex) -> Option<Duration> {
        let age = tasks.task(task).age.filter(|_| tasks.counts().others.runs > 0)?;
        self.is_sample(tasks, task).then(|| time_between_samples(age))
    }

    /// How long nearly all tasks take, once enough of them have ended.
    pub(crate) fn longest_usual(&self) -> Option<Duration> {
        self.estimate.times().map(|times| times.late)
    }

    /// Whether a refusal of the listing that is on means listings of any kind.
    pub(crate) fn would_give_up(&self) -> bool {
        !self.listings.is_given_up && self.round.as_ref().is_none_or(|round| round.view == View::All)
    }

    /// Tasks of another kind begin: what was learned of the times and words of those so far does not hold for them.
    pub(crate) fn begin_stage(&mut self, first: Duration, cap: Duration) {
        (self.intervals.first, self.intervals.cap) = (first, cap);
        self.first_task = self.tasks.next();
        self.estimate = DurationEstimate::default();
        self.waiting = Waiting::default();
        self.listings.filters.forget_type();
    }

    /// Adds the next task.
    pub(crate) fn add_task(&mut self) {
        self.tasks.push(TaskPolls::default());
    }

    /// Plans a poll of a task.
    pub(crate) fn plan(&mut self, task: TaskIndex, at: Moment) {
        self.queue.plan(task, at);
    }

    /// Plans the first poll of a task, unless one is planned.
    pub(crate) fn plan_first(&mut self, tasks: &dyn Tasks, task: TaskIndex) {
        if self.queue.due(task).is_none() {
            let first = self.intervals.first_poll(tasks.now(), polled(tasks, task), self.estimate.times());
            self.plan(task, self.next_sample(tasks, task).unwrap_or(first));
        }
    }

    /// Plans another poll of a task that was just seen running, if the deadline leaves time for one.
    pub(crate) fn plan_next(&mut self, tasks: &dyn Tasks, task: TaskIndex) {
        let next = self.intervals.next_poll(tasks.now(), polled(tasks, task), self.estimate.times());
        if let Some(at) = self.next_sample(tasks, task).or(next) {
            self.plan(task, at);
        }
    }

    /// Polls a task no more.
    pub(crate) fn drop_task(&mut self, task: TaskIndex) {
        self.queue.cancel(task);
    }

    /// A task has ended, so long after it was submitted.
    pub(crate) fn ended_after(&mut self, tasks: &dyn Tasks, took: Duration) {
        self.estimate.learn(took);
        self.release(tasks);
    }

    /// A poll of one task was answered.
    pub(crate) fn answered(&mut self, task: TaskIndex, has_ended: bool) {
        if std::mem::take(&mut self.tasks[task].is_missed) {
            self.listings.missed_one_answered(has_ended);
        }
    }

    /// Whether a page of the round that is on is to be read now.
    pub(crate) fn is_page_due(&self) -> bool {
        self.round.as_ref().is_some_and(|round| round.is_due)
    }

    /// The number of the round that is on; 0 for none.
    pub(crate) fn round(&self) -> u32 {
        self.round.as_ref().map_or(0, |round| round.number)
    }

    /// When the next task is due.
    pub(crate) fn next_at(&mut self) -> Option<Moment> {
        self.queue.next_at().into_iter().chain(self.waiting.ends_at(self.intervals.deadline)).min()
    }

    /// Takes the next call that is due.
    pub(crate) fn due(&mut self, tasks: &dyn Tasks) -> Option<Poll> {
        let mut poll = self.due_page(tasks);
        // The first one that is open begins a round for all, or is polled alone.
        while poll.is_none()
            && let Some(task) = self.waiting.take_due(tasks.now(), self.intervals.deadline)
        {
            if tasks.task(task).is_open && self.queue.due(task).is_none() {
                poll = self.poll_or_list(tasks, task);
            }
        }
        while poll.is_none() {
            let task = self.queue.pop(tasks.now())?;
            poll = self.poll_or_list(tasks, task);
        }
        poll
    }

    /// A task is due: polls it alone, begins a round, or lets it wait for the round that is on.
    fn poll_or_list(&mut self, tasks: &dyn Tasks, task: TaskIndex) -> Option<Poll> {
        let (is_on, counts, now) = (self.round.is_some(), tasks.counts(), tasks.now());
        if !is_on {
            self.listings.narrow_if_too_many(counts);
        }
        let view = tasks.task(task);
        let is_missed = self.is_missed(&view, task);
        let alone = !view.is_listable || self.tasks[task].alone || is_missed || self.is_overdue(&view);
        if alone || !is_on && self.listings.next_view(counts).is_none() || self.is_sample(tasks, task) {
            if is_missed {
                self.listings.filters.missed_one();
            }
            let polls = &mut self.tasks[task];
            (polls.alone, polls.is_missed) = (false, is_missed);
            return Some(Poll::Task(task));
        }
        if !is_on {
            if self.waits_for_samples(tasks, task) {
                return None;
            }
            if let Some(next) = self.next_round.filter(|next| *next > now) {
                self.plan(task, next);
                return None;
            }
            self.round = Some(self.listings.begin_round(now, counts));
        }
        self.held.push(task);
        self.due_page(tasks)
    }

    /// Whether the last round listed the running tasks, and should have shown this one.
    fn is_missed(&self, view: &TaskView, task: TaskIndex) -> bool {
        let TaskPolls { listed_in, alone, .. } = self.tasks[task];
        view.is_listable
            && !alone
            && self
                .listings
                .running_round
                .is_some_and(|(number, began)| listed_in < number && view.is_listed_since(began))
    }

    /// Whether it is time to see if listings are behind: they show the task as running for longer than tasks take.
    fn is_overdue(&self, view: &TaskView) -> bool {
        view.polls % CHECK_EVERY == CHECK_EVERY - 1
            && self.estimate.times().zip(view.age).is_some_and(|(times, age)| age > times.early + times.late)
    }

    /// Takes the next page of a round that is on.
    fn due_page(&mut self, tasks: &dyn Tasks) -> Option<Poll> {
        let round = self.round.as_mut()?;
        if !std::mem::take(&mut round.is_due) {
            return None;
        }
        let filter = self.listings.filters.filter(round.view);
        if filter != round.filter {
            self.end_round(tasks, End::Overtaken);
            return None;
        }
        Some(Poll::Page(u32::from(round.page), filter))
    }

    /// A page came, with rows of open or ended tasks of this run and of others. Returns the facts that a round which is over
    /// has brought.
    pub(crate) fn listed(
        &mut self,
        tasks: &dyn Tasks,
        page: u32,
        page_rows: Vec<TaskRow>,
        total: Option<u64>,
        is_last: bool,
    ) -> Vec<Fact> {
        let Some(round) = self.round.as_mut().filter(|round| u32::from(round.page) == page) else {
            return Vec::new();
        };
        let rows = page_rows.len() as u64;
        for row in page_rows {
            let Some(task) = tasks.of_row(&row) else { continue };
            let last = std::mem::replace(&mut self.tasks[task].listed_in, round.number);
            round.seen += u64::from(last != round.number);
            round.show(task, row);
        }
        let end = self.listings.read_page(tasks.counts(), round, rows, total, is_last);
        end.map_or_else(Vec::new, |end| self.end_round(tasks, end))
    }

    /// The service does not give listings, or not such narrow ones.
    pub(crate) fn refused(&mut self, tasks: &dyn Tasks) {
        self.end_round(tasks, End::Refused);
    }

    /// What came up during the round is due again; what a whole round should have shown and did not, alone.
    fn end_round(&mut self, tasks: &dyn Tasks, end: End) -> Vec<Fact> {
        let (now, Intervals { first, cap, .. }) = (tasks.now(), self.intervals);
        let pause = self.estimate.times().map_or(first, |times| times.spread.clamp(first, cap));
        self.next_round = Some(now + pause);
        let held = std::mem::take(&mut self.held);
        let Some(mut round) = self.round.take() else {
            // Refused without one, in a journal.
            self.listings.is_given_up = true;
            return Vec::new();
        };
        let is_whole = end == End::Whole;
        let mut unshown = Vec::new();
        for task in held {
            let view = tasks.task(task);
            if !view.is_open || self.queue.due(task).is_some() {
                continue;
            }
            // What a whole round has shown goes on with the facts of it.
            if !is_whole || self.tasks[task].listed_in != round.number {
                unshown.push((task, is_whole && view.is_listed_since(round.began)));
            }
        }
        let missed = unshown.iter().filter(|(_, is_missed)| *is_missed).count() as u64;
        let is_replaced = self.listings.judge(tasks.counts(), &round, end, missed);
        if is_replaced {
            self.next_round = Some(now);
        }
        // A listing that took too many calls may be tried again once all tasks are known. Until then it shows none of them.
        let is_in_vain = end == End::Dear && !is_replaced;
        for (task, is_missed) in unshown {
            self.tasks[task].alone = is_in_vain || is_missed && !is_replaced && round.view != View::Running;
            self.plan(task, now);
        }
        if !is_whole {
            return Vec::new();
        }
        let mut facts = Vec::new();
        for (task, rows) in round.rows_by_task() {
            let has_ended = rows.iter().all(|row| row.status.is_final());
            // Of running ones, a row that has ended shows that the filter does not work as it should. And more may have become
            // known of a task since its page was read.
            if has_ended && round.view == View::Running || rows.iter().any(|row| tasks.of_row(row).is_none())
            {
                self.tasks[task].alone = true;
                if tasks.task(task).is_open && self.queue.due(task).is_none() {
                    self.plan(task, now);
                }
                continue;
            }
            let id = rows[0].task.clone();
            facts.push(Fact::TaskSeen { task: id, rows, total: None });
        }
        facts
    }

    /// Whether a task is polled for others as well, as long as none has ended.
    fn is_sample(&self, tasks: &dyn Tasks, task: TaskIndex) -> bool {
        is_sample(self.place(task)) && self.awaits_first_end(tasks)
    }

    /// When to poll a sample; `None` for any other task.
    fn next_sample(&self, tasks: &dyn Tasks, task: TaskIndex) -> Option<Moment> {
        if !self.is_sample(tasks, task) || self.listings.next_view(tasks.counts()).is_none() {
            return None;
        }
        self.intervals.next_sample(tasks.now(), tasks.task(task).age?, place_of_sample(self.place(task)))
    }

    /// The place of a task among those of its stage. Of an earlier stage it is far off.
    fn place(&self, task: TaskIndex) -> u32 {
        task.number().wrapping_sub(self.first_task.number())
    }

    /// Whether no task has ended yet, of a run that would know.
    fn awaits_first_end(&self, tasks: &dyn Tasks) -> bool {
        tasks.counts().is_fresh && !self.estimate.knows_any()
    }

    /// Lets a task wait for the samples, unless something has ended or they take too long.
    fn waits_for_samples(&mut self, tasks: &dyn Tasks, task: TaskIndex) -> bool {
        if !self.awaits_first_end(tasks) {
            return false;
        }
        if self.waiting.wait_until(tasks.now(), &self.intervals).is_none() {
            self.release(tasks);
            return false;
        }
        self.waiting.add(task);
        true
    }

    /// Those that waited may be polled.
    fn release(&mut self, tasks: &dyn Tasks) {
        for task in self.waiting.take() {
            if tasks.task(task).is_open {
                self.plan(task, tasks.now());
            }
        }
    }
}
