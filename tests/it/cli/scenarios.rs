//! How clouds and media behave here.

use std::time::Duration;

use crate::support::scripts::lost_event;
use vod_refresh::emulator::{MediaScript, Scenario, Which};

pub(super) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A healthy cloud that is quick: a job is with the CDN at once, a task done in 300 ms.
pub(super) fn quick() -> Scenario {
    Scenario::new().with(|s| s.job_delay = ms(0)).with(|s| s.task_duration = ms(300))
}

/// The cloud sends no event for any media.
pub(super) fn silent(scenario: Scenario) -> Scenario {
    let mut script = scenario.default_media.clone();
    script.event = lost_event();
    scenario.with(|s| s.default_media = script)
}

/// A media with the tasks `1` and `2`.
pub(super) fn two_tasks() -> MediaScript {
    MediaScript { task_ids: vec!["1".into(), "2".into()], ..MediaScript::default() }
}

/// A media whose tasks, `1` and `2`, stay open until the test completes them.
pub(super) fn open_tasks() -> MediaScript {
    MediaScript { never_complete: Which::All(true), ..two_tasks() }
}
