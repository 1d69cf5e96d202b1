//! What rounds list, and what they have told about the rounds to come. Pure.
//!
//! Once tasks have been shown, a round asks only for the pages on which open ones stood (`page_places.rs`).

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::filters::{ListFilters, PAGE, View};
use super::page_places::PagePlaces;
use super::rounds::{End, Round};
use super::tasks::{Counts, SHARED_FOR};
use crate::model::Moment;
use crate::run::table::TaskIndex;
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
    /// What whole rounds list, with which filter, how many rows the service counted in the last one, and where open tasks
    /// stood.
    view: View,
    filter: Option<TaskFilter>,
    total: Option<u64>,
    places: PagePlaces,
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
            places: PagePlaces::default(),
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
        let (pages, all_open) = (self.next_pages(counts), counts.all_open());
        if all_open < FEWEST_TO_LIST || counts.open < FEWEST_TO_LIST.min(pages) {
            return None;
        }
        let is_out = self.is_given_up || self.are_too_many && self.view == View::All;
        let whole = (!is_out && pages * LIST_GAIN <= all_open).then_some(self.view);
        let otherwise = if whole.is_some() { pages } else { all_open };
        if self.filters.running_pays(all_open, otherwise) { Some(View::Running) } else { whole }
    }

    /// The pages that the next round is likely to take, unless it lists running tasks.
    fn next_pages(&self, counts: Counts) -> u64 {
        if self.goes_by_places(counts) { self.places.used() } else { self.pages_of(counts, self.view) }
    }

    /// Whether it is known where all but a few of the open tasks stand, on fewer pages than there are.
    fn goes_by_places(&self, counts: Counts) -> bool {
        let used = self.places.used();
        used > 0
            && counts.open < self.places.placed() + FEWEST_TO_LIST
            && used < self.pages_of(counts, self.view)
    }

    /// Whether the next round would not look for a task, since nobody knows where it stands.
    pub(super) fn leaves_out(&self, counts: Counts, task: TaskIndex) -> bool {
        !self.places.has(task) && self.goes_by_places(counts) && self.next_view(counts) != Some(View::Running)
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
        let by_places = self.places.last().filter(|_| view != View::Running && self.goes_by_places(counts));
        let pages = self.pages_of(counts, view).clamp(1, u64::from(u16::MAX)) as u16;
        let open = if by_places.is_some() { self.places.placed() } else { counts.open };
        // Others may have read its first pages.
        let age = if counts.others.runs > 0 { SHARED_FOR } else { Duration::ZERO };
        let began = Moment::after(now.since_start().saturating_sub(age));
        self.running_round = None;
        self.rounds += 1;
        let filter = self.filters.filter(view);
        let mut round = Round::new(self.rounds, view, filter, began, by_places.unwrap_or(pages), open);
        round.is_by_places = by_places.is_some();
        round.others_open = counts.others.open;
        round.own_pages = (counts.others.runs > 0).then(|| counts.known.div_ceil(PAGE));
        round
    }

    /// A round showed a task on the page that was asked for. Running tasks stand elsewhere among themselves.
    pub(super) fn note_place(&mut self, round: &Round, task: TaskIndex) {
        if round.view != View::Running {
            self.places.put(task, round.page);
        }
    }

    /// A task has no place any more.
    pub(super) fn forget(&mut self, task: TaskIndex) {
        self.places.remove(task);
    }

    /// A page of a round was read, which had `rows` rows: goes on with the next, or says how the round ended.
    pub(super) fn read_page(
        &mut self,
        counts: Counts,
        round: &mut Round,
        rows: u64,
        newest_on_page: Option<DateTime<Utc>>,
        total: Option<u64>,
    ) -> Option<End> {
        match round.view {
            View::Running => self.filters.running_total = total,
            View::All | View::Ours => self.total = total.or(self.total),
        }
        let Some(page) = round.next_page(&self.places, rows, newest_on_page, total) else {
            return Some(End::Whole);
        };
        (round.page, round.is_due) = (page, true);
        let pages = total.map_or_else(|| self.pages_of(counts, round.view), |total| total.div_ceil(PAGE));
        if round.is_by_places {
            None
        } else if round.view == View::All && self.narrowing_saves(counts, round.pages_left(pages)) {
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
                if self.narrowing_saves(counts, self.next_pages(counts)) {
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
        self.places = PagePlaces::default();
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

    /// After a first round, which has shown a hundred tasks on six pages; all but `open` have ended since.
    fn on_six_pages(open: u32) -> Listings {
        let mut listings = listings();
        let mut round = listings.begin_round(Moment::START, counts(300, 100));
        for task in 0..100 {
            round.page = (task % 6 + 1) as u16;
            listings.note_place(&round, TaskIndex::new(task));
        }
        listings.judge(counts(300, 100), &round, End::Whole, 0);
        (open..100).for_each(|task| listings.forget(TaskIndex::new(task)));
        listings
    }

    fn places(listings: &Listings) -> (u64, u64) {
        (listings.places.used(), listings.places.placed())
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

    #[test]
    fn a_round_goes_by_places_where_they_are_known_of_all_but_a_few_and_on_fewer_pages() {
        for (placed, open, known, expected) in [
            (40, 40, 350, true),
            (40, 59, 350, true),
            (40, 60, 350, false), // twenty may be anywhere
            (40, 40, 300, false), // the whole listing has six pages as well
            (0, 19, 350, false),
        ] {
            let listings = on_six_pages(placed);
            let counts = counts(known, open);
            assert_eq!(listings.goes_by_places(counts), expected, "{placed} of {open} among {known}");
            assert!(!listings.leaves_out(counts, TaskIndex::new(0)) || placed == 0, "it has a place");
        }
        assert!(on_six_pages(40).leaves_out(counts(350, 41), TaskIndex::new(99)));
        assert!(!on_six_pages(40).leaves_out(counts(300, 41), TaskIndex::new(99)), "all pages are read");
    }

    #[test]
    fn a_round_by_places_goes_on_however_many_pages_there_are() {
        let mut listings = on_six_pages(40);
        let mut round = listings.begin_round(Moment::START, counts(350, 40));
        for page in [5, 4, 3, 2, 1] {
            assert_eq!(listings.read_page(counts(350, 40), &mut round, 50, None, Some(5_000)), None);
            assert_eq!(round.page, page);
        }
        let end = listings.read_page(counts(350, 40), &mut round, 50, None, Some(5_000));
        assert_eq!(end, Some(End::Whole));
        listings.judge(counts(350, 40), &round, End::Whole, 0);
        assert_eq!((listings.view, places(&listings)), (View::All, (6, 40)), "seven pages would be no gain");
    }

    #[test]
    fn a_round_of_running_tasks_leaves_their_places_alone() {
        let mut listings = on_six_pages(23);
        // As if such a round had been before, and had brought no single call.
        listings.filters.running_ended(0);
        assert_eq!(places(&listings), (6, 23));
        let round = listings.begin_round(Moment::START, counts(350, 23));
        assert_eq!((round.view, round.page), (View::Running, 1), "six pages are dear for so few");
        (0..23).for_each(|task| listings.note_place(&round, TaskIndex::new(task)));
        assert_eq!(places(&listings), (6, 23));
    }

    #[test]
    fn places_mean_nothing_with_another_filter() {
        let mut listings = listings();
        listings.switch(View::Ours);
        let round = listings.begin_round(Moment::START, counts(350, 100));
        listings.note_place(&round, TaskIndex::new(0));
        listings.filters.learn_domain("a.test");
        let round = listings.begin_round(Moment::START, counts(350, 19));
        assert!(!round.is_by_places && round.page == 7, "all pages again");
        assert_eq!(places(&listings), (0, 0));
    }
}
