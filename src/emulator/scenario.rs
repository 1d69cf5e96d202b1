//! The scenario: how the pretend cloud behaves. A JSON file, or built in Rust.
//!
//! Every field may be left out; an unknown field is an error, so that a slip of the pen is noticed. Durations are
//! texts such as `"200ms"`, `"8s"`, `"1m30s"`, `"2h"`, ten years at most; longer ones given in Rust count as ten years.
//! An empty file `{}` is a cloud in good health.
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
//! | `pages` | honest | how rows are cut into pages and counted: page [`telling`](super::telling) |
//! | `task_filters` | `works` | how listings of tasks treat `ObjectType`, `DomainName` and `Status`: `works`, `refused`, `shows_nothing`, `knows_no_domain`, `hides_half`, `ignored` |
//! | `rates` | 50 for the two job actions | action → calls a second; 0 = no limit. More gives `Throttling.User` |
//! | `callback` | none | `url`, and `key` if events are to be signed: the event settings at the start, with every event type on. Without settings no event is sent, whatever `UserData` says. `SetMessageCallback` and `DeleteMessageCallback` replace them |
//! | `quota` | see below | the day's quota |
//! | `queue` | none | a queue to which events go as well, see below |
//! | `deny` | none | actions that answer `Forbidden.RAM`, those of the token service `NoPermission`, of the queue `AccessDenied` |
//! | `sts` | every role | the token service, see below |
//! | `metadata` | a role | the instance metadata service, see below |
//! | `credentials_uri` | `{"life": "1h"}` | the credentials service at `/credentials`: how long its keys live |
//! | `job_ids` | none | ids for the first jobs, in order; later ones are made up |
//! | `jobs` | none | jobs that exist from the first request on: id → `{"task_type": "Refresh", "media": ["m1"], "user_data": null}`; they send no events |
//! | `media` | none | media id → how this media behaves, see below |
//! | `default_media` | healthy | how media not listed behave |
//! | `faults` | none | a list of rules, see below |
//!
//! # The quota
//!
//! Each URL of a submission counts; the day turns at midnight, Beijing time. What is used up is answered with
//! `QuotaExceeded.Refresh` or `.Preload`, for the whole call.
//!
//! | field | default | meaning |
//! |---|---|---|
//! | `url_quota`, `preload_quota` | 1,000,000 | URLs to purge and to prefetch in a day: a raised account, so that no test runs into it by chance. New accounts have 2,000 and 500 |
//! | `dir_quota` | 100 | directories to purge in a day; nothing here uses them |
//! | `block_quota` | none | left out of the answer without it |
//! | `url_remain`, `preload_remain`, `dir_remain`, `block_remain` | all of it | what is left on the first day |
//!
//! # One media
//!
//! | field | default | meaning |
//! |---|---|---|
//! | `missing` | false | does not exist: `NonExistMediaIds` |
//! | `forbidden` | false | may not be used: `ForbiddenMediaIds` |
//! | `submit_fail` | none | `{"code": …, "message": …}`: the CDN does not take its URLs, status `fail` |
//! | `urls`, `url_count` | made up | its playback URLs, or how many to make up |
//! | `no_urls` | false | status `success` with empty lists |
//! | `task_ids` | made up | its task ids (letters and digits), in the order of the URLs |
//! | `task_duration`, `pending_for` | the cloud's | for its tasks only |
//! | `failed_tasks` | none | tasks that end as `Failed`: `true`, a number (the first so many), or a list of places from 0 |
//! | `failed_description` | `Internal Error` | their `Description` |
//! | `never_complete` | none | tasks that stay `Refreshing`, written the same |
//! | `merged_tasks` | false | all its URLs share one task id: several rows, and with more than 50 URLs several pages |
//! | `foreign_rows`, `foreign_status` | 0, `Complete` | so many rows of other people's URLs under each of its task ids |
//! | `invisible_for`, `invisible_looks` | 0 | so long, and for so many queries of the id, its tasks are not found |
//! | `lookup_empty_for`, `lookup_empty_looks` | 0 | so long, and for so many lookups, its job does not show it |
//! | `telling` | honest | how rows, lookups and events tell of it, as other spellings, lists in other shapes, rows one by one or twice: page [`telling`](super::telling) |
//! | `event` | sent once | see below |
//!
//! # The event of one media
//!
//! An event comes once for each media that was neither missing nor forbidden, three attempts at most, a second apart;
//! only an answer of 200 within 5 s ends them.
//!
//! | field | default | meaning |
//! |---|---|---|
//! | `lost` | false | never sent |
//! | `delay` | the cloud's `event_delay` | sent so long after the CDN got the URLs |
//! | `double` | false | sent twice |
//! | `early` | none | sent at once, and the submit answer is held back for so long |
//! | `forged_first` | none | a rightly signed event with these task ids goes ahead; these tasks are then `Complete` |
//! | `unsigned_fail_first` | false | an event without signature that says `fail` goes ahead, over HTTP only |
//! | `replayed_with` | none | an event with these task ids follows, with the very headers of the one before, over HTTP only; these tasks are then `Complete` |
//! | `partial` | false | names only the first of its URLs and tasks |
//! | `unsigned`, `bad_signature`, `stale_timestamp` | false | no signature, a wrong one, one of ten minutes ago |
//! | `status` | `success`, `fail` | another status word |
//! | `extend_as_object` | false | `Extend` is an object |
//!
//! # The queue
//!
//! It stands at `/queues/NAME` of the same address, takes the same keys, and answers as the queue service does: long polls,
//! visibility, handles that change at each delivery, a 404 where there is nothing. Each event is put into it once (twice where
//! the media says `double`); with a `callback` as well, events go both ways. Its operations are `ReceiveMessage`,
//! `BatchReceiveMessage`, `PeekMessage`, `BatchPeekMessage`, `DeleteMessage`, `BatchDeleteMessage`, `ChangeMessageVisibility`,
//! `SendMessage` and `GetQueueAttributes`; `rates`, `deny` and `faults` take these names as well. A `throttle` without
//! details is a 429 `TooManyRequests` there; faults that are about JSON do nothing.
//!
//! | field | default | meaning |
//! |---|---|---|
//! | `name` | `vod-events` | its name |
//! | `encoding` | `raw` | `raw`, `base64`, or `mixed`: how events are written into it |
//! | `visibility_timeout` | `30s` | how long a received message is hidden |
//! | `retention` | `96h` | how long a message is kept |
//! | `foreign` | 0 | so many messages of others are in it from the beginning |
//! | `undecodable` | 0 | so many that are no events at all |
//! | `poll_cap` | none | so many polls may wait at once; further ones find the queue empty at once |
//!
//! # Temporary keys
//!
//! `AssumeRole` (signed) and `AssumeRoleWithOIDC` (not signed), both of version 2015-04-01, give out keys that every
//! action accepts with their token, until they end: from then on the answer is `InvalidSecurityToken.Expired`. The
//! metadata service of an ECS instance is at its usual paths (`/latest/api/token`,
//! `/latest/meta-data/ram/security-credentials/`), and a credentials service at `/credentials`.
//!
//! | field | default | meaning |
//! |---|---|---|
//! | `sts.life` | as asked for | how long its keys live, whatever `DurationSeconds` says |
//! | `sts.roles` | every role | ARNs of the roles that exist; others: `EntityNotExist.Role` |
//! | `sts.oidc_tokens` | every token | OIDC tokens that are good; others: `AuthenticationFail.OIDCToken.Expired` |
//! | `metadata.role` | `emulator-role` | the instance's role; empty: it has none |
//! | `metadata.life` | `6h` | how long the role's keys live; they are replaced after half of it |
//! | `metadata.v1` | true | whether requests without a metadata token are answered |
//!
//! # Faults
//!
//! A rule is `{"action": "*", "task": …, "media": …, "job": …, "skip": 0, "times": 1, "fault": …}`; all but `fault` may be
//! left out. It strikes rightly signed requests of that action (besides the API's: `MetadataToken`, `MetadataRole`,
//! `MetadataCredentials`, `CredentialsUri`), for that task (`""`: those that name none, as listings), media or job; `skip` of them pass first;
//! it fires `times` times, 0 meaning for ever. The first rule that fires wins. A fault is a name, or a name with details,
//! which may be left out as well: `{"throttle": {}}`.
//!
//! | fault | details and defaults | is the work done? |
//! |---|---|---|
//! | `throttle` | `code` `Throttling.User`, `status` 400, `retry_after_ms` (header `x-acs-retry-after`), `retry_after_s` (header `Retry-After`) | no |
//! | `error`, `xml_error` | `status` 500, `code` `InternalError`, `message` | no |
//! | `empty` | `status` 503; no body | no |
//! | `html` | `status` 502; a proxy's page, with the status as its title | no |
//! | `redirect` | `status` 302, `location` `http://portal.example.test/login`; a portal's page | no |
//! | `"reset_before"` | connection cut | no |
//! | `"reset_after"` | connection cut | yes |
//! | `stall` | `done` false; no answer ever | as `done` says |
//! | `"garbage"` | status 200, not JSON | yes |
//! | `"empty_object"` | status 200, `{}` | yes |
//! | `wrong_shape` | `shape` `text`, `lone_row` (of a list of one), `object` or `empty_rows`: what stands for the list of the answer | yes |
//! | `"bom"` | a byte order mark before the answer | yes |
//! | `"half_body"` | head and half of the body, then cut | yes |
//! | `delay` | `by`, a duration | yes |
//! | `"lower_case_keys"` | `requestId` for `RequestId` and so on | yes |
//! | `"wrong_task_rows"` | failed rows of other tasks among those asked for | yes |
//! | `"total_as_string"`, `"no_total"` | `TotalCount` as a text, or left out | yes |

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;
use super::filters::Filtering;
use super::media::MediaScript;
use super::metadata::{CredentialsUri, Metadata};
use super::pages::Pages;
use super::queue::QueueScript;
use super::quota::Quota;
use super::rules::FaultRule;
use super::sts::Sts;
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
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The scenario in the documentation of a file.
    pub(in crate::emulator) fn example_of(file: &str) -> Scenario {
        let text: String = file
            .lines()
            .skip_while(|line| !line.ends_with("```json"))
            .skip(1)
            .take_while(|line| !line.ends_with("```"))
            .map(|line| line.trim_start_matches("//!"))
            .collect();
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
    fn the_example_of_the_documentation_is_read() {
        let scenario = example_of(include_str!("scenario.rs"));
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
}
