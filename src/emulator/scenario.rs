//! The scenario: how the pretend cloud behaves. A JSON file, or built in Rust.
//!
//! Every field may be left out; an unknown field is an error, so that a slip of the pen is noticed. Durations are
//! texts such as `"200ms"`, `"8s"`, `"1m30s"`, `"2h"`. An empty file `{}` is a cloud in good health.
//!
//! ```json
//! {
//!   "callback": {"url": "http://127.0.0.1:8080/vod", "key": "Abc123Key"},
//!   "job_delay": "500ms",
//!   "task_duration": "4s",
//!   "default_media": {"event": {"double": true}},
//!   "media": {
//!     "gone":   {"missing": true},
//!     "secret": {"forbidden": true},
//!     "broken": {"submit_fail": {"code": "InvalidDomain.NotFound", "message": "Can't find domain."}},
//!     "half":   {"url_count": 4, "failed_tasks": [1, 3], "failed_description": "Origin Timeout"}
//!   },
//!   "faults": [
//!     {"action": "RefreshMediaPlayUrls", "times": 2, "fault": {"throttle": {"status": 503, "code": "Throttling"}}},
//!     {"action": "DescribeVodRefreshTasks", "skip": 3, "fault": "reset_before"}
//!   ]
//! }
//! ```
//!
//! # The cloud as a whole
//!
//! | field | default | meaning |
//! |---|---|---|
//! | `keys` | `{"testid": "testsecret"}` | access key ids and their secrets. Never put real ones here |
//! | `tokens` | none | key id → the `SecurityToken` that this key must bring |
//! | `seed` | a random one | makes the ids that are handed out the same in every run |
//! | `clock_offset` | 0 | seconds that the cloud's clock is ahead; negative: behind |
//! | `latency` | `0s` | every answer takes this long |
//! | `idle_timeout` | `75s` | a connection on which nothing is asked for this long is closed, without notice |
//! | `job_delay` | `300ms` | from the submit call until the URLs are with the CDN, and visible in lookups |
//! | `event_delay` | `0s` | from there until the event is sent |
//! | `pending_for` | `0s` | how long a task is `Pending` before it is `Refreshing` |
//! | `task_duration` | `2s` | how long a task takes in all |
//! | `task_jitter` | `0s` | up to this much is added to each task's duration, spread evenly |
//! | `urls_per_media` | 2 | playback URLs (and so tasks) of one media |
//! | `url_with_commas` | false | makes URLs with commas in them |
//! | `merge_ids_across_media` | false | all URLs of one submit call share one task id |
//! | `extend_as_object` | false | events carry `Extend` as an object, not as a text holding JSON |
//! | `rates` | 50 for the two job actions | action → calls a second; 0 = no limit. More gives `Throttling.User` |
//! | `callback` | none | `url`, and `key` if events are to be signed. Without it no event is sent, whatever `UserData` says |
//! | `deny` | none | actions that answer `Forbidden.RAM` |
//! | `job_ids` | none | ids for the first jobs, in order; later ones are made up |
//! | `jobs` | none | jobs that exist from the first request on: id → `{"task_type": "Refresh", "media": ["m1"], "user_data": null}`; they send no events |
//! | `media` | none | media id → how this media behaves, see [`MediaScript`] |
//! | `default_media` | healthy | how media not listed behave |
//! | `faults` | none | a list of [`FaultRule`]s |
//!
//! The fields of one media stand at [`MediaScript`], those of its event at
//! [`EventScript`](super::EventScript), the faults at [`Fault`](super::Fault).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;
use super::media::MediaScript;
use super::rules::FaultRule;
use crate::error::{Error, ErrorKind, Result};

/// How the pretend cloud behaves. The module's text says what each field means.
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
    /// Calls a second by action; 0 means no limit.
    pub rates: BTreeMap<String, f64>,
    /// Where events go.
    pub callback: Option<Callback>,
    /// Actions that RAM denies.
    pub deny: Vec<String>,
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
            rates: BTreeMap::new(),
            callback: None,
            deny: Vec::new(),
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
    /// [`ErrorKind::Config`], naming the line, the column and the field.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text.trim_start_matches('\u{feff}'))
            .map_err(|e| Error::new(ErrorKind::Config, format!("the scenario does not fit: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_a_cloud_in_good_health() {
        let scenario = Scenario::from_json("{}").unwrap();
        assert_eq!(scenario.keys["testid"], "testsecret");
        assert_eq!(scenario.job_delay, Duration::from_millis(300));
        assert!(scenario.faults.is_empty());
    }

    #[test]
    fn the_example_of_the_documentation_is_read() {
        let text: String = include_str!("scenario.rs")
            .lines()
            .skip_while(|line| !line.ends_with("```json"))
            .skip(1)
            .take_while(|line| !line.ends_with("```"))
            .map(|line| line.trim_start_matches("//!"))
            .collect();
        let scenario = Scenario::from_json(&text).unwrap();
        assert_eq!(scenario.media.len(), 4);
        assert_eq!(scenario.faults.len(), 2);
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
