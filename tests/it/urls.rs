//! Runs of URLs and folders, which have no media: the same verdicts, resume and reports.

use std::time::Duration;

use serde_json::Value;
use vod_refresh::emulator::{Call, Fault, FaultRule, MediaScript, Scenario};
use vod_refresh::run::{MediaState, UrlReport};
use vod_refresh::vod::{Area, ObjectType};
use vod_refresh::{ErrorKind, Journal, Outcome, Report, TaskType, UrlRequest};

use crate::crash::{Death, die};
use crate::support::TestEnv;
use crate::support::scripts::failing_media;

const REFRESH: &str = "RefreshVodObjectCaches";
const PRELOAD: &str = "PreloadVodObjectCaches";

fn quick() -> Scenario {
    Scenario::new().with(|s| s.task_duration = Duration::from_secs(5))
}

fn refresh(urls: &[&str]) -> UrlRequest {
    UrlRequest::new(TaskType::Refresh, urls.iter().copied())
}

/// State and error code of each URL.
fn states(report: &Report) -> Vec<(&'static str, &str)> {
    fn code(url: &UrlReport) -> &str {
        url.error.as_ref().map_or("", |error| &error.code)
    }
    report.urls.iter().map(|url| (url.state.as_str(), code(url))).collect()
}

/// The URLs of each call that was answered well, one call after the other.
fn handed_over(env: &TestEnv, action: &str) -> Vec<String> {
    let taken = |call: &Call| call.action == action && call.outcome == "ok";
    let calls = env.cloud.calls().into_iter().filter(taken);
    calls.flat_map(|call| call.params["ObjectPath"].lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[tokio::test(start_paused = true)]
async fn files_and_folders_are_purged_and_each_url_has_its_verdict() {
    let bad = "https://a.test/2.mp4";
    let env = TestEnv::new(quick().with_media(bad, failing_media()));
    let request = refresh(&["https://a.test/1.mp4", bad, "a.test/dir/", "https://b.test/中 文.mp4"]);
    let report = env.refresher().refresh_urls(&request).await.unwrap();
    assert_eq!(report.outcome, Outcome::Partial);
    assert_eq!(
        states(&report),
        [("complete", ""), ("failed", "TaskFailed"), ("complete", ""), ("complete", "")]
    );
    let types: Vec<ObjectType> = report.urls.iter().map(|url| url.object_type).collect();
    assert_eq!(types, [ObjectType::File, ObjectType::File, ObjectType::Directory, ObjectType::File]);
    assert_eq!(report.urls[3].tasks[0].url.as_deref(), Some("https://b.test/中 文.mp4"));
    assert_eq!((report.summary.media, report.summary.entries()), (0, [4, 3, 1, 0]));
    assert!(report.media.is_empty());
    assert_eq!((env.cloud.count(REFRESH), env.lookups()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn urls_are_prefetched_a_hundred_a_call() {
    let env = TestEnv::new(quick());
    let urls: Vec<String> = (0..250).map(|n| format!("https://a.test/{n}.mp4")).collect();
    let report = env.refresher().refresh_urls(&UrlRequest::new(TaskType::Preload, urls)).await.unwrap();
    assert_eq!((report.outcome, report.task_type), (Outcome::Complete, Some(TaskType::Preload)));
    assert_eq!((env.cloud.count(PRELOAD), report.summary.entries()[1]), (3, 250));
}

/// One URL that the service refuses does not hold up the rest, and costs a few calls.
#[tokio::test(start_paused = true)]
async fn a_url_that_the_service_refuses_fails_alone_with_its_word() {
    let (off, malformed) = ("https://off.test/1.mp4", "https://a.test/77.mp4");
    let fail = vod_refresh::emulator::SubmitFail {
        code: "InvalidObjectPath.Malformed".into(),
        message: "it is odd".into(),
    };
    let odd = MediaScript { submit_fail: Some(fail), ..MediaScript::default() };
    let env =
        TestEnv::new(quick().with_media("off.test", MediaScript::forbidden()).with_media(malformed, odd));
    let mut urls: Vec<String> = (0..200).map(|n| format!("https://a.test/{n}.mp4")).collect();
    urls.insert(3, off.to_owned());
    let report = env.refresher().refresh_urls(&UrlRequest::new(TaskType::Refresh, urls)).await.unwrap();
    assert_eq!(report.outcome, Outcome::Partial);
    for entry in &report.urls {
        let code = entry.error.as_ref().map_or("", |error| error.code.as_str());
        let expected = match entry.url.as_str() {
            url if url == off => ("not_submitted", "IllegalOperation"),
            url if url == malformed => ("not_submitted", "InvalidObjectPath.Malformed"),
            _ => ("complete", ""),
        };
        assert_eq!((entry.state.as_str(), code), expected, "{}", entry.url);
    }
    assert!(env.cloud.count(REFRESH) < 25, "{}", env.cloud.count(REFRESH));
    assert_eq!(handed_over(&env, REFRESH).len(), 199, "some were sent twice");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_fails_fast_tells_of_each_url_that_was_not_sent() {
    let throttled = FaultRule::on(REFRESH, Fault::throttle()).skip(1).times(0);
    let scenario = quick().with_media("https://a.test/dir/", failing_media()).with_fault(throttled);
    let env = TestEnv::new(scenario).with_options(|options| options.fail_fast = true);
    let request = refresh(&["https://a.test/dir/", "https://a.test/1", "https://a.test/2"]);
    let report = env.refresher().refresh_urls(&request).await.unwrap();
    let not_sent = ("not_submitted", "FailFast");
    assert_eq!(states(&report), [("failed", "TaskFailed"), not_sent, not_sent]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_a_url_is_refused_before_anything_is_sent() {
    let env = TestEnv::new(quick());
    for (urls, part) in [(&[][..], "no URL"), (&["https://a.test/1", "/2"], "\"/2\" has no host")] {
        let error = env.refresher().refresh_urls(&refresh(urls)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.message().contains(part), "{error}");
    }
    assert_eq!(env.cloud.count(REFRESH), 0);
}

/// The service did the work, and its answer got lost: nothing but a listing can tell.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_found_in_a_listing_and_nothing_is_sent_twice() {
    let lost = FaultRule::on(REFRESH, Fault::ResetAfter);
    let env = TestEnv::new(quick().with_fault(lost));
    let report =
        env.refresher().refresh_urls(&refresh(&["https://a.test/1", "https://b.test/2"])).await.unwrap();
    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!(env.cloud.count(REFRESH), 1);
}

/// Rows are dated by the service's clock, which its answers tell.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_found_though_the_clock_of_the_service_is_off() {
    for offset in [-600, -60, -5, -3, -2, -1, 1, 2, 5, 60, 600] {
        let lost = FaultRule::on(REFRESH, Fault::ResetAfter);
        let env = TestEnv::new(quick().with_fault(lost).with(|s| s.clock_offset = offset));
        // Rows and headers have whole seconds.
        tokio::time::sleep(Duration::from_millis(700)).await;
        let report = env.refresher().refresh_urls(&refresh(&["https://a.test/1"])).await.unwrap();
        assert_eq!((report.outcome, env.cloud.count(REFRESH)), (Outcome::Complete, 1), "{offset} s");
    }
}

/// Neither where the clock is right and answers take long, nor where it is off.
#[tokio::test(start_paused = true)]
async fn a_task_that_is_older_than_the_submission_is_not_taken_for_its_own() {
    for (offset, latency) in [(0, 0), (0, 4), (-5, 0), (-60, 0), (-60, 4), (5, 0), (60, 4)] {
        let lost = FaultRule::on(REFRESH, Fault::ResetBefore).skip(1);
        let env = TestEnv::new(quick().with_fault(lost).with(|s| {
            s.clock_offset = offset;
            s.latency = Duration::from_secs(latency);
        }));
        tokio::time::sleep(Duration::from_millis(700)).await;
        let (refresher, request) = (env.refresher(), refresh(&["https://a.test/1"]));
        let others = refresher.refresh_urls(&request);
        let ours = async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            refresher.refresh_urls(&request).await
        };
        let (others, ours) = tokio::join!(others, ours);
        assert_eq!((others.unwrap().outcome, ours.unwrap().outcome), (Outcome::Complete, Outcome::Complete));
        assert_eq!(env.cloud.count(REFRESH), 3, "{offset} s, {latency} s");
    }
}

/// A deploy that purges in one job and prefetches in another: the row of one is not that of the other.
#[tokio::test(start_paused = true)]
async fn a_task_of_another_kind_is_not_taken_for_the_one_whose_answer_was_lost() {
    let env = TestEnv::new(quick().with_fault(FaultRule::on(PRELOAD, Fault::ResetBefore)));
    let refresher = env.refresher();
    let url = "https://a.test/1";
    let (purge, prefetch) = (refresh(&[url]), UrlRequest::new(TaskType::Preload, [url]));
    let (purged, prefetched) =
        tokio::join!(refresher.refresh_urls(&purge), refresher.refresh_urls(&prefetch));
    assert_eq!(purged.unwrap().outcome, Outcome::Complete);
    assert_eq!((prefetched.unwrap().outcome, env.cloud.count(PRELOAD)), (Outcome::Complete, 2));
}

/// No row tells of force, area, second level or pattern: a plain task of the same URL, of somebody else, is not taken for ours.
#[tokio::test(start_paused = true)]
async fn what_asks_for_more_than_rows_tell_is_not_looked_for_in_listings() {
    let prefetch = || UrlRequest::new(TaskType::Preload, ["https://a.test/1"]);
    let purge = || refresh(&["https://a.test/1"]);
    let mut requests = [refresh(&["https://a.test/1/"]), prefetch(), prefetch(), purge(), purge()];
    requests[0].force = true;
    requests[1].area = Some(Area::Overseas);
    requests[2].l2 = true;
    requests[3].object_type = Some(ObjectType::IgnoreParams);
    requests[4].object_type = Some(ObjectType::Regex);
    for (request, action) in requests.iter().zip([REFRESH, PRELOAD, PRELOAD, REFRESH, REFRESH]) {
        for (resubmit, expected) in [(true, (true, 3)), (false, (false, 2))] {
            let env = TestEnv::new(quick().with_fault(FaultRule::on(action, Fault::ResetBefore)));
            let env = env.with_options(|options| options.resubmit = resubmit);
            let refresher = env.refresher();
            let mut plain = request.clone();
            (plain.force, plain.area, plain.l2, plain.object_type) = (false, None, false, None);
            let ours = refresher.refresh_urls(request);
            // The answer to ours is lost first.
            let others = async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                refresher.refresh_urls(&plain).await
            };
            let (ours, others) = tokio::join!(ours, others);
            assert_eq!(others.unwrap().outcome, Outcome::Complete);
            let is_complete = ours.unwrap().outcome == Outcome::Complete;
            assert_eq!((is_complete, env.cloud.count(action)), expected, "{request:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_listing_shows_is_sent_again() {
    let lost = FaultRule::on(REFRESH, Fault::ResetBefore);
    let env = TestEnv::new(quick().with_fault(lost));
    let report = env.refresher().refresh_urls(&refresh(&["https://a.test/1"])).await.unwrap();
    assert_eq!((report.outcome, env.cloud.count(REFRESH)), (Outcome::Complete, 2));
    let env = TestEnv::new(quick().with_fault(FaultRule::on(REFRESH, Fault::ResetBefore)));
    let env = env.with_options(|options| options.resubmit = false);
    let report = env.refresher().refresh_urls(&refresh(&["https://a.test/1"])).await.unwrap();
    assert_eq!(states(&report), [("unfinished", "OutcomeUnknown")]);
}

#[tokio::test(start_paused = true)]
async fn too_small_a_quota_is_told_for_what_is_left() {
    let env = TestEnv::new(quick().with(|s| s.quota.dir_quota = 1));
    let report = env.refresher().refresh_urls(&refresh(&["a.test/1/", "a.test/2/"])).await.unwrap();
    assert_eq!(report.outcome, Outcome::Quota);
}

/// 2,500 URLs and 30 folders, one in a hundred failing, the process killed twice in the middle.
#[tokio::test(start_paused = true)]
async fn many_urls_survive_two_deaths_with_every_verdict_right_and_nothing_sent_twice() {
    let url = |n: usize| format!("https://{}.test/{n}.mp4", ["a", "b", "c"][n % 3]);
    let mut scenario = Scenario::new()
        .with(|s| s.task_duration = Duration::from_secs(20))
        .with(|s| s.latency = Duration::from_millis(50));
    scenario.quota.url_quota = 10_000;
    for n in (0..2_500).step_by(100) {
        scenario = scenario.with_media(url(n), failing_media());
    }
    let env = TestEnv::new(scenario);
    let urls = (0..2_500).map(url).chain((0..30).map(|n| format!("https://a.test/{n}/")));
    let request = UrlRequest::new(TaskType::Refresh, urls);
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path().join("journal.db")).await.unwrap();
    let refresher = env.refresher().with_journal(journal.clone(), Value::Null);
    // Within the submissions, and once tasks are polled.
    let first =
        die(refresher.refresh_urls(&request), journal.writes(), 4, Death::After(Duration::from_millis(10)));
    assert!(first.await.is_none());
    let stored = journal.load(None).await.unwrap().unwrap();
    let written = *journal.writes().borrow();
    let second = die(refresher.resume(stored), journal.writes(), written + 6, Death::AtOnce);
    assert!(second.await.is_none());
    let stored = journal.load(None).await.unwrap().unwrap();
    let report = refresher.resume(stored).await.unwrap();
    assert_eq!(report.outcome, Outcome::Partial);
    assert_eq!(report.summary.entries(), [2_530, 2_505, 25, 0]);
    for (n, entry) in report.urls.iter().enumerate() {
        let expected = if n < 2_500 && n % 100 == 0 { MediaState::Failed } else { MediaState::Complete };
        assert_eq!(entry.state, expected, "{}", entry.url);
    }
    let mut sent = handed_over(&env, REFRESH);
    assert_eq!(sent.len(), 2_530);
    sent.sort();
    sent.dedup();
    assert_eq!(sent.len(), 2_530);
}
