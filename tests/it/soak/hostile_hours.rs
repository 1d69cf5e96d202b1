//! Hours of hostile surroundings, in real time and over real sockets. One long-lived process uses the library
//! ([`process_under_test`]), the binary works beside it on the same journal, the emulator tells of media in hostile ways, a
//! gateway does to connections what gateways do, and attackers send what nobody asked for. Each verdict is checked; memory,
//! descriptors and journal of the long-lived process must not grow.
//!
//! A few seconds by default. For hours:
//!
//! ```console
//! $ VOD_REFRESH_HOSTILE_MINUTES=120 VOD_REFRESH_HOSTILE_SEED=1 cargo test --test it -- \
//!     --ignored --exact --nocapture soak::hostile_hours::hours_of_everything_hostile_end_with_true_reports
//! ```
//!
//! It prints a line a minute and each fault at once, and takes about a quarter of one core. A seed fixes what is drawn, not how
//! fast the machine is, so a fault may take another try to come back.

mod attack;
mod check_report;
mod commands;
mod figures;
mod gateway;
mod process_under_test;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use vod_refresh::emulator::{Emulator, FaultRule, Filtering, QueueEncoding, QueueScript, Scenario};
use vod_refresh::net::{HttpOptions, HttpTransport};
use vod_refresh::{Journal, Report};

use self::check_report::{Asked, Process};
use self::figures::{Part, Sample};
use self::gateway::{FaultyGateway, GatewayFaults};
use self::process_under_test::{MARK, Order, Settings, VARIABLE, Word};
use super::draw::{FILTERS, one_fault};
use super::hostile::{Hostile, hides_rows};
use crate::support::program::memory_kib;
use crate::support::random::Rng;

const MINUTES: &str = "VOD_REFRESH_HOSTILE_MINUTES";
const SEED: &str = "VOD_REFRESH_HOSTILE_SEED";
/// What the library's tests call its key of callbacks.
const KEY: &str = crate::support::CALLBACK_KEY;
const QUEUE: &str = "events";
/// How long the journal keeps runs: what it holds is flat after that.
const KEEP: Duration = Duration::from_secs(240);
/// So much of the time is for warming up, at most.
const WARM: Duration = Duration::from_secs(420);

/// The same for the few seconds and for the hours.
struct Plan {
    seed: u64,
    long: Duration,
    /// One cloud; then its runs end, and the next one stands there.
    epoch: Duration,
    /// Runs of the process under test at once.
    workers: usize,
    /// In seconds; the longest is half as long again.
    shortest_timeout: u64,
    attack_pause: Duration,
    command_pause: Duration,
    /// How long a task takes at most, but for some jitter.
    task_seconds: u64,
}

/// How a run of the process under test ended.
type Answer = Result<Box<Report>, String>;

struct Soak {
    seed: u64,
    gateway: Arc<FaultyGateway>,
    with_key: SocketAddr,
    without_key: SocketAddr,
    journal: PathBuf,
    stdin: Mutex<ChildStdin>,
    answers: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    /// Media that are asked for at this moment.
    live: Mutex<BTreeSet<String>>,
    /// What is wrong, each with where it was.
    faults: Mutex<Vec<String>>,
    outcomes: Mutex<BTreeMap<&'static str, u64>>,
    queue_ends: Mutex<BTreeMap<String, u64>>,
    /// How often each attack was made, by its number.
    attacks: Mutex<[u64; 16]>,
    shortest_timeout: u64,
    attack_pause: Duration,
    orders: AtomicU64,
    media_made: AtomicU64,
    media_weighed: AtomicU64,
    wrong: AtomicU64,
    honest: AtomicU64,
    hostile: AtomicU64,
    one_shots: AtomicU64,
    no_report: AtomicU64,
    /// Runs of the process under test that ended as an error.
    errors: Mutex<BTreeMap<String, u64>>,
    /// To a whole event, in milliseconds.
    slowest_answer: AtomicU64,
}

/// One cloud and how it was drawn.
struct Epoch {
    number: u64,
    cloud: Emulator,
    scenario: Scenario,
    hostile: Option<Hostile>,
    odd: u64,
}

/// A number from the environment.
fn number(name: &str) -> Option<f64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn a_few_seconds_of_everything_hostile_end_with_true_reports() {
    soak(Plan {
        seed: number(SEED).unwrap_or(2.0) as u64,
        long: Duration::from_secs(1),
        epoch: Duration::from_secs(1),
        workers: 4,
        shortest_timeout: 6,
        attack_pause: Duration::from_millis(400),
        command_pause: Duration::from_millis(700),
        task_seconds: 1,
    });
}

#[test]
#[ignore = "takes as long as it is asked to"]
fn hours_of_everything_hostile_end_with_true_reports() {
    soak(Plan {
        seed: number(SEED).unwrap_or(1.0) as u64,
        long: Duration::from_secs_f64(60.0 * number(MINUTES).unwrap_or(2.0)),
        epoch: Duration::from_secs(75),
        workers: 14,
        shortest_timeout: 24,
        attack_pause: Duration::from_millis(3_500),
        command_pause: Duration::from_secs(12),
        task_seconds: 8,
    });
}

#[allow(clippy::print_stderr, reason = "figures for who asks with `--nocapture`")]
fn soak(plan: Plan) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.db");
    let mut rng = Rng(plan.seed);
    let gateway = runtime.block_on(FaultyGateway::start(rng.fork()));
    let settings = Settings { endpoint: gateway.url(), journal: journal.to_str().unwrap().to_owned() };
    let (mut child, soak) = begin(&plan, gateway, &settings, &journal);
    let process = child.id();
    let end = runtime.block_on(go(&plan, &soak, rng, process));
    let is_alive = child.try_wait().unwrap().is_none();
    soak.check(is_alive, || "the process under test has ended".to_owned());
    child.kill().unwrap();
    child.wait().unwrap();
    runtime.shutdown_timeout(Duration::from_secs(1));
    eprintln!("hostile: {}", soak.summary());
    let mut faults = soak.faults.lock().unwrap().clone();
    faults.extend(end);
    assert!(faults.is_empty(), "seed {}, {} faults:\n{}", plan.seed, faults.len(), faults.join("\n"));
}

/// Starts the process under test, and who reads what it says.
fn begin(
    plan: &Plan,
    gateway: Arc<FaultyGateway>,
    settings: &Settings,
    journal: &std::path::Path,
) -> (Child, Arc<Soak>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "soak::hostile_hours::process_under_test::the_process_under_test",
            "--ignored",
            "--nocapture",
        ])
        .env(VARIABLE, serde_json::to_string(settings).unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut next = move || {
        let line = lines.find(|line| line.starts_with(MARK))?;
        Some(serde_json::from_str::<Word>(&line[MARK.len()..]).unwrap())
    };
    let Some(Word::Listens { with_key, without_key }) = next() else { panic!("it does not listen") };
    let soak = Arc::new(Soak {
        seed: plan.seed,
        gateway,
        with_key,
        without_key,
        journal: journal.to_owned(),
        stdin: Mutex::new(stdin),
        answers: Mutex::default(),
        live: Mutex::default(),
        faults: Mutex::default(),
        outcomes: Mutex::default(),
        queue_ends: Mutex::default(),
        attacks: Mutex::default(),
        shortest_timeout: plan.shortest_timeout,
        attack_pause: plan.attack_pause,
        orders: AtomicU64::default(),
        media_made: AtomicU64::default(),
        media_weighed: AtomicU64::default(),
        wrong: AtomicU64::default(),
        honest: AtomicU64::default(),
        hostile: AtomicU64::default(),
        one_shots: AtomicU64::default(),
        no_report: AtomicU64::default(),
        errors: Mutex::default(),
        slowest_answer: AtomicU64::default(),
    });
    let heard = Arc::clone(&soak);
    std::thread::spawn(move || {
        while let Some(word) = next() {
            match word {
                Word::Ended { number, report } => {
                    if let Some(waiting) = heard.answers.lock().unwrap().remove(&number) {
                        let _ = waiting.send(report);
                    }
                }
                Word::QueueEnded(why) => {
                    *heard.queue_ends.lock().unwrap().entry(short(&why)).or_default() += 1;
                }
                Word::NotPruned(why) => {
                    *heard.errors.lock().unwrap().entry(format!("prune: {}", short(&why))).or_default() += 1;
                }
                Word::Listens { .. } => {}
            }
        }
    });
    (child, soak)
}

fn short(text: &str) -> String {
    let text = text.chars().filter(|c| !c.is_ascii_digit());
    text.take(150).collect()
}

/// Runs all of it, and returns what grew.
#[allow(clippy::print_stderr, reason = "figures for who asks with `--nocapture`")]
async fn go(plan: &Plan, soak: &Arc<Soak>, mut rng: Rng, process: u32) -> Vec<String> {
    let begun = Instant::now();
    let attackers = [0; 3].map(|_| tokio::spawn(attack::go_on(Arc::clone(soak), rng.fork())));
    let looking = Arc::clone(soak);
    let samples = Arc::new(Mutex::new(Vec::<Sample>::new()));
    let taken = Arc::clone(&samples);
    let looks = tokio::spawn(async move {
        let mut minute = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let Some(sample) = Sample::of(process, &looking.journal) else { continue };
            taken.lock().unwrap().push(sample);
            if begun.elapsed().as_secs() / 60 > minute {
                minute += 1;
                eprintln!("hostile: {}", looking.line(begun.elapsed(), &sample, process));
            }
        }
    });
    let mut number = 0;
    while begun.elapsed() < plan.long {
        let left = plan.long.saturating_sub(begun.elapsed()).min(plan.epoch);
        one_epoch(plan, soak, rng.fork(), number, left).await;
        number += 1;
    }
    attackers.iter().for_each(tokio::task::JoinHandle::abort);
    looks.abort();
    let samples = samples.lock().unwrap().clone();
    grown(&samples, plan.long)
}

/// What grew from the time after warm-up to the end.
#[allow(clippy::print_stderr, reason = "figures for who asks with `--nocapture`")]
fn grown(samples: &[Sample], long: Duration) -> Vec<String> {
    let peak = |of: fn(&Sample) -> u64| samples.iter().map(of).max().unwrap_or_default();
    let (memory, journal) = (peak(|sample| sample.rss_kib), peak(|sample| sample.journal_kib));
    let mut grown = Vec::new();
    if memory > figures::RSS_PEAK_KIB {
        grown.push(format!("RSS came to {memory} KiB, {} are allowed", figures::RSS_PEAK_KIB));
    }
    if journal > figures::JOURNAL_PEAK_KIB {
        grown.push(format!("the journal came to {journal} KiB, {} are allowed", figures::JOURNAL_PEAK_KIB));
    }
    // In some seconds nothing grows that can be told from warming up.
    let warm = (long / 3).min(WARM).as_secs_f64() / long.as_secs_f64();
    let samples = &samples[(samples.len() as f64 * warm) as usize..];
    if long >= Duration::from_secs(60) {
        let fifth = (samples.len() / 5).max(1);
        let (first, last) = (Part::of(&samples[..fifth]), Part::of(&samples[samples.len() - fifth..]));
        eprintln!(
            "hostile: first fifth after warm-up {first:?}, last fifth {last:?}, peaks RSS {memory} KiB, journal {journal} KiB"
        );
        grown.extend(first.grown(&last));
    }
    grown
}

async fn one_epoch(plan: &Plan, soak: &Arc<Soak>, mut rng: Rng, number: u64, long: Duration) {
    let (epoch, faults) = draw(plan, soak, &mut rng, number);
    let epoch = Arc::new(epoch);
    soak.gateway.set(epoch.cloud.clone(), faults);
    let until = Instant::now() + long;
    let mut at_work = Vec::new();
    for _ in 0..plan.workers {
        let (soak, epoch, mut rng) = (Arc::clone(soak), Arc::clone(&epoch), rng.fork());
        at_work.push(tokio::spawn(async move {
            while Instant::now() < until {
                soak.run(&epoch, &mut rng).await;
                tokio::time::sleep(rng.ms(1_500)).await;
            }
        }));
    }
    for _ in 0..2 {
        let (soak, epoch, mut rng) = (Arc::clone(soak), Arc::clone(&epoch), rng.fork());
        let pause = plan.command_pause;
        at_work.push(tokio::task::spawn_blocking(move || {
            std::thread::sleep(rng.ms(pause.as_millis() as u64));
            while Instant::now() < until {
                commands::one(&soak, &epoch, &mut rng);
                std::thread::sleep(rng.ms(pause.as_millis() as u64));
            }
        }));
    }
    for work in at_work {
        if let Err(why) = work.await {
            soak.wrong(&format!("epoch {number}: {why}"));
        }
    }
    let sent = epoch.cloud.event_log();
    let honest = sent.iter().filter(|event| event.kind == "event").count() as u64;
    soak.honest.fetch_add(honest, Ordering::Relaxed);
    soak.hostile.fetch_add(sent.len() as u64 - honest, Ordering::Relaxed);
}

/// A cloud at random.
fn draw(plan: &Plan, soak: &Soak, rng: &mut Rng, number: u64) -> (Epoch, GatewayFaults) {
    let address = rng.one_of(&[soak.with_key, soak.without_key]);
    let key = (address == soak.with_key).then_some(KEY);
    let encoding = rng.one_of(&[QueueEncoding::Raw, QueueEncoding::Base64, QueueEncoding::Mixed]);
    let queue = QueueScript {
        encoding,
        foreign: rng.below(5) as usize,
        undecodable: rng.below(3) as usize,
        ..QueueScript::named(QUEUE)
    };
    let mut scenario = Scenario::new()
        .with_callback(format!("http://{address}/"), key)
        .with(|s| s.queue = Some(queue))
        .with(|s| s.job_delay = rng.ms(plan.task_seconds * 250))
        .with(|s| s.latency = rng.ms(150))
        .with(|s| s.task_duration = Duration::from_millis(300) + rng.ms(plan.task_seconds * 1_000))
        .with(|s| s.urls_per_media = 1 + rng.below(4) as usize);
    scenario.seed = Some(rng.below(u64::MAX));
    scenario.event_delay = rng.ms(plan.task_seconds * 200);
    scenario.task_jitter = rng.ms(plan.task_seconds * 400);
    scenario.pending_for = rng.ms(plan.task_seconds * 150);
    scenario.url_with_commas = rng.percent(20);
    scenario.merge_ids_across_media = rng.percent(15);
    scenario.task_filters = if rng.percent(60) { Filtering::Works } else { rng.one_of(&FILTERS) };
    if rng.percent(50) {
        scenario =
            scenario.with(|s| s.rates.insert("DescribeVodRefreshTasks".into(), 8.0 + rng.below(20) as f64));
    }
    if rng.percent(10) {
        // Submissions are throttled.
        scenario = scenario
            .with(|s| s.rates.insert("RefreshMediaPlayUrls".into(), 0.2 + rng.below(10) as f64 / 10.0));
    }
    let mut hostile = rng.percent(60).then(|| Hostile::draw(rng, scenario.merge_ids_across_media, true));
    // A row that pages hide is waited for ten minutes: there only the deadline ends a run.
    if hostile.as_ref().is_some_and(|hostile| hides_rows(&hostile.pages)) && rng.percent(70) {
        hostile = None;
    }
    if let Some(hostile) = &hostile {
        scenario.pages = hostile.pages.clone();
    }
    for _ in 0..rng.below(5) {
        let rule: FaultRule = one_fault(rng);
        let (skip, times) = (rng.below(30) as u32, 1 + rng.below(4) as u32);
        scenario = scenario.with_fault(rule.skip(skip).times(times));
    }
    let faults = GatewayFaults {
        other_answers: rng.one_of(&[0, 0, 5, 30]),
        endless: rng.one_of(&[0, 0, 2, 6]),
        ends_soon: rng.percent(30),
    };
    let mut options = HttpOptions::default();
    options.proxy_from_environment = false;
    let cloud =
        Emulator::new(scenario.clone()).with_event_transport(Arc::new(HttpTransport::new(&options).unwrap()));
    let odd = rng.one_of(&[0, 5, 30]);
    (Epoch { number, cloud, scenario, hostile, odd }, faults)
}

impl Soak {
    /// One run of the process under test.
    async fn run(&self, epoch: &Epoch, rng: &mut Rng) {
        let most = if rng.percent(80) { 6 } else { 50 };
        let asked = Asked::draw(self, epoch, rng, most);
        let number = self.orders.fetch_add(1, Ordering::Relaxed);
        let order = Order {
            number,
            media: asked.ids(),
            preload: asked.preload,
            timeout: asked.timeout,
            lookup_after: asked.lookup_after,
        };
        let (send, answer) = oneshot::channel();
        self.answers.lock().unwrap().insert(number, send);
        let begun = Instant::now();
        let line = serde_json::to_string(&order).unwrap();
        let told = writeln!(self.stdin.lock().unwrap(), "{line}");
        let longest = asked.timeout + Duration::from_secs(15);
        match tokio::time::timeout(longest, answer).await {
            _ if told.is_err() => self.wrong("the process under test does not listen to its stdin"),
            Ok(Ok(Ok(report))) => {
                if !self.check_report(epoch, &asked, &report, Process::Whole, begun.elapsed()) {
                    self.explain(&asked, &report).await;
                }
            }
            Ok(Ok(Err(why))) => *self.errors.lock().unwrap().entry(short(&why)).or_default() += 1,
            Ok(Err(_)) => self.wrong("the process under test is gone"),
            Err(_) => self.wrong(&format!("epoch {}: a run did not end in {longest:?}", epoch.number)),
        }
        self.over(&asked);
    }

    /// Weighs a report, notes what is wrong about it, and says whether nothing is.
    fn check_report(
        &self,
        epoch: &Epoch,
        asked: &Asked,
        report: &Report,
        process: Process,
        took: Duration,
    ) -> bool {
        *self.outcomes.lock().unwrap().entry(report.outcome.as_str()).or_default() += 1;
        self.media_weighed.fetch_add(report.media.len() as u64, Ordering::Relaxed);
        let is_lost = asked.media.iter().any(|(id, _)| self.gateway.has_lost(id));
        let weighed = check_report::check_report(epoch, asked, is_lost, (report, process, took));
        if let Err(why) = &weighed {
            self.wrong.fetch_add(1, Ordering::Relaxed);
            let number = epoch.number;
            self.wrong(&format!("epoch {number}, run {} ({process:?}, {took:?}): {why}", report.run_id));
        }
        weighed.is_ok()
    }

    /// Prints what a wrong report rests on: how the cloud was to tell of its media, and what the run wrote down.
    #[allow(clippy::print_stderr, reason = "a fault that does not come again is found with this only")]
    async fn explain(&self, asked: &Asked, report: &Report) {
        eprintln!("hostile: asked {asked:?}\nhostile: report {}", serde_json::to_string(report).unwrap());
        let stored = match Journal::open_to_read(&self.journal).await {
            Ok(journal) => journal.load(Some(report.run_id.clone())).await.ok().flatten(),
            Err(_) => None,
        };
        for (at, fact) in stored.iter().flat_map(|stored| &stored.facts) {
            eprintln!("hostile: fact {at:?} {}", serde_json::to_string(fact).unwrap());
        }
    }

    fn over(&self, asked: &Asked) {
        let mut live = self.live.lock().unwrap();
        for (id, _) in &asked.media {
            live.remove(id);
        }
    }

    fn check(&self, is_so: bool, why: impl FnOnce() -> String) {
        if !is_so {
            self.wrong(&why());
        }
    }

    /// Notes a fault, and says so at once.
    #[allow(clippy::print_stderr, reason = "a fault is worth knowing before the hours are over")]
    fn wrong(&self, what: &str) {
        let what: String = what.chars().take(2_000).collect();
        eprintln!("hostile: FAULT, seed {}: {what}", self.seed);
        let mut faults = self.faults.lock().unwrap();
        if faults.len() < 200 {
            faults.push(what);
        }
    }

    fn line(&self, elapsed: Duration, sample: &Sample, process: u32) -> String {
        let get = |number: &AtomicU64| number.load(Ordering::Relaxed);
        format!(
            "{:>3} min, {} runs, {} commands, {} media, events {} honest {} hostile, RSS {} KiB (most {}), \
             {} descriptors, journal {} KiB, slowest answer {} ms, {} wrong verdicts; processor {:.0} s + {:.0} s ours",
            elapsed.as_secs() / 60,
            get(&self.orders),
            get(&self.one_shots),
            get(&self.media_weighed),
            get(&self.honest),
            get(&self.hostile),
            sample.rss_kib,
            memory_kib(&process.to_string(), "VmHWM").unwrap_or_default(),
            sample.descriptors,
            sample.journal_kib,
            get(&self.slowest_answer),
            get(&self.wrong),
            figures::processor_seconds(process),
            figures::processor_seconds(std::process::id()),
        )
    }

    fn summary(&self) -> String {
        let get = |number: &AtomicU64| number.load(Ordering::Relaxed);
        format!(
            "{} runs, {} commands ({} without report), outcomes {:?}, attacks {:?}, {} requests of which {} got another \
             answer, errors {:?}, ends of the queue {:?}, {} faults",
            get(&self.orders),
            get(&self.one_shots),
            get(&self.no_report),
            self.outcomes.lock().unwrap(),
            self.attacks.lock().unwrap(),
            get(&self.gateway.requests),
            get(&self.gateway.spoiled),
            self.errors.lock().unwrap(),
            self.queue_ends.lock().unwrap(),
            self.faults.lock().unwrap().len(),
        )
    }
}
