//! The port for events: whose are taken, and when it is opened at all.

use std::net::TcpStream;

use vod_refresh::auth::callback::sign;
use vod_refresh::emulator::EventSignature;
use vod_refresh::net::clock::{Clock as _, SystemClock};
use vod_refresh::net::transport::Transport as _;

use super::cloud::{CALLBACK_KEY, Cloud, LISTENING, PUBLIC_URL, plain_http};
use super::process::Running;
use super::scenarios::{open_tasks, quick, silent};

/// A run for one media that nothing but an event tells of.
fn deaf_but_for_events(cloud: &Cloud) -> (Running, String) {
    let run = cloud.listening("refresh m1 --lookup-after never --poll-interval 100ms --output json -v");
    (run, cloud.first_job())
}

/// Posts to the run's own address, with headers of our own; gives back the status and the body, `None` if it hung up.
fn ask(
    cloud: &Cloud,
    run: &Running,
    method: &str,
    headers: &[(&str, &str)],
    body: impl Into<bytes::Bytes>,
) -> Option<(u16, String)> {
    let mut request = http::Request::builder().method(method).uri(format!("http://{}/x", run.listening_on()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = cloud.block_on(plain_http().send(request.body(body.into()).unwrap())).ok()?;
    Some((answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned()))
}

fn signature(url: &str, timestamp: i64) -> String {
    sign(url, timestamp, &CALLBACK_KEY.to_owned().into())
}

/// GET is answered: health checks use it.
#[test]
fn what_is_not_rightly_signed_or_no_event_is_refused_and_the_port_stays_open() {
    let cloud = Cloud::new(silent(quick()));
    let (run, job) = deaf_but_for_events(&cloud);
    let event = cloud.emulator.event_for(&job, "m1").unwrap().to_string();
    use EventSignature as S;
    for wrong in [S::Missing, S::OnlyTimestamp, S::OnlySignature, S::Empty, S::Wrong, S::Aged(600)] {
        let status = cloud.post_signed(&event, wrong.clone());
        assert_eq!(status, Some(401), "{wrong:?}");
    }
    let now = SystemClock.now().timestamp();
    let (right, timestamp) = (signature(PUBLIC_URL, now), now.to_string());
    let signed = [("x-vod-timestamp", timestamp.as_str()), ("x-vod-signature", right.as_str())];
    assert_eq!(ask(&cloud, &run, "PUT", &signed, "").unwrap().0, 405);
    assert_eq!(ask(&cloud, &run, "POST", &signed, "not json").unwrap().0, 400);
    // Refused with a word or cut off while it is still being sent.
    let big = ask(&cloud, &run, "POST", &signed, vec![b' '; 5 << 20]);
    assert!(big.as_ref().is_none_or(|(status, _)| *status == 413), "{big:?}");
    // Capitals are taken, as the library's page says.
    assert_eq!(cloud.post_signed(&event, S::Capitals), Some(200));

    let run = run.finish().exits(0).does_not_say(&right);
    let report = run.report();
    assert_eq!(report["summary"]["events_accepted"], 1);
    assert_eq!(report["summary"]["events_rejected"], 7, "six signatures and a text that is no JSON");
}
#[test]
fn behind_a_proxy_the_configured_url_counts_and_forwarded_headers_do_not() {
    let cloud = Cloud::new(silent(quick()));
    let (run, job) = deaf_but_for_events(&cloud);
    let event = cloud.emulator.event_for(&job, "m1").unwrap().to_string();
    let now = SystemClock.now().timestamp();
    let timestamp = now.to_string();
    let internal = signature("http://10.0.0.5:8080/x", now);
    let public = signature(PUBLIC_URL, now);
    let ask = |signature: &str, host: &str| {
        let headers = [
            ("host", "10.0.0.5:8080"),
            ("x-forwarded-host", host),
            ("x-forwarded-proto", "http"),
            ("forwarded", "host=evil.example;proto=http"),
            ("x-vod-timestamp", timestamp.as_str()),
            ("x-vod-signature", signature),
        ];
        ask(&cloud, &run, "POST", &headers, event.clone()).unwrap()
    };
    let (status, body) = ask(&internal, "10.0.0.5:8080");
    assert_eq!(status, 401);
    assert!(!body.contains(&public), "{body}");
    assert_eq!(ask(&public, "evil.example").0, 200);
    run.finish().exits(0).does_not_say(&public);
}
#[test]
fn a_listener_that_others_reach_without_a_key_is_refused_before_anything_is_submitted() {
    let cloud = Cloud::new(quick());
    let run = cloud.shell("refresh m1 --callback-listen 0.0.0.0:0").run();
    run.exits(3).says("--allow-unsigned-callbacks").does_not_say("listening for callbacks on");
    assert_eq!(cloud.emulator.calls().len(), 0);
}

/// Allowed.
#[test]
fn where_it_is_allowed_it_warns_and_says_that_it_listens_once_it_does() {
    let open = open_tasks();
    let cloud = Cloud::new(quick().with_media("m1", open));
    let line = "refresh m1 --callback-listen 0.0.0.0:0 --allow-unsigned-callbacks --lookup-after 0s \
                --poll-interval 100ms";
    let run = cloud.shell(line).start();
    // Whoever reads that line may post at once.
    TcpStream::connect(("127.0.0.1", run.listening_on().port())).unwrap();
    run.wait_for_line("submitted 1 media");
    for task in ["1", "2"] {
        assert_eq!(cloud.emulator.complete_task(task), 1);
    }
    run.finish().exits(0).says("warning: anybody who reaches 0.0.0.0:0 can send events");
}

#[test]
fn a_port_in_use_ends_the_run_before_anything_is_submitted() {
    let cloud = Cloud::new(quick());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = cloud.shell("refresh m1 --callback-listen").arg(&address).run();
    run.exits(3).says(&format!("cannot listen for callbacks on {address}"));
    assert_eq!(cloud.emulator.calls().len(), 0);
}

#[test]
fn two_keys_are_taken_while_one_replaces_the_other() {
    let cloud = Cloud::new(quick());
    let run = cloud
        .shell("refresh m1 --lookup-after never --poll-interval 100ms --output json")
        .words(LISTENING)
        .file("key", format!("TheNextKey\n{CALLBACK_KEY}\n"))
        .option_at("--callback-auth-key-file", "key")
        .start();
    cloud.let_events_through(&run);
    assert_eq!(run.finish().exits(0).report()["media"][0]["confirmed_by"], "callback");
}
