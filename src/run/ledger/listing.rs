//! Many tasks at once: pages of the account's tasks instead of one call for each id.
//!
//! A round lists the time window of the run, 50 rows a page, until every open task was seen. The service shows the newest
//! tasks first; a round begins with the last page, because the oldest tasks end first. It costs as many calls as there
//! are pages; asking one by one costs as many as there are tasks. Once tasks have been shown, a round asks only for the
//! pages on which open ones stood. Ids that a round did not show are asked for one by one, and so, now and then, is a task
//! that listings show as running for longer than tasks here take: a listing may be stale.
//!
//! Where other people's tasks make many pages, rounds are narrowed to tasks like ours; where few tasks are open on many
//! pages, to those that run (`narrow.rs`). Where single calls are cheaper all the same, listings are given up.

use std::time::Duration;

use super::named::UrlKey;
use super::narrow::{Narrowing, PAGE, View, saves};
use super::pages::Pages;
use super::rounds::Round;
use super::rows::{Asked, TaskEntry};
use super::stale::Trust;
use super::state::Ledger;
use super::work::Work;
use crate::model::Moment;
use crate::run::learned::{Expected, Learned};
use crate::vod::TaskRow;

/// Fewer open tasks than this are asked for one by one.
const FEWEST: u64 = 20;
/// A listing must be so much cheaper than single calls before it is worth its lesser detail.
pub(super) const GAIN: u64 = 3;

/// Where the listing of tasks stands.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The round that is on.
    pub(super) round: Option<Round>,
    /// Counts rounds.
    pub(super) number: u32,
    /// The next round begins here at the earliest: tasks that come up together are listed together.
    pub(super) next: Option<Moment>,
    /// Tasks that came up while the round was on.
    pub(super) held: Vec<u32>,
    /// What the round has shown of our tasks.
    pub(super) shown: Vec<(u32, TaskRow)>,
    /// What whole rounds list, with which filter, and since which round; how many rows the service counted in the last one,
    /// and where open tasks stood. Neither total nor places mean anything in another view.
    pub(super) view: View,
    pub(super) version: u32,
    pub(super) since: u32,
    pub(super) total: Option<u64>,
    pub(super) pages: Pages,
    pub(super) narrowing: Narrowing,
    /// All tasks are too many to list; narrowed listings may do.
    pub(super) too_wide: bool,
    /// The last round, if it listed running tasks to the end, and when it began: what it did not show is asked for alone.
    pub(super) tail: Option<(u32, Moment)>,
    pub(super) trust: Trust,
    /// Rounds without anything of ours, one after the other.
    pub(super) empty: u32,
    pub(super) given_up: bool,
    pub(super) learned: Learned,
    /// While nothing has ended: tasks that wait, until when, and how long that is. The first of them is due then.
    pub(super) waiting: Vec<u32>,
    pub(super) patience: Option<(Moment, Duration)>,
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
    pub(super) fn place(&self, entry: &TaskEntry) -> u16 {
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
    pub(super) fn switch(&mut self, view: View) {
        (self.view, self.version) = (view, self.narrowing.version());
        (self.since, self.total) = (self.number + 1, None);
        self.pages = Pages::default();
    }

    /// When tasks of this run end.
    pub(super) fn expected(&self) -> Option<Expected> {
        self.learned.expected()
    }
}

impl Ledger {
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
        self.due_page(now)
    }

    pub(super) fn open_tasks(&self) -> u64 {
        self.progress.tasks - self.progress.tasks_ended
    }

    pub(super) fn listing_pays(&self) -> bool {
        self.next_view().is_some()
    }

    /// What the next round would list; `None` where single calls are cheaper.
    pub(super) fn next_view(&self) -> Option<View> {
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
    pub(super) fn cost_of_round(&self) -> u64 {
        match self.goes_by_place() {
            true => self.listing.pages.used(),
            false => self.cost_of_whole_round(self.listing.view),
        }
    }

    pub(super) fn cost_of_whole_round(&self, view: View) -> u64 {
        match view {
            View::Running => self.listing.narrowing.tail_pages(self.open_tasks()),
            _ if view != self.listing.view => self.progress.tasks.div_ceil(PAGE),
            _ => self.listing.total.unwrap_or(0).max(self.progress.tasks).div_ceil(PAGE),
        }
    }

    /// Whether it is known where all but a few of the open tasks stand.
    pub(super) fn goes_by_place(&self) -> bool {
        let pages = &self.listing.pages;
        pages.used() > 0
            && self.open_tasks() < pages.placed() + FEWEST
            && pages.used() < self.cost_of_whole_round(self.listing.view)
    }

    /// Whether listing tasks like ours takes fewer calls than so many pages of all tasks.
    pub(super) fn narrowing_saves(&self, pages: u64) -> bool {
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
        if !self.media[owner as usize].named.has_one_url_a_task() || entry.alone {
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

    /// When the newest task of this run became known; `None` as long as more may come.
    pub(crate) fn complete_since(&self) -> Option<Moment> {
        (self.open_batches == 0 && self.undecided == 0).then_some(self.last_known)
    }

    /// The task of which the row of a listing may tell all.
    ///
    /// A task id may work for others as well, whose rows may stand on another page than ours: where the URL is not the
    /// one we know, only a look at the task alone tells.
    pub(super) fn listed_task(&self, row: &TaskRow) -> Option<u32> {
        let task = self.task_number(&row.task)?;
        let entry = &self.tasks[task as usize];
        let owner = entry.owners.only().filter(|_| entry.rows.len() <= 1 && entry.ended_at.is_none())?;
        let named = &self.media[owner as usize].named;
        let is_named = named.urls.place(UrlKey::of(&row.object_path)).is_some();
        (named.has_one_url_a_task() && is_named).then_some(task)
    }
}
