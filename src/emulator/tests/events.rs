use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use chrono::Utc;
use serde_json::Value;
use tokio::time::Instant;

use super::env::{TestEnv, sleep, start};
use crate::auth::callback::CallbackVerifier;
use crate::emulator::{EventScript, EventSignature, MediaScript, QueueScript, Scenario};
use crate::net::transport::ServiceTransport;

const URL: &str = "https://cb.example.test/vod/hook";

/// What a receiver saw: when (ms), where, whether the signature was right, and the body.
type Seen = Arc<Mutex<Vec<(u128, String, bool, Value)>>>;

/// A env whose events go to a receiver that answers with `statuses` in turn, then 200.
fn env(scenario: Scenario, statuses: &'static [u16]) -> (TestEnv, Seen) {
    let seen = Seen::default();
    let (log, begin) = (Arc::clone(&seen), Instant::now());
    let router = Router::new().fallback(move |request: Request| {
        let log = Arc::clone(&log);
        async move {
            let (head, body) = request.into_parts();
            let path = head.uri.to_string();
            let header = |name: &str| head.headers.get(name).and_then(|v| v.to_str().ok());
            let verifier = CallbackVerifier::new(URL, vec!["Abc123Key".to_owned().into()]);
            let now: chrono::DateTime<Utc> = start() + begin.elapsed();
            let good = verifier.verify(header("x-vod-timestamp"), header("x-vod-signature"), now).is_ok();
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let count = {
                let mut log = log.lock().unwrap();
                log.push((begin.elapsed().as_millis(), path, good, body));
                log.len()
            };
            let status = statuses.get(count - 1).copied().unwrap_or(200);
            if status == 0 {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            StatusCode::from_u16(status).unwrap_or(StatusCode::OK)
        }
    });
    let mut env = TestEnv::new(scenario);
    env.emulator = env.emulator.with_event_transport(Arc::new(ServiceTransport(router)));
    (env, seen)
}

fn scenario() -> Scenario {
    Scenario::new().with_callback(URL, Some("Abc123Key"))
}

fn media(event: EventScript) -> MediaScript {
    MediaScript::default().with(|m| m.event = event)
}

fn times(seen: &Seen) -> Vec<u128> {
    seen.lock().unwrap().iter().map(|entry| entry.0).collect()
}

#[tokio::test(start_paused = true)]
async fn each_media_sends_one_signed_event_like_the_vendors_sample() {
    let scenario =
        scenario().with_media("bad", MediaScript::failing("InvalidDomain.NotFound", "Can't find domain."));
    let (env, seen) = env(scenario, &[]);
    env.submit("m1,bad").await;
    sleep(299).await;
    assert!(times(&seen).is_empty());
    sleep(1).await;
    sleep(1).await;
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    let fixtures = [
        (include_str!("../../../tests/fixtures/events/success.json"), "m1"),
        (include_str!("../../../tests/fixtures/events/fail.json"), "bad"),
    ];
    for (fixture, media) in fixtures {
        let (at, url, good, body) = seen.iter().find(|entry| entry.3["MediaId"] == media).unwrap();
        assert_eq!((*at, url.as_str(), *good), (300, URL, true));
        let sample: Value = serde_json::from_str(fixture).unwrap();
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(body), names(&sample));
        for name in ["EventType", "Status", "TaskType"] {
            assert_eq!(body[name], sample[name]);
        }
        assert_eq!(body["EventTime"], "2025-06-15T15:06:40Z");
    }
}

#[tokio::test(start_paused = true)]
async fn only_200_ends_the_three_attempts() {
    for (statuses, expected) in [
        (&[][..], &[300][..]),
        (&[500], &[300, 1300]),
        (&[204, 301], &[300, 1300, 2300]),
        (&[500, 500, 500, 500], &[300, 1300, 2300]),
        (&[0, 200], &[300, 6300]),
    ] {
        let (env, seen) = env(scenario(), statuses);
        env.submit("m1").await;
        sleep(60_000).await;
        assert_eq!(times(&seen), expected, "{statuses:?}");
        assert!(seen.lock().unwrap().iter().all(|entry| entry.2), "each attempt is signed anew");
        let log = env.emulator.event_log();
        assert_eq!(log.len(), expected.len());
        assert_eq!(log.last().unwrap().attempt as usize, expected.len());
        if statuses.first() == Some(&0) {
            assert_eq!((log[0].status, log[0].took), (None, Duration::from_secs(5)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn events_go_to_the_requests_own_address_with_its_extend() {
    let user_data = r#"{"MessageCallback":{"CallbackURL":"https://own.test/x"},"Extend":{"run":"r1"}}"#;
    let given = [("MediaIds", "m1"), ("TaskType", "Preload"), ("UserData", user_data)];
    for as_object in [false, true] {
        let mut scenario = scenario();
        scenario.extend_as_object = as_object;
        let (env, seen) = env(scenario, &[]);
        env.call("RefreshMediaPlayUrls", &given).await;
        sleep(400).await;
        let seen = seen.lock().unwrap();
        assert_eq!(seen[0].1, "https://own.test/x");
        let expected = if as_object { serde_json::json!({"run": "r1"}) } else { "{\"run\":\"r1\"}".into() };
        assert_eq!(seen[0].3["Extend"], expected);
    }
    // With no callback of the account's own, nothing is sent.
    let (env, seen) = env(Scenario::new(), &[]);
    env.call("RefreshMediaPlayUrls", &given).await;
    sleep(9000).await;
    assert!(times(&seen).is_empty());
}

#[tokio::test(start_paused = true)]
async fn scripts_lose_double_delay_and_spoil_events() {
    let spoilt = |event: EventScript| (media(event.clone()), event);
    let table = [
        (EventScript { lost: true, ..EventScript::default() }, vec![]),
        (EventScript { double: true, ..EventScript::default() }, vec![(300, true); 2]),
        (EventScript { delay: Some(Duration::from_secs(4)), ..EventScript::default() }, vec![(4300, true)]),
        (EventScript { unsigned: true, ..EventScript::default() }, vec![(300, false)]),
        (EventScript { bad_signature: true, ..EventScript::default() }, vec![(300, false)]),
        (EventScript { stale_timestamp: true, ..EventScript::default() }, vec![(300, false)]),
    ];
    for (event, expected) in table {
        let (script, event) = spoilt(event);
        let (env, seen) = env(scenario().with_media("m1", script), &[]);
        env.submit("m1").await;
        sleep(9000).await;
        let found: Vec<(u128, bool)> = seen.lock().unwrap().iter().map(|e| (e.0, e.2)).collect();
        assert_eq!(found, expected, "{event:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_early_event_comes_before_the_submit_answer() {
    let event = EventScript { early: Some(Duration::from_millis(500)), ..EventScript::default() };
    let (env, seen) = env(scenario().with_media("m1", media(event)), &[]);
    let begin = Instant::now();
    let job = env.submit("m1").await;
    assert_eq!(begin.elapsed().as_millis(), 500);
    assert_eq!(times(&seen), [0]);
    assert_eq!(env.lookup(&job).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_forged_event_goes_ahead_and_its_task_looks_complete() {
    let event = EventScript { forged_first: vec!["T666".into()], ..EventScript::default() };
    let (env, seen) = env(scenario().with_media("m1", media(event)), &[]);
    let job = env.submit("m1").await;
    sleep(400).await;
    {
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 2);
        assert_eq!((&seen[0].3["TaskIds"], seen[0].2), (&"T666".into(), true));
        assert_eq!(seen[1].3["TaskIds"], env.emulator.task_ids(&job, "m1").join(","));
    }
    assert_eq!(env.tasks(&[("TaskId", "T666")]).await.0, ["T666 Complete"]);
    assert_eq!(env.emulator.event_log()[0].kind, "forged");
}

#[tokio::test(start_paused = true)]
async fn a_partial_event_names_the_first_task_alone() {
    let event = EventScript { partial: true, ..EventScript::default() };
    let script = MediaScript { task_ids: vec!["T1".into(), "T2".into()], ..media(event) };
    let (env, seen) = env(scenario().with_media("m1", script), &[]);
    let job = env.submit("m1").await;
    sleep(400).await;
    let seen = seen.lock().unwrap().clone();
    assert_eq!(
        (seen.len(), &seen[0].3["TaskIds"], &seen[0].3["Status"]),
        (1, &"T1".into(), &"success".into())
    );
    assert_eq!(seen[0].3["SuccessPlayUrls"], "https://media.example.test/m1/1.mp4");
    assert_eq!(env.lookup(&job).await[0]["TaskIds"], "T1,T2");
}

#[tokio::test(start_paused = true)]
async fn an_unsigned_failure_goes_ahead_of_the_real_event() {
    let event = EventScript { unsigned_fail_first: true, ..EventScript::default() };
    let cloud = scenario().with_media("m1", media(event)).with(|s| s.queue = Some(QueueScript::default()));
    let (env, seen) = env(cloud, &[]);
    env.submit("m1").await;
    sleep(400).await;
    let seen = seen.lock().unwrap();
    let statuses: Vec<_> =
        seen.iter().map(|(_, _, good, body)| (body["Status"].as_str().unwrap(), *good)).collect();
    assert_eq!(statuses, [("fail", false), ("success", true)]);
    assert_eq!((seen[0].3.get("TaskIds"), &seen[0].3["ErrorCode"]), (None, &"InternalError".into()));
    assert_eq!(env.emulator.queue_messages().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_replay_has_the_headers_of_the_event_and_another_body() {
    let event = EventScript { replayed_with: vec!["T666".into()], ..EventScript::default() };
    let stale = EventScript { bad_signature: true, ..event.clone() };
    for (event, statuses, good) in
        [(event.clone(), &[][..], true), (event, &[500, 500], true), (stale, &[], false)]
    {
        let cloud =
            scenario().with_media("m1", media(event)).with(|s| s.queue = Some(QueueScript::default()));
        let (env, seen) = env(cloud, statuses);
        env.submit("m1").await;
        sleep(9_000).await;
        let seen = seen.lock().unwrap().clone();
        let [.., real, replay] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!((real.2, replay.2), (good, good));
        assert_ne!(real.3["TaskIds"], "T666");
        assert_eq!(replay.3["TaskIds"], "T666");
        assert_eq!(env.emulator.event_log().last().unwrap().kind, "replayed");
        assert_eq!(env.tasks(&[("TaskId", "T666")]).await.0, ["T666 Complete"]);
        assert_eq!(env.emulator.queue_messages().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn headers_of_another_moment_are_a_replay() {
    let (env, seen) = env(scenario(), &[]);
    for (age, good) in [(299, true), (301, false)] {
        let then = EventSignature::At(start() - Duration::from_secs(age));
        env.emulator.send_event(None, "{}", then).await;
        assert_eq!(seen.lock().unwrap().last().unwrap().2, good);
    }
}

#[tokio::test(start_paused = true)]
async fn events_by_hand_are_signed_as_told() {
    let (env, seen) = env(scenario(), &[500]);
    let table = [
        (EventSignature::Right, true),
        (EventSignature::Capitals, true),
        (EventSignature::Missing, false),
        (EventSignature::OnlyTimestamp, false),
        (EventSignature::OnlySignature, false),
        (EventSignature::Empty, false),
        (EventSignature::Wrong, false),
        (EventSignature::Aged(299), true),
        (EventSignature::Aged(301), false),
        (EventSignature::OverUrl("http://10.0.0.5:8080/".into()), false),
    ];
    for (n, (signature, good)) in table.into_iter().enumerate() {
        let status = env.emulator.send_event(None, "{\"a\":1}", signature.clone()).await;
        assert_eq!(status, Some(if n == 0 { 500 } else { 200 }), "posted once, no retry");
        assert_eq!(seen.lock().unwrap().last().unwrap().2, good, "{signature:?}");
    }
    // Sent to one address, signed over another: as behind a proxy.
    let over = EventSignature::OverUrl(URL.into());
    env.emulator.send_event(Some("http://127.0.0.1:9/in"), "x", over).await;
    let seen = seen.lock().unwrap();
    assert_eq!((seen.last().unwrap().1.as_str(), seen.last().unwrap().2), ("http://127.0.0.1:9/in", true));
}

#[tokio::test(start_paused = true)]
async fn an_event_can_be_taken_and_changed() {
    let (env, _) = env(scenario(), &[]);
    let job = env.submit("m1").await;
    let event = env.emulator.event_for(&job, "m1").unwrap();
    assert_eq!(event["MediaRefreshJobId"], job);
    assert!(env.emulator.event_for(&job, "m2").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_emulator_sends_nothing_more() {
    let (env, seen) = env(scenario(), &[]);
    env.submit("m1").await;
    drop(env);
    sleep(9000).await;
    assert!(times(&seen).is_empty());
}

#[tokio::test(start_paused = true)]
async fn events_that_the_settings_do_not_name_are_not_sent() {
    for (events, sent) in [
        ("UploadByURLComplete", 0),
        ("", 0),
        ("ALL", 1),
        ("UploadByURLComplete,SubmitMediaRefreshComplete", 1),
    ] {
        let (env, seen) = env(scenario(), &[]);
        let settings = [
            ("CallbackType", "HTTP"),
            ("CallbackURL", URL),
            ("EventTypeList", events),
            ("AuthSwitch", "on"),
            ("AuthKey", "Abc123Key"),
        ];
        assert_eq!(env.call("SetMessageCallback", &settings).await.0, 200);
        env.submit("m1").await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), sent, "{events:?}");
        assert!(seen.iter().all(|(_, _, good, _)| *good));
    }
}
