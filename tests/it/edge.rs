//! Nodes of the CDN over real sockets: the emulator's pretend node, and servers that are hostile.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use vod_refresh::edge::PER_HOST;
use vod_refresh::emulator::{EdgeScript, Emulator, MediaScript, Scenario};
use vod_refresh::net::clock::{Clock as _, SystemClock};
use vod_refresh::run::Notice;
use vod_refresh::{Credential, ErrorKind, Journal, MediaId, Outcome, StaticCredentials};
use vod_refresh::{EdgeAnswer, EdgeCheck, EdgeNode, EdgeOptions, EdgeUrl, EdgeVerdict, TaskType, VodClient};

use crate::support::raw_server::{ClosedPort, RawServer, Relay, Then};
use crate::support::{TestEnv, request};

const URL: &str = "https://media.example.test/m/1.mp4";

fn options(node: SocketAddr) -> EdgeOptions {
    let mut options = EdgeOptions::default();
    options.proxy_from_environment = false;
    options.nodes = vec![format!("http://{node}").parse().unwrap()];
    options
}

fn check(options: EdgeOptions) -> EdgeCheck {
    EdgeCheck::new(options).unwrap()
}

/// The service's time, so long ago.
fn ago(time: TimeDelta) -> DateTime<Utc> {
    SystemClock.now() - time
}

async fn one(check: &EdgeCheck, url: &str, submitted_at: DateTime<Utc>) -> EdgeAnswer {
    let mut answers = check.check(&[EdgeUrl::new(url, submitted_at)]).await;
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].len(), 1, "{answers:?}");
    answers.remove(0).remove(0)
}

/// A cloud behind a port.
struct Cloud {
    emulator: Emulator,
    address: SocketAddr,
    _stop: tokio_util::sync::DropGuard,
}

impl Cloud {
    async fn serve(edge: EdgeScript) -> Self {
        let scenario =
            Scenario::new().with(|s| s.job_delay = Duration::ZERO).with(|s| s.task_duration = Duration::ZERO);
        let scenario = scenario.with(|s| s.urls_per_media = 3).with(|s| s.edge = edge);
        let emulator = Emulator::new(scenario.with_media("slow", MediaScript::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (serving, token) = (emulator.clone(), stop.clone());
        tokio::spawn(async move { serving.serve(listener, token).await });
        Self { emulator, address, _stop: stop.drop_guard() }
    }

    async fn submit(&self, task_type: TaskType) {
        let client = VodClient::builder(StaticCredentials(Credential::new("testid", "testsecret")))
            .with_endpoint("http://127.0.0.1:1")
            .with_transport(self.emulator.transport())
            .build()
            .unwrap();
        let request =
            vod_refresh::vod::RefreshMediaPlayUrls::new(task_type, vec![MediaId::new("m").unwrap()]);
        client.refresh_media_play_urls(&request).await.unwrap();
    }

    fn check(&self) -> EdgeCheck {
        check(options(self.address))
    }
}

/// A submission of an hour ago: whatever the cloud stores now is newer, whatever it held before is older.
const HOUR: TimeDelta = TimeDelta::hours(1);

#[tokio::test]
async fn a_refresh_drops_the_copy_and_the_next_request_stores_a_new_one() {
    let cloud = Cloud::serve(EdgeScript::default()).await;
    cloud.submit(TaskType::Refresh).await;
    let check = cloud.check();
    let missed = one(&check, URL, ago(HOUR)).await;
    assert_eq!((missed.verdict, missed.http_status), (EdgeVerdict::Absent, Some(200)), "{missed:?}");
    assert_eq!(missed.cache.as_deref(), Some("MISS TCP_MISS dirn:-2:-2"));
    assert_eq!(missed.node, cloud.address.to_string());
    let hit = one(&check, URL, ago(HOUR)).await;
    assert_eq!(hit.verdict, EdgeVerdict::Fresh, "{hit:?}");
    assert!(hit.age_s.unwrap() < 60 && (SystemClock.now() - hit.saved_at.unwrap()) < TimeDelta::minutes(1));
    let json = serde_json::to_value(&hit).unwrap();
    let names: BTreeSet<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["age_s", "cache", "http_status", "node", "reason", "saved_at", "verdict"];
    assert_eq!(names, expected.into());
    assert_eq!(json["verdict"], "fresh");
    assert!(
        json["saved_at"].as_str().unwrap().ends_with('Z') && json["saved_at"].as_str().unwrap().len() == 20
    );
    assert_eq!(serde_json::from_value::<EdgeAnswer>(json).unwrap().verdict, hit.verdict);
}

#[tokio::test]
async fn a_preload_stores_a_copy() {
    let cloud = Cloud::serve(EdgeScript { cold: true, ..EdgeScript::default() }).await;
    cloud.submit(TaskType::Preload).await;
    let hit = one(&cloud.check(), URL, ago(HOUR)).await;
    assert_eq!(hit.verdict, EdgeVerdict::Fresh, "{hit:?}");
}

#[tokio::test]
async fn a_node_that_keeps_its_copy_is_found_and_so_is_one_whose_parent_does() {
    let kept = EdgeScript { kept_above: vec!["/2.mp4".into()], ..EdgeScript::keeping("/1.mp4") };
    let cloud = Cloud::serve(EdgeScript { unchanged: vec!["/3.mp4".into()], ..kept }).await;
    cloud.submit(TaskType::Refresh).await;
    let urls = [1, 2, 3].map(|n| EdgeUrl::new(format!("https://media.example.test/m/{n}.mp4"), ago(HOUR)));
    let check = cloud.check();
    for round in ["first", "second"] {
        let answers = check.check(&urls).await;
        let [kept, above, unchanged] = [0, 1, 2].map(|n| &answers[n][0]);
        assert_eq!(kept.verdict, EdgeVerdict::Stale, "{round} {kept:?}");
        assert!(kept.reason.contains("the node stored its copy at"), "{kept:?}");
        assert_eq!(above.verdict, EdgeVerdict::Stale, "{round} {above:?}");
        assert!(above.reason.contains("from another node"), "{above:?}");
        assert_eq!(unchanged.verdict, EdgeVerdict::Unknown, "{round} {unchanged:?}");
        assert!(unchanged.reason.contains("perhaps the origin did not change it"), "{unchanged:?}");
    }
}

#[tokio::test]
async fn a_node_with_a_wrong_clock_is_unknown_where_its_clock_matters() {
    for (offset, submitted, expected) in [
        (3_600, TimeDelta::minutes(30), EdgeVerdict::Unknown),
        (-3_600, TimeDelta::minutes(30), EdgeVerdict::Unknown),
        (-3_600, TimeDelta::hours(2), EdgeVerdict::Unknown),
        (3_600, TimeDelta::hours(2), EdgeVerdict::Fresh),
    ] {
        let cloud = Cloud::serve(EdgeScript { clock_offset: offset, ..EdgeScript::default() }).await;
        cloud.submit(TaskType::Preload).await;
        let heard = one(&cloud.check(), URL, ago(submitted)).await;
        // The age of a copy that is stored right now is uncertain by as much as the clock is off.
        let expected = if offset < 0 && submitted == TimeDelta::hours(2) { heard.verdict } else { expected };
        assert_eq!(heard.verdict, expected, "{offset} {submitted} {heard:?}");
        assert_ne!(heard.verdict, EdgeVerdict::Stale);
        if expected == EdgeVerdict::Unknown {
            assert!(heard.reason.contains("the clock of the node"), "{heard:?}");
        }
    }
}

#[tokio::test]
async fn a_node_that_signs_or_minds_the_referer_is_told_with_the_option_that_helps() {
    let script = EdgeScript { auth_key: Some("Key9Secret".into()), ..EdgeScript::default() };
    let cloud = Cloud::serve(EdgeScript { referers: vec!["www.example.test".into()], ..script }).await;
    cloud.submit(TaskType::Preload).await;
    let mut options = options(cloud.address);
    let heard = one(&check(options.clone()), URL, ago(HOUR)).await;
    assert_eq!((heard.verdict, heard.http_status), (EdgeVerdict::Unknown, Some(403)));
    assert!(heard.reason.contains("--edge-header 'Referer: URL'"), "{heard:?}");
    options.headers.insert("referer", "https://www.example.test/page".parse().unwrap());
    let heard = one(&check(options.clone()), URL, ago(HOUR)).await;
    assert!(heard.reason.contains("--edge-auth-key-file"), "{heard:?}");
    options.auth_key = Some("AnotherKey".to_owned().into());
    let heard = one(&check(options.clone()), URL, ago(HOUR)).await;
    assert!(heard.reason.contains("refused the signature"), "{heard:?}");
    options.auth_key = Some("Key9Secret".to_owned().into());
    let right = check(options.clone());
    let heard = one(&right, &format!("{URL}?x=1"), ago(HOUR)).await;
    assert_eq!(heard.verdict, EdgeVerdict::Fresh, "{heard:?}");
    for text in [format!("{options:?}"), format!("{right:?}"), format!("{heard:?}")] {
        assert!(!text.contains("Key9Secret") && !text.contains("example.test/page"), "{text}");
    }
    // Each URL is asked for once where HEAD says enough.
    assert_eq!(cloud.emulator.calls().iter().filter(|call| call.action == "Edge").count(), 4);
}

#[tokio::test]
async fn where_head_is_refused_one_byte_is_asked_for() {
    for status in [403, 405] {
        let script = EdgeScript { head_refused: Some(status), ..EdgeScript::default() };
        let cloud = Cloud::serve(script).await;
        cloud.submit(TaskType::Preload).await;
        let heard = one(&cloud.check(), URL, ago(HOUR)).await;
        assert_eq!((heard.verdict, heard.http_status), (EdgeVerdict::Fresh, Some(206)), "{heard:?}");
    }
}

#[tokio::test]
async fn a_node_without_headers_of_the_cdn_or_without_the_file_is_unknown() {
    let cloud = Cloud::serve(EdgeScript { bare: true, ..EdgeScript::default() }).await;
    cloud.submit(TaskType::Preload).await;
    let heard = one(&cloud.check(), URL, ago(HOUR)).await;
    assert_eq!((heard.verdict, heard.http_status), (EdgeVerdict::Unknown, Some(206)), "{heard:?}");
    assert!(heard.reason.contains("no header of the CDN"), "{heard:?}");
    let heard = one(&cloud.check(), "https://media.example.test/gone.mp4", ago(HOUR)).await;
    assert_eq!((heard.verdict, heard.http_status), (EdgeVerdict::Unknown, Some(404)), "{heard:?}");
}

#[tokio::test]
async fn a_sample_is_spread_over_all_urls_and_few_are_asked_for_at_once() {
    let (now, most) = (std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)), std::sync::Mutex::new(0));
    let most = std::sync::Arc::new(most);
    let (counting, seen) = (now.clone(), most.clone());
    let server = RawServer::answering(move |_, _| {
        let open = counting.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        let mut most = seen.lock().unwrap();
        *most = open.max(*most);
        drop(most);
        std::thread::sleep(Duration::from_millis(15));
        counting.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
        Then::say_and_close("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
    });
    let urls: Vec<_> =
        (0..1_000).map(|n| EdgeUrl::new(format!("https://media.example.test/{n}.mp4"), ago(HOUR))).collect();
    let mut options = options(server.address);
    options.sample = 20;
    let answers = check(options).check(&urls).await;
    let asked: Vec<_> = (0..1_000).filter(|n| !answers[*n].is_empty()).collect();
    assert_eq!(asked, (0..20).map(|n| n * 50).collect::<Vec<_>>());
    assert_eq!(server.requests().len(), 20);
    assert_eq!(*most.lock().unwrap(), PER_HOST);
    let check = check(EdgeOptions::default());
    assert_eq!(check.sample(200).collect::<Vec<_>>(), (0..200).collect::<Vec<_>>());
    assert_eq!(check.sample(201).count(), 200);
    assert_eq!(check.sample(0).count(), 0);
}

/// What a raw server makes of one URL.
async fn against(steps: impl Into<Vec<Then>>, timeout: Duration) -> (EdgeAnswer, RawServer) {
    let server = RawServer::start(steps);
    let mut options = options(server.address);
    options.timeout = timeout;
    options.auth_key = Some("Key9Secret".to_owned().into());
    let heard = one(&check(options), URL, ago(HOUR)).await;
    assert!(!heard.reason.contains("Key9Secret") && !heard.reason.contains("auth_key"), "{heard:?}");
    assert!(!format!("{heard:?}").contains('\u{1b}') && heard.reason.len() < 400, "{heard:?}");
    (heard, server)
}

#[tokio::test]
async fn what_goes_wrong_on_the_way_is_unknown_with_its_reason() {
    let second = Duration::from_secs(1);
    let head = "HTTP/1.1 200 OK\r\nX-Cache: HIT\r\n";
    let long = |bytes: usize| format!("{head}X-Long: {}\r\ncontent-length: 5\r\n\r\n", "a".repeat(bytes));
    for (step, status, why) in [
        (Then::Reset, None, "broke before the answer"),
        (Then::say_and_close("SSH-2.0-OpenSSH\r\n"), None, "broke before the answer"),
        (Then::say_and_close(head), None, "broke before the answer"),
        (Then::say(long(60_000)), Some(200), "no header of the CDN"),
        (Then::say(long(65_600)), None, "its head has more than 65536 bytes"),
        (Then::say(long(1_000_000)), None, "head is too large"),
        (Then::say_and_stall(head), None, "no answer within 1 s"),
        // The body never ends, and is never read.
        (
            Then::say_and_stall(format!("{head}Age: 5\r\n\r\n{}", "x".repeat(100_000))),
            Some(200),
            "no header of the CDN",
        ),
        (Then::say(format!("{head}X-Cache: \u{1b}[2J\r\n\r\n")), None, "broke before the answer"),
        (
            Then::say(
                "HTTP/1.1 302 Found\r\nLocation: https://h.test/?auth_key=1\r\ncontent-length: 0\r\n\r\n",
            ),
            Some(302),
            "https://h.test/?",
        ),
        (Then::say("HTTP/1.1 407 x\r\ncontent-length: 0\r\n\r\n"), Some(407), "answers 407"),
    ] {
        let started = Instant::now();
        let (heard, _server) = against([step.clone()], second).await;
        assert_eq!((heard.verdict, heard.http_status), (EdgeVerdict::Unknown, status), "{heard:?}");
        assert!(heard.reason.contains(why), "{heard:?}");
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_node_that_repeats_the_request_shows_no_secret() {
    let server = RawServer::answering(|_, request| {
        let line = request.first_line().to_owned();
        Then::say_and_close(format!(
            "HTTP/1.1 403 x\r\nX-Tengine-Error: denied by {line}\r\nX-Cache: {line}\r\nLocation: {line}\r\ncontent-length: 0\r\n\r\n"
        ))
    });
    let mut options = options(server.address);
    options.auth_key = Some("Key9Secret".to_owned().into());
    let heard = one(&check(options), URL, ago(HOUR)).await;
    let sent = server.requests()[0].text.clone();
    let signature = sent.split("auth_key=").nth(1).unwrap().split(' ').next().unwrap();
    let hash = signature.rsplit('-').next().unwrap();
    assert!(!format!("{heard:?}").contains(hash), "{heard:?}");
    assert!(sent.to_lowercase().contains("\r\nhost: media.example.test\r\n"), "{sent}");
    assert!(sent.starts_with("HEAD /m/1.mp4?auth_key=") && sent.contains("connection: close"), "{sent}");
}

#[tokio::test]
async fn a_closed_port_and_a_port_that_speaks_no_tls_are_named() {
    let nobody = ClosedPort::new();
    let heard = one(&check(options(nobody.address)), URL, ago(HOUR)).await;
    assert_eq!((heard.verdict, heard.http_status), (EdgeVerdict::Unknown, None));
    assert!(heard.reason.starts_with(&format!("cannot connect to {}", nobody.address)), "{heard:?}");
    let plain = Relay::start(nobody.address, Duration::from_secs(5), |client| {
        let _ = client.read(&mut [0; 4_096])?;
        client.write_all(b"HTTP/1.1 400 x\r\ncontent-length: 0\r\n\r\n")?;
        Err(std::io::ErrorKind::Other.into())
    });
    let mut options = options(plain.address);
    options.nodes = vec![plain.address.to_string().parse().unwrap()];
    let heard = one(&check(options.clone()), URL, ago(HOUR)).await;
    assert!(heard.reason.contains("does not speak TLS"), "{heard:?}");
    // A URL without a scheme is then asked for in plain text.
    let heard = one(&check(options), "media.example.test/m/1.mp4", ago(HOUR)).await;
    assert_eq!(heard.http_status, Some(400), "{heard:?}");
    let heard = one(&check(self::options(plain.address)), "no url", ago(HOUR)).await;
    assert!(heard.reason.contains("no URL"), "{heard:?}");
}

#[tokio::test]
async fn several_nodes_are_asked_and_the_answers_keep_their_order() {
    let [fresh, stale] =
        [Cloud::serve(EdgeScript::default()).await, Cloud::serve(EdgeScript::keeping("")).await];
    for cloud in [&fresh, &stale] {
        cloud.submit(TaskType::Preload).await;
    }
    let mut options = options(fresh.address);
    options.nodes.push(format!("http://{}", stale.address).parse::<EdgeNode>().unwrap());
    let urls = [1, 2, 3].map(|n| EdgeUrl::new(format!("https://media.example.test/m/{n}.mp4"), ago(HOUR)));
    for heard in check(options).check(&urls).await {
        let nodes: Vec<_> = heard.iter().map(|answer| answer.node.clone()).collect();
        assert_eq!(nodes, [fresh.address.to_string(), stale.address.to_string()]);
        let verdicts: Vec<_> = heard.iter().map(|answer| answer.verdict).collect();
        assert_eq!(verdicts, [EdgeVerdict::Fresh, EdgeVerdict::Stale], "{heard:?}");
    }
}

#[test]
fn headers_that_are_the_connections_own_are_refused() {
    for name in ["host", "range", "connection", "content-length", "transfer-encoding"] {
        let mut options = EdgeOptions::default();
        options.headers.insert(name, "x".parse().unwrap());
        let error = EdgeCheck::new(options).unwrap_err();
        assert!(error.message().contains(name), "{error}");
    }
}

/// A server that speaks TLS with the fixture's certificate for 127.0.0.1; gives its address and what its clients asked for.
async fn tls_node() -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<(Option<String>, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let acceptor = crate::tls::acceptor("server");
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let name = stream.get_ref().1.server_name().map(str::to_owned);
            let mut bytes = vec![0; 4_096];
            let read = stream.read(&mut bytes).await.unwrap_or_default();
            let _ = tell.send((name, String::from_utf8_lossy(&bytes[..read]).into_owned()));
            let _ = stream.write_all(b"HTTP/1.1 404 x\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    (address, told)
}

#[tokio::test]
async fn a_node_is_asked_over_tls_with_the_name_of_the_urls_host() {
    let (address, mut told) = tls_node().await;
    let mut options = options(address);
    options.nodes = vec![address.to_string().parse().unwrap()];
    options.extra_roots = vec![std::fs::read("tests/fixtures/tls/ca.pem").unwrap()];
    // The certificate is one for 127.0.0.1: the URL's host counts, not the node's address.
    let heard = one(&check(options.clone()), URL, ago(HOUR)).await;
    assert!(heard.reason.contains("the TLS certificate of media.example.test is not trusted"), "{heard:?}");
    let url = format!("https://127.0.0.1:{}/a.mp4", address.port());
    let heard = one(&check(options.clone()), &url, ago(HOUR)).await;
    assert_eq!(heard.http_status, Some(404), "{heard:?}");
    let (name, request) = told.recv().await.unwrap();
    assert_eq!(name, None, "an address is no name");
    assert!(request.contains(&format!("host: {address}\r\n")), "{request}");
    // Without a node the URL's own host is asked.
    options.nodes.clear();
    let heard = one(&check(options), &url, ago(HOUR)).await;
    assert_eq!((heard.http_status, heard.node), (Some(404), address.to_string()));
}

/// A port that takes connections and says nothing.
fn silence() -> std::net::TcpListener {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_run_holds_for_its_nodes_too() {
    let node = silence();
    let env = TestEnv::new(
        Scenario::new().with(|s| s.urls_per_media = 100).with(|s| s.task_duration = Duration::ZERO),
    )
    .with_options(|options| options.timeout = Duration::from_secs(12));
    let check = check(options(node.local_addr().unwrap()));
    let report = env.refresher().with_edge_check(check).refresh(&request(["m1"])).await.unwrap();
    assert_eq!(report.outcome, Outcome::Complete, "what is unknown fails nothing");
    assert!(env.elapsed() >= Duration::from_secs(12), "it asked as long as there was time");
    assert!(env.elapsed() <= Duration::from_secs(14), "{:?}", env.elapsed());
    let answers: Vec<_> = report.media[0].tasks.iter().flat_map(|task| &task.edge).collect();
    assert_eq!(answers.len(), 100);
    assert!(answers.iter().all(|answer| answer.verdict == EdgeVerdict::Unknown), "{answers:?}");
    let late = answers.iter().filter(|answer| answer.reason.contains("the time of the run was over")).count();
    assert!(late >= 90, "{late}");
    let told = format!("(no answer within `--timeout`: {late})");
    assert!(
        env.notices.warnings().iter().any(|warning| warning.contains(&told)),
        "{:?}",
        env.notices.warnings()
    );
    assert!(report.notes[0].contains(&told), "{:?}", report.notes);
}

#[tokio::test(start_paused = true)]
async fn a_run_is_not_over_before_its_nodes_were_asked() {
    let (node, folder) = (silence(), tempfile::tempdir().unwrap());
    let journal = Journal::open(folder.path().join("journal.db")).await.unwrap();
    let env = TestEnv::new(Scenario::new().with(|s| s.task_duration = Duration::ZERO));
    let kept = || env.refresher().with_journal(journal.clone(), serde_json::Value::Null);
    let asking = kept().with_edge_check(check(options(node.local_addr().unwrap())));
    let (run, mut steps) = asking.start_refresh(request(["m1"]));
    while !matches!(steps.next().await.unwrap().notice, Notice::CheckingEdge { .. }) {}
    drop(run);
    let open = async || journal.load(None).await.unwrap();
    let report = kept().check(open().await.unwrap()).await.unwrap();
    assert_eq!((report.outcome, report.resumable), (Outcome::Unfinished, true));
    assert_eq!(report.summary.media_complete, 1);
    assert!(report.notes[0].contains("nodes of the CDN are still to be asked"), "{:?}", report.notes);
    let error = kept().resume(open().await.unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("`--verify-edge`"), "{error}");
    let asking = kept().with_edge_check(check(options(ClosedPort::new().address)));
    let report = asking.resume(open().await.unwrap()).await.unwrap();
    assert_eq!((report.outcome, report.resumable), (Outcome::Complete, false));
    assert!(report.media[0].tasks[0].edge[0].reason.contains("cannot connect"), "{:?}", report.media);
    assert_eq!(open().await, None, "it is over");
    assert_eq!(env.submits(), 1);
}
