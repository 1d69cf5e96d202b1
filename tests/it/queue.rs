//! Events from a queue that others read as well: ours are taken and deleted, theirs stay theirs.

mod client;
mod poison;
mod trouble;

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::time::{Instant, sleep};
use vod_refresh::emulator::{
    Emulator, EventScript, Fault, FaultRule, MediaScript, QueueEncoding, QueueScript, QueuedMessage,
    Scenario, Which,
};
use vod_refresh::event::Source;
use vod_refresh::{Inbox, Outcome, QueueConsumer, Report};

use crate::schema::Refresher;
use crate::support::scripts::lost_event;
use crate::support::{CALLBACK_KEY, CALLBACK_URL, TestEnv, request};

fn queue() -> QueueScript {
    QueueScript::named("events")
}

fn scenario(queue: QueueScript) -> Scenario {
    Scenario::new().with(|s| s.queue = Some(queue))
}

fn env(scenario: Scenario) -> TestEnv {
    TestEnv::new(scenario).with_events()
}

fn events(event: EventScript) -> MediaScript {
    MediaScript::default().with(|m| m.event = event)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ids(messages: &[QueuedMessage]) -> Vec<String> {
    let mut ids: Vec<String> = messages.iter().map(|message| message.id.clone()).collect();
    ids.sort_unstable();
    ids
}

fn by_queue(report: &Report) -> bool {
    report.media.iter().all(|media| media.confirmed_by == Some(Source::Queue))
}

fn receives(env: &TestEnv) -> usize {
    env.cloud.count("BatchReceiveMessage")
}

/// Whether a message is an event, of whatever type; what is none stays hidden for as long as the queue has it.
fn is_event(message: &QueuedMessage) -> bool {
    let decoded = STANDARD.decode(&message.body).unwrap_or_default();
    [message.body.as_bytes(), &decoded].iter().any(|text| text.starts_with(b"{") && text.ends_with(b"}"))
}

/// Fails when one of `theirs` was out of sight for more than three seconds. Never ends.
async fn watch_over(cloud: &Emulator, theirs: &[String], start: Instant, now: chrono::DateTime<chrono::Utc>) {
    let mut last_seen: HashMap<&String, Instant> = theirs.iter().map(|id| (id, Instant::now())).collect();
    loop {
        sleep(Duration::from_millis(100)).await;
        let messages = cloud.queue_messages();
        for (id, seen) in &mut last_seen {
            let message =
                messages.iter().find(|message| message.id == **id).expect("deleted what is not ours");
            if message.visible_from <= now + start.elapsed() {
                *seen = Instant::now();
            }
            assert!(seen.elapsed() <= secs(3), "hidden from its owner for {:?}", seen.elapsed());
        }
    }
}

async fn refresh_watched(env: &TestEnv, media: &[&str]) -> Report {
    let (messages, now) = (env.cloud.queue_messages(), env.client.service_time());
    let theirs = ids(&messages);
    let events: Vec<_> = messages.into_iter().filter(is_event).collect();
    let events = ids(&events);
    let report = tokio::select! {
        report = env.refresh(media) => report,
        () = watch_over(&env.cloud, &events, Instant::now(), now) => unreachable!(),
    };
    assert_eq!(ids(&env.cloud.queue_messages()), theirs, "ours deleted, all others still there");
    report
}

#[tokio::test(start_paused = true)]
async fn our_messages_are_deleted_and_those_of_others_stay_visible() {
    for encoding in [QueueEncoding::Raw, QueueEncoding::Base64, QueueEncoding::Mixed] {
        let queue = QueueScript { encoding, foreign: 5, undecodable: 3, ..queue() };
        let env = env(scenario(queue).with(|s| s.event_delay = secs(7)).with(|s| s.task_duration = secs(60)))
            .with_options(|o| o.lookup_after = Some(vod_refresh::LookupAfter::After(secs(90))));
        let listener = env.consume_queue();
        let report = refresh_watched(&env, &["m1", "m2", "m3", "m4", "m5"]).await;
        assert_eq!((report.outcome, report.summary.events_accepted), (Outcome::Complete, 5));
        assert!(by_queue(&report));
        let warnings = env.notices.warnings();
        assert!(
            warnings.iter().all(|warning| warning.contains("a message that is no event")),
            "{warnings:?}"
        );
        listener.close().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn more_events_than_one_batch_holds_are_all_taken() {
    let media: Vec<String> = (0..45).map(|n| format!("m{n}")).collect();
    let media: Vec<&str> = media.iter().map(String::as_str).collect();
    let env = env(scenario(QueueScript { foreign: 4, ..queue() }));
    let listener = env.consume_queue();
    let report = refresh_watched(&env, &media).await;
    assert_eq!((report.outcome, report.summary.events_accepted), (Outcome::Complete, 45));
    assert!(by_queue(&report));
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_double_event_counts_once_and_both_copies_go() {
    let double = EventScript { double: true, ..EventScript::default() };
    let env = env(scenario(queue()).with(|s| s.default_media = events(double)));
    let listener = env.consume_queue();
    let report = env.refresh(["m1", "m2"]).await;
    assert_eq!((report.summary.events_accepted, report.summary.events_repeated), (2, 2));
    assert_eq!(env.cloud.queue_messages().len(), 0);
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_event_before_the_submit_answer_is_matched_by_its_correlation_id() {
    let early = EventScript { early: Some(secs(3)), ..EventScript::default() };
    let env = env(scenario(QueueScript { foreign: 2, ..queue() }).with(|s| s.default_media = events(early)));
    let listener = env.consume_queue();
    let report = refresh_watched(&env, &["m1"]).await;
    assert_eq!((report.outcome, report.summary.events_accepted), (Outcome::Complete, 1));
    assert_eq!(env.submits(), 1);
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_delivery_got_lost_comes_again_and_is_taken() {
    let queue = QueueScript { visibility_timeout: secs(5), ..queue() };
    let env = env(scenario(queue)
        .with(|s| s.event_delay = secs(2))
        .with(|s| s.task_duration = secs(30))
        .with_fault(FaultRule::on("BatchReceiveMessage", Fault::ResetAfter)));
    let listener = env.consume_queue();
    let report = env.refresh(["m1"]).await;
    assert!(report.outcome == Outcome::Complete && by_queue(&report));
    assert_eq!(env.cloud.queue_messages().len(), 0);
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_expired_handle_costs_nothing_and_the_next_one_deletes() {
    let slow = FaultRule::on("BatchReceiveMessage", Fault::Delay { by: secs(3) });
    let queue = QueueScript { visibility_timeout: secs(2), ..queue() };
    let env = env(scenario(queue).with(|s| s.task_duration = secs(30)).with_fault(slow));
    let listener = env.consume_queue();
    let report = env.refresh(["m1"]).await;
    assert!(report.outcome == Outcome::Complete && by_queue(&report));
    assert_eq!(report.summary.events_repeated, 1);
    assert_eq!(env.cloud.queue_messages().len(), 0);
    let calls = env.cloud.calls();
    assert!(calls.iter().filter(|call| call.action == "DeleteMessage").count() == 2);
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_empty_queue_is_silent_and_asked_once_a_long_poll() {
    let lost = lost_event();
    let stuck = MediaScript { never_complete: Which::All(true), ..events(lost) };
    let run = |queue: QueueScript| {
        let scenario = scenario(queue).with(|s| s.default_media = stuck.clone());
        env(scenario).with_options(|options| options.timeout = secs(600))
    };
    let patient = run(queue());
    let listener = patient.consume_queue();
    assert_eq!(patient.refresh(["m1"]).await.outcome, Outcome::Timeout);
    assert!((29..=31).contains(&receives(&patient)), "{}", receives(&patient));
    assert_eq!(patient.notices.warnings(), [""; 0]);
    listener.close().await.unwrap();
    // A service that does not hold polls is not asked all the time.
    let crowded = run(QueueScript { poll_cap: Some(0), ..queue() });
    let listener = crowded.consume_queue();
    crowded.refresh(["m1"]).await;
    assert!((30..=60).contains(&receives(&crowded)), "{}", receives(&crowded));
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn while_no_run_waits_the_queue_is_left_alone() {
    let env = env(scenario(QueueScript { foreign: 2, ..queue() }));
    let listener = env.consume_queue();
    sleep(secs(600)).await;
    assert_eq!(receives(&env), 0);
    assert_eq!(env.refresh(["m1"]).await.outcome, Outcome::Complete);
    sleep(secs(60)).await;
    let before = receives(&env);
    sleep(secs(600)).await;
    assert_eq!(receives(&env), before);
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_runs_of_one_process_each_get_their_own() {
    let env = env(scenario(QueueScript { foreign: 1, ..queue() }));
    let listener = env.consume_queue();
    let (first, second) = (env.refresher(), env.refresher());
    let (one, two) = (request(["m1", "m2"]), request(["m3"]));
    let (a, b) = tokio::join!(first.refresh(&one), second.refresh(&two));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert!(by_queue(&a) && by_queue(&b));
    assert_eq!((a.summary.events_accepted, b.summary.events_accepted), (2, 1));
    assert_eq!(env.cloud.queue_messages().len(), 1);
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_processes_on_one_queue_each_get_their_own() {
    let env = env(scenario(queue()).with(|s| s.event_delay = secs(3)).with(|s| s.task_duration = secs(60)))
        .with_options(|o| o.lookup_after = Some(vod_refresh::LookupAfter::After(secs(120))));
    let inbox = Inbox::new();
    let other =
        Refresher::new(env.client.clone()).with_options(env.options.clone()).with_inbox(inbox.clone());
    let listeners = [env.consume_queue(), QueueConsumer::new(env.queue_client(), inbox).spawn()];
    let (one, two) = (request(["m1", "m2", "m3"]), request(["m4", "m5"]));
    let ours = env.refresher();
    let (a, b) = tokio::join!(ours.refresh(&one), other.refresh(&two));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!((a.outcome, b.outcome), (Outcome::Complete, Outcome::Complete));
    assert_eq!((a.summary.events_accepted, b.summary.events_accepted), (3, 2));
    assert!(by_queue(&a) && by_queue(&b), "events, not lookups, told both");
    assert_eq!(env.cloud.queue_messages().len(), 0);
    for listener in listeners {
        listener.close().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn queue_and_receiver_can_run_at_once() {
    let both = scenario(queue()).with_callback(CALLBACK_URL, Some(CALLBACK_KEY));
    let env = env(both);
    let listener = env.consume_queue();
    let report = env.refresh(["m1", "m2"]).await;
    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!((report.summary.events_accepted, report.summary.events_repeated), (2, 2));
    assert_eq!(env.cloud.queue_messages().len(), 0);
    listener.close().await.unwrap();
}
