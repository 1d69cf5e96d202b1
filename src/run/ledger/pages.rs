//! On which pages of the listing our open tasks stood when they were last shown.
//!
//! A hint, so that a later round asks for those pages alone. Rows may move; a task that is not where it stood has no
//! place any more.

/// Open tasks by page. A task keeps its own page number: 1 and up, 0 for none.
#[derive(Debug, Default)]
pub(super) struct Pages {
    open: Vec<u32>,
    placed: u64,
    used: u64,
}

impl Pages {
    /// A task goes from one page to another, or to none.
    pub(super) fn moves(&mut self, from: u16, to: u16) {
        if from == to {
            return;
        }
        if let Some(old) = slot(&mut self.open, from) {
            *old -= 1;
            self.placed -= 1;
            self.used -= u64::from(*old == 0);
        }
        if to > 0 && self.open.len() < usize::from(to) {
            self.open.resize(usize::from(to), 0);
        }
        if let Some(new) = slot(&mut self.open, to) {
            *new += 1;
            self.placed += 1;
            self.used += u64::from(*new == 1);
        }
    }

    /// Open tasks that have a place.
    pub(super) fn placed(&self) -> u64 {
        self.placed
    }

    /// Pages with open tasks.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// The last page with open tasks.
    pub(super) fn last(&self) -> Option<u16> {
        self.last_before(u16::MAX)
    }

    /// The last page with open tasks before `page`.
    pub(super) fn last_before(&self, page: u16) -> Option<u16> {
        let end = usize::from(page).saturating_sub(1).min(self.open.len());
        let place = self.open[..end].iter().rposition(|open| *open > 0)?;
        u16::try_from(place + 1).ok()
    }
}

fn slot(open: &mut [u32], page: u16) -> Option<&mut u32> {
    open.get_mut(usize::from(page).checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_without_open_tasks_are_skipped() {
        let mut pages = Pages::default();
        for page in [2, 2, 5] {
            pages.moves(0, page);
        }
        let before = [6, 5, 2].map(|page| pages.last_before(page));
        assert_eq!((pages.last(), before), (Some(5), [Some(5), Some(2), None]));
        assert_eq!((pages.placed(), pages.used()), (3, 2));
        pages.moves(2, 0);
        pages.moves(2, 5);
        assert_eq!((pages.last_before(5), pages.placed(), pages.used()), (None, 2, 1));
    }
}
