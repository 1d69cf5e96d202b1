//! 10,000 events through the receiver: sockets, signature, journal and confirmation.
//!
//! `cargo bench --bench receiver` refreshes 10,000 media against the emulator, which posts their events to a listener on
//! loopback, 64 at a time. It prints events per second, answer times and the peak memory of the process, in which the
//! emulator and its log of every call and event are as well.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use vod_refresh::auth::callback::CallbackVerifier;
use vod_refresh::emulator::{Emulator, Scenario, SentEvent};
use vod_refresh::journal::Journal;
use vod_refresh::net::{HttpOptions, HttpTransport};
use vod_refresh::{
    Credential, EventReceiver, Inbox, Listener, MediaId, Outcome, RefreshRequest, Refresher,
    StaticCredentials, TaskType, VodClient,
};

const MEDIA: u32 = 10_000;
const KEY: &str = "Abc123Key";

/// All batches are submitted by then, so that events come as fast as they are answered.
const JOB_DELAY: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = Inbox::new();
    let ears = inbox.clone();
    let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), |bound| {
        let verifier = CallbackVerifier::new(format!("http://{bound}/"), vec![KEY.to_owned().into()]);
        EventReceiver::new(ears, verifier)
    })
    .await
    .unwrap();
    let cloud = cloud(&format!("http://{}/", listener.address()));
    let client = VodClient::builder(StaticCredentials(Credential::new("testid", "testsecret")))
        .with_endpoint("http://127.0.0.1:1")
        .with_transport(cloud.transport())
        .with_max_rps(100_000)
        .build()
        .unwrap();
    let media = (0..MEDIA).map(|n| MediaId::new(format!("{n:032x}")).unwrap());
    let request = RefreshRequest::new(TaskType::Refresh, media);
    let journal = Journal::open(folder.path().join("journal.db")).await.unwrap();
    let refresher = Refresher::new(client).with_inbox(inbox).with_journal(journal, serde_json::Value::Null);
    let before = memory("VmRSS");

    let started = tokio::time::Instant::now();
    let report = refresher.refresh(&request).await.unwrap();
    let took = started.elapsed();

    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!(report.summary.events_accepted, u64::from(MEDIA));
    println!(
        "receiver: {MEDIA} events, a run of {:.1} s (of which {} s wait for the first event)",
        took.as_secs_f64(),
        JOB_DELAY.as_secs()
    );
    print_times(&cloud.event_log());
    println!(
        "  peak memory of the process  {} MiB ({} MiB before the run)",
        memory("VmHWM") / 1_024,
        before / 1_024
    );
    println!("  measured by                 cargo bench --bench receiver");
    listener.close().await;
}

fn cloud(url: &str) -> Emulator {
    let mut options = HttpOptions::default();
    options.proxy_from_environment = false;
    let scenario = Scenario::new()
        .with(|scenario| scenario.seed = Some(1))
        // The service's own pace would be measured instead of the receiver's.
        .with_rate("RefreshMediaPlayUrls", 0.0)
        .with_rate("GetMediaRefreshJobs", 0.0)
        .with_callback(url, Some(KEY))
        .with_job_delay(JOB_DELAY)
        .with_urls_per_media(1)
        .with_task_duration(Duration::from_secs(1));
    Emulator::new(scenario).with_event_transport(Arc::new(HttpTransport::new(&options).unwrap()))
}

fn print_times(events: &[SentEvent]) {
    let again = events.iter().filter(|event| event.status != Some(200)).count();
    let first = events.iter().map(|event| event.at).min().unwrap();
    let last = events.iter().map(|event| event.at + TimeDelta::from_std(event.took).unwrap()).max().unwrap();
    let span = (last - first).to_std().unwrap();
    let mut times: Vec<Duration> = events.iter().map(|event| event.took).collect();
    times.sort_unstable();
    let share = |of_thousand: usize| times[(times.len() - 1) * of_thousand / 1_000].as_secs_f64() * 1_000.0;
    println!("  events per second           {:.0}", events.len() as f64 / span.as_secs_f64());
    println!("  answer time, median         {:.1} ms", share(500));
    println!("  answer time, 99th           {:.1} ms", share(990));
    println!("  answer time, longest        {:.1} ms", share(1_000));
    println!("  answers other than 200      {again}");
}

/// A line of `/proc/self/status`, in KiB; 0 where there is none.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim_start_matches(':').split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}
