//! Listings that filters narrow down: which filter, and whether it pays. Pure.
//!
//! How the service applies its filters is documented in outline only. So the words in them come from rows that it showed
//! of our own tasks. A filter that is refused, shows nothing, or hides what it should show is not used again in this
//! run. That a narrowed listing does not show a task proves nothing about the task: it is asked for alone.

use crate::vod::{TaskFilter, TaskStatus};

/// Rows on a page. Source: "DescribeVodRefreshTasks", `PageSize`.
pub(super) const PAGE: u64 = 50;
/// Of so many tasks that a narrowed round should show, it may lack one: rows move from page to page.
const MAY_LACK: u64 = 20;
/// A round of running tasks must be so much cheaper than what else could be done: it may bring more single calls.
const TAIL_GAIN: u64 = 2;
/// So many answers tell whether tasks that such a round did not show have ended.
const ENOUGH: u64 = 4;

/// What a round lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum View {
    /// All tasks of the time window.
    #[default]
    All,
    /// Those that are like ours: of their object type and, where all of them lie on one domain, on that.
    Ours,
    /// Those of them that run: few, once most have ended. It leaves out those that wait.
    Running,
}

/// The word that everything of ours shares.
#[derive(Debug, Default)]
enum Common {
    #[default]
    Unknown,
    One(Box<str>),
    Many,
}

impl Common {
    /// Says whether it has changed.
    fn learn(&mut self, word: &str) -> bool {
        *self = match self {
            Self::Many => return false,
            Self::One(known) if **known == *word => return false,
            Self::Unknown if !word.is_empty() => Self::One(word.into()),
            Self::Unknown | Self::One(_) => Self::Many,
        };
        true
    }

    fn one(&self) -> Option<&str> {
        match self {
            Self::One(word) => Some(word),
            Self::Unknown | Self::Many => None,
        }
    }
}

/// What is known of filters and what they brought.
#[derive(Debug, Default)]
pub(super) struct Narrowing {
    object_type: Common,
    domain: Common,
    /// A listing with the domain has shown tasks of ours.
    domain_is_good: bool,
    /// The domain is left out.
    without_domain: bool,
    is_off: bool,
    /// Counts what the filter has been.
    version: u32,
    tail: Tail,
}

/// Rounds that list the running tasks only.
#[derive(Debug, Default)]
struct Tail {
    is_off: bool,
    /// Rows that the last one counted.
    total: Option<u64>,
    /// Single calls that one is likely to bring.
    expected: Option<u64>,
    /// Tasks asked for alone because the last one did not show them; how many answers came; how many had not ended.
    asked: u64,
    answers: u64,
    open: u64,
}

impl Narrowing {
    /// A row of a task of ours was of this type.
    pub(super) fn learn_type(&mut self, word: &str) {
        self.version += u32::from(self.object_type.learn(word));
    }

    /// Whether a row of this type would tell anything new.
    pub(super) fn knows_type(&self, word: &str) -> bool {
        matches!(self.object_type, Common::Many) || self.object_type.one() == Some(word)
    }

    /// A URL of ours lies on this domain.
    pub(super) fn learn_domain(&mut self, domain: &str) {
        self.version += u32::from(self.domain.learn(domain));
    }

    /// Whether a listing can be narrowed to those like ours.
    pub(super) fn is_possible(&self) -> bool {
        !self.is_off && self.object_type.one().is_some()
    }

    /// Whether it may become possible.
    pub(super) fn may_become_possible(&self) -> bool {
        !self.is_off && !matches!(self.object_type, Common::Many)
    }

    /// Changes whenever the filter does.
    pub(super) fn version(&self) -> u32 {
        self.version
    }

    /// What narrows a listing to this view.
    pub(super) fn filter(&self, view: View) -> Option<TaskFilter> {
        let status = match view {
            View::All => return None,
            View::Ours => None,
            View::Running => Some(TaskStatus::Refreshing),
        };
        let object_type = self.object_type.one().filter(|_| !self.is_off)?.into();
        Some(TaskFilter { object_type, domain: self.domain_in_use().map(Into::into), status })
    }

    fn domain_in_use(&self) -> Option<&str> {
        self.domain.one().filter(|_| !self.without_domain)
    }

    /// A narrowed round has shown tasks of ours.
    pub(super) fn has_shown(&mut self) {
        self.domain_is_good |= self.domain_in_use().is_some();
    }

    /// A narrowed round did not show what it should have: the domain may be spelt otherwise, else it is the filter.
    pub(super) fn distrust(&mut self, view: View) {
        if self.domain_in_use().is_some() && !self.domain_is_good {
            self.without_domain = true;
            self.version += 1;
        } else {
            self.give_up(view);
        }
    }

    /// This view is not listed any more.
    pub(super) fn give_up(&mut self, view: View) {
        match view {
            View::Running => self.tail.is_off = true,
            View::All | View::Ours => self.is_off = true,
        }
    }

    /// Whether a round of running tasks is clearly cheaper than `otherwise` calls.
    pub(super) fn tail_pays(&self, open: u64, otherwise: u64) -> bool {
        let singles = self.tail.expected.unwrap_or(open / 4);
        let is_possible = self.is_possible() && !self.tail.is_off;
        is_possible && (self.tail_pages(open) + singles) * TAIL_GAIN <= otherwise
    }

    /// How many pages the running ones of so many open tasks are likely to take.
    pub(super) fn tail_pages(&self, open: u64) -> u64 {
        self.tail.total.unwrap_or(open).div_ceil(PAGE).max(1)
    }

    /// A page of running tasks counted so many rows in all.
    pub(super) fn tail_counted(&mut self, total: Option<u64>) {
        self.tail.total = total;
    }

    /// A round of running tasks is through; so many were open when it began.
    pub(super) fn tail_ended(&mut self, open: u64) {
        let tail = &mut self.tail;
        tail.expected = Some((tail.expected.unwrap_or(open / 4) + tail.asked) / 2);
        (tail.asked, tail.answers, tail.open) = (0, 0, 0);
    }

    /// A task is asked for alone, because a round of running tasks did not show it.
    pub(super) fn tail_lacks_one(&mut self) {
        self.tail.asked += 1;
    }

    /// What came of it. Where most have not ended, the round is no use: they wait, or the filter does not work.
    pub(super) fn tail_lacked(&mut self, has_ended: bool) {
        let tail = &mut self.tail;
        tail.answers += 1;
        tail.open += u64::from(!has_ended);
        tail.is_off |= tail.answers >= ENOUGH && tail.open * 2 > tail.answers;
    }

    /// Whether rounds of running tasks still come.
    pub(super) fn tail_is_off(&self) -> bool {
        self.tail.is_off
    }
}

/// Whether listing so many pages instead of `pages` is a gain worth having.
pub(super) fn saves(pages: u64, narrowed: u64) -> bool {
    narrowed + narrowed.div_ceil(4) < pages
}

/// Whether a whole narrowed round lacks so many of ours that its filter can't be trusted.
pub(super) fn hides(seen: u64, missed: u64) -> bool {
    missed * MAY_LACK > seen + missed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrowing() -> Narrowing {
        let mut narrowing = Narrowing::default();
        narrowing.learn_type("path");
        narrowing.learn_domain("a.test");
        narrowing
    }

    fn words(narrowing: &Narrowing, view: View) -> Option<String> {
        let filter = narrowing.filter(view)?;
        let status = filter.status.as_ref().map_or("-", TaskStatus::as_str);
        Some(format!("{} {} {status}", filter.object_type, filter.domain.as_deref().unwrap_or("-")))
    }

    #[test]
    fn a_filter_has_the_words_of_our_own_rows() {
        assert_eq!(words(&Narrowing::default(), View::Ours), None);
        let mut ours = narrowing();
        assert_eq!(words(&ours, View::All), None);
        assert_eq!(words(&ours, View::Ours).unwrap(), "path a.test -");
        assert_eq!(words(&ours, View::Running).unwrap(), "path a.test Refreshing");
        ours.learn_domain("b.test");
        assert_eq!(words(&ours, View::Ours).unwrap(), "path - -", "two domains");
        ours.learn_type("file");
        assert_eq!(words(&ours, View::Ours), None, "two types");
        assert!(!ours.may_become_possible());
    }

    #[test]
    fn a_domain_that_shows_nothing_is_left_out_before_the_filter_is() {
        let mut ours = narrowing();
        ours.distrust(View::Ours);
        assert_eq!(words(&ours, View::Ours).unwrap(), "path - -");
        ours.distrust(View::Ours);
        assert_eq!(words(&ours, View::Ours), None);

        let mut proven = narrowing();
        proven.has_shown();
        proven.distrust(View::Running);
        assert!(proven.tail_is_off());
        assert_eq!(
            words(&proven, View::Ours).unwrap(),
            "path a.test -",
            "the other view is as good as before"
        );
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
            assert_eq!(saves(pages, narrowed), expected, "{narrowed} instead of {pages}");
        }
    }

    #[test]
    fn a_filter_may_lack_one_in_twenty() {
        for (seen, missed, expected) in
            [(0, 0, false), (0, 1, true), (19, 1, false), (18, 1, true), (380, 20, false)]
        {
            assert_eq!(hides(seen, missed), expected, "{missed} missed, {seen} seen");
        }
    }

    #[test]
    fn running_tasks_are_listed_where_that_is_clearly_cheaper() {
        for (open, otherwise, expected) in [
            (100, 100, true),     // by single calls
            (100, 57, true),      // scattered over as many pages
            (100, 40, false),     // on fewer pages
            (20, 20, true),       // the fewest that are ever listed
            (4_000, 80, false),   // all of them: most may have ended
            (4_000, 4_000, true), // others' are too many to list them all
        ] {
            assert_eq!(narrowing().tail_pays(open, otherwise), expected, "{open} open, {otherwise} calls");
        }
        assert!(!Narrowing::default().tail_pays(100, 100), "no type is known");
    }

    #[test]
    fn rounds_of_running_tasks_learn_what_they_bring() {
        let mut ours = narrowing();
        ours.tail_counted(Some(90));
        ours.tail_ended(100);
        assert!(ours.tail_pays(100, 28), "nothing had ended");
        for _ in 0..90 {
            ours.tail_lacks_one();
            ours.tail_lacked(true);
        }
        ours.tail_ended(100);
        assert!(!ours.tail_pays(100, 100), "nearly all had ended, each was a call");
        assert!(!ours.tail_is_off());
    }

    #[test]
    fn running_tasks_that_are_not_shown_end_such_rounds() {
        for (ended, open, expected) in [(0, 3, false), (0, 4, true), (3, 3, false), (3, 4, true)] {
            let mut ours = narrowing();
            (0..ended).for_each(|_| ours.tail_lacked(true));
            (0..open).for_each(|_| ours.tail_lacked(false));
            assert_eq!(ours.tail_is_off(), expected, "{open} of {}", ended + open);
        }
    }
}
