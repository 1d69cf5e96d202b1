//! One round of a listing: page by page, and what it tells about the rounds to come.

use chrono::{DateTime, Utc};

use super::listing::GAIN;
use super::narrow::{PAGE, View, hides};
use super::rows::TaskEntry;
use super::state::Ledger;
use super::work::Work;
use crate::model::{Fact, Moment};
use crate::vod::TaskRow;

/// Rounds that showed nothing of ours before listings are given up.
const MOST_EMPTY: u32 = 2;

/// A round that is on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    pub(super) view: View,
    /// That of the filter.
    version: u32,
    /// The page that is asked for.
    pub(super) page: u16,
    /// Whether it still has to be handed out.
    due: bool,
    /// The highest page that was asked for, whether more may follow it, and whether those are being asked for.
    end: u16,
    more: bool,
    goes_up: bool,
    began: Moment,
    /// Only pages on which open tasks stood are asked for.
    by_place: bool,
    /// When the newest of our tasks that it has shown was made.
    newest: Option<DateTime<Utc>>,
    /// Tasks that it should show, those that it has shown, pages read.
    open: u64,
    pub(super) seen: u64,
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
    /// What it was narrowed by does not hold for all of ours any more.
    Overtaken,
}

impl Ledger {
    /// Takes the next page of a round that is on.
    pub(super) fn due_page(&mut self, now: Moment) -> Option<Work> {
        let round = self.listing.round.as_mut()?;
        if !std::mem::take(&mut round.due) {
            return None;
        }
        let (round, narrowing) = (*round, &self.listing.narrowing);
        if round.view != View::All && round.version != narrowing.version() {
            self.end_round(now, End::Overtaken);
            return None;
        }
        Some(Work::List { page: u32::from(round.page), filter: narrowing.filter(round.view) })
    }

    pub(super) fn begin_round(&mut self, now: Moment) {
        if self.listing.view == View::Ours && self.listing.version != self.listing.narrowing.version() {
            self.widen(now);
        }
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
            version: self.listing.narrowing.version(),
            page,
            due: true,
            end: page,
            more: false,
            goes_up: false,
            began: now,
            by_place,
            newest: None,
            open,
            seen: 0,
            read: 0,
        });
    }

    /// A page came, with rows of open or ended tasks of this run and of others.
    pub(super) fn listed(&mut self, now: Moment, page: u32, page_rows: Vec<TaskRow>, total: Option<u64>) {
        let Some(view) =
            self.listing.round.filter(|round| u32::from(round.page) == page).map(|round| round.view)
        else {
            return;
        };
        let (rows, newest_on_page) =
            (page_rows.len() as u64, page_rows.first().and_then(|row| row.created_at));
        for row in page_rows {
            let Some(task) = self.listed_task(&row) else { continue };
            self.listing.saw(&mut self.tasks[task as usize]);
            if let Some(round) = &mut self.listing.round {
                round.newest = round.newest.max(row.created_at);
            }
            self.listing.shown.push((task, row));
        }
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
        // Rows of one task are made in one second: beyond it, none of ours has another row.
        let all_seen = round.seen >= round.open && newest_on_page > round.newest;
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
                if round.view == View::All && !round.by_place && self.narrowing_saves(round.left_of(pages)) {
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
        let mut shown = std::mem::take(&mut self.listing.shown);
        if end != End::Whole {
            // Pages that were not read may show another row of the same task.
            shown.clear();
        }
        let are_told = !shown.is_empty();
        self.note_shown(shown);
        let mut held = std::mem::take(&mut self.listing.held);
        held.retain(|task| {
            let entry = &self.tasks[*task as usize];
            let is_told = are_told && entry.shown_in == number;
            entry.ended_at.is_none() && entry.due.is_none() && !entry.owners.is_empty() && !is_told
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

    /// Makes facts of what a round has shown, one for each task.
    fn note_shown(&mut self, mut shown: Vec<(u32, TaskRow)>) {
        shown.sort_by_key(|(task, _)| *task);
        let mut shown = shown.into_iter().peekable();
        while let Some((number, row)) = shown.next() {
            let (task, mut rows) = (row.task.clone(), vec![row]);
            while let Some((_, row)) = shown.next_if(|(next, _)| *next == number) {
                rows.push(row);
            }
            self.notes.push(Fact::TaskSeen { task, rows, total: None });
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
            (View::Ours, End::Whole | End::Wide) | (View::All, End::Overtaken) => {}
            // The next round finds out what holds now.
            (View::Ours | View::Running, End::Overtaken) => listing.next = Some(now),
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

    /// A filter is not used any more: the next round comes at once, with another one or none.
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
    fn left_of(&self, pages: u64) -> u64 {
        let left = pages.saturating_sub(self.read);
        let unseen = self.open.saturating_sub(self.seen);
        (unseen * self.read).checked_div(self.seen).map_or(left, |pages| pages.min(left))
    }
}
