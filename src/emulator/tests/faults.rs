use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::env::{self, TestEnv, answer};
use crate::emulator::{Fault, FaultRule, MediaScript, Reply, Scenario, Shape};
use crate::net::transport::{Phase, Transport as _};

const TASKS: &str = "DescribeVodRefreshTasks";
const SUBMIT: &str = "RefreshMediaPlayUrls";

fn with(fault: Fault) -> TestEnv {
    TestEnv::new(Scenario::new().with_fault(FaultRule::on("*", fault)))
}

async fn submit_reply(env: &TestEnv) -> Reply {
    env.reply(SUBMIT, &[("MediaIds", "m1"), ("TaskType", "Refresh")]).await
}

#[tokio::test(start_paused = true)]
async fn every_fault_does_the_work_or_leaves_it_as_documented() {
    let table = [
        (Fault::throttle(), 0),
        (Fault::error(500, "InternalError"), 0),
        (Fault::XmlError { status: 500, code: "InternalError".into(), message: "m".into() }, 0),
        (Fault::Empty { status: 429 }, 0),
        (Fault::Html { status: 502 }, 0),
        (Fault::redirect(), 0),
        (Fault::ResetBefore, 0),
        (Fault::ResetAfter, 1),
        (Fault::Stall { done: false }, 0),
        (Fault::Stall { done: true }, 1),
        (Fault::Garbage, 1),
        (Fault::EmptyObject, 1),
        (Fault::WrongShape { shape: Shape::Text }, 1),
        (Fault::Bom, 1),
        (Fault::HalfBody, 1),
        (Fault::Delay { by: Duration::from_secs(3) }, 1),
        (Fault::LowerCaseKeys, 1),
        (Fault::WrongTaskRows, 1),
        (Fault::TotalAsString, 1),
        (Fault::NoTotal, 1),
    ];
    for (fault, jobs) in table {
        let name = fault.name();
        let env = with(fault);
        submit_reply(&env).await;
        assert_eq!(env.emulator.job_ids().len(), jobs, "{name}");
        assert_eq!(env.emulator.calls()[0].outcome, name);
        assert!(env.emulator.unused_faults().is_empty());
        assert!(matches!(submit_reply(&env).await, Reply::Answer(_)), "{name} is over");
        assert_eq!(env.emulator.calls()[1].outcome, "ok");
    }
}

#[tokio::test(start_paused = true)]
async fn throttling_can_say_how_long() {
    let fault = Fault::Throttle {
        code: "Throttling".into(),
        status: 503,
        retry_after_ms: Some(1500),
        retry_after_s: Some(2),
    };
    let answer = answer(submit_reply(&with(fault)).await);
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["x-acs-retry-after"], "1500");
    assert_eq!(answer.headers()["retry-after"], "2");
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(body["Code"], "Throttling");
}

#[tokio::test(start_paused = true)]
async fn bodies_are_spoilt_each_in_its_way() {
    let text = |reply| String::from_utf8(answer(reply).body().to_vec()).unwrap();
    assert_eq!(text(submit_reply(&with(Fault::Empty { status: 503 })).await), "");
    let page = text(submit_reply(&with(Fault::Html { status: 407 })).await);
    assert!(page.starts_with("<html>") && page.contains("<title>407 Proxy Authentication Required</title>"));
    let portal = answer(submit_reply(&with(Fault::redirect())).await);
    assert_eq!(
        (portal.status().as_u16(), portal.headers()["location"].as_bytes()),
        (302, &b"http://portal.example.test/login"[..])
    );
    assert_eq!(text(submit_reply(&with(Fault::EmptyObject)).await), "{}");
    let marked = text(submit_reply(&with(Fault::Bom)).await);
    assert!(serde_json::from_str::<Value>(marked.strip_prefix('\u{feff}').unwrap()).is_ok());
    assert!(serde_json::from_str::<Value>(&text(submit_reply(&with(Fault::Garbage)).await)).is_err());
    let xml = Fault::XmlError { status: 500, code: "InternalError".into(), message: "m".into() };
    assert!(text(submit_reply(&with(xml)).await).contains("<Error><Code>InternalError</Code>"));
    let (_, body) = env::json(submit_reply(&with(Fault::LowerCaseKeys)).await);
    assert!(body["mediaRefreshJobId"].is_string() && body["requestId"].is_string(), "{body}");
    let Reply::HalfBody(whole) = submit_reply(&with(Fault::HalfBody)).await else { panic!("not half") };
    assert!(serde_json::from_slice::<Value>(whole.body()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn task_answers_are_spoilt_each_in_its_way() {
    let script = MediaScript { task_ids: vec!["T1".into()], url_count: Some(1), ..MediaScript::default() };
    let scenario = Scenario::new()
        .with_media("m1", script)
        .with_fault(FaultRule::on(TASKS, Fault::TotalAsString))
        .with_fault(FaultRule::on(TASKS, Fault::NoTotal))
        .with_fault(FaultRule { task: Some("T1".into()), ..FaultRule::on(TASKS, Fault::WrongTaskRows) });
    let env = TestEnv::new(scenario);
    env.submit("m1").await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    let look = || env.call(TASKS, &[("TaskId", "T1")]);
    assert_eq!(look().await.1["TotalCount"], "1");
    assert_eq!(look().await.1.get("TotalCount"), None);
    let (rows, total) = env.tasks(&[("TaskId", "T1")]).await;
    assert_eq!((rows, total), (vec!["991 Failed".into(), "T1 Complete".into(), "992 Failed".into()], 3));
    assert_eq!(look().await.1["TotalCount"], 1);
}

#[tokio::test(start_paused = true)]
async fn something_else_stands_where_a_list_belongs() {
    for (shape, one, two) in [
        (Shape::Text, json!("x"), json!("x")),
        (Shape::LoneRow, json!("T1"), json!(["T2", "T2"])),
        (Shape::Object, json!({}), json!({})),
        (Shape::EmptyRows, json!([{}]), json!([{}, {}])),
    ] {
        let media = |id: &str, count| MediaScript {
            task_ids: vec![id.into()],
            url_count: Some(count),
            merged_tasks: true,
            ..MediaScript::default()
        };
        let scenario = Scenario::new().with_media("m1", media("T1", 1)).with_media("m2", media("T2", 2));
        let env = TestEnv::new(scenario.with_fault(FaultRule::on("*", Fault::WrongShape { shape }).times(0)));
        let job = env.submit("m1").await;
        env.submit("m2").await;
        tokio::time::sleep(Duration::from_secs(9)).await;
        // A row is told by its task id.
        let short = |value: &Value| match value.get("TaskId").or_else(|| value.get("TaskIds")) {
            Some(id) => id.clone(),
            None => value.clone(),
        };
        let list = |value: &Value| match value {
            Value::Array(rows) => Value::Array(rows.iter().map(short).collect()),
            other => short(other),
        };
        for (id, expected) in [("T1", &one), ("T2", &two)] {
            let (_, body) = env.call(TASKS, &[("TaskId", id)]).await;
            assert_eq!(list(&body["Tasks"]["Task"]), *expected, "{shape:?}");
        }
        let (_, body) = env.call("GetMediaRefreshJobs", &[("MediaRefreshJobId", &job)]).await;
        assert_eq!(list(&body["MediaRefreshJobs"]), one, "{shape:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_strikes_only_signed_requests() {
    let env = with(Fault::ResetBefore);
    let params = env.params(TASKS, &[]);
    env.emulator.handle(super::env::get(&params, "wrong")).await;
    assert_eq!(env.emulator.unused_faults(), ["reset_before on *: fired 0 of 1 times"]);
}

#[tokio::test(start_paused = true)]
async fn faults_can_be_added_while_running() {
    let env = TestEnv::new(Scenario::new());
    env.emulator.add_fault(FaultRule::on(TASKS, Fault::error(404, "InvalidTaskId.NotFound")));
    let (status, body) = env.call(TASKS, &[]).await;
    assert_eq!((status, &body["Code"]), (404, &"InvalidTaskId.NotFound".into()));
}

#[tokio::test(start_paused = true)]
async fn latency_and_delay_add_up() {
    let scenario = Scenario::new()
        .with(|s| s.latency = Duration::from_millis(200))
        .with_fault(FaultRule::on(TASKS, Fault::Delay { by: Duration::from_secs(3) }));
    let env = TestEnv::new(scenario);
    let start = Instant::now();
    env.call(TASKS, &[]).await;
    assert_eq!(start.elapsed().as_millis(), 3200);
    env.call(TASKS, &[]).await;
    assert_eq!(start.elapsed().as_millis(), 3400);
}

#[tokio::test(start_paused = true)]
async fn the_transport_turns_replies_into_what_a_client_sees() {
    let table = [
        (Fault::ResetAfter, Some((Phase::Answer, false))),
        (Fault::HalfBody, Some((Phase::Body, false))),
        (Fault::Stall { done: false }, Some((Phase::Answer, true))),
        (Fault::Delay { by: Duration::from_secs(20) }, Some((Phase::Answer, true))),
        (Fault::Delay { by: Duration::from_secs(5) }, None),
    ];
    for (fault, expected) in table {
        let name = fault.name();
        let env = with(fault);
        let start = Instant::now();
        let result = env.emulator.transport().send(env.request(TASKS, &[])).await;
        match expected {
            None => assert_eq!(result.unwrap().status(), 200),
            Some((phase, timed_out)) => {
                let error = result.unwrap_err();
                assert_eq!((error.phase, error.timed_out), (phase, timed_out), "{name}");
                assert_eq!(error.host, "vod.test");
                let waited = if timed_out { 10 } else { 0 };
                assert_eq!(start.elapsed().as_secs(), waited, "{name}");
            }
        }
    }
}
