//! Runs drawn by lot: whatever goes wrong, each ends, and its report is true.
//!
//! A handful by default; `VOD_REFRESH_SOAK_SEEDS=500` runs so many. A failure names its seed, and
//! `VOD_REFRESH_SOAK_FIRST=N` begins there.

mod draw;

use std::time::Duration;

use vod_refresh::run::{MediaReport, MediaState, Notice};
use vod_refresh::vod::TaskStatus;
use vod_refresh::{Outcome, Report};

use crate::matrix::in_paused_time;
use crate::support::Bed;
use draw::{Drawn, Fate};

#[derive(Default)]
struct Sums {
    runs: u64,
    calls: usize,
    virtual_time: Duration,
    outcomes: std::collections::BTreeMap<&'static str, u64>,
}

#[test]
fn whatever_goes_wrong_each_run_ends_and_its_report_is_true() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let first = number("VOD_REFRESH_SOAK_FIRST").unwrap_or(0);
    let seeds = number("VOD_REFRESH_SOAK_SEEDS").unwrap_or(6);
    let (mut sums, mut failed) = (Sums::default(), Vec::new());
    for seed in first..first + seeds {
        let run = std::panic::catch_unwind(|| in_paused_time(one(seed)));
        sums.runs += 1;
        let Ok((calls, took, outcome)) = run else {
            eprintln!("soak: seed {seed} failed");
            failed.push(seed);
            continue;
        };
        sums.calls += calls;
        sums.virtual_time += took;
        *sums.outcomes.entry(outcome.as_str()).or_default() += 1;
        if sums.runs % 100 == 0 || sums.runs == seeds {
            eprintln!(
                "soak: {} runs, {} calls, {:.1} virtual hours, {:?}{}",
                sums.runs,
                sums.calls,
                sums.virtual_time.as_secs_f64() / 3_600.0,
                sums.outcomes,
                memory()
            );
        }
    }
    assert_eq!(failed, [0; 0], "seeds whose run failed, each above with its reason");
}

async fn one(seed: u64) -> (usize, Duration, Outcome) {
    let drawn = draw::draw(seed);
    let timeout = drawn.options.timeout;
    let bed = Bed::with_client(drawn.scenario.clone(), |client| client.with_max_rps(drawn.max_rps))
        .with_faults_that_may_miss()
        .with_options(|options| *options = drawn.options.clone());
    let bed = if drawn.has_events { bed.with_events() } else { bed };
    let listener = drawn.has_queue.then(|| bed.listen());
    let request = drawn.request();
    let refresher = bed.refresher();
    let run = tokio::time::timeout(timeout + Duration::from_secs(5), refresher.refresh(&request));
    let report = run.await.expect("it did not end in time").unwrap();
    let took = bed.elapsed();
    if let Some(listener) = listener {
        let closing = tokio::time::timeout(Duration::from_secs(120), listener.close());
        // Its faults are drawn as well; that it ends is what counts.
        let _ = closing.await.expect("the queue is still read");
    }
    counts_add_up(&drawn, &report);
    the_outcome_follows_from_the_media(&report, took, timeout);
    nothing_is_made_up(&drawn, &report);
    nothing_is_submitted_again_in_silence(&drawn, &bed);
    (bed.cloud.calls().len(), took, report.outcome)
}

fn counts_add_up(drawn: &Drawn, report: &Report) {
    let ids: Vec<&str> = report.media.iter().map(|m| m.media_id.as_ref().unwrap().as_str()).collect();
    let asked: Vec<&str> = drawn.media.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, asked, "each media once, in the order given");
    let in_state =
        |is: fn(&MediaReport) -> bool| report.media.iter().filter(|media| is(media)).count() as u64;
    let sum = &report.summary;
    assert_eq!(sum.media, asked.len() as u64);
    assert_eq!(sum.media_complete, in_state(|m| m.state == MediaState::Complete));
    assert_eq!(sum.media_unfinished, in_state(|m| m.state == MediaState::Unfinished));
    assert_eq!(sum.media_failed, in_state(|m| m.state.is_failure()));
    assert_eq!(sum.media, sum.media_complete + sum.media_failed + sum.media_unfinished);
    assert_eq!(sum.tasks, report.media.iter().map(|media| media.tasks.len() as u64).sum::<u64>());
    assert_eq!(sum.tasks, sum.tasks_complete + sum.tasks_failed + sum.tasks_unfinished);
    assert_eq!(sum.retries, sum.retries_by_action.values().sum::<u64>());
}

fn the_outcome_follows_from_the_media(report: &Report, took: Duration, timeout: Duration) {
    let sum = &report.summary;
    match report.outcome {
        Outcome::Complete => assert_eq!(sum.media_complete, sum.media),
        Outcome::Failed => assert_eq!(sum.media_failed, sum.media),
        Outcome::Partial => {
            assert_eq!(sum.media_unfinished, 0);
            assert!(sum.media_failed > 0);
            assert!(sum.media_complete > 0 || sum.tasks_complete > 0, "that is failed");
        }
        Outcome::Timeout => assert!(took >= timeout && sum.media_complete < sum.media, "{took:?}"),
        Outcome::Quota => {
            assert!(report.media.iter().all(|media| media.state == MediaState::NotSubmitted));
        }
        Outcome::Refused | Outcome::Unavailable => {
            assert!(sum.media_complete < sum.media);
            assert!(report.error.is_some(), "it does not say why");
        }
        other => panic!("{other:?} has no cause here"),
    }
}

/// What the cloud will never finish isn't told to be done, and what it can do isn't told to have failed.
fn nothing_is_made_up(drawn: &Drawn, report: &Report) {
    for (media, (id, fate)) in report.media.iter().zip(&drawn.media) {
        let (state, code) = (media.state, media.error.as_ref().map(|error| error.code.as_str()));
        let open = matches!(state, MediaState::NotSubmitted | MediaState::Unfinished);
        // Where the answer to a submission got lost, so did the word on those that were not taken.
        let lost = matches!(code, Some("JobNotFound" | "TaskNotFound")) || drawn.may_be_rejected;
        let fits = match fate {
            Fate::Well => state == MediaState::Complete || (state == MediaState::Failed && lost),
            Fate::Missing => state == MediaState::NotFound || (state == MediaState::Failed && lost),
            Fate::Forbidden => state == MediaState::Forbidden || (state == MediaState::Failed && lost),
            Fate::Fails => state == MediaState::Failed,
            Fate::Stuck => state == MediaState::Failed && lost,
        };
        assert!(fits || open, "{id} is {fate:?} and told to be {state:?}, {:?}", media.error);
        let all_done = media.tasks.iter().all(|task| task.status == Some(TaskStatus::Complete));
        let is_done = !media.tasks.is_empty() && all_done;
        assert!(state != MediaState::Complete || is_done, "{id} is complete, its tasks are not");
        assert!(!state.is_failure() || media.error.is_some(), "{id} failed without a word");
    }
}

fn nothing_is_submitted_again_in_silence(drawn: &Drawn, bed: &Bed) {
    let told = bed.heard.all().iter().filter(|n| matches!(n, Notice::Resubmitting { .. })).count();
    let jobs = bed.cloud.job_ids().iter().filter(|id| *id != draw::OTHERS).count();
    let batches = drawn.media.len().div_ceil(20);
    assert!(jobs <= batches + told, "{jobs} jobs for {batches} batches, {told} announced");
}

/// Where the system tells: the most memory so far, and what is in use.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let fields = status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"));
    fields.map(|line| format!(", {}", line.split_whitespace().collect::<Vec<_>>().join(" "))).collect()
}
