//! Strangers at an event port that is as open as the machine: no key, and whatever they send. A run stays small and quick,
//! keeps what is useful, and says once what it refused.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Child;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use vod_refresh::emulator::{EventSignature, Fault, FaultRule, MediaScript, Scenario, Which};
use vod_refresh::run::ledger::Fact;
use vod_refresh::{Journal, Outcome};

use crate::support::program::{Cloud, Ended, Home, SUBMIT, end, memory, until};
use crate::support::scripts::lost_event;
use crate::support::{TestEnv, request};

const EVENT_TYPE: &str = "SubmitMediaRefreshComplete";
/// What a run may take, in bytes.
const MEMORY: usize = 100 * 1024 * 1024;
const JOURNAL: u64 = 4 * 1024 * 1024;

/// Tasks stay open until the test completes them, and the cloud sends no event of its own.
fn open_and_silent() -> Scenario {
    let event = lost_event();
    let media = MediaScript { never_complete: Which::All(true), event, ..MediaScript::default() };
    Scenario::new().with(|s| s.job_delay = Duration::ZERO).with(|s| s.default_media = media)
}

/// A run that listens on loopback without a key.
struct OpenPort {
    child: Option<Child>,
    stderr: Option<JoinHandle<String>>,
    address: SocketAddr,
    home: Home,
}

impl OpenPort {
    fn start(cloud: &Cloud, line: &str) -> Self {
        let home = Home::new();
        let listen = if line.contains("--callback-listen") { "" } else { " --callback-listen 127.0.0.1:0" };
        let line = format!("{line} --endpoint {} -o json{listen}", cloud.endpoint);
        let mut child = home.start(&line.split(' ').collect::<Vec<_>>());
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut heard = String::new();
        let address = loop {
            let before = heard.len();
            assert!(lines.read_line(&mut heard).unwrap() > 0, "it ended before it listened: {heard}");
            if let Some(address) = heard[before..].trim().strip_prefix("listening for callbacks on ") {
                break address.parse().unwrap();
            }
        };
        let stderr = std::thread::spawn(move || {
            lines.read_to_string(&mut heard).unwrap();
            heard
        });
        Self { child: Some(child), stderr: Some(stderr), address, home }
    }

    /// Posts an event; gives back the status and how long the answer took.
    fn post(&self, body: &str) -> (u16, Duration) {
        let begun = Instant::now();
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let length = body.len();
        let head =
            format!("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        // What is refused for its length may be cut off while it is still being sent.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        (status, begun.elapsed())
    }

    /// The most memory that it has taken so far, in bytes.
    fn peak(&self) -> usize {
        self.memory("VmHWM")
    }

    fn memory(&self, name: &str) -> usize {
        memory(self.child.as_ref().unwrap(), name)
    }

    /// Bytes of the journal and its log.
    fn journal(&self) -> u64 {
        let path = self.home.journal();
        let beside = path.with_extension("db-wal");
        [path, beside].iter().filter_map(|path| path.metadata().ok()).map(|file| file.len()).sum()
    }

    fn end(mut self) -> Ended {
        let mut ended = end(self.child.take().unwrap());
        ended.stderr = self.stderr.take().unwrap().join().unwrap();
        ended
    }
}

impl Drop for OpenPort {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Fails where it has ended by itself, which is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Says `words` and gives back all that is answered until the connection ends.
fn ask(address: SocketAddr, words: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // What is refused for its length may be cut off while it is still being sent.
    let _ = stream.write_all(words.as_bytes());
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// An event whose lists and texts are `rest`.
fn event(job: &str, media: &str, rest: &str) -> String {
    format!(r#"{{"EventType":"{EVENT_TYPE}","MediaRefreshJobId":"{job}","MediaId":"{media}",{rest}}}"#)
}

fn ids(first: usize, count: usize) -> String {
    (first..first + count).map(|n| format!("T{n:06}")).collect::<Vec<_>>().join(",")
}

#[test]
fn h01_four_events_with_120_000_task_ids_each_are_answered_at_once_and_2_000_are_kept() {
    let cloud = Cloud::new(open_and_silent());
    let run =
        OpenPort::start(&cloud, "refresh m1 m2 m3 m4 --lookup-after 2s --poll-interval 1s --max-rps 50");
    until("a job", || cloud.emulator.job_ids().len() == 1);
    let job = cloud.emulator.job_ids().remove(0);
    let tasks = ids(0, 120_000);
    for media in ["m1", "m2", "m3", "m4"] {
        let rest = format!(r#""Status":"success","TaskIds":"{tasks}""#);
        let (status, took) = run.post(&event(&job, media, &rest));
        assert_eq!(status, 200, "{media}");
        // 200 says that the run has written it down within a second; a machine with other things to do may read slowly.
        assert!(took < Duration::from_secs(3), "{media}: {took:?}");
    }
    let peak = run.peak();
    assert!(peak < MEMORY, "{} MiB", peak >> 20);
    cloud.wait_for("GetMediaRefreshJobs", 2);
    cloud.complete(&["m1", "m2", "m3", "m4"]);
    let journal = run.journal();
    let ended = run.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(journal < JOURNAL, "{journal} bytes");
    assert_eq!(ended.stderr.matches("can't be taken whole").count(), 1, "{}", ended.stderr);
    let told =
        format!("about media m1 of job {job} can't be taken whole: 120000 task ids, of which 2000 are taken");
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);
}

/// 600 were met; a tenth of them shows the same.
#[test]
fn h02_long_texts_of_unknown_jobs_leave_memory_and_journal_small() {
    let throttled = FaultRule::on(SUBMIT, Fault::throttle()).times(1_000);
    let cloud = Cloud::new(open_and_silent().with_fault(throttled));
    let run = OpenPort::start(&cloud, "refresh m1 --timeout 10m");
    cloud.wait_for(SUBMIT, 1);
    let before = run.peak();
    let text = "x".repeat(1_000_000);
    for n in 0..60 {
        let rest = format!(r#""Status":"fail","ErrorCode":"C","ErrorMessage":"{text}{n}""#);
        assert_eq!(run.post(&event(&format!("J{n}"), "m1", &rest)).0, 200);
    }
    let grown = run.peak() - before;
    assert!(grown < 32 << 20, "{} MiB more", grown >> 20);
    assert!(run.journal() < JOURNAL, "{} bytes", run.journal());
}

/// The live heap is small all the time; what is freed must go back to the system as well.
#[test]
fn h02_a_burst_of_long_events_leaves_no_memory_behind() {
    let cloud = Cloud::new(open_and_silent());
    let run = OpenPort::start(&cloud, "refresh m1 --lookup-after 5m --poll-interval 1m --timeout 10m");
    cloud.wait_for(SUBMIT, 1);
    let (text, list) = ("e".repeat(1_000_000), |one: &str, count| vec![one; count].join(","));
    let kinds = [
        format!(r#""Status":"success","TaskIds":"{}""#, ids(0, 120_000)),
        format!(r#""Status":"success","TaskIds":[{}]"#, list(r#""T1""#, 190_000)),
        format!(r#""Status":"fail","ErrorCode":"C","ErrorMessage":"{text}""#),
        format!(r#""Status":"success","SuccessPlayUrls":"{}""#, list("https://a.test/1", 55_000)),
        format!(r#""Status":"success","TaskIds":"1","New":{{"a":[{}]}}"#, list(r#"{"a":1}"#, 110_000)),
        format!(r#""Extend":{{"run":"r","batch":1,"a":[{}]}}"#, list("[1]", 230_000)),
    ];
    run.post(&event("J", "m1", &kinds[0]));
    let before = run.memory("RssAnon");
    std::thread::scope(|scope| {
        for sender in 0..16 {
            let (run, kinds) = (&run, &kinds);
            scope.spawn(move || {
                for n in 0..4 {
                    // How many are taken at once is not what this is about.
                    run.post(&event(&format!("J{sender}-{n}"), "m1", &kinds[(sender + n) % kinds.len()]));
                }
            });
        }
    });
    let after = || run.memory("RssAnon").saturating_sub(before);
    until("as little memory as before", || after() < 10 * 1024 * 1024);
}

/// The same again, another text each time, another task each time, no media, a media of others: 15 of each, up to 1 MB long.
#[test]
fn h03_the_same_event_again_and_useless_others_are_journaled_once() {
    let cloud = Cloud::new(open_and_silent());
    let run = OpenPort::start(&cloud, "refresh m1 m2 m3 --lookup-after 30s --poll-interval 1s --timeout 10m");
    until("a job", || cloud.emulator.job_ids().len() == 1);
    let job = cloud.emulator.job_ids().remove(0);
    let (tasks, text) = (ids(0, 100_000), "x y ".repeat(200_000));
    let urls = format!("https://a.test/{}", "u".repeat(400_000));
    for n in 0..15 {
        let bodies = [
            event(&job, "m1", &format!(r#""Status":"success","TaskIds":"{tasks}""#)),
            event(&job, "m2", &format!(r#""Status":"fail","ErrorCode":"C","ErrorMessage":"{text}{n}""#)),
            event(
                &job,
                "m3",
                &format!(r#""Status":"success","TaskIds":"U{n}","SuccessPlayUrls":"{urls}{n}""#),
            ),
            event(&job, "other", &format!(r#""Status":"fail","ErrorMessage":"{text}""#)),
            event(&job, "", &format!(r#""Status":"fail","ErrorMessage":"{text}""#)),
        ];
        for body in bodies {
            assert_eq!(run.post(&body).0, 200);
        }
    }
    let journal = run.journal();
    assert!(journal < JOURNAL, "{} KiB", journal >> 10);
    let peak = run.peak();
    assert!(peak < MEMORY, "{} MiB", peak >> 20);
}

#[tokio::test(start_paused = true)]
async fn h03_one_event_300_times_at_once_is_journaled_once() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path().join("journal.db")).await.unwrap();
    let env = TestEnv::new(open_and_silent()).with_events();
    let flood = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let job = env.cloud.job_ids().remove(0);
        let body = env.cloud.event_for(&job, "m1").unwrap().to_string();
        let events = (0..300).map(|_| env.cloud.send_event(None, body.clone(), EventSignature::Right));
        assert_eq!(join_all(events).await, [Some(200); 300]);
        for task in env.cloud.task_ids(&job, "m1") {
            env.cloud.complete_task(&task);
        }
    };
    let refresher = env.refresher().with_journal(journal.clone(), serde_json::Value::Null);
    let order = request(["m1"]);
    let (report, ()) = tokio::join!(refresher.refresh(&order), flood);
    let report = report.unwrap();
    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!((report.summary.events_accepted, report.summary.events_repeated), (1, 299));
    let facts = journal.load(Some(report.run_id)).await.unwrap().unwrap().facts;
    assert_eq!(facts.iter().filter(|(_, fact)| matches!(fact, Fact::Event(_))).count(), 1);
}

#[test]
fn h07_a_load_balancers_questions_are_answered_and_counted_as_nothing() {
    let cloud = Cloud::new(open_and_silent());
    let run = OpenPort::start(&cloud, "refresh m1 --lookup-after 0s --poll-interval 200ms");
    for question in ["GET / HTTP/1.1", "HEAD / HTTP/1.1", "GET /health HTTP/1.0"] {
        let answer = ask(run.address, &format!("{question}\r\nhost: lb\r\nconnection: close\r\n\r\n"));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!((status(&answer), body), (200, ""), "{question}: {head}");
    }
    assert_eq!(status(&ask(run.address, "PUT / HTTP/1.1\r\nhost: lb\r\nconnection: close\r\n\r\n")), 405);
    cloud.wait_for("DescribeVodRefreshTasks", 1);
    cloud.complete(&["m1"]);
    let ended = run.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let summary = &ended.json()["summary"];
    let counts = ["events_accepted", "events_repeated", "events_foreign", "events_rejected"];
    assert_eq!(counts.map(|name| summary[name].as_u64()), [Some(0); 4], "{summary}");
    assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);
}

#[test]
fn h08_a_port_alone_is_reachable_over_ipv6_and_ipv4() {
    let cloud = Cloud::new(open_and_silent());
    let run = OpenPort::start(&cloud, "refresh m1 --callback-listen :0 --allow-unsigned-callbacks");
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    assert_eq!(run.address.is_ipv6(), has_ipv6, "{}", run.address);
    let hosts = ["127.0.0.1", "::1"].into_iter().take(1 + usize::from(has_ipv6));
    let of_host = |host: &str| SocketAddr::new(host.parse().unwrap(), run.address.port());
    // The address that was printed can be called as it stands.
    for address in hosts.map(of_host).chain([run.address]) {
        let question = "GET / HTTP/1.1\r\nhost: lb\r\nconnection: close\r\n\r\n";
        assert_eq!(status(&ask(address, question)), 200, "{address}");
    }
}

/// What a careless or hostile sender may say, and the status that it gets.
#[test]
fn odd_requests_each_get_their_refusal_and_the_port_stays_open() {
    let cloud = Cloud::new(open_and_silent());
    let run = OpenPort::start(&cloud, "refresh m1 --lookup-after 30s --poll-interval 200ms");
    until("a job", || cloud.emulator.job_ids().len() == 1);
    let job = cloud.emulator.job_ids().remove(0);
    let post = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
    let headers: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let requests = [
        ("many headers", format!("{post}{headers}\r\n")),
        ("a long header", format!("{post}x: {}\r\n\r\n", "y".repeat(100_000))),
        ("chunks without an end", format!("{post}transfer-encoding: chunked\r\n\r\n{}", chunk.repeat(17))),
        ("a length beyond all measure", format!("{post}content-length: 18446744073709551615\r\n\r\n")),
        ("a long body that is only announced", format!("{post}content-length: 99999999\r\n\r\n")),
        ("a body that breaks off", format!("{post}content-length: 10\r\n\r\n")),
        ("no HTTP", "hello\r\n\r\n".to_owned()),
    ];
    for (what, request) in requests {
        let answer = ask(run.address, &request);
        // One that is still being sent when it is refused may only see the connection end.
        assert!(matches!(status(&answer), 0 | 400..500), "{what}: {answer}");
    }
    let bodies = [
        ("nothing", String::new(), 400),
        ("not UTF-8, as a text", "\u{fffd}".to_owned(), 400),
        ("JSON that is nested deeply", "[".repeat(500_000), 400),
        (
            "an event that is nested deeply",
            event(&job, "m1", &format!(r#""TaskIds":{}"#, "[".repeat(500_000))),
            400,
        ),
        ("a list in a text in a text", event(&job, "m1", r#""TaskIds":"[\"[1]\"]""#), 200),
        ("times that no calendar has", event(&job, "m1", r#""EventTime":"99999-99-99T99:99:99Z""#), 200),
        (
            "numbers that no type holds",
            event(&job, "m1", r#""TaskIds":1e999,"Extend":{"run":"r","batch":-1}"#),
            400,
        ),
        (
            "numbers that are none",
            event(&job, "m1", r#""TaskIds":[-1,1e30],"Extend":{"batch":99999999999}"#),
            200,
        ),
        ("an id of a mile", event(&"J".repeat(10_000), "m1", r#""Status":"fail""#), 400),
        ("a media id of a mile", event(&job, &"m".repeat(10_000), r#""Status":"fail""#), 200),
        (
            "URLs that are none",
            event(&job, "m1", &format!(r#""SuccessPlayUrls":"{}""#, "x,".repeat(500_000))),
            200,
        ),
        (
            "URLs before a mile of blanks",
            event(
                &job,
                "m1",
                &format!(r#""SuccessPlayUrls":"{}{}""#, "a.test/b ".repeat(50_000), " ".repeat(500_000)),
            ),
            200,
        ),
        (
            "schemes without an end",
            event(&job, "m1", &format!(r#""SuccessPlayUrls":"{}""#, ",http://".repeat(120_000))),
            200,
        ),
        ("a type of a mile", format!(r#"{{"EventType":"{}"}}"#, "x".repeat(900_000)), 200),
    ];
    for (what, body, wanted) in bodies {
        assert_eq!(run.post(&body).0, wanted, "{what}");
    }
    assert!(run.peak() < MEMORY);
    cloud.complete(&["m1"]);
    let ended = run.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.lines().count() < 20, "{}", ended.stderr);
}
