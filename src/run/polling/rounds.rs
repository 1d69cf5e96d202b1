//! One round of a listing, page by page.
//!
//! The service shows the newest tasks first, and the oldest end first: a round begins with the last page and goes down. Then
//! it goes on from where it began, if that was not the last page after all.

use chrono::{DateTime, Utc};

use super::filters::{PAGE, View};
use super::page_places::PagePlaces;
use crate::model::{Fact, Moment};
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
    /// Only pages on which open tasks stood are asked for.
    pub(super) is_by_places: bool,
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
    /// When the newest of our tasks that it has shown was made.
    newest: Option<DateTime<Utc>>,
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
            is_by_places: false,
            open,
            seen: 0,
            read: 0,
            others_open: 0,
            own_pages: None,
            end: page,
            has_more: false,
            goes_up: false,
            newest: None,
            shown: Vec::new(),
        }
    }

    /// Takes a row of a task of ours.
    pub(super) fn show(&mut self, task: TaskIndex, row: TaskRow) {
        self.newest = self.newest.max(row.created_at);
        self.shown.push((task, row));
    }

    /// The page that follows the one that was just read, which had `rows` rows; `None` after the last.
    pub(super) fn next_page(
        &mut self,
        places: &PagePlaces,
        rows: u64,
        newest_on_page: Option<DateTime<Utc>>,
        total: Option<u64>,
    ) -> Option<u16> {
        self.read += 1;
        if self.is_by_places {
            return places.last_before(self.page);
        }
        if self.page >= self.end {
            self.end = self.page;
            self.has_more = rows >= PAGE && total.is_none_or(|total| u64::from(self.page) * PAGE < total);
        }
        // Rows of one task are made in one second: beyond it, none of ours has another row.
        if self.seen >= self.open && newest_on_page > self.newest {
            return None;
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
        u16::try_from(below).ok().filter(|page| *page > 0)
    }

    /// How many of `pages` it is likely to take yet, as dense as it has shown what it looks for.
    pub(super) fn pages_left(&self, pages: u64) -> u64 {
        let left = pages.saturating_sub(self.read);
        let unseen = self.open.saturating_sub(self.seen);
        (unseen * self.read).checked_div(self.seen).map_or(left, |pages| pages.min(left))
    }

    /// Facts of what it has shown, one for each task. Only a round that was read to its end has any: pages that were not read
    /// may show another row of the same task.
    pub(super) fn facts(&mut self) -> Vec<Fact> {
        let mut shown = std::mem::take(&mut self.shown);
        shown.sort_by_key(|(task, _)| *task);
        let rows_of_a_task = shown.chunk_by(|(one, _), (other, _)| one == other);
        rows_of_a_task
            .map(|rows| Fact::TaskSeen {
                task: rows[0].1.task.clone(),
                rows: rows.iter().map(|(_, row)| row.clone()).collect(),
                total: None,
            })
            .collect()
    }
}
