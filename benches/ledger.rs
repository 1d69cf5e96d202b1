//! The ledger through all states of a run: submitted, events, confirmation, two looks at each task.
//!
//! `cargo bench --bench ledger` prints the cost of a fact at 2,000, 20,000 and 200,000 tasks, which must stay flat, and
//! first the memory of a ledger with 200,000 tasks, read off the process.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark"
)]

use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use vod_refresh::event::{Decoded, Source, decode};
use vod_refresh::ids::RunId;
use vod_refresh::run::Batch;
use vod_refresh::run::ledger::{Fact, Ledger, Moment, Settings, Slots};
use vod_refresh::vod::{JobRow, SubmissionStatus, TaskRow, TaskStatus};
use vod_refresh::{JobId, MediaId, TaskId, TaskType};

const TASKS_PER_MEDIA: usize = 20;
const SLOTS: Slots = Slots { submit: 8, query_job: 8, poll_task: 16 };

/// One run, whose facts are made when they are needed: what a fact takes must not pass for what the ledger takes.
struct Run {
    media: Vec<MediaId>,
}

fn url(media: usize, task: usize) -> String {
    format!("https://vod.example.com/{media:032x}/{task:02}/4841bb0f-1810a5fc460.mp4")
}

fn job(media: usize) -> JobId {
    JobId::new(format!("{:032x}", media / 20)).unwrap()
}

fn task(media: usize, task: usize) -> TaskId {
    TaskId::new(format!("{}", 14_604_350_000 + media * 100 + task)).unwrap()
}

fn urls(media: usize) -> String {
    (0..TASKS_PER_MEDIA).map(|k| url(media, k)).collect::<Vec<_>>().join(",")
}

impl Run {
    fn of_tasks(tasks: usize) -> Self {
        Self {
            media: (0..tasks / TASKS_PER_MEDIA).map(|n| MediaId::new(format!("{n:032x}")).unwrap()).collect(),
        }
    }

    fn new_ledger(&self) -> Ledger {
        let mut settings = Settings::new(RunId::fresh(), Some(TaskType::Refresh));
        settings.has_events = true;
        Ledger::for_batches(settings, Batch::split(&self.media))
    }

    /// Every fact of the run, in the order of time: answers, events, two lookups of each job, two looks at each task, and the last
    /// lookup of each job.
    fn facts(&self) -> impl Iterator<Item = Fact> {
        let count = self.media.len();
        let batches = count.div_ceil(20);
        let submitted = (0..batches).map(|batch| Fact::Submitted {
            batch: batch as u32,
            job: Some(job(batch * 20)),
            not_found: Vec::new(),
            forbidden: Vec::new(),
            request_id: None,
        });
        let events = (0..count).map(|n| self.event(n));
        let lookups = move || {
            (0..batches).map(move |batch| Fact::JobQueried {
                job: job(batch * 20),
                rows: (batch * 20..(batch * 20 + 20).min(count)).map(|n| self.row(n)).collect(),
            })
        };
        let rounds = [TaskStatus::Refreshing, TaskStatus::Complete].into_iter().flat_map(move |status| {
            lookups().chain((0..count * TASKS_PER_MEDIA).map(move |n| {
                let (n, k) = (n / TASKS_PER_MEDIA, n % TASKS_PER_MEDIA);
                let rows = vec![TaskRow::new(task(n, k), url(n, k), status.clone())];
                Fact::TaskSeen { task: task(n, k), rows, total: Some(1) }
            }))
        });
        submitted.chain(events).chain(rounds).chain(lookups())
    }

    fn row(&self, n: usize) -> JobRow {
        let tasks = (0..TASKS_PER_MEDIA).map(|k| task(n, k)).collect();
        JobRow::new(self.media[n].clone(), SubmissionStatus::Success, tasks, &urls(n))
    }

    fn event(&self, n: usize) -> Fact {
        let tasks: Vec<String> = (0..TASKS_PER_MEDIA).map(|k| task(n, k).to_string()).collect();
        let body = format!(
            r#"{{"EventType":"SubmitMediaRefreshComplete","Status":"success","MediaRefreshJobId":"{}","MediaId":"{}","TaskIds":"{}","SuccessPlayUrls":"{}"}}"#,
            job(n),
            self.media[n],
            tasks.join(","),
            urls(n)
        );
        let Ok(Decoded::Refresh(mut event)) = decode(body.as_bytes(), Source::Callback) else {
            unreachable!()
        };
        event.signed = true;
        Fact::Event(event)
    }

    /// Plays the whole run; gives back the ledger, how many facts there were, and the time spent in the ledger.
    fn play(&self) -> (Ledger, u64, Duration) {
        let mut ledger = self.new_ledger();
        let (mut facts, mut count, mut spent) = (self.facts(), 0, Duration::ZERO);
        let mut now = Moment::START;
        loop {
            let chunk: Vec<Fact> = facts.by_ref().take(256).collect();
            if chunk.is_empty() {
                break;
            }
            count += chunk.len() as u64;
            let started = std::time::Instant::now();
            for (n, fact) in chunk.into_iter().enumerate() {
                if n % 16 == 0 {
                    // Between two lookups lie more than three seconds, also in the smallest run.
                    now = now + Duration::from_millis(30);
                    while ledger.due(now, SLOTS).is_some() {}
                    drop(ledger.take_notices());
                }
                ledger.apply(now, fact);
            }
            spent += started.elapsed();
        }
        assert!(ledger.is_settled());
        (ledger, count, spent)
    }
}

fn cost_of_a_fact(c: &mut Criterion) {
    let mut group = c.benchmark_group("ledger");
    group.sample_size(10);
    for tasks in [2_000, 20_000, 200_000] {
        let run = Run::of_tasks(tasks);
        group.bench_function(BenchmarkId::new("fact", tasks), |b| {
            b.iter_custom(|times| {
                let mut per_fact = Duration::ZERO;
                for _ in 0..times {
                    let (_, count, spent) = run.play();
                    // Criterion counts one iteration a run; what is wanted is the cost of one fact.
                    per_fact += spent.div_f64(count as f64);
                }
                per_fact
            });
        });
    }
    group.finish();
}

fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split_whitespace().nth(1)?.parse::<u64>().ok()? * 4_096)
}

/// Memory of a whole ledger, the allocator's own share included.
fn memory_of_a_task() {
    let tasks = 200_000;
    let run = Run::of_tasks(tasks);
    let Some(before) = resident_bytes() else { return };
    let (ledger, ..) = run.play();
    let after = resident_bytes().unwrap_or(before);
    println!("ledger/memory/{tasks}: {} bytes a task", after.saturating_sub(before) / tasks as u64);
    drop(ledger);
}

fn main() {
    memory_of_a_task();
    let mut criterion = Criterion::default().configure_from_args();
    cost_of_a_fact(&mut criterion);
    criterion.final_summary();
}
