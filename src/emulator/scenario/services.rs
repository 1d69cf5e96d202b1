//! How the parts of the cloud behave that are not about single media: quota, pages and filters of listings, token
//! service, metadata service, queue.

use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;

/// What an account may do in a day, and what is left of it at the start. See the scenario's page.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quota {
    /// URLs to purge in a day.
    pub url_quota: u64,
    /// What is left of them on the first day; `None`: all.
    pub url_remain: Option<u64>,
    /// Directories to purge in a day.
    pub dir_quota: u64,
    /// What is left of them on the first day.
    pub dir_remain: Option<u64>,
    /// URLs to prefetch in a day.
    pub preload_quota: u64,
    /// What is left of them on the first day.
    pub preload_remain: Option<u64>,
    /// URLs to block; `None`: the answer does not speak of them.
    pub block_quota: Option<u64>,
    /// What is left of them.
    pub block_remain: Option<u64>,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            url_quota: 1_000_000,
            url_remain: None,
            dir_quota: 100,
            dir_remain: None,
            preload_quota: 1_000_000,
            preload_remain: None,
            block_quota: None,
            block_remain: None,
        }
    }
}

impl Quota {
    /// An account that has so much left of the usual 2,000 purges and 500 prefetches.
    pub fn with_left(purges: u64, prefetches: u64) -> Self {
        Self {
            url_quota: 2_000,
            url_remain: Some(purges),
            preload_quota: 500,
            preload_remain: Some(prefetches),
            ..Self::default()
        }
    }
}

/// How rows are cut into pages and counted. The default is honest; the [page](crate::emulator::telling) says what each field means.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pages {
    /// Most rows of a page, whatever was asked.
    pub size: Option<NonZeroUsize>,
    /// What the answer has as `PageSize`.
    pub size_named: SizeNamed,
    /// What it has as `TotalCount`.
    pub total: Total,
    /// So many rows move from the front to the end with each query.
    pub shift: usize,
}

/// What an answer has as `PageSize`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SizeNamed {
    /// The size by which the pages are cut.
    #[default]
    Right,
    /// The size that was asked for.
    Asked,
    /// Nothing.
    None,
}

/// What an answer has as `TotalCount`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Total {
    /// How many rows there are.
    #[default]
    Right,
    /// Nothing.
    None,
    /// Half of it.
    TooLow,
    /// 50 more.
    TooHigh,
    /// 0.
    Zero,
    /// The right number as a text.
    Text,
}

/// How listings of tasks treat `ObjectType`, `DomainName` and `Status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Filtering {
    /// As documented.
    #[default]
    Works,
    /// `InvalidObjectType.ValueNotSupported`, whatever the type.
    Refused,
    /// No row fits, whatever the filter.
    ShowsNothing,
    /// No row fits a domain: it stands in the service's books under another name.
    KnowsNoDomain,
    /// Every second task that fits is left out.
    HidesHalf,
    /// Every row fits, whatever the filter.
    Ignored,
}

/// How the token service behaves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sts {
    /// How long sessions live, whatever is asked for; none: as asked for.
    #[serde(with = "duration::option")]
    pub life: Option<Duration>,
    /// ARNs of the roles that exist; empty: every role does.
    pub roles: Vec<String>,
    /// OIDC tokens that are good; empty: every token is.
    pub oidc_tokens: Vec<String>,
}

/// How the metadata service behaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metadata {
    /// The name of the instance's role; empty: it has none.
    pub role: String,
    /// How long the role's keys live. They are replaced after half of it.
    #[serde(with = "duration")]
    pub life: Duration,
    /// Whether requests without a metadata token are answered (version 1 of the service).
    pub v1: bool,
}

impl Default for Metadata {
    fn default() -> Self {
        Self { role: "emulator-role".into(), life: Duration::from_secs(6 * 3600), v1: true }
    }
}

/// How the credentials service at `/credentials` behaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CredentialsUri {
    /// How long its keys live.
    #[serde(with = "duration")]
    pub life: Duration,
}

impl Default for CredentialsUri {
    fn default() -> Self {
        Self { life: Duration::from_secs(3600) }
    }
}

/// The queue at `/queues/NAME`, to which the cloud sends its events.
///
/// In a scenario file: `{"name": "vod-events", "encoding": "base64", "foreign": 3}`. A scenario that has a callback as well
/// sends each event both ways.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueScript {
    /// Its name.
    pub name: String,
    /// How events are written into it.
    pub encoding: QueueEncoding,
    /// How long a received message is hidden.
    #[serde(with = "duration")]
    pub visibility_timeout: Duration,
    /// How long a message is kept.
    #[serde(with = "duration")]
    pub retention: Duration,
    /// Other people's messages that are in it from the beginning: events of their jobs and of other types by turns.
    pub foreign: usize,
    /// Messages in it from the beginning that are no events at all.
    pub undecodable: usize,
    /// Polls that may wait at once; further ones find the queue empty at once. None: any number.
    pub poll_cap: Option<usize>,
}

impl Default for QueueScript {
    fn default() -> Self {
        Self {
            name: "vod-events".into(),
            encoding: QueueEncoding::Raw,
            visibility_timeout: Duration::from_secs(30),
            retention: Duration::from_secs(345_600),
            foreign: 0,
            undecodable: 0,
            poll_cap: None,
        }
    }
}

/// How events are written into a queue; the service's own way is not documented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QueueEncoding {
    /// JSON as it is.
    #[default]
    Raw,
    /// JSON in Base64.
    Base64,
    /// By turns.
    Mixed,
}

impl QueueScript {
    /// A queue of this name with the service's defaults.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}
