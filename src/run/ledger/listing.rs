//! Many tasks at once: pages of the account's tasks instead of one call for each id.
//!
//! A round lists the time window of the run, newest first, 50 rows a page, until every open task was seen. It costs as
//! many calls as there are pages; asking one by one costs as many as there are tasks. Ids that a round did not show are
//! asked for one by one, and so is a task that listings show as running for longer than tasks here take: a listing may
//! be stale. Where other people's tasks outnumber ours the listing is given up.

use std::time::Duration;

use super::{Ledger, Moment, Work};

/// Fewer open tasks than this are asked for one by one.
const FEWEST: u64 = 20;
/// A listing must be so much cheaper than single calls before it is worth its lesser detail.
const GAIN: u64 = 3;
/// Rows on a page. Source: "DescribeVodRefreshTasks", `PageSize`.
const PAGE: u64 = 50;
/// A listing that does not end is given up here.
const MOST_PAGES: u32 = 500;
/// A task that is younger may not be listed yet: windows end with the second, and creation is asynchronous.
const FRESH: Duration = Duration::from_secs(3);
/// Rounds that showed nothing of ours before listings are given up.
const MOST_EMPTY: u32 = 2;

/// Where the listing of tasks stands.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The page that is asked for; none: no round is on.
    page: Option<u32>,
    /// Whether that page still has to be handed out.
    due: bool,
    /// Counts rounds, and when the last one began.
    round: u32,
    began: Option<Moment>,
    /// The next round begins here at the earliest: tasks that come up together are listed together.
    next: Option<Moment>,
    /// Tasks that were open when the round began, and those of them that it has shown.
    open: u64,
    seen: u64,
    /// Rows of others in this round.
    foreign: u64,
    /// Tasks that came up while the round was on.
    held: Vec<u32>,
    /// Rows that the service counted in the last round.
    total: Option<u64>,
    /// Rounds without anything of ours, one after the other.
    empty: u32,
    given_up: bool,
    /// How long tasks of this run take, as learned so far, and from how many.
    learned: Duration,
    ended: u32,
}

impl Listing {
    pub(super) fn is_on(&self) -> bool {
        self.page.is_some()
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.given_up
    }

    /// A task was shown, by whatever call; gives back the round that is on, 0 for none.
    pub(super) fn saw(&mut self, shown_in: u32) -> u32 {
        if !self.is_on() {
            return shown_in;
        }
        self.seen += u64::from(shown_in != self.round);
        self.round
    }

    /// A task took so long, from becoming known to its end.
    pub(super) fn learn(&mut self, took: Duration) {
        self.ended += 1;
        // A running mean; the weight of the old ones is bounded, so that a change of pace is noticed.
        let weight = f64::from(self.ended.min(50));
        let mean = self.learned.as_secs_f64();
        self.learned = Duration::from_secs_f64(mean + (took.as_secs_f64() - mean) / weight);
    }
}

impl Ledger {
    /// Takes the next page of a round that is on.
    pub(super) fn due_page(&mut self) -> Option<Work> {
        let page = self.listing.page.filter(|_| std::mem::take(&mut self.listing.due))?;
        Some(Work::List { page })
    }

    /// A task is due: looks at it alone, begins a round, or lets it wait for the round that is on.
    pub(super) fn look_or_list(&mut self, now: Moment, task: u32) -> Option<Work> {
        if !self.can_be_listed(now, task) || !(self.listing.is_on() || self.listing_pays()) {
            let entry = &mut self.tasks[task as usize];
            entry.alone = false;
            return Some(Work::Look { task: entry.id.clone() });
        }
        if let Some(next) = self.listing.next.filter(|next| *next > now) {
            self.plan_look(task, next);
            return None;
        }
        self.listing.held.push(task);
        if self.listing.is_on() {
            return None;
        }
        let (open, listing) = (self.open_tasks(), &mut self.listing);
        (listing.page, listing.due) = (Some(1), true);
        (listing.open, listing.seen, listing.foreign) = (open, 0, 0);
        (listing.round, listing.began) = (listing.round + 1, Some(now));
        self.due_page()
    }

    fn open_tasks(&self) -> u64 {
        self.progress.tasks - self.progress.tasks_ended
    }

    fn listing_pays(&self) -> bool {
        let open = self.open_tasks();
        let rows = self.listing.total.unwrap_or(0).max(self.progress.tasks);
        !self.listing.given_up && open >= FEWEST && rows.div_ceil(PAGE) * GAIN <= open
    }

    /// Whether a listing's single row tells all about a task.
    ///
    /// It must be of this run (the window of the run is what is listed), work for one media, and have one URL.
    fn can_be_listed(&self, now: Moment, task: u32) -> bool {
        let entry = &self.tasks[task as usize];
        let (Some(owner), false) = (entry.owners.only(), self.batches.is_empty()) else { return false };
        let overdue = self.listing.ended > 0
            && entry.looks % 4 == 3
            && now.since(entry.known_since) > self.listing.learned * 2;
        self.media[owner.media as usize].one_url_a_task && !entry.alone && !overdue
    }

    /// Whether a task is of this run.
    pub(crate) fn knows(&self, id: &crate::ids::TaskId) -> bool {
        self.task_number(id).is_some()
    }

    /// Whether the row of a listing may stand for this task.
    pub(crate) fn lists(&self, id: &crate::ids::TaskId) -> bool {
        self.task_number(id).is_some_and(|task| {
            let entry = &self.tasks[task as usize];
            let owner = entry.owners.only().filter(|_| entry.rows.len() <= 1);
            entry.ended_at.is_none()
                && owner.is_some_and(|owner| self.media[owner.media as usize].one_url_a_task)
        })
    }

    /// A page came: `ours` of its `rows` were of open or ended tasks of this run.
    pub(super) fn listed(&mut self, now: Moment, page: u32, ours: u64, rows: u64, total: Option<u64>) {
        if self.listing.page != Some(page) {
            return;
        }
        let listing = &mut self.listing;
        listing.foreign += rows.saturating_sub(ours);
        listing.total = total.or(listing.total);
        let last = rows < PAGE || total.is_some_and(|total| u64::from(page) * PAGE >= total);
        let outnumbered = listing.foreign > PAGE + u64::from(page) * PAGE / 2;
        let all_seen = listing.seen >= listing.open;
        if !last && !outnumbered && !all_seen && page < MOST_PAGES {
            (listing.page, listing.due) = (Some(page + 1), true);
            return;
        }
        // What looks like others' may be of our own media, as long as not all of their tasks are known.
        listing.given_up |= outnumbered && self.undecided == 0;
        self.end_round(now, last || all_seen);
    }

    /// The service does not give listings.
    pub(super) fn listing_refused(&mut self, now: Moment) {
        self.listing.given_up = true;
        self.end_round(now, false);
    }

    /// What came up during the round is due again; what a whole round should have shown and did not, alone.
    fn end_round(&mut self, now: Moment, whole: bool) {
        (self.listing.page, self.listing.due) = (None, false);
        self.listing.next = Some(now + self.polling.first);
        let (round, began) = (self.listing.round, self.listing.began);
        let mut missed = false;
        for task in std::mem::take(&mut self.listing.held) {
            let entry = &mut self.tasks[task as usize];
            if entry.ended_at.is_none() && entry.due.is_none() && !entry.owners.is_empty() {
                entry.alone = whole
                    && entry.shown_in != round
                    && began.is_some_and(|began| entry.known_since + FRESH <= began);
                missed |= entry.alone;
                self.plan_look(task, now);
            }
        }
        let listing = &mut self.listing;
        listing.empty = if missed && listing.seen == 0 { listing.empty + 1 } else { 0 };
        listing.given_up |= listing.empty >= MOST_EMPTY;
    }
}
