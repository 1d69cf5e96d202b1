//! What the pretend cloud holds: jobs with their media, and CDN tasks.
//!
//! Nothing in here moves by itself. A row knows when it was made and how it will go; its state is computed when a request
//! asks for it. So 20,000 idle media cost nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::scenario::duration::later;
use super::scenario::{MediaScript, OneByOne};

/// One accepted call of `RefreshMediaPlayUrls`.
#[derive(Debug)]
pub(super) struct Job {
    /// `Refresh` or `Preload`.
    pub(super) task_type: String,
    pub(super) filter_policy: String,
    pub(super) user_data: Option<String>,
    pub(super) created: DateTime<Utc>,
    pub(super) media: Vec<MediaRow>,
}

/// One media of a job.
#[derive(Debug)]
pub(super) struct MediaRow {
    pub(super) media: String,
    /// When its URLs were handed to the CDN.
    pub(super) handed: DateTime<Utc>,
    pub(super) urls: Vec<String>,
    pub(super) task_ids: Vec<String>,
    pub(super) script: Arc<MediaScript>,
    /// So many lookups do not show it yet.
    pub(super) hidden_lookups: u32,
    /// Lookups that showed it.
    pub(super) lookups: Queries,
}

/// How often something was asked for, and since when.
#[derive(Debug, Default)]
pub(super) struct Queries {
    count: usize,
    first: Option<DateTime<Utc>>,
}

impl Queries {
    pub(super) fn add(&mut self, now: DateTime<Utc>) {
        self.count += 1;
        self.first.get_or_insert(now);
    }

    /// How many entries of a list are shown by now, where they come to light as `rule` says.
    pub(super) fn shown(&self, rule: OneByOne, now: DateTime<Utc>) -> usize {
        match rule {
            OneByOne::Looks(false) => usize::MAX,
            OneByOne::Looks(true) => self.count.max(1),
            OneByOne::Every(step) => {
                let passed = self.first.map_or(0, |first| (now - first).num_milliseconds().max(0));
                let steps = u128::from(passed.unsigned_abs()).checked_div(step.as_millis());
                steps.and_then(|n| usize::try_from(n + 1).ok()).unwrap_or(usize::MAX)
            }
        }
    }
}

/// One row of `DescribeVodRefreshTasks`: a URL under a task id.
#[derive(Debug, Clone)]
pub(super) struct TaskRow {
    pub(super) id: Arc<str>,
    pub(super) url: String,
    /// `file`, `directory`, `preload`, or what else a call names.
    pub(super) object_type: &'static str,
    pub(super) created: DateTime<Utc>,
    pub(super) course: Course,
    /// Not shown before.
    pub(super) visible: DateTime<Utc>,
    /// So many queries for its id do not show it yet.
    pub(super) hidden_queries: u32,
    /// Whose row it is; of nobody's media, a healthy one.
    pub(super) script: Arc<MediaScript>,
    /// Whether it has come to light, where rows do so one after another. Listings show no other rows.
    pub(super) shown: bool,
}

/// How a task goes.
#[derive(Debug, Clone)]
pub(super) struct Course {
    pub(super) pending: Duration,
    pub(super) duration: Duration,
    pub(super) end: End,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Complete,
    Failed(String),
    /// Any status word; how rows of other people end.
    Word(String),
    Never,
}

/// The fields of a row that change with time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Progress<'a> {
    pub(super) status: &'a str,
    pub(super) process: String,
    pub(super) description: Option<&'a str>,
}

impl TaskRow {
    pub(super) fn progress(&self, now: DateTime<Utc>) -> Progress<'_> {
        let age = (now - self.created).to_std().unwrap_or_default();
        let plain =
            |status, process: &str| Progress { status, process: process.to_owned(), description: None };
        let before_its_end = |word| self.script.telling.status_word.as_deref().unwrap_or(word);
        if age < self.course.pending {
            return plain(before_its_end("Pending"), "0%");
        }
        if age < self.course.duration || self.course.end == End::Never {
            let share = age.as_secs_f64() / self.course.duration.as_secs_f64().max(0.001);
            return plain(
                before_its_end("Refreshing"),
                &format!("{}%", ((share * 100.0) as u64).clamp(1, 99)),
            );
        }
        match &self.course.end {
            End::Failed(why) => Progress { status: "Failed", process: "100%".into(), description: Some(why) },
            End::Word(word) => plain(word, "100%"),
            End::Complete | End::Never => plain("Complete", "100%"),
        }
    }

    /// When it completed, if it has by now.
    pub(super) fn completed(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let end = later(self.created, self.course.duration);
        (self.course.end == End::Complete && end <= now).then_some(end)
    }

    pub(super) fn is_preload(&self) -> bool {
        self.object_type == "preload"
    }

    /// Whether a query for its id may show it.
    fn is_visible(&self, now: DateTime<Utc>) -> bool {
        self.created <= now && self.visible <= now && self.hidden_queries == 0
    }

    fn comes_one_by_one(&self) -> bool {
        self.script.telling.rows_one_by_one != OneByOne::default()
    }
}

/// A copy of one URL that the node of the CDN holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct StoredCopy {
    /// When the content came into the CDN.
    pub(super) came: DateTime<Utc>,
    /// When the origin gave or confirmed it.
    pub(super) confirmed: DateTime<Utc>,
    /// When this node stored it.
    pub(super) stored: DateTime<Utc>,
}

/// Most copies that are remembered.
const MAX_COPIES: usize = 100_000;

/// How long the service shows tasks.
pub(super) const HISTORY: TimeDelta = TimeDelta::days(3);

/// The rows of one task id.
#[derive(Debug, Default)]
struct OfId {
    /// Places in `tasks`, the oldest first.
    places: Vec<u32>,
    /// Queries for the first page that found rows.
    first_pages: Queries,
    queries: usize,
}

#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) jobs: HashMap<String, Job>,
    /// The copies that requests to the node made, by host and path.
    pub(super) copies: HashMap<String, StoredCopy>,
    tasks: Vec<TaskRow>,
    by_id: HashMap<Arc<str>, OfId>,
    /// The hosts of all URLs, in small letters.
    domains: HashSet<String>,
    /// Queries that named no id.
    listings: usize,
    /// Places in `tasks`, oldest first: listings take their page out of this without sorting.
    by_age: Vec<(DateTime<Utc>, u32)>,
    /// Whether some row may be hidden after its creation, so that a listing has to check each.
    some_hidden: bool,
    /// How many tasks there are of each type.
    of_type: HashMap<&'static str, usize>,
}

impl Store {
    pub(super) fn add_task(&mut self, row: TaskRow) {
        let Ok(place) = u32::try_from(self.tasks.len()) else { return };
        let domain = domain_of(&row.url);
        if !self.domains.contains(domain) {
            self.domains.insert(domain.to_ascii_lowercase());
        }
        self.some_hidden |= row.hidden_queries > 0 || row.visible > row.created || !row.shown;
        *self.of_type.entry(row.object_type).or_default() += 1;
        // Nearly always at the end, since time goes forward.
        let at = self.by_age.partition_point(|(created, _)| *created <= row.created);
        self.by_age.insert(at, (row.created, place));
        self.by_id.entry(Arc::clone(&row.id)).or_default().places.push(place);
        self.tasks.push(row);
    }

    /// Whether a URL with this host, in small letters, was ever handed in.
    pub(super) fn has_domain(&self, domain: &str) -> bool {
        self.domains.contains(domain)
    }

    /// The tasks that touch a file, given by host and path. A URL that ends in a slash stands for all below it.
    pub(super) fn tasks_of_place(&self, place: &str) -> Vec<&TaskRow> {
        let touches = |row: &&TaskRow| {
            let of_row = place_of(&row.url);
            of_row == place || of_row.ends_with('/') && place.starts_with(of_row)
        };
        self.tasks.iter().filter(touches).collect()
    }

    pub(super) fn keep_copy(&mut self, place: &str, copy: StoredCopy) {
        if self.copies.len() < MAX_COPIES || self.copies.contains_key(place) {
            self.copies.insert(place.to_owned(), copy);
        }
    }

    /// Counts a query, for one task id or for a listing, and returns how many there were before.
    pub(super) fn count_query(&mut self, id: Option<&str>) -> usize {
        let queries = match id {
            None => &mut self.listings,
            Some(id) => match self.by_id.get_mut(id) {
                Some(of_id) => &mut of_id.queries,
                None => return 0,
            },
        };
        *queries += 1;
        *queries - 1
    }

    /// The rows of one task id, newest first. Each query brings hidden rows nearer to the light; rows that come one by one
    /// wait for the next query of a first page.
    pub(super) fn rows_of(&mut self, id: &str, is_first_page: bool, now: DateTime<Utc>) -> Vec<&TaskRow> {
        let Some(OfId { places, first_pages, .. }) = self.by_id.get_mut(id) else { return Vec::new() };
        let mut seen = Vec::new();
        for &place in places.iter() {
            let row = &mut self.tasks[place as usize];
            if row.is_visible(now) && now - row.created <= HISTORY {
                seen.push(place);
            } else if row.created <= now && row.visible <= now {
                row.hidden_queries = row.hidden_queries.saturating_sub(1);
            }
        }
        if is_first_page && !seen.is_empty() {
            first_pages.add(now);
        }
        let mut count = 0;
        seen.retain(|&place| {
            let row = &mut self.tasks[place as usize];
            if row.comes_one_by_one() {
                count += 1;
                row.shown |= count <= first_pages.shown(row.script.telling.rows_one_by_one, now);
            }
            row.shown
        });
        seen.iter().rev().map(|&place| &self.tasks[place as usize]).collect()
    }

    /// One page of a listing, newest first, and how many rows there are in all.
    pub(super) fn list(
        &self,
        listing: &Listing<'_>,
        skip: usize,
        take: usize,
        now: DateTime<Utc>,
    ) -> (usize, Vec<&TaskRow>) {
        let from = listing.from.unwrap_or(now - HISTORY).max(now - HISTORY);
        let to = listing.to.unwrap_or(now).min(now);
        let first = self.by_age.partition_point(|(created, _)| *created < from);
        let last = self.by_age.partition_point(|(created, _)| *created <= to).max(first);
        let newest_first = self.by_age[first..last].iter().rev().map(|&(_, p)| &self.tasks[p as usize]);
        if !self.some_hidden && self.all_fit(listing) {
            return (last - first, newest_first.skip(skip).take(take).collect());
        }
        let mut total = 0;
        let mut page = Vec::new();
        for row in newest_first.filter(|row| row.is_visible(now) && row.shown && listing.fits(row, now)) {
            if total >= skip && page.len() < take {
                page.push(row);
            }
            total += 1;
        }
        (total, page)
    }

    /// Whether every row passes the filters of the listing.
    fn all_fit(&self, listing: &Listing<'_>) -> bool {
        let of_type = |kind| self.of_type.get(kind).copied().unwrap_or_default();
        listing.object_type.is_none_or(|kind| of_type(kind) == self.tasks.len())
            && !listing.hides_half
            && listing.url.is_none()
            && listing.domain.is_none()
            && listing.status.is_none()
    }

    /// Makes the tasks with this id that have not ended complete from now on. Returns how many those were.
    pub(super) fn complete(&mut self, id: &str, now: DateTime<Utc>) -> usize {
        let mut changed = 0;
        for &place in self.by_id.get(id).iter().flat_map(|of_id| &of_id.places) {
            let row = &mut self.tasks[place as usize];
            let status = Some(row.progress(now).status);
            if [Some("Pending"), Some("Refreshing"), row.script.telling.status_word.as_deref()]
                .contains(&status)
            {
                row.course = Course { pending: Duration::ZERO, duration: Duration::ZERO, end: End::Complete };
                changed += 1;
            }
        }
        changed
    }
}

/// The filters of a listing.
#[derive(Debug, Default)]
pub(super) struct Listing<'a> {
    pub(super) url: Option<&'a str>,
    pub(super) object_type: Option<&'a str>,
    pub(super) domain: Option<&'a str>,
    pub(super) status: Option<&'a str>,
    pub(super) from: Option<DateTime<Utc>>,
    pub(super) to: Option<DateTime<Utc>>,
    /// Every second task is left out.
    pub(super) hides_half: bool,
}

impl Listing<'_> {
    pub(super) fn fits(&self, row: &TaskRow, now: DateTime<Utc>) -> bool {
        self.url.is_none_or(|url| row.url == url)
            && self.object_type.is_none_or(|kind| row.object_type == kind)
            && self.domain.is_none_or(|domain| domain_of(&row.url).eq_ignore_ascii_case(domain))
            && self.status.is_none_or(|status| row.progress(now).status == status)
            && self.from.is_none_or(|from| row.created >= from)
            && self.to.is_none_or(|to| row.created <= to)
            && !(self.hides_half && row.id.bytes().map(u32::from).sum::<u32>() % 2 == 1)
    }
}

/// Host and path of a URL, with or without a scheme.
fn place_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['?', '#']).next().unwrap_or(rest)
}

/// The domain of a URL, with or without a scheme.
pub(super) fn domain_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', ':', '?']).next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_750_000_000, 0).unwrap()
    }

    fn row(id: &str, created: DateTime<Utc>) -> TaskRow {
        TaskRow {
            id: Arc::from(id),
            url: format!("https://a.test/{id}"),
            object_type: "file",
            created,
            course: Course {
                pending: Duration::from_secs(1),
                duration: Duration::from_secs(10),
                end: End::Complete,
            },
            visible: created,
            hidden_queries: 0,
            script: Arc::default(),
            shown: true,
        }
    }

    #[test]
    fn a_task_goes_from_pending_over_refreshing_to_its_end() {
        let mut task = row("1", start());
        let at = |task: &TaskRow, s: i64| {
            let shown = task.progress(start() + TimeDelta::seconds(s));
            format!("{} {} {}", shown.status, shown.process, shown.description.unwrap_or("-"))
        };
        assert_eq!(at(&task, 0), "Pending 0% -");
        assert_eq!(at(&task, 4), "Refreshing 40% -");
        assert_eq!(at(&task, 10), "Complete 100% -");
        task.course.end = End::Failed("Origin Timeout".into());
        assert_eq!(at(&task, 10), "Failed 100% Origin Timeout");
        task.course.end = End::Never;
        assert_eq!(at(&task, 1000), "Refreshing 99% -");
    }

    #[test]
    fn listings_are_newest_first_and_keep_three_days() {
        let mut store = Store::default();
        for (id, age_hours) in [("old", 73), ("a", 3), ("c", 1), ("b", 2), ("ahead", -1)] {
            store.add_task(row(id, start() - TimeDelta::hours(age_hours)));
        }
        let ids = |listing: &Listing<'_>, skip, take| {
            let (total, rows) = store.list(listing, skip, take, start());
            (total, rows.iter().map(|r| r.id.to_string()).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(ids(&Listing::default(), 0, 20), (3, "c b a".into()));
        assert_eq!(ids(&Listing::default(), 1, 1), (3, "b".into()));
        let window = Listing { from: Some(start() - TimeDelta::minutes(150)), ..Listing::default() };
        assert_eq!(ids(&window, 0, 20), (2, "c b".into()));
        assert_eq!(ids(&Listing { domain: Some("a.test"), ..window }, 1, 20), (2, "b".into()));
        assert_eq!(
            ids(&Listing { status: Some("Refreshing"), ..Listing::default() }, 0, 9),
            (0, String::new())
        );
    }

    #[test]
    fn a_hundred_thousand_tasks_are_listed_without_a_walk() {
        let mut store = Store::default();
        for n in 0..100_000 {
            store.add_task(row(&n.to_string(), start() + TimeDelta::milliseconds(n)));
        }
        let now = start() + TimeDelta::hours(1);
        for _ in 0..2_000 {
            let (total, page) = store.list(&Listing::default(), 0, 50, now);
            assert_eq!((total, page.len()), (100_000, 50));
            assert_eq!(store.rows_of("77777", true, now).len(), 1);
        }
    }

    #[test]
    fn looks_and_time_bring_a_hidden_row_to_light() {
        let mut store = Store::default();
        let mut hidden = row("1", start());
        hidden.visible = start() + TimeDelta::seconds(5);
        hidden.hidden_queries = 2;
        store.add_task(hidden);
        assert_eq!(store.rows_of("1", true, start()).len(), 0, "too early, which is no look");
        let later = start() + TimeDelta::seconds(5);
        let seen: Vec<usize> = (0..3).map(|_| store.rows_of("1", true, later).len()).collect();
        assert_eq!(seen, [0, 0, 1]);
    }

    #[test]
    fn entries_come_to_light_by_queries_or_by_time() {
        let mut queries = Queries::default();
        let every = |ms| OneByOne::Every(Duration::from_millis(ms));
        let shown = |queries: &Queries, rule, ms| queries.shown(rule, start() + TimeDelta::milliseconds(ms));
        assert_eq!((shown(&queries, OneByOne::Looks(true), 0), shown(&queries, every(5), 0)), (1, 1));
        queries.add(start());
        queries.add(start());
        assert_eq!(shown(&queries, OneByOne::Looks(true), 11), 2);
        assert_eq!(shown(&queries, every(5), 11), 3);
        assert_eq!(shown(&queries, every(0), 11), usize::MAX);
        assert_eq!(shown(&queries, OneByOne::default(), 11), usize::MAX);
    }
}
