//! What rounds list, and what they have told about the rounds to come. Pure.

use std::time::Duration;

use super::filters::{ListFilters, PAGE, View};
use super::rounds::{End, Round};
use super::tasks::{Counts, SHARED_FOR};
use crate::model::Moment;
use crate::vod::TaskFilter;

/// Fewer open tasks than this are polled one by one.
const FEWEST_TO_LIST: u64 = 20;
/// A listing must be so many times cheaper than single calls before it is worth its lesser detail.
const LIST_GAIN: u64 = 3;
/// Rounds that showed nothing of ours before listings are given up.
const MOST_EMPTY_ROUNDS: u32 = 2;

/// Decides what the next round lists.
#[derive(Debug)]
pub(super) struct Listings {
    pub(super) filters: ListFilters,
    /// What whole rounds list, with which filter, and how many rows the service counted in the last one.
    view: View,
    filter: Option<TaskFilter>,
    total: Option<u64>,
    /// Counts rounds.
    rounds: u32,
    /// The last round, if it listed running tasks to the end, and when it began: what it did not show is polled alone.
    pub(super) running_round: Option<(u32, Moment)>,
    /// Everybody's tasks are too many to list; narrowed listings may do.
    are_too_many: bool,
    empty_rounds: u32,
    pub(super) is_given_up: bool,
}

impl Listings {
    pub(super) fn new() -> Self {
        Self {
            filters: ListFilters::default(),
            view: View::All,
            filter: None,
            total: None,
            rounds: 0,
            running_round: None,
            are_too_many: false,
            empty_rounds: 0,
            is_given_up: false,
        }
    }

    /// What the next round would list; `None` where single calls are cheaper.
    pub(super) fn next_view(&self, counts: Counts) -> Option<View> {
        // What a listing shows of the tasks of others, they need not ask for. They may do so all the same: a few tasks take no
        // more pages than there are.
        let (pages, all_open) = (self.pages_of(counts, self.view), counts.all_open());
        if all_open < FEWEST_TO_LIST || counts.open < FEWEST_TO_LIST.min(pages) {
            return None;
        }
        let is_out = self.is_given_up || self.are_too_many && self.view == View::All;
        let whole = (!is_out && pages * LIST_GAIN <= all_open).then_some(self.view);
        let otherwise = if whole.is_some() { pages } else { all_open };
        if self.filters.running_pays(all_open, otherwise) { Some(View::Running) } else { whole }
    }

    /// The pages of a whole listing.
    fn pages_of(&self, counts: Counts, view: View) -> u64 {
        let known = counts.all_known();
        match view {
            View::Running => self.filters.running_pages(counts.all_open()),
            _ if view != self.view => known.div_ceil(PAGE),
            _ => self.total.unwrap_or(0).max(known).div_ceil(PAGE),
        }
    }

    /// Whether listing tasks like ours takes clearly fewer calls than so many pages of all tasks.
    fn narrowing_saves(&self, counts: Counts, pages: u64) -> bool {
        let narrowed = self.pages_of(counts, View::Ours);
        self.view == View::All && self.filters.is_possible() && narrowed + narrowed.div_ceil(4) < pages
    }

    /// Where everybody's tasks are too many, single polls may have told by now what narrows a listing.
    pub(super) fn narrow_if_too_many(&mut self, counts: Counts) {
        if self.are_too_many && self.narrowing_saves(counts, self.pages_of(counts, View::All)) {
            self.switch(View::Ours);
        }
    }

    pub(super) fn begin_round(&mut self, now: Moment, counts: Counts) -> Round {
        if self.filter != self.filters.filter(self.view) {
            self.widen();
        }
        let view = self.next_view(counts).unwrap_or(self.view);
        let pages = self.pages_of(counts, view).clamp(1, u64::from(u16::MAX)) as u16;
        // Others may have read its first pages.
        let age = if counts.others.runs > 0 { SHARED_FOR } else { Duration::ZERO };
        let began = Moment::after(now.since_start().saturating_sub(age));
        self.running_round = None;
        self.rounds += 1;
        let filter = self.filters.filter(view);
        let mut round = Round::new(self.rounds, view, filter, began, pages, counts.open);
        round.others_open = counts.others.open;
        round.own_pages = (counts.others.runs > 0).then(|| counts.known.div_ceil(PAGE));
        round
    }

    /// A page of a round was read, which had `rows` rows: goes on with the next, or says how the round ended.
    pub(super) fn read_page(
        &mut self,
        counts: Counts,
        round: &mut Round,
        rows: u64,
        total: Option<u64>,
        is_last: bool,
    ) -> Option<End> {
        match round.view {
            View::Running => self.filters.running_total = total,
            View::All | View::Ours => self.total = total.or(self.total),
        }
        let Some(page) = round.next_page(rows, total, is_last) else {
            return Some(End::Whole);
        };
        (round.page, round.is_due) = (page, true);
        let pages = total.map_or_else(|| self.pages_of(counts, round.view), |total| total.div_ceil(PAGE));
        if round.view == View::All && self.narrowing_saves(counts, round.pages_left(pages)) {
            Some(End::Wide)
        } else {
            (round.read.max(pages) * LIST_GAIN > round.open + round.others_open).then_some(End::Dear)
        }
    }

    /// Takes in what a round that missed so many tasks tells about the rounds to come. `true` if the next one takes its place at
    /// once.
    pub(super) fn judge(&mut self, counts: Counts, round: &Round, end: End, missed: u64) -> bool {
        // What looks like others' may be of our own media, as long as not all of their tasks are known.
        let is_dear = end == End::Dear && counts.are_all_known;
        if round.view != View::All && round.seen > 0 {
            self.filters.has_shown();
        }
        match (round.view, end) {
            (View::All, End::Whole) => {
                self.empty_rounds = if missed > 0 && round.seen == 0 { self.empty_rounds + 1 } else { 0 };
                self.is_given_up |= self.empty_rounds >= MOST_EMPTY_ROUNDS;
                if self.narrowing_saves(counts, self.pages_of(counts, self.view)) {
                    self.switch(View::Ours);
                }
                false
            }
            (View::All, End::Wide) => {
                self.switch(View::Ours);
                true
            }
            (View::All, End::Refused) => {
                self.is_given_up = true;
                self.filters.is_off = true;
                false
            }
            (View::All, End::Dear) if self.filters.may_become_possible() => {
                self.are_too_many |= is_dear;
                is_dear
            }
            (View::All | View::Ours, End::Dear) => {
                self.is_given_up |= is_dear;
                is_dear
            }
            (View::Ours, End::Refused) => {
                self.filters.is_off = true;
                self.widen();
                true
            }
            (View::Ours, End::Whole) => {
                let hides_ours = self.filters.hides_ours(round.seen, missed);
                if hides_ours {
                    self.widen();
                }
                hides_ours
            }
            (View::Running, End::Whole) if round.seen > 0 => {
                self.running_round = Some((round.number, round.began));
                self.filters.running_ended(round.open);
                false
            }
            (View::Running, End::Whole) => {
                self.filters.hides_running();
                true
            }
            (View::Running, End::Dear | End::Refused) => {
                self.filters.is_running_off = true;
                true
            }
            // The next round finds out what holds now.
            (_, End::Overtaken | End::Wide) => true,
        }
    }

    /// A poll of a task that a round of running tasks did not show was answered.
    pub(super) fn missed_one_answered(&mut self, has_ended: bool) {
        self.filters.missed_one_answered(has_ended);
        self.running_round = self.running_round.filter(|_| !self.filters.is_running_off);
    }

    /// A filter is not used any more: the next round has another one or none.
    fn widen(&mut self) {
        let is_narrow = self.filters.is_possible();
        self.is_given_up |= self.are_too_many && !is_narrow;
        self.switch(if is_narrow { View::Ours } else { View::All });
    }

    /// Whole rounds list something else from now on.
    fn switch(&mut self, view: View) {
        (self.view, self.filter, self.total) = (view, self.filters.filter(view), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::polling::Others;

    fn counts(known: u64, open: u64) -> Counts {
        Counts { known, open, others: Others::default(), are_all_known: true, is_fresh: true }
    }

    /// Listings whose filter is known.
    fn listings() -> Listings {
        let mut listings = Listings::new();
        listings.filters.learn_type("file");
        listings
    }

    #[test]
    fn narrowing_must_save_a_page_and_more_than_a_quarter() {
        for (pages, narrowed, expected) in [
            (1, 1, false),
            (2, 1, false),
            (3, 1, true),
            (88, 8, true),
            (88, 80, false),
            (10, 8, false),
            (11, 8, true),
        ] {
            let counts = counts(narrowed * PAGE, 20);
            assert_eq!(listings().narrowing_saves(counts, pages), expected, "{narrowed} instead of {pages}");
        }
        assert!(!Listings::new().narrowing_saves(counts(50, 20), 88), "no filter is known");
        let mut narrowed = listings();
        narrowed.switch(View::Ours);
        assert!(!narrowed.narrowing_saves(counts(50, 20), 88), "they are narrowed already");
    }
}
