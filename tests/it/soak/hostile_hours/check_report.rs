//! What was asked, what truly becomes of it, and whether a report may say what it says.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use vod_refresh::emulator::{Emulator, MediaScript, OneByOne, Scenario};
use vod_refresh::run::{MediaReport, MediaState};
use vod_refresh::{Outcome, Report, RunOptions};

use super::{Epoch, Soak};
use crate::soak::draw::{self, Fate};
use crate::soak::truth::{self, Evidence};
use crate::support::action::SUBMIT;
use crate::support::random::Rng;

/// The media of one run.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) media: Vec<(String, Fate)>,
    pub(super) preload: bool,
    pub(super) timeout: Duration,
    pub(super) lookup_after: Duration,
    /// The cloud as far as these media are concerned.
    scenario: Scenario,
}

/// How the process that made a report fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    Whole,
    /// It was stopped, and perhaps carried on.
    Interrupted,
}

impl Asked {
    /// Draws media, and tells the cloud how they behave.
    pub(super) fn draw(soak: &Soak, epoch: &Epoch, rng: &mut Rng, most: u64) -> Self {
        let first = soak.media_made.fetch_add(most, Ordering::Relaxed);
        let mut scenario = epoch.scenario.clone();
        let mut media = Vec::new();
        for n in first..=first + rng.below(most) {
            let id = format!("m{n:x}");
            let (mut script, mut fate) = draw::one_media(rng, epoch.odd);
            if let Some(hostile) = &epoch.hostile {
                fate = hostile.tell(rng, (n, scenario.urls_per_media), &mut script, fate);
                hasten(&mut script);
            }
            epoch.cloud.set_media(id.as_str(), script.clone());
            scenario.media.insert(id.clone(), script);
            media.push((id, fate));
        }
        soak.live.lock().unwrap().extend(media.iter().map(|(id, _)| id.clone()));
        let preload = rng.percent(40);
        let timeout = Duration::from_secs(soak.shortest_timeout + rng.below(soak.shortest_timeout / 2));
        let lookup_after = timeout / rng.one_of(&[2, 5, 20]);
        Self { media, preload, timeout, lookup_after, scenario }
    }

    /// Forgets the media of these rows.
    pub(super) fn leave_out(&mut self, rows: &[MediaReport]) {
        let is_left_out =
            |id: &str| rows.iter().any(|row| row.media_id.as_ref().is_some_and(|row| row.as_str() == id));
        self.media.retain(|(id, _)| !is_left_out(id));
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.media.iter().map(|(id, _)| id.clone()).collect()
    }
}

/// Runs end within seconds here, and one that only times out proves little.
fn hasten(script: &mut MediaScript) {
    let telling = &mut script.telling;
    if telling.lookup_pending_for < Duration::from_secs(3_600) {
        telling.lookup_pending_for /= 10;
    }
    if let OneByOne::Every(pause) = &mut telling.rows_one_by_one {
        *pause /= 5;
    }
}

/// Says what is wrong with a report, if something is.
///
/// `is_lost`: the answer to a submission of theirs got lost before the process that was to hear it.
pub(super) fn check_report(
    epoch: &Epoch,
    asked: &Asked,
    is_lost: bool,
    (report, process, took): (&Report, Process, Duration),
) -> Result<(), String> {
    let fates: HashMap<&str, Fate> = asked.media.iter().map(|(id, fate)| (id.as_str(), *fate)).collect();
    let is_cut = process == Process::Interrupted;
    let lost = is_cut || is_lost;
    let options = RunOptions::default();
    let evidence = Evidence::of_cloud(&epoch.cloud, &options, Some(&asked.scenario), lost);
    let told: Vec<&str> =
        report.media.iter().filter_map(|m| m.media_id.as_ref()).map(|id| id.as_str()).collect();
    if told != asked.media.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>() {
        return Err("not each media once, in the order given".to_owned());
    }
    catch_unwind(AssertUnwindSafe(|| {
        truth::counts_add_up(report);
        if report.outcome != Outcome::Interrupted {
            let took = if is_cut { took.max(asked.timeout) } else { took };
            truth::the_outcome_follows_from_the_media(report, took, asked.timeout);
            truth::nothing_is_made_up(&evidence, report, |id| fates[id]);
        }
    }))
    .map_err(|why| {
        let text = why.downcast_ref::<String>().cloned();
        text.or_else(|| why.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })?;
    // No task of theirs can have ended before.
    let earliest = asked.scenario.job_delay + asked.scenario.task_duration;
    let is_early = took < earliest && !is_cut;
    if is_early && report.media.iter().any(|media| media.state == MediaState::Complete) {
        return Err(format!("complete after {took:?}, and no task ends before {earliest:?}"));
    }
    if !lost {
        let mut taken: HashMap<&str, u32> = HashMap::new();
        let calls = epoch.cloud.calls();
        for call in calls.iter().filter(|call| call.action == SUBMIT && call.outcome == "ok") {
            for id in call.params["MediaIds"].split(',').filter(|id| fates.contains_key(id)) {
                *taken.entry(id).or_default() += 1;
            }
        }
        if let Some((id, times)) = taken.iter().find(|(_, times)| **times > 1) {
            return Err(format!("{id} was submitted {times} times, each time with an answer"));
        }
    }
    Ok(())
}

/// Without this a soak that weighs nothing would look like one that finds nothing.
#[test]
fn a_report_that_lies_is_found_and_one_that_does_not_is_not() {
    let scenario = Scenario::new()
        .with(|s| s.task_duration = Duration::from_secs(5))
        .with_media("m", MediaScript::default());
    let cloud = Emulator::new(scenario.clone());
    let epoch = Epoch { number: 0, cloud, scenario: scenario.clone(), hostile: None, odd: 0 };
    let weighed = |fate, outcome: &str, state: &str, took| {
        let task = json!({ "task_id": "1", "url": "https://a.test/1", "status": "Complete", "progress": 100,
            "created_at": null, "ended_at": null, "description": null });
        let done = u64::from(state == "complete");
        let sum = json!({ "media": 1, "media_complete": done, "media_failed": 1 - done, "media_unfinished": 0, "tasks": 2,
            "tasks_complete": 2, "tasks_failed": 0, "tasks_unfinished": 0, "api_calls": {}, "retries": 0,
            "events_accepted": 0, "events_rejected": 0, "events_repeated": 0, "events_foreign": 0 });
        let error = (done == 0).then(|| json!({ "code": "Failed", "message": "a task failed" }));
        let mut other = task.clone();
        other["url"] = "https://a.test/2".into();
        let media = json!({ "media_id": "m", "job_id": "j", "state": state, "confirmed_by": null, "error": error,
            "tasks": [task, other] });
        let report = json!({ "schema": 1, "run_id": "0197f3c2-0000-7000-8000-000000000000", "task_type": "refresh",
            "outcome": outcome, "started_at": "2026-11-25T01:19:10Z", "finished_at": "2026-11-25T01:19:20Z",
            "extend": null, "summary": sum, "error": null, "media": [media] });
        let asked = Asked {
            media: vec![("m".to_owned(), fate)],
            preload: false,
            timeout: Duration::from_secs(60),
            lookup_after: Duration::ZERO,
            scenario: scenario.clone(),
        };
        let report = serde_json::from_value(report).unwrap();
        check_report(&epoch, &asked, false, (&report, Process::Whole, Duration::from_secs(took)))
    };
    assert_eq!(weighed(Fate::Well, "complete", "complete", 10), Ok(()));
    assert_eq!(weighed(Fate::Fails, "failed", "failed", 10), Ok(()));
    let lies = [
        (Fate::Stuck, "complete", "complete", 10),
        (Fate::Fails, "complete", "complete", 10),
        (Fate::Missing, "complete", "complete", 10),
        (Fate::Well, "failed", "failed", 10),
        (Fate::Well, "failed", "not_found", 10),
        (Fate::Well, "complete", "failed", 10),
        (Fate::Well, "complete", "complete", 3),
    ];
    for (fate, outcome, state, took) in lies {
        assert!(weighed(fate, outcome, state, took).is_err(), "{fate:?} {outcome} {state} {took}");
    }
}
