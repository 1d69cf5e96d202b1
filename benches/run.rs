//! Whole runs in one process: client, driver, ledger and the emulator, on paused time and without sockets.
//!
//! `cargo bench --bench run` prints CPU time and memory at 1,000, 10,000 and 100,000 tasks of five to ten minutes, each in
//! a process of its own. The emulator's share is in both figures.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::process::Command;
use std::time::Duration;

use vod_refresh::emulator::{Emulator, Scenario};
use vod_refresh::net::clock::TimerClock;
use vod_refresh::{
    Credential, MediaId, Outcome, RefreshRequest, Refresher, StaticCredentials, TaskType, VodClient,
};

const URLS_PER_MEDIA: usize = 5;
const CHILD: &str = "VOD_REFRESH_BENCH_TASKS";

/// A number out of `/proc/self/status`, in KiB.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// CPU time of this process so far. Source: proc(5), fields 14 and 15, in hundredths of a second.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let rest = text.rsplit_once(')').unwrap().1;
    let ticks: u64 = rest.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

async fn run(tasks: usize) {
    let clock = TimerClock::starting_at("2026-11-25T01:19:10Z".parse().unwrap());
    let mut scenario = Scenario::new().with(|s| s.seed = Some(1));
    scenario.urls_per_media = URLS_PER_MEDIA;
    scenario.task_duration = Duration::from_secs(300);
    scenario.task_jitter = Duration::from_secs(300);
    let cloud = Emulator::new(scenario).with_clock(std::sync::Arc::new(clock));
    let client = VodClient::builder(StaticCredentials(Credential::new("testid", "testsecret")))
        .with_endpoint("http://127.0.0.1:1")
        .with_transport(cloud.transport())
        .with_clock(clock)
        .build()
        .unwrap();
    let media = (0..tasks / URLS_PER_MEDIA).map(|n| MediaId::new(format!("{n:032x}")).unwrap());
    let request = RefreshRequest::new(TaskType::Refresh, media);
    let (before, began) = (cpu(), tokio::time::Instant::now());
    let report = Refresher::new(client).refresh(&request).await.unwrap();
    let spent = cpu() - before;
    assert_eq!(report.outcome, Outcome::Complete);
    println!(
        "{tasks} tasks: {:.1} µs of CPU a task, {} MiB at the peak, {} calls, done after {} s",
        spent.as_secs_f64() * 1e6 / tasks as f64,
        status("VmHWM") / 1_024,
        report.summary.api_calls.values().sum::<u64>(),
        began.elapsed().as_secs()
    );
}

fn main() {
    if let Ok(tasks) = std::env::var(CHILD) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        return runtime.unwrap().block_on(run(tasks.parse().unwrap()));
    }
    for tasks in ["1000", "10000", "100000"] {
        let child = Command::new(std::env::current_exe().unwrap()).env(CHILD, tasks).status().unwrap();
        assert!(child.success());
    }
}
