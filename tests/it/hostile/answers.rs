//! Answers that no service would give, and forms that some gateways give them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use vod_refresh::emulator::{Fault, FaultRule, Scenario};

use crate::support::program::{Cloud, Ended, Home, SUBMIT, memory, until};
use crate::support::raw_server::{RawServer, Then};

fn run(line: &str) -> Ended {
    Home::new().run(&line.split(' ').collect::<Vec<_>>())
}

const MIB: usize = 1024 * 1024;

/// A server whose answers never end.
struct Endless {
    url: String,
    /// The most bytes that an answer came to.
    most: Arc<AtomicUsize>,
    /// How many answers the other side gave up.
    given_up: Arc<AtomicUsize>,
}

fn endless() -> Endless {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let [most, given_up] = [0; 2].map(|_| Arc::new(AtomicUsize::new(0)));
    let (longest, over) = (Arc::clone(&most), Arc::clone(&given_up));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, longest, over) = (stream.unwrap(), Arc::clone(&longest), Arc::clone(&over));
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 4_096]);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
                let piece = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
                // 2 GB at most.
                for sent in 1..32_768 {
                    if stream.write_all(piece.as_bytes()).is_err() {
                        over.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                    longest.fetch_max(sent * 0x10000, Ordering::SeqCst);
                }
            });
        }
    });
    Endless { url, most, given_up }
}

#[test]
fn h04_an_answer_of_two_gigabytes_is_given_up_at_16_mib() {
    let Endless { url, most, .. } = endless();
    let ended = run(&format!("wait J1 --timeout 1s --endpoint {url}"));
    assert!(ended.stderr.contains("is too long: more than 16777216 bytes"), "{}", ended.stderr);
    // What lies in the buffers of the two sockets comes on top.
    let most = most.load(Ordering::SeqCst);
    assert!((16 * MIB - 0x10000..32 * MIB).contains(&most), "{most}");
}

/// Where the first one is freed, the allocator may learn to keep the like of it: the second one tells.
#[test]
fn h04_answers_without_end_leave_no_memory_behind() {
    let server = endless();
    let home = Home::new();
    let line = format!("wait J1 --timeout 5m --endpoint {}", server.url);
    let mut child = home.start(&line.split(' ').collect::<Vec<_>>());
    until("a third answer", || server.given_up.load(Ordering::SeqCst) >= 3);
    until("little memory", || memory(&child, "RssAnon") < 10 * MIB);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn h44_an_empty_object_leaves_the_fate_of_a_batch_unknown() {
    let server = RawServer::start([Then::json("{}")]);
    let ended = run(&format!("refresh m1 --no-resubmit --endpoint {} -o json", server.url()));
    assert_eq!(ended.code, Some(9), "{}", ended.stderr);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["media"][0]["error"]["code"], "OutcomeUnknown");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn h45_a_byte_order_mark_and_gzip_are_read_and_one_submission_is_made() {
    let scenario = Scenario::new()
        .with(|s| s.job_delay = Duration::ZERO)
        .with(|s| s.task_duration = Duration::from_millis(100));
    let cloud = Cloud::new(scenario.with_fault(FaultRule::on(SUBMIT, Fault::Bom)));
    let line = format!("refresh m1 --poll-interval 100ms --endpoint {}", cloud.endpoint);
    let ended = run(&line);
    assert_eq!((ended.code, cloud.emulator.count(SUBMIT)), (Some(0), 1), "{}", ended.stderr);

    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(br#"{"RequestId":"R","MediaRefreshJobId":"J"}"#).unwrap();
    let packed = packed.finish().unwrap();
    let server = RawServer::answering(move |_, request| {
        if !request.text.contains(SUBMIT) {
            return Then::json(r#"{"RequestId":"R","MediaRefreshJobs":[]}"#);
        }
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", packed.len());
        Then::say([head.as_bytes(), &packed].concat())
    });
    let ended = run(&format!("refresh m1 --no-wait --endpoint {}", server.url()));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let submissions = server.requests().iter().filter(|request| request.text.contains(SUBMIT)).count();
    assert_eq!(submissions, 1);
}
