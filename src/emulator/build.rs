//! Scenarios built in Rust, a step at a time.

use std::time::Duration;

use super::filters::Filtering;
use super::media::MediaScript;
use super::metadata::{CredentialsUri, Metadata};
use super::pages::Pages;
use super::queue::QueueScript;
use super::quota::Quota;
use super::rules::FaultRule;
use super::scenario::{Callback, JobScript, Scenario};
use super::sts::Sts;

impl Scenario {
    /// Adds an access key.
    #[must_use]
    pub fn with_key(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.keys.insert(id.into(), secret.into());
        self
    }

    /// Makes a key need this security token.
    #[must_use]
    pub fn with_token(mut self, key_id: impl Into<String>, token: impl Into<String>) -> Self {
        self.tokens.insert(key_id.into(), token.into());
        self
    }

    /// Sets the seed of the ids that are handed out.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets how many seconds the cloud's clock is ahead.
    #[must_use]
    pub fn with_clock_offset(mut self, seconds: i64) -> Self {
        self.clock_offset = seconds;
        self
    }

    /// Sets how long every answer takes.
    #[must_use]
    pub fn with_latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Sets the time from the submit call until the URLs are with the CDN.
    #[must_use]
    pub fn with_job_delay(mut self, delay: Duration) -> Self {
        self.job_delay = delay;
        self
    }

    /// Sets the time from there until the event is sent.
    #[must_use]
    pub fn with_event_delay(mut self, delay: Duration) -> Self {
        self.event_delay = delay;
        self
    }

    /// Sets how long a task takes.
    #[must_use]
    pub fn with_task_duration(mut self, duration: Duration) -> Self {
        self.task_duration = duration;
        self
    }

    /// Sets how many playback URLs a media has.
    #[must_use]
    pub fn with_urls_per_media(mut self, count: usize) -> Self {
        self.urls_per_media = count;
        self
    }

    /// Makes URLs with commas in them.
    #[must_use]
    pub fn with_commas_in_urls(mut self) -> Self {
        self.url_with_commas = true;
        self
    }

    /// Makes all URLs of one submit call share one task id.
    #[must_use]
    pub fn with_ids_merged_across_media(mut self) -> Self {
        self.merge_ids_across_media = true;
        self
    }

    /// Sets the calls a second that one action takes; 0 means no limit.
    #[must_use]
    pub fn with_rate(mut self, action: impl Into<String>, per_second: f64) -> Self {
        self.rates.insert(action.into(), per_second);
        self
    }

    /// Sends events to `url`, signed with `key` if there is one.
    #[must_use]
    pub fn with_callback(mut self, url: impl Into<String>, key: Option<&str>) -> Self {
        self.callback = Some(Callback { url: url.into(), key: key.map(str::to_owned) });
        self
    }

    /// Gives the cloud a queue, to which events go as well.
    #[must_use]
    pub fn with_queue(mut self, queue: QueueScript) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Sets the day's quota.
    #[must_use]
    pub fn with_quota(mut self, quota: Quota) -> Self {
        self.quota = quota;
        self
    }

    /// Makes RAM deny an action.
    #[must_use]
    pub fn with_denied(mut self, action: impl Into<String>) -> Self {
        self.deny.push(action.into());
        self
    }

    /// Sets how the token service behaves.
    #[must_use]
    pub fn with_sts(mut self, sts: Sts) -> Self {
        self.sts = sts;
        self
    }

    /// Sets how the instance metadata service behaves.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Sets how long the keys of the credentials service live.
    #[must_use]
    pub fn with_credentials_uri_life(mut self, life: Duration) -> Self {
        self.credentials_uri = CredentialsUri { life };
        self
    }

    /// Sets the ids of the first jobs.
    #[must_use]
    pub fn with_job_ids<T: Into<String>>(mut self, ids: impl IntoIterator<Item = T>) -> Self {
        self.job_ids = ids.into_iter().map(Into::into).collect();
        self
    }

    /// Says how rows are cut into pages and counted.
    #[must_use]
    pub fn with_pages(mut self, pages: Pages) -> Self {
        self.pages = pages;
        self
    }

    /// Says how listings of tasks treat their filters.
    #[must_use]
    pub fn with_task_filters(mut self, filtering: Filtering) -> Self {
        self.task_filters = filtering;
        self
    }

    /// Adds a job that exists already.
    #[must_use]
    pub fn with_job(mut self, id: impl Into<String>, job: JobScript) -> Self {
        self.jobs.insert(id.into(), job);
        self
    }

    /// Says how one media behaves.
    #[must_use]
    pub fn with_media(mut self, id: impl Into<String>, script: MediaScript) -> Self {
        self.media.insert(id.into(), script);
        self
    }

    /// Says how media behave that have no script of their own.
    #[must_use]
    pub fn with_default_media(mut self, script: MediaScript) -> Self {
        self.default_media = script;
        self
    }

    /// Adds a fault; rules are tried in the order in which they were added.
    #[must_use]
    pub fn with_fault(mut self, rule: FaultRule) -> Self {
        self.faults.push(rule);
        self
    }
}
