//! A crash at every write: the run is dropped right after the 1st, 2nd, … nth transaction of its journal, carried on by
//! a new refresher against the same cloud, and ends with the same report. Nothing is submitted again whose answer was
//! written down.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use vod_refresh::emulator::{EventScript, Fault, FaultRule, JobScript, MediaScript, Scenario, Which};
use vod_refresh::{JobId, Journal, Refresher, Report, Result};

use crate::support::{Bed, answered, request};

const SUBMIT: &str = "RefreshMediaPlayUrls";

/// When the process dies, once the write is done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Death {
    /// Before a call that the write made due has left.
    AtOnce,
    /// So long after it: calls have left, their answers are on the way.
    After(Duration),
}

impl Death {
    /// Two for each write; the second one takes turns.
    fn at(write: u64) -> [Self; 2] {
        let wait = Duration::from_millis(if write.is_multiple_of(2) { 0 } else { 50 });
        [Self::AtOnce, Self::After(wait)]
    }
}

/// What a run is asked to do, and in which world.
struct Play {
    name: &'static str,
    scenario: fn() -> Scenario,
    events: bool,
    /// Jobs to wait for instead of media to submit.
    jobs: &'static [&'static str],
    then_preload: bool,
}

impl Play {
    fn bed(&self) -> Bed {
        let scenario = (self.scenario)().with_latency(Duration::from_millis(100)).with_urls_per_media(1);
        let bed = Bed::with_client(scenario, |client| client.with_max_rps(100));
        if self.events { bed.with_events() } else { bed }
    }

    /// Where an event tells of a lost answer, it does not tell which media the answer refused.
    fn is_as_good(&self, is: &Value, was: &Value) -> bool {
        let refused = was[1] == "not_found" || was[1] == "forbidden";
        self.events && refused && is == &json!([was[0], "failed", "JobNotFound", []])
    }

    async fn run(&self, refresher: Refresher) -> Result<Report> {
        if self.jobs.is_empty() {
            let ids = (0..22).map(|n| format!("m{n}"));
            refresher.refresh(&request(ids).with_then_preload(self.then_preload)).await
        } else {
            let jobs: Vec<_> = self.jobs.iter().map(|id| JobId::new(*id).unwrap()).collect();
            refresher.wait(&jobs).await
        }
    }
}

/// Drives `run` until `count` writes are done, then drops it. One that ended before has its report.
pub(crate) async fn die(
    run: impl Future<Output = Result<Report>>,
    mut writes: watch::Receiver<u64>,
    count: u64,
    how: Death,
) -> Option<Report> {
    match how {
        Death::AtOnce => {
            let mut run = pin!(run);
            poll_fn(|cx| match run.as_mut().poll(cx) {
                Poll::Ready(report) => Poll::Ready(Some(report.unwrap())),
                Poll::Pending if *writes.borrow() >= count => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            })
            .await
        }
        Death::After(wait) => {
            let end = async {
                writes.wait_for(|done| *done >= count).await.unwrap();
                tokio::time::sleep(wait).await;
            };
            tokio::select! {
                biased;
                () = end => None,
                report = run => Some(report.unwrap()),
            }
        }
    }
}

/// How often each list of media was submitted.
fn submits(bed: &Bed) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in bed.cloud.calls().iter().filter(|call| call.action == SUBMIT) {
        let preload = if call.params["TaskType"] == "Preload" { "Preload " } else { "" };
        *counts.entry(format!("{preload}{}", call.params["MediaIds"])).or_default() += 1;
    }
    counts
}

/// What must be the same: the verdict, the state of each media, and of each URL.
fn outline(report: &Report) -> Vec<Value> {
    let media = report.media.iter().map(|media| {
        let mut urls: Vec<_> = media
            .tasks
            .iter()
            .map(|task| json!([task.url, task.status, task.progress, task.description]))
            .collect();
        urls.sort_by_key(|url| url.to_string());
        let code = media.error.as_ref().map(|error| &error.code);
        json!([media.media_id, media.state, code, urls])
    });
    [json!([report.outcome, report.task_type, report.media.len()])].into_iter().chain(media).collect()
}

#[allow(clippy::print_stderr, reason = "a figure for who asks with `--nocapture`")]
async fn crash_everywhere(play: Play) {
    let folder = tempfile::tempdir().unwrap();
    let open = async |name: String| Journal::open(folder.path().join(name)).await.unwrap();
    let keep = |bed: &Bed, journal: &Journal| bed.refresher().with_journal(journal.clone(), Value::Null);
    let (whole, writes) = {
        let (bed, journal) = (play.bed(), open("whole".into()).await);
        let report = play.run(keep(&bed, &journal)).await.unwrap();
        (outline(&report), *journal.writes().borrow())
    };
    assert!(writes >= 5, "{}: {writes} writes", play.name);
    for count in 1..=writes {
        for how in Death::at(count) {
            let at = format!("{}, write {count} of {writes}, {how:?}", play.name);
            let (bed, name) = (play.bed(), format!("{how:?}{count}"));
            {
                let journal = open(name.clone()).await;
                die(play.run(keep(&bed, &journal)), journal.writes(), count, how).await;
            }
            let journal = open(name).await;
            let id = journal.runs().await.unwrap().remove(0).run_id;
            let stored = journal.load(Some(id)).await.unwrap().unwrap();
            let (before, answered) = (submits(&bed), answered(&stored));
            let report = match stored.outcome {
                Some(_) => stored.report(),
                None => keep(&bed, &journal).resume(stored).await.unwrap(),
            };
            for (is, was) in outline(&report).iter().zip(&whole) {
                assert!(is == was || play.is_as_good(is, was), "{at}: {is}, not {was}");
            }
            let after = submits(&bed);
            for batch in answered {
                assert_eq!(before[&batch], after[&batch], "{at}: {batch} was submitted again");
            }
        }
    }
    eprintln!("{}: {} crashes", play.name, writes * 2);
}

fn well() -> Scenario {
    Scenario::new()
}

fn lost_answers() -> Scenario {
    Scenario::new().with_fault(FaultRule::on(SUBMIT, Fault::ResetAfter).for_media("m20"))
}

/// Media with every fate, events twice and forged.
fn every_fate() -> Scenario {
    let event = EventScript { double: true, forged_first: vec!["666".into()], ..EventScript::default() };
    let with_event = |script: MediaScript| script.with_event(event.clone());
    let half = MediaScript { url_count: Some(2), failed_tasks: Which::At(vec![1]), ..MediaScript::default() };
    Scenario::new()
        .with(|scenario| scenario.url_with_commas = true)
        .with_default_media(with_event(MediaScript::default()))
        .with_media("m3", MediaScript::missing())
        .with_media("m21", MediaScript::forbidden())
        .with_media("m5", with_event(MediaScript::failing("InvalidDomain.NotFound", "Can't find domain.")))
        .with_media("m20", with_event(half))
}

/// Jobs of somebody else.
fn others() -> Scenario {
    let job = |media: &[&str]| JobScript {
        media: media.iter().map(|id| (*id).to_owned()).collect(),
        ..JobScript::default()
    };
    let half = MediaScript { failed_tasks: Which::At(vec![0]), ..MediaScript::default() };
    Scenario::new().with_job("J1", job(&["m1", "m2"])).with_job("J2", job(&["m3"])).with_media("m3", half)
}

#[tokio::test(start_paused = true)]
async fn a_run_without_events_survives_a_crash_at_every_write() {
    crash_everywhere(Play {
        name: "without events",
        scenario: well,
        events: false,
        jobs: &[],
        then_preload: false,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_run_with_events_survives_a_crash_at_every_write() {
    crash_everywhere(Play {
        name: "with events",
        scenario: well,
        events: true,
        jobs: &[],
        then_preload: false,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn lost_answers_survive_a_crash_at_every_write() {
    crash_everywhere(Play {
        name: "lost answers",
        scenario: lost_answers,
        events: false,
        jobs: &[],
        then_preload: false,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn lost_answers_with_events_survive_a_crash_at_every_write() {
    crash_everywhere(Play {
        name: "lost answers, events",
        scenario: lost_answers,
        events: true,
        jobs: &[],
        then_preload: false,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn failures_survive_a_crash_at_every_write() {
    crash_everywhere(Play {
        name: "failures",
        scenario: every_fate,
        events: false,
        jobs: &[],
        then_preload: false,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn failures_with_events_survive_a_crash_at_every_write() {
    crash_everywhere(Play {
        name: "failures, events",
        scenario: every_fate,
        events: true,
        jobs: &[],
        then_preload: false,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn waiting_for_jobs_of_others_survives_a_crash_at_every_write() {
    crash_everywhere(Play {
        name: "jobs of others",
        scenario: others,
        events: false,
        jobs: &["J1", "J2"],
        then_preload: false,
    })
    .await;
}

/// What fails the refresh, and what fails the preload.
fn two_stages() -> Scenario {
    let half = MediaScript { failed_tasks: Which::All(true), ..MediaScript::default() };
    let only = |kind: &str| MediaScript { failing_type: Some(kind.to_owned()), ..half.clone() };
    Scenario::new().with_media("m3", only("Refresh")).with_media("m5", only("Preload"))
}

#[tokio::test(start_paused = true)]
async fn a_run_that_preloads_afterwards_survives_a_crash_at_every_write() {
    for (name, events) in [("then preload", false), ("then preload, events", true)] {
        crash_everywhere(Play { name, scenario: two_stages, events, jobs: &[], then_preload: true }).await;
    }
}
