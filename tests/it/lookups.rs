//! Runs that can't look jobs up: turned off, refused, or down for as long as the run lasts.

use std::time::Duration;

use vod_refresh::emulator::{EventScript, Fault, FaultRule, MediaScript, Scenario};
use vod_refresh::event::Source;
use vod_refresh::run::MediaState;
use vod_refresh::{LookupAfter, Outcome, Report};

use crate::support::Bed;

const LOOK_UP: &str = "GetMediaRefreshJobs";

/// A cloud that sends no event for `m2`.
fn one_event_lost() -> Scenario {
    let lost = EventScript { lost: true, ..EventScript::default() };
    Scenario::new().with_media("m2", MediaScript::default().with_event(lost))
}

fn is_open_with(report: &Report, note: &str) {
    assert_eq!(report.outcome, Outcome::Timeout);
    assert_eq!(report.media[0].state, MediaState::Complete);
    assert_eq!((report.media[1].state, &report.media[1].error), (MediaState::Unfinished, &None));
    assert_eq!(report.media[1].note.as_deref(), Some(note));
}

#[tokio::test(start_paused = true)]
async fn turned_off_they_make_no_failure_of_a_lost_event() {
    let bed = Bed::new(one_event_lost())
        .with_events()
        .with_options(|options| options.lookup_after = Some(LookupAfter::Never));
    let report = bed.refresh(["m1", "m2"]).await;
    is_open_with(&report, "no event has told of it, and lookups are turned off");
    assert_eq!(bed.lookups(), 0);
    let warnings = bed.heard.warnings();
    assert!(warnings.iter().any(|text| text.contains("only an event can end this wait")), "{warnings:?}");
}

#[tokio::test(start_paused = true)]
async fn refused_they_make_no_failure_of_a_lost_event() {
    let bed = Bed::new(Scenario { deny: vec![LOOK_UP.into()], ..one_event_lost() }).with_events();
    let report = bed.refresh(["m1", "m2"]).await;
    is_open_with(&report, "no event has told of it, and lookups are refused");
}

#[tokio::test(start_paused = true)]
async fn down_for_ever_they_leave_the_verdict_to_events_that_told_of_all() {
    let scenario = Scenario::new()
        .with_media("m2", MediaScript::failing("InvalidDomain.NotFound", "Can't find domain."))
        .with_fault(FaultRule::on(LOOK_UP, Fault::error(503, "ServiceUnavailable")).times(0));
    let bed = Bed::new(scenario).with_events();
    let report = bed.refresh(["m1", "m2"]).await;
    assert_eq!(report.outcome, Outcome::Partial);
    assert_eq!(
        (report.media[0].state, report.media[0].confirmed_by),
        (MediaState::Complete, Some(Source::Callback))
    );
    assert_eq!(report.media[1].error.as_ref().unwrap().code, "InvalidDomain.NotFound");
    for media in &report.media {
        let note = media.note.as_deref().unwrap();
        assert!(note.starts_with("not confirmed: lookups fail (ServiceUnavailable"), "{note}");
    }
    // As long as any call is repeated, and not a moment longer.
    assert!((270..330).contains(&bed.elapsed().as_secs()), "{:?}", bed.elapsed());
}

#[tokio::test(start_paused = true)]
async fn down_for_ever_they_end_a_run_of_which_events_did_not_tell_all() {
    let down = FaultRule::on(LOOK_UP, Fault::error(503, "ServiceUnavailable")).times(0);
    let bed = Bed::new(one_event_lost().with_fault(down)).with_events();
    let report = bed.refresh(["m1", "m2"]).await;
    assert_eq!(report.outcome, Outcome::Unavailable);
    assert_eq!(report.media[1].state, MediaState::Unfinished);
    assert!(bed.elapsed() < Duration::from_secs(400), "{:?}", bed.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_a_last_answer_completes_is_complete_although_no_time_is_left_for_a_last_lookup() {
    let mut late = 0;
    for millis in (14_000..26_000).step_by(250) {
        let timeout = Duration::from_millis(millis);
        let scenario = Scenario::new()
            .with_latency(Duration::from_millis(1_500))
            .with_urls_per_media(1)
            .with_task_duration(Duration::from_secs(14));
        let bed = Bed::new(scenario).with_options(|options| options.timeout = timeout);
        let report = bed.refresh(["m1"]).await;
        let is_complete = report.media[0].state == MediaState::Complete;
        let outcome = if is_complete { Outcome::Complete } else { Outcome::Timeout };
        assert_eq!(report.outcome, outcome, "{timeout:?}");
        late += u32::from(is_complete && bed.elapsed() > timeout + Duration::from_secs(1));
    }
    assert!(late > 0, "no last answer came after the last polls");
}
