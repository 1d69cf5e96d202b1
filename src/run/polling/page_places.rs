//! On which pages of a listing the open tasks stood when they were last shown. Pure.
//!
//! A hint, so that a later round asks for those pages alone. Rows may move: a task that is not where it stood has no place
//! any more.

use std::collections::{BTreeMap, HashMap};

use crate::run::table::TaskIndex;

/// The places of open tasks, for one listing: they mean nothing where the filter is another.
#[derive(Debug, Default)]
pub(super) struct PagePlaces {
    /// The page of each task that has a place, from 1.
    pages: HashMap<TaskIndex, u16>,
    /// How many tasks stand on each page that has any.
    tasks: BTreeMap<u16, u32>,
}

impl PagePlaces {
    /// A task was shown on this page.
    pub(super) fn put(&mut self, task: TaskIndex, page: u16) {
        self.remove(task);
        self.pages.insert(task, page);
        *self.tasks.entry(page).or_default() += 1;
    }

    /// A task has ended, or was not where it stood.
    pub(super) fn remove(&mut self, task: TaskIndex) {
        let Some(page) = self.pages.remove(&task) else { return };
        let others = self.tasks.get(&page).map_or(0, |tasks| tasks - 1);
        match others {
            0 => self.tasks.remove(&page),
            _ => self.tasks.insert(page, others),
        };
    }

    pub(super) fn has(&self, task: TaskIndex) -> bool {
        self.pages.contains_key(&task)
    }

    /// How many tasks have a place.
    pub(super) fn placed(&self) -> u64 {
        self.pages.len() as u64
    }

    /// How many pages have tasks.
    pub(super) fn used(&self) -> u64 {
        self.tasks.len() as u64
    }

    /// The last page with tasks.
    pub(super) fn last(&self) -> Option<u16> {
        self.tasks.last_key_value().map(|(page, _)| *page)
    }

    /// The last page with tasks before `page`.
    pub(super) fn last_before(&self, page: u16) -> Option<u16> {
        self.tasks.range(..page).next_back().map(|(page, _)| *page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_without_open_tasks_are_skipped() {
        let mut places = PagePlaces::default();
        for (task, page) in [(0, 2), (9, 2), (4, 5)] {
            places.put(TaskIndex::new(task), page);
        }
        let before = [6, 5, 2].map(|page| places.last_before(page));
        assert_eq!((places.last(), before), (Some(5), [Some(5), Some(2), None]));
        assert_eq!((places.placed(), places.used()), (3, 2));
        places.remove(TaskIndex::new(0));
        places.put(TaskIndex::new(9), 5);
        assert_eq!((places.last_before(5), places.placed(), places.used()), (None, 2, 1));
        assert_eq!(
            [0, 4, 5, 9, 10].map(|task| places.has(TaskIndex::new(task))),
            [false, true, false, true, false]
        );
        places.remove(TaskIndex::new(0));
        places.remove(TaskIndex::new(99));
        assert_eq!(places.placed(), 2);
    }
}
