//! Calls that go wrong on the way: throttled, lost, garbled, refused for the clock.

use std::collections::HashSet;
use std::time::Duration;

use vod_refresh::emulator::{Call, Fault, FaultRule, Scenario};
use vod_refresh::run::Notice;
use vod_refresh::{Credential, Outcome, StaticCredentials, VodClient};

use crate::schema::Refresher;
use crate::support::action::{QUERY_JOBS, QUERY_TASKS, SUBMIT};
use crate::support::scripts::{open_media, throttle};
use crate::support::{TestEnv, request, states};

/// Seconds between calls of one action.
fn gaps(calls: &[Call], action: &str) -> Vec<f64> {
    let times: Vec<_> = calls.iter().filter(|call| call.action == action).map(|call| call.at).collect();
    times.windows(2).map(|pair| (pair[1] - pair[0]).num_milliseconds() as f64 / 1_000.0).collect()
}

/// Nothing was submitted, so nothing timed out, and the service was left in peace.
#[tokio::test(start_paused = true)]
async fn h43_submissions_that_are_always_throttled_end_as_unavailable_after_few_requests() {
    let fault = FaultRule::on(SUBMIT, throttle(503, "Throttling")).times(10_000);
    let env = TestEnv::new(Scenario::new().with_fault(fault))
        .with_options(|options| options.timeout = Duration::from_secs(30))
        .allow_unused_faults();
    let report = env.refresh((0..60).map(|n| format!("m{n}"))).await;
    assert_eq!(report.outcome, Outcome::Unavailable);
    assert_eq!(report.error.as_ref().unwrap().code, "Throttling");
    for (id, state, code) in states(&report) {
        assert_eq!((state, code.as_deref()), ("not_submitted", Some("Throttling")), "{id}");
    }
    let secs = env.elapsed().as_secs();
    assert!(env.submits() <= 30 && (30..34).contains(&secs), "{} requests in {secs} s", env.submits());
}

/// Where one batch got through: work goes on, so it is a deadline.
#[tokio::test(start_paused = true)]
async fn a_deadline_is_a_timeout_where_something_was_submitted() {
    let fault = FaultRule::on(SUBMIT, throttle(503, "Throttling")).skip(1).times(10_000);
    let env =
        TestEnv::new(Scenario::new().with_fault(fault).with(|s| s.task_duration = Duration::from_secs(600)))
            .with_options(|options| options.timeout = Duration::from_secs(30))
            .allow_unused_faults();
    let report = env.refresh((0..60).map(|n| format!("m{n}"))).await;
    assert_eq!(report.outcome, Outcome::Timeout);
}

#[tokio::test(start_paused = true)]
async fn throttling_in_every_form_is_waited_out_with_growing_gaps() {
    let scenario = Scenario::new()
        .with_fault(FaultRule::on(SUBMIT, throttle(503, "Throttling")))
        .with_fault(FaultRule::on(SUBMIT, throttle(400, "Throttling.User")))
        .with_fault(FaultRule::on(SUBMIT, Fault::Empty { status: 429 }));
    let env = TestEnv::new(scenario);
    let report = env.refresh(["m1"]).await;
    assert_eq!((report.outcome, env.submits(), report.summary.retries), (Outcome::Complete, 4, 3));
    let gaps = gaps(&env.cloud.calls(), SUBMIT);
    for (gap, least) in gaps.iter().zip([1.0, 2.0, 4.0]) {
        assert!((least..least * 2.1).contains(gap), "{gaps:?}");
    }
    let told = env.notices.all().into_iter().filter(|n| matches!(n, Notice::Retrying { .. })).count();
    assert_eq!(told, 3);
}

#[tokio::test(start_paused = true)]
async fn the_services_own_waiting_time_is_honoured_and_capped_by_the_deadline() {
    let told = |ms, s| Fault::Throttle {
        code: "Throttling".into(),
        status: 503,
        retry_after_ms: ms,
        retry_after_s: s,
    };
    let stuck = open_media();
    let scenario = Scenario::new()
        .with(|s| s.default_media = stuck)
        .with_fault(FaultRule::on(QUERY_TASKS, told(Some(1_500), None)))
        .with_fault(FaultRule::on(QUERY_TASKS, told(None, Some(2))))
        .with_fault(FaultRule::on(QUERY_TASKS, told(Some(3_600_000), None)));
    let env = TestEnv::new(scenario).with_options(|o| o.timeout = Duration::from_secs(20));
    let report = env.refresh(["m1"]).await;
    assert_eq!(report.outcome, Outcome::Timeout);
    assert!((20..=22).contains(&env.elapsed().as_secs()), "{:?}", env.elapsed());
    let gaps = gaps(&env.cloud.calls(), QUERY_TASKS);
    assert_eq!(gaps.len(), 2, "nothing is asked during the hour: {gaps:?}");
    assert!(gaps[0] >= 1.5 && gaps[1] >= 2.0, "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn each_failed_task_query_costs_one_call_more() {
    let scenario = Scenario::new()
        .with(|s| s.task_duration = Duration::from_secs(40))
        .with_fault(FaultRule::on(QUERY_TASKS, Fault::ResetAfter))
        .with_fault(FaultRule::on(QUERY_TASKS, Fault::error(500, "InternalError")).skip(1))
        .with_fault(FaultRule::on(QUERY_TASKS, Fault::HalfBody).skip(1))
        .with_fault(FaultRule::on(QUERY_TASKS, Fault::Html { status: 502 }).skip(1))
        .with_fault(FaultRule::on(QUERY_JOBS, Fault::Garbage));
    let env = TestEnv::new(scenario);
    let report = env.refresh(["m1"]).await;
    assert_eq!((report.outcome, env.submits(), report.summary.retries), (Outcome::Complete, 1, 5));
    let calls = env.cloud.calls();
    assert_eq!(calls.iter().map(|c| &c.nonce).collect::<HashSet<_>>().len(), calls.len());
    assert!(calls.iter().all(|c| c.outcome != "SignatureNonceUsed"));
}

#[tokio::test(start_paused = true)]
async fn a_query_of_a_task_that_is_not_there_yet_is_no_error() {
    let scenario = Scenario::new()
        .with_fault(FaultRule::on(QUERY_TASKS, Fault::error(404, "InvalidTaskId.NotFound")).times(3));
    let env = TestEnv::new(scenario);
    let report = env.refresh(["m1"]).await;
    assert_eq!((report.outcome, report.summary.retries), (Outcome::Complete, 0));
}

#[tokio::test(start_paused = true)]
async fn a_slow_clock_costs_one_request_and_one_warning() {
    let env = TestEnv::new(Scenario::new().with(|s| s.clock_offset = 1_200));
    let report = env.refresh((0..25).map(|n| format!("m{n}"))).await;
    assert_eq!(report.outcome, Outcome::Complete);
    let refused = env.cloud.calls().iter().filter(|c| c.outcome == "InvalidTimeStamp.Expired").count();
    assert!(refused <= 2, "two batches may have been on their way: {refused}");
    let corrected: Vec<i64> = env
        .notices
        .all()
        .iter()
        .filter_map(|n| if let Notice::ClockCorrected { behind_s, .. } = n { Some(*behind_s) } else { None })
        .collect();
    assert_eq!(corrected.len(), 1);
    assert!((1_199..=1_201).contains(&corrected[0]), "{corrected:?}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_refused_twice_is_refused() {
    let expired = Fault::error(400, "InvalidTimeStamp.Expired");
    let env = TestEnv::new(Scenario::new().with_fault(FaultRule::on(SUBMIT, expired).times(2)));
    let report = env.refresh(["m1"]).await;
    assert_eq!((report.outcome, env.submits()), (Outcome::Refused, 2));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_with_events_makes_exactly_one_submit() {
    for fault in [Fault::ResetAfter, Fault::Stall { done: true }, Fault::Garbage, Fault::HalfBody] {
        let name = format!("{fault:?}");
        let env = TestEnv::new(Scenario::new().with_fault(FaultRule::on(SUBMIT, fault))).with_events();
        let report = env.refresh(["m1", "m2"]).await;
        assert_eq!((report.outcome, env.submits()), (Outcome::Complete, 1), "{name}");
        assert!(
            env.notices.all().iter().any(|n| matches!(n, Notice::OutcomeLearned { media: 2, .. })),
            "{name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_without_events_is_sent_again_with_a_word() {
    let env = TestEnv::new(Scenario::new().with_fault(FaultRule::on(SUBMIT, Fault::ResetAfter)));
    let report = env.refresh(["m1"]).await;
    assert_eq!((report.outcome, env.submits()), (Outcome::Complete, 2));
    assert!(env.notices.all().iter().any(|n| matches!(n, Notice::Resubmitting { media: 1, .. })));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_not_sent_again_where_that_is_not_wanted() {
    let env = TestEnv::new(Scenario::new().with_fault(FaultRule::on(SUBMIT, Fault::ResetAfter)))
        .with_options(|o| o.resubmit = false);
    let report = env.refresh(["m1"]).await;
    assert_eq!((report.outcome, env.submits()), (Outcome::Unavailable, 1));
    assert_eq!(states(&report)[0].2.as_deref(), Some("OutcomeUnknown"));
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_is_used_up_ends_at_once() {
    let env = TestEnv::new(
        Scenario::new().with_fault(FaultRule::on(SUBMIT, Fault::error(400, "QuotaExceeded.Refresh"))),
    );
    let report = env.refresh((0..5).map(|n| format!("m{n}"))).await;
    assert_eq!((report.outcome, env.submits()), (Outcome::Quota, 1));
    assert!(states(&report).iter().all(|s| s.1 == "not_submitted"));
}

#[tokio::test(start_paused = true)]
async fn where_some_were_submitted_the_rest_says_why_it_was_not() {
    let denied = Fault::error(403, "Forbidden.RAM");
    let env = TestEnv::new(
        Scenario::new()
            .with_fault(FaultRule { media: Some("m20".into()), ..FaultRule::on(SUBMIT, denied).times(0) }),
    );
    let report = env.refresh((0..40).map(|n| format!("m{n}"))).await;
    assert_eq!(report.outcome, Outcome::Partial);
    assert_eq!(report.summary.media_complete, 20);
    assert_eq!(states(&report)[20].2.as_deref(), Some("Forbidden.RAM"));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_secret_is_told_from_a_secret_with_a_line_break() {
    for (secret, words) in
        [("other", "does not belong to key id testid"), ("testsecret\n", "blank or line break")]
    {
        let env = TestEnv::new(Scenario::new());
        let client = VodClient::builder(StaticCredentials(Credential::new("testid", secret)))
            .with_endpoint("http://127.0.0.1:1")
            .with_transport(env.cloud.transport())
            .with_clock(vod_refresh::net::clock::TimerClock::starting_at(
                "2026-11-25T01:19:10Z".parse().unwrap(),
            ))
            .build()
            .unwrap();
        let report = Refresher::new(client).refresh(&request(["m1"])).await.unwrap();
        assert_eq!(report.outcome, Outcome::Refused);
        let message = report.media[0].error.clone().unwrap().message;
        assert!(message.contains(words), "{message}");
        assert!(!message.contains("string to sign"), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_takes_requests_and_never_answers_is_given_up() {
    let env =
        TestEnv::new(Scenario::new().with_fault(FaultRule::on("*", Fault::Stall { done: false }).times(0)));
    let report = env.refresh(["m1"]).await;
    assert_eq!(report.outcome, Outcome::Unavailable);
    let error = report.media[0].error.clone().unwrap();
    assert_eq!(error.code, "OutcomeUnknown");
    assert!(error.message.contains("127.0.0.1:1 took the request and did not answer"), "{}", error.message);
    assert!(env.elapsed() < Duration::from_secs(60), "{:?}", env.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_outage_in_the_middle_of_the_wait_is_survived_or_ends_as_unavailable() {
    for (failures, outcome) in [(8, Outcome::Complete), (0, Outcome::Unavailable)] {
        let scenario = Scenario::new()
            .with(|s| s.task_duration = Duration::from_secs(20))
            .with_fault(FaultRule::on(QUERY_TASKS, Fault::ResetBefore).skip(1).times(failures));
        let env = TestEnv::new(scenario);
        let report = env.refresh(["m1"]).await;
        assert_eq!(report.outcome, outcome);
        assert_eq!(env.submits(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ran_out_of_time_tells_which_calls_were_failing() {
    let down = FaultRule::on(QUERY_TASKS, Fault::error(503, "ServiceUnavailable")).skip(1).times(0);
    let stuck = open_media();
    let scenario = Scenario::new()
        .with(|s| s.default_media = stuck)
        .with_fault(FaultRule::on(QUERY_JOBS, throttle(503, "Throttling")))
        .with_fault(down);
    let env = TestEnv::new(scenario).with_options(|options| options.timeout = Duration::from_secs(60));
    let report = env.refresh(["m1"]).await;
    assert_eq!((report.outcome, report.notes.len()), (Outcome::Timeout, 1), "{:?}", report.notes);
    let note = &report.notes[0];
    assert!(
        note.starts_with("failing when the run ended: DescribeVodRefreshTasks: ServiceUnavailable"),
        "{note}"
    );
    let told = |n: &Notice| matches!(n, Notice::Warning { message } if message == note);
    assert!(env.notices.all().iter().any(told));
}
