//! Many tasks at once: pages of the account's tasks instead of one call for each id.
//!
//! A round lists the time window of the run, 50 rows a page, until every open task was seen. The service shows the newest
//! tasks first; a round begins with the last page, because the oldest tasks end first. It costs as many calls as there
//! are pages; asking one by one costs as many as there are tasks. Once tasks have been shown, a
//! round asks only for the pages on which open ones stood. Ids that a round did not show are asked for one by one, and
//! so is a task that listings show as running for longer than tasks here take: a listing may be stale.
//!
//! Where other people's tasks make many pages, rounds are narrowed to tasks like ours; where few tasks are open on many
//! pages, to those that run (`narrow.rs`). Where single calls are cheaper all the same, listings are given up.
//!
//! Before any task of the run has ended, a few are looked at and stand for the others: listing thousands of tasks that
//! can't be done yet tells nothing.

use std::time::Duration;

use super::narrow::{Narrowing, PAGE, View, hides, saves};
use super::pages::Pages;
use super::rows::{Asked, TaskEntry};
use super::stale::Trust;
use super::{Ledger, Moment, Work};
use crate::run::learned::{Expected, Learned};

/// Fewer open tasks than this are asked for one by one.
const FEWEST: u64 = 20;
/// A listing must be so much cheaper than single calls before it is worth its lesser detail.
const GAIN: u64 = 3;
/// Rounds that showed nothing of ours before listings are given up.
const MOST_EMPTY: u32 = 2;
/// Every so many tasks, one is looked at while nothing has ended; and so many at most.
const STAND_IN_EVERY: u32 = 16;
const STAND_INS: u32 = 5;
/// How long the others wait for their ends, in caps of the interval; doubled each time.
const PATIENCE: u32 = 4;

/// Where the listing of tasks stands.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The round that is on.
    round: Option<Round>,
    /// Counts rounds.
    number: u32,
    /// The next round begins here at the earliest: tasks that come up together are listed together.
    next: Option<Moment>,
    /// Tasks that came up while the round was on.
    held: Vec<u32>,
    /// What whole rounds list, since which round, how many rows the service counted in the last one, and where open tasks
    /// stood. Neither total nor places mean anything in another view.
    view: View,
    since: u32,
    total: Option<u64>,
    pages: Pages,
    pub(super) narrowing: Narrowing,
    /// All tasks are too many to list; narrowed listings may do.
    too_wide: bool,
    /// The last round, if it listed running tasks to the end, and when it began: what it did not show is asked for alone.
    tail: Option<(u32, Moment)>,
    trust: Trust,
    /// Rounds without anything of ours, one after the other.
    empty: u32,
    given_up: bool,
    learned: Learned,
    /// While nothing has ended: tasks that wait, until when, and how long that is. The first of them is due then.
    waiting: Vec<u32>,
    patience: Option<(Moment, Duration)>,
}

#[derive(Debug, Clone, Copy)]
struct Round {
    view: View,
    /// The page that is asked for.
    page: u16,
    /// Whether it still has to be handed out.
    due: bool,
    /// The highest page that was asked for, whether more may follow it, and whether those are being asked for.
    end: u16,
    more: bool,
    goes_up: bool,
    began: Moment,
    /// Only pages on which open tasks stood are asked for.
    by_place: bool,
    /// Tasks that it should show, those that it has shown, pages read.
    open: u64,
    seen: u64,
    read: u64,
}

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It showed all that it can show.
    Whole,
    /// It takes more calls than asking one by one.
    Dear,
    /// A narrowed one takes fewer pages.
    Wide,
    Refused,
}

impl Listing {
    pub(super) fn is_given_up(&self) -> bool {
        self.given_up
    }

    /// Whether a narrowed round is on.
    pub(super) fn is_narrowed(&self) -> bool {
        self.round.is_some_and(|round| round.view != View::All)
    }

    /// The page on which the present view showed a task, from 1; 0 for none.
    fn place(&self, entry: &TaskEntry) -> u16 {
        if entry.shown_in >= self.since { entry.page } else { 0 }
    }

    /// A task was shown.
    pub(super) fn saw(&mut self, entry: &mut TaskEntry) {
        let place = self.place(entry);
        let Some(round) = &mut self.round else { return };
        round.seen += u64::from(entry.shown_in != self.number);
        entry.shown_in = self.number;
        entry.page = if round.view == View::Running { place } else { round.page };
        self.pages.moves(place, entry.page);
    }

    /// A task has no place any more.
    pub(super) fn forget(&mut self, entry: &mut TaskEntry) {
        self.pages.moves(self.place(entry), 0);
        entry.page = 0;
    }

    /// An answer came about a task that was asked for alone.
    pub(super) fn answered(&mut self, asked: Asked, has_ended: bool) {
        match asked {
            Asked::Plainly => {}
            Asked::Overdue => self.trust.answered(!has_ended),
            Asked::Missed => {
                self.narrowing.tail_lacked(has_ended);
                self.tail = self.tail.filter(|_| !self.narrowing.tail_is_off());
            }
        }
    }

    /// Whole rounds list something else from now on.
    fn switch(&mut self, view: View) {
        (self.view, self.since, self.total) = (view, self.number + 1, None);
        self.pages = Pages::default();
    }

    /// When tasks of this run end.
    pub(super) fn expected(&self) -> Option<Expected> {
        self.learned.expected()
    }
}

impl Ledger {
    /// Takes the next page of a round that is on.
    pub(super) fn due_page(&mut self) -> Option<Work> {
        let round = self.listing.round.as_mut()?;
        let (page, filter) = (u32::from(round.page), self.listing.narrowing.filter(round.view));
        std::mem::take(&mut round.due).then_some(Work::List { page, filter })
    }

    /// A task is due, and its plan is used up: looks at it alone, begins a round, or lets it wait for the round that is on.
    pub(super) fn look_or_list(&mut self, now: Moment, task: u32) -> Option<Work> {
        let is_on = self.listing.round.is_some();
        if !is_on {
            self.narrow_where_all_are_too_many();
        }
        let plainly = !(is_on || self.listing_pays()) || self.stands_in(task);
        if let Some(asked) = self.must_be_asked(now, task).or(plainly.then_some(Asked::Plainly)) {
            if asked == Asked::Missed {
                self.listing.narrowing.tail_lacks_one();
            }
            let entry = &mut self.tasks[task as usize];
            (entry.alone, entry.asked) = (false, asked);
            return Some(Work::Look { task: entry.id.clone() });
        }
        if is_on {
            self.listing.held.push(task);
            return None;
        }
        if self.waits_for_stand_ins(now, task) {
            return None;
        }
        if let Some(next) = self.listing.next.filter(|next| *next > now) {
            self.plan_look(task, next);
            return None;
        }
        self.listing.held.push(task);
        self.begin_round(now);
        self.due_page()
    }

    fn begin_round(&mut self, now: Moment) {
        let view = self.next_view().unwrap_or(self.listing.view);
        let by_place = view != View::Running && self.goes_by_place();
        let last = self.cost_of_whole_round(view).clamp(1, u64::from(u16::MAX)) as u16;
        let (page, open) = match self.listing.pages.last() {
            Some(page) if by_place => (page, self.listing.pages.placed()),
            _ => (last, self.open_tasks()),
        };
        self.listing.tail = None;
        self.listing.number += 1;
        self.listing.round = Some(Round {
            view,
            page,
            due: true,
            end: page,
            more: false,
            goes_up: false,
            began: now,
            by_place,
            open,
            seen: 0,
            read: 0,
        });
    }

    fn open_tasks(&self) -> u64 {
        self.progress.tasks - self.progress.tasks_ended
    }

    fn listing_pays(&self) -> bool {
        self.next_view().is_some()
    }

    /// What the next round would list; `None` where single calls are cheaper.
    fn next_view(&self) -> Option<View> {
        let (open, cost, listing) = (self.open_tasks(), self.cost_of_round(), &self.listing);
        if open < FEWEST {
            return None;
        }
        let is_out = listing.given_up || listing.too_wide && listing.view == View::All;
        let whole = (!is_out && cost * GAIN <= open).then_some(listing.view);
        let otherwise = if whole.is_some() { cost } else { open };
        if listing.narrowing.tail_pays(open, otherwise) { Some(View::Running) } else { whole }
    }

    /// Calls that a round takes, running tasks aside.
    fn cost_of_round(&self) -> u64 {
        match self.goes_by_place() {
            true => self.listing.pages.used(),
            false => self.cost_of_whole_round(self.listing.view),
        }
    }

    fn cost_of_whole_round(&self, view: View) -> u64 {
        match view {
            View::Running => self.listing.narrowing.tail_pages(self.open_tasks()),
            _ if view != self.listing.view => self.progress.tasks.div_ceil(PAGE),
            _ => self.listing.total.unwrap_or(0).max(self.progress.tasks).div_ceil(PAGE),
        }
    }

    /// Whether it is known where all but a few of the open tasks stand.
    fn goes_by_place(&self) -> bool {
        let pages = &self.listing.pages;
        pages.used() > 0
            && self.open_tasks() < pages.placed() + FEWEST
            && pages.used() < self.cost_of_whole_round(self.listing.view)
    }

    /// Whether listing tasks like ours takes fewer calls than so many pages of all tasks.
    fn narrowing_saves(&self, pages: u64) -> bool {
        let listing = &self.listing;
        listing.view == View::All
            && listing.narrowing.is_possible()
            && saves(pages, self.cost_of_whole_round(View::Ours))
    }

    /// Single looks may have told by now what narrows a listing.
    fn narrow_where_all_are_too_many(&mut self) {
        if self.listing.too_wide && self.narrowing_saves(self.cost_of_whole_round(View::All)) {
            self.listing.switch(View::Ours);
        }
    }

    /// Why the next look is at this task alone; `None` where a listing's single row tells all about it.
    ///
    /// To be listed it must be of this run (the window of the run is what is listed), work for one media, and have one
    /// URL. It is not, where a listing that should have shown it did not, or has shown it as running for long.
    fn must_be_asked(&self, now: Moment, task: u32) -> Option<Asked> {
        let (entry, listing) = (&self.tasks[task as usize], &self.listing);
        let (Some(owner), false) = (entry.owners.only(), self.batches.is_empty()) else {
            return Some(Asked::Plainly);
        };
        if !self.media[owner.media as usize].one_url_a_task || entry.alone {
            return Some(Asked::Plainly);
        }
        if listing.tail.is_some_and(|(number, began)| entry.shown_in < number && !entry.is_fresh(began)) {
            return Some(Asked::Missed);
        }
        let overdue = listing.trust.asks_alone(entry.looks)
            && listing.expected().is_some_and(|expected| {
                self.age(now, task).is_some_and(|age| age > expected.early + expected.late)
            });
        if overdue {
            return Some(Asked::Overdue);
        }
        let has_waited = listing.next.is_none_or(|next| now >= next);
        let lost = listing.place(entry) == 0
            && has_waited
            && self.goes_by_place()
            && self.next_view() != Some(View::Running);
        lost.then_some(Asked::Plainly)
    }

    /// Whether no task has ended yet, of a run that would know.
    fn awaits_first_end(&self) -> bool {
        self.is_fresh && !self.listing.learned.anything()
    }

    /// Whether a task is looked at for others as well, as long as none has ended.
    fn stands_in(&self, task: u32) -> bool {
        self.awaits_first_end() && task.is_multiple_of(STAND_IN_EVERY) && task / STAND_IN_EVERY < STAND_INS
    }

    /// When to look at a task that stands in for others; `None` for any other task.
    pub(super) fn next_stand_in(&self, now: Moment, task: u32) -> Option<Moment> {
        let age = self.age(now, task).filter(|_| self.stands_in(task) && self.listing_pays())?;
        let place = f64::from(task / STAND_IN_EVERY) / f64::from(STAND_INS);
        self.polling.next_stand_in(now, age, place)
    }

    /// Lets a task wait for those that stand in for it, unless something has ended or they take too long.
    fn waits_for_stand_ins(&mut self, now: Moment, task: u32) -> bool {
        if !self.awaits_first_end() {
            return false;
        }
        let first = self.polling.cap * PATIENCE;
        let (until, waited) = *self.listing.patience.get_or_insert((now + first, first));
        let until = until.min(self.polling.deadline);
        if until <= now {
            self.listing.patience = Some((now + waited * 2, waited * 2));
            self.release(now);
            return false;
        }
        if self.listing.waiting.is_empty() {
            self.plan_look(task, until);
        }
        self.listing.waiting.push(task);
        true
    }

    /// Those that waited may be looked at.
    fn release(&mut self, now: Moment) {
        for task in std::mem::take(&mut self.listing.waiting) {
            let entry = &self.tasks[task as usize];
            if entry.ended_at.is_none() && !entry.owners.is_empty() {
                self.plan_look(task, now);
            }
        }
    }

    /// A task has ended, so long after it was submitted.
    pub(super) fn learn(&mut self, now: Moment, took: Duration) {
        self.listing.learned.learn(took);
        self.release(now);
    }

    /// When the newest task of this run became known; `None` as long as more may come.
    pub(crate) fn complete_since(&self) -> Option<Moment> {
        (self.open_batches == 0 && self.undecided == 0).then_some(self.last_known)
    }

    /// Whether the row of a listing with this URL may stand for this task.
    ///
    /// A task id may work for others as well, whose rows may stand on another page than ours: where the URL is not the
    /// one we know, only a look at the task alone tells.
    pub(crate) fn lists(&self, id: &crate::ids::TaskId, url: &str) -> bool {
        self.task_number(id).is_some_and(|task| {
            let entry = &self.tasks[task as usize];
            let owner = entry.owners.only().filter(|_| entry.rows.len() <= 1);
            entry.ended_at.is_none()
                && owner
                    .map(|owner| &self.media[owner.media as usize])
                    .is_some_and(|media| media.one_url_a_task && super::rows::names(&media.urls, url))
        })
    }

    /// A page came with so many rows, of open or ended tasks of this run and of others.
    pub(super) fn listed(&mut self, now: Moment, page: u32, rows: u64, total: Option<u64>) {
        let Some(view) =
            self.listing.round.filter(|round| u32::from(round.page) == page).map(|round| round.view)
        else {
            return;
        };
        match view {
            View::Running => self.listing.narrowing.tail_counted(total),
            View::All | View::Ours => self.listing.total = total.or(self.listing.total),
        }
        let guess = self.cost_of_whole_round(view);
        let listing = &mut self.listing;
        let Some(round) = listing.round.as_mut() else { return };
        round.read += 1;
        if round.page >= round.end {
            (round.end, round.more) = (round.page, !round.by_place && rows >= PAGE);
            round.more &= total.is_none_or(|total| u64::from(page) * PAGE < total);
        }
        let all_seen = round.seen >= round.open;
        let following = match round.by_place {
            true => listing.pages.last_before(round.page),
            false if all_seen => None,
            // Down to the first page; then on from where it began, if that was not the last one after all.
            false if round.page > 1 && !round.goes_up => round.page_below(rows, total),
            false => {
                round.goes_up = true;
                round.end.checked_add(1).filter(|_| round.more)
            }
        };
        let end = match following {
            None => End::Whole,
            Some(page) => {
                let round = *round;
                let pages = total.map_or(guess, |total| total.div_ceil(PAGE));
                if !round.by_place && self.narrowing_saves(round.to_come(pages)) {
                    End::Wide
                } else if !round.by_place && round.read.max(pages) * GAIN > round.open {
                    End::Dear
                } else {
                    if let Some(round) = &mut self.listing.round {
                        (round.page, round.due) = (page, true);
                    }
                    return;
                }
            }
        };
        self.end_round(now, end);
    }

    /// The service does not give listings, or not such narrow ones.
    pub(super) fn listing_refused(&mut self, now: Moment) {
        self.end_round(now, End::Refused);
    }

    /// What came up during the round is due again; what a whole round should have shown and did not, alone.
    fn end_round(&mut self, now: Moment, end: End) {
        let gap = self.listing.expected().map_or(self.polling.first, |expected| {
            expected.spread.clamp(self.polling.first, self.polling.cap)
        });
        self.listing.next = Some(now + gap);
        let (number, round) = (self.listing.number, self.listing.round.take());
        let mut held = std::mem::take(&mut self.listing.held);
        held.retain(|task| {
            let entry = &self.tasks[*task as usize];
            entry.ended_at.is_none() && entry.due.is_none() && !entry.owners.is_empty()
        });
        let missed = |entry: &TaskEntry| {
            end == End::Whole
                && entry.shown_in != number
                && round.is_some_and(|round| !round.by_place && !entry.is_fresh(round.began))
        };
        let count = held.iter().filter(|task| missed(&self.tasks[**task as usize])).count() as u64;
        let asks_alone = match round {
            Some(round) => self.judge(now, round, end, count),
            None => {
                self.listing.given_up = true;
                false
            }
        };
        for task in held {
            let entry = &mut self.tasks[task as usize];
            if round.is_some_and(|round| round.by_place) && entry.shown_in != number {
                self.listing.forget(entry);
            }
            entry.alone = asks_alone && missed(entry);
            self.plan_look(task, now);
        }
    }

    /// What a round tells about the rounds to come. Gives back whether the tasks that it missed are asked for alone.
    fn judge(&mut self, now: Moment, round: Round, end: End, missed: u64) -> bool {
        // What looks like others' may be of our own media, as long as not all of their tasks are known.
        let is_dear = end == End::Dear && self.undecided == 0;
        let listing = &mut self.listing;
        if round.view != View::All && round.seen > 0 {
            listing.narrowing.has_shown();
        }
        if is_dear {
            // What takes its place need not wait.
            listing.next = Some(now);
        }
        match (round.view, end) {
            (View::All, End::Wide) => {
                listing.switch(View::Ours);
                listing.next = Some(now);
            }
            (View::All, End::Refused) => {
                listing.given_up = true;
                [View::Ours, View::Running].into_iter().for_each(|view| listing.narrowing.give_up(view));
            }
            (View::All, End::Dear) if listing.narrowing.may_become_possible() => listing.too_wide |= is_dear,
            (View::All, End::Dear) => listing.given_up |= is_dear,
            (View::All, End::Whole) => {
                listing.empty = if missed > 0 && round.seen == 0 { listing.empty + 1 } else { 0 };
                listing.given_up |= listing.empty >= MOST_EMPTY;
                if self.narrowing_saves(self.cost_of_round()) {
                    self.listing.switch(View::Ours);
                }
            }
            (View::Ours, End::Refused) => {
                listing.narrowing.give_up(View::Ours);
                self.widen(now);
            }
            (View::Ours, End::Whole) if hides(round.seen, missed) => {
                listing.narrowing.distrust(View::Ours);
                self.widen(now);
                return false;
            }
            (View::Ours, End::Dear) => listing.given_up |= is_dear,
            (View::Ours, End::Whole | End::Wide) => {}
            (View::Running, End::Whole) if round.seen > 0 => {
                listing.tail = Some((listing.number, round.began));
                listing.narrowing.tail_ended(round.open);
                return false;
            }
            (View::Running, End::Whole) => {
                listing.narrowing.distrust(View::Running);
                listing.next = Some(now);
                return false;
            }
            (View::Running, _) => {
                listing.narrowing.give_up(View::Running);
                listing.next = Some(now);
            }
        }
        true
    }

    /// A filter is not used any more: the next round comes at once, without it.
    fn widen(&mut self, now: Moment) {
        let listing = &mut self.listing;
        let is_narrow = listing.narrowing.is_possible();
        listing.given_up |= listing.too_wide && !is_narrow;
        listing.switch(if is_narrow { View::Ours } else { View::All });
        listing.next = Some(now);
    }
}

impl Round {
    /// The page to go down to. A narrowed listing may have fewer pages than tasks of ours would fill.
    fn page_below(&self, rows: u64, total: Option<u64>) -> Option<u16> {
        let below = self.page - 1;
        let filled = total.filter(|_| self.view != View::All && rows == 0).map(|total| total.div_ceil(PAGE));
        filled
            .map_or(Some(below), |filled| u16::try_from(filled).ok())
            .map(|page| page.min(below))
            .filter(|page| *page > 0)
    }

    /// How many of `pages` it is likely to take yet, as dense as it has shown what it looks for.
    fn to_come(&self, pages: u64) -> u64 {
        let left = pages.saturating_sub(self.read);
        let unseen = self.open.saturating_sub(self.seen);
        (unseen * self.read).checked_div(self.seen).map_or(left, |pages| pages.min(left))
    }
}
