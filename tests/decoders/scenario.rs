//! A scenario file, and the cloud that it makes.

use std::future::Future;

use bytes::Bytes;
use futures_util::FutureExt as _;

use crate::auth::{Credential, StaticCredentials};
use crate::emulator::{Emulator, Scenario};
use crate::error::ErrorKind;
use crate::ids::{JobId, MediaId, TaskId};
use crate::vod::{RefreshMediaPlayUrls, TaskType, VodClient};

/// Fields that types alone don't check.
const PLACES: [&str; 9] = [
    "faults[",
    "deny[",
    "rates",
    "jobs.",
    "clock_offset",
    "urls_per_media",
    "media.",
    "default_media.",
    "queue.",
];

/// Reads a scenario and starts a cloud that follows it.
pub fn scenario(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Scenario::from_json(text) {
        Ok(scenario) => {
            let written = written(&scenario);
            assert_eq!(Scenario::from_json(&written).as_ref().map(self::written).ok(), Some(written));
            start(scenario);
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Config);
            let said = error.message();
            let place = said.contains("line ") && said.contains("column ")
                || PLACES.iter().any(|field| said.contains(field));
            assert!(place, "an error names a place: {said}");
            assert!(
                said.len() <= 8 * text.len() + 2_000,
                "{} bytes of text out of {}",
                said.len(),
                text.len()
            );
        }
    }
}

/// As a file, with whole rates: of others the last digit may get lost each time that they are read.
fn written(scenario: &Scenario) -> String {
    let mut scenario = scenario.clone();
    scenario.rates.values_mut().for_each(|rate| *rate = rate.round());
    serde_json::to_string(&scenario).unwrap_or_default()
}

/// Lets the cloud do a little of everything. How much it makes is the scenario's own business, so that is cut down.
fn start(scenario: Scenario) {
    let mut scenario = few(scenario).with(|s| s.keys.insert("testid".into(), "testsecret".into()));
    scenario.tokens.clear();
    let jobs: Vec<String> = scenario.jobs.keys().cloned().collect();
    let media: Vec<String> = scenario.media.keys().cloned().chain(["m1".to_owned()]).collect();
    let runtime = super::runtime();
    let _inside = runtime.enter();
    let cloud = Emulator::new(scenario);
    for job in cloud.job_ids() {
        assert!(jobs.contains(&job));
        media.iter().for_each(|media| drop(cloud.event_for(&job, media)));
    }
    let _ = cloud.queue_messages();
    for page in ["/credentials", "/latest/meta-data/ram/security-credentials/emulator-role"] {
        let request = http::Request::get(format!("http://127.0.0.1:1{page}")).body(Bytes::new());
        request.into_iter().for_each(|request| begun(cloud.handle(request)));
    }
    let client = VodClient::builder(StaticCredentials(Credential::new("testid", "testsecret")))
        .with_endpoint("http://127.0.0.1:1")
        .with_transport(cloud.transport())
        .build();
    let Ok(client) = client else { panic!("nothing to call with") };
    let media: Vec<_> = media.iter().filter_map(|media| MediaId::new(media).ok()).take(20).collect();
    begun(client.refresh_media_play_urls(&RefreshMediaPlayUrls::new(TaskType::Refresh, media)));
    for id in cloud.job_ids().iter().filter_map(|id| JobId::new(id).ok()) {
        begun(client.get_media_refresh_jobs(&id));
        for task in cloud.task_ids(id.as_str(), "m1").iter().filter_map(|id| TaskId::new(id).ok()) {
            begun(client.describe_vod_refresh_tasks(&task, 1));
        }
    }
    begun(client.describe_vod_refresh_quota());
}

/// The cloud does its work at the first poll; what it waits for then is not waited for here.
fn begun(work: impl Future) {
    let _ = work.now_or_never();
}

fn few(mut scenario: Scenario) -> Scenario {
    const FEW: usize = 3;
    scenario.urls_per_media = scenario.urls_per_media.min(FEW);
    for media in scenario.media.values_mut().chain([&mut scenario.default_media]) {
        media.url_count = media.url_count.map(|count| count.min(FEW));
        media.foreign_rows = media.foreign_rows.min(FEW);
    }
    if let Some(queue) = &mut scenario.queue {
        queue.foreign = queue.foreign.min(FEW);
        queue.undecodable = queue.undecodable.min(FEW);
    }
    scenario
}
