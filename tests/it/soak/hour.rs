//! A cloud that stays up for an hour of virtual time. Runs follow one another, several at once, of one process and of
//! others, all on one account and its rates; faults come and go.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use vod_refresh::emulator::Scenario;
use vod_refresh::run::{Notice, Progress};
use vod_refresh::{MediaId, Observer, RefreshRequest, Report, TaskType};

use super::draw::{self, Fate, our_jobs};
use super::tally::Figures;
use super::truth::{self, Evidence};
use crate::schema::Refresher;
use crate::support::TestEnv;
use crate::support::random::Rng;

pub(super) const HOUR: Duration = Duration::from_secs(3_600);
/// Task queries of the whole account in a second.
const TASK_QUERIES: f64 = 5.0;

/// Counts what is announced; a list of everything that is said would grow with the hour.
#[derive(Clone, Default)]
struct Resubmitted(Arc<AtomicUsize>);

impl Observer for Resubmitted {
    fn notice(&self, notice: &Notice, _: &Progress) {
        if matches!(notice, Notice::Resubmitting { .. }) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Hour {
    long: Duration,
    env: TestEnv,
    resubmitted: Resubmitted,
    figures: Mutex<Figures>,
    /// What is still to be compared with the cloud's log, once it is whole.
    reports: Mutex<Vec<(Report, HashMap<String, Fate>)>>,
    batches: Mutex<usize>,
}

pub(super) async fn one(seed: u64, long: Duration) -> Figures {
    let mut rng = Rng(!seed);
    let mut scenario = Scenario::new()
        .with(|s| s.latency = rng.ms(300))
        .with(|s| s.job_delay = rng.ms(4_000))
        .with(|s| s.event_delay = rng.ms(3_000))
        .with(|s| s.task_duration = Duration::from_secs(1 + rng.below(90)))
        .with(|s| s.urls_per_media = 1 + rng.below(4) as usize)
        .with(|s| s.rates.insert("DescribeVodRefreshTasks".into(), TASK_QUERIES));
    scenario.task_jitter = rng.ms(20_000);
    scenario.pending_for = rng.ms(3_000);
    let hour = Hour {
        long,
        env: TestEnv::seeded(seed, scenario, |client| client).allow_unused_faults().with_events(),
        resubmitted: Resubmitted::default(),
        figures: Mutex::default(),
        reports: Mutex::default(),
        batches: Mutex::default(),
    };
    let workers = 4 + rng.below(5);
    let workers = join_all((0..workers).map(|number| hour.work(number, rng.fork())));
    tokio::join!(workers, hour.spoil(Rng(seed)));

    let (jobs, batches) = (our_jobs(&hour.env.cloud).len(), *hour.batches.lock().unwrap());
    let told = hour.resubmitted.0.load(Ordering::Relaxed);
    assert!(jobs <= batches + told, "{jobs} jobs for {batches} batches, {told} announced");
    hour.check_reports();
    // Events of the last jobs are still on the way.
    tokio::time::sleep(HOUR).await;
    let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(alive, 0, "tasks that nobody waits for any more");
    let mut figures = std::mem::take(&mut *hour.figures.lock().unwrap());
    let [others, queries] =
        [&["RefreshMediaPlayUrls", "GetMediaRefreshJobs"][..], &["DescribeVodRefreshTasks"]]
            .map(|actions| actions.iter().map(|action| hour.env.cloud.count(action)).sum::<usize>());
    (figures.calls, figures.task_queries) = (others + queries, queries);
    figures
}

impl Hour {
    fn is_over(&self) -> bool {
        self.env.elapsed() >= self.long
    }

    /// Runs one after the other. Even workers share a process; each odd one is a process of its own, without events.
    async fn work(&self, number: u64, mut rng: Rng) {
        let refresher = match number % 2 {
            0 => self.env.refresher(),
            _ => Refresher::new(self.env.other_client(|client| client.with_jitter_seed(rng.below(u64::MAX)))),
        };
        let refresher = refresher.with_observer(self.resubmitted.clone());
        let mut run = 0;
        while !self.is_over() {
            self.run(&refresher, &format!("w{number}r{run}"), &mut rng).await;
            run += 1;
            tokio::time::sleep(rng.ms(2_000)).await;
        }
        let mut figures = self.figures.lock().unwrap();
        figures.virtual_time = figures.virtual_time.max(self.env.elapsed());
    }

    async fn run(&self, refresher: &Refresher, name: &str, rng: &mut Rng) {
        let most = if rng.percent(70) { 60 } else { 300 };
        let count = 1 + rng.below(most);
        let odd = rng.one_of(&[0, 0, 5]);
        let mut media = HashMap::new();
        for n in 0..count {
            let (id, (script, fate)) = (format!("{name}m{n}"), draw::one_media(rng, odd));
            self.env.cloud.set_media(id.as_str(), script);
            media.insert(id, fate);
        }
        *self.batches.lock().unwrap() += media.len().div_ceil(20);
        let mut options = self.env.options.clone();
        options.timeout = Duration::from_secs(rng.one_of(&[240, 600, 900]));
        let timeout = options.timeout;
        let ids = (0..count).map(|n| MediaId::new(format!("{name}m{n}")).unwrap());
        let request = RefreshRequest::new(rng.one_of(&[TaskType::Refresh, TaskType::Preload]), ids);
        let began = self.env.elapsed();
        let refresher = refresher.clone().with_options(options);
        let run = tokio::time::timeout(timeout + Duration::from_secs(5), refresher.refresh(&request));
        let report = run.await.expect("it did not end in time").unwrap();
        truth::counts_add_up(&report);
        truth::the_outcome_follows_from_the_media(&report, self.env.elapsed() - began, timeout);
        self.figures.lock().unwrap().outcomes.push(report.outcome);
        self.reports.lock().unwrap().push((report, media));
    }

    fn check_reports(&self) {
        let evidence = Evidence::new(&self.env, None, false);
        for (report, media) in std::mem::take(&mut *self.reports.lock().unwrap()) {
            truth::nothing_is_made_up(&evidence, &report, |id| media[id]);
        }
    }

    /// Faults come and go, a few minutes apart.
    async fn spoil(&self, mut rng: Rng) {
        while !self.is_over() {
            let rule = draw::one_fault(&mut rng).times(1 + rng.below(12) as u32);
            self.env.cloud.add_fault(rule);
            tokio::time::sleep(rng.ms(240_000)).await;
        }
    }
}
