//! Runs in the background: the handle, and the stream of steps.

use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use serde_json::Value;
use vod_refresh::emulator::{MediaScript, Scenario};
use vod_refresh::net::transport::BoxFuture;
use vod_refresh::run::{Notice, Run, Step, Steps, code};
use vod_refresh::{
    Credential, CredentialProvider, Error, ErrorKind, EventReceiver, JobId, Journal, LookupAfter, Outcome,
    QueueConsumer, RefreshRequest, Refresher, Report, RunOptions, VodClient, WaitRequest,
};

use crate::support::{TestEnv, request, states};

const IDS: [&str; 3] = ["a", "b", "c"];

fn finished(step: Option<&Step>) -> Option<Outcome> {
    match step.map(|step| &step.notice) {
        Some(Notice::Finished { outcome }) => Some(*outcome),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn the_stream_tells_what_the_observer_hears_and_ends_with_the_run() {
    let env = TestEnv::new(Scenario::new().with_media("b", MediaScript::missing())).with_events();
    let (run, mut steps) = env.refresher().start_refresh(request(IDS));
    let mut told = Vec::new();
    while let Some(step) = steps.next().await {
        told.push(step);
    }
    let report = run.await.unwrap();
    assert_eq!(told.iter().map(|step| step.notice.clone()).collect::<Vec<_>>(), env.notices.all());
    assert_eq!(finished(told.last()), Some(Outcome::Partial));
    let last = told.last().unwrap().progress;
    assert_eq!((last.complete, last.failed, last.tasks_ended), (2, 1, report.summary.tasks_complete));
    assert_eq!(steps.next().await, None, "it stays ended");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_reads_holds_up_no_run() {
    let env = TestEnv::new(Scenario::new());
    let (run, steps) = env.refresher().start_refresh(request(IDS));
    assert_eq!(run.await.unwrap().outcome, Outcome::Complete);
    let late: Vec<Step> = steps.collect().await;
    assert_eq!(finished(late.last()), Some(Outcome::Complete), "all of it was kept");
    let (run, _) = env.refresher().start_refresh(request(IDS));
    assert_eq!(run.await.unwrap().outcome, Outcome::Complete, "the stream was dropped at once");
    let (run, mut steps) = env.refresher().start_refresh(request(IDS));
    steps.next().await.unwrap();
    drop(steps);
    assert_eq!(run.await.unwrap().outcome, Outcome::Complete, "it was dropped in the middle");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_handle_ends_the_run_and_its_stream() {
    let env = TestEnv::with_client(Scenario::new(), |client| client.with_max_rps(1));
    let ids: Vec<String> = (0..100).map(|n| format!("m{n}")).collect();
    let (run, mut steps) = env.refresher().start_refresh(request(ids));
    while !matches!(steps.next().await.unwrap().notice, Notice::Submitted { .. }) {}
    drop(run);
    while let Some(step) = steps.next().await {
        assert_eq!(finished(Some(&step)), None);
    }
    let submits = env.submits();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(env.submits(), submits, "nothing more goes out");
}

#[tokio::test(start_paused = true)]
async fn a_stopped_run_reports_and_the_others_go_on() {
    let env = TestEnv::new(Scenario::new());
    let refresher = env.refresher();
    let (stopped, mut steps) = refresher.start_refresh(request(IDS));
    let (other, _) = refresher.start_refresh(request(["d"]));
    while !matches!(steps.next().await.unwrap().notice, Notice::Submitted { .. }) {}
    stopped.stop();
    assert_eq!(stopped.await.unwrap().outcome, Outcome::Interrupted);
    assert_eq!(other.await.unwrap().outcome, Outcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn the_handle_may_be_awaited_beside_other_things() {
    let env = TestEnv::new(Scenario::new());
    let (mut run, _) = env.refresher().start_refresh(request(IDS));
    let mut seconds = 0;
    let report = loop {
        tokio::select! {
            report = &mut run => break report.unwrap(),
            () = tokio::time::sleep(Duration::from_secs(1)) => seconds += 1,
        }
    };
    assert_eq!(report.outcome, Outcome::Complete);
    assert!(seconds >= 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_cannot_begin_fails_at_its_handle_and_tells_nothing() {
    let env = TestEnv::new(Scenario::new());
    let (run, mut steps) = env.refresher().start_wait(Vec::new());
    assert_eq!(run.await.unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(steps.next().await, None);
}

/// A vault that does not answer.
#[derive(Debug)]
struct Silent;

impl CredentialProvider for Silent {
    fn credential(&self) -> BoxFuture<'_, vod_refresh::Result<Option<Credential>>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_that_do_not_come_hold_a_run_up_no_longer_than_it_may_take_or_until_it_is_stopped() {
    let client = VodClient::builder(Silent).with_endpoint("http://127.0.0.1:1").build().unwrap();
    let start = tokio::time::Instant::now();
    for (timeout, waits) in [(1, 5), (60, 60)] {
        let mut options = RunOptions::default();
        options.timeout = Duration::from_secs(timeout);
        let refresher = Refresher::new(client.clone()).with_options(options);
        let (began, error) = (start.elapsed(), refresher.refresh(&request(IDS)).await.unwrap_err());
        assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, Some(code::CREDENTIAL_TIMEOUT)));
        assert_eq!((start.elapsed() - began).as_secs(), waits);
    }
    let (run, _) = Refresher::new(client).start_refresh(request(IDS));
    tokio::time::sleep(Duration::from_secs(1)).await;
    run.stop();
    let report = run.await.unwrap();
    assert_eq!((report.outcome, states(&report)[0].1), (Outcome::Interrupted, "not_submitted"));
}

#[tokio::test(start_paused = true)]
async fn what_would_learn_nothing_or_names_an_id_twice_is_refused_before_anything_is_sent() {
    let env = TestEnv::new(Scenario::new());
    let mut twice = request(IDS);
    twice.media.push(twice.media[0].clone());
    let mut jobs = WaitRequest::new(["J1", "J2"].map(|id| JobId::new(id).unwrap()));
    jobs.jobs.push(jobs.jobs[0].clone());
    let mut options = RunOptions::default();
    options.lookup_after = Some(LookupAfter::Never);
    let deaf = env.refresher().with_options(options);
    for (ended, why) in [
        (env.refresher().refresh(&twice).await, "media id a is given twice"),
        (env.refresher().wait_for(&jobs).await, "job id J1 is given twice"),
        (deaf.refresh(&request(IDS)).await, "would learn nothing"),
    ] {
        let error = ended.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.message().contains(why), "{error}");
    }
    assert_eq!(env.submits(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_longest_poll_interval_there_is_ends_at_the_deadline() {
    let mut options = RunOptions::default();
    options.poll_interval = Some(Duration::MAX);
    let env = TestEnv::new(Scenario::new());
    let report = env.refresher().with_options(options).refresh(&request(IDS)).await.unwrap();
    assert_eq!(report.outcome, Outcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn waiting_and_resuming_have_streams_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path().join("journal.db")).await.unwrap();
    let env =
        TestEnv::new(Scenario::new()).with_options(|options| options.timeout = Duration::from_millis(500));
    let refresher = env.refresher().with_journal(journal.clone(), Value::Null);
    assert!(refresher.refresh(&request(IDS)).await.unwrap().resumable);

    let stored = journal.load(None).await.unwrap().unwrap();
    let (run, steps) = refresher.with_options(RunOptions::default()).start_resume(stored);
    let steps: Vec<Step> = steps.collect().await;
    assert_eq!(run.await.unwrap().outcome, Outcome::Complete);
    assert_eq!(finished(steps.last()), Some(Outcome::Complete));
    assert_eq!(env.submits(), 1);

    let env = env.with_options(|options| *options = RunOptions::default());
    let job = JobId::new(env.cloud.job_ids().remove(0)).unwrap();
    let (run, steps) = env.refresher().start_wait(vec![job]);
    let steps: Vec<Step> = steps.collect().await;
    assert_eq!(run.await.unwrap().summary.media_complete, 3);
    assert!(matches!(steps[0].notice, Notice::Started { jobs: 1, .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_works_on_a_multi_threaded_runtime_too() {
    let scenario =
        Scenario::new().with(|s| s.job_delay = Duration::ZERO).with(|s| s.task_duration = Duration::ZERO);
    let env = TestEnv::with_client(scenario, |client| client.with_max_rps(200));
    let (run, steps) = env.refresher().start_refresh(request(IDS));
    let reader = tokio::spawn(steps.count());
    assert_eq!(run.await.unwrap().outcome, Outcome::Complete);
    assert!(reader.await.unwrap() > 3);
}

/// What is promised of futures and handles; this compiles or it does not.
#[test]
fn futures_move_between_threads_and_handles_live_on_their_own() {
    fn send<T: Send>(_: T) {}
    fn sent<T: Send>() {}
    fn shared<T: Send + Sync + 'static>() {}
    fn own<T: Send + Unpin + 'static>() {}
    fn stream<T: Stream<Item = Step>>() {}

    shared::<(Refresher, VodClient, Journal, EventReceiver, QueueConsumer)>();
    shared::<(Report, RefreshRequest, Step, Error)>();
    own::<(Run, Steps)>();
    stream::<Steps>();
    sent::<vod_refresh::Inbox>();
    let _ = |refresher: &Refresher, stored: vod_refresh::journal::StoredRun| {
        send(refresher.refresh(&request(IDS)));
        send(refresher.wait(&[]));
        send(refresher.resume(stored.clone()));
        send(refresher.check(stored));
    };
    let _ = |receiver: &EventReceiver| send(receiver.answer(&http::HeaderMap::new(), b""));
    let _ = |consumer: &QueueConsumer| send(consumer.run(Default::default()));
    // A whole run in a task of its own, without `start_refresh`.
    let _ = |refresher: Refresher| {
        fn spawnable<T: Send + 'static>(_: T) {}
        spawnable(async move { refresher.refresh(&request(IDS)).await });
    };
}
