//! Connections that are cut in the middle of a statement, or before its answer: facts are neither lost nor doubled.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use vod_refresh::emulator::Scenario;
use vod_refresh::{Journal, Outcome};

use super::server::{Database, Server};
use crate::support::program::{Cloud, Home, SUBMIT};
use crate::support::{TestEnv, request};

/// How a connection ends at a statement.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cut {
    /// Half of it reaches the server.
    InTheMiddle,
    /// It is done, and its answer gets lost.
    BeforeTheAnswer,
    /// Not at all, but all answers take longer than a run waits.
    Late,
}

/// Passes bytes on, and cuts the connection once, at the `at`th statement that holds `text`.
struct Proxy {
    port: u16,
    seen: Arc<AtomicUsize>,
}

impl Proxy {
    fn new(server_port: u16, text: &'static [u8], at: usize, cut: Cut) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(AtomicUsize::new(0));
        let counter = seen.clone();
        // Ends with the process of the tests.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", server_port)).unwrap();
                let counter = counter.clone();
                std::thread::spawn(move || pass(&client, &server, text, at, cut, &counter));
            }
        });
        Self { port, seen }
    }
}

fn pass(client: &TcpStream, server: &TcpStream, text: &[u8], at: usize, cut: Cut, seen: &AtomicUsize) {
    let (to_client, from_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let silent = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_silent = silent.clone();
    std::thread::spawn(move || {
        let (mut from, mut to, mut bytes) = (&from_server, &to_client, [0; 65_536]);
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            if cut == Cut::Late {
                std::thread::sleep(Duration::from_millis(700));
            }
            if !is_silent.load(Ordering::SeqCst) && to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let (mut from, mut to, mut bytes) = (client, server, [0; 65_536]);
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let message = &bytes[..count];
        let is_it = message.windows(text.len()).any(|window| window == text)
            && seen.fetch_add(1, Ordering::SeqCst) + 1 == at;
        if is_it && cut == Cut::InTheMiddle {
            let _ = to.write_all(&message[..count / 2]);
            break;
        }
        silent.fetch_or(is_it, Ordering::SeqCst);
        if to.write_all(message).is_err() {
            break;
        }
        if is_it {
            std::thread::sleep(Duration::from_millis(100));
            break;
        }
    }
    let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
}

/// A run over a connection that is cut; its facts in order, and how often the statement was seen.
async fn run(database: &Database<'_>, text: &'static [u8], at: usize, cut: Cut) -> (Vec<String>, usize) {
    let proxy = Proxy::new(database.server.port, text, at, cut);
    let url = format!("postgres://postgres@127.0.0.1:{}/{}?sslmode=disable", proxy.port, database.name);
    let journal = Journal::connect(&url).await.unwrap();
    let env = TestEnv::new(Scenario::new().with(|s| s.urls_per_media = 1));
    let media = request((0..22).map(|n| format!("m{n}")));
    let report = env.refresher().with_journal(journal.clone(), Value::Null).refresh(&media).await.unwrap();
    assert_eq!((report.outcome, &report.notes[..], env.submits()), (Outcome::Complete, &[][..], 2));
    assert!(env.notices.warnings().is_empty(), "{:?}", env.notices.warnings());
    let run = report.run_id.as_str();
    let of = |column: &str| {
        database.sql(&format!("SELECT {column} FROM vod_refresh_fact WHERE run = '{run}' ORDER BY number"))
    };
    let (numbers, facts) = (of("number"), of("body"));
    let expected: Vec<_> = (1..=facts.len()).map(|n| n.to_string()).collect();
    assert_eq!(numbers, expected, "one after the other");
    let row =
        database.sql(&format!("SELECT outcome, lost, driver, epoch FROM vod_refresh_run WHERE id = '{run}'"));
    assert_eq!(row, ["complete|f|NULL|1"], "{at} {cut:?}");
    let calls = database.sql(&format!("SELECT calls FROM vod_refresh_run WHERE id = '{run}'"));
    let calls: Value = serde_json::from_str(&calls[0]).unwrap();
    assert_eq!(calls["api_calls"]["RefreshMediaPlayUrls"], 2, "counted once");
    (facts, proxy.seen.load(Ordering::SeqCst))
}

async fn is_cut_everywhere(text: &'static [u8], least: usize) {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    // The paces of processes follow the server's clock, which does not stand still: here each run has its own.
    drop(Journal::connect(&database.url()).await.unwrap());
    database.sql("DROP TABLE vod_refresh_shared");
    let (whole, count) = run(&database, text, usize::MAX, Cut::InTheMiddle).await;
    assert!(count >= least && whole.len() > 10, "{count} statements, {} facts", whole.len());
    for at in 1..=count {
        for cut in [Cut::InTheMiddle, Cut::BeforeTheAnswer] {
            let (facts, seen) = run(&database, text, at, cut).await;
            assert_eq!(seen, count + 1, "{at} {cut:?}: sent again once");
            assert!(facts == whole, "{at} {cut:?}: {facts:#?}, not {whole:#?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn facts_whose_write_is_cut_off_are_there_once() {
    is_cut_everywhere(b"INSERT INTO vod_refresh_fact", 5).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_first_word_is_cut_off_is_there_once() {
    is_cut_everywhere(b"INSERT INTO vod_refresh_run", 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_cut_off_is_written_once() {
    is_cut_everywhere(b"SET outcome", 1).await;
}

/// Slower than events may be answered: facts wait, and all of them are there in the end.
#[test]
fn answers_that_come_late_cost_nothing() {
    let Some(server) = Server::shared() else { return };
    let (cloud, database) = (Cloud::new(Scenario::new().with(|s| s.urls_per_media = 1)), server.database());
    // The tables are there already.
    assert_eq!(
        Home::new().run(&database.line(&format!("refresh m0 --endpoint {}", cloud.endpoint))).code,
        Some(0)
    );
    let proxy = Proxy::new(server.port, b"INSERT INTO vod_refresh_fact", usize::MAX, Cut::Late);
    let url = format!("postgres://postgres@127.0.0.1:{}/{}?sslmode=disable", proxy.port, database.name);
    let ended = Home::new().run(&[
        "refresh",
        "m1",
        "m2",
        "--endpoint",
        &cloud.endpoint,
        "--journal",
        &url,
        "-o",
        "json",
    ]);
    assert_eq!((ended.code, cloud.emulator.count(SUBMIT)), (Some(0), 2), "{ended:?}");
    let run = ended.json()["run_id"].as_str().unwrap().to_owned();
    let row = database.sql(&format!("SELECT outcome, lost FROM vod_refresh_run WHERE id = '{run}'"));
    assert_eq!(row, ["complete|f"], "{}", ended.stderr);
    let stored = Home::new().run(&database.line(&format!("status {run} -o json"))).json();
    assert_eq!(stored["summary"]["media_complete"], 2);
    let facts = format!(
        "SELECT count(*) = max(number), count(*) = count(DISTINCT (at_ms, body)) FROM vod_refresh_fact WHERE run = '{run}'"
    );
    assert_eq!(database.sql(&facts), ["t|t"]);
}
