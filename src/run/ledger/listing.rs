//! Many tasks at once: pages of the account's tasks instead of one call for each id.
//!
//! A round lists the time window of the run, 50 rows a page, until every open task was seen. The service shows the newest
//! tasks first; a round begins with the last page, because the oldest tasks end first. It costs as many calls as there
//! are pages; asking one by one costs as many as there are tasks. Once tasks have been shown, a
//! round asks only for the pages on which open ones stood. Ids that a round did not show are asked for one by one, and
//! so is a task that listings show as running for longer than tasks here take: a listing may be stale. Where other
//! people's tasks are so many that single calls are cheaper, the listing is given up.
//!
//! Before any task of the run has ended, a few are looked at and stand for the others: listing thousands of tasks that
//! can't be done yet tells nothing.

use std::time::Duration;

use super::pages::Pages;
use super::{Ledger, Moment, Work};
use crate::run::learned::{Expected, Learned};

/// Fewer open tasks than this are asked for one by one.
const FEWEST: u64 = 20;
/// A listing must be so much cheaper than single calls before it is worth its lesser detail.
const GAIN: u64 = 3;
/// Rows on a page. Source: "DescribeVodRefreshTasks", `PageSize`.
const PAGE: u64 = 50;
/// A task that is younger may not be listed yet: windows end with the second, and creation is asynchronous.
const FRESH: Duration = Duration::from_secs(3);
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
    /// Rows that the service counted in the last round.
    total: Option<u64>,
    pages: Pages,
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

impl Listing {
    pub(super) fn is_given_up(&self) -> bool {
        self.given_up
    }

    /// A task was shown; gives back the round and the page that are on, or what stood there.
    pub(super) fn saw(&mut self, shown_in: u32, page: u16) -> (u32, u16) {
        let Some(round) = &mut self.round else { return (shown_in, page) };
        round.seen += u64::from(shown_in != self.number);
        self.pages.moves(page, round.page);
        (self.number, round.page)
    }

    /// A task is not looked for any more; it stood on `page`.
    pub(super) fn forget(&mut self, page: u16) {
        self.pages.moves(page, 0);
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
        std::mem::take(&mut round.due).then_some(Work::List { page: u32::from(round.page) })
    }

    /// A task is due, and its plan is used up: looks at it alone, begins a round, or lets it wait for the round that is on.
    pub(super) fn look_or_list(&mut self, now: Moment, task: u32) -> Option<Work> {
        let is_on = self.listing.round.is_some();
        if !self.can_be_listed(now, task) || !(is_on || self.listing_pays()) || self.stands_in(task) {
            let entry = &mut self.tasks[task as usize];
            entry.alone = false;
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
        let by_place = self.goes_by_place();
        let last = self.cost_of_whole_round().clamp(1, u64::from(u16::MAX)) as u16;
        let (page, open) = match self.listing.pages.last() {
            Some(page) if by_place => (page, self.listing.pages.placed()),
            _ => (last, self.open_tasks()),
        };
        self.listing.number += 1;
        self.listing.round = Some(Round {
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
        let open = self.open_tasks();
        !self.listing.given_up && open >= FEWEST && self.cost_of_round() * GAIN <= open
    }

    /// Calls that a round takes.
    fn cost_of_round(&self) -> u64 {
        if self.goes_by_place() { self.listing.pages.used() } else { self.cost_of_whole_round() }
    }

    fn cost_of_whole_round(&self) -> u64 {
        self.listing.total.unwrap_or(0).max(self.progress.tasks).div_ceil(PAGE)
    }

    /// Whether it is known where all but a few of the open tasks stand.
    fn goes_by_place(&self) -> bool {
        let pages = &self.listing.pages;
        pages.used() > 0
            && self.open_tasks() < pages.placed() + FEWEST
            && pages.used() < self.cost_of_whole_round()
    }

    /// Whether a listing's single row tells all about a task.
    ///
    /// It must be of this run (the window of the run is what is listed), work for one media, and have one URL.
    fn can_be_listed(&self, now: Moment, task: u32) -> bool {
        let entry = &self.tasks[task as usize];
        let (Some(owner), false) = (entry.owners.only(), self.batches.is_empty()) else { return false };
        let overdue = entry.looks % 4 == 3
            && self.listing.expected().is_some_and(|expected| {
                self.age(now, task).is_some_and(|age| age > expected.early + expected.late)
            });
        let has_waited = self.listing.next.is_none_or(|next| now >= next);
        let lost = entry.page == 0 && has_waited && self.goes_by_place();
        self.media[owner.media as usize].one_url_a_task && !entry.alone && !overdue && !lost
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
        let whole_cost = self.cost_of_whole_round();
        let listing = &mut self.listing;
        let Some(round) = listing.round.as_mut().filter(|round| u32::from(round.page) == page) else {
            return;
        };
        round.read += 1;
        listing.total = total.or(listing.total);
        if round.page >= round.end {
            (round.end, round.more) = (round.page, !round.by_place && rows >= PAGE);
            round.more &= total.is_none_or(|total| u64::from(page) * PAGE < total);
        }
        let dear = !round.by_place
            && round.read.max(total.map_or(whole_cost, |total| total.div_ceil(PAGE))) * GAIN > round.open;
        let all_seen = round.seen >= round.open;
        let following = match round.by_place {
            true => listing.pages.last_before(round.page),
            false if all_seen => None,
            // Down to the first page; then on from where it began, if that was not the last one after all.
            false if round.page > 1 && !round.goes_up => Some(round.page - 1),
            false => {
                round.goes_up = true;
                round.end.checked_add(1).filter(|_| round.more)
            }
        };
        if let Some(page) = following.filter(|_| !dear) {
            (round.page, round.due) = (page, true);
            return;
        }
        // What looks like others' may be of our own media, as long as not all of their tasks are known.
        listing.given_up |= dear && self.undecided == 0;
        self.end_round(now, !dear || all_seen);
    }

    /// The service does not give listings.
    pub(super) fn listing_refused(&mut self, now: Moment) {
        self.listing.given_up = true;
        self.end_round(now, false);
    }

    /// What came up during the round is due again; what a whole round should have shown and did not, alone.
    fn end_round(&mut self, now: Moment, whole: bool) {
        let gap = self.listing.expected().map_or(self.polling.first, |expected| {
            expected.spread.clamp(self.polling.first, self.polling.cap)
        });
        self.listing.next = Some(now + gap);
        let (number, round) = (self.listing.number, self.listing.round.take());
        let mut missed = false;
        for task in std::mem::take(&mut self.listing.held) {
            let entry = &mut self.tasks[task as usize];
            if entry.ended_at.is_some() || entry.due.is_some() || entry.owners.is_empty() {
                continue;
            }
            let was_shown = entry.shown_in == number;
            match round {
                Some(Round { by_place: true, .. }) if !was_shown => {
                    self.listing.forget(std::mem::take(&mut entry.page));
                }
                Some(Round { began, .. }) => {
                    entry.alone = whole && !was_shown && entry.known_since + FRESH <= began;
                    missed |= entry.alone;
                }
                None => {}
            }
            self.plan_look(task, now);
        }
        let listing = &mut self.listing;
        let nothing = round.is_some_and(|round| round.seen == 0);
        listing.empty = if missed && nothing { listing.empty + 1 } else { 0 };
        listing.given_up |= listing.empty >= MOST_EMPTY;
    }
}
