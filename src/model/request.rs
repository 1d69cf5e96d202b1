//! What a run is asked to do, and how it waits.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use crate::error::{Error, ErrorKind, Result};
use crate::ids::{JobId, MediaId, masked_address};
use crate::vod::{Area, Filters, ObjectAction, ObjectType, TaskType};

/// Media to be purged or prefetched.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RefreshRequest {
    /// Purge or prefetch.
    pub task_type: TaskType,
    /// Any number of media, each once, in the order given.
    pub media: Vec<MediaId>,
    /// Which URLs of them.
    pub filters: Filters,
    /// The caller's own text, returned in events and in the report.
    pub extend: Option<String>,
    /// The public URL that VOD is asked to call with the events, as `UserData.MessageCallback`. It works only where
    /// the account has an HTTP callback configured that includes the event. Written down, as a journal does it, it is without
    /// its password and its query, which may hold a token; batches that such a run still has to send go without it.
    #[serde(serialize_with = "without_secrets")]
    pub callback_url: Option<String>,
    /// Preload afterwards what ended complete, in the same run. Not written where it is `false`, as before version 0.2.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub then_preload: bool,
}

impl RefreshRequest {
    /// A request for `media`; an id given twice counts once.
    pub fn new(task_type: TaskType, media: impl IntoIterator<Item = MediaId>) -> Self {
        Self {
            task_type,
            media: each_once(media),
            filters: Filters::default(),
            extend: None,
            callback_url: None,
            then_preload: false,
        }
    }

    /// Narrows the URLs.
    #[must_use]
    pub fn with_filters(mut self, filters: Filters) -> Self {
        self.filters = filters;
        self
    }

    /// Adds the caller's own text. As JSON, with the run's mark around it, it has room for
    /// [`MAX_EXTEND_BYTES`](crate::run::MAX_EXTEND_BYTES); a longer one is [`ErrorKind::Usage`](crate::ErrorKind::Usage) when
    /// the run begins.
    #[must_use]
    pub fn with_extend(mut self, text: impl Into<String>) -> Self {
        self.extend = Some(text.into());
        self
    }

    /// Asks VOD to send the events of this request to `url`. Source: "UserData" of the VOD API, `MessageCallback`.
    #[must_use]
    pub fn with_callback_url(mut self, url: impl Into<String>) -> Self {
        self.callback_url = Some(url.into());
        self
    }

    /// Preloads, in the same run and report, the media whose refresh ended complete; `false` by default. The same URLs of them
    /// are chosen. A request that is no refresh, or whose run does not wait
    /// ([`RunOptions::wait`]), is [`ErrorKind::Usage`](crate::ErrorKind::Usage) then when the run begins.
    #[must_use]
    pub fn with_then_preload(mut self, then_preload: bool) -> Self {
        self.then_preload = then_preload;
        self
    }
}

impl fmt::Debug for RefreshRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshRequest")
            .field("task_type", &self.task_type)
            .field("media", &self.media)
            .field("filters", &self.filters)
            .field("extend", &self.extend)
            .field("callback_url", &self.callback_url.as_deref().map(masked_address))
            .field("then_preload", &self.then_preload)
            .finish()
    }
}

fn without_secrets<S: Serializer>(url: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    url.as_deref().map(masked_address).serialize(serializer)
}

/// URLs and folders to be purged or prefetched, of media or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UrlRequest {
    /// Purge or prefetch.
    pub task_type: TaskType,
    /// Any number of URLs, each once, in the order given.
    pub urls: Vec<String>,
    /// What all of them stand for; `None`: a URL that ends with a slash is a folder, any other a file. Counts for a purge.
    pub object_type: Option<ObjectType>,
    /// Of folders: drops everything, and not only what has changed at the origin. Counts for a purge.
    pub force: bool,
    /// Where the CDN prefetches; `None` for the area of the domain.
    pub area: Option<Area>,
    /// Prefetches into the nodes of the second level.
    pub l2: bool,
}

impl UrlRequest {
    /// A request for `urls`; one that is given twice counts once.
    pub fn new(task_type: TaskType, urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let urls = each_once(urls.into_iter().map(Into::into));
        Self { task_type, urls, object_type: None, force: false, area: None, l2: false }
    }

    /// What is done with one of the URLs.
    pub fn action(&self, url: &str) -> ObjectAction {
        match self.task_type {
            TaskType::Refresh => {
                let object_type = self.object_type.unwrap_or_else(|| ObjectType::of(url));
                ObjectAction::Refresh { object_type, force: self.force }
            }
            TaskType::Preload => ObjectAction::Preload { area: self.area, l2: self.l2 },
        }
    }

    /// Checks that there are URLs, and that each can be handed over.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] without URLs, or for the first that [`ObjectAction::check`] refuses.
    pub fn check(&self) -> Result<()> {
        if self.urls.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "no URL to work on"));
        }
        self.urls.iter().try_for_each(|url| self.action(url).check(url).map(drop))
    }
}

/// Jobs that somebody else submitted, and what is known of their media.
///
/// The service shows the media of a job one by one and says nowhere how many there are. A job is taken as whole when its
/// rows have not changed for ten seconds; who knows more can say it, and then no pause of the service is too long.
///
/// ```
/// use vod_refresh::{JobId, MediaId, WaitRequest};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let named = WaitRequest::new([JobId::new("J1")?]).with_media([MediaId::new("intro")?]);
/// let counted = WaitRequest::new([JobId::new("J1")?, JobId::new("J2")?]).with_expect(25);
/// assert!(named.check().is_ok() && counted.check().is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
#[non_exhaustive]
pub struct WaitRequest {
    /// The jobs, each once, in the order given.
    pub jobs: Vec<JobId>,
    /// The media of all these jobs together, each once; empty if nobody knows.
    pub media: Vec<MediaId>,
    /// How many media these jobs have together, if that is known; 1 or more.
    pub expect: Option<u32>,
}

impl WaitRequest {
    /// A request for `jobs`, of whose media nothing is known; an id given twice counts once.
    pub fn new(jobs: impl IntoIterator<Item = JobId>) -> Self {
        Self { jobs: each_once(jobs), media: Vec::new(), expect: None }
    }

    /// Names the media of the jobs; an id given twice counts once.
    #[must_use]
    pub fn with_media(mut self, media: impl IntoIterator<Item = MediaId>) -> Self {
        self.media = each_once(media);
        self
    }

    /// Says how many media the jobs have together.
    #[must_use]
    pub fn with_expect(mut self, count: u32) -> Self {
        self.expect = Some(count);
        self
    }

    /// Checks that there are jobs, each once, and that the number fits the names.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] without jobs, for an id that stands twice, for a number of 0, or for one that is less than the
    /// media that are named.
    pub fn check(&self) -> Result<()> {
        check_each_once("job id", &self.jobs)?;
        check_each_once("media id", &self.media)?;
        let named = self.media.len();
        let message = match self.expect {
            _ if self.jobs.is_empty() => "no job id to wait for".to_owned(),
            Some(0) => "0 media are expected: there is nothing to wait for".to_owned(),
            Some(count) if (count as usize) < named => {
                format!("{count} media are expected, and {named} are named")
            }
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::Usage, message))
    }
}

/// What journals hold: version 0.1.0 wrote the jobs alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Jobs(Vec<JobId>),
    Request { jobs: Vec<JobId>, media: Vec<MediaId>, expect: Option<u32> },
}

impl From<Written> for WaitRequest {
    fn from(written: Written) -> Self {
        match written {
            Written::Jobs(jobs) => Self::new(jobs),
            Written::Request { jobs, media, expect } => Self { jobs, media, expect },
        }
    }
}

/// Checks that no id stands twice in a list that did not come from one of the constructors.
pub(crate) fn check_each_once<Id: Eq + Hash + fmt::Display>(noun: &str, ids: &[Id]) -> Result<()> {
    let mut seen = HashSet::with_capacity(ids.len());
    match ids.iter().find(|id| !seen.insert(*id)) {
        Some(id) => Err(Error::new(ErrorKind::Usage, format!("{noun} {id} is given twice"))),
        None => Ok(()),
    }
}

/// Ids in the order in which they came first.
fn each_once<Id: Clone + Eq + Hash>(ids: impl IntoIterator<Item = Id>) -> Vec<Id> {
    let mut seen = HashSet::new();
    ids.into_iter().filter(|id| seen.insert(id.clone())).collect()
}

/// When `GetMediaRefreshJobs` is asked about a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LookupAfter {
    /// Once its events are in, and at the latest so long after it was submitted.
    After(Duration),
    /// Not at all: events alone count, also unconfirmed. Media whose event does not come stay unfinished.
    Never,
}

/// How a run waits. Begin with the default and set what is to differ.
///
/// ```
/// use std::time::Duration;
/// use vod_refresh::RunOptions;
///
/// let mut options = RunOptions::default();
/// options.timeout = Duration::from_secs(2 * 3_600);
/// options.fail_fast = true;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RunOptions {
    /// When jobs are looked up. `None`: 15 s after their submission with an event source, at once without.
    pub lookup_after: Option<LookupAfter>,
    /// First wait between two looks at a task. `None`: 2 s for a refresh, 10 s for a preload. Grows to 15 s or 60 s. A
    /// longer one, of 30 days at most, does not grow; with zero, the client's pace is all that keeps looks apart.
    pub poll_interval: Option<Duration>,
    /// For the whole run, from its start or from the moment it is resumed; an hour by default. Answers to the
    /// last looks get up to 2.5 s more. The source of the credentials may take as long before it, five seconds at least, and a
    /// journal that others write to 20 s. The service keeps its history for three days, so longer makes no sense. Source:
    /// "DescribeVodRefreshTasks", `StartTime`.
    pub timeout: Duration,
    /// `false`: stop once every batch is submitted. `true` by default.
    pub wait: bool,
    /// `false`: a batch whose answer was lost is not sent again. `true` by default.
    pub resubmit: bool,
    /// Stop waiting at the first failure; remote work goes on. `false` by default.
    pub fail_fast: bool,
    /// How long an event may take to tell of a lost submit answer before the batch is sent again; a minute by
    /// default. Without an event source it is a second.
    pub outcome_wait: Duration,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            lookup_after: None,
            poll_interval: None,
            timeout: Duration::from_secs(3_600),
            wait: true,
            resubmit: true,
            fail_fast: false,
            outcome_wait: Duration::from_secs(60),
        }
    }
}
