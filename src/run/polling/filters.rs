//! Filters of a listing: which words they have, and whether they pay. Pure.
//!
//! How the service applies its filters is documented in outline only. So the words in them come from rows that it showed
//! of our own tasks. A filter that is refused, shows nothing, or hides what it should show is not used again in this
//! run. That a narrowed listing does not show a task proves nothing about the task: it is polled alone.

use crate::vod::{TaskFilter, TaskStatus};

/// Rows on a page. Source: "DescribeVodRefreshTasks", `PageSize`.
pub(super) const PAGE: u64 = 50;
/// Of so many tasks that a narrowed round should show, it may lack one: rows move from page to page.
const MAY_LACK: u64 = 20;
/// A round of running tasks must be so many times cheaper than what else could be done: it may bring more single calls.
const RUNNING_GAIN: u64 = 2;
/// After four answers about tasks that such rounds did not show, it is decided whether the rounds go on.
const ANSWERS_TO_JUDGE: u64 = 4;

/// What a round lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// All tasks of the time window.
    All,
    /// Those that are like ours: of their object type and, where all of them lie on one domain, on that.
    Ours,
    /// Those of them that run: few, once most have ended. It leaves out those that wait.
    Running,
}

/// The word that everything of ours shares.
#[derive(Debug, Default)]
enum Shared {
    #[default]
    Unknown,
    One(Box<str>),
    Many,
}

impl Shared {
    fn learn(&mut self, word: &str) {
        *self = match self {
            Self::One(known) if **known == *word => return,
            Self::Unknown if !word.is_empty() => Self::One(word.into()),
            Self::Unknown | Self::One(_) | Self::Many => Self::Many,
        };
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
pub(crate) struct ListFilters {
    object_type: Shared,
    domain: Shared,
    /// A listing with the domain has shown tasks of ours.
    is_domain_good: bool,
    /// The domain is left out.
    without_domain: bool,
    /// Nothing is narrowed any more, and running tasks are not listed any more.
    pub(super) is_off: bool,
    pub(super) is_running_off: bool,
    /// Rows that the service counted in the last round of running tasks.
    pub(super) running_total: Option<u64>,
    /// Single calls that a round of running tasks is likely to bring.
    running_brings: Option<u64>,
    /// Tasks polled because the last such round did not show them; how many answers came; how many had not ended.
    missed: u64,
    answers: u64,
    still_open: u64,
}

impl ListFilters {
    /// A row of a task of ours was of this type.
    pub(crate) fn learn_type(&mut self, word: &str) {
        self.object_type.learn(word);
    }

    /// What comes now is of another type.
    pub(crate) fn forget_type(&mut self) {
        self.object_type = Shared::default();
    }

    /// Whether a row of this type would tell anything new.
    pub(crate) fn knows_type(&self, word: &str) -> bool {
        matches!(self.object_type, Shared::Many) || self.object_type.one() == Some(word)
    }

    /// A URL of ours lies on this domain.
    pub(crate) fn learn_domain(&mut self, domain: &str) {
        self.domain.learn(domain);
    }

    /// Whether a listing can be narrowed to those like ours.
    pub(super) fn is_possible(&self) -> bool {
        !self.is_off && self.object_type.one().is_some()
    }

    /// Whether it may become possible.
    pub(super) fn may_become_possible(&self) -> bool {
        !self.is_off && !matches!(self.object_type, Shared::Many)
    }

    /// What narrows a listing to this view.
    pub(super) fn filter(&self, view: View) -> Option<TaskFilter> {
        let object_type = self.object_type.one().filter(|_| !self.is_off && view != View::All)?.into();
        let status = (view == View::Running).then_some(TaskStatus::Refreshing);
        Some(TaskFilter { object_type, domain: self.domain_in_use().map(Into::into), status })
    }

    fn domain_in_use(&self) -> Option<&str> {
        self.domain.one().filter(|_| !self.without_domain)
    }

    /// A narrowed round has shown tasks of ours.
    pub(super) fn has_shown(&mut self) {
        self.is_domain_good |= self.domain_in_use().is_some();
    }

    /// Whether a whole narrowed round lacks so many of ours that its filter can't be trusted, and is not used again.
    pub(super) fn hides_ours(&mut self, seen: u64, missed: u64) -> bool {
        let hides = missed * MAY_LACK > seen + missed;
        if hides && !self.drops_domain() {
            self.is_off = true;
        }
        hides
    }

    /// A round of running tasks showed nothing of ours.
    pub(super) fn hides_running(&mut self) {
        if !self.drops_domain() {
            self.is_running_off = true;
        }
    }

    /// The domain may be spelt otherwise at the service: it is to blame unless it has proved good.
    fn drops_domain(&mut self) -> bool {
        let is_suspect = self.domain_in_use().is_some() && !self.is_domain_good;
        self.without_domain |= is_suspect;
        is_suspect
    }

    /// Whether a round of running tasks is clearly cheaper than `otherwise` calls.
    pub(super) fn running_pays(&self, open: u64, otherwise: u64) -> bool {
        let singles = self.running_brings.unwrap_or(open / 4);
        let is_possible = self.is_possible() && !self.is_running_off;
        is_possible && (self.running_pages(open) + singles) * RUNNING_GAIN <= otherwise
    }

    /// How many pages the running ones of so many open tasks are likely to take.
    pub(super) fn running_pages(&self, open: u64) -> u64 {
        self.running_total.unwrap_or(open).div_ceil(PAGE).max(1)
    }

    /// A round of running tasks is through; so many were open when it began.
    pub(super) fn running_ended(&mut self, open: u64) {
        self.running_brings = Some((self.running_brings.unwrap_or(open / 4) + self.missed) / 2);
        (self.missed, self.answers, self.still_open) = (0, 0, 0);
    }

    /// A task is polled, because a round of running tasks did not show it.
    pub(super) fn missed_one(&mut self) {
        self.missed += 1;
    }

    /// What came of it. Where most have not ended, such rounds are no use: the tasks wait, or the filter does not work.
    pub(super) fn missed_one_answered(&mut self, has_ended: bool) {
        self.answers += 1;
        self.still_open += u64::from(!has_ended);
        self.is_running_off |= self.answers >= ANSWERS_TO_JUDGE && self.still_open * 2 > self.answers;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters() -> ListFilters {
        let mut filters = ListFilters::default();
        filters.learn_type("path");
        filters.learn_domain("a.test");
        filters
    }

    fn words(filters: &ListFilters, view: View) -> Option<String> {
        let filter = filters.filter(view)?;
        let status = filter.status.as_ref().map_or("-", TaskStatus::as_str);
        Some(format!("{} {} {status}", filter.object_type, filter.domain.as_deref().unwrap_or("-")))
    }

    #[test]
    fn a_filter_has_the_words_of_our_own_rows() {
        assert_eq!(words(&ListFilters::default(), View::Ours), None);
        let mut ours = filters();
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
        let mut ours = filters();
        assert!(ours.hides_ours(0, 1));
        assert_eq!(words(&ours, View::Ours).unwrap(), "path - -");
        assert!(ours.hides_ours(0, 1));
        assert_eq!(words(&ours, View::Ours), None);

        let mut proven = filters();
        proven.has_shown();
        proven.hides_running();
        assert!(proven.is_running_off);
        assert_eq!(
            words(&proven, View::Ours).unwrap(),
            "path a.test -",
            "the other view is as good as before"
        );
    }

    #[test]
    fn a_filter_may_lack_one_in_twenty() {
        for (seen, missed, expected) in
            [(0, 0, false), (0, 1, true), (19, 1, false), (18, 1, true), (380, 20, false)]
        {
            assert_eq!(filters().hides_ours(seen, missed), expected, "{missed} missed, {seen} seen");
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
            assert_eq!(filters().running_pays(open, otherwise), expected, "{open} open, {otherwise} calls");
        }
        assert!(!ListFilters::default().running_pays(100, 100), "no type is known");
    }

    #[test]
    fn rounds_of_running_tasks_learn_what_they_bring() {
        let mut ours = filters();
        ours.running_total = Some(90);
        ours.running_ended(100);
        assert!(ours.running_pays(100, 28), "nothing had ended");
        for _ in 0..90 {
            ours.missed_one();
            ours.missed_one_answered(true);
        }
        ours.running_ended(100);
        assert!(!ours.running_pays(100, 100), "nearly all had ended, each was a call");
        assert!(!ours.is_running_off);
    }

    #[test]
    fn running_tasks_that_are_not_shown_end_such_rounds() {
        for (ended, open, expected) in [(0, 3, false), (0, 4, true), (3, 3, false), (3, 4, true)] {
            let mut ours = filters();
            (0..ended).for_each(|_| ours.missed_one_answered(true));
            (0..open).for_each(|_| ours.missed_one_answered(false));
            assert_eq!(ours.is_running_off, expected, "{open} of {}", ended + open);
        }
    }
}
