//! What may become of an event, by each way it comes.

use std::time::Duration;

use vod_refresh::LookupAfter;
use vod_refresh::emulator::{EventScript, MediaScript, QueueScript, Scenario};
use vod_refresh::event::Source;

use super::cell::{Cell, TIMEOUT, in_paused_time, refresh};
use crate::support::TestEnv;

pub(super) const COLUMNS: [&str; 3] = ["by callback", "by callback, without lookups", "by queue"];

/// The event of the first media, and that of the second.
type Fate = [EventScript; 2];

pub(super) fn fates() -> Vec<(&'static str, Fate)> {
    // A new field of the script fails to compile here until it has a row.
    let EventScript {
        lost: _,
        delay: _,
        double: _,
        early: _,
        forged_first: _,
        unsigned_fail_first: _,
        replayed_with: _,
        partial: _,
        unsigned: _,
        bad_signature: _,
        stale_timestamp: _,
        status: _,
        extend_as_object: _,
    } = EventScript::default();
    let plain = EventScript::default;
    let secs = |seconds| Some(Duration::from_secs(seconds));
    let both = |script: EventScript| [script.clone(), script];
    vec![
        ("sent once", both(plain())),
        ("lost", both(EventScript { lost: true, ..plain() })),
        ("one lost", [EventScript { lost: true, ..plain() }, plain()]),
        ("twice", both(EventScript { double: true, ..plain() })),
        ("late, 5s", both(EventScript { delay: secs(5), ..plain() })),
        ("late, 60s", both(EventScript { delay: secs(60), ..plain() })),
        ("after the run", both(EventScript { delay: secs(3_600), ..plain() })),
        ("wrong order", [EventScript { delay: secs(8), ..plain() }, plain()]),
        ("before the answer", both(EventScript { early: secs(1), ..plain() })),
        ("forged first", both(EventScript { forged_first: vec!["666".into()], ..plain() })),
        ("failed first, unsigned", both(EventScript { unsigned_fail_first: true, ..plain() })),
        ("replayed", both(EventScript { replayed_with: vec!["666".into()], ..plain() })),
        ("partial", both(EventScript { partial: true, ..plain() })),
        ("unsigned", both(EventScript { unsigned: true, ..plain() })),
        ("badly signed", both(EventScript { bad_signature: true, ..plain() })),
        ("signed long ago", both(EventScript { stale_timestamp: true, ..plain() })),
        ("unknown status word", both(EventScript { status: Some("odd".into()), ..plain() })),
        ("extend as an object", both(EventScript { extend_as_object: true, ..plain() })),
    ]
}

pub(super) fn run(name: &str, fate: &Fate) -> [Cell; 3] {
    [0, 1, 2].map(|column| in_paused_time(one(&format!("event {name} {}", COLUMNS[column]), fate, column)))
}

async fn one(name: &str, [first, second]: &Fate, column: usize) -> Cell {
    let media = |event: &EventScript| MediaScript::default().with(|m| m.event = event.clone());
    let scenario = Scenario::new()
        .with(|s| s.task_duration = Duration::from_secs(4))
        .with_media("m0", media(first))
        .with_media("m1", media(second));
    let scenario =
        if column == 2 { scenario.with(|s| s.queue = Some(QueueScript::named("events"))) } else { scenario };
    let env = TestEnv::new(scenario).with_events().with_options(|options| {
        options.timeout = TIMEOUT;
        if column == 1 {
            options.lookup_after = Some(LookupAfter::Never);
        }
    });
    let listener = (column == 2).then(|| env.consume_queue());
    let report = refresh(name, &env, 2).await;
    if let Some(listener) = listener {
        listener.close().await.unwrap();
    }
    let known = report.media.iter().map(|media| match media.confirmed_by {
        Some(Source::Lookup) => "lookup",
        Some(_) => "event",
        None => "nothing",
    });
    let known: Vec<&str> = known.collect();
    assert!(
        report
            .media
            .iter()
            .flat_map(|media| &media.tasks)
            .all(|t| column == 1 || t.task_id.as_str() != "666")
    );
    Cell::of(name, &env, &report, 2).with(format!("known by {}", known.join(" and ")))
}
