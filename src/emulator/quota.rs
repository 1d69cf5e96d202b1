//! The day's quota: `DescribeVodRefreshQuota`, and what submissions take from it.

use chrono::{DateTime, FixedOffset, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::Problem;
use super::state::{Done, State};

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

/// What was used since the day began.
#[derive(Debug, Default)]
pub(super) struct Spent {
    day: Option<NaiveDate>,
    /// Whether the day turned since the start, so that the scenario's remains count no more.
    turned: bool,
    urls: u64,
    preloads: u64,
}

impl Spent {
    /// The day turns at midnight in Beijing. (That it does not do so in UTC is not documented.)
    fn begin_day(&mut self, now: DateTime<Utc>) {
        let today = FixedOffset::east_opt(8 * 3_600).map(|zone| now.with_timezone(&zone).date_naive());
        if self.day != today {
            let turned = self.day.is_some();
            *self = Self { day: today, turned, urls: 0, preloads: 0 };
        }
    }

    fn left(&self, quota: u64, remain: Option<u64>, spent: u64) -> u64 {
        remain.filter(|_| !self.turned).unwrap_or(quota).saturating_sub(spent)
    }

    /// Takes `urls` for one submission, all or nothing.
    pub(super) fn take(
        &mut self,
        quota: &Quota,
        task_type: &str,
        urls: u64,
        now: DateTime<Utc>,
    ) -> Result<(), Problem> {
        self.begin_day(now);
        let preload = task_type == "Preload";
        let left = if preload {
            self.left(quota.preload_quota, quota.preload_remain, self.preloads)
        } else {
            self.left(quota.url_quota, quota.url_remain, self.urls)
        };
        if urls > left {
            let message = "The number of URLs exceeds the daily quota.";
            return Err(Problem::new(400, format!("QuotaExceeded.{task_type}"), message));
        }
        *(if preload { &mut self.preloads } else { &mut self.urls }) += urls;
        Ok(())
    }
}

pub(super) fn describe_vod_refresh_quota(state: &mut State, now: DateTime<Utc>) -> Done {
    let State { spent, scenario, .. } = state;
    spent.begin_day(now);
    let quota = &scenario.quota;
    // Decimal texts, as the vendor's sample has them.
    let text = |number: u64| Value::String(number.to_string());
    let mut body = json!({
        "UrlQuota": text(quota.url_quota),
        "UrlRemain": text(spent.left(quota.url_quota, quota.url_remain, spent.urls)),
        "DirQuota": text(quota.dir_quota),
        "DirRemain": text(spent.left(quota.dir_quota, quota.dir_remain, 0)),
        "PreloadQuota": text(quota.preload_quota),
        "PreloadRemain": text(spent.left(quota.preload_quota, quota.preload_remain, spent.preloads)),
    });
    if let Some(block) = quota.block_quota {
        body["BlockQuota"] = text(block);
        // With a small letter, as documented.
        body["blockRemain"] = text(spent.left(block, quota.block_remain, 0));
    }
    Done::of(body)
}
