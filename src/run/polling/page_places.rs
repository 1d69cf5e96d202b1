//! On which pages of a listing the open tasks stood when they were last shown. Pure.
//!
//! A hint, so that a later round asks for those pages alone. Rows may move: a task that is not where it stood has no place
//! any more.

use std::collections::BTreeMap;

/// The places of open tasks, for one listing: they mean nothing where the filter is another.
#[derive(Debug, Default)]
pub(super) struct PagePlaces {
    /// The page of each task, from 1; 0 for none.
    pages: Vec<u16>,
    /// How many tasks stand on each page that has any, and on all pages.
    tasks: BTreeMap<u16, u32>,
    placed: u64,
}

impl PagePlaces {
    /// A task was shown on this page.
    pub(super) fn put(&mut self, task: u32, page: u16) {
        self.remove(task);
        let task = task as usize;
        self.pages.resize(self.pages.len().max(task + 1), 0);
        self.pages[task] = page;
        *self.tasks.entry(page).or_default() += 1;
        self.placed += 1;
    }

    /// A task has ended, or was not where it stood.
    pub(super) fn remove(&mut self, task: u32) {
        let Some(page) = self.pages.get_mut(task as usize).map(std::mem::take).filter(|page| *page > 0)
        else {
            return;
        };
        self.placed -= 1;
        if let Some(tasks) = self.tasks.get_mut(&page) {
            *tasks -= 1;
            if *tasks == 0 {
                self.tasks.remove(&page);
            }
        }
    }

    pub(super) fn has(&self, task: u32) -> bool {
        self.pages.get(task as usize).is_some_and(|page| *page > 0)
    }

    /// How many tasks have a place.
    pub(super) fn placed(&self) -> u64 {
        self.placed
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
            places.put(task, page);
        }
        let before = [6, 5, 2].map(|page| places.last_before(page));
        assert_eq!((places.last(), before), (Some(5), [Some(5), Some(2), None]));
        assert_eq!((places.placed(), places.used()), (3, 2));
        places.remove(0);
        places.put(9, 5);
        assert_eq!((places.last_before(5), places.placed(), places.used()), (None, 2, 1));
        assert_eq!([0, 4, 5, 9, 10].map(|task| places.has(task)), [false, true, false, true, false]);
        places.remove(0);
        places.remove(99);
        assert_eq!(places.placed(), 2);
    }
}
