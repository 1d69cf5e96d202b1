//! The scenario as a whole, read from a file and checked.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;
use super::edge::EdgeScript;
use super::fault::FaultRule;
use super::media::MediaScript;
use super::services::{CredentialsUri, Filtering, Metadata, Pages, QueueScript, Quota, Sts};
use crate::emulator::actions;
use crate::error::{Error, ErrorKind, Result};

/// Most URLs of a media, most messages in a queue, most calls a second.
const MOST: usize = 1_000_000;
/// The seconds of a hundred years. Scenarios made in Rust are cut to it.
pub(crate) const MAX_CLOCK_OFFSET: i64 = 36_525 * 86_400;

/// How the pretend cloud behaves. The [page](crate::emulator::scenario) says what each field means.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// Access key ids and their secrets.
    pub keys: BTreeMap<String, String>,
    /// Security tokens that keys must bring.
    pub tokens: BTreeMap<String, String>,
    /// Makes the ids the same in every run.
    pub seed: Option<u64>,
    /// Seconds that the cloud's clock is ahead.
    pub clock_offset: i64,
    /// How long every answer takes.
    #[serde(with = "duration")]
    pub latency: Duration,
    /// How long an idle connection stays open.
    #[serde(with = "duration")]
    pub idle_timeout: Duration,
    /// From the submit call until the URLs are with the CDN.
    #[serde(with = "duration")]
    pub job_delay: Duration,
    /// From there until the event is sent.
    #[serde(with = "duration")]
    pub event_delay: Duration,
    /// How long a task is `Pending`.
    #[serde(with = "duration")]
    pub pending_for: Duration,
    /// How long a task takes in all.
    #[serde(with = "duration")]
    pub task_duration: Duration,
    /// Up to this much is added to each task's duration.
    #[serde(with = "duration")]
    pub task_jitter: Duration,
    /// Playback URLs of one media.
    pub urls_per_media: usize,
    /// Whether URLs have commas in them.
    pub url_with_commas: bool,
    /// Whether all URLs of one submit call share one task id.
    pub merge_ids_across_media: bool,
    /// Whether events carry `Extend` as an object.
    pub extend_as_object: bool,
    /// How rows are cut into pages and counted.
    pub pages: Pages,
    /// How listings of tasks treat their filters.
    pub task_filters: Filtering,
    /// Calls a second by action; 0 means no limit.
    pub rates: BTreeMap<String, f64>,
    /// Where events go.
    pub callback: Option<Callback>,
    /// A queue to which events go as well.
    pub queue: Option<QueueScript>,
    /// The day's quota.
    pub quota: Quota,
    /// Actions that RAM denies.
    pub deny: Vec<String>,
    /// The token service.
    pub sts: Sts,
    /// The instance metadata service.
    pub metadata: Metadata,
    /// The credentials service.
    pub credentials_uri: CredentialsUri,
    /// The node of the CDN that serves playback URLs.
    pub edge: EdgeScript,
    /// Ids for the first jobs.
    pub job_ids: Vec<String>,
    /// Jobs that exist from the first request on.
    pub jobs: BTreeMap<String, JobScript>,
    /// How single media behave.
    pub media: BTreeMap<String, MediaScript>,
    /// How all the others behave.
    pub default_media: MediaScript,
    /// What goes wrong, and when.
    pub faults: Vec<FaultRule>,
}

/// The account's callback, as `SetMessageCallback` would set it up with every event type switched on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Callback {
    /// The address, which is also what is signed. `CallbackURL` in a request's `UserData` goes before it.
    pub url: String,
    /// The key that signs; none: events are not signed.
    #[serde(default)]
    pub key: Option<String>,
}

/// A job that nobody submitted here.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobScript {
    /// `Refresh` or `Preload`.
    pub task_type: String,
    /// Ids of its media; missing and forbidden ones are left out.
    pub media: Vec<String>,
    /// What was given as `UserData`.
    pub user_data: Option<String>,
}

impl Default for JobScript {
    fn default() -> Self {
        Self { task_type: "Refresh".into(), media: Vec::new(), user_data: None }
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            keys: BTreeMap::from([("testid".to_owned(), "testsecret".to_owned())]),
            tokens: BTreeMap::new(),
            seed: None,
            clock_offset: 0,
            latency: Duration::ZERO,
            idle_timeout: Duration::from_secs(75),
            job_delay: Duration::from_millis(300),
            event_delay: Duration::ZERO,
            pending_for: Duration::ZERO,
            task_duration: Duration::from_secs(2),
            task_jitter: Duration::ZERO,
            urls_per_media: 2,
            url_with_commas: false,
            merge_ids_across_media: false,
            extend_as_object: false,
            pages: Pages::default(),
            task_filters: Filtering::default(),
            rates: BTreeMap::new(),
            callback: None,
            queue: None,
            quota: Quota::default(),
            deny: Vec::new(),
            sts: Sts::default(),
            metadata: Metadata::default(),
            credentials_uri: CredentialsUri::default(),
            edge: EdgeScript::default(),
            job_ids: Vec::new(),
            jobs: BTreeMap::new(),
            media: BTreeMap::new(),
            default_media: MediaScript::default(),
            faults: Vec::new(),
        }
    }
}

impl Scenario {
    /// A cloud in good health.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a scenario file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the line and the column, or the field.
    pub fn from_json(text: &str) -> Result<Self> {
        let wrong = |why: String| Error::new(ErrorKind::Config, format!("the scenario does not fit: {why}"));
        let scenario: Self =
            serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|e| wrong(e.to_string()))?;
        scenario.check().map_err(wrong)?;
        Ok(scenario)
    }

    /// What the types do not rule out: a misspelt action would never match, and nobody would notice.
    fn check(&self) -> Result<(), String> {
        let known = |field: String, action: &str| {
            ensure(actions::is_known(action), || format!("{field}: there is no action {action:?}"))
        };
        for (n, rule) in self.faults.iter().enumerate() {
            if rule.action != "*" {
                known(format!("faults[{n}].action"), &rule.action)?;
            }
            let status = rule.fault.status().unwrap_or(200);
            ensure((200..600).contains(&status), || {
                format!("faults[{n}].fault: {status} is no status of an answer, 200 to 599 are")
            })?;
        }
        for (n, action) in self.deny.iter().enumerate() {
            known(format!("deny[{n}]"), action)?;
        }
        for (action, rate) in &self.rates {
            known("rates".into(), action)?;
            ensure((0.0..=MOST as f64).contains(rate), || {
                format!("rates.{action}: {rate} is no rate, 0 to {MOST} calls a second are")
            })?;
        }
        for (id, JobScript { task_type, .. }) in &self.jobs {
            ensure(["Refresh", "Preload"].contains(&task_type.as_str()), || {
                format!("jobs.{id}.task_type: {task_type:?} is neither Refresh nor Preload")
            })?;
        }
        let refusal = self.edge.head_refused.unwrap_or(400);
        ensure((400..600).contains(&refusal), || {
            format!("edge.head_refused: {refusal} is no status of a refusal, 400 to 599 are")
        })?;
        self.check_sizes()
    }

    /// A digit too many, and the cloud would eat up the machine or live outside of what a calendar holds.
    fn check_sizes(&self) -> Result<(), String> {
        for (place, offset) in [("", self.clock_offset), ("edge.", self.edge.clock_offset)] {
            ensure((-MAX_CLOCK_OFFSET..=MAX_CLOCK_OFFSET).contains(&offset), || {
                format!("{place}clock_offset: {offset} is more than a hundred years")
            })?;
        }
        let small = |place: &str, count: usize| {
            ensure(count <= MOST, || format!("{place}: {count} is more than {MOST}"))
        };
        small("urls_per_media", self.urls_per_media)?;
        let media = self.media.iter().map(|(id, script)| (format!("media.{id}"), script));
        for (place, script) in [("default_media".to_owned(), &self.default_media)].into_iter().chain(media) {
            small(&format!("{place}.url_count"), script.url_count.unwrap_or_default())?;
            small(&format!("{place}.foreign_rows"), script.foreign_rows)?;
        }
        let queue = self.queue.as_ref();
        small("queue.foreign", queue.map_or(0, |queue| queue.foreign))?;
        small("queue.undecodable", queue.map_or(0, |queue| queue.undecodable))
    }
}

fn ensure(is_so: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(why()) }
}

/// Scenarios built in Rust, a step at a time.
impl Scenario {
    /// Changes any field: `Scenario::new().with(|s| s.urls_per_media = 3)`.
    #[must_use]
    pub fn with<T>(mut self, change: impl FnOnce(&mut Self) -> T) -> Self {
        change(&mut self);
        self
    }

    /// Sends events to `url`, signed with `key` if there is one.
    #[must_use]
    pub fn with_callback(mut self, url: impl Into<String>, key: Option<&str>) -> Self {
        self.callback = Some(Callback { url: url.into(), key: key.map(str::to_owned) });
        self
    }

    /// Says how one media behaves.
    #[must_use]
    pub fn with_media(mut self, id: impl Into<String>, script: MediaScript) -> Self {
        self.media.insert(id.into(), script);
        self
    }

    /// Adds a fault; rules are tried in the order in which they were added.
    #[must_use]
    pub fn with_fault(mut self, rule: FaultRule) -> Self {
        self.faults.push(rule);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::media::OneByOne;
    use super::*;

    /// The example of a page.
    fn example_of(page: &str) -> Scenario {
        let lines = page.lines().skip_while(|line| *line != "```json").skip(1);
        let text: String = lines.take_while(|line| *line != "```").collect();
        Scenario::from_json(&text).unwrap()
    }

    #[test]
    fn an_empty_file_is_a_cloud_in_good_health() {
        let scenario = Scenario::from_json("{}").unwrap();
        assert_eq!(scenario.keys["testid"], "testsecret");
        assert_eq!(scenario.job_delay, Duration::from_millis(300));
        assert!(scenario.faults.is_empty());
    }

    #[test]
    fn the_examples_of_the_pages_are_read() {
        let scenario = example_of(include_str!("../../docs/scenario.md"));
        assert_eq!(scenario.media.len(), 4);
        assert_eq!(scenario.faults.len(), 2);
        let scenario = example_of(include_str!("../../docs/telling.md"));
        let slow = &scenario.media["slow"].telling;
        assert_eq!(slow.rows_one_by_one, OneByOne::Every(Duration::from_secs(3)));
        assert_eq!(slow.lookup_grows, OneByOne::Looks(true));
        let written = serde_json::to_string(&scenario).unwrap();
        assert_eq!(serde_json::to_string(&Scenario::from_json(&written).unwrap()).unwrap(), written);
    }

    #[test]
    fn a_scenario_survives_being_written_and_read() {
        let scenario =
            Scenario::new().with_callback("http://h/", Some("k")).with_media("m", MediaScript::missing());
        let text = serde_json::to_string(&scenario).unwrap();
        assert_eq!(serde_json::to_string(&Scenario::from_json(&text).unwrap()).unwrap(), text);
    }

    #[test]
    fn a_slip_is_named_with_its_place() {
        let table = [
            ("{\n \"job_dealy\": \"1s\"\n}", &["job_dealy", "line 2"][..]),
            ("{\"job_delay\": 5}", &["line 1", "column"]),
            ("{\"job_delay\": \"5\"}", &["\"5\" is no duration", "line 1"]),
            ("{\"media\": {\"m\": {\"mising\": true}}}", &["mising", "line 1"]),
            ("{\"faults\": [{\"fault\": {\"throtle\": {}}}]}", &["throtle", "throttle"]),
            ("{\"faults\": [{\"fault\": {\"throttle\": {\"stats\": 1}}}]}", &["stats", "status"]),
            ("{\"faults\": [{\"action\": \"*\"}]}", &["fault", "missing"]),
            ("{", &["line 1"]),
            (
                "{\"faults\": [{\"action\": \"Refresh\", \"fault\": \"garbage\"}]}",
                &["faults[0].action", "Refresh"],
            ),
            ("{\"faults\": [{\"fault\": {\"html\": {\"status\": 99}}}]}", &["faults[0].fault", "99"]),
            ("{\"deny\": [\"vod:x\"]}", &["deny[0]", "vod:x"]),
            ("{\"rates\": {\"x\": 1}}", &["rates", "x"]),
            ("{\"rates\": {\"AssumeRole\": -1}}", &["rates.AssumeRole", "-1"]),
            ("{\"rates\": {\"AssumeRole\": 6e56}}", &["rates.AssumeRole"]),
            ("{\"clock_offset\": 9000000000000000}", &["clock_offset", "hundred years"]),
            ("{\"edge\": {\"head_refused\": 200}}", &["edge.head_refused", "200"]),
            ("{\"edge\": {\"clock_offset\": 9000000000000000}}", &["edge.clock_offset", "hundred years"]),
            ("{\"edge\": {\"stale\": true}}", &["stale", "kept"]),
            ("{\"job_delay\": \"9000000000h\"}", &["ten years", "line 1"]),
            ("{\"urls_per_media\": 1000001}", &["urls_per_media", "1000000"]),
            ("{\"media\": {\"m\": {\"url_count\": 1000001}}}", &["media.m.url_count"]),
            ("{\"default_media\": {\"foreign_rows\": 1000001}}", &["default_media.foreign_rows"]),
            ("{\"pages\": {\"size\": 0}}", &["nonzero", "line 1"]),
            ("{\"default_media\": {\"telling\": {\"lookup_grows\": \"3\"}}}", &["OneByOne", "line 1"]),
            ("{\"queue\": {\"foreign\": 99999999999}}", &["queue.foreign"]),
            ("{\"jobs\": {\"J1\": {\"task_type\": \"refresh\"}}}", &["jobs.J1.task_type"]),
        ];
        for (text, words) in table {
            let error = Scenario::from_json(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            for word in words {
                assert!(error.message().contains(word), "{error} lacks {word:?}");
            }
        }
    }
}
