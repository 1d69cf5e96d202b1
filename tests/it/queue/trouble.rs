//! Queues that fail, lack a permission or are set up badly.

use vod_refresh::ErrorKind;

use super::*;
use crate::support::scripts::lost_event;

#[tokio::test(start_paused = true)]
async fn a_fault_that_makes_reading_useless_ends_it_with_a_warning_and_lookups_go_on() {
    let on = |action, status, code| FaultRule::on(action, Fault::error(status, code));
    for (fault, kind, word) in [
        (on("BatchReceiveMessage", 403, "AccessDenied"), ErrorKind::Refused, "AccessDenied"),
        (on("BatchReceiveMessage", 404, "QueueNotExist"), ErrorKind::Config, "QueueNotExist"),
        (
            on("BatchReceiveMessage", 403, "SignatureDoesNotMatch"),
            ErrorKind::Refused,
            "SignatureDoesNotMatch",
        ),
        (on("ChangeMessageVisibility", 403, "AccessDenied"), ErrorKind::Refused, "ChangeMessageVisibility"),
    ] {
        let lost = lost_event();
        let env = env(scenario(QueueScript { foreign: 1, ..queue() })
            .with_fault(fault)
            .with(|s| s.default_media = events(lost)));
        let listener = env.consume_queue();
        let report = env.refresh(["m1"]).await;
        assert_eq!(report.outcome, Outcome::Complete, "{word}");
        let warnings = env.notices.warnings();
        assert!(warnings.len() == 1 && warnings[0].contains(word), "{warnings:?}");
        assert_eq!(receives(&env), 1, "{word}");
        // A run that begins later hears of it as well.
        env.refresh(["m2"]).await;
        assert_eq!(env.notices.warnings().len(), 2);
        assert!(listener.is_finished());
        assert_eq!(listener.close().await.unwrap_err().kind(), kind);
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_full_of_others_messages_is_given_up_before_the_service_throttles() {
    let lost = lost_event();
    let stuck = MediaScript { never_complete: Which::All(true), ..events(lost) };
    let env = env(scenario(QueueScript { foreign: 40, ..queue() }).with(|s| s.default_media = stuck))
        .with_options(|options| options.timeout = secs(3_000));
    let listener = env.consume_queue();
    let report = refresh_watched(&env, &["m1"]).await;
    assert_eq!(report.outcome, Outcome::Timeout);
    assert!((15..40).contains(&receives(&env)), "{}", receives(&env));
    assert!(env.notices.warnings()[0].contains("in a row were not ours"), "{:?}", env.notices.warnings());
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
    let mut scenario =
        scenario(QueueScript { visibility_timeout: secs(5), ..queue() }).with(|s| s.task_duration = secs(60));
    for fault in faults {
        for action in ["BatchReceiveMessage", "DeleteMessage"] {
            scenario = scenario.with_fault(FaultRule::on(action, fault.clone()));
        }
    }
    let env = env(scenario);
    let listener = env.consume_queue();
    assert!(by_queue(&env.refresh(["m1"]).await));
    assert_eq!(env.cloud.queue_messages().len(), 0);
    listener.close().await.unwrap();
}

/// Longer than the retries of a call: with lookups turned off, nothing else tells of the media.
#[tokio::test(start_paused = true)]
async fn an_outage_of_minutes_is_told_and_sat_out() {
    let out = FaultRule::on("BatchReceiveMessage", Fault::error(500, "InternalError")).times(120);
    let env = env(scenario(queue()).with_fault(out))
        .with_options(|options| options.lookup_after = Some(vod_refresh::LookupAfter::Never));
    let listener = env.consume_queue();
    let report = env.refresh(["m1"]).await;
    assert!(env.elapsed() > secs(60) && by_queue(&report), "{:?} {report:?}", env.elapsed());
    let warnings = env.notices.warnings();
    let [first, .., last] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(first.contains("does not answer") && last.contains("answers again"), "{warnings:?}");
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_the_batch_permission_messages_are_deleted_one_by_one() {
    let env = env(scenario(queue()).with(|s| s.deny.push("BatchDeleteMessage".into())));
    let listener = env.consume_queue();
    assert!(by_queue(&env.refresh(["m1", "m2", "m3"]).await));
    assert_eq!(env.cloud.queue_messages().len(), 0);
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_under_way_delays_no_stop_and_loses_no_message() {
    let env = env(scenario(queue()));
    let listener = env.consume_queue();
    let report = env.refresh(["m1"]).await;
    assert_eq!(report.outcome, Outcome::Complete);
    let before = Instant::now();
    listener.close().await.unwrap();
    assert_eq!(before.elapsed(), Duration::ZERO);
    // The poll that was under way gets somebody else's message, and gives it back.
    sleep(secs(1)).await;
    env.cloud.put_message("theirs");
    sleep(secs(2)).await;
    let message = env.cloud.queue_messages().remove(0);
    assert_eq!(message.dequeue_count, 1);
    assert!(message.visible_from <= env.client.service_time());
}

#[tokio::test(start_paused = true)]
async fn a_user_is_warned_of_a_queue_that_is_set_up_badly() {
    let queue = QueueScript { foreign: 1, visibility_timeout: secs(43_200), ..queue() };
    let env = env(scenario(queue));
    let listener = env.consume_queue();
    env.refresh(["m1"]).await;
    let warnings = env.notices.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("43200 s"), "{warnings:?}");
    listener.close().await.unwrap();
}

/// With lookups turned off, nothing else tells of the media.
#[tokio::test(start_paused = true)]
async fn throttling_and_a_clock_that_differs_are_told_by_their_code_and_sat_out() {
    for (status, code, more) in
        [(429, "TooManyRequests", ""), (408, "TimeExpired", "clock and the queue's differ")]
    {
        let fault = FaultRule::on("BatchReceiveMessage", Fault::error(status, code))
            .times(if status == 429 { 1 } else { 10 });
        let env = env(scenario(queue()).with_fault(fault))
            .allow_unused_faults()
            .with_options(|options| options.lookup_after = Some(vod_refresh::LookupAfter::Never));
        let listener = env.consume_queue();
        assert!(by_queue(&env.refresh(["m1"]).await), "{code}");
        let warnings = env.notices.warnings();
        assert!(warnings[0].contains(code) && warnings[0].contains(more), "{warnings:?}");
        assert!(warnings.last().unwrap().contains("answers again"), "{warnings:?}");
        listener.close().await.unwrap();
    }
}
