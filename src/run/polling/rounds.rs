//! One round of a listing, page by page.
//!
//! The service shows the newest tasks first, and the oldest end first: a round begins with the last page and goes down. Then
//! it goes on from where it began, if that was not the last page after all.

use super::filters::{PAGE, View};
use crate::model::Moment;
use crate::run::table::TaskIndex;
use crate::vod::{TaskFilter, TaskRow};

/// A round that is on.
#[derive(Debug)]
pub(super) struct Round {
    /// Rounds are counted from 1.
    pub(super) number: u32,
    pub(super) view: View,
    pub(super) filter: Option<TaskFilter>,
    pub(super) began: Moment,
    /// The page that is asked for, and whether it still has to be handed out.
    pub(super) page: u16,
    pub(super) is_due: bool,
    /// Tasks that it should show; those that it has shown; pages read.
    pub(super) open: u64,
    pub(super) seen: u64,
    pub(super) read: u64,
    /// Open tasks of others, which it shows as well.
    pub(super) others_open: u64,
    /// The pages that tasks of this run fill; `None` where there are no others, and no page is empty.
    pub(super) own_pages: Option<u64>,
    /// The highest page that was asked for, whether more may follow it, and whether those are being asked for.
    end: u16,
    has_more: bool,
    goes_up: bool,
    /// Our tasks as it has shown them.
    shown: Vec<(TaskIndex, TaskRow)>,
}

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It showed all that it can show.
    Whole,
    /// It takes more calls than polling one by one.
    Dear,
    /// A narrowed one takes fewer pages.
    Wide,
    Refused,
    /// Its filter does not hold for all of ours any more.
    Overtaken,
}

impl Round {
    /// A round that begins with this page, and should show so many tasks.
    pub(super) fn new(
        number: u32,
        view: View,
        filter: Option<TaskFilter>,
        began: Moment,
        page: u16,
        open: u64,
    ) -> Self {
        Self {
            number,
            view,
            filter,
            began,
            page,
            is_due: true,
            open,
            seen: 0,
            read: 0,
            others_open: 0,
            own_pages: None,
            end: page,
            has_more: false,
            goes_up: false,
            shown: Vec::new(),
        }
    }

    /// Takes a row of a task of ours.
    pub(super) fn show(&mut self, task: TaskIndex, row: TaskRow) {
        self.shown.push((task, row));
    }

    /// The page that follows the one that was just read, which had `rows` rows; `None` after the last.
    pub(super) fn next_page(&mut self, rows: u64, total: Option<u64>, is_last: bool) -> Option<u16> {
        self.read += 1;
        if self.page >= self.end {
            self.end = self.page;
            self.has_more = !is_last;
        }
        if self.page == 1 || self.goes_up {
            self.goes_up = true;
            return self.end.checked_add(1).filter(|_| self.has_more);
        }
        // A narrowed listing may have fewer pages than tasks of ours would fill, and any of them than those of others would.
        let least = if self.view == View::All { self.own_pages } else { Some(0) };
        let filled = total.filter(|_| rows == 0).zip(least);
        let filled = filled.map(|(total, least)| total.div_ceil(PAGE).max(least));
        let below = filled.map_or(u64::from(self.page) - 1, |filled| filled.min(u64::from(self.page) - 1));
        if below < u64::from(self.page) - 1 {
            // The total may be wrong: what was left out is read from below.
            self.end = below as u16;
        }
        u16::try_from(below).ok().filter(|page| *page > 0)
    }

    /// How many of `pages` it is likely to take yet, as dense as it has shown what it looks for.
    pub(super) fn pages_left(&self, pages: u64) -> u64 {
        let left = pages.saturating_sub(self.read);
        let unseen = self.open.saturating_sub(self.seen);
        (unseen * self.read).checked_div(self.seen).map_or(left, |pages| pages.min(left))
    }

    /// The rows that it has shown of each task. They mean nothing unless it was read to its end: pages that were not read may
    /// show another row of the same task.
    pub(super) fn rows_by_task(&mut self) -> Vec<(TaskIndex, Vec<TaskRow>)> {
        let mut shown = std::mem::take(&mut self.shown);
        shown.sort_by_key(|(task, _)| *task);
        let rows_of_a_task = shown.chunk_by(|(one, _), (other, _)| one == other);
        rows_of_a_task.map(|rows| (rows[0].0, rows.iter().map(|(_, row)| row.clone()).collect())).collect()
    }
}
