//! Events from a queue that others read as well: ours are taken and deleted, theirs stay theirs.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use vod_refresh::emulator::{
    Emulator, EventScript, Fault, FaultRule, MediaScript, QueueEncoding, QueueScript, QueuedMessage,
    Scenario, Which,
};
use vod_refresh::event::Source;
use vod_refresh::smq::{Deleted, ReceiptHandle};
use vod_refresh::{
    Credential, CredentialProvider, ErrorKind, Inbox, Outcome, QueueClient, QueueConsumer, Refresher, Report,
    StaticCredentials,
};

use crate::support::{Bed, CALLBACK_KEY, CALLBACK_URL, request};

fn queue() -> QueueScript {
    QueueScript::named("events")
}

fn scenario(queue: QueueScript) -> Scenario {
    Scenario::new().with_queue(queue)
}

fn bed(scenario: Scenario) -> Bed {
    Bed::new(scenario).with_events()
}

fn events(event: EventScript) -> MediaScript {
    MediaScript::default().with_event(event)
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

fn receives(bed: &Bed) -> usize {
    bed.cloud.count("BatchReceiveMessage")
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

async fn refresh_watched(bed: &Bed, media: &[&str]) -> Report {
    let (theirs, now) = (ids(&bed.cloud.queue_messages()), bed.client.service_time());
    let report = tokio::select! {
        report = bed.refresh(media) => report,
        () = watch_over(&bed.cloud, &theirs, Instant::now(), now) => unreachable!(),
    };
    assert_eq!(ids(&bed.cloud.queue_messages()), theirs, "ours deleted, all others still there");
    report
}

#[tokio::test(start_paused = true)]
async fn ours_are_deleted_and_others_stay_and_stay_visible() {
    for encoding in [QueueEncoding::Raw, QueueEncoding::Base64, QueueEncoding::Mixed] {
        let queue = queue().with_encoding(encoding).with_foreign(5).with_undecodable(3);
        let bed = bed(scenario(queue).with_event_delay(secs(7)).with_task_duration(secs(60)))
            .with_options(|o| o.lookup_after = Some(vod_refresh::LookupAfter::After(secs(90))));
        let listener = bed.listen();
        let report = refresh_watched(&bed, &["m1", "m2", "m3", "m4", "m5"]).await;
        assert_eq!((report.outcome, report.summary.events_accepted), (Outcome::Complete, 5));
        assert!(by_queue(&report));
        assert_eq!(bed.heard.warnings(), [""; 0]);
        listener.close().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn more_events_than_one_batch_holds_are_all_taken() {
    let media: Vec<String> = (0..45).map(|n| format!("m{n}")).collect();
    let media: Vec<&str> = media.iter().map(String::as_str).collect();
    let bed = bed(scenario(queue().with_foreign(4)));
    let listener = bed.listen();
    let report = refresh_watched(&bed, &media).await;
    assert_eq!((report.outcome, report.summary.events_accepted), (Outcome::Complete, 45));
    assert!(by_queue(&report));
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_double_event_counts_once_and_both_copies_go() {
    let double = EventScript { double: true, ..EventScript::default() };
    let bed = bed(scenario(queue()).with_default_media(events(double)));
    let listener = bed.listen();
    let report = bed.refresh(["m1", "m2"]).await;
    assert_eq!((report.summary.events_accepted, report.summary.events_repeated), (2, 2));
    assert_eq!(bed.cloud.queue_messages().len(), 0);
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_event_before_the_submit_answer_is_known_by_its_mark() {
    let early = EventScript { early: Some(secs(3)), ..EventScript::default() };
    let bed = bed(scenario(queue().with_foreign(2)).with_default_media(events(early)));
    let listener = bed.listen();
    let report = refresh_watched(&bed, &["m1"]).await;
    assert_eq!((report.outcome, report.summary.events_accepted), (Outcome::Complete, 1));
    assert_eq!(bed.submits(), 1);
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_delivery_got_lost_comes_again_and_is_taken() {
    let queue = queue().with_visibility_timeout(secs(5));
    let bed = bed(scenario(queue)
        .with_event_delay(secs(2))
        .with_task_duration(secs(30))
        .with_fault(FaultRule::on("BatchReceiveMessage", Fault::ResetAfter)));
    let listener = bed.listen();
    let report = bed.refresh(["m1"]).await;
    assert!(report.outcome == Outcome::Complete && by_queue(&report));
    assert_eq!(bed.cloud.queue_messages().len(), 0);
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_expired_handle_costs_nothing_and_the_next_one_deletes() {
    let slow = FaultRule::on("BatchReceiveMessage", Fault::Delay { by: secs(3) });
    let queue = queue().with_visibility_timeout(secs(2));
    let bed = bed(scenario(queue).with_task_duration(secs(30)).with_fault(slow));
    let listener = bed.listen();
    let report = bed.refresh(["m1"]).await;
    assert!(report.outcome == Outcome::Complete && by_queue(&report));
    assert_eq!(report.summary.events_repeated, 1);
    assert_eq!(bed.cloud.queue_messages().len(), 0);
    let calls = bed.cloud.calls();
    assert!(calls.iter().filter(|call| call.action == "DeleteMessage").count() == 2);
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_empty_queue_is_silent_and_asked_once_a_long_poll() {
    let lost = EventScript { lost: true, ..EventScript::default() };
    let stuck = MediaScript { never_complete: Which::All(true), ..events(lost) };
    let run = |queue: QueueScript| {
        let scenario = scenario(queue).with_default_media(stuck.clone());
        bed(scenario).with_options(|options| options.timeout = secs(600))
    };
    let patient = run(queue());
    let listener = patient.listen();
    assert_eq!(patient.refresh(["m1"]).await.outcome, Outcome::Timeout);
    assert!((29..=31).contains(&receives(&patient)), "{}", receives(&patient));
    assert_eq!(patient.heard.warnings(), [""; 0]);
    listener.close().await.unwrap();
    // A service that does not hold polls is not asked all the time.
    let crowded = run(queue().with_poll_cap(0));
    let listener = crowded.listen();
    crowded.refresh(["m1"]).await;
    assert!((30..=60).contains(&receives(&crowded)), "{}", receives(&crowded));
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn while_no_run_waits_the_queue_is_left_alone() {
    let bed = bed(scenario(queue().with_foreign(2)));
    let listener = bed.listen();
    sleep(secs(600)).await;
    assert_eq!(receives(&bed), 0);
    assert_eq!(bed.refresh(["m1"]).await.outcome, Outcome::Complete);
    sleep(secs(60)).await;
    let before = receives(&bed);
    sleep(secs(600)).await;
    assert_eq!(receives(&bed), before);
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_runs_of_one_process_each_get_their_own() {
    let bed = bed(scenario(queue().with_foreign(1)));
    let listener = bed.listen();
    let (first, second) = (bed.refresher(), bed.refresher());
    let (one, two) = (request(["m1", "m2"]), request(["m3"]));
    let (a, b) = tokio::join!(first.refresh(&one), second.refresh(&two));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert!(by_queue(&a) && by_queue(&b));
    assert_eq!((a.summary.events_accepted, b.summary.events_accepted), (2, 1));
    assert_eq!(bed.cloud.queue_messages().len(), 1);
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_processes_on_one_queue_each_get_their_own() {
    let bed = bed(scenario(queue()).with_event_delay(secs(3)).with_task_duration(secs(60)))
        .with_options(|o| o.lookup_after = Some(vod_refresh::LookupAfter::After(secs(120))));
    let inbox = Inbox::new();
    let other =
        Refresher::new(bed.client.clone()).with_options(bed.options.clone()).with_inbox(inbox.clone());
    let listeners = [bed.listen(), QueueConsumer::new(bed.queue_client(), inbox).spawn()];
    let (one, two) = (request(["m1", "m2", "m3"]), request(["m4", "m5"]));
    let ours = bed.refresher();
    let (a, b) = tokio::join!(ours.refresh(&one), other.refresh(&two));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!((a.outcome, b.outcome), (Outcome::Complete, Outcome::Complete));
    assert_eq!((a.summary.events_accepted, b.summary.events_accepted), (3, 2));
    assert!(by_queue(&a) && by_queue(&b), "events, not lookups, told both");
    assert_eq!(bed.cloud.queue_messages().len(), 0);
    for listener in listeners {
        listener.close().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn queue_and_receiver_can_run_at_once() {
    let both = scenario(queue()).with_callback(CALLBACK_URL, Some(CALLBACK_KEY));
    let bed = bed(both);
    let listener = bed.listen();
    let report = bed.refresh(["m1", "m2"]).await;
    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!((report.summary.events_accepted, report.summary.events_repeated), (2, 2));
    assert_eq!(bed.cloud.queue_messages().len(), 0);
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_makes_reading_useless_ends_it_with_a_warning_and_lookups_go_on() {
    let on = |action, status, code| FaultRule::on(action, Fault::error(status, code));
    for (fault, kind, word) in [
        (FaultRule::on("BatchReceiveMessage", Fault::throttle()), ErrorKind::Throttled, "TooManyRequests"),
        (on("BatchReceiveMessage", 403, "AccessDenied"), ErrorKind::Refused, "AccessDenied"),
        (on("BatchReceiveMessage", 404, "QueueNotExist"), ErrorKind::Config, "QueueNotExist"),
        (
            on("BatchReceiveMessage", 403, "SignatureDoesNotMatch"),
            ErrorKind::Refused,
            "SignatureDoesNotMatch",
        ),
        (on("ChangeMessageVisibility", 403, "AccessDenied"), ErrorKind::Refused, "ChangeMessageVisibility"),
    ] {
        let lost = EventScript { lost: true, ..EventScript::default() };
        let bed = bed(scenario(queue().with_foreign(1)).with_fault(fault).with_default_media(events(lost)));
        let listener = bed.listen();
        let report = bed.refresh(["m1"]).await;
        assert_eq!(report.outcome, Outcome::Complete, "{word}");
        let warnings = bed.heard.warnings();
        assert!(warnings.len() == 1 && warnings[0].contains(word), "{warnings:?}");
        assert_eq!(receives(&bed), 1, "{word}");
        // A run that begins later hears of it as well.
        bed.refresh(["m2"]).await;
        assert_eq!(bed.heard.warnings().len(), 2);
        assert!(listener.is_finished());
        assert_eq!(listener.close().await.unwrap_err().kind(), kind);
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_full_of_others_messages_is_given_up_before_the_service_throttles() {
    let lost = EventScript { lost: true, ..EventScript::default() };
    let stuck = MediaScript { never_complete: Which::All(true), ..events(lost) };
    let bed = bed(scenario(queue().with_foreign(40)).with_default_media(stuck))
        .with_options(|options| options.timeout = secs(3_000));
    let listener = bed.listen();
    let report = refresh_watched(&bed, &["m1"]).await;
    assert_eq!(report.outcome, Outcome::Timeout);
    assert!((15..40).contains(&receives(&bed)), "{}", receives(&bed));
    assert!(bed.heard.warnings()[0].contains("in a row were not ours"), "{:?}", bed.heard.warnings());
    assert_eq!(listener.close().await.unwrap_err().kind(), ErrorKind::Busy);
}

#[tokio::test(start_paused = true)]
async fn outages_of_the_queue_are_sat_out() {
    let faults = [
        Fault::error(500, "InternalError"),
        Fault::Html { status: 502 },
        Fault::ResetBefore,
        Fault::Garbage,
        Fault::HalfBody,
    ];
    let mut scenario = scenario(queue().with_visibility_timeout(secs(5))).with_task_duration(secs(60));
    for fault in faults {
        for action in ["BatchReceiveMessage", "DeleteMessage"] {
            scenario = scenario.with_fault(FaultRule::on(action, fault.clone()));
        }
    }
    let bed = bed(scenario);
    let listener = bed.listen();
    assert!(by_queue(&bed.refresh(["m1"]).await));
    assert_eq!(bed.cloud.queue_messages().len(), 0);
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_the_batch_permission_messages_are_deleted_one_by_one() {
    let bed = bed(scenario(queue()).with_denied("BatchDeleteMessage"));
    let listener = bed.listen();
    assert!(by_queue(&bed.refresh(["m1", "m2", "m3"]).await));
    assert_eq!(bed.cloud.queue_messages().len(), 0);
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_parked_poll_holds_nobody_up_and_swallows_nothing() {
    let bed = bed(scenario(queue()));
    let listener = bed.listen();
    let report = bed.refresh(["m1"]).await;
    assert_eq!(report.outcome, Outcome::Complete);
    let before = Instant::now();
    listener.close().await.unwrap();
    assert_eq!(before.elapsed(), Duration::ZERO);
    // The poll that was under way gets somebody else's message, and gives it back.
    sleep(secs(1)).await;
    bed.cloud.put_message("theirs");
    sleep(secs(2)).await;
    let message = bed.cloud.queue_messages().remove(0);
    assert_eq!(message.dequeue_count, 1);
    assert!(message.visible_from <= bed.client.service_time());
}

#[tokio::test(start_paused = true)]
async fn a_person_hears_of_a_queue_that_is_set_up_badly() {
    let queue = queue().with_foreign(1).with_visibility_timeout(secs(43_200));
    let bed = bed(scenario(queue));
    let listener = bed.listen();
    bed.refresh(["m1"]).await;
    let warnings = bed.heard.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("43200 s"), "{warnings:?}");
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_call_is_answered_as_the_service_would() {
    let bed = bed(scenario(queue()));
    let client = bed.queue_client();
    let start = Instant::now();
    assert!(client.batch_receive_message(16, secs(10)).await.unwrap().is_empty());
    assert_eq!(start.elapsed(), secs(10));
    for n in 0..3 {
        bed.cloud.put_message(format!("<{n}> & \u{4e2d}"));
    }
    let messages = client.batch_receive_message(2, secs(30)).await.unwrap();
    assert_eq!(messages.len(), 2);
    assert!(messages[0].body.ends_with("> & \u{4e2d}") && messages[0].dequeue_count == 1);
    let hidden = client.change_message_visibility(&messages[0].handle, secs(60)).await.unwrap().unwrap();
    assert_eq!(client.delete_message(&messages[0].handle).await.unwrap(), Deleted::HandleExpired);
    let handles = [hidden.handle, messages[0].handle.clone(), messages[1].handle.clone()];
    let expected = [Deleted::Now, Deleted::HandleExpired, Deleted::Now];
    assert_eq!(client.batch_delete_message(&handles).await.unwrap(), expected);
    assert_eq!(client.batch_delete_message(&handles[..2]).await.unwrap(), [Deleted::HandleExpired; 2]);
    assert_eq!(client.change_message_visibility(&handles[0], secs(1)).await.unwrap(), None);
    let malformed = ReceiptHandle::new("x");
    assert_eq!(client.delete_message(&malformed).await.unwrap(), Deleted::HandleExpired);
    assert_eq!(bed.cloud.queue_messages().len(), 1);
    let attributes = client.get_queue_attributes().await.unwrap();
    assert_eq!(attributes.visibility_timeout, Some(secs(30)));
}

#[tokio::test(start_paused = true)]
async fn a_missing_queue_is_a_matter_of_configuration() {
    let bed = Bed::new(Scenario::new());
    let error = bed.queue_client().batch_receive_message(1, secs(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Config, Some("QueueNotExist")));
    assert!(error.request_id().is_some());
}

fn client(cloud: &Emulator, credential: Credential) -> QueueClient {
    QueueClient::builder(StaticCredentials(credential), "http://127.0.0.1:1/queues/events")
        .with_transport(cloud.transport())
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn temporary_keys_bring_their_token_and_a_wrong_clock_is_corrected() {
    let cloud = Emulator::new(scenario(queue()).with_token("testid", "tok").with_clock_offset(7_200));
    let whole = Credential::new("testid", "testsecret").with_token("tok");
    assert!(client(&cloud, whole).batch_receive_message(1, Duration::ZERO).await.unwrap().is_empty());
    let outcomes: Vec<String> = cloud.calls().into_iter().map(|call| call.outcome).collect();
    assert_eq!(outcomes, ["TimeExpired", "ok"]);
    let half = client(&cloud, Credential::new("testid", "testsecret"));
    let error = half.batch_receive_message(1, Duration::ZERO).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("MissingSecurityToken")));
    let blank = client(&cloud, Credential::new("testid", "testsecret\n").with_token("tok"));
    let error = blank.get_queue_attributes().await.unwrap_err();
    assert!(error.message().contains("blank or line break"), "{error}");
}

#[tokio::test]
async fn over_a_real_socket_handles_arrive_as_they_were_signed() {
    let cloud = Emulator::new(scenario(queue()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/queues/events", listener.local_addr().unwrap());
    let stop = tokio_util::sync::CancellationToken::new();
    let served = tokio::spawn({
        let (cloud, stop) = (cloud.clone(), stop.clone());
        async move { cloud.serve(listener, stop).await }
    });
    let credentials = StaticCredentials(Credential::new("testid", "testsecret"));
    let client = QueueClient::builder(credentials, url).build().unwrap();
    (0..20).for_each(|n| drop(cloud.put_message(n.to_string())));
    // Twenty handles hold every letter that a URL library might want to change.
    let mut letters = String::new();
    for _ in 0..20 {
        let message = client.batch_receive_message(1, secs(1)).await.unwrap().remove(0);
        letters.push_str(message.handle.as_str());
        let hidden = client.change_message_visibility(&message.handle, secs(60)).await.unwrap().unwrap();
        assert_eq!(client.delete_message(&hidden.handle).await.unwrap(), Deleted::Now);
    }
    assert!(letters.contains('+') && letters.contains('/') && letters.contains('='));
    stop.cancel();
    served.await.unwrap();
}

/// Gives another token once the first was refused.
#[derive(Debug, Default)]
struct TwoTokens(std::sync::atomic::AtomicUsize);

impl CredentialProvider for TwoTokens {
    fn credential(
        &self,
    ) -> vod_refresh::net::transport::BoxFuture<'_, vod_refresh::Result<Option<Credential>>> {
        let token = format!("tok-{}", self.0.load(std::sync::atomic::Ordering::Relaxed));
        Box::pin(async { Ok(Some(Credential::new("testid", "testsecret").with_token(token))) })
    }

    fn refused(&self, _: &Credential) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_ran_out_is_replaced_in_the_middle() {
    let cloud = Emulator::new(scenario(queue()).with_token("testid", "tok-0"));
    let client = QueueClient::builder(TwoTokens::default(), "http://127.0.0.1:1/queues/events")
        .with_transport(cloud.transport())
        .build()
        .unwrap();
    client.get_queue_attributes().await.unwrap();
    cloud.set_token("testid", "tok-1");
    client.get_queue_attributes().await.unwrap();
    let outcomes: Vec<String> = cloud.calls().into_iter().map(|call| call.outcome).collect();
    assert_eq!(outcomes, ["ok", "InvalidSecurityToken.Expired", "ok"]);
}
