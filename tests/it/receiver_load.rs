//! The receiver under load, over real sockets: whatever other senders do, a genuine event has its answer at once.
//!
//! The promise is one second; the tests allow more, for machines that have other things to do.
//! `--nocapture` shows the figures.

#![allow(clippy::print_stdout, reason = "figures, where asked for")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard, oneshot};
use tokio::time::Instant;
use vod_refresh::auth::callback::{CallbackVerifier, sign};
use vod_refresh::net::clock::{Clock as _, SystemClock};
use vod_refresh::net::transport::Transport as _;
use vod_refresh::net::{HttpOptions, HttpTransport};
use vod_refresh::{EventReceiver, Inbox, Listener};

use crate::support::program::memory_kib;

const KEY: &str = "Abc123Key";
const SOON: Duration = Duration::from_secs(3);
const MIB: usize = 1024 * 1024;

const EVENT: &str = r#"{"EventType":"SubmitMediaRefreshComplete","EventTime":"2025-06-15T15:06:40Z","Status":"success","MediaRefreshJobId":"JX","MediaId":"m","TaskType":"refresh","TaskIds":"T"}"#;

/// A listener on a thread of its own, so that the connections of the test take none of its time.
struct LoadedReceiver {
    address: SocketAddr,
    inbox: Inbox,
    // Dropped, it ends the listener.
    _stop: oneshot::Sender<()>,
    _lock: MutexGuard<'static, ()>,
}

/// One test at a time: file handles and memory are those of the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

impl LoadedReceiver {
    async fn new() -> Self {
        let _lock = ONE_AT_A_TIME.lock().await;
        let inbox = Inbox::new();
        let ((open, opened), (_stop, stop)) = (oneshot::channel(), oneshot::channel());
        let receiver_inbox = inbox.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), |bound| {
                    let verifier = CallbackVerifier::new(url(bound), vec![KEY.to_owned().into()]);
                    EventReceiver::new(receiver_inbox, verifier)
                });
                let listener = listener.await.unwrap();
                open.send(listener.address()).unwrap();
                let _: Result<(), _> = stop.await;
                listener.close().await;
            });
        });
        Self { address: opened.await.unwrap(), inbox, _stop, _lock }
    }

    /// Sends a genuine event on a connection of its own; gives back how long the 200 took.
    async fn send_genuine(&self, body: impl Into<Bytes>) -> Duration {
        let mut options = HttpOptions::default();
        options.proxy_from_environment = false;
        let (timestamp, signature) = signature(self.address);
        let request = http::Request::post(url(self.address))
            .header("x-vod-timestamp", timestamp)
            .header("x-vod-signature", signature)
            .body(body.into())
            .unwrap();
        let started = Instant::now();
        let answer = HttpTransport::new(&options).unwrap().send(request).await.unwrap();
        assert_eq!(answer.status(), 200);
        started.elapsed()
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}/")
}

fn signature(address: SocketAddr) -> (String, String) {
    let now = SystemClock.now().timestamp();
    (now.to_string(), sign(&url(address), now, &KEY.to_owned().into()))
}

/// The head of an event, without the empty line that ends it.
fn head(address: SocketAddr, signed: bool, length: usize) -> String {
    let (timestamp, right) = signature(address);
    let signature = if signed { right } else { "9bd8b99cce247df36eab6b7ece88f63c".to_owned() };
    format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\nx-vod-timestamp: {timestamp}\r\nx-vod-signature: {signature}\r\ncontent-length: {length}"
    )
}

/// As many connections as wanted, or as this process may hold: each takes two file handles, and other tests run beside.
fn at_most(wanted: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok());
    wanted.min(files.unwrap_or(256) / 6)
}

/// Memory of this process; 0 where it can't be read.
fn resident() -> usize {
    memory_kib("self", "VmRSS").unwrap_or(0) as usize * 1024
}

/// The receiver's own bound is 64 MiB; the test's ends of the connections and other tests are in this process as well.
fn grew_little(before: usize) {
    let grown = resident().saturating_sub(before) / MIB;
    println!("{grown} MiB more");
    assert!(grown < 256, "{grown} MiB more");
}

/// An event that is as long as events may be.
fn longest_event() -> String {
    EVENT.replace(r#""TaskIds""#, &format!(r#""Pad":"{}","TaskIds""#, "x".repeat(MIB - 300)))
}

/// Opens a connection and says `words`.
async fn open(address: SocketAddr, words: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(words.as_bytes()).await?;
    Ok(stream)
}

/// Opens `count` connections at once, the n-th of which says `words(n)`.
async fn open_many(count: usize, address: SocketAddr, words: impl Fn(usize) -> String) -> Vec<TcpStream> {
    let opening = (0..count).map(|n| {
        let words = words(n);
        async move { open(address, &words).await }
    });
    // Some may have been sent away before they had said all.
    join_all(opening).await.into_iter().filter_map(Result::ok).collect()
}

#[tokio::test]
async fn a_thousand_connections_that_say_little_keep_no_event_waiting() {
    let receiver = LoadedReceiver::new().await;
    let (count, before) = (at_most(900), resident());
    let held = open_many(count, receiver.address, |n| match n % 4 {
        0 => String::new(),
        1 => "POST / HTTP/1.1\r\nhost: x\r\n".to_owned(),
        2 => head(receiver.address, true, MIB),
        // Rightly signed, with most of a body: replayed from a genuine one.
        _ => format!("{}\r\n\r\n{}", head(receiver.address, true, MIB), "x".repeat(12 * 1024)),
    })
    .await;
    assert!(held.len() >= count * 9 / 10, "{} of {count} connections", held.len());
    let beside = join_all((0..at_most(100)).map(|_| receiver.send_genuine(EVENT))).await;
    println!("beside {} connections: {:?}", held.len(), beside.iter().max());
    assert!(beside.iter().all(|took| *took < SOON), "{beside:?}");
    grew_little(before);
    drop(held);
    assert!(receiver.send_genuine(EVENT).await < SOON);
}

#[tokio::test]
async fn more_connections_than_there_are_slots_lock_nobody_out() {
    let receiver = LoadedReceiver::new().await;
    let half_open = open_many(at_most(2_600), receiver.address, |_| "POST / HTTP/1.1\r\nx-slow: ".to_owned());
    let (held, in_the_rush) = tokio::join!(half_open, receiver.send_genuine(EVENT));
    let took = in_the_rush.max(receiver.send_genuine(EVENT).await);
    println!("beside {} half-open connections: {took:?}", held.len());
    assert!(took < SOON, "{took:?}");
}

#[tokio::test]
async fn long_events_beside_slow_ones_fit_into_little_memory() {
    let receiver = LoadedReceiver::new().await;
    let before = resident();
    // Slow ones hold every slot for long bodies; usual events need none.
    let slow = open_many(at_most(120), receiver.address, |_| {
        format!("{}\r\n\r\n{}", head(receiver.address, true, MIB), "x".repeat(64 * 1024))
    })
    .await;
    let took = receiver.send_genuine(EVENT).await;
    println!("beside {} slow bodies: {took:?}", slow.len());
    assert!(took < SOON, "{took:?}");
    drop(slow);
    let long = Bytes::from(longest_event());
    let took = join_all((0..8).map(|_| receiver.send_genuine(long.clone()))).await;
    println!("events of 1 MiB: {took:?}");
    assert!(took.iter().all(|took| *took < SOON), "{took:?}");
    grew_little(before);
}

#[tokio::test]
async fn a_flood_of_forged_events_costs_nothing_and_delays_nobody() {
    let receiver = LoadedReceiver::new().await;
    let (before, stop) = (resident(), AtomicBool::new(false));
    let flood = |_| {
        let (receiver, stop) = (&receiver, &stop);
        async move {
            let mut answers = 0;
            // The body is announced, and never waited for.
            let words = format!("{}\r\n\r\n", head(receiver.address, false, MIB));
            while !stop.load(Ordering::Relaxed) {
                let mut stream = open(receiver.address, &words).await.unwrap();
                let mut text = String::new();
                stream.read_to_string(&mut text).await.unwrap();
                assert!(text.starts_with("HTTP/1.1 401 "), "{text}");
                answers += 1;
            }
            answers
        }
    };
    let genuine = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            slowest = slowest.max(receiver.send_genuine(EVENT).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.store(true, Ordering::Relaxed);
        slowest
    };
    let (forged, slowest) = tokio::join!(join_all((0..at_most(32)).map(flood)), genuine);
    let forged: u64 = forged.into_iter().sum();
    println!("beside {forged} forged events: {slowest:?}");
    assert!(slowest < SOON, "{slowest:?}");
    assert_eq!(receiver.inbox.rejected(), forged);
    grew_little(before);
}
