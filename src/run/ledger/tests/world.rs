//! The property: order, repetition and loss of facts change no report.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::vod::TaskFilter;

/// What really happens to one media.
#[derive(Debug, Clone)]
enum Fate {
    NotFound,
    Forbidden,
    Fails,
    NoUrls,
    Tasks(Vec<bool>),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        1 => Just(Fate::NotFound),
        1 => Just(Fate::Forbidden),
        1 => Just(Fate::Fails),
        1 => Just(Fate::NoUrls),
        8 => prop::collection::vec(prop::bool::weighted(0.9), 1..5).prop_map(Fate::Tasks),
    ]
}

/// How listings treat their filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filtering {
    Works,
    Refused,
    ShowsNothing,
    KnowsNoDomain,
    HidesHalf,
    Ignored,
}

fn filtering() -> impl Strategy<Value = Filtering> {
    use Filtering::*;
    prop::sample::select(vec![Works, Refused, ShowsNothing, KnowsNoDomain, HidesHalf, Ignored])
}

/// How listings go: what they count, what else is in them, and how many queries show tasks that still run.
#[derive(Debug, Clone)]
struct Listings {
    filtering: Filtering,
    /// `None`: the truth.
    total: Option<Option<u64>>,
    others: usize,
    slow: u32,
}

fn listings() -> impl Strategy<Value = Listings> {
    let total = prop_oneof![Just(None), Just(Some(None)), Just(Some(Some(7))), Just(Some(Some(5_000)))];
    (filtering(), total, prop::sample::select(vec![20, 400]), 0u32..100)
        .prop_map(|(filtering, total, others, slow)| Listings { filtering, total, others, slow })
}

/// The truth about a run, which answers every question about it.
struct World {
    fates: Vec<Fate>,
    listings: Listings,
    queries: std::cell::Cell<u32>,
}

impl World {
    fn new(fates: Vec<Fate>, listings: Listings) -> Self {
        Self { fates, listings, queries: std::cell::Cell::default() }
    }

    fn id(n: usize) -> String {
        format!("m{n}")
    }

    fn job_of(n: usize) -> String {
        format!("J{}", n / 20)
    }

    fn submission(&self, batch: u32) -> Fact {
        let range = batch as usize * 20..self.fates.len().min(batch as usize * 20 + 20);
        let listed = |wanted: fn(&Fate) -> bool| {
            range.clone().filter(|n| wanted(&self.fates[*n])).map(Self::id).collect()
        };
        let not_found: Vec<String> = listed(|f| matches!(f, Fate::NotFound));
        let forbidden: Vec<String> = listed(|f| matches!(f, Fate::Forbidden));
        let any = not_found.len() + forbidden.len() < range.len();
        let job = any.then(|| job(&Self::job_of(batch as usize * 20)));
        Fact::Submitted { batch, job, not_found, forbidden, request_id: None }
    }

    fn tasks(&self, n: usize) -> Vec<(String, bool)> {
        match &self.fates[n] {
            Fate::Tasks(ends) => ends.iter().enumerate().map(|(k, ok)| (format!("T{n}-{k}"), *ok)).collect(),
            _ => vec![],
        }
    }

    fn row(&self, n: usize) -> Option<JobRow> {
        let ids: Vec<TaskId> = self.tasks(n).iter().map(|(id, _)| task(id)).collect();
        // Every third media shows no URLs, so that listings and single looks take turns.
        let urls: Vec<String> =
            ids.iter().filter(|_| !n.is_multiple_of(3)).map(|id| format!("https://a/{id}")).collect();
        match &self.fates[n] {
            Fate::NotFound | Fate::Forbidden => None,
            Fate::Fails => Some(row(&Self::id(n), SubmissionStatus::Fail, &[])),
            Fate::NoUrls => Some(success(&Self::id(n), &[])),
            Fate::Tasks(_) => {
                Some(JobRow::new(media(&Self::id(n)), SubmissionStatus::Success, ids, &urls.join(",")))
            }
        }
    }

    fn rows_of(&self, job_id: &str) -> Vec<JobRow> {
        (0..self.fates.len()).filter(|n| Self::job_of(*n) == job_id).filter_map(|n| self.row(n)).collect()
    }

    /// A task of ours as it ends; one that nobody made up ends well, so that a forgery has every chance.
    fn end_of(&self, id: &str) -> Fact {
        let (n, k) = id.trim_start_matches('T').split_once('-').unwrap();
        let (n, k): (usize, usize) = (n.parse().unwrap(), k.parse().unwrap());
        let tasks = if n < self.fates.len() { self.tasks(n) } else { vec![] };
        let ok = tasks.get(k).is_none_or(|task| task.1);
        seen_as("file", id, if ok { TaskStatus::Complete } else { TaskStatus::Failed })
    }

    /// A task of ours as a query shows it.
    fn shown(&self, id: &str) -> Fact {
        if self.queries.get() < self.listings.slow {
            seen_as("file", id, TaskStatus::Refreshing)
        } else {
            self.end_of(id)
        }
    }

    /// All the facts of a run, with forged events and stale answers among them, in the order of time.
    fn facts(&self) -> Vec<Fact> {
        let mut facts = Vec::new();
        for batch in 0..self.fates.len().div_ceil(20) {
            let job_id = Self::job_of(batch * 20);
            facts.push(looked_up(&job_id, vec![]));
            facts.push(looked_up(&job_id, self.rows_of(&job_id)));
        }
        for n in 0..self.fates.len() {
            let Some(row) = self.row(n) else { continue };
            facts.push(event(&Self::job_of(n), success(&Self::id(n), &["T666-0"])));
            facts.push(event(&Self::job_of(n), row.clone()));
            facts.push(event("foreign", row));
            for (id, _) in self.tasks(n) {
                facts.push(seen_as("file", &id, TaskStatus::Refreshing));
                facts.push(Fact::TaskSeen { task: task(&id), rows: vec![], total: None });
                facts.push(self.end_of(&id));
            }
        }
        facts
    }

    fn answer(&self, work: Work) -> Vec<Fact> {
        match work {
            Work::Submit { batch } => vec![self.submission(batch)],
            Work::FindUrls { batch, .. } => vec![Fact::UrlsNotFound { batch }],
            Work::QueryJob { job } => vec![looked_up(job.as_str(), self.rows_of(job.as_str()))],
            Work::PollTask { task } => {
                self.queries.update(|n| n + 1);
                vec![self.shown(task.as_str())]
            }
            Work::ListTasks { page, filter } => {
                self.queries.update(|n| n + 1);
                self.page(page, filter)
            }
            Work::Apply(fact) => vec![fact],
        }
    }

    /// A page of everybody's tasks, newest first, as far as they fit the filter. The oldest of ours are missing.
    fn page(&self, page: u32, filter: Option<TaskFilter>) -> Vec<Fact> {
        let is_narrowed = filter.is_some();
        let filter = filter.filter(|_| self.listings.filtering != Filtering::Ignored);
        let fits = |n: usize, id: &str| {
            let Some(filter) = &filter else { return true };
            let is_ours = filter.domain.as_deref().is_none_or(|domain| (domain == "a") == (n < 9999));
            let runs = self.queries.get() < self.listings.slow;
            let works = is_ours && (filter.status.is_none() || runs && n < 9999);
            match self.listings.filtering {
                Filtering::Works | Filtering::Refused | Filtering::Ignored => works,
                Filtering::ShowsNothing => false,
                Filtering::KnowsNoDomain => works && filter.domain.is_none(),
                Filtering::HidesHalf => works && id.bytes().map(u32::from).sum::<u32>().is_multiple_of(2),
            }
        };
        if is_narrowed && self.listings.filtering == Filtering::Refused {
            return vec![Fact::ListingRefused];
        }
        let ours = (5..self.fates.len()).flat_map(|n| self.tasks(n).into_iter().map(move |(id, _)| (n, id)));
        let others = (0..self.listings.others).map(|n| (9999, format!("T9999-{n}")));
        let mut all: Vec<String> =
            ours.chain(others).filter(|(n, id)| fits(*n, id)).map(|(_, id)| id).collect();
        all.reverse();
        let total = self.listings.total.unwrap_or(Some(all.len() as u64));
        let shown: Vec<&String> = all.iter().skip((page as usize - 1) * 50).take(50).collect();
        let row = |id: &String| match self.shown(id) {
            Fact::TaskSeen { mut rows, .. } => rows.remove(0),
            other => panic!("{other:?}"),
        };
        let is_last = shown.len() < 50;
        vec![Fact::Listed { page, rows: shown.into_iter().map(row).collect(), total, is_last }]
    }
}

/// What a report says, without what may differ: how things became known, and when.
type Said = BTreeMap<String, (&'static str, Option<String>, Vec<(String, &'static str)>)>;

fn said(ledger: &Ledger) -> Said {
    let reports = ledger.media_reports(chrono::DateTime::from_timestamp(0, 0).unwrap()).into_iter();
    reports
        .map(|media| {
            let word = |status: &Option<TaskStatus>| match status {
                Some(TaskStatus::Complete) => "Complete",
                Some(TaskStatus::Failed) => "Failed",
                _ => "open",
            };
            let mut tasks: Vec<_> =
                media.tasks.iter().map(|t| (t.task_id.to_string(), word(&t.status))).collect();
            tasks.sort();
            (media.media_id.unwrap().to_string(), (media.state.as_str(), media.error.map(|e| e.code), tasks))
        })
        .collect()
}

/// Lets a run go its way: whatever is due is answered with the truth, time passes until all is settled.
fn settle(world: &World, ledger: &mut Ledger, mut now: Moment) {
    for _ in 0..10_000 {
        while let Some(work) = ledger.due(now, SLOTS) {
            for fact in world.answer(work) {
                ledger.apply(now, fact);
            }
            noted(ledger, now);
        }
        if ledger.is_settled() {
            return;
        }
        now = ledger.next_at(SLOTS).expect("an open run has something to do").max(now);
    }
    panic!("the run does not settle");
}

fn new_run(world: &World, has_events: bool) -> Ledger {
    let ids: Vec<MediaId> = (0..world.fates.len()).map(|n| media(&World::id(n))).collect();
    Ledger::for_batches(settings(has_events), Batch::split(&ids))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_repetition_and_loss_of_facts_change_no_report(
        fates in prop::collection::vec(fate(), 1..48),
        plain_listings in listings(),
        shaken_listings in listings(),
        has_events: bool,
        picks in prop::collection::vec((any::<prop::sample::Index>(), 0u8..4), 0..400),
    ) {
        let world = World::new(fates.clone(), plain_listings);
        let mut plain = new_run(&world, false);
        settle(&world, &mut plain, at(0));
        let world = World::new(fates, shaken_listings);

        let mut shaken = new_run(&world, has_events);
        let mut sends: Vec<Work> = std::iter::from_fn(|| shaken.due(at(0), SLOTS)).collect();
        let facts = world.facts();
        for (n, (pick, times)) in picks.iter().enumerate() {
            // Submit answers come at any point among the rest.
            if times % 2 == 0 && n % 7 == 0 && let Some(work) = sends.pop() {
                for fact in world.answer(work) {
                    shaken.apply(at(1), fact);
                }
            }
            for _ in 0..*times {
                shaken.apply(at(1), pick.get(&facts).clone());
            }
        }
        for work in sends {
            for fact in world.answer(work) {
                shaken.apply(at(2), fact);
            }
        }
        settle(&world, &mut shaken, at(2));

        prop_assert_eq!(said(&plain), said(&shaken));
        let progress = shaken.progress();
        prop_assert_eq!(progress.complete + progress.failed, world.fates.len() as u64);
        prop_assert_eq!(progress.tasks, progress.tasks_ended);
    }
}
