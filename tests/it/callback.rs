//! The receiver: what it takes, what it refuses, and what forged events can do (nothing).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vod_refresh::auth::callback::{CallbackVerifier, sign};
use vod_refresh::emulator::{EventScript, EventSignature, MediaScript, Scenario};
use vod_refresh::event::Source;
use vod_refresh::net::clock::TimerClock;
use vod_refresh::net::transport::{ServiceTransport, Transport};
use vod_refresh::{EventReceiver, Inbox, Outcome};

use crate::support::scripts::lost_event;
use crate::support::{TestEnv, request};

const URL: &str = "https://cb.example.test/vod/hook";
const KEY: &str = "Abc123Key";
const NOW: i64 = 1_750_000_000;

/// A receiver on its own, asked as a service; and another, asked through its plain function.
struct Receivers {
    service: ServiceTransport<EventReceiver>,
    inbox: Inbox,
    plain: EventReceiver,
}

impl Receivers {
    fn new() -> Self {
        let inbox = Inbox::new();
        let verifier = CallbackVerifier::new(URL, vec![KEY.to_owned().into()]);
        let clock = TimerClock::starting_at(chrono::DateTime::from_timestamp(NOW, 0).unwrap());
        let receiver = |inbox| EventReceiver::new(inbox, verifier.clone()).with_clock(clock);
        let service = ServiceTransport(receiver(inbox.clone()));
        Self { service, inbox, plain: receiver(Inbox::new()) }
    }

    async fn ask(&self, method: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> (u16, String) {
        let mut request = http::Request::builder().method(method).uri("http://10.0.0.5:8080/other/path");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).unwrap();
        let plain = self.plain.answer(request.headers(), request.body()).await;
        let answer = self.service.send(request).await.unwrap();
        if method == "POST" {
            assert_eq!(answer.status(), plain, "both ways in give one answer");
        }
        (answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned())
    }
}

fn signature(url: &str) -> String {
    sign(url, NOW, &KEY.to_owned().into())
}

const EVENT: &str = r#"{"EventType":"SubmitMediaRefreshComplete","EventTime":"2025-06-15T15:06:40Z","Status":"success","MediaRefreshJobId":"JX","MediaId":"m","TaskType":"refresh","TaskIds":"T"}"#;

#[tokio::test(start_paused = true)]
async fn only_whole_and_right_signatures_are_taken() {
    let receivers = Receivers::new();
    let (right, internal) = (signature(URL), signature("http://10.0.0.5:8080/other/path"));
    let capitals = right.to_uppercase();
    let now = NOW.to_string();
    let lies = ("x-forwarded-host", "evil.example");
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], u16);
    let table: [Row<'_>; 9] = [
        ("no headers", &[], 401),
        ("only the timestamp", &[("x-vod-timestamp", &now)], 401),
        ("only the signature", &[("x-vod-signature", &right)], 401),
        ("an empty signature", &[("x-vod-timestamp", &now), ("x-vod-signature", "")], 401),
        ("signed over the internal URL", &[("x-vod-timestamp", &now), ("x-vod-signature", &internal)], 401),
        ("another time", &[("x-vod-timestamp", "1750000001"), ("x-vod-signature", &right)], 401),
        ("right", &[("x-vod-timestamp", &now), ("x-vod-signature", &right)], 200),
        ("right, behind a proxy", &[("x-vod-timestamp", &now), ("x-vod-signature", &right), lies], 200),
        ("right, in capitals", &[("x-vod-timestamp", &now), ("x-vod-signature", &capitals)], 200),
    ];
    for (name, headers, status) in table {
        let (got, body) = receivers.ask("POST", headers, EVENT).await;
        assert_eq!(got, status, "{name}");
        assert!(!body.contains(&right), "{name} prints the digest");
    }
    assert_eq!(receivers.inbox.rejected(), 6);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_event_is_refused_and_the_next_one_is_taken() {
    let receivers = Receivers::new();
    let (right, now) = (signature(URL), NOW.to_string());
    let signed = [("x-vod-timestamp", now.as_str()), ("x-vod-signature", right.as_str())];
    for method in ["PUT", "DELETE", "OPTIONS"] {
        assert_eq!(receivers.ask(method, &signed, "").await.0, 405, "{method}");
    }
    assert_eq!(receivers.ask("POST", &signed, vec![b' '; 5 * 1024 * 1024]).await.0, 413);
    assert_eq!(receivers.ask("POST", &signed, "not json").await.0, 400);
    assert_eq!(receivers.ask("POST", &signed, r#"{"EventType":"FileUploadComplete"}"#).await.0, 200);
    assert_eq!(receivers.ask("POST", &signed, EVENT).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn health_checks_are_answered_200_and_not_counted() {
    let receivers = Receivers::new();
    for method in ["GET", "HEAD"] {
        assert_eq!(receivers.ask(method, &[], "").await, (200, String::new()), "{method}");
    }
    assert_eq!((receivers.inbox.received(), receivers.inbox.rejected()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn events_again_and_in_the_wrong_order_count_once() {
    let env = TestEnv::new(
        Scenario::new().with(|s| s.default_media = MediaScript::default().with(|m| m.event = lost_event())),
    )
    .with_events();
    let cloud = env.cloud.clone();
    let play = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let job = cloud.job_ids().remove(0);
        for media in ["m3", "m1", "m1", "m3", "m2"] {
            let event = cloud.event_for(&job, media).unwrap();
            assert_eq!(cloud.send_event(None, event.to_string(), EventSignature::Right).await, Some(200));
        }
        let mut late = cloud.event_for(&job, "m2").unwrap();
        late["Status"] = "fail".into();
        late["EventTime"] = "2020-01-01T00:00:00Z".into();
        assert_eq!(cloud.send_event(None, late.to_string(), EventSignature::Right).await, Some(200));
        assert_eq!(cloud.send_event(None, EVENT, EventSignature::Right).await, Some(200));
        assert_eq!(cloud.send_event(None, EVENT, EventSignature::Wrong).await, Some(401));
    };
    let (report, ()) = tokio::join!(env.refresh(["m1", "m2", "m3"]), play);
    assert_eq!(report.outcome, Outcome::Complete);
    let summary = &report.summary;
    assert_eq!((summary.events_accepted, summary.events_repeated, summary.events_foreign), (3, 3, 1));
    assert_eq!(summary.events_rejected, 1);
    assert!(env.cloud.event_log().iter().all(|sent| sent.took < Duration::from_secs(1)));
}

#[tokio::test(start_paused = true)]
async fn a_forged_body_under_a_right_signature_is_never_trusted() {
    let forged = EventScript { forged_first: vec!["666".into()], ..EventScript::default() };
    let script = MediaScript { task_ids: vec!["1".into(), "2".into()], ..MediaScript::default() }
        .with(|m| m.event = forged);
    let env = TestEnv::new(
        Scenario::new().with_media("m1", script).with(|s| s.task_duration = Duration::from_secs(20)),
    )
    .with_events();
    let report = env.refresh(["m1"]).await;
    assert_eq!(report.outcome, Outcome::Complete);
    let ids: Vec<&str> = report.media[0].tasks.iter().map(|t| t.task_id.as_str()).collect();
    assert_eq!((ids, report.media[0].confirmed_by), (vec!["1", "2"], Some(Source::Lookup)));
    assert!(env.elapsed() >= Duration::from_secs(20), "ended before the real tasks did");
    assert!(env.notices.warnings()[0].contains("666"), "{:?}", env.notices.warnings());
}

#[tokio::test(start_paused = true)]
async fn a_failure_event_is_confirmed_as_well() {
    let forged = EventScript { status: Some("fail".into()), ..EventScript::default() };
    let env = TestEnv::new(
        Scenario::new().with(|s| s.default_media = MediaScript::default().with(|m| m.event = forged)),
    )
    .with_events();
    assert_eq!(env.refresh(["m1"]).await.outcome, Outcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn two_runs_share_one_inbox_and_each_takes_its_own() {
    let env = Arc::new(TestEnv::new(Scenario::new()).with_events());
    let (first, second) = (env.refresher(), env.refresher());
    let (one, two) = (request(["m1", "m2"]), request(["m3"]));
    let (a, b) = tokio::join!(first.refresh(&one), second.refresh(&two));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!((a.outcome, b.outcome), (Outcome::Complete, Outcome::Complete));
    assert_eq!((a.summary.events_accepted, b.summary.events_accepted), (2, 1));
    assert_eq!(env.inbox.received(), 3);
}
