//! From media ids to a verdict for each URL.

use std::collections::HashSet;
use std::time::Duration;

use vod_refresh::emulator::{EventScript, MediaScript, Scenario, Which};
use vod_refresh::event::Source;
use vod_refresh::run::MediaState;
use vod_refresh::{LookupAfter, Outcome};

use crate::support::scripts::{failing_media, lost_event, open_media};
use crate::support::{TestEnv, request, state_of, states};

#[tokio::test(start_paused = true)]
async fn with_nothing_configured_lookups_alone_bring_it_to_the_end() {
    let env = TestEnv::new(Scenario::new());
    let report = env.refresh(["m1", "m2", "m3"]).await;
    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!(env.submits(), 1);
    assert!(report.media.iter().all(|m| m.confirmed_by == Some(Source::Lookup) && m.tasks.len() == 2));
    assert_eq!((report.summary.tasks, report.summary.tasks_complete), (6, 6));
}

#[tokio::test(start_paused = true)]
async fn events_start_the_looks_and_two_lookups_confirm_them() {
    let env = TestEnv::new(Scenario::new()).with_events();
    let report = env.refresh(["m1", "m2", "m3"]).await;
    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!((env.submits(), env.lookups()), (1, 2));
    assert!(report.media.iter().all(|m| m.confirmed_by == Some(Source::Callback)));
    assert_eq!((report.summary.events_accepted, report.summary.events_rejected), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn refused_lookups_leave_it_to_the_events() {
    let env = TestEnv::new(Scenario::new().with(|s| s.deny.push("GetMediaRefreshJobs".into()))).with_events();
    let report = env.refresh(["m1", "m2"]).await;
    assert_eq!(report.outcome, Outcome::Complete);
    assert!(report.media.iter().all(|m| m.note.as_deref().unwrap().contains("not confirmed")));
    assert!(env.notices.warnings()[0].contains("Forbidden.RAM"), "{:?}", env.notices.warnings());
}

#[tokio::test(start_paused = true)]
async fn refused_lookups_without_events_end_as_refused() {
    let env = TestEnv::new(Scenario::new().with(|s| s.deny.push("GetMediaRefreshJobs".into())));
    let report = env.refresh(["m1"]).await;
    assert_eq!(report.outcome, Outcome::Refused);
    let error = report.error.unwrap();
    assert_eq!(error.code, "Forbidden.RAM");
    assert!(error.message.contains("vod:GetMediaRefreshJobs"), "{}", error.message);
    assert_eq!(report.media[0].state, MediaState::Unfinished);
}

#[tokio::test(start_paused = true)]
async fn lost_events_are_made_up_for_by_the_lookup() {
    let script = MediaScript::default().with(|m| m.event = lost_event());
    let env = TestEnv::new(Scenario::new().with(|s| s.default_media = script)).with_events();
    let report = env.refresh(["m1", "m2"]).await;
    assert_eq!(report.outcome, Outcome::Complete);
    assert!(env.elapsed() >= Duration::from_secs(15), "looked up before the events had their time");
    assert!(
        env.notices.all().iter().any(|n| matches!(n, vod_refresh::run::Notice::NoEvent { media: 2, .. }))
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_ahead_of_the_submit_answer_is_matched() {
    let early = EventScript { early: Some(Duration::from_millis(500)), ..EventScript::default() };
    let env = TestEnv::new(
        Scenario::new().with(|s| s.default_media = MediaScript::default().with(|m| m.event = early)),
    )
    .with_events();
    let report = env.refresh(["m1", "m2"]).await;
    assert_eq!(report.outcome, Outcome::Complete);
    assert!(report.media.iter().all(|m| m.confirmed_by == Some(Source::Callback)));
    assert_eq!((report.summary.events_accepted, report.summary.events_foreign), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn forty_five_media_with_every_fate_end_each_in_its_state() {
    let hostile = EventScript { double: true, forged_first: vec!["666".into()], ..EventScript::default() };
    let with_event = |script: MediaScript| script.with(|m| m.event = hostile.clone());
    let scenario = Scenario::new()
        .with(|s| s.url_with_commas = true)
        .with(|s| s.default_media = with_event(MediaScript::default()))
        .with_media("m3", MediaScript::missing())
        .with_media("m21", MediaScript::forbidden())
        .with_media("m30", with_event(MediaScript::failing("InvalidDomain.NotFound", "Can't find domain.")))
        .with_media(
            "m44",
            with_event(MediaScript { failed_tasks: Which::At(vec![1]), ..MediaScript::default() }),
        );
    let env = TestEnv::with_client(scenario, |client| client.with_max_rps(100)).with_events();
    let ids: Vec<String> = (0..45).map(|n| format!("m{n}")).collect();
    let report = env.refresh(&ids).await;

    assert_eq!(report.outcome, Outcome::Partial);
    assert_eq!(
        report.media.iter().map(|m| m.media_id.as_ref().unwrap().to_string()).collect::<Vec<_>>(),
        ids
    );
    for (id, state, code) in states(&report) {
        let expected = match id.as_str() {
            "m3" => ("not_found", Some("NonExistMediaId")),
            "m21" => ("forbidden", Some("ForbiddenMediaId")),
            "m30" => ("failed", Some("InvalidDomain.NotFound")),
            "m44" => ("failed", Some("TaskFailed")),
            _ => ("complete", None),
        };
        assert_eq!((state, code.as_deref()), expected, "{id}");
    }
    assert!(report.media[0].tasks.iter().all(|t| t.url.as_deref().unwrap().contains(',')));
    assert!(report.media.iter().flat_map(|m| &m.tasks).all(|t| t.task_id.as_str() != "666"));
    let summary = &report.summary;
    assert_eq!((summary.media, summary.media_complete, summary.media_failed), (45, 41, 4));
    assert_eq!((summary.tasks, summary.tasks_complete, summary.tasks_failed), (84, 83, 1));

    let submits: Vec<usize> = env
        .cloud
        .calls()
        .iter()
        .filter(|call| call.action == "RefreshMediaPlayUrls")
        .map(|call| call.params["MediaIds"].split(',').count())
        .collect();
    assert_eq!(submits, [20, 20, 5]);
    let nonces: HashSet<_> = env.cloud.calls().into_iter().map(|call| call.nonce).collect();
    assert_eq!(nonces.len(), env.cloud.calls().len(), "each nonce is used once");
    assert_eq!(env.lookups(), 6, "events and lookup differ, so a second lookup settles each job");
}

#[tokio::test(start_paused = true)]
async fn all_refused_is_failed_and_an_empty_answer_is_no_success() {
    let env = TestEnv::new(Scenario::new().with(|s| s.default_media = MediaScript::missing()));
    let report = env.refresh(["a", "b"]).await;
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(report.summary.media_failed, 2);

    let nothing = MediaScript { no_urls: true, ..MediaScript::default() };
    let env = TestEnv::new(Scenario::new().with(|s| s.default_media = nothing)).with_events();
    let report = env.refresh(["a"]).await;
    assert_eq!((report.outcome, states(&report)[0].2.as_deref()), (Outcome::Failed, Some("NoPlayUrls")));
}

#[tokio::test(start_paused = true)]
async fn merged_task_ids_are_read_page_by_page() {
    let many =
        MediaScript { url_count: Some(120), merged_tasks: true, foreign_rows: 3, ..MediaScript::default() };
    let env = TestEnv::new(Scenario::new().with_media("m1", many)).with_events();
    let report = env.refresh(["m1"]).await;
    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!(report.summary.tasks, 120);
    assert_eq!(report.media[0].tasks.iter().map(|t| &t.task_id).collect::<HashSet<_>>().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_not_visible_yet_is_waited_for_in_silence() {
    let shy = MediaScript { invisible_looks: 2, lookup_empty_looks: 2, ..MediaScript::default() };
    let env = TestEnv::new(Scenario::new().with_media("m1", shy))
        .with_options(|o| o.timeout = Duration::from_secs(60));
    let report = env.refresh(["m1"]).await;
    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!((env.submits(), report.summary.retries), (1, 0));
    assert_eq!(env.notices.warnings(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_failure_ends_the_wait_with_its_url_and_reason() {
    let half = MediaScript {
        failed_tasks: Which::At(vec![1]),
        failed_description: Some("Origin Timeout".into()),
        ..MediaScript::default()
    };
    let env = TestEnv::new(Scenario::new().with_media("m1", half));
    let report = env.refresh(["m1"]).await;
    assert_eq!((report.outcome, state_of(&report, "m1")), (Outcome::Partial, "failed"));
    assert!(env.elapsed() < Duration::from_secs(30));
    let failed = report.media[0].tasks.iter().find(|t| t.description.is_some()).unwrap();
    assert_eq!(failed.description.as_deref(), Some("Origin Timeout"));
    assert!(failed.url.as_deref().unwrap().starts_with("http"));
}

#[tokio::test(start_paused = true)]
async fn where_every_url_failed_everything_failed() {
    let bad = failing_media();
    let env = TestEnv::new(Scenario::new().with_media("m1", bad));
    assert_eq!(env.refresh(["m1"]).await.outcome, Outcome::Failed);
}

#[tokio::test(start_paused = true)]
async fn fail_fast_stops_at_the_first_failure() {
    let slow = open_media();
    let scenario = Scenario::new().with_media("bad", MediaScript::missing()).with_media("slow", slow);
    let env = TestEnv::new(scenario).with_options(|o| o.fail_fast = true);
    let report = env.refresh(["slow", "bad"]).await;
    assert_eq!(report.outcome, Outcome::Partial);
    assert_eq!((state_of(&report, "slow"), state_of(&report, "bad")), ("unfinished", "not_found"));
    assert!(env.elapsed() < Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn no_wait_ends_when_every_batch_is_submitted() {
    let env = TestEnv::new(Scenario::new()).with_options(|o| o.wait = false);
    let report = env.refresh((0..45).map(|n| format!("m{n}"))).await;
    assert_eq!((report.outcome, env.submits()), (Outcome::Submitted, 3));
    assert!(report.media.iter().all(|m| m.state == MediaState::Unfinished && m.job_id.is_some()));

    let env = TestEnv::new(Scenario::new().with_media("gone", MediaScript::missing()))
        .with_options(|o| o.wait = false);
    assert_eq!(env.refresh(["m1", "gone"]).await.outcome, Outcome::Partial);
}

#[tokio::test(start_paused = true)]
async fn an_hour_that_ends_in_a_timeout_takes_no_time_here() {
    let stuck = MediaScript { never_complete: Which::At(vec![1]), ..MediaScript::default() };
    let env = TestEnv::new(Scenario::new().with_media("m1", stuck));
    let report = env.refresh(["m1"]).await;
    assert_eq!(report.outcome, Outcome::Timeout);
    assert_eq!(env.elapsed().as_secs(), 3_600);
    let words: Vec<&str> =
        report.media[0].tasks.iter().map(|t| t.status.as_ref().unwrap().as_str()).collect();
    assert_eq!(words, ["Complete", "Refreshing"]);
    assert_eq!((report.summary.tasks_complete, report.summary.tasks_unfinished), (1, 1));
    let last = env.cloud.calls().pop().unwrap();
    assert_eq!((last.at - report.started_at).num_seconds(), 3_600, "the last look falls on the deadline");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_looked_up_when_lookups_are_off() {
    let env = TestEnv::new(Scenario::new())
        .with_events()
        .with_options(|o| o.lookup_after = Some(LookupAfter::Never));
    let report = env.refresh(["m1", "m2"]).await;
    assert_eq!((report.outcome, env.lookups()), (Outcome::Complete, 0));
    assert!(report.media[0].note.as_deref().unwrap().contains("not confirmed"));
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_run_within_two_seconds_with_a_report() {
    let stuck = open_media();
    let env = TestEnv::new(Scenario::new().with(|s| s.default_media = stuck));
    let stop = tokio_util::sync::CancellationToken::new();
    let refresher = env.refresher().with_stop(stop.clone());
    let run = tokio::spawn(async move { refresher.refresh(&request(["m1"])).await.unwrap() });
    tokio::time::sleep(Duration::from_secs(30)).await;
    stop.cancel();
    let report = run.await.unwrap();
    assert_eq!(report.outcome, Outcome::Interrupted);
    assert!(env.elapsed() < Duration::from_secs(32), "{:?}", env.elapsed());
    assert_eq!(report.media[0].state, MediaState::Unfinished);
}

/// The answer that tells of the end comes after the last moment, and before the run has gone.
#[tokio::test(start_paused = true)]
async fn what_the_last_answers_settle_is_no_timeout() {
    let scenario = Scenario::new()
        .with(|s| s.job_delay = Duration::ZERO)
        .with(|s| s.latency = Duration::from_millis(1_200))
        .with(|s| s.task_duration = Duration::from_millis(8_500));
    let env = TestEnv::new(scenario).with_options(|o| o.timeout = Duration::from_secs(10));
    let report = env.refresh(["m1"]).await;
    assert!(env.elapsed() > Duration::from_secs(11), "too early to tell: {:?}", env.elapsed());
    assert_eq!((report.outcome, report.summary.media_complete), (Outcome::Complete, 1));
}
