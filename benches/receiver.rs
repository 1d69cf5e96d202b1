//! 10,000 events through the receiver: sockets, signature, journal and confirmation.
//!
//! `cargo bench --bench receiver` refreshes 10,000 media against the emulator. Once all batches are submitted, it sends the event
//! of each media to a listener on loopback, over 64 connections that stay open, one event after the other on each. The requests
//! are written beforehand and sent by a thread of their own, so that little is measured besides the receiver, the run behind it
//! with its lookups, and the journal. It prints events per second, answer times and the peak memory of the process, in which
//! the emulator and its log of every call are as well.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use vod_refresh::auth::callback::{CallbackVerifier, sign};
use vod_refresh::emulator::{Emulator, EventScript, MediaScript, Scenario};
use vod_refresh::journal::Journal;
use vod_refresh::net::clock::{Clock as _, SystemClock};
use vod_refresh::{
    Credential, EventReceiver, Inbox, Listener, MediaId, Outcome, RefreshRequest, Refresher,
    StaticCredentials, TaskType, VodClient,
};

const MEDIA: u32 = 10_000;
const CONNECTIONS: usize = 64;
const KEY: &str = "Abc123Key";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n";

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = Inbox::new();
    let receiver_inbox = inbox.clone();
    let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), |bound| {
        let verifier = CallbackVerifier::new(format!("http://{bound}/"), vec![KEY.to_owned().into()]);
        EventReceiver::new(receiver_inbox, verifier)
    })
    .await
    .unwrap();
    let cloud = cloud();
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

    let address = listener.address();
    let sending = async {
        while cloud.count("RefreshMediaPlayUrls") < MEDIA as usize / 20 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The answers are written down.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let events = events(&cloud, address);
        tokio::task::spawn_blocking(move || send_all(address, events)).await.unwrap()
    };
    let (report, sent) = tokio::join!(refresher.refresh(&request), sending);
    let report = report.unwrap();

    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!(report.summary.events_accepted, u64::from(MEDIA));
    println!("receiver: {MEDIA} events over {CONNECTIONS} connections");
    print_times(sent);
    println!(
        "  peak memory of the process  {} MiB ({} MiB before the run)",
        memory("VmHWM") / 1_024,
        before / 1_024
    );
    println!("  measured by                 cargo bench --bench receiver");
    listener.close().await;
}

fn cloud() -> Emulator {
    let silent = EventScript { lost: true, ..EventScript::default() };
    Emulator::new(
        Scenario::new()
            .with(|s| s.seed = Some(1))
            // The service's own pace would be measured instead of the receiver's.
            .with(|s| s.rates.insert("RefreshMediaPlayUrls".into(), 0.0))
            .with(|s| s.rates.insert("GetMediaRefreshJobs".into(), 0.0))
            .with(|s| s.default_media = MediaScript::default().with(|m| m.event = silent))
            .with(|s| s.job_delay = Duration::ZERO)
            .with(|s| s.urls_per_media = 1)
            .with(|s| s.task_duration = Duration::from_secs(1)),
    )
}

/// The events of all media as they go out over each connection.
fn events(cloud: &Emulator, address: SocketAddr) -> Vec<Vec<Vec<u8>>> {
    let now = SystemClock.now().timestamp();
    let signature = sign(&format!("http://{address}/"), now, &KEY.to_owned().into());
    let mut events: Vec<Vec<Vec<u8>>> = vec![Vec::new(); CONNECTIONS];
    let jobs = cloud.job_ids();
    let mut count = 0;
    for call in cloud.calls().iter().filter(|call| call.action == "RefreshMediaPlayUrls") {
        let media: Vec<&str> = call.params["MediaIds"].split(',').collect();
        let job = jobs.iter().find(|job| cloud.event_for(job, media[0]).is_some()).unwrap();
        for media in media {
            let body = cloud.event_for(job, media).unwrap().to_string();
            let head = format!(
                "POST / HTTP/1.1\r\nhost: {address}\r\nx-vod-timestamp: {now}\r\nx-vod-signature: {signature}\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            events[count % CONNECTIONS].push((head + &body).into_bytes());
            count += 1;
        }
    }
    assert_eq!(count, MEDIA as usize);
    events
}

/// How long each answer took, and all together, and the CPU time of all threads meanwhile.
struct Sent {
    times: Vec<Duration>,
    refused: usize,
    span: Duration,
    cpu: Duration,
}

/// Sends all events.
fn send_all(address: SocketAddr, events: Vec<Vec<Vec<u8>>>) -> Sent {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (begun, before) = (Instant::now(), cpu());
        let sent = join_all(events.into_iter().map(|events| send(address, events))).await;
        let (times, refused): (Vec<_>, Vec<_>) = sent.into_iter().unzip();
        let (times, refused) = (times.concat(), refused.into_iter().sum());
        Sent { times, refused, span: begun.elapsed(), cpu: cpu() - before }
    })
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends events one after the other; gives back how long each answer took, and how many were no 200.
async fn send(address: SocketAddr, events: Vec<Vec<u8>>) -> (Vec<Duration>, usize) {
    let (mut stream, mut refused) = (connect(address).await, 0);
    let (mut times, mut answer) = (Vec::with_capacity(events.len()), [0; 1_024]);
    for event in events {
        let sent = Instant::now();
        stream.write_all(&event).await.unwrap();
        let mut length = 0;
        while !answer[..length].ends_with(b"\r\n\r\n") {
            let read = stream.read(&mut answer[length..]).await.unwrap();
            assert!(read > 0, "the connection ended");
            length += read;
        }
        times.push(sent.elapsed());
        if !answer.starts_with(ANSWER) {
            // The receiver closes the connection then.
            (stream, refused) = (connect(address).await, refused + 1);
        }
    }
    (times, refused)
}

fn print_times(Sent { mut times, refused, span, cpu }: Sent) {
    times.sort_unstable();
    let share = |of_thousand: usize| times[(times.len() - 1) * of_thousand / 1_000].as_secs_f64() * 1_000.0;
    println!("  events per second           {:.0}", times.len() as f64 / span.as_secs_f64());
    println!("  CPU an event, with senders  {:.0} µs", cpu.as_secs_f64() * 1e6 / times.len() as f64);
    println!("  answer time, median         {:.1} ms", share(500));
    println!("  answer time, 99th           {:.1} ms", share(990));
    println!("  answer time, longest        {:.1} ms", share(1_000));
    println!("  answers other than 200      {refused}");
}

/// CPU time of this process by now; zero where it can't be read.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ');
    let ticks = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>();
    // A hundred a second on every Linux.
    Duration::from_millis(ticks * 10)
}

/// A line of `/proc/self/status`, in KiB; 0 where there is none.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim_start_matches(':').split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}
