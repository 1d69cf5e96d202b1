//! A crash at every write: the run is dropped right after the 1st, 2nd, … nth transaction of its journal, carried on by
//! a new refresher against the same cloud, and ends with the same report. Nothing is submitted again whose answer was
//! written down.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use vod_refresh::emulator::{EventScript, Fault, FaultRule, JobScript, MediaScript, Scenario, Which};
use vod_refresh::{JobId, Journal, Report, Result, TaskType, UrlRequest};

use crate::schema::Refresher;
use crate::support::action::SUBMIT;
use crate::support::scripts::failing_media;
use crate::support::{TestEnv, answered_batches, request};

/// When the process dies, once the write is done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Death {
    /// Before a call that the write made due has left.
    AtOnce,
    /// So long after it: calls have left, their answers are on the way.
    After(Duration),
}

impl Death {
    /// Two for each write; the second one takes turns.
    fn at(write: u64) -> [Self; 2] {
        let wait = Duration::from_millis(if write.is_multiple_of(2) { 0 } else { 50 });
        [Self::AtOnce, Self::After(wait)]
    }
}

/// What a run is asked to do, and by which cloud.
pub(crate) struct CrashCase {
    pub(crate) name: &'static str,
    scenario: fn() -> Scenario,
    events: bool,
    task: Task,
}

enum Task {
    /// Refresh 22 media.
    Media,
    /// The same, and preload them afterwards.
    ThenPreload,
    /// Wait for these jobs of others.
    Jobs(&'static [&'static str]),
    /// Refresh URLs and folders.
    Urls,
}

impl CrashCase {
    fn env(&self) -> TestEnv {
        let scenario =
            (self.scenario)().with(|s| s.latency = Duration::from_millis(100)).with(|s| s.urls_per_media = 1);
        let env = TestEnv::with_client(scenario, |client| client.with_max_rps(100));
        if self.events { env.with_events() } else { env }
    }

    /// Where an event tells of a lost answer, it does not tell which media the answer refused.
    fn is_as_good(&self, is: &Value, was: &Value) -> bool {
        let refused = was[1] == "not_found" || was[1] == "forbidden";
        self.events && refused && is == &json!([was[0], "failed", "JobNotFound", []])
    }

    async fn run(&self, refresher: Refresher) -> Result<Report> {
        let media = request((0..22).map(|n| format!("m{n}")));
        match self.task {
            Task::Media => refresher.refresh(&media).await,
            Task::ThenPreload => refresher.refresh(&media.with_then_preload(true)).await,
            Task::Jobs(jobs) => {
                let jobs: Vec<_> = jobs.iter().map(|id| JobId::new(*id).unwrap()).collect();
                refresher.wait(&jobs).await
            }
            Task::Urls => refresher.refresh_urls(&UrlRequest::new(TaskType::Refresh, URLS)).await,
        }
    }
}

const URLS: [&str; 6] = [
    "https://a.test/1",
    "https://a.test/bad",
    "https://a.test/dir/",
    "https://off.test/1",
    "https://b.test/1",
    "https://b.test/dir/",
];

/// How often the service took each URL.
fn taken(env: &TestEnv) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let urls = env.cloud.calls().into_iter().filter(|call| call.action == "RefreshVodObjectCaches");
    // A reset after the work is done leaves its tasks behind.
    for call in urls.filter(|call| ["ok", "reset_after"].contains(&call.outcome.as_str())) {
        call.params["ObjectPath"].lines().for_each(|url| *counts.entry(url.to_owned()).or_default() += 1);
    }
    counts
}

/// Drives `run` until `count` writes are done, then drops it. One that ended before has its report.
pub(crate) async fn die(
    run: impl Future<Output = Result<Report>>,
    mut writes: watch::Receiver<u64>,
    count: u64,
    how: Death,
) -> Option<Report> {
    match how {
        Death::AtOnce => {
            let mut run = pin!(run);
            poll_fn(|cx| match run.as_mut().poll(cx) {
                Poll::Ready(report) => Poll::Ready(Some(report.unwrap())),
                Poll::Pending if *writes.borrow() >= count => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            })
            .await
        }
        Death::After(wait) => {
            let end = async {
                writes.wait_for(|done| *done >= count).await.unwrap();
                tokio::time::sleep(wait).await;
            };
            tokio::select! {
                biased;
                () = end => None,
                report = run => Some(report.unwrap()),
            }
        }
    }
}

/// How often each list of media was submitted.
fn submits(env: &TestEnv) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in env.cloud.calls().iter().filter(|call| call.action == SUBMIT) {
        let preload = if call.params["TaskType"] == "Preload" { "Preload " } else { "" };
        *counts.entry(format!("{preload}{}", call.params["MediaIds"])).or_default() += 1;
    }
    counts
}

/// What must be the same: the verdict, the state of each media, and of each URL.
fn outline(report: &Report) -> Vec<Value> {
    let entries = report.entries();
    let media = entries.iter().map(|media| {
        let mut urls: Vec<_> = media
            .tasks
            .iter()
            .map(|task| json!([task.url, task.status, task.progress, task.description]))
            .collect();
        urls.sort_by_key(|url| url.to_string());
        let code = media.error.as_ref().map(|error| &error.code);
        let id = media.media_id.as_ref().map(ToString::to_string).or_else(|| media.url.clone());
        json!([id, media.state, code, urls])
    });
    [json!([report.outcome, report.task_type, entries.len()])].into_iter().chain(media).collect()
}

async fn crash_everywhere(case: CrashCase) {
    let folder = tempfile::tempdir().unwrap();
    crash_everywhere_in(case, async |name| Journal::open(folder.path().join(name)).await.unwrap()).await;
}

/// The same with the journals that `open` gives, by the names of crashes. Says how many there were.
#[allow(clippy::print_stderr, reason = "a figure for who asks with `--nocapture`")]
pub(crate) async fn crash_everywhere_in(case: CrashCase, open: impl AsyncFn(String) -> Journal) -> u64 {
    let keep = |env: &TestEnv, journal: &Journal| env.refresher().with_journal(journal.clone(), Value::Null);
    let (whole, writes) = {
        let (env, journal) = (case.env(), open("whole".into()).await);
        let report = case.run(keep(&env, &journal)).await.unwrap();
        (outline(&report), *journal.writes().borrow())
    };
    assert!(writes >= 5, "{}: {writes} writes", case.name);
    for count in 1..=writes {
        for how in Death::at(count) {
            let at = format!("{}, write {count} of {writes}, {how:?}", case.name);
            let (env, name) = (case.env(), format!("{how:?}{count}"));
            {
                let journal = open(name.clone()).await;
                die(case.run(keep(&env, &journal)), journal.writes(), count, how).await;
            }
            let journal = open(name).await;
            let id = journal.runs().await.unwrap().remove(0).run_id;
            let stored = journal.load(Some(id)).await.unwrap().unwrap();
            let (before, answered) = (submits(&env), answered_batches(&stored));
            let report = match stored.outcome {
                Some(_) => stored.report(),
                None => keep(&env, &journal).resume(stored).await.unwrap(),
            };
            for (is, was) in outline(&report).iter().zip(&whole) {
                assert!(is == was || case.is_as_good(is, was), "{at}: {is}, not {was}");
            }
            let after = submits(&env);
            for batch in answered {
                assert_eq!(before[&batch], after[&batch], "{at}: {batch} was submitted again");
            }
            assert!(taken(&env).values().all(|count| *count == 1), "{at}: {:?}", taken(&env));
        }
    }
    eprintln!("{}: {} crashes", case.name, writes * 2);
    writes * 2
}

/// Runs of every kind, in worlds good and bad.
pub(crate) fn crash_cases() -> Vec<CrashCase> {
    let case = |name, scenario, events, task| CrashCase { name, scenario, events, task };
    vec![
        case("without events", well, false, Task::Media),
        case("with events", well, true, Task::Media),
        case("lost answers", lost_answers, false, Task::Media),
        case("lost answers, events", lost_answers, true, Task::Media),
        case("failures", every_fate, false, Task::Media),
        case("failures, events", every_fate, true, Task::Media),
        case("jobs of others", others, false, Task::Jobs(&["J1", "J2"])),
        case("then preload", two_stages, false, Task::ThenPreload),
        case("then preload, events", two_stages, true, Task::ThenPreload),
        case("URLs", urls, false, Task::Urls),
        case("URLs, lost", lost_urls, false, Task::Urls),
    ]
}

async fn crash(names: &[&str]) {
    for case in crash_cases().into_iter().filter(|case| names.contains(&case.name)) {
        crash_everywhere(case).await;
    }
}

fn well() -> Scenario {
    Scenario::new()
}

fn lost_answers() -> Scenario {
    Scenario::new()
        .with_fault(FaultRule { media: Some("m20".into()), ..FaultRule::on(SUBMIT, Fault::ResetAfter) })
}

/// Media with every fate, events twice and forged.
fn every_fate() -> Scenario {
    let event = EventScript { double: true, forged_first: vec!["666".into()], ..EventScript::default() };
    let with_event = |script: MediaScript| script.with(|m| m.event = event.clone());
    let half = MediaScript { url_count: Some(2), failed_tasks: Which::At(vec![1]), ..MediaScript::default() };
    Scenario::new()
        .with(|s| s.url_with_commas = true)
        .with(|s| s.default_media = with_event(MediaScript::default()))
        .with_media("m3", MediaScript::missing())
        .with_media("m21", MediaScript::forbidden())
        .with_media("m5", with_event(MediaScript::failing("InvalidDomain.NotFound", "Can't find domain.")))
        .with_media("m20", with_event(half))
}

/// Jobs of somebody else.
fn others() -> Scenario {
    let job = |media: &[&str]| JobScript {
        media: media.iter().map(|id| (*id).to_owned()).collect(),
        ..JobScript::default()
    };
    let half = MediaScript { failed_tasks: Which::At(vec![0]), ..MediaScript::default() };
    Scenario::new()
        .with(|s| s.jobs.insert("J1".into(), job(&["m1", "m2"])))
        .with(|s| s.jobs.insert("J2".into(), job(&["m3"])))
        .with_media("m3", half)
}

#[tokio::test(start_paused = true)]
async fn a_run_without_events_survives_a_crash_at_every_write() {
    crash(&["without events"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_with_events_survives_a_crash_at_every_write() {
    crash(&["with events"]).await;
}

#[tokio::test(start_paused = true)]
async fn lost_answers_survive_a_crash_at_every_write() {
    crash(&["lost answers"]).await;
}

#[tokio::test(start_paused = true)]
async fn lost_answers_with_events_survive_a_crash_at_every_write() {
    crash(&["lost answers, events"]).await;
}

#[tokio::test(start_paused = true)]
async fn failures_survive_a_crash_at_every_write() {
    crash(&["failures"]).await;
}

#[tokio::test(start_paused = true)]
async fn failures_with_events_survive_a_crash_at_every_write() {
    crash(&["failures, events"]).await;
}

#[tokio::test(start_paused = true)]
async fn waiting_for_jobs_of_others_survives_a_crash_at_every_write() {
    crash(&["jobs of others"]).await;
}

/// What fails the refresh, and what fails the preload.
fn two_stages() -> Scenario {
    let half = failing_media();
    let only = |kind: &str| MediaScript { failing_type: Some(kind.to_owned()), ..half.clone() };
    Scenario::new().with_media("m3", only("Refresh")).with_media("m5", only("Preload"))
}

#[tokio::test(start_paused = true)]
async fn a_run_that_preloads_afterwards_survives_a_crash_at_every_write() {
    crash(&["then preload", "then preload, events"]).await;
}

fn bad_url() -> Scenario {
    let failing = failing_media();
    Scenario::new().with_media("https://a.test/bad", failing)
}

/// URLs with every fate.
fn urls() -> Scenario {
    bad_url().with_media("off.test", MediaScript::forbidden())
}

fn lost_urls() -> Scenario {
    bad_url().with_fault(FaultRule::on("RefreshVodObjectCaches", Fault::ResetAfter))
}

/// Not even what was sent and not answered is sent twice: its tasks are found in a listing.
#[tokio::test(start_paused = true)]
async fn a_run_of_urls_survives_a_crash_at_every_write() {
    crash(&["URLs", "URLs, lost"]).await;
}
