//! Jobs that somebody else submitted.

use std::time::Duration;

use vod_refresh::emulator::{Fault, FaultRule, JobScript, MediaScript, Scenario, Which};
use vod_refresh::run::MediaState;
use vod_refresh::{Outcome, TaskType, WaitRequest};

use crate::support::{TestEnv, states};

fn scenario(media: &[&str]) -> Scenario {
    let job = JobScript { media: media.iter().map(|id| (*id).to_owned()).collect(), ..JobScript::default() };
    Scenario::new().with(|s| s.jobs.insert("J1".into(), job))
}

#[tokio::test(start_paused = true)]
async fn a_job_of_others_is_followed_without_a_submit() {
    let env = TestEnv::new(scenario(&["m1", "m2"]).with(|s| s.job_delay = Duration::ZERO));
    let report = env.wait("J1").await;
    assert_eq!(
        (report.outcome, report.task_type, env.submits()),
        (Outcome::Complete, Some(TaskType::Refresh), 0)
    );
    assert_eq!(states(&report).iter().map(|s| s.0.as_str()).collect::<Vec<_>>(), ["m1", "m2"]);
    assert_eq!(env.lookups(), 3, "one, one that settles it, and one when the job has not changed for 10 s");
}

#[tokio::test(start_paused = true)]
async fn a_connection_closed_before_the_answer_costs_one_call() {
    let env = TestEnv::new(
        scenario(&["m1"]).with_fault(FaultRule::on("DescribeVodRefreshTasks", Fault::ResetBefore)),
    );
    let report = env.wait("J1").await;
    assert_eq!((report.outcome, report.summary.retries), (Outcome::Complete, 1));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_never_shows_ends_as_not_found() {
    let env = TestEnv::new(Scenario::new());
    let report = env.wait("nowhere").await;
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!((report.media.len(), report.media[0].state), (1, MediaState::Failed));
    assert_eq!(report.media[0].error.as_ref().unwrap().code, "JobNotFound");
    assert!((600..620).contains(&env.elapsed().as_secs()), "{:?}", env.elapsed());
}

/// Where a script reads `quota`, nothing was submitted, and it submits again another day.
#[tokio::test(start_paused = true)]
async fn a_job_of_others_that_cannot_be_followed_for_want_of_quota_is_not_told_to_be_unsubmitted() {
    for action in ["GetMediaRefreshJobs", "DescribeVodRefreshTasks"] {
        let fault = FaultRule::on(action, Fault::error(400, "QuotaExceeded.Refresh"));
        let env = TestEnv::new(scenario(&["m1"]).with_fault(fault));
        let report = env.wait("J1").await;
        assert_eq!(report.outcome, Outcome::Unavailable, "{action}");
        assert_eq!(report.error.unwrap().code, "QuotaExceeded.Refresh");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_timed_out_can_be_followed_up() {
    let stuck = MediaScript {
        task_ids: vec!["1".into(), "2".into()],
        never_complete: Which::At(vec![1]),
        ..MediaScript::default()
    };
    let env = TestEnv::new(Scenario::new().with(|s| s.job_ids = vec!["J1".into()]).with_media("m1", stuck))
        .with_options(|o| o.timeout = Duration::from_secs(3));
    let report = env.refresh(["m1"]).await;
    assert_eq!(report.outcome, Outcome::Timeout);
    assert_eq!(report.media[0].job_id.as_ref().unwrap().as_str(), "J1");
    assert_eq!(env.cloud.complete_task("2"), 1);
    // What the tool prints to carry on names the media, or the job would be taken as whole only after ten seconds.
    let request = WaitRequest::new(["J1".parse().unwrap()]).with_media(["m1".parse().unwrap()]);
    let report = env.refresher().wait_for(&request).await.unwrap();
    assert_eq!((report.outcome, env.submits()), (Outcome::Complete, 1));
}

/// Media that a lookup shows as failed have been shown: with them, the job is whole.
#[tokio::test(start_paused = true)]
async fn a_job_whose_media_are_expected_and_failed_ends() {
    let scenario = scenario(&["m1", "m2"]).with_media("m1", MediaScript::failing("Bad", "no"));
    let env = TestEnv::new(scenario);
    let named = ["m1", "m2"].map(|id| id.parse().unwrap());
    let request = || WaitRequest::new(["J1".parse().unwrap()]);
    for request in [request().with_expect(2), request().with_media(named)] {
        let report = env.refresher().wait_for(&request).await.unwrap();
        assert_eq!(report.outcome, Outcome::Partial, "{request:?}");
    }
    assert!(env.elapsed().as_secs() < 120, "{:?}", env.elapsed());
}

/// A refresh and a preload of the same media are two jobs: that one of them has all expected media says nothing of the other.
#[tokio::test(start_paused = true)]
async fn a_job_of_which_nothing_is_shown_is_waited_for_although_all_expected_media_ended() {
    let jobs = || ["J1", "J2"].map(|id| id.parse().unwrap());
    for (seconds, outcome) in [(60, Outcome::Timeout), (1_000, Outcome::Partial)] {
        for request in [
            WaitRequest::new(jobs()).with_media(["m1".parse().unwrap()]),
            WaitRequest::new(jobs()).with_expect(1),
        ] {
            let env =
                TestEnv::new(scenario(&["m1"])).with_options(|o| o.timeout = Duration::from_secs(seconds));
            let report = env.refresher().wait_for(&request).await.unwrap();
            assert_eq!(report.outcome, outcome, "{request:?}");
            let told = serde_json::to_string(&report).unwrap();
            assert!(told.contains("J2"), "{told}");
        }
    }
}
