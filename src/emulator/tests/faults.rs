use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::bed::{Bed, answer, json};
use crate::emulator::{Fault, FaultRule, MediaScript, Reply, Scenario};
use crate::net::transport::{Phase, Transport as _};

const TASKS: &str = "DescribeVodRefreshTasks";
const SUBMIT: &str = "RefreshMediaPlayUrls";

fn with(fault: Fault) -> Bed {
    Bed::new(Scenario::new().with_fault(FaultRule::on("*", fault)))
}

async fn submit_reply(bed: &Bed) -> Reply {
    bed.reply(SUBMIT, &[("MediaIds", "m1"), ("TaskType", "Refresh")]).await
}

#[tokio::test(start_paused = true)]
async fn every_fault_does_the_work_or_leaves_it_as_documented() {
    let table = [
        (Fault::throttle(), 0),
        (Fault::error(500, "InternalError"), 0),
        (Fault::XmlError { status: 500, code: "InternalError".into(), message: "m".into() }, 0),
        (Fault::Empty { status: 429 }, 0),
        (Fault::Html { status: 502 }, 0),
        (Fault::ResetBefore, 0),
        (Fault::ResetAfter, 1),
        (Fault::Stall { done: false }, 0),
        (Fault::Stall { done: true }, 1),
        (Fault::Garbage, 1),
        (Fault::HalfBody, 1),
        (Fault::Delay { by: Duration::from_secs(3) }, 1),
        (Fault::LowerCaseKeys, 1),
        (Fault::WrongTaskRows, 1),
        (Fault::TotalAsString, 1),
        (Fault::NoTotal, 1),
    ];
    for (fault, jobs) in table {
        let name = fault.name();
        let bed = with(fault);
        submit_reply(&bed).await;
        assert_eq!(bed.emulator.job_ids().len(), jobs, "{name}");
        assert_eq!(bed.emulator.calls()[0].outcome, name);
        assert!(bed.emulator.unused_faults().is_empty());
        assert!(matches!(submit_reply(&bed).await, Reply::Answer(_)), "{name} is over");
        assert_eq!(bed.emulator.calls()[1].outcome, "ok");
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
    assert!(text(submit_reply(&with(Fault::Html { status: 502 })).await).starts_with("<html>"));
    assert!(serde_json::from_str::<Value>(&text(submit_reply(&with(Fault::Garbage)).await)).is_err());
    let xml = Fault::XmlError { status: 500, code: "InternalError".into(), message: "m".into() };
    assert!(text(submit_reply(&with(xml)).await).contains("<Error><Code>InternalError</Code>"));
    let (_, body) = json(submit_reply(&with(Fault::LowerCaseKeys)).await);
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
        .with_fault(FaultRule::on(TASKS, Fault::WrongTaskRows).for_task("T1"));
    let bed = Bed::new(scenario);
    bed.submit("m1").await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    let look = || bed.call(TASKS, &[("TaskId", "T1")]);
    assert_eq!(look().await.1["TotalCount"], "1");
    assert_eq!(look().await.1.get("TotalCount"), None);
    let (rows, total) = bed.tasks(&[("TaskId", "T1")]).await;
    assert_eq!((rows, total), (vec!["991 Failed".into(), "T1 Complete".into(), "992 Failed".into()], 3));
    assert_eq!(look().await.1["TotalCount"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_fault_strikes_only_signed_requests() {
    let bed = with(Fault::ResetBefore);
    let params = bed.params(TASKS, &[]);
    bed.emulator.handle(super::bed::get(&params, "wrong")).await;
    assert_eq!(bed.emulator.unused_faults(), ["reset_before on *: fired 0 of 1 times"]);
}

#[tokio::test(start_paused = true)]
async fn faults_can_be_added_while_running() {
    let bed = Bed::new(Scenario::new());
    bed.emulator.add_fault(FaultRule::on(TASKS, Fault::error(404, "InvalidTaskId.NotFound")));
    let (status, body) = bed.call(TASKS, &[]).await;
    assert_eq!((status, &body["Code"]), (404, &"InvalidTaskId.NotFound".into()));
}

#[tokio::test(start_paused = true)]
async fn latency_and_delay_add_up() {
    let scenario = Scenario::new()
        .with_latency(Duration::from_millis(200))
        .with_fault(FaultRule::on(TASKS, Fault::Delay { by: Duration::from_secs(3) }));
    let bed = Bed::new(scenario);
    let start = Instant::now();
    bed.call(TASKS, &[]).await;
    assert_eq!(start.elapsed().as_millis(), 3200);
    bed.call(TASKS, &[]).await;
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
        let bed = with(fault);
        let start = Instant::now();
        let result = bed.emulator.transport().send(bed.request(TASKS, &[])).await;
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
