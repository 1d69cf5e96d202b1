//! Events over HTTP, as a run takes them.

use std::net::TcpStream;

use serde_json::{Value, json};
use vod_refresh::emulator::{EventScript, MediaScript, Which};

use super::cloud::{Cloud, QUERY_JOBS, SUBMIT};
use super::scenarios::{open_tasks, quick, silent};
use crate::support::raw_server::{RawServer, Then};
use crate::support::scripts::open_media;
#[test]
fn a_lost_event_is_made_up_for_by_the_lookup_and_the_port_is_closed_at_the_end() {
    let cloud = Cloud::new(silent(quick()));
    let run = cloud.listening("refresh m1 --lookup-after 300ms --poll-interval 100ms --output json");
    let address = run.listening_on();
    let run = run.finish().exits(0).says("no event came for 1 media");
    let report = run.report();
    assert_eq!(report["media"][0]["confirmed_by"], "lookup");
    assert!(report["summary"]["api_calls"][QUERY_JOBS].as_u64() >= Some(1));
    assert!(TcpStream::connect(address).is_err(), "the port is still open");
}

#[test]
fn an_event_starts_the_looks_and_two_lookups_confirm_it() {
    let cloud = Cloud::new(quick());
    let run = cloud.listening("refresh m1 m2 --lookup-after 30s --poll-interval 100ms --output json");
    let report = run.finish().exits(0).report();
    let confirmed: Vec<_> = report["media"].as_array().unwrap().iter().map(|m| &m["confirmed_by"]).collect();
    assert_eq!(confirmed, ["callback", "callback"]);
    assert_eq!((cloud.count(SUBMIT), cloud.count(QUERY_JOBS)), (1, 2));
}
#[test]
fn events_again_in_any_order_and_of_strangers_count_once() {
    // Its tasks stay open until every event has been sent: the listener must be there for all of them.
    let open = open_media();
    let cloud = Cloud::new(silent(quick().with(|s| s.default_media = open)));
    let run = cloud.listening("refresh m1 m2 m3 --lookup-after 30s --poll-interval 100ms --output json");
    let job = cloud.first_job();
    let event = |media: &str| cloud.emulator.event_for(&job, media).unwrap();
    let mut late = event("m2");
    late["Status"] = json!("fail");
    late["EventTime"] = json!("2020-01-01T00:00:00Z");
    let mut foreign = event("m1");
    foreign["MediaRefreshJobId"] = json!("JX");
    for body in [event("m3"), event("m1"), event("m1"), event("m3"), event("m2"), late, foreign] {
        // A run that took a second for it would have answered 503.
        assert_eq!(cloud.post(&body.to_string()), Some(200));
    }
    for media in ["m1", "m2", "m3"] {
        for task in cloud.emulator.task_ids(&job, media) {
            cloud.emulator.complete_task(&task);
        }
    }
    let report = run.finish().exits(0).report();
    let summary = &report["summary"];
    assert_eq!(summary["media_complete"], 3);
    let counts = ["events_accepted", "events_repeated", "events_foreign"].map(|name| &summary[name]);
    assert_eq!(counts, [&json!(3), &json!(3), &json!(1)]);
    assert!(report["media"].as_array().unwrap().iter().all(|m| m["confirmed_by"] == "callback"));
}
#[test]
fn a_forged_body_under_a_right_signature_is_never_trusted() {
    let forged = EventScript { forged_first: vec!["666".into()], ..EventScript::default() };
    let script = open_tasks().with(|m| m.event = forged);
    let cloud = Cloud::new(quick().with_media("m1", script));
    let run = cloud.listening("refresh m1 --lookup-after 30s --poll-interval 100ms --output json");
    // The warning tells that the lookup was compared; what was forged is complete, and the run goes on.
    run.wait_for_line("666");
    assert_eq!(cloud.emulator.complete_task("1"), 1);
    assert_eq!(cloud.emulator.complete_task("2"), 1);
    let run = run.finish().exits(0);
    let warning = run.stderr.lines().find(|line| line.contains("666")).unwrap();
    assert!(warning.starts_with("warning:"), "{warning}");
    let report = run.report();
    assert_eq!(task_ids(&report["media"][0]), ["1", "2"]);
    assert_eq!(report["media"][0]["confirmed_by"], "lookup");
}

fn task_ids(media: &Value) -> Vec<&str> {
    media["tasks"].as_array().unwrap().iter().map(|task| task["task_id"].as_str().unwrap()).collect()
}

/// The whole job with every fate in it.
#[test]
fn forty_five_media_with_hostile_events_end_each_in_its_state() {
    let hostile = EventScript { double: true, forged_first: vec!["666".into()], ..EventScript::default() };
    let with_event = |script: MediaScript| script.with(|m| m.event = hostile.clone());
    let scenario = quick()
        .with(|s| s.url_with_commas = true)
        .with(|s| s.default_media = with_event(MediaScript::default()))
        .with_media("m3", MediaScript::missing())
        .with_media("m21", MediaScript::forbidden())
        .with_media("m30", with_event(MediaScript::failing("InvalidDomain.NotFound", "Can't find domain.")))
        .with_media(
            "m44",
            with_event(MediaScript { failed_tasks: Which::First(1), ..MediaScript::default() }),
        );
    let cloud = Cloud::new(scenario);
    let ids: Vec<String> = (0..45).map(|n| format!("m{n}")).collect();
    let options = "--max-rps 100 --lookup-after 30s --poll-interval 200ms --output json";
    let run = cloud.listening(&format!("refresh {} {options}", ids.join(" ")));
    let report = run.finish().exits(7).report();
    let media = report["media"].as_array().unwrap();
    assert_eq!(media.iter().map(|m| m["media_id"].as_str().unwrap()).collect::<Vec<_>>(), ids);
    for (id, media) in ids.iter().zip(media) {
        let state = match id.as_str() {
            "m3" => "not_found",
            "m21" => "forbidden",
            "m30" | "m44" => "failed",
            _ => "complete",
        };
        assert_eq!(media["state"], state, "{id}");
    }
    let mut sizes: Vec<_> =
        cloud.calls(SUBMIT).iter().map(|call| call.params["MediaIds"].split(',').count()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [5, 20, 20]);
    let summary = &report["summary"];
    assert_eq!((&summary["media_complete"], &summary["media_failed"]), (&json!(41), &json!(4)));
    let nonces: std::collections::HashSet<_> =
        cloud.emulator.calls().into_iter().map(|call| call.nonce).collect();
    assert_eq!(nonces.len(), cloud.emulator.calls().len(), "each nonce is used once");
}

/// With lookups turned off and no other source, nothing can tell of the media any more.
#[test]
fn a_queue_that_is_none_ends_a_run_that_has_nothing_else_at_once() {
    for (status, code, hint) in [
        ("400 x", "InvalidArgument", "check `--queue`"),
        ("400 x", "InvalidRequestURL", "check `--queue`"),
        ("400 x", "InvalidQueueName", "check `--queue`"),
        ("403 x", "AccessDenied", "mns:BatchReceiveMessage"),
        ("404 x", "QueueNotExist", "check `--queue`"),
    ] {
        let body =
            format!("<Error><Code>{code}</Code><Message>m</Message><RequestId>R-1</RequestId></Error>");
        let length = body.len();
        let queue = RawServer::start([Then::say_and_close(format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}"
        ))]);
        let cloud = Cloud::new(quick());
        let line =
            format!("refresh m1 m2 --timeout 1m --lookup-after never --queue {}/queues/vod", queue.url());
        let begun = tokio::time::Instant::now();
        let run = cloud.shell(&line).words("-o json").run();
        assert!(begun.elapsed().as_secs() < 20, "{code}: it waited for its deadline");
        // The queue may answer before the submission goes out.
        let ends = if cloud.count(SUBMIT) == 0 { [3, 4] } else { [9, 4] };
        let run = run.exits(ends[usize::from(code == "AccessDenied")]);
        assert_eq!(run.stderr.matches("is read no more").count(), 1, "{}", run.stderr);
        assert!(run.command_shown().contains("resume"), "{}", run.stderr);
        assert_eq!(run.report()["error"]["code"], code);
        run.says(code).says(hint).does_not_say("--ca-file");
        assert_eq!(queue.requests().len(), 1, "{code}");
    }
}
