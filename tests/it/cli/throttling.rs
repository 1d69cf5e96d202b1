//! A service that asks to slow down.

use std::collections::HashSet;

use vod_refresh::emulator::{Call, Fault, FaultRule, JobScript};

use super::cloud::{Cloud, QUERY_TASKS, SUBMIT};
use super::process::Finished;
use super::scenarios::quick;
use crate::support::scripts::{open_media, throttle};

/// Milliseconds between calls.
fn gaps(calls: &[Call]) -> Vec<i64> {
    calls.windows(2).map(|pair| (pair[1].at - pair[0].at).num_milliseconds()).collect()
}

/// One run that is throttled in three forms; the gaps between its submits.
fn throttled_run() -> (Finished, Vec<i64>) {
    let cloud = Cloud::new(
        quick()
            .with_fault(FaultRule::on(SUBMIT, throttle(503, "Throttling")))
            .with_fault(FaultRule::on(SUBMIT, throttle(400, "Throttling.User")))
            .with_fault(FaultRule::on(SUBMIT, Fault::Empty { status: 429 })),
    );
    let run = cloud.shell("refresh m1 --output json --poll-interval 100ms").run().exits(0);
    (run, gaps(&cloud.calls(SUBMIT)))
}
#[test]
fn throttling_in_every_form_is_waited_out_with_growing_gaps() {
    let runs: Vec<_> = (0..5).map(|_| std::thread::spawn(throttled_run)).collect();
    let mut seen = HashSet::new();
    for run in runs {
        let (run, gaps) = run.join().unwrap();
        assert_eq!(gaps.len(), 3, "four requests: {gaps:?}");
        // Whoever waits may wake up late, never early.
        assert!(gaps.iter().zip([1_000, 2_000, 4_000]).all(|(gap, least)| *gap >= least), "{gaps:?}");
        let notices = run.stderr.lines().filter(|line| line.starts_with("retrying in")).count();
        assert!((1..=3).contains(&notices), "{}", run.stderr);
        seen.insert(gaps);
    }
    assert!(seen.len() > 1, "five runs waited for the same milliseconds: {seen:?}");
}

/// With shorter times of the same shape.
#[test]
fn the_services_own_waiting_time_is_honoured_and_capped_by_the_deadline() {
    let told = |ms, s| Fault::Throttle {
        code: "Throttling".into(),
        status: 503,
        retry_after_ms: ms,
        retry_after_s: s,
    };
    let stuck = open_media();
    let job = JobScript { media: vec!["m1".into()], ..JobScript::default() };
    let cloud = Cloud::new(
        quick()
            .with(|s| s.urls_per_media = 1)
            .with(|s| s.default_media = stuck)
            .with(|s| s.jobs.insert("J1".into(), job))
            .with_fault(FaultRule::on(QUERY_TASKS, told(Some(1_500), None)))
            .with_fault(FaultRule::on(QUERY_TASKS, told(None, Some(2))))
            .with_fault(FaultRule::on(QUERY_TASKS, told(Some(3_600_000), None))),
    );
    let line = "wait J1 --timeout 8s --poll-interval 100ms --lookup-after 0s --output json";
    let report = cloud.shell(line).run().exits(8).report();
    assert_eq!(report["outcome"], "timeout");
    let gaps = gaps(&cloud.calls(QUERY_TASKS));
    assert_eq!(gaps.len(), 2, "nothing is asked during the hour: {gaps:?}");
    assert!(gaps[0] >= 1_500 && gaps[1] >= 2_000, "{gaps:?}");
}
