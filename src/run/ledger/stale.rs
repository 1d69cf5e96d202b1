//! Whether listings are behind: tasks that they keep showing as running are asked for alone now and then.

/// Looks at a task of which one is at it alone, as long as listings may be behind, and once they have proved right.
const OFTEN: u32 = 4;
const SELDOM: u32 = 16;
/// So many right answers prove a listing right; more are not remembered. A wrong one takes away as many.
const ENOUGH: u32 = 8;
const MOST: u32 = 4 * ENOUGH;

/// How right listings have been, as single looks tell.
#[derive(Debug, Default)]
pub(super) struct Trust(u32);

impl Trust {
    /// A task that a listing had shown as running was asked for alone.
    ///
    /// That it has ended may have happened since; where it happens again and again, the listing is behind.
    pub(super) fn answered(&mut self, still_runs: bool) {
        self.0 = if still_runs { (self.0 + 1).min(MOST) } else { self.0.saturating_sub(ENOUGH) };
    }

    /// Whether the next look at an overdue task is at it alone, after so many looks.
    pub(super) fn asks_alone(&self, looks: u32) -> bool {
        let every = if self.0 >= ENOUGH { SELDOM } else { OFTEN };
        looks % every == every - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(trust: &Trust) -> usize {
        (0..160).filter(|looks| trust.asks_alone(*looks)).count()
    }

    #[test]
    fn a_listing_that_proves_right_is_checked_less_often() {
        let mut trust = Trust::default();
        assert_eq!(share(&trust), 40);
        (0..100).for_each(|_| trust.answered(true));
        assert_eq!(share(&trust), 10);
        (0..3).for_each(|_| trust.answered(false));
        assert_eq!(share(&trust), 10, "tasks do end between two looks");
        trust.answered(false);
        assert_eq!(share(&trust), 40, "one after the other has ended, and no listing said so");
    }
}
