//! Signatures, nonces and clocks, as the service sees them.

use std::collections::HashSet;

use vod_refresh::emulator::{Fault, FaultRule, JobScript};

use super::cloud::{Cloud, QUERY_TASKS, SUBMIT};
use super::scenarios::quick;
use super::shell::Shell;
use crate::support::raw_server::{FINE, RawServer, Then};
#[test]
fn odd_characters_in_signed_values_arrive_as_they_are_at_the_first_attempt() {
    let cloud = Cloud::new(quick());
    let text = "a~b *+/%中 文";
    let run = cloud.shell("refresh m1 --output json --poll-interval 100ms --extend").arg(text);
    let report = run.run().exits(0).report();
    assert_eq!((report["extend"].as_str(), report["summary"]["retries"].as_u64()), (Some(text), Some(0)));
    let submits = cloud.calls(SUBMIT);
    assert_eq!(submits.len(), 1);
    let user_data: serde_json::Value = serde_json::from_str(&submits[0].params["UserData"]).unwrap();
    assert_eq!(user_data["Extend"]["text"], text);
}

/// On the wire: every value is encoded once.
#[test]
fn odd_characters_are_encoded_once_on_the_wire() {
    let server = RawServer::start([Then::say_and_close(FINE)]);
    Shell::new("refresh m1 --no-resubmit --timeout 10s --extend")
        .arg("a~b *+/%中 文")
        .with_keys()
        .env("VOD_REFRESH_ENDPOINT", server.url())
        .run();
    let request = &server.requests()[0].text;
    assert!(request.contains("a~b%20%2A%2B%2F%25%E4%B8%AD%20%E6%96%87"), "{request}");
}
#[test]
fn a_lost_answer_costs_one_more_request_with_a_nonce_and_signature_of_its_own() {
    let job = JobScript { media: vec!["m1".into()], ..JobScript::default() };
    let scenario = quick()
        .with(|s| s.jobs.insert("J1".into(), job))
        .with_fault(FaultRule::on(QUERY_TASKS, Fault::ResetBefore));
    let cloud = Cloud::new(scenario);
    let report = cloud.shell("wait J1 --output json --poll-interval 100ms").run().exits(0).report();
    assert_eq!(report["summary"]["retries"], 1);
    let calls = cloud.emulator.calls();
    assert_eq!(calls.iter().map(|call| &call.nonce).collect::<HashSet<_>>().len(), calls.len());
    assert!(calls.iter().all(|call| call.outcome != "SignatureNonceUsed"));
    let looks: Vec<_> = cloud.calls(QUERY_TASKS).iter().map(|call| call.outcome.clone()).collect();
    assert_eq!(looks.iter().filter(|outcome| *outcome == "reset_before").count(), 1, "{looks:?}");
}
#[test]
fn a_clock_that_is_twenty_minutes_slow_costs_one_request_and_one_warning() {
    let cloud = Cloud::new(quick().with(|s| s.clock_offset = 1_200));
    let run = cloud.shell("refresh m1 --output json --poll-interval 100ms").run().exits(0);
    let warnings: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("warning:")).collect();
    assert_eq!(warnings.len(), 1, "{}", run.stderr);
    // A second may pass between the two clocks' looks at the time.
    assert!(
        ["1199 s", "1200 s", "1201 s"].iter().any(|about| warnings[0].contains(about)),
        "{}",
        warnings[0]
    );
    let outcomes: Vec<_> = cloud.emulator.calls().iter().map(|call| call.outcome.clone()).collect();
    assert_eq!(outcomes[0], "InvalidTimeStamp.Expired");
    assert!(outcomes[1..].iter().all(|outcome| outcome == "ok"), "{outcomes:?}");
    assert_eq!((cloud.count(SUBMIT), run.report()["summary"]["retries"].as_u64()), (2, Some(1)));
}

/// A whole run by the other signature, with a token, on a machine that takes its local time for UTC.
#[test]
fn version_three_signs_a_whole_run_whatever_the_clock_says() {
    let cloud = Cloud::new(
        quick().with(|s| s.tokens.insert("testid".into(), "T1".into())).with(|s| s.clock_offset = -8 * 3_600),
    );
    let line = "refresh m1 --signature-version v3 --output json --lookup-after 100ms --poll-interval 100ms";
    let run = cloud.shell(line).env("ALIBABA_CLOUD_SECURITY_TOKEN", "T1").run().exits(0);
    let run = run.says("ahead of the service's").says("that is close to 8 hours: is a time zone set wrong?");
    assert_eq!(run.report()["summary"]["retries"], 1);
    let calls = cloud.emulator.calls();
    assert!(calls.len() >= 3 && calls.iter().all(|call| call.signature_version == "ACS3"), "{calls:?}");
}
#[test]
fn the_hosts_time_zone_changes_nothing() {
    let cloud = Cloud::new(quick());
    for zone in ["Asia/Shanghai", "America/New_York", "Nonsense/Zone"] {
        let run = cloud.shell("refresh m1 --output json --poll-interval 100ms").env("TZ", zone);
        let report = run.run().exits(0).report();
        let task = &report["media"][0]["tasks"][0];
        let times = [&report["started_at"], &report["finished_at"], &task["created_at"], &task["ended_at"]];
        for time in times {
            assert!(is_whole_utc(time.as_str().unwrap()), "{zone}: {time}");
        }
        // The service's times and ours are of the same minute: nobody added eight hours.
        let minutes: HashSet<i64> = times
            .map(|time| time.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp())
            .into_iter()
            .map(|seconds| seconds / 600)
            .collect();
        assert!(minutes.len() <= 2, "{zone}: {times:?}");
    }
    assert!(cloud.emulator.calls().iter().all(|call| call.outcome == "ok"));
}

/// `2026-11-25T01:19:10Z`
fn is_whole_utc(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00Z"
}
