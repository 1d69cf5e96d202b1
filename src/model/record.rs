//! What is stored of a run: what it was asked to do, its facts, how it ended.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::fact::Fact;
use super::moment::Moment;
use super::report::{Calls, Outcome};
use super::request::{RefreshRequest, RunOptions, UrlRequest, WaitRequest};
use crate::auth::preview::KeyMark;
use crate::ids::RunId;
use crate::vod::TaskType;

/// What a run was asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Order {
    /// Submit these media and follow them.
    Refresh(RefreshRequest),
    /// Follow jobs that somebody else submitted.
    Wait(WaitRequest),
    /// Hand these URLs over and follow them.
    Urls(UrlRequest),
}

/// What the journal holds of a run beside its facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunRecord {
    /// The run.
    pub run: RunId,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// What it was asked to do.
    pub order: Order,
    /// How it waits.
    pub options: RunOptions,
    /// Whether it had an event source.
    pub has_events: bool,
    /// Which access key it was begun with; `None` in journals of version 0.1.0.
    #[serde(default)]
    pub key: Option<KeyMark>,
    /// What the caller wants back on resume: endpoint, region, event source. Must hold no secret.
    pub settings: serde_json::Value,
}

impl RunRecord {
    /// A run of one media.
    #[cfg(test)]
    pub(crate) fn sample(run: RunId) -> Self {
        let media = [crate::ids::MediaId::new("m1").unwrap()];
        Self {
            run,
            started_at: DateTime::from_timestamp(1_750_000_000, 0).unwrap(),
            order: Order::Refresh(RefreshRequest::new(TaskType::Refresh, media)),
            options: RunOptions::default(),
            has_events: false,
            key: None,
            settings: serde_json::json!({"region": "cn-shanghai"}),
        }
    }

    /// The caller's own text.
    pub(crate) fn extend(&self) -> Option<String> {
        match &self.order {
            Order::Refresh(request) => request.extend.clone(),
            Order::Wait(_) | Order::Urls(_) => None,
        }
    }

    /// Whether it preloads afterwards what it refreshes.
    pub(crate) fn then_preload(&self) -> bool {
        matches!(&self.order, Order::Refresh(RefreshRequest { then_preload: true, .. }))
    }
}

/// A run as `Journal::runs` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunSummary {
    /// The run.
    pub run_id: RunId,
    /// Purge or prefetch; `None` for jobs of others.
    pub task_type: Option<TaskType>,
    /// How it ended; `None` while it has not.
    pub outcome: Option<Outcome>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Media that it was asked for; of jobs of others, those that were named; 0 in a run of URLs.
    pub media: u64,
    /// URLs that it was asked for; `None` unless it is a run of URLs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urls: Option<u64>,
    /// The journal failed in mid-run: it can't be carried on.
    pub lost: bool,
}

/// A run with everything that is known about it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StoredRun {
    /// The record.
    pub record: RunRecord,
    /// The facts, in the order in which they became known.
    #[doc(hidden)]
    pub facts: Vec<(Moment, Fact)>,
    /// How it ended, if it did.
    pub outcome: Option<Outcome>,
    /// What it took so far.
    pub(crate) calls: Calls,
    /// The journal failed in mid-run and misses facts: carried on, it would submit again what it does not know of.
    pub lost: bool,
}
