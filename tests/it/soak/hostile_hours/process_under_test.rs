//! The process under test: a program that uses the library for hours. One refresher with one inbox, two addresses for
//! events, a queue and a journal; it runs what its parent writes to its stdin and prints each report.

use std::io::{BufRead as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vod_refresh::auth::callback::CallbackVerifier;
use vod_refresh::net::clock::{Clock as _, SystemClock};
use vod_refresh::{
    Credential, EventReceiver, Inbox, Journal, Listener, LookupAfter, MediaId, QueueClient, QueueConsumer,
    RefreshRequest, Refresher, Report, RunOptions, StaticCredentials, TaskType, VodClient,
};

use super::{KEEP, KEY, QUEUE};

/// The environment variable that makes the test of this file the process under test; it holds its [`Settings`].
pub(super) const VARIABLE: &str = "VOD_REFRESH_HOSTILE_USER";
/// What begins the lines that are for the parent: the test harness prints to the same stdout.
pub(super) const MARK: &str = "user: ";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) endpoint: String,
    pub(super) journal: String,
}

/// One run to make.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) number: u64,
    pub(super) media: Vec<String>,
    pub(super) preload: bool,
    pub(super) timeout: Duration,
    pub(super) lookup_after: Duration,
}

/// What the process under test says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Word {
    Listens {
        with_key: SocketAddr,
        without_key: SocketAddr,
    },
    Ended {
        number: u64,
        report: Result<Box<Report>, String>,
    },
    /// The queue is read no more, and will be again in a second.
    QueueEnded(String),
    /// The journal could not be pruned.
    NotPruned(String),
}

#[test]
#[ignore = "the soak starts it as a process of its own"]
fn the_process_under_test() {
    let Ok(settings) = std::env::var(VARIABLE) else { return };
    let settings = serde_json::from_str(&settings).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(work(settings));
}

fn say(word: &Word) {
    let line = serde_json::to_string(word).unwrap();
    // The parent may be gone, which the end of stdin tells soon.
    let _ = writeln!(std::io::stdout().lock(), "\n{MARK}{line}");
}

async fn work(settings: Settings) {
    let inbox = Inbox::new();
    let listen = |keys: Vec<&str>| {
        let keys = keys.into_iter().map(|key| key.to_owned().into()).collect();
        let inbox = inbox.clone();
        Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), move |address| {
            EventReceiver::new(inbox, CallbackVerifier::new(format!("http://{address}/"), keys))
        })
    };
    let with_key = listen(vec![KEY]).await.unwrap();
    let without_key = listen(vec![]).await.unwrap();
    let credentials = || StaticCredentials(Credential::new("testid", "testsecret"));
    let client = VodClient::builder(credentials()).with_endpoint(&settings.endpoint).build().unwrap();
    let queue = QueueClient::builder(credentials(), format!("{}/queues/{QUEUE}", settings.endpoint));
    let queue = queue.build().unwrap();
    let journal = Journal::open(&settings.journal).await.unwrap();
    let refresher = Refresher::new(client).with_inbox(inbox.clone());
    let refresher = refresher.with_journal(journal.clone(), serde_json::Value::Null);
    say(&Word::Listens { with_key: with_key.address(), without_key: without_key.address() });

    tokio::spawn(async move {
        loop {
            let consumer = QueueConsumer::new(queue.clone(), inbox.clone());
            if let Err(error) = consumer.run(tokio_util::sync::CancellationToken::new()).await {
                say(&Word::QueueEnded(error.to_string()));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(KEEP / 8).await;
            let before = SystemClock.now() - TimeDelta::from_std(KEEP).unwrap();
            if let Err(error) = journal.prune(before).await {
                say(&Word::NotPruned(error.to_string()));
            }
            // Unfinished runs are kept for three days more, since they can be resumed. Here these pass as well.
            let path = settings.journal.clone();
            let forget = move || -> Option<usize> {
                let connection = rusqlite::Connection::open(path).ok()?;
                connection.execute_batch("PRAGMA foreign_keys = ON").ok()?;
                let before = before.format("%Y-%m-%dT%H:%M:%SZ").to_string();
                connection.execute("DELETE FROM run WHERE started_at < ?1", [before]).ok()
            };
            // Where somebody holds a lock, the next time will do.
            let _ = tokio::task::spawn_blocking(forget).await;
        }
    });
    let (send, mut orders) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let _ = send.send(serde_json::from_str::<Order>(&line).unwrap());
        }
    });
    // The end of stdin ends it: nothing outlives the soak.
    while let Some(order) = orders.recv().await {
        let refresher = refresher.clone();
        tokio::spawn(async move {
            let mut options = RunOptions::default();
            options.timeout = order.timeout;
            options.lookup_after = Some(LookupAfter::After(order.lookup_after));
            options.outcome_wait = Duration::from_secs(5);
            let task_type = if order.preload { TaskType::Preload } else { TaskType::Refresh };
            let media = order.media.iter().map(|id| MediaId::new(id).unwrap());
            options.poll_interval = Some(Duration::from_secs(1));
            let request = RefreshRequest::new(task_type, media);
            let report = refresher.with_options(options).refresh(&request).await;
            say(&Word::Ended {
                number: order.number,
                report: report.map(Box::new).map_err(|error| error.to_string()),
            });
        });
    }
}
