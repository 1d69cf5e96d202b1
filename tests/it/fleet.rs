//! Several processes on one account: what one of them reads, all of them know, and they keep one pace.

mod accounts;
mod hostile;
mod trouble;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use vod_refresh::emulator::Scenario;
use vod_refresh::net::clock::{Clock as _, SystemClock};
use vod_refresh::{Journal, Outcome, Refresher, Report, VodClient};

use crate::support::action::QUERY_TASKS;
use crate::support::{TestEnv, request};

/// Changes texts from several tasks at once, through journals that were opened apart, and looks at what is there.
pub(crate) async fn shares_texts(journals: Vec<Journal>) {
    let (now, count) = (SystemClock.now(), journals.len());
    let mut tasks = JoinSet::new();
    for journal in &journals {
        let journal = journal.clone();
        tasks.spawn(async move {
            for _ in 0..25 {
                let add = |text: Option<&str>, _| {
                    let number = text.map_or(0, |text| text.parse::<usize>().unwrap()) + 1;
                    (Some(number.to_string()), number)
                };
                journal.update_shared("topic", "a number", now, add).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let [first, last] = [journals.first(), journals.last()].map(|journal| journal.unwrap());
    let leave = |text: Option<&str>, _| (None, text.map(str::to_owned));
    let number = (25 * count).to_string();
    assert_eq!(last.update_shared("topic", "a number", now, leave).await.unwrap(), Some(number.clone()));
    assert_eq!(last.update_shared("other topic", "a number", now, leave).await.unwrap(), None);
    first.update_shared("topic", "b", now, |_, _| (Some("é'\"".to_owned()), ())).await.unwrap();
    assert_eq!(last.shared("topic", "", now).await.unwrap(), [number.as_str(), "é'\""]);
    assert_eq!(last.shared("topic", "b", now).await.unwrap(), ["é'\""]);
    assert_eq!(last.shared("topic", "%", now).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn shared_texts_that_many_change_at_once_lose_no_change() {
    let folder = tempfile::tempdir().unwrap();
    let mut journals = Vec::new();
    for _ in 0..4 {
        journals.push(Journal::open(folder.path().join("journal.db")).await.unwrap());
    }
    let journal = journals[0].clone();
    shares_texts(journals).await;
    let later = SystemClock.now() + Duration::from_secs(61);
    assert_eq!(journal.shared("topic", "", later).await.unwrap(), [""; 0], "they have expired");
}

/// Tasks of 20 s, four to a media, of an account that may ask about them five times a second.
fn account() -> Scenario {
    Scenario::new()
        .with(|s| s.urls_per_media = 4)
        .with(|s| s.task_duration = Duration::from_secs(20))
        .with(|s| s.rates.insert("RefreshMediaPlayUrls".into(), 50.0))
        .with(|s| s.rates.insert(QUERY_TASKS.into(), 5.0))
}

/// Processes on one account, with one journal.
struct Fleet {
    env: TestEnv,
    folder: tempfile::TempDir,
}

/// What all of them took.
#[derive(Debug)]
struct Took {
    time: Duration,
    queries: usize,
}

impl Fleet {
    fn new(scenario: Scenario) -> Self {
        Self { env: TestEnv::new(scenario), folder: tempfile::tempdir().unwrap() }
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    /// A client of another process.
    fn client(&self, number: usize) -> VodClient {
        self.env.other_client(|builder| builder.with_jitter_seed(number as u64 + 1))
    }

    /// A refresher like that of another process: a client of its own, and the journal opened anew.
    async fn process(&self, number: usize) -> Refresher {
        process(self.client(number), &self.journal()).await
    }

    /// Begins to refresh media that no other process has.
    async fn begin(&self, runs: &mut JoinSet<Report>, number: usize, media: usize) {
        let refresher = self.process(number).await;
        runs.spawn(async move { refresher.refresh(&request(ids(number, media))).await.unwrap() });
    }

    fn took(&self) -> Took {
        Took { time: self.env.elapsed(), queries: self.env.cloud.count(QUERY_TASKS) }
    }
}

async fn process(client: VodClient, journal: &Path) -> Refresher {
    let journal = Journal::open(journal).await.unwrap();
    Refresher::new(client).with_journal(journal, Value::Null)
}

fn ids(process: usize, media: usize) -> impl Iterator<Item = String> {
    (0..media).map(move |n| format!("p{process}m{n}"))
}

/// Waits for all runs. Each has to end well.
async fn all_complete(mut runs: JoinSet<Report>) {
    while let Some(report) = runs.join_next().await {
        let report = report.unwrap();
        assert_eq!((report.outcome, report.summary.media_failed), (Outcome::Complete, 0));
        assert_eq!(report.notes, Vec::<String>::new());
    }
}

/// Refreshes so many media in each of so many processes, which begin together.
async fn refreshed(scenario: Scenario, processes: usize, media: usize) -> Took {
    let fleet = Fleet::new(scenario);
    let mut runs = JoinSet::new();
    for number in 0..processes {
        fleet.begin(&mut runs, number, media).await;
    }
    all_complete(runs).await;
    fleet.took()
}

/// Checks that so many processes take no more than `longer` times the time of one with all the work, and `more` times its queries.
async fn as_one(scenario: Scenario, (processes, media): (usize, usize), longer: f64, more: f64) {
    let one = refreshed(scenario.clone(), 1, processes * media).await;
    let all = refreshed(scenario, processes, media).await;
    let time = all.time.as_secs_f64() / one.time.as_secs_f64();
    let queries = all.queries as f64 / one.queries as f64;
    let figures =
        format!("{time:.2} times as long, {queries:.2} times the queries: {all:?} instead of {one:?}");
    assert!(time <= longer && queries <= more, "{processes} processes: {figures}");
}

#[tokio::test(start_paused = true)]
async fn three_processes_on_one_account_take_as_long_as_one_with_all_the_work() {
    as_one(account(), (3, 333), 1.15, 1.2).await;
}

#[tokio::test(start_paused = true)]
async fn ten_processes_on_one_account_take_little_longer_than_one() {
    as_one(account(), (10, 100), 1.3, 1.2).await;
}

#[tokio::test(start_paused = true)]
async fn processes_with_few_tasks_each_list_them_together_as_well() {
    // Apart they take 2 to 3 times as long, and 7 to 10 times the queries.
    for media in [3, 10] {
        as_one(account(), (10, media), 1.4, 1.5).await;
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_that_end_one_after_another_are_asked_about_together() {
    let account = account().with(|account| account.task_jitter = Duration::from_secs(10));
    as_one(account, (5, 100), 1.15, 1.2).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_starts_later_knows_how_long_tasks_take() {
    let fleet = Fleet::new(account());
    let mut runs = JoinSet::new();
    fleet.begin(&mut runs, 0, 100).await;
    all_complete(runs).await;
    let (before, mut runs) = (fleet.took(), JoinSet::new());
    fleet.begin(&mut runs, 1, 100).await;
    all_complete(runs).await;
    let after = fleet.took();
    let (first, second) = (before.queries, after.queries - before.queries);
    assert!(second * 2 < first, "{second} queries after {first}: no sample was needed");
    assert!(after.time < before.time.mul_f64(2.25), "{after:?} after {before:?}");
}

#[tokio::test(start_paused = true)]
async fn a_run_alone_makes_the_calls_that_it_makes_without_a_journal() {
    let mut calls = Vec::new();
    for has_journal in [true, false] {
        let fleet = Fleet::new(account());
        let refresher = match has_journal {
            true => fleet.process(0).await,
            false => Refresher::new(fleet.client(0)),
        };
        let report = refresher.refresh(&request(ids(0, 100))).await.unwrap();
        assert_eq!(report.outcome, Outcome::Complete);
        let queries = fleet.env.cloud.calls().into_iter().filter(|call| call.action == QUERY_TASKS);
        let told = |name: &str, call: &vod_refresh::emulator::Call| call.params.get(name).cloned();
        let names = ["PageNumber", "StartTime", "EndTime", "ObjectType", "TaskId"];
        calls.push(queries.map(|call| names.map(|name| told(name, &call))).collect::<Vec<_>>());
    }
    assert!(calls[0].len() > 30 && calls[0] == calls[1], "{:#?}", calls);
}
